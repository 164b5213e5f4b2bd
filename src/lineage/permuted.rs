//! When hidden units were renumbered: two matchings of the same units, one carried forward from the inputs and one carried
//! backward from the outputs, which agree where the networks are one.
//!
//! Independent networks that learned the same data also agree on more units than chance, so the agreement has no p-value of
//! its own: it is ranked among pairs of networks known to be independent ([`super::rank`]).

use super::axes::Axis;
use super::network::{Layer, Weights, common};
use super::units::{Rows, matched, similarities};
use crate::stats::rng::Stream;

/// How far two networks agree when their units may have been renumbered.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Share of the hidden units for which both matchings name the same partner, a mean over the axes.
    pub share: f64,
    /// Mean cosine of the weights that the forward matching puts together, over the axes.
    pub cosine: f64,
    /// By axis, in forward order: the first layer that writes it, and the share.
    pub layers: Vec<(String, f64)>,
    /// The partner of each unit of the first network, by axis, by the forward matching.
    pub partners: Vec<(Axis, Vec<usize>)>,
}

impl Agreement {
    /// What is ranked: the share, and where shares are equal the cosine.
    #[must_use]
    pub fn statistic(&self) -> f64 {
        self.share + 1e-3 * self.cosine
    }
}

/// Matches all axes forward and backward. None where the axes of either network are not known or their shapes differ (but for
/// the outputs, which may be others: then only weights that read hidden units from known ones take part).
#[must_use]
pub fn agreement(a: &Weights, b: &Weights, seed: u64) -> Option<Agreement> {
    let pairs = common(a, b);
    let alike = |(one, other): &(&Layer, &Layer)| {
        let inner = (one.inputs, one.positions, one.from) == (other.inputs, other.positions, other.from);
        inner && one.to == other.to && (one.units == other.units || one.to == Axis::Outputs)
    };
    if !a.known || !b.known || pairs.len() != a.layers.len() || !pairs.iter().all(alike) {
        return None;
    }
    let axes = a.hidden();
    let forward = carried(&pairs, &axes, true, seed);
    let backward_axes: Vec<Axis> = axes.iter().rev().copied().collect();
    let backward = carried(&pairs, &backward_axes, false, seed.wrapping_add(1));
    let (mut layers, mut partners, mut cosines) = (Vec::new(), Vec::new(), Vec::new());
    for axis in axes {
        let of = |carried: &[(Axis, Vec<usize>, f64)]| carried.iter().find(|(held, _, _)| *held == axis).cloned();
        let (Some((_, one, cosine)), Some((_, other, _))) = (of(&forward), of(&backward)) else { continue };
        let same = one.iter().zip(&other).filter(|(a, b)| a == b).count();
        let name = a.layers.iter().find(|layer| layer.to == axis).map(|layer| layer.name.clone()).unwrap_or_default();
        layers.push((name, same as f64 / one.len().max(1) as f64));
        cosines.push(cosine);
        partners.push((axis, one));
    }
    let mean = |values: &mut dyn Iterator<Item = f64>, n: usize| values.sum::<f64>() / n as f64;
    let n = layers.len();
    (n > 0).then(|| Agreement {
        share: mean(&mut layers.iter().map(|(_, share)| *share), n),
        cosine: mean(&mut cosines.iter().copied(), n),
        layers,
        partners,
    })
}

/// Matches `axes` in this order by the weights that lead to them from axes matched before: the inputs forward, the outputs
/// backward. Each gives its partners and their mean cosine.
fn carried(pairs: &[(&Layer, &Layer)], axes: &[Axis], forward: bool, seed: u64) -> Vec<(Axis, Vec<usize>, f64)> {
    let mut done: Vec<(Axis, Vec<usize>, f64)> = Vec::new();
    for &axis in axes {
        let mut sum: Vec<f64> = Vec::new();
        let (mut units, mut count) = (0, 0.0);
        for (one, other) in pairs {
            let (here, there) = if forward { (one.to, one.from) } else { (one.from, one.to) };
            if here != axis {
                continue;
            }
            let order = match there {
                Axis::Inputs | Axis::Outputs => None,
                Axis::Unknown => continue,
                Axis::Hidden(_) => match done.iter().find(|(held, _, _)| *held == there) {
                    Some((_, order, _)) => Some(order.as_slice()),
                    None => continue,
                },
            };
            let each = |layer: &Layer| if forward { layer.units } else { width(pairs, axis).unwrap_or(layer.inputs) };
            let (rows, others) = if forward {
                (incoming(one, None), incoming(other, order))
            } else {
                if order.is_none() && one.units != other.units {
                    continue;
                }
                (outgoing(one, each(one), None), outgoing(other, each(other), order))
            };
            if rows.length != others.length || rows.units != others.units {
                continue;
            }
            units = rows.units;
            let found = similarities(&rows.normalised(), &others.normalised());
            if sum.is_empty() {
                sum = found;
            } else {
                sum.iter_mut().zip(found).for_each(|(sum, value)| *sum += value);
            }
            count += 1.0;
        }
        if count > 0.0 {
            let place = done.len() as u64;
            let found = matched(&sum, units, units, seed.wrapping_mul(31).wrapping_add(place));
            done.push((axis, found.partners, found.mean / count));
        }
    }
    done
}

