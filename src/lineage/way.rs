//! Has a network gone the way of another: does it descend from it, or only from the same parent?
//!
//! Two kinds of evidence. Training never touches some weights (of units that are dead on the examples, of inputs that are constant): what is
//! the same to the bit was inherited, and a value that one network changed does not come back in its descendants. Where too few weights
//! say so, the part of the way that chance has made does.

use faer::Mat;

use super::axes::Axis;
use super::network::{Layer, Weights, common};
use crate::stats::descriptive::median;

/// How much of the way from one network to another a third has gone.
///
/// Networks tuned on the same examples move alike, so the part of the way that training asks for says little; the part that
/// chance has made does: a descendant holds it once, a sibling holds none of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// ⟨P way, P gone⟩/‖P way‖², where P takes the leading three quarters of the singular directions of `gone` out of both: near 1
    /// for descendants, near 0 for siblings.
    pub chance: f64,
    /// ⟨way', gone⟩/‖way'‖² for the lesser half of the singular directions of the way: 1 and a little for descendants; what is
    /// much more is a sibling that was trained for longer in the same direction.
    pub lesser: f64,
    /// Whether both have the same zeros that the start has not: two networks pruned alike are mended alike, and go much of the same way.
    pub pruned_alike: bool,
}

/// Chosen on small networks: descendants had 0.59 and more there, siblings that were not trained for longer at most 0.37.
const CHANCE: f64 = 0.5;
/// The same of networks pruned alike: descendants had 0.95 and more, siblings at most 0.83.
const CHANCE_ALIKE: f64 = 0.9;
/// Of `lesser`, chosen on a few networks that were trained for much longer, whose largest was 0.34; a thin margin.
const OF_LESSER: f64 = 0.345;
/// Share of zeros from which on a layer counts as pruned.
const PRUNED: f64 = 0.05;

/// Weights that must be the same to the bit before they decide, and how many times more than those that say the opposite. Two networks have a
/// weight in common by chance about once in a million.
const SAME: usize = 4;

/// Whether a network has gone the way of another, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// It has not: weights to the bit say so, or nothing compares.
    Never,
    /// By the part of the way that chance has made, it has not.
    Unlikely,
    /// By that part, it has.
    Likely,
    /// It has: weights to the bit say so.
    Surely,
}

/// Whether `to` descends from `through` rather than from `from` on another way.
#[must_use]
pub fn descends(from: &Weights, through: &Weights, to: &Weights) -> Passage {
    match untouched(from, through, to) {
        Some(true) => Passage::Surely,
        Some(false) => Passage::Never,
        None => match gone(from, through, to) {
            Some(way) if way.is_whole() => Passage::Likely,
            Some(_) => Passage::Unlikely,
            None => Passage::Never,
        },
    }
}

/// The same by the weights that `through` has changed: those that `to` has from `through` to the bit, against those that it has as `from` had
/// them. Zeros do not count: two networks pruned alike share them. None where these are too few.
fn untouched(from: &Weights, through: &Weights, to: &Weights) -> Option<bool> {
    let (mut on, mut off) = (0usize, 0usize);
    for ((start, middle), (_, end)) in common(from, through).into_iter().zip(common(from, to)) {
        if start.values.len() != middle.values.len() || start.values.len() != end.values.len() {
            continue;
        }
        for (start, (middle, end)) in start.values.iter().zip(middle.values.iter().zip(&end.values)) {
            if start != middle && *end != 0.0 {
                on += usize::from(end == middle);
                off += usize::from(end == start);
            }
        }
    }
    (on.max(off) >= SAME * on.min(off).max(1)).then_some(on > off)
}

impl Way {
    /// Whether the whole of it was gone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let least = if self.pruned_alike { CHANCE_ALIKE } else { CHANCE };
        self.chance >= least && self.chance >= OF_LESSER * self.lesser
    }
}

