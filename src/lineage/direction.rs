//! Which of two related networks is the parent, and did they only start alike?
//!
//! Evidence, strongest first: one network is the other rounded; one has exact zeros where the other has weights (pruning);
//! else the majority of three marks of longer training: larger weights, heavier tails (kurtosis), and more of the other's
//! leading singular directions kept than the other keeps of its own (a child still holds what its parent had learned, the
//! parent never had what the child learned since).

use faer::MatRef;

use super::axes::Axis;
use super::network::{Layer, Weights, common};
use crate::stats::descriptive::median;

/// What a pair says about its direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// From −1 to 1: above 0 the first network is the parent, below 0 the second; 0 is undecided.
    pub lean: f64,
    /// What decided.
    pub by: Clue,
    /// Share of A's leading directions that B keeps, less that of the others; near 0 for a child, clearly below 0 for
    /// networks that only started alike.
    pub kept_by_second: f64,
    /// The same of B's directions in A.
    pub kept_by_first: f64,
}

/// What decided a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clue {
    /// The weights of one lie on a coarse grid.
    Rounding,
    /// One keeps the zeros of the other.
    Zeros,
    /// How far each has moved from its initialisation.
    Training,
}

impl Clue {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rounding => "rounding",
            Self::Zeros => "zeros",
            Self::Training => "training",
        }
    }
}

impl Direction {
    /// Whether the networks share their initialisation and nothing that was learned: true where neither keeps the other's
    /// leading directions as it keeps the rest, and both alike; None between.
    #[must_use]
    pub fn shared_init(&self) -> Option<bool> {
        let (more, less) = (self.kept_by_second.max(self.kept_by_first), self.kept_by_second.min(self.kept_by_first));
        if self.by != Clue::Training || more > -0.06 || more - less > 0.1 {
            return Some(false);
        }
        (more < -0.1).then_some(true)
    }
}

/// The direction between two networks, by the hidden layers of the same shape. None where there is none.
#[must_use]
pub fn direction(a: &Weights, b: &Weights) -> Option<Direction> {
    let pairs: Vec<(&Layer, &Layer)> = common(a, b)
        .into_iter()
        .filter(|(one, other)| one.to != Axis::Outputs && one.values.len() == other.values.len())
        .filter(|(one, other)| (one.units, one.inputs) == (other.units, other.inputs))
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let kept: Vec<(f64, f64)> = pairs.iter().filter_map(|(a, b)| Some((kept(a, b)?, kept(b, a)?))).collect();
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / kept.len().max(1) as f64;
    let kept_by_second = mean(&mut kept.iter().map(|(second, _)| *second));
    let kept_by_first = mean(&mut kept.iter().map(|(_, first)| *first));
    let (lean, by) = match (rounding(&pairs), zeros(&pairs)) {
        (Some(lean), _) => (lean, Clue::Rounding),
        (None, Some(lean)) => (lean, Clue::Zeros),
        (None, None) => {
            let marks = [larger(&pairs), heavier(&pairs), kept_by_second - kept_by_first];
            let sign = |mark: f64| if mark == 0.0 || mark.is_nan() { 0.0 } else { mark.signum() };
            (marks.into_iter().map(sign).sum::<f64>() / 3.0, Clue::Training)
        }
    };
    Some(Direction { lean, by, kept_by_second, kept_by_first })
}

/// Whether `child` is `parent` rounded.
#[must_use]
pub fn rounded_from(parent: &Weights, child: &Weights) -> bool {
    let pairs = common(parent, child);
    pairs.iter().all(|(a, b)| a.values.len() == b.values.len()) && rounding(&pairs).is_some_and(|lean| lean > 0.0)
}

/// 1 where the second network is the first rounded (to bfloat16, or to whole multiples of a step, 127 or so to the largest weight of a
/// tensor), −1 the other way round.
fn rounding(pairs: &[(&Layer, &Layer)]) -> Option<f64> {
    if pairs.iter().all(|(a, b)| a.values == b.values) {
        return None;
    }
    let rounded =
        |fine: &Layer, coarse: &Layer| fine.values == coarse.values || is_rounded(&fine.values, &coarse.values);
    if pairs.iter().all(|(a, b)| rounded(a, b)) {
        return Some(1.0);
    }
    pairs.iter().all(|(a, b)| rounded(b, a)).then_some(-1.0)
}

