//! From the `[model]` table to a list of layers with names and sizes.
//!
//! Names are those that the same network has in PyTorch when its attributes are called `c1`, `b1`, …, `fc`
//! (convolutions, batch norms, the last dense layer); a residual network's blocks are `blocks.0`, `blocks.1`, …

use crate::config::{Activation, Model};
use crate::error::{Error, Result};

/// One layer: what it is called and how large it is.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerPlan {
    /// Square kernel; `input` and `output` are `[channels, height, width]`.
    Conv {
        name: String,
        input: [usize; 3],
        output: [usize; 3],
        kernel: usize,
        stride: usize,
        padding: usize,
        bias: bool,
    },
    BatchNorm {
        name: String,
        channels: usize,
    },
    Activation(Activation),
    /// Square windows of this side, side by side; a remainder at the edge is dropped.
    MaxPool(usize),
    GlobalMeanPool,
    Flatten,
    /// Probability that an input is dropped.
    Dropout(f64),
    Dense {
        name: String,
        inputs: usize,
        outputs: usize,
    },
    /// The body's output plus its input, which passes through the shortcut where the shapes differ.
    Residual {
        body: Vec<LayerPlan>,
        shortcut: Option<Box<LayerPlan>>,
    },
}

/// A whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Channels, height, width of one example.
    pub input: [usize; 3],
    pub classes: usize,
    pub layers: Vec<LayerPlan>,
}

/// Sizes that follow from the layers, tracked while a plan is written down.
struct Builder {
    shape: [usize; 3],
    layers: Vec<LayerPlan>,
}

impl Plan {
    /// Lays out `model` for examples of shape `[channels, height, width]` and that many classes.
    ///
    /// # Errors
    /// `Invalid` when pooling leaves nothing of the image, or a ResNet's depth is not 6n + 2.
    pub fn new(model: &Model, input: [usize; 3], classes: usize) -> Result<Self> {
        let mut builder = Builder { shape: input, layers: Vec::new() };
        match model {
            Model::Mlp { widths, activation, dropout } => {
                builder.layers.push(LayerPlan::Flatten);
                builder.head(widths, classes, *activation, *dropout);
            }
            Model::Cnn { channels, kernel, pool, batch_norm, head, activation, dropout } => {
                for (i, &channels) in channels.iter().enumerate() {
                    builder.conv(&format!("c{}", i + 1), channels, *kernel, 1, !batch_norm);
                    if *batch_norm {
                        builder.batch_norm(&format!("b{}", i + 1));
                    }
                    builder.layers.push(LayerPlan::Activation(*activation));
                    builder.max_pool(*pool)?;
                }
                builder.layers.push(LayerPlan::Flatten);
                builder.head(head, classes, *activation, *dropout);
            }
            Model::Resnet { depth, width } => {
                if *depth < 8 || depth % 6 != 2 {
                    return Err(Error::Invalid(format!(
                        "model.depth is {depth}, but a resnet for small images has 6n + 2 layers; use 8, 14, 20, 32, 44 or 56"
                    )));
                }
                builder.resnet((depth - 2) / 6, *width, classes);
            }
        }
        Ok(Self { input, classes, layers: builder.layers })
    }

