//! The rules against plain loops, and sums on a device against those on the host.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::rules::{Parameter, Use};
use super::sums::{Sums, host};
use crate::kernel::projection::Signs;
use crate::kernel::target::Target;
use crate::model::tap::Gradient;
use crate::ops::Window;
use crate::random::Random;

fn draw<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut random = Random::from_parts(seed, "leaves", 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.uniform() as f32 - 0.5).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The gradient `[n, S, values]` of a parameter of these uses, formed one unit at a time and put together.
fn formed(uses: Vec<Use>) -> Vec<f32> {
    let parameter = Parameter { name: "weight".into(), uses, offset: 0 };
    let former = parameter.former(true);
    assert_eq!(parameter.len(), former.units * former.width);
    let parts: Vec<Tensor<3>> = (0..former.units).map(|unit| former.form(unit..unit + 1)).collect();
    let one_by_one = host(Tensor::cat(parts, 2));
    assert_eq!(one_by_one, host(former.form(0..former.units)), "blocks of units do not matter");
    one_by_one
}

fn assert_close(what: &str, actual: &[f32], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (at, (a, b)) in actual.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - b).abs() < 1e-5, "{what}: {a}, not {b}, at {at}");
    }
}

/// Σ over positions of `term(example, output, channel, position, column)`: `[n, S, channels, columns]`.
fn sums([n, s, c, t]: [usize; 4], columns: usize, term: impl Fn(usize, usize, usize, usize, usize) -> f64) -> Vec<f64> {
    let mut out = Vec::new();
    for example in 0..n {
        for output in 0..s {
            for channel in 0..c {
                for column in 0..columns {
                    out.push((0..t).map(|position| term(example, output, channel, position, column)).sum());
                }
            }
        }
    }
    out
}

/// n, S, channels, T
const SIZES: [usize; 4] = [2, 3, 4, 5];

fn cotangent(seed: u64) -> (Tensor<4>, impl Fn(usize, usize, usize, usize) -> f64) {
    let tensor = draw(SIZES, seed);
    let values = host(tensor.clone());
    let [_, s, c, t] = SIZES;
    (tensor, move |e, o, channel, position| f64::from(values[((e * s + o) * c + channel) * t + position]))
}

#[test]
fn dense_weights_and_weights_that_are_used_twice() {
    let [n, _, _, t] = SIZES;
    let (inputs, (g, at)) = (draw([n, t, 6], 1), cotangent(2));
    let x = host(inputs.clone());
    let one = Use { gradient: Gradient::Dense { inputs }, cotangent: g };
    let exact = sums(SIZES, 6, |e, o, c, p, column| at(e, o, c, p) * f64::from(x[(e * t + p) * 6 + column]));
    assert_close("dense", &formed(vec![one.clone()]), &exact);
    let twice: Vec<f64> = exact.iter().map(|v| 2.0 * v).collect();
    assert_close("dense, twice", &formed(vec![one.clone(), one.clone()]), &twice);
    // The same matrix [4, 6] as a table of four rows: what an embedding shares with the layer that turns vectors into tokens.
    let rows: Vec<i64> = vec![3, 0, 0, 2, 3, 1, 1, 2, 0, 1];
    let table = Tensor::<2, Int>::from_data(TensorData::new(rows.clone(), [n, t]), &Device::flex());
    let vectors = draw([n, 3, 6, t], 3);
    let v = host(vectors.clone());
    let tied = Use { gradient: Gradient::Lookup { rows: table, count: 4 }, cotangent: vectors };
    let both: Vec<f64> = sums(SIZES, 6, |e, o, row, p, column| {
        let there = f64::from(u8::from(rows[e * t + p] == row as i64));
        there * f64::from(v[((e * 3 + o) * 6 + column) * t + p])
    });
    assert_close("table", &formed(vec![tied.clone()]), &both);
    let both: Vec<f64> = both.iter().zip(&exact).map(|(a, b)| a + b).collect();
    assert_close("table and dense", &formed(vec![tied, one]), &both);
}

#[test]
fn only_the_rows_of_a_table_that_are_there() {
    let [n, _, c, t] = SIZES;
    let rows: Vec<i64> = vec![7, 2, 2, 7, 100, 7, 7, 7, 2, 100];
    let table = Tensor::<2, Int>::from_data(TensorData::new(rows, [n, t]), &Device::flex());
    let one = Use { gradient: Gradient::Lookup { rows: table, count: 1000 }, cotangent: cotangent(4).0 };
    let parameter = Parameter { name: "weight".into(), uses: vec![one], offset: 0 };
    assert_eq!(parameter.len(), 1000 * c);
    assert_eq!((parameter.former(false).units, parameter.former(true).units), (3, 1000));
    let gram = |former: super::rules::Former| {
        let rows: Tensor<3> = former.form(0..former.units);
        let [n, s, length] = rows.dims();
        let rows = rows.reshape([n * s, length]);
        host(rows.clone().matmul(rows.transpose()))
    };
    let whole: Vec<f64> = gram(parameter.former(true)).iter().map(|&v| f64::from(v)).collect();
    assert_close("present rows", &gram(parameter.former(false)), &whole);
}

