//! Inverted residuals with depthwise convolutions (Sandler 2018), as MobileNetV2 and EfficientNet-Lite are made of.

use serde_json::{Value as Json, json};

use super::Layout;
use crate::error::{Error, Result};
use crate::keys::{Keyed, SHARE, Shape, UNITS, above, keys, list, whole, words};

/// Small whole numbers: strides, kernels, repeats.
const SMALL: Shape = whole(1, 64);

words! {
    /// What is around an image where a convolution is applied.
    pub enum Padding {
        /// Half a kernel on each side, as in PyTorch.
        Symmetric = "symmetric",
        /// As many zeros as TensorFlow's "same" has, the odd one below and to the right: what published EfficientNets need.
        Same = "same",
    }
}

keys! {
    /// Inverted residuals with depthwise convolutions: MobileNetV2, EfficientNet-Lite.
    pub struct Mobilenet {
        /// Channels of the first convolution.
        stem: usize = 16, UNITS;
        /// Its stride: 2 for large images.
        first_stride: usize = 1, SMALL;
        /// Channels that the blocks of each stage give.
        channels: Vec<usize> = vec![16, 24, 40], list(&UNITS, 1, 64);
        /// Blocks of each stage.
        repeats: Vec<usize> = vec![1, 2, 2], list(&SMALL, 1, 64);
        /// Stride of the first block of each stage.
        strides: Vec<usize> = vec![1, 2, 2], list(&SMALL, 1, 64);
        /// Side of the depthwise kernels of each stage; odd.
        windows: Vec<usize> = vec![3, 3, 3], list(&SMALL, 1, 64);
        /// How many times as many channels are between the 1x1 convolutions of each stage's blocks.
        expansions: Vec<usize> = vec![1, 4, 4], list(&SMALL, 1, 64);
        /// Channels of the last convolution.
        head_width: usize = 128, UNITS;
        /// Probability that dropout zeroes an input of the last dense layer.
        dropout: f64 = 0.0, SHARE;
        /// Added to the variance of a batch norm.
        epsilon: f64 = 1e-5, above(0.0);
        /// What is around an image.
        padding: Padding = Padding::Symmetric, Padding::SHAPE;
    }
}

/// The batch norms' momentum, in PyTorch's sense.
const MOMENTUM: f64 = 0.1;

impl Layout for Mobilenet {
    /// The names are those of the `EfficientNet` that the published weights of EfficientNet-Lite belong to.
    fn layers(&self, [_, height, width]: [usize; 3]) -> Result<Vec<Json>> {
        let stages = self.channels.len();
        let lists = [("repeats", &self.repeats), ("strides", &self.strides), ("windows", &self.windows)];
        for (key, list) in lists.into_iter().chain([("expansions", &self.expansions)]) {
            if list.len() != stages {
                return Err(Error::Invalid(format!(
                    "model.{key} has {} entries, but model.channels has {stages}; give one for each stage",
                    list.len()
                )));
            }
        }
        if let Some(even) = self.windows.iter().find(|kernel| *kernel % 2 == 0) {
            return Err(Error::Invalid(format!("model.windows names {even}, but windows are odd; use {}", even + 1)));
        }
        let mut all = Vec::new();
        let mut image = [height, width];
        let mut channels = self.stem;
        all.extend(self.conv("_conv_stem", channels, 3, self.first_stride, json!(1), &mut image));
        all.extend([self.norm("_bn0"), json!("relu6")]);
        let mut index = 0;
        for stage in 0..stages {
            for repeat in 0..self.repeats[stage] {
                let stride = if repeat == 0 { self.strides[stage] } else { 1 };
                let (output, expansion) = (self.channels[stage], self.expansions[stage]);
                let mut body = Vec::new();
                if expansion != 1 {
                    body.extend(self.conv("_expand_conv", channels * expansion, 1, 1, json!(1), &mut image));
                    body.extend([self.norm("_bn0"), json!("relu6")]);
                }
                let depthwise = json!("depthwise");
                body.extend(self.conv("_depthwise_conv", channels * expansion, self.windows[stage], stride, depthwise, &mut image));
                body.extend([self.norm("_bn1"), json!("relu6")]);
                body.extend(self.conv("_project_conv", output, 1, 1, json!(1), &mut image));
                body.push(self.norm("_bn2"));
                let name = format!("_blocks.{index}");
                match stride == 1 && channels == output {
                    true => all.push(json!({ "residual": body, "name": name })),
                    false => all.extend(body.into_iter().map(|entry| within(&name, entry))),
                }
                (channels, index) = (output, index + 1);
            }
        }
        all.extend(self.conv("_conv_head", self.head_width, 1, 1, json!(1), &mut image));
        all.extend([self.norm("_bn1"), json!("relu6"), json!("global-mean")]);
        all.extend((self.dropout > 0.0).then(|| json!({ "dropout": self.dropout })));
        all.push(json!({ "dense": "classes", "name": "_fc" }));
        Ok(all)
    }
}

impl Mobilenet {
    fn norm(&self, name: &str) -> Json {
        json!({ "batch-norm": true, "epsilon": self.epsilon, "momentum": MOMENTUM, "name": name })
    }

    /// A convolution without a bias on an image, with zeros of its own before it where the two sides differ.
    fn conv(&self, name: &str, channels: usize, kernel: usize, stride: usize, groups: Json, image: &mut [usize; 2]) -> Vec<Json> {
        let output = image.map(|side| side.div_ceil(stride));
        let zeros = [0, 1].map(|axis| ((output[axis] - 1) * stride + kernel).saturating_sub(image[axis]));
        let mut padding = json!(kernel / 2);
        let mut all = Vec::new();
        if self.padding == Padding::Same {
            if zeros.iter().any(|zeros| zeros % 2 == 1) {
                all.push(json!({ "zero-pad": zeros.map(|zeros| zeros / 2), "after": zeros.map(|zeros| zeros.div_ceil(2)) }));
                padding = json!(0);
            } else {
                padding = json!(zeros.map(|zeros| zeros / 2));
            }
        }
        *image = output;
        all.push(json!({
            "conv": channels, "kernel": kernel, "stride": stride, "padding": padding, "groups": groups, "bias": false, "name": name
        }));
        all
    }
}

/// The same layer under a name within a block.
fn within(block: &str, mut entry: Json) -> Json {
    if let Some(name) = entry.get("name").and_then(Json::as_str).map(|name| format!("{block}.{name}")) {
        entry["name"] = json!(name);
    }
    entry
}