    /// Number of trainable parameters: weights, biases, and the scales and shifts of batch norms.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let mut total = 0;
        self.visit(&mut |layer| total += layer.parameters());
        total
    }

    /// Name and shape of every tensor, layer by layer in forward order: parameters, and the running statistics of batch norms.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::new();
        self.visit(&mut |layer| match layer {
            LayerPlan::Conv { name, input, output, kernel, bias, .. } => {
                all.push((format!("{name}.weight"), vec![output[0], input[0], *kernel, *kernel]));
                if *bias {
                    all.push((format!("{name}.bias"), vec![output[0]]));
                }
            }
            LayerPlan::Dense { name, inputs, outputs } => {
                all.push((format!("{name}.weight"), vec![*outputs, *inputs]));
                all.push((format!("{name}.bias"), vec![*outputs]));
            }
            LayerPlan::BatchNorm { name, channels } => {
                let parts = ["weight", "bias", "running_mean", "running_var"];
                all.extend(parts.map(|part| (format!("{name}.{part}"), vec![*channels])));
            }
            _ => {}
        });
        all
    }

    /// Multiplications and additions of one forward pass of one example.
    #[must_use]
    pub fn flops(&self) -> f64 {
        let mut total = 0.0;
        self.visit(&mut |layer| {
            total += match layer {
                LayerPlan::Conv { input, output, kernel, .. } => {
                    2.0 * (output[0] * output[1] * output[2]) as f64 * (input[0] * kernel * kernel) as f64
                }
                LayerPlan::Dense { inputs, outputs, .. } => 2.0 * (*inputs as f64) * (*outputs as f64),
                _ => 0.0,
            };
        });
        total
    }

    /// Numbers that one example's forward pass leaves behind: the outputs of all convolutions, norms and dense layers.
    #[must_use]
    pub fn activations(&self) -> usize {
        let mut total = self.input.iter().product();
        let mut positions = 1;
        self.visit(&mut |layer| {
            total += match layer {
                LayerPlan::Conv { output, .. } => {
                    positions = output[1] * output[2];
                    output.iter().product()
                }
                LayerPlan::BatchNorm { channels, .. } => channels * positions,
                LayerPlan::Dense { outputs, .. } => *outputs,
                _ => 0,
            };
        });
        total
    }

    /// Calls `see` on every layer in forward order, a residual block's shortcut before its body.
    pub fn visit<'a>(&'a self, see: &mut impl FnMut(&'a LayerPlan)) {
        visit(&self.layers, see);
    }
}

fn visit<'a>(layers: &'a [LayerPlan], see: &mut impl FnMut(&'a LayerPlan)) {
    for layer in layers {
        if let LayerPlan::Residual { body, shortcut } = layer {
            if let Some(shortcut) = shortcut {
                see(shortcut);
            }
            visit(body, see);
        } else {
            see(layer);
        }
    }
}

impl LayerPlan {
    /// Trainable parameters of this layer alone.
    #[must_use]
    pub fn parameters(&self) -> usize {
        match self {
            Self::Conv { input, output, kernel, bias, .. } => {
                output[0] * input[0] * kernel * kernel + if *bias { output[0] } else { 0 }
            }
            Self::BatchNorm { channels, .. } => 2 * channels,
            Self::Dense { inputs, outputs, .. } => inputs * outputs + outputs,
            _ => 0,
        }
    }
}

impl Builder {
    fn conv(&mut self, name: &str, channels: usize, kernel: usize, stride: usize, bias: bool) {
        let layer = conv(name, self.shape, channels, kernel, stride, bias);
        if let LayerPlan::Conv { output, .. } = &layer {
            self.shape = *output;
        }
        self.layers.push(layer);
    }

    fn batch_norm(&mut self, name: &str) {
        self.layers.push(LayerPlan::BatchNorm { name: name.into(), channels: self.shape[0] });
    }

    fn max_pool(&mut self, size: usize) -> Result<()> {
        if size > 1 {
            let [channels, height, width] = self.shape;
            if height < size || width < size {
                return Err(Error::Invalid(format!(
                    "model.pool is {size}, but only {height}x{width} pixels are left where it would be applied; use fewer channels or a smaller pool"
                )));
            }
            self.shape = [channels, height / size, width / size];
            self.layers.push(LayerPlan::MaxPool(size));
        }
        Ok(())
    }

    /// Dense layers `fc1`, `fc2`, …, and `fc` for the logits.
    fn head(&mut self, widths: &[usize], classes: usize, activation: Activation, dropout: f64) {
        let mut inputs = self.shape.iter().product();
        let drop = (dropout > 0.0).then_some(LayerPlan::Dropout(dropout));
        for (i, &outputs) in widths.iter().enumerate() {
            // An mlp's first dense layer sees the example itself, of which nothing is dropped.
            if i > 0 || self.layers.len() > 1 {
                self.layers.extend(drop.clone());
            }
            self.layers.push(LayerPlan::Dense { name: format!("fc{}", i + 1), inputs, outputs });
            self.layers.push(LayerPlan::Activation(activation));
            inputs = outputs;
        }
        if self.layers.len() > 1 {
            self.layers.extend(drop);
        }
        self.layers.push(LayerPlan::Dense { name: "fc".into(), inputs, outputs: classes });
    }

