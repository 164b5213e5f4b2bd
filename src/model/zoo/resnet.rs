//! Residual networks (He 2016): for small images, section 4.2, or in torchvision's form.

use serde_json::{Value as Json, json};

use super::Layout;
use crate::error::{Error, Result};
use crate::keys::{Keyed, keys, list, whole, words};

words! {
    /// What the input of a block passes through where its shape changes.
    pub enum Shortcut {
        /// A 1x1 convolution.
        Conv = "conv",
        /// A 1x1 convolution and a batch norm: He's option B.
        ConvNorm = "conv-norm",
        /// Every second pixel, and channels of zeros: He's option A.
        Pad = "pad",
    }
}

words! {
    /// How the layers are called.
    pub enum Names {
        /// `c`, `b`, `blocks.0.c1`, `blocks.0.sc`, `fc`.
        Harness = "harness",
        /// `conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.downsample.0`, `fc`.
        Torchvision = "torchvision",
    }
}

words! {
    /// What comes before the first block.
    pub enum Stem {
        /// A 3x3 convolution.
        Small = "small",
        /// A 7x7 convolution of stride 2 and 3x3 max pooling of stride 2.
        Imagenet = "imagenet",
    }
}

/// Blocks of a stage.
const BLOCKS: crate::keys::Shape = whole(1, 200);

keys! {
    /// Residual network with batch norm, for small images or as torchvision has them.
    pub struct Resnet {
        /// Number of layers in three stages, 6n + 2: 8, 14, 20, …
        depth: usize = 20, whole(8, 1202);
        /// Channels of the first stage; each next one doubles them.
        width: usize = 16, whole(1, 65_536);
        /// Blocks of two convolutions in each stage, instead of `depth`: ResNet-18 has `[2, 2, 2, 2]`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stages: Option<Vec<usize>> = None, list(&BLOCKS, 1, 8);
        /// Where the shape changes: `conv` (the default), `conv-norm` or `pad`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shortcut: Option<Shortcut> = None, Shortcut::SHAPE;
        /// The layers' names: `harness` (the default) or `torchvision`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        names: Option<Names> = None, Names::SHAPE;
        /// Before the first block: `small` (the default) or `imagenet`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stem: Option<Stem> = None, Stem::SHAPE;
    }
}

impl Layout for Resnet {
    fn layers(&self, _: [usize; 3]) -> Result<Vec<Json>> {
        let stages = match &self.stages {
            Some(stages) => stages.clone(),
            None if self.depth < 8 || self.depth % 6 != 2 => {
                let below = self.depth.saturating_sub(2) / 6 * 6 + 2;
                let near = if below < 8 { "8".to_owned() } else { format!("{below} or {}", below + 6) };
                return Err(Error::Invalid(format!(
                    "model.depth takes 6n + 2 layers, but is {}; the nearest are {near}",
                    self.depth
                )));
            }
            None => vec![(self.depth - 2) / 6; 3],
        };
        let torchvision = self.names == Some(Names::Torchvision);
        let [conv_name, norm_name] = if torchvision { ["conv1", "bn1"] } else { ["c", "b"] };
        let conv = |channels: usize, kernel: usize, stride: usize, name: &str| {
            json!({ "conv": channels, "kernel": kernel, "stride": stride, "padding": kernel / 2, "bias": false, "name": name })
        };
        let norm = |name: &str| json!({ "batch-norm": true, "name": name });
        let imagenet = self.stem == Some(Stem::Imagenet);
        let mut all = match imagenet {
            true => vec![conv(self.width, 7, 2, conv_name), norm(norm_name), json!("relu")],
            false => vec![conv(self.width, 3, 1, conv_name), norm(norm_name), json!("relu")],
        };
        all.extend(imagenet.then(|| json!({ "max-pool": 3, "stride": 2, "padding": 1 })));
        let mut before = 0;
        for (stage, blocks) in stages.iter().enumerate() {
            let channels = self.width << stage;
            for block in 0..*blocks {
                let changes = stage > 0 && block == 0;
                let stride = if changes { 2 } else { 1 };
                let names = if torchvision { ["conv1", "bn1", "conv2", "bn2"] } else { ["c1", "b1", "c2", "b2"] };
                let body = [
                    conv(channels, 3, stride, names[0]),
                    norm(names[1]),
                    json!("relu"),
                    conv(channels, 3, 1, names[2]),
                    norm(names[3]),
                ];
                let [conv_name, norm_name] = if torchvision { ["downsample.0", "downsample.1"] } else { ["sc", "sb"] };
                let shortcut = match self.shortcut {
                    _ if !changes => json!([]),
                    None | Some(Shortcut::Conv) => json!([conv(channels, 1, stride, conv_name)]),
                    Some(Shortcut::ConvNorm) => json!([conv(channels, 1, stride, conv_name), norm(norm_name)]),
                    Some(Shortcut::Pad) => json!("pad"),
                };
                let name = if torchvision { format!("layer{}.{block}", stage + 1) } else { format!("blocks.{}", before + block) };
                all.push(json!({ "residual": body, "shortcut": shortcut, "name": name }));
                all.push(json!("relu"));
            }
            before += blocks;
        }
        all.extend([json!("global-mean"), json!({ "dense": "classes", "name": "fc" })]);
        Ok(all)
    }
}
