//! Convolution (cross-correlation) of images and of sequences.

use burn::tensor::Tensor;

use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Initial, Placed, Role, Shape, TensorSpec};
use crate::error::{Error, Result};
use crate::model::network::Pass;
use crate::model::tap::{Gradient, Layout};
use crate::ops::{self, Window};

/// Of `[channels, height, width]`, or of `[channels, length]`, whose window is then `[length, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// How it reads its input.
    pub window: Window,
    /// Whether a bias is added.
    pub bias: bool,
    /// Whether the input is a sequence: PyTorch's `Conv1d`.
    pub sequence: bool,
}

impl Describe for Conv {
    const KINDS: &'static [Kind] = &[Kind {
        name: "conv",
        aliases: &["conv2d", "conv1d"],
        meaning: "Convolution of images [channels, height, width] or sequences [channels, length].",
        argument: Some(Key::new("channels", Takes::Whole(1, MOST), None, "Output channels.")),
        keys: &[
            Key::new("kernel", Takes::Pair(1, MOST), Some("3"), "Size of the kernel."),
            Key::new("stride", Takes::Pair(1, MOST), Some("1"), "Step from one window to the next."),
            Key::new("padding", Takes::PairOrWord(0, MOST, &["same"]), Some("0"), "Zeros around the input; `same` keeps its size at stride 1."),
            Key::new("dilation", Takes::Pair(1, MOST), Some("1"), "Distance between what neighbouring weights see."),
            Key::new("groups", Takes::WholeOrWord(&["depthwise"]), Some("1"), "Parts of the channels that do not mix; `depthwise`: as many as input channels."),
            Key::new("bias", Takes::Flag, Some("true"), "Whether a bias is added."),
        ],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let (inputs, sequence) = match *builder.input.axes() {
            [channels, _, _] => (channels, false),
            [channels, _] => (channels, true),
            _ => return Err(builder.misfit("images [channels, height, width] or sequences [channels, length]", "")),
        };
        let flat = |[first, second]: [usize; 2], unit: usize| if sequence { [first, unit] } else { [first, second] };
        let (kernel, stride) = (flat(item.pair("kernel"), 1), flat(item.pair("stride"), 1));
        let dilation = flat(item.pair("dilation"), 1);
        let reach = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1));
        let padding = match item.pair_if("padding") {
            Some(padding) => flat(padding, 0),
            None if stride != [1, 1] || reach.iter().any(|reach| reach % 2 != 0) => {
                return Err(Error::Invalid(format!(
                    "layer {} (conv) has padding \"same\", which needs a stride of 1 and an odd kernel; give the padding as a number",
                    builder.name
                )));
            }
            None => reach.map(|reach| reach / 2),
        };
        let outputs = item.whole("channels");
        let groups = item.whole_if("groups").unwrap_or(inputs);
        if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(Error::Invalid(format!(
                "layer {} (conv) has {groups} groups, which must divide its {inputs} input and {outputs} output channels",
                builder.name
            )));
        }
        let [_, height, width] = builder.input.padded();
        let mut sides = [height, width];
        for axis in [0, 1] {
            let padded = sides[axis].saturating_add(2 * padding[axis]);
            if padded < reach[axis] + 1 {
                let takes = format!("at least {} of {} (with padding)", reach[axis] + 1, ["height or length", "width"][axis]);
                return Err(builder.misfit(&takes, "use a smaller kernel, more padding or less pooling"));
            }
            sides[axis] = (padded - reach[axis] - 1) / stride[axis] + 1;
        }
        let output = if sequence { Shape::sequence(outputs, sides[0]) } else { [outputs, sides[0], sides[1]].into() };
        let window = Window { kernel, stride, padding, dilation, groups };
        Ok((Self { inputs, outputs, window, bias: item.flag("bias"), sequence }, output))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let [height, width] = self.window.kernel;
        let fan_in = self.inputs / self.window.groups * height * width;
        let mut shape = vec![self.outputs, self.inputs / self.window.groups, height, width];
        if self.sequence {
            shape.pop();
        }
        let mut all = vec![TensorSpec::weight("weight", shape, Role::Weight, [Initial::He(fan_in), Initial::torch(fan_in)])];
        if self.bias {
            all.push(TensorSpec::spared("bias", self.outputs, 0.0, Initial::torch(fan_in)));
        }
        all
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let (weight, bias) = (pass.kernel(at, 0), self.bias.then(|| pass.vector(at, 1)));
        let kept = pass.tapped().then(|| x.clone());
        let out = ops::conv2d(x, weight, bias, self.window);
        let Some(input) = kept else { return out };
        let mut parts = vec![("weight", Gradient::Conv { input, window: self.window })];
        parts.extend(self.bias.then_some(("bias", Gradient::Shift)));
        pass.tap(at, Layout::ChannelsFirst, parts, out)
    }

    fn operations(&self, at: &Placed) -> f64 {
        let [height, width] = self.window.kernel;
        2.0 * at.output.values() as f64 * (self.inputs / self.window.groups * height * width) as f64
    }

    fn torch(&self, _: &Placed) -> String {
        let Window { kernel, stride, padding, dilation, groups } = self.window;
        let pair = |[height, width]: [usize; 2]| match self.sequence || height == width {
            true => height.to_string(),
            false => format!("({height}, {width})"),
        };
        let mut text = format!("nn.Conv{}d({}, {}, {}", if self.sequence { 1 } else { 2 }, self.inputs, self.outputs, pair(kernel));
        for (name, value, unless) in [("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)] {
            if value[0] != unless || (!self.sequence && value[1] != unless) {
                text += &format!(", {name}={}", pair(value));
            }
        }
        if groups != 1 {
            text += &format!(", groups={groups}");
        }
        text + if self.bias { ")" } else { ", bias=False)" }
    }
}

impl Conv {
    /// Stride and padding of one that blocks of several operations can hold: square, neither dilated nor in groups.
    #[must_use]
    pub fn plain(&self) -> Option<(usize, usize)> {
        let Window { kernel, stride, padding, dilation, groups } = self.window;
        let square = [kernel, stride, padding].iter().all(|[height, width]| height == width);
        (square && dilation == [1, 1] && groups == 1 && !self.sequence).then_some((stride[0], padding[0]))
    }
}
