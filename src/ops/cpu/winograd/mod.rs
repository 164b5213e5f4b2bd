//! Convolutions with 3x3 kernels at a stride of 1 in a quarter of the multiplications (Winograd 1980; Lavin & Gray 2016,
//! F(4x4, 3x3)).
//!
//! A tile of 4x4 outputs is a polynomial product, computed at 36 points: `Y = Aᵀ [Σ_c (G g Gᵀ) ⊙ (Bᵀ d B)] A`, where `d` is the
//! 6x6 input tile, `g` a kernel, and the sums over channels are 36 matrix products. The gradients are those of this formula:
//! `dg = Gᵀ [Σ_tiles (A dY Aᵀ) ⊙ (Bᵀ d B)] G` and `dd = B [Σ_k (G g Gᵀ) ⊙ (A dY Aᵀ)] Bᵀ`, so that both use the same points of `dY`.
//!
//! Images are copied with their channels last: every value of a tile is then a register of channels, and the products need no
//! packing. Tiles are taken a strip at a time, so that points stay in the cache.

mod transform;

use pulp::Arch;

use super::buffers;
use super::conv::Conv2d;
use super::layout::{FromLast, Last, ToLast};
use super::multiply::{Factor, Multiply, Size};
use super::parallel::with_scratch;
use transform::{
    Gather, Input, InputGradient, Kernel, KernelGradient, Onto, Output, OutputGradient, Points, Spread, Squares,
};

/// Rows and columns of outputs of a tile.
const TILE: usize = 4;
/// Points at which a product is computed.
const POINTS: usize = 36;
/// Tiles of a strip: as many as keep its points in the second-level cache beside the kernels'.
const STRIP: usize = 16;
/// Tiles of a strip where the kernels' points fill that cache and each is read once for all tiles of the strip.
const LONG_STRIP: usize = 32;
/// `f32` of the kernels' points from which on a strip is long.
const MANY: usize = 1 << 16;
/// `f32` between the points of a strip, so that those of one place do not compete for the same lines of the cache.
const GAP: usize = 16;

/// The shape of a convolution that this is for.
#[derive(Debug, Clone, Copy)]
pub struct Winograd {
    conv: Conv2d,
    /// Tiles of an image, in rows and columns.
    tiles: [usize; 2],
    /// Input and output channels, rounded up to whole registers.
    widths: [usize; 2],
    strip: usize,
}

impl Winograd {
    /// Whether and how a convolution can be computed this way. `None` where it would not be faster: few channels, or images
    /// that leave much of their tiles empty.
    pub fn new(conv: Conv2d) -> Option<Self> {
        let lanes = conv.instructions.lanes();
        let ([rows, columns], channels) = (conv.output(), [conv.channels_in, conv.channels_out]);
        let (tiles, widths) = ([rows, columns].map(|n| n.div_ceil(TILE)), channels.map(|n| n.next_multiple_of(lanes)));
        let fits = conv.kernel == [3, 3] && conv.stride == 1 && conv.padding <= 2;
        let pays = channels.iter().all(|&n| n >= 8)
            && channels[0] * channels[1] * 8 >= widths[0] * widths[1] * 5
            && rows * columns * 9 >= tiles[0] * tiles[1] * TILE * TILE * 5;
        let strip = if POINTS * widths[0] * widths[1] >= MANY { LONG_STRIP } else { STRIP };
        (fits && pays).then_some(Self { conv, tiles, widths, strip })
    }

    /// Images that fill a strip.
    pub fn group(&self) -> usize {
        (self.strip / (self.tiles[0] * self.tiles[1])).max(1)
    }

    /// Padded input images: 6x6 squares that overlap by two rows and columns.
    fn inputs(&self) -> Squares {
        let size = self.tiles.map(|n| n * TILE + 2);
        Squares { squares: self.tiles, apart: TILE, size, width: self.widths[0] }
    }

    /// Output images, rounded up to whole tiles.
    fn outputs(&self) -> Squares {
        let size = self.tiles.map(|n| n * TILE);
        Squares { squares: self.tiles, apart: TILE, size, width: self.widths[1] }
    }

