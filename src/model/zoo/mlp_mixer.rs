//! MLP-Mixer (Tolstikhin 2021), with the names of timm's `MlpMixer`.

use serde_json::{Value as Json, json};

use super::Layout;
use crate::error::Result;
use crate::keys::{UNITS, above, keys, whole};

keys! {
    /// MLP-Mixer for small images: dense layers over patches and over channels in turn.
    pub struct MlpMixer {
        /// Side of a patch.
        patch: usize = 4, whole(1, 1024);
        /// Length of a token.
        width: usize = 64, UNITS;
        /// Blocks.
        depth: usize = 4, whole(1, 256);
        /// Width of the hidden layer that mixes tokens.
        token_width: usize = 32, UNITS;
        /// Width of the hidden layer that mixes channels.
        channel_width: usize = 128, UNITS;
        /// Added to the variance of a layer norm.
        epsilon: f64 = 1e-6, above(0.0);
    }
}

impl Layout for MlpMixer {
    fn layers(&self, [_, height, width]: [usize; 3]) -> Result<Vec<Json>> {
        let tokens = (height / self.patch) * (width / self.patch);
        let norm = |name: &str| json!({ "layer-norm": true, "epsilon": self.epsilon, "name": name });
        let mlp = |name: &str, hidden: usize, outputs: usize| {
            let dense = |part: &str, outputs: usize| json!({ "dense": outputs, "name": format!("{name}.{part}") });
            [dense("fc1", hidden), json!("gelu"), dense("fc2", outputs)]
        };
        let mut all = vec![json!({ "patches": self.patch, "width": self.width, "name": "stem" })];
        for block in 0..self.depth {
            let mut over_tokens = vec![norm("norm1"), json!("transpose")];
            over_tokens.extend(mlp("mlp_tokens", self.token_width, tokens));
            over_tokens.push(json!("transpose"));
            let mut over_channels = vec![norm("norm2")];
            over_channels.extend(mlp("mlp_channels", self.channel_width, self.width));
            let name = format!("blocks.{block}");
            all.extend([json!({ "residual": over_tokens, "name": name }), json!({ "residual": over_channels, "name": name })]);
        }
        all.extend([norm("norm"), json!("token-mean"), json!({ "dense": "classes", "name": "head" })]);
        Ok(all)
    }
}