/// Whether `coarse` is `fine` rounded, and `fine` is not of that kind itself.
fn is_rounded(fine: &[f32], coarse: &[f32]) -> bool {
    // bfloat16 keeps the upper 16 bits of a float.
    let short = |values: &[f32]| values.iter().all(|v| v.to_bits() & 0xffff == 0);
    if short(coarse) && !short(fine) {
        let near = |a: f32, b: f32| (a - b).abs() <= a.abs().max(f32::MIN_POSITIVE) / 128.0;
        return fine.iter().zip(coarse).all(|(a, b)| near(*a, *b));
    }
    /// Steps to the largest weight: 8 bits and 4 bits, without or with the lowest value.
    const STEPS: [f64; 4] = [127.0, 128.0, 7.0, 8.0];
    let largest = coarse.iter().fold(0.0f64, |largest, v| largest.max(f64::from(v.abs())));
    let whole = |values: &[f32], step: f64| {
        values.iter().all(|v| {
            let steps = f64::from(*v) / step;
            (steps - steps.round()).abs() < 1e-3
        })
    };
    largest > 0.0
        && STEPS.iter().map(|steps| largest / steps).any(|step| {
            let near = || fine.iter().zip(coarse).all(|(a, b)| f64::from((a - b).abs()) <= 0.51 * step);
            whole(coarse, step) && !whole(fine, step) && near()
        })
}

/// Where one network has exact zeros that the other has not (1 % of the weights or more): pruned from the other, or the other
/// tuned from it. Tuning from zero leaves weights no larger than what it did to the rest; pruning takes larger ones away.
fn zeros(pairs: &[(&Layer, &Layer)]) -> Option<f64> {
    let all = |swap: bool| {
        let both = pairs.iter().flat_map(|(a, b)| a.values.iter().zip(&b.values));
        both.map(move |(a, b)| if swap { (*b, *a) } else { (*a, *b) })
    };
    let count = |swap: bool| all(swap).filter(|(a, b)| *a == 0.0 && *b != 0.0).count();
    let (first, second) = (count(false), count(true));
    let total = all(false).count();
    if first.abs_diff(second) * 100 < total {
        return None;
    }
    // The sparse network first.
    let swap = second > first;
    let rms = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v * v, count + 1.0));
        if count > 0.0 { (sum / count).sqrt() } else { 0.0 }
    };
    let at_zeros = rms(&mut all(swap).filter(|(a, b)| *a == 0.0 && *b != 0.0).map(|(_, b)| f64::from(b)));
    let moved = rms(&mut all(swap).filter(|(a, b)| *a != 0.0 && *b != 0.0).map(|(a, b)| f64::from(b) - f64::from(a)));
    // A long way moves everything so much that sizes say nothing: then the marks of training decide.
    let grew = larger(pairs) * if swap { -1.0 } else { 1.0 } > 0.0;
    let sparse_is_child = if at_zeros > 1.5 * moved {
        1.0
    } else if at_zeros < 1.1 * moved && grew {
        -1.0
    } else {
        return None;
    };
    // `lean` above 0: the first network is the parent. Without the swap the first is the sparse one.
    Some(if swap { sparse_is_child } else { -sparse_is_child })
}

/// The weights that neither network has set to zero.
fn shared(a: &Layer, b: &Layer) -> Vec<(f64, f64)> {
    let both = a.values.iter().zip(&b.values).filter(|(a, b)| **a != 0.0 && **b != 0.0);
    both.map(|(a, b)| (f64::from(*a), f64::from(*b))).collect()
}

/// How much larger the second network's weights are: mean over layers of the logarithm of the ratio of squares.
fn larger(pairs: &[(&Layer, &Layer)]) -> f64 {
    pairs
        .iter()
        .map(|(a, b)| {
            let (one, other) = shared(a, b).iter().fold((0.0, 0.0), |(x, y), (a, b)| (x + a * a, y + b * b));
            if one > 0.0 && other > 0.0 { (other / one).ln() } else { 0.0 }
        })
        .sum()
}