/// How much of the way from `from` to `through` the network `to` has gone: means over the hidden layers by size; None where none compares.
///
/// Weights that either has set to zero do not count. But where `through` was pruned and `to` still has what `from` has there, it
/// has gone nothing of that way.
#[must_use]
pub fn gone(from: &Weights, through: &Weights, to: &Weights) -> Option<Way> {
    let (mut chance, mut lesser, mut size) = (0.0, 0.0, 0.0);
    // Of the weights that were pruned on the way: their squares, and their products with what stands there at the end.
    let (mut squares, mut products, mut pruned, mut pruned_in_both) = (0.0, 0.0, 0usize, 0usize);
    for ((start, middle), (_, end)) in common(from, through).into_iter().zip(common(from, to)) {
        let same = start.values.len() == middle.values.len() && start.values.len() == end.values.len();
        if start.to == Axis::Outputs || !same || start.units.min(start.row()) < 4 {
            continue;
        }
        for (start, (middle, end)) in start.values.iter().zip(middle.values.iter().zip(&end.values)) {
            if *middle == 0.0 && *start != 0.0 {
                squares += f64::from(*start).powi(2);
                products += f64::from(*start) * f64::from(*end);
                pruned += 1;
                pruned_in_both += usize::from(*end == 0.0);
            }
        }
        let kept = |i: usize| middle.values[i] != 0.0 && end.values[i] != 0.0;
        let way = |layer: &Layer| {
            Mat::from_fn(start.units, start.row(), |unit, column| {
                let i = unit * start.row() + column;
                if kept(i) { f64::from(layer.values[i]) - f64::from(start.values[i]) } else { 0.0 }
            })
        };
        let (way, gone) = (way(middle), way(end));
        if let (Some(by_chance), Some(of_lesser)) = (share_of_chance(&way, &gone), share_of_lesser(&way, &gone)) {
            let weight = start.values.len() as f64;
            chance += by_chance * weight;
            lesser += of_lesser * weight;
            size += weight;
        }
    }
    if pruned as f64 > PRUNED * size && products > 0.5 * squares {
        return Some(Way { chance: 0.0, lesser: 0.0, pruned_alike: false });
    }
    let pruned_alike = pruned_in_both as f64 > PRUNED * size;
    (size > 0.0).then(|| Way { chance: chance / size, lesser: lesser / size, pruned_alike })
}

/// See [`Way::chance`]. Where `gone` has no leading directions to speak of it is all chance, and P takes nothing out.
fn share_of_chance(way: &Mat<f64>, gone: &Mat<f64>) -> Option<f64> {
    let svd = gone.thin_svd().ok()?;
    let sizes: Vec<f64> = svd.S().column_vector().iter().copied().collect();
    // Directions above this are more than noise (Gavish & Donoho 2014).
    let ratio = gone.nrows().min(gone.ncols()) as f64 / gone.nrows().max(gone.ncols()) as f64;
    let noise = (0.56 * ratio.powi(3) - 0.95 * ratio.powi(2) + 1.82 * ratio + 1.43) * median(&sizes);
    let above = sizes.iter().filter(|size| **size > noise).count();
    let lead = if above * 20 < sizes.len() { 0 } else { sizes.len() * 3 / 4 };
    let (u, v) = (svd.U().subcols(0, lead), svd.V().subcols(0, lead));
    let rest = |of: &Mat<f64>| {
        let rows = of - u * (u.transpose() * of);
        &rows - (&rows * v) * v.transpose()
    };
    let (way, gone) = (rest(way), rest(gone));
    let size = product(&way, &way);
    (size > 0.0).then(|| product(&way, &gone) / size)
}

/// See [`Way::lesser`].
fn share_of_lesser(way: &Mat<f64>, gone: &Mat<f64>) -> Option<f64> {
    let svd = way.thin_svd().ok()?;
    let sizes = svd.S().column_vector();
    let projected = svd.U().transpose() * gone;
    let (mut along, mut size) = (0.0, 0.0);
    for i in sizes.nrows() / 2..sizes.nrows() {
        along += sizes[i] * (0..gone.ncols()).map(|c| projected[(i, c)] * svd.V()[(c, i)]).sum::<f64>();
        size += sizes[i] * sizes[i];
    }
    (size > 0.0).then(|| along / size)
}

fn product(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    (0..a.ncols()).map(|c| (0..a.nrows()).map(|r| a[(r, c)] * b[(r, c)]).sum::<f64>()).sum()
}