    /// A strip's points for `width` channels: their length, and from one to the next.
    fn strip_of(&self, width: usize) -> (usize, usize) {
        let step = self.strip * width + GAP;
        (POINTS * step, step)
    }

    /// Length of the points of all kernels, or from one to the next.
    fn kernel_step(&self, rows: usize, width: usize) -> usize {
        rows * width + GAP
    }

    /// The points of the kernels, `[point, c, k]`; with `turned` `[point, k, c]`.
    fn kernels(&self, weight: &[f32], turned: bool) -> Vec<f32> {
        let [c, k] = [self.conv.channels_in, self.conv.channels_out];
        let (rows, width) = if turned { (k, self.widths[0]) } else { (c, self.widths[1]) };
        let mut last = vec![0.0; rows * 9 * width];
        let positions = if turned { 9 } else { 9 * c };
        let pieces = weight.chunks_exact(if turned { 9 * c } else { weight.len().max(1) });
        for (planes, to) in pieces.zip(last.chunks_exact_mut(positions * width)) {
            let last = Last { columns: 1, pitch: width, width };
            Arch::new().dispatch(ToLast { planes, positions, start: 0, count: positions, last, to });
        }
        let step = self.kernel_step(rows, width);
        let mut points = buffers::take(POINTS * step);
        let squares = Squares { squares: [1, 1], apart: 0, size: [3, 3], width };
        let kernels = Points { first: 0, count: rows, step };
        let spread = Spread::<_, 3> { line: Kernel, squares, from: &last, points: kernels, to: &mut points };
        self.conv.instructions.run(spread);
        points
    }

    /// Where the input's positions lie in a padded image: from which place on, and how.
    fn input_places(&self) -> (usize, Last) {
        let Squares { size: [_, columns], width, .. } = self.inputs();
        let place = self.conv.padding * (columns + 1) * width;
        (place, Last { columns: self.conv.input[1], pitch: columns * width, width })
    }

    /// Where the output's positions lie in whole tiles.
    fn output_places(&self) -> Last {
        let Squares { size: [_, columns], width, .. } = self.outputs();
        Last { columns: self.conv.output()[1], pitch: columns * width, width }
    }

    /// Copies an input image, with zeros around it.
    fn pad(&self, image: &[f32], to: &mut [f32]) {
        let ((place, last), [height, width], padding) = (self.input_places(), self.conv.input, self.conv.padding);
        let (positions, first) = (height * width, padding * last.width);
        for (row, to) in to.chunks_exact_mut(last.pitch).enumerate() {
            if (padding..padding + height).contains(&row) {
                to[..first].fill(0.0);
                to[first + width * last.width..].fill(0.0);
            } else {
                to.fill(0.0);
            }
        }
        let to = &mut to[place..];
        Arch::new().dispatch(ToLast { planes: image, positions, start: 0, count: positions, last, to });
    }

    /// Copies the gradient of an output image, rounded up to whole tiles with zeros.
    fn fill(&self, image: &[f32], to: &mut [f32]) {
        let (last, [rows, columns]) = (self.output_places(), self.conv.output());
        for (row, to) in to.chunks_exact_mut(last.pitch).enumerate() {
            to[if row < rows { columns * last.width } else { 0 }..].fill(0.0);
        }
        let positions = rows * columns;
        Arch::new().dispatch(ToLast { planes: image, positions, start: 0, count: positions, last, to });
    }

    /// The strips of some images: the first tile of each, and how many it has.
    fn strips(&self, images: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (tiles, strip) = (images * self.tiles[0] * self.tiles[1], self.strip);
        (0..tiles).step_by(strip).map(move |first| (first, strip.min(tiles - first)))
    }
}

/// From input images to their outputs.
#[derive(Debug)]
pub struct Forward {
    winograd: Winograd,
    kernels: Vec<f32>,
    /// For each output channel, rounded up to whole registers.
    bias: Option<Vec<f32>>,
}

