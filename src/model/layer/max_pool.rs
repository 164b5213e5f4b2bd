//! Maximum over windows.

use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, module};

use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::{Error, Result};
use crate::model::network::Pass;
use crate::ops;

/// Windows of `[channels, height, width]`, or of `[channels, length]` as `[length, 1]`; a remainder at the edge is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// Around the input.
    pub padding: [usize; 2],
}

/// The keys of pooling layers beside their windows.
pub(super) const KEYS: &[Key] = &[
    Key::new("stride", Takes::Pair(1, MOST), Some("null"), "Step from one window to the next; the window's size when absent."),
    Key::new("padding", Takes::Pair(0, MOST), Some("0"), "Rows and columns around the input, at most half a window."),
];
/// What a pooling layer's own key takes.
pub(super) const WINDOW: Key = Key::new("kernel", Takes::Pair(1, MOST), None, "Size of the windows.");

impl Describe for MaxPool {
    const KINDS: &'static [Kind] = &[Kind {
        name: "max-pool",
        aliases: &["maxpool", "max-pool2d", "max-pool1d"],
        meaning: "Maximum over windows of each channel.",
        argument: Some(WINDOW),
        keys: KEYS,
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        windows(item, builder)
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        match self.plain() {
            Some(size) => ops::max_pool2d(x, size),
            None => {
                let options = MaxPoolOptions::new(self.kernel).with_stride(self.stride).with_padding(self.padding);
                module::max_pool2d(x, options)
            }
        }
    }

    fn torch(&self, at: &Placed) -> String {
        self.torch_as("Max", at)
    }
}

/// The windows that a pooling layer describes, and the shape of what they leave.
pub(super) fn windows(item: &Item, builder: &Builder) -> Result<(MaxPool, Shape)> {
    let sequence = match builder.input.axes().len() {
        3 => false,
        2 => true,
        _ => return Err(builder.misfit("images [channels, height, width] or sequences [channels, length]", "")),
    };
    let flat = |[first, second]: [usize; 2], unit: usize| if sequence { [first, unit] } else { [first, second] };
    let kernel = flat(item.pair("kernel"), 1);
    let stride = item.pair_if("stride").map_or(kernel, |stride| flat(stride, 1));
    let padding = flat(item.pair("padding"), 0);
    if (0..2).any(|axis| 2 * padding[axis] > kernel[axis]) {
        return Err(Error::Invalid(format!(
            "layer {} ({}) has a padding of {padding:?}, more than half of its window {kernel:?}",
            builder.name, item.kind.name
        )));
    }
    let [channels, height, width] = builder.input.padded();
    let mut sides = [height, width];
    for axis in [0, 1] {
        let padded = sides[axis].saturating_add(2 * padding[axis]);
        if padded < kernel[axis] {
            let takes = format!("at least {}x{}", kernel[0], kernel[1]);
            return Err(builder.misfit(&takes, "use a smaller window, or fewer of them"));
        }
        sides[axis] = (padded - kernel[axis]) / stride[axis] + 1;
    }
    let output = if sequence { Shape::sequence(channels, sides[0]) } else { [channels, sides[0], sides[1]].into() };
    Ok((MaxPool { kernel, stride, padding }, output))
}

impl MaxPool {
    /// The side of windows that our own kernels take: square ones side by side.
    #[must_use]
    pub fn plain(&self) -> Option<usize> {
        let [height, width] = self.kernel;
        (height == width && self.stride == self.kernel && self.padding == [0, 0]).then_some(height)
    }

    pub(super) fn torch_as(&self, name: &str, at: &Placed) -> String {
        let sequence = at.input.axes().len() == 2;
        let pair = |[height, width]: [usize; 2]| match sequence || height == width {
            true => height.to_string(),
            false => format!("({height}, {width})"),
        };
        let stride = if self.stride == self.kernel { String::new() } else { format!(", stride={}", pair(self.stride)) };
        let padding = if self.padding == [0, 0] { String::new() } else { format!(", padding={}", pair(self.padding)) };
        format!("nn.{name}Pool{}d({}{stride}{padding})", if sequence { 1 } else { 2 }, pair(self.kernel))
    }
}