/// Whether `child` was made from `parent` by setting the smallest weights of its layers to zero: in every layer of `child` with zeros they
/// stand where the weights of `parent` are the smallest, and `parent` has weights there. Every other network, tuned before or
/// since, has some of them in another order.
#[must_use]
pub fn pruned_from(parent: &Weights, child: &Weights) -> bool {
    let mut seen = false;
    for (whole, sparse) in common(parent, child) {
        let pairs = || whole.values.iter().zip(&sparse.values);
        let zeros = sparse.values.iter().filter(|v| **v == 0.0).count();
        if whole.values.len() != sparse.values.len() || (zeros as f64) < PRUNED * sparse.values.len() as f64 {
            continue;
        }
        seen = true;
        let gone = pairs().filter(|(_, v)| **v == 0.0).map(|(w, _)| w.abs());
        let kept = pairs().filter(|(_, v)| **v != 0.0).map(|(w, _)| w.abs());
        let had = pairs().filter(|(w, v)| **v == 0.0 && **w != 0.0).count();
        if gone.fold(0.0, f32::max) > kept.fold(f32::INFINITY, f32::min) || 2 * had < zeros {
            return false;
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::direction::tests::{changed, network};
    use crate::random::Random;

    fn step(of: &Weights, seed: u64) -> Weights {
        let mut random = Random::from_parts(seed, "step", 0);
        changed(of, move |v| if v == 0.0 { 0.0 } else { v + 0.1 * random.normal() as f32 })
    }

    /// The smaller half of each layer's weights set to zero.
    fn pruned(of: &Weights) -> Weights {
        let mut of = of.clone();
        for layer in &mut of.layers {
            let mut sizes: Vec<f32> = layer.values.iter().map(|v| v.abs()).collect();
            sizes.sort_by(f32::total_cmp);
            let least = sizes[sizes.len() / 2];
            layer.values.iter_mut().for_each(|v| *v = if v.abs() < least { 0.0 } else { *v });
        }
        of
    }

    #[test]
    fn a_way_that_goes_on_and_one_that_parts() {
        let a = network(3);
        let child = step(&a, 7);
        let (grandchild, sibling) = (step(&child, 8), step(&a, 9));
        let (on, off) = (gone(&a, &child, &grandchild).unwrap(), gone(&a, &child, &sibling).unwrap());
        assert!((on.chance - 1.0).abs() < 0.15 && (on.lesser - 1.0).abs() < 0.3 && on.is_whole(), "{on:?}");
        assert!(off.chance.abs() < 0.2 && off.lesser.abs() < 0.3 && !off.is_whole(), "{off:?}");
        // Three times as far in the same direction, all of it drift.
        assert!(!Way { chance: 1.0, lesser: 3.5, pruned_alike: false }.is_whole());
    }

    #[test]
    fn what_nobody_touched_says_who_descends_from_whom() {
        // Each training leaves some weights alone: the first five rows of a layer, or the last five.
        let tuned = |of: &Weights, seed: u64, alone: std::ops::Range<usize>| {
            let (before, mut after) = (of.clone(), step(of, seed));
            for (layer, held) in after.layers.iter_mut().zip(&before.layers) {
                let range = alone.start * layer.row()..(alone.end * layer.row()).min(layer.values.len());
                layer.values[range.clone()].copy_from_slice(&held.values[range]);
            }
            after
        };
        let a = network(6);
        let child = tuned(&a, 1, 0..2);
        let (grandchild, sibling) = (tuned(&child, 2, 1..4), tuned(&a, 3, 1..4));
        assert_eq!(untouched(&a, &child, &grandchild), Some(true));
        assert_eq!(untouched(&a, &child, &sibling), Some(false));
        assert_eq!(untouched(&a, &child, &step(&a, 4)), None);
        // Rows 0 and 1 come from the founder in both: they say nothing about the child.
        assert_eq!(untouched(&a, &child, &tuned(&child, 5, 0..2)), None);
        assert_eq!(
            (descends(&a, &child, &grandchild), descends(&a, &child, &sibling)),
            (Passage::Surely, Passage::Never)
        );
    }

    #[test]
    fn what_was_pruned_stays_away_from_descendants_only() {
        let a = network(4);
        let sparse = step(&pruned(&a), 1);
        // Grown again from zero, and tuned without having been pruned.
        let mut random = Random::from_parts(2, "grow", 0);
        let grown = changed(&sparse, move |v| v + 0.05 * random.normal() as f32);
        assert!(gone(&a, &sparse, &grown).unwrap().is_whole());
        assert_eq!(gone(&a, &sparse, &step(&a, 3)), Some(Way { chance: 0.0, lesser: 0.0, pruned_alike: false }));
        assert!(!Way { chance: 0.8, lesser: 1.0, pruned_alike: true }.is_whole());
    }

    #[test]
    fn the_parent_of_a_pruned_network_is_the_one_whose_smallest_weights_are_gone() {
        let a = network(5);
        let child = step(&a, 1);
        let sparse = step(&pruned(&child), 2);
        assert!(pruned_from(&child, &sparse));
        assert!(!pruned_from(&a, &sparse) && !pruned_from(&step(&child, 3), &sparse));
        // Not itself, nor one with the same zeros, nor one without zeros.
        assert!(!pruned_from(&sparse, &sparse) && !pruned_from(&step(&sparse, 4), &sparse) && !pruned_from(&a, &child));
    }
}
