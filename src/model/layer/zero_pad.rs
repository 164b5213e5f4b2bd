//! Zeros around an image.

use burn::tensor::Tensor;

use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;

/// Rows above and below, columns to the left and to the right: for paddings that are not the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroPad {
    /// Rows above, columns to the left.
    pub before: [usize; 2],
    /// Rows below, columns to the right.
    pub after: [usize; 2],
}

impl Describe for ZeroPad {
    const KINDS: &'static [Kind] = &[Kind {
        name: "zero-pad",
        aliases: &["zero-pad2d"],
        meaning: "Zeros around an image, where the paddings of two sides differ.",
        argument: Some(Key::new("before", Takes::Pair(0, MOST), None, "Rows above, columns to the left.")),
        keys: &[Key::new("after", Takes::Pair(0, MOST), Some("0"), "Rows below, columns to the right.")],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [channels, height, width] = builder.image()?;
        let (before, after) = (item.pair("before"), item.pair("after"));
        let output = [channels, height.saturating_add(before[0] + after[0]), width.saturating_add(before[1] + after[1])];
        Ok((Self { before, after }, output.into()))
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        x.pad([(0, 0), (0, 0), (self.before[0], self.after[0]), (self.before[1], self.after[1])], 0.0)
    }

    fn torch(&self, _: &Placed) -> String {
        let ([top, left], [bottom, right]) = (self.before, self.after);
        format!("nn.ZeroPad2d(({left}, {right}, {top}, {bottom}))")
    }
}
