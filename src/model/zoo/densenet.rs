//! Densely connected networks (Huang 2017), with torchvision's names.

use serde_json::{Value as Json, json};

use super::Layout;
use super::resnet::Stem;
use crate::error::{Error, Result};
use crate::keys::{Keyed, SHARE, UNITS, keys, list, whole};

/// Blocks of a stage, and how many times as wide a bottleneck is as what it adds.
const SMALL: crate::keys::Shape = whole(1, 256);

keys! {
    /// Densely connected network: every block adds channels to all that were there before it.
    pub struct Densenet {
        /// Channels that a block adds.
        growth: usize = 12, UNITS;
        /// Blocks of each stage; between stages channels and sides are halved.
        stages: Vec<usize> = vec![4, 4, 4], list(&SMALL, 1, 8);
        /// Channels of the first convolution; twice `growth` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        width: Option<usize> = None, UNITS;
        /// Channels between the two convolutions of a block, in multiples of `growth`.
        bottleneck: usize = 4, SMALL;
        /// Before the first block: `small` or `imagenet`.
        stem: Stem = Stem::Small, Stem::SHAPE;
        /// Probability that dropout zeroes what a block adds.
        dropout: f64 = 0.0, SHARE;
    }
}

impl Layout for Densenet {
    /// `features.conv0`, `features.denseblock1.denselayer1.norm1`, …, `features.transition1.conv`, …, `classifier`.
    fn layers(&self, [_, height, width]: [usize; 3]) -> Result<Vec<Json>> {
        let smallest = height.min(width) >> (self.stages.len() - 1 + if self.stem == Stem::Imagenet { 2 } else { 0 });
        if smallest == 0 {
            return Err(Error::Invalid(format!(
                "model.stages has {} stages, each of half the sides, too many for images of {height}x{width}; take stages away",
                self.stages.len()
            )));
        }
        let conv = |channels: usize, kernel: usize, stride: usize, name: &str| {
            json!({ "conv": channels, "kernel": kernel, "stride": stride, "padding": kernel / 2, "bias": false, "name": name })
        };
        let norm = |name: &str| json!({ "batch-norm": true, "name": name });
        let mut channels = self.width.unwrap_or(2 * self.growth);
        let mut all = match self.stem {
            Stem::Small => vec![conv(channels, 3, 1, "features.conv0")],
            Stem::Imagenet => vec![
                conv(channels, 7, 2, "features.conv0"),
                norm("features.norm0"),
                json!("relu"),
                json!({ "max-pool": 3, "stride": 2, "padding": 1 }),
            ],
        };
        for (index, blocks) in self.stages.iter().enumerate() {
            let stage = index + 1;
            for block in 1..=*blocks {
                let mut added = vec![
                    norm("norm1"),
                    json!("relu"),
                    conv(self.bottleneck * self.growth, 1, 1, "conv1"),
                    norm("norm2"),
                    json!("relu"),
                    conv(self.growth, 3, 1, "conv2"),
                ];
                added.extend((self.dropout > 0.0).then(|| json!({ "dropout": self.dropout })));
                let name = format!("features.denseblock{stage}.denselayer{block}");
                all.push(json!({ "branches": [[], added], "join": "concatenate", "name": name }));
                channels += self.growth;
            }
            if stage < self.stages.len() {
                channels /= 2;
                let name = |part: &str| format!("features.transition{stage}.{part}");
                all.extend([norm(&name("norm")), json!("relu"), conv(channels.max(1), 1, 1, &name("conv"))]);
                all.push(json!({ "average-pool": 2 }));
            }
        }
        all.extend([norm(&format!("features.norm{}", self.stages.len() + 1)), json!("relu"), json!("global-mean")]);
        all.push(json!({ "dense": "classes", "name": "classifier" }));
        Ok(all)
    }
}