impl Forward {
    pub fn new(winograd: Winograd, weight: &[f32], bias: Option<&[f32]>) -> Self {
        let bias = bias.map(|bias| {
            let mut bias = bias.to_vec();
            bias.resize(winograd.widths[1], 0.0);
            bias
        });
        Self { winograd, kernels: winograd.kernels(weight, false), bias }
    }

    pub fn group(&self) -> usize {
        self.winograd.group()
    }

    /// Convolves some images.
    pub fn images(&self, input: &[f32], out: &mut [f32]) {
        let Self { winograd, kernels, bias } = self;
        let (conv, [in_width, out_width]) = (winograd.conv, winograd.widths);
        let (inputs, outputs, images) = (winograd.inputs(), winograd.outputs(), out.len() / conv.output_len());
        let ((in_len, in_step), (out_len, out_step)) = (winograd.strip_of(in_width), winograd.strip_of(out_width));
        with_scratch(images * (inputs.len() + outputs.len()) + in_len + out_len, |scratch| {
            let (padded, scratch) = scratch.split_at_mut(images * inputs.len());
            let (last, scratch) = scratch.split_at_mut(images * outputs.len());
            let (in_points, out_points) = scratch.split_at_mut(in_len);
            for (image, padded) in input.chunks_exact(conv.input_len()).zip(padded.chunks_exact_mut(inputs.len())) {
                winograd.pad(image, padded);
            }
            for (first, count) in winograd.strips(images) {
                let at = |step| Points { first, count, step };
                let (squares, points) = (inputs, at(in_step));
                conv.instructions.run(Spread::<_, 6> { line: Input, squares, from: padded, points, to: in_points });
                conv.instructions.run(Multiply {
                    count: POINTS,
                    size: Size { rows: count, depth: conv.channels_in, width: out_width },
                    left: Factor { values: in_points, strides: [in_width, 1], step: in_step },
                    right: (kernels, out_width),
                    right_step: winograd.kernel_step(conv.channels_in, out_width),
                    out: (out_points, out_width),
                    out_step,
                    add: false,
                });
                let onto = bias.as_deref().map_or(Onto::Nothing, Onto::Channels);
                let (squares, points) = (outputs, at(out_step));
                let gather = Gather::<_, 4> { line: Output, squares, from: out_points, points, onto, to: last };
                conv.instructions.run(gather);
            }
            for (image, last) in out.chunks_exact_mut(conv.output_len()).zip(last.chunks_exact(outputs.len())) {
                let (from, last) = (last, winograd.output_places());
                Arch::new().dispatch(FromLast { from, last, planes: image, positions: conv.output().iter().product() });
            }
        });
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        buffers::give(std::mem::take(&mut self.kernels));
    }
}

/// From input images and the gradients of their outputs to the gradients of weights and input.
#[derive(Debug)]
pub struct Backward {
    winograd: Winograd,
    /// Whether the gradient of the weights is wanted.
    to_weight: bool,
    /// The kernels' points, if the gradient of the input is wanted.
    turned: Option<Vec<f32>>,
}

impl Backward {
    pub fn new(winograd: Winograd, to_weight: bool, weight: Option<&[f32]>) -> Self {
        Self { winograd, to_weight, turned: weight.map(|weight| winograd.kernels(weight, true)) }
    }

    pub fn group(&self) -> usize {
        self.winograd.group()
    }

    /// Lends the sums at all points for the gradient of the weights to `work`, whatever they hold, and writes that gradient to
    /// `out`, `[channels_in, taps, channels_out rounded up]`.
    pub fn with_sums(&self, out: &mut [f32], work: impl FnOnce(&mut [f32])) {
        let Winograd { conv, widths: [_, width], .. } = self.winograd;
        let step = if self.to_weight { self.winograd.kernel_step(conv.channels_in, width) } else { 0 };
        with_scratch(POINTS * step, |sums| {
            work(sums);
            if self.to_weight {
                let squares = Squares { squares: [1, 1], apart: 0, size: [3, 3], width };
                let points = Points { first: 0, count: conv.channels_in, step };
                let (line, onto) = (KernelGradient, Onto::Nothing);
                conv.instructions.run(Gather::<_, 3> { line, squares, from: sums, points, onto, to: out });
            }
        });
    }

