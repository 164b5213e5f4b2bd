//! An image cut into patches, each a token.

use burn::tensor::Tensor;

use super::conv::Conv;
use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::model::python::Python;
use crate::ops::Window;

/// `[channels, height, width]` to `[tokens, width]`, row by row: a convolution `proj` whose stride is its kernel (Dosovitskiy 2021).
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// The convolution.
    pub project: Vec<Placed>,
}

impl Describe for Patches {
    const KINDS: &'static [Kind] = &[Kind {
        name: "patches",
        aliases: &["patch-embedding"],
        meaning: "Cuts an image into patches and makes each a token; the convolution's name is `proj`.",
        argument: Some(Key::new("size", Takes::Pair(1, MOST), None, "Height and width of a patch.")),
        keys: &[Key::new("width", Takes::Whole(1, MOST), None, "Length of a token.")],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let [inputs, height, width] = builder.image()?;
        let (size, outputs) = (item.pair("size"), item.whole("width"));
        if !height.is_multiple_of(size[0]) || !width.is_multiple_of(size[1]) {
            let takes = format!("images that patches of {}x{} cover", size[0], size[1]);
            return Err(builder.misfit(&takes, "choose a size that divides height and width"));
        }
        let window = Window { kernel: size, stride: size, padding: [0, 0], dilation: [1, 1], groups: 1 };
        let conv = Conv { inputs, outputs, window, bias: true, sequence: false };
        let (rows, columns) = (height / size[0], width / size[1]);
        let output = [outputs, rows, columns].into();
        let project = vec![builder.part("proj", "conv", conv, builder.input, output)];
        Ok((Self { project }, Shape::sequence(rows * columns, outputs)))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let [tokens, width] = [at.output.axes()[0], at.output.axes()[1]];
        let out = pass.list(&self.project, x);
        let [n, ..] = out.dims();
        out.reshape([n, width, tokens, 1]).swap_dims(1, 2)
    }

    fn parts(&self) -> Vec<&[Placed]> {
        vec![&self.project]
    }

    fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
        vec![&mut self.project]
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        code.list(&self.project);
        code.line("x = x.flatten(2).transpose(1, 2)");
    }
}