    /// He 2016, section 4.2, with 1x1 convolutions as shortcuts where the shape changes.
    fn resnet(&mut self, blocks_per_stage: usize, width: usize, classes: usize) {
        self.conv("c", width, 3, 1, false);
        self.batch_norm("b");
        self.layers.push(LayerPlan::Activation(Activation::Relu));
        for block in 0..3 * blocks_per_stage {
            let stage = block / blocks_per_stage;
            let channels = width << stage;
            let stride = if stage > 0 && block % blocks_per_stage == 0 { 2 } else { 1 };
            let input = self.shape;
            let mut body = Builder { shape: input, layers: Vec::new() };
            body.conv(&format!("blocks.{block}.c1"), channels, 3, stride, false);
            body.batch_norm(&format!("blocks.{block}.b1"));
            body.layers.push(LayerPlan::Activation(Activation::Relu));
            body.conv(&format!("blocks.{block}.c2"), channels, 3, 1, false);
            body.batch_norm(&format!("blocks.{block}.b2"));
            let shortcut = (stride != 1 || input[0] != channels)
                .then(|| Box::new(conv(&format!("blocks.{block}.sc"), input, channels, 1, stride, false)));
            self.shape = body.shape;
            self.layers.push(LayerPlan::Residual { body: body.layers, shortcut });
            self.layers.push(LayerPlan::Activation(Activation::Relu));
        }
        self.layers.push(LayerPlan::GlobalMeanPool);
        self.layers.push(LayerPlan::Dense { name: "fc".into(), inputs: self.shape[0], outputs: classes });
    }
}

/// A convolution padded by half its kernel: stride 1 keeps the image's size, stride 2 halves it, rounding up.
fn conv(name: &str, input: [usize; 3], channels: usize, kernel: usize, stride: usize, bias: bool) -> LayerPlan {
    let padding = kernel / 2;
    let side = |length: usize| (length + 2 * padding - kernel) / stride + 1;
    let output = [channels, side(input[1]), side(input[2])];
    LayerPlan::Conv { name: name.into(), input, output, kernel, stride, padding, bias }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameter counts of the networks as PyTorch counts them.
    #[test]
    fn counts_parameters_of_known_networks() {
        let mlp = Model::Mlp { widths: vec![512, 512], activation: Activation::Relu, dropout: 0.0 };
        assert_eq!(Plan::new(&mlp, [3, 32, 32], 10).unwrap().parameters(), 1_841_162);
        let cnn = Model::Cnn {
            channels: vec![32, 64],
            kernel: 3,
            pool: 2,
            batch_norm: false,
            head: vec![],
            activation: Activation::Relu,
            dropout: 0.0,
        };
        assert_eq!(Plan::new(&cnn, [3, 32, 32], 10).unwrap().parameters(), 896 + 18_496 + 40_970);
        let resnet = Model::Resnet { depth: 20, width: 16 };
        let plan = Plan::new(&resnet, [3, 32, 32], 10).unwrap();
        // He 2016 gives 0.27 M for identity shortcuts; the two 1x1 shortcuts add 512 + 2048.
        assert_eq!(plan.parameters(), 269_722 + 512 + 2048);
    }

    #[test]
    fn strided_convolutions_round_up() {
        let plan = Plan::new(&Model::Resnet { depth: 8, width: 4 }, [1, 7, 9], 3).unwrap();
        let mut last = None;
        plan.visit(&mut |layer| {
            if let LayerPlan::Conv { name, output, .. } = layer
                && name.starts_with("blocks.2")
            {
                last = Some(*output);
            }
        });
        assert_eq!(last, Some([16, 2, 3]));
    }

    #[test]
    fn refuses_what_cannot_be_built() {
        let cnn = Model::Cnn {
            channels: vec![4; 4],
            kernel: 3,
            pool: 2,
            batch_norm: false,
            head: vec![],
            activation: Activation::Relu,
            dropout: 0.0,
        };
        assert!(Plan::new(&cnn, [1, 8, 8], 10).unwrap_err().to_string().contains("1x1 pixels"));
        assert!(Plan::new(&Model::Resnet { depth: 21, width: 4 }, [1, 8, 8], 10).is_err());
    }

    #[test]
    fn dropout_never_touches_the_example_itself() {
        let mlp = Model::Mlp { widths: vec![8], activation: Activation::Relu, dropout: 0.5 };
        let plan = Plan::new(&mlp, [1, 2, 2], 2).unwrap();
        assert!(matches!(plan.layers[1], LayerPlan::Dense { .. }));
        assert!(matches!(plan.layers[3], LayerPlan::Dropout(_)));
    }
}