    /// Adds some images to the sums of their chunk (or begins these with them, where they are `first`), and writes the gradients
    /// of the input; what is not wanted may be empty.
    pub fn images(&self, first: bool, input: &[f32], grad: &[f32], sums: &mut [f32], input_grad: &mut [f32]) {
        let Self { winograd, to_weight, turned } = self;
        let (conv, [in_width, out_width]) = (winograd.conv, winograd.widths);
        let (inputs, outputs, images) = (winograd.inputs(), winograd.outputs(), grad.len() / conv.output_len());
        let ((in_len, in_step), (out_len, out_step)) = (winograd.strip_of(in_width), winograd.strip_of(out_width));
        let (to_weight_len, to_input_len) = (
            if *to_weight { images * inputs.len() } else { 0 },
            if turned.is_some() { images * inputs.len() } else { 0 },
        );
        with_scratch(images * outputs.len() + to_weight_len + to_input_len + in_len + out_len, |scratch| {
            let (last, scratch) = scratch.split_at_mut(images * outputs.len());
            let (padded, scratch) = scratch.split_at_mut(to_weight_len);
            let (padded_grad, scratch) = scratch.split_at_mut(to_input_len);
            let (in_points, out_points) = scratch.split_at_mut(in_len);
            for (image, last) in grad.chunks_exact(conv.output_len()).zip(last.chunks_exact_mut(outputs.len())) {
                winograd.fill(image, last);
            }
            for (image, padded) in input.chunks_exact(conv.input_len()).zip(padded.chunks_exact_mut(inputs.len())) {
                winograd.pad(image, padded);
            }
            padded_grad.fill(0.0);
            for (start, count) in winograd.strips(images) {
                let at = |step| Points { first: start, count, step };
                let (squares, points) = (outputs, at(out_step));
                let spread = Spread::<_, 4> { line: OutputGradient, squares, from: last, points, to: out_points };
                conv.instructions.run(spread);
                let (squares, points) = (inputs, at(in_step));
                if *to_weight {
                    conv.instructions.run(Spread::<_, 6> { line: Input, squares, from: padded, points, to: in_points });
                    let step = winograd.kernel_step(conv.channels_in, out_width);
                    conv.instructions.run(Multiply {
                        count: POINTS,
                        size: Size { rows: conv.channels_in, depth: count, width: out_width },
                        left: Factor { values: in_points, strides: [1, in_width], step: in_step },
                        right: (out_points, out_width),
                        right_step: out_step,
                        out: (sums, out_width),
                        out_step: step,
                        add: !first || start > 0,
                    });
                }
                if let Some(turned) = turned {
                    conv.instructions.run(Multiply {
                        count: POINTS,
                        size: Size { rows: count, depth: conv.channels_out, width: in_width },
                        left: Factor { values: out_points, strides: [out_width, 1], step: out_step },
                        right: (turned, in_width),
                        right_step: winograd.kernel_step(conv.channels_out, in_width),
                        out: (in_points, in_width),
                        out_step: in_step,
                        add: false,
                    });
                    let (line, onto) = (InputGradient, Onto::Old);
                    let gather = Gather::<_, 6> { line, squares, from: in_points, points, onto, to: padded_grad };
                    conv.instructions.run(gather);
                }
            }
            let grads = padded_grad.chunks_exact(inputs.len());
            for (image, padded) in input_grad.chunks_exact_mut(conv.input_len()).zip(grads) {
                let (place, last) = winograd.input_places();
                Arch::new().dispatch(FromLast {
                    from: &padded[place..],
                    last,
                    planes: image,
                    positions: conv.input.iter().product(),
                });
            }
        });
    }
}

impl Drop for Backward {
    fn drop(&mut self) {
        self.turned.take().into_iter().for_each(buffers::give);
    }
}