#[test]
fn scales_shifts_and_what_is_added() {
    let [n, s, c, t] = SIZES;
    let (g, at) = cotangent(5);
    let values = draw([n, c, t], 6);
    let x = host(values.clone());
    let of = |gradient| vec![Use { gradient, cotangent: g.clone() }];
    let scale = sums(SIZES, 1, |e, o, c_, p, _| at(e, o, c_, p) * f64::from(x[(e * c + c_) * t + p]));
    assert_close("scale", &formed(of(Gradient::Scale { inputs: values })), &scale);
    assert_close("shift", &formed(of(Gradient::Shift)), &sums(SIZES, 1, |e, o, c, p, _| at(e, o, c, p)));
    let added = sums([n, s, t, 1], c, |e, o, p, _, channel| at(e, o, channel, p));
    assert_close("added", &formed(of(Gradient::Added)), &added);
    let token = sums([n, s, c, 1], 1, |e, o, channel, _, _| at(e, o, channel, 3));
    assert_close("token", &formed(of(Gradient::Token { at: 3 })), &token);
}

#[test]
fn windows_of_every_kind() {
    let window = |kernel, stride, padding, dilation, groups| Window { kernel, stride, padding, dilation, groups };
    for (window, [inputs, height, width], outputs) in [
        (window([3, 3], [1, 1], [1, 1], [1, 1], 1), [2, 4, 5], 4),
        (window([3, 2], [2, 1], [1, 0], [1, 2], 1), [3, 6, 5], 4),
        (window([2, 3], [1, 2], [0, 2], [2, 1], 2), [4, 5, 6], 6),
        (window([3, 3], [2, 2], [1, 1], [1, 1], 4), [4, 5, 5], 8),
        (window([3, 1], [1, 1], [1, 0], [1, 1], 3), [3, 7, 1], 3),
        (window([1, 1], [2, 2], [0, 0], [1, 1], 1), [2, 5, 4], 3),
    ] {
        let side = |axis: usize, length: usize| {
            (length + 2 * window.padding[axis] - window.dilation[axis] * (window.kernel[axis] - 1) - 1)
                / window.stride[axis]
                + 1
        };
        let to = [side(0, height), side(1, width)];
        let (n, s, t) = (2, 2, to[0] * to[1]);
        let (input, g) = (draw([n, inputs, height, width], 7), draw([n, s, outputs, t], 8));
        let (x, gradients) = (host(input.clone()), host(g.clone()));
        let (each_in, each_out) = (inputs / window.groups, outputs / window.groups);
        let taps = window.kernel[0] * window.kernel[1];
        // Columns are taps, then channels.
        let exact = sums([n, s, outputs, t], taps * each_in, |e, o, channel, position, column| {
            let (tap, of) = (column / each_in, channel / each_out * each_in + column % each_in);
            let place = |axis: usize, out: usize, tap: usize, length: usize| {
                (out * window.stride[axis] + tap * window.dilation[axis])
                    .checked_sub(window.padding[axis])
                    .filter(|&at| at < length)
            };
            let y = place(0, position / to[1], tap / window.kernel[1], height);
            let z = place(1, position % to[1], tap % window.kernel[1], width);
            let value = y.zip(z).map_or(0.0, |(y, z)| x[((e * inputs + of) * height + y) * width + z]);
            f64::from(value) * f64::from(gradients[((e * s + o) * outputs + channel) * t + position])
        });
        let one = Use { gradient: Gradient::Conv { input, window }, cotangent: g };
        assert_close(&format!("{window:?}"), &formed(vec![one]), &exact);
    }
}

#[test]
fn a_device_sums_what_the_host_sums() {
    let (n, s, t, channels, columns) = (70, 3, 2, 4, 5);
    let (inputs, g) = (draw([n, t, columns], 11), draw([n, s, channels, t], 12));
    let parameter = Parameter {
        name: "weight".into(),
        uses: vec![Use { gradient: Gradient::Dense { inputs: inputs.clone() }, cotangent: g.clone() }],
        offset: 3,
    };
    let former = parameter.former(true);
    let rows = || former.form(0..former.units);
    let signs = Signs::new(1, 8);
    let targets = || {
        [
            Target::Sum(vec![0.5; n * n]),
            Target::Each(vec![0.0; s * n * n]),
            Target::Full(vec![0.0; (n * s) * (n * s)]),
            Target::Projected { signs, values: vec![0.0; n * s * 8] },
        ]
    };
    for (index, (mut here, mut there)) in targets().into_iter().zip(targets()).enumerate() {
        let projected = index == 3;
        let add = |mut sums: Sums| {
            sums.add_rows(rows(), 3);
            if !projected {
                sums.add_outer(inputs.clone(), &g);
            }
            sums.finish();
        };
        add(Sums::new(&mut here, &Device::flex()));
        add(Sums::on_device(&mut there, &Device::flex()));
        let (here, there) = (here.into_values(), there.into_values());
        let side = if projected { 0 } else { if index == 2 { n * s } else { n } };
        for (at, (a, b)) in here.iter().zip(&there).enumerate() {
            // Of symmetric matrices only the lower triangle counts.
            if side == 0 || at % (side * side) % side <= at % (side * side) / side {
                assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "target {index}: {a}, not {b}, at {at}");
            }
        }
    }
}
