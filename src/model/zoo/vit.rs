//! Vision transformer (Dosovitskiy 2021), with the names of timm's `VisionTransformer`.

use serde_json::{Value as Json, json};

use super::Layout;
use crate::error::Result;
use crate::keys::{Keyed, SHARE, UNITS, above, keys, whole, words};

words! {
    /// What the logits are made of.
    pub enum Pool {
        /// A class token.
        Class = "class",
        /// The mean of all tokens.
        Mean = "mean",
    }
}

keys! {
    /// Vision transformer for small images: patches, class token, attention.
    pub struct Vit {
        /// Side of a patch.
        patch: usize = 4, whole(1, 1024);
        /// Length of a token.
        width: usize = 64, UNITS;
        /// Blocks of attention and dense layers.
        depth: usize = 4, whole(1, 256);
        /// Heads of attention; they divide the width.
        heads: usize = 4, whole(1, 1024);
        /// Width of a block's hidden dense layer, in widths of a token.
        mlp_ratio: f64 = 2.0, above(0.0);
        /// What the logits are made of: a class token, or the mean of all.
        pool: Pool = Pool::Class, Pool::SHAPE;
        /// Probability that dropout zeroes what a block adds.
        dropout: f64 = 0.0, SHARE;
        /// Added to the variance of a layer norm.
        epsilon: f64 = 1e-6, above(0.0);
    }
}

impl Layout for Vit {
    fn layers(&self, _: [usize; 3]) -> Result<Vec<Json>> {
        let norm = |name: &str| json!({ "layer-norm": true, "epsilon": self.epsilon, "name": name });
        let hidden = ((self.width as f64 * self.mlp_ratio) as usize).max(1);
        let drop = (self.dropout > 0.0).then(|| json!({ "dropout": self.dropout }));
        let mut all = vec![json!({ "patches": self.patch, "width": self.width, "name": "patch_embed" })];
        all.extend((self.pool == Pool::Class).then(|| json!({ "class-token": true, "name": "cls_token" })));
        all.push(json!({ "positions": true, "name": "pos_embed" }));
        for block in 0..self.depth {
            let mut attention = vec![norm("norm1"), json!({ "attention": self.heads, "name": "attn" })];
            let mut dense = vec![
                norm("norm2"),
                json!({ "dense": hidden, "name": "mlp.fc1" }),
                json!("gelu"),
                json!({ "dense": self.width, "name": "mlp.fc2" }),
            ];
            attention.extend(drop.clone());
            dense.extend(drop.clone());
            let name = format!("blocks.{block}");
            all.extend([json!({ "residual": attention, "name": name }), json!({ "residual": dense, "name": name })]);
        }
        all.push(norm("norm"));
        all.push(if self.pool == Pool::Class { json!({ "take-token": 0 }) } else { json!("token-mean") });
        all.push(json!({ "dense": "classes", "name": "head" }));
        Ok(all)
    }
}
