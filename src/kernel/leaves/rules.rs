//! From what a layer showed to the gradients of its parameters: for each of n examples and S outputs.

use std::ops::Range;

use burn::tensor::{Int, Tensor, s};

use crate::model::tap::Gradient;
use crate::ops::Window;

/// A parameter and every use that the network makes of it.
#[derive(Debug)]
pub(super) struct Parameter {
    pub name: String,
    pub uses: Vec<Use>,
    /// Index of its first value among those of the network.
    pub offset: usize,
}

/// One use of a parameter.
#[derive(Debug, Clone)]
pub(super) struct Use {
    pub gradient: Gradient,
    /// `[n, S, channels, T]`: the gradient at the output of the operation.
    pub cotangent: Tensor<4>,
}

/// A use with its input as the products read it.
#[derive(Debug)]
enum Prepared {
    /// Inputs `[n, T, in]`.
    Outer(Tensor<3>),
    /// Windows `[n, groups, T, window]` and cotangents `[n, groups, S, channels of one, T]`.
    Grouped(Tensor<4>, Tensor<5>),
    /// Values `[n, 1, channels, T]`.
    Scale(Tensor<4>),
    Shift,
    /// Rows `[n, 1, 1, T]` of the table, and those of which the gradient is formed `[units]`.
    Lookup(Tensor<4, Int>, Tensor<1, Int>),
    Added,
    Token(usize),
}

/// Forms gradients of one parameter, a block of them at a time: of its output channels, groups, rows or positions (units).
#[derive(Debug)]
pub(super) struct Former {
    uses: Vec<(Prepared, Tensor<4>)>,
    /// Units, and values in each.
    pub units: usize,
    pub width: usize,
}

impl Parameter {
    /// Values of the parameter.
    pub fn len(&self) -> usize {
        self.uses.first().map_or(0, |one| {
            let (units, width) = one.sizes();
            units * width
        })
    }

    /// Inputs `[n, T, in]` and cotangents where the gradient is a sum over positions of outer products and of one use only: then
    /// Gram matrices of both do as well.
    pub fn as_outer(&self) -> Option<(Tensor<3>, &Tensor<4>)> {
        match self.uses.as_slice() {
            [Use { gradient: Gradient::Dense { inputs }, cotangent }] => Some((inputs.clone(), cotangent)),
            [Use { gradient: Gradient::Conv { input, window }, cotangent }] if window.groups == 1 => {
                Some((windows(input.clone(), window).swap_dims(1, 2), cotangent))
            }
            _ => None,
        }
    }

    /// Prepares its gradients. `whole` asks for all rows of a table, not only those that an example has.
    pub fn former(&self, whole: bool) -> Former {
        let only = self.uses.len() == 1 && !whole;
        let uses: Vec<_> = self.uses.iter().map(|one| (one.prepare(only), one.cotangent.clone())).collect();
        let (mut units, width) = self.uses.first().map_or((0, 0), Use::sizes);
        if let [(Prepared::Lookup(_, rows), _)] = uses.as_slice() {
            units = rows.dims()[0];
        }
        Former { uses, units, width }
    }
}

impl Use {
    /// Units of the parameter, and values in each.
    fn sizes(&self) -> (usize, usize) {
        let [_, _, channels, positions] = self.cotangent.dims();
        match &self.gradient {
            Gradient::Dense { inputs } => (channels, inputs.dims()[2]),
            Gradient::Conv { input, window } => {
                let size = input.dims()[1] / window.groups * window.kernel[0] * window.kernel[1];
                if window.groups == 1 { (channels, size) } else { (window.groups, channels / window.groups * size) }
            }
            Gradient::Scale { .. } | Gradient::Shift => (channels, 1),
            Gradient::Lookup { count, .. } => (*count, channels),
            Gradient::Added => (positions, channels),
            Gradient::Token { .. } => (1, channels),
        }
    }