/// How much heavier the tails of the second network's weights are: sum over layers of the difference of kurtosis.
fn heavier(pairs: &[(&Layer, &Layer)]) -> f64 {
    let kurtosis = |values: &[f64]| {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let moment = |k: i32| values.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
        let variance = moment(2);
        if variance > 0.0 { moment(4) / (variance * variance) } else { 0.0 }
    };
    pairs
        .iter()
        .map(|(a, b)| {
            let (one, other): (Vec<f64>, Vec<f64>) = shared(a, b).into_iter().unzip();
            kurtosis(&other) - kurtosis(&one)
        })
        .sum()
}

/// Of A's singular directions, how much of the leading eighth (three at least) B keeps, less what it keeps of the median
/// one. None for layers of fewer than eight directions.
fn kept(a: &Layer, b: &Layer) -> Option<f64> {
    let ratios = along(&wide(a), &wide(b), a.units, a.row())?;
    if ratios.len() < 8 {
        return None;
    }
    let lead = (ratios.len() / 8).max(3);
    Some(ratios[..lead].iter().sum::<f64>() / lead as f64 - median(&ratios))
}

/// In f64, row-major `[units, row]`.
fn wide(layer: &Layer) -> Vec<f64> {
    layer.values.iter().map(|v| f64::from(*v)).collect()
}

/// For each singular direction of `a` `[rows, columns]`, largest first: uᵢᵀ b vᵢ / sᵢ, the share of it that `b` holds. Directions
/// without size are left out. None if the decomposition fails.
fn along(a: &[f64], b: &[f64], rows: usize, columns: usize) -> Option<Vec<f64>> {
    let svd = MatRef::from_row_major_slice(a, rows, columns).thin_svd().ok()?;
    let projected = svd.U().transpose() * MatRef::from_row_major_slice(b, rows, columns);
    let sizes = svd.S().column_vector();
    let top = (0..sizes.nrows()).map(|i| sizes[i]).fold(0.0, f64::max);
    Some(
        (0..sizes.nrows())
            .filter(|&i| sizes[i] > 1e-6 * top)
            .map(|i| (0..columns).map(|c| projected[(i, c)] * svd.V()[(c, i)]).sum::<f64>() / sizes[i])
            .collect(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::random::Random;

    pub fn network(seed: u64) -> Weights {
        let mut random = Random::from_parts(seed, "w", 0);
        let mut layer = |name: &str, shape: &[usize]| {
            Layer::of(name, shape, (0..shape.iter().product::<usize>()).map(|_| random.normal() as f32).collect())
        };
        let layers = [layer("1.weight", &[24, 40]), layer("3.weight", &[16, 24]), layer("5.weight", &[4, 16])];
        Weights::new("n", layers.into_iter().flatten().collect())
    }

    pub fn changed(of: &Weights, change: impl FnMut(f32) -> f32 + Clone) -> Weights {
        let mut of = of.clone();
        let mut change = change;
        of.layers.iter_mut().for_each(|l| l.values.iter_mut().for_each(|v| *v = change(*v)));
        of
    }

    #[test]
    fn roundings_are_children() {
        let a = network(1);
        let short = changed(&a, |v| f32::from_bits(v.to_bits() & 0xffff_0000));
        // Each tensor to 127 steps of its largest weight.
        let mut levels = a.clone();
        for layer in &mut levels.layers {
            let step = layer.values.iter().fold(0.0f32, |largest, v| largest.max(v.abs())) / 127.0;
            layer.values.iter_mut().for_each(|v| *v = (*v / step).round() * step);
        }
        for b in [&short, &levels] {
            let found = direction(&a, b).unwrap();
            assert_eq!((found.lean, found.by), (1.0, Clue::Rounding));
            assert_eq!(direction(b, &a).unwrap().lean, -1.0);
            assert_eq!(found.shared_init(), Some(false));
        }
        assert_eq!(direction(&a, &a).unwrap().lean, 0.0);
    }

    #[test]
    fn zeros_tell_pruning_from_growing_again() {
        let a = network(2);
        let mut random = Random::from_parts(5, "step", 0);
        let pruned = changed(&a, |v| if v.abs() < 0.7 { 0.0 } else { v });
        let grown = changed(&pruned, move |v| v + 0.05 * random.normal() as f32);
        assert_eq!(direction(&a, &pruned).unwrap().lean, 1.0);
        assert_eq!(direction(&pruned, &grown).unwrap().lean, 1.0);
        assert_eq!(direction(&grown, &pruned).unwrap().lean, -1.0);
    }
}