fn width(pairs: &[(&Layer, &Layer)], axis: Axis) -> Option<usize> {
    pairs.iter().find(|(layer, _)| layer.to == axis).map(|(layer, _)| layer.units)
}

/// The weights that lead to each unit; with `order`, input unit i is taken from where its partner is.
fn incoming(layer: &Layer, order: Option<&[usize]>) -> Rows {
    let values = match order {
        None => layer.values.clone(),
        Some(order) => columns(layer, order),
    };
    Rows { units: layer.units, length: layer.row(), values }
}

/// The layer's values with the inputs put in `order`: input unit i is the one that was `order[i]`. A dense layer that reads
/// several positions of each unit has them side by side.
fn columns(layer: &Layer, order: &[usize]) -> Vec<f32> {
    let each = layer.inputs / order.len().max(1) * layer.positions;
    let mut values = Vec::with_capacity(layer.values.len());
    for row in layer.values.chunks_exact(layer.row()) {
        for &from in order {
            values.extend_from_slice(&row[from * each..][..each]);
        }
    }
    values
}

/// The weights that lead away from each of `units` input units, `[units, outputs × positions]`; with `order`, output unit i
/// is taken from where its partner is.
fn outgoing(layer: &Layer, units: usize, order: Option<&[usize]>) -> Rows {
    let each = layer.row() / units.max(1);
    let mut values = Vec::with_capacity(layer.values.len());
    for unit in 0..units {
        for output in 0..layer.units {
            let from = order.map_or(output, |order| order[output]);
            values.extend_from_slice(&layer.values[from * layer.row() + unit * each..][..each]);
        }
    }
    Rows { units, length: layer.units * each, values }
}

/// The second network with its units put where their partners in the first are, so that the two compare weight by weight.
#[must_use]
pub fn put_in_order(b: &Weights, partners: &[(Axis, Vec<usize>)]) -> Weights {
    let order = |axis: Axis| partners.iter().find(|(held, _)| *held == axis).map(|(_, order)| order.as_slice());
    let layers = b.layers.iter().map(|layer| {
        let values = order(layer.from).map_or_else(|| layer.values.clone(), |order| columns(layer, order));
        let values = match order(layer.to) {
            None => values,
            Some(order) => order.iter().flat_map(|&u| values[u * layer.row()..][..layer.row()].to_vec()).collect(),
        };
        Layer { values, ..layer.clone() }
    });
    Weights { layers: layers.collect(), ..b.clone() }
}

/// The same function with its hidden units renumbered at random.
#[must_use]
pub fn renumbered(weights: &Weights, seed: u64) -> Weights {
    let axes = weights.hidden();
    let orders = axes.into_iter().enumerate().filter_map(|(i, axis)| {
        let mut order: Vec<usize> = (0..weights.width(axis)?).collect();
        Stream::new(seed, i as u64).shuffle(&mut order);
        Some((axis, order))
    });
    put_in_order(weights, &orders.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn cnn(seed: u64) -> Weights {
        let shapes: [(&str, &[usize]); 4] = [
            ("0.weight", &[8, 3, 3, 3]),
            ("3.weight", &[12, 8, 3, 3]),
            ("7.weight", &[10, 12 * 4]),
            ("9.weight", &[5, 10]),
        ];
        let mut random = Random::from_parts(seed, "cnn", 0);
        let layers = shapes.iter().filter_map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            Layer::of(name, shape, (0..count).map(|_| random.normal() as f32).collect())
        });
        Weights::new("cnn", layers.collect())
    }

    #[test]
    fn renumbered_units_are_found_and_put_back() {
        let a = cnn(1);
        let b = renumbered(&a, 7);
        assert_ne!(a.layers, b.layers);
        let found = agreement(&a, &b, 1).unwrap();
        assert_eq!(found.share, 1.0);
        assert_eq!(put_in_order(&b, &found.partners).layers, a.layers);
        let unrelated = agreement(&a, &cnn(2), 1).unwrap();
        assert!(unrelated.share < 0.5, "{}", unrelated.share);
    }

    #[test]
    fn a_layer_by_hand() {
        // Two units of two positions each, read by one dense unit: [a0 a1 b0 b1] with the units swapped is [b0 b1 a0 a1].
        let layer = Layer::of("fc.weight", &[1, 4], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(columns(&layer, &[1, 0]), [3.0, 4.0, 1.0, 2.0]);
        assert_eq!(outgoing(&layer, 2, None).values, [1.0, 2.0, 3.0, 4.0]);
        let two = Layer::of("fc.weight", &[2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(outgoing(&two, 2, Some(&[1, 0])).values, [3.0, 1.0, 4.0, 2.0]);
    }

    #[test]
    fn other_shapes_have_no_agreement() {
        let mut b = cnn(2);
        b.known = false;
        assert_eq!(agreement(&cnn(1), &b, 1), None);
    }
}