    fn prepare(&self, only_present: bool) -> Prepared {
        let [n, outputs, channels, positions] = self.cotangent.dims();
        match &self.gradient {
            Gradient::Dense { inputs } => Prepared::Outer(inputs.clone()),
            Gradient::Conv { input, window } if window.groups == 1 => {
                Prepared::Outer(windows(input.clone(), window).swap_dims(1, 2))
            }
            Gradient::Conv { input, window } => {
                let [_, inputs, height, width] = input.dims();
                let groups = window.groups;
                let apart = input.clone().reshape([n * groups, inputs / groups, height, width]);
                let rows = windows(apart, window);
                let [_, size, _] = rows.dims();
                let rows = rows.swap_dims(1, 2).reshape([n, groups, positions, size]);
                let each = self.cotangent.clone().reshape([n, outputs, groups, channels / groups, positions]);
                Prepared::Grouped(rows, each.permute([0, 2, 1, 3, 4]))
            }
            Gradient::Scale { inputs } => Prepared::Scale(inputs.clone().unsqueeze_dim(1)),
            Gradient::Shift => Prepared::Shift,
            Gradient::Lookup { rows, count } => {
                let mut present: Vec<i64> = match only_present {
                    true => rows.clone().into_data().iter::<i64>().collect(),
                    false => (0..*count as i64).collect(),
                };
                present.sort_unstable();
                present.dedup();
                let present = Tensor::<1, Int>::from_data(present.as_slice(), &rows.device());
                Prepared::Lookup(rows.clone().reshape([n, 1, 1, positions]), present)
            }
            Gradient::Added => Prepared::Added,
            Gradient::Token { at } => Prepared::Token(*at),
        }
    }
}

impl Former {
    /// Gradients `[n, S, units · width]` of these units.
    pub fn form(&self, units: Range<usize>) -> Tensor<3> {
        let all = self.uses.iter().map(|(prepared, cotangent)| prepared.form(cotangent, units.clone()));
        all.reduce(|sum, one| sum + one).expect("a parameter that is shown is used")
    }
}

impl Prepared {
    /// Gradients `[n, S, units · width]`; cotangents are `[n, S, channels, T]`.
    fn form(&self, cotangent: &Tensor<4>, units: Range<usize>) -> Tensor<3> {
        let [n, outputs, channels, positions] = cotangent.dims();
        let count = units.len();
        let of_units = || cotangent.clone().slice(s![.., .., units.clone(), ..]);
        match self {
            Self::Outer(inputs) => {
                let size = inputs.dims()[2];
                let left = of_units().reshape([n, outputs * count, positions]);
                left.matmul(inputs.clone()).reshape([n, outputs, count * size])
            }
            Self::Grouped(inputs, cotangents) => {
                let [_, _, _, each, _] = cotangents.dims();
                let size = inputs.dims()[3];
                let left = cotangents.clone().slice(s![.., units.clone(), .., .., ..]);
                let left = left.reshape([n * count, outputs * each, positions]);
                let right = inputs.clone().slice(s![.., units, .., ..]).reshape([n * count, positions, size]);
                let product = left.matmul(right).reshape([n, count, outputs, each, size]);
                product.permute([0, 2, 1, 3, 4]).reshape([n, outputs, count * each * size])
            }
            Self::Scale(values) => {
                let values = values.clone().slice(s![.., .., units.clone(), ..]);
                (of_units() * values).sum_dim(3).reshape([n, outputs, count])
            }
            Self::Shift => of_units().sum_dim(3).reshape([n, outputs, count]),
            Self::Lookup(rows, present) => {
                let wanted = present.clone().slice(s![units]).reshape([1, 1, count, 1]);
                let chosen =
                    rows.clone().expand([n, 1, count, positions]).equal(wanted.expand([n, 1, count, positions]));
                let chosen = chosen.float().expand([n, outputs, count, positions]);
                chosen.matmul(cotangent.clone().swap_dims(2, 3)).reshape([n, outputs, count * channels])
            }
            Self::Added => {
                let values = cotangent.clone().slice(s![.., .., .., units]).swap_dims(2, 3);
                values.reshape([n, outputs, count * channels])
            }
            Self::Token(at) => cotangent.clone().slice(s![.., .., .., *at..*at + 1]).reshape([n, outputs, channels]),
        }
    }
}

/// The windows that a convolution reads: `[n, c, h, w]` to `[n, taps · c, positions]`.
fn windows(input: Tensor<4>, window: &Window) -> Tensor<3> {
    let Window { kernel, stride, padding, dilation, .. } = *window;
    let input = match padding {
        [0, 0] => input,
        [y, x] => input.pad((x, x, y, y), 0.0),
    };
    let [n, channels, height, width] = input.dims();
    let positions = [(height, 0), (width, 1)]
        .map(|(length, axis)| (length - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis] + 1);
    let span = |axis: usize, tap: usize| {
        let first = tap * dilation[axis];
        first..first + (positions[axis] - 1) * stride[axis] + 1
    };
    let mut taps = Vec::with_capacity(kernel[0] * kernel[1]);
    for y in 0..kernel[0] {
        for x in 0..kernel[1] {
            let (rows, columns) = (span(0, y), span(1, x));
            let part = input.clone().slice(s![.., .., rows;stride[0] as isize, columns;stride[1] as isize]);
            taps.push(part.reshape([n, channels, positions[0] * positions[1]]));
        }
    }
    if taps.len() == 1 { taps.remove(0) } else { Tensor::cat(taps, 1) }
}
