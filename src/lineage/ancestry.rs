//! The exact test: do two networks share an ancestor, by their weights or by what their units do on the same inputs?

use super::axes::Axis;
use super::network::{Layer, Weights, common};
use super::units::{Rows, matched, similarities};
use crate::stats::matching::{Identity, fisher};

/// What one layer says.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerEvidence {
    /// The layer's name.
    pub layer: String,
    /// Units matched: those of the narrower side.
    pub units: usize,
    /// Spearman's ρ of the matching with the identity.
    pub rho: f64,
    /// Units matched with the unit of the same number.
    pub fixed: usize,
    /// Of both together, exact under independence.
    pub p: f64,
    /// Mean cosine of the matched units.
    pub cosine: f64,
}

/// What all layers say.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// At most 0.05 (or any level) with at most that probability if the networks are independent.
    pub p: f64,
    /// What each layer says.
    pub layers: Vec<LayerEvidence>,
    /// Whether the layers' p-values are independent under the null (combined by Fisher), or nothing is assumed (Bonferroni).
    pub fisher: bool,
}

/// Matches the hidden units of two networks by the cosine of their incoming weights. None where no hidden layer is
/// comparable: the same name (or place) and the same inputs.
///
/// Each axis of hidden units is tested once, at the first layer that writes it from an axis tested before. Given the order of
/// the units of the axes before, the matching at this one is uniformly random under independence, so the p-values are
/// independent of each other and Fisher's combination is exact. Where the axes are not known every hidden layer is tested, and
/// the smallest p-value is multiplied by their number.
#[must_use]
pub fn by_weights(a: &Weights, b: &Weights, seed: u64) -> Option<Evidence> {
    let known = a.known && b.known;
    let mut done: Vec<Axis> = Vec::new();
    let mut layers = Vec::new();
    for (place, (one, other)) in common(a, b).into_iter().enumerate() {
        let hidden = |layer: &Layer| matches!(layer.to, Axis::Hidden(_));
        if !hidden(one) || !hidden(other) || (one.inputs, one.positions) != (other.inputs, other.positions) {
            continue;
        }
        if known {
            let before = one.from == Axis::Inputs || done.contains(&one.from);
            if !before || done.contains(&one.to) || one.from == one.to {
                continue;
            }
            done.push(one.to);
        }
        let rows =
            |layer: &Layer| Rows { units: layer.units, length: layer.row(), values: layer.values.clone() }.normalised();
        layers.push(evidence(&one.name, &rows(one), &rows(other), seed.wrapping_add(place as u64)));
    }
    combined(layers, known)
}

/// Matches units by the correlation of their activations on the same inputs: layers as `(name, [units, N])`, in the same
/// order for both; widths may differ. Layers may share units (those that write a residual stream do), so nothing is assumed of
/// how their p-values depend: the smallest counts, times their number. None where there is no layer.
#[must_use]
pub fn by_activations(a: &[(String, Rows)], b: &[(String, Rows)], seed: u64) -> Option<Evidence> {
    let layers = a.iter().zip(b).enumerate().map(|(place, ((name, one), (_, other)))| {
        let rows = |rows: &Rows| rows.clone().centred().normalised();
        evidence(name, &rows(one), &rows(other), seed.wrapping_add(place as u64))
    });
    combined(layers.collect(), false)
}

fn evidence(name: &str, a: &Rows, b: &Rows, seed: u64) -> LayerEvidence {
    let found = matched(&similarities(a, b), a.units, b.units, seed);
    let identity = Identity::of(&found.partners, found.among);
    LayerEvidence {
        layer: name.to_owned(),
        units: found.partners.len(),
        rho: identity.rho,
        fixed: identity.fixed,
        p: identity.p(),
        cosine: found.mean,
    }
}

fn combined(layers: Vec<LayerEvidence>, independent: bool) -> Option<Evidence> {
    if layers.is_empty() {
        return None;
    }
    let p: Vec<f64> = layers.iter().map(|layer| layer.p).collect();
    let together =
        if independent { fisher(&p) } else { (p.iter().copied().fold(1.0, f64::min) * p.len() as f64).min(1.0) };
    Some(Evidence { p: together, layers, fisher: independent })
}

/// How far apart the weights of two layers of the same shape are, relative to their size:
/// ‖A − B‖ / √(‖A‖ ‖B‖); √2 for unrelated networks of one kind. None for layers of different shapes.
#[must_use]
pub fn apart(a: &Layer, b: &Layer) -> Option<f64> {
    if (a.units, a.inputs, a.positions) != (b.units, b.inputs, b.positions) {
        return None;
    }
    let square = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let difference: f64 = a.values.iter().zip(&b.values).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let size = (square(&a.values) * square(&b.values)).sqrt();
    Some(if size > 0.0 { (difference / size).sqrt() } else { 0.0 })
}

/// [`apart`] by layer.
#[must_use]
pub fn distances(a: &Weights, b: &Weights) -> Vec<(String, f64)> {
    common(a, b).into_iter().filter_map(|(one, other)| Some((one.name.clone(), apart(one, other)?))).collect()
}

/// The mean square of the layers' distances, hidden layers only (a head may be new); infinite where none compares.
#[must_use]
pub fn distance(a: &Weights, b: &Weights) -> f64 {
    let squares: Vec<f64> = common(a, b)
        .into_iter()
        .filter(|(layer, _)| layer.to != Axis::Outputs)
        .filter_map(|(one, other)| apart(one, other))
        .map(|distance| distance * distance)
        .collect();
    if squares.is_empty() { f64::INFINITY } else { (squares.iter().sum::<f64>() / squares.len() as f64).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::permuted::renumbered;
    use crate::random::Random;

    /// A network of random weights; not trained, which the null does not ask for.
    pub fn drawn(shapes: &[(&str, &[usize])], seed: u64) -> Weights {
        let mut random = Random::from_parts(seed, "weights", 0);
        let layers = shapes.iter().filter_map(|(name, shape)| {
            let values = (0..shape.iter().product::<usize>()).map(|_| random.normal() as f32).collect();
            Layer::of(name, shape, values)
        });
        Weights::new(seed.to_string(), layers.collect())
    }

    const MLP: [(&str, &[usize]); 3] = [("0.weight", &[16, 20]), ("2.weight", &[12, 16]), ("4.weight", &[5, 12])];
    const RESIDUAL: [(&str, &[usize]); 6] = [
        ("c1.weight", &[8, 3, 3, 3]),
        ("blocks.0.conv1.weight", &[8, 8, 3, 3]),
        ("blocks.0.conv2.weight", &[8, 8, 3, 3]),
        ("blocks.1.conv1.weight", &[8, 8, 3, 3]),
        ("blocks.1.conv2.weight", &[8, 8, 3, 3]),
        ("fc.weight", &[5, 8]),
    ];

    #[test]
    fn p_values_are_uniform_for_independent_networks_whose_units_have_roles() {
        // The hard null: both networks hold the same trained-looking network with noise, each renumbered at random, so that
        // matchings are strong and layers depend on each other through them. Only the numbering is independent.
        for shapes in [&MLP[..], &RESIDUAL[..]] {
            let base = drawn(shapes, 0);
            let pairs = 1000;
            let mut below = [0usize; 3];
            for pair in 0..pairs {
                let (a, b) = (renumbered(&base, 2 * pair + 1), renumbered(&base, 2 * pair + 2));
                let found = by_weights(&a, &b, pair).unwrap();
                assert!(found.fisher);
                for (count, level) in below.iter_mut().zip([0.01, 0.05, 0.2]) {
                    *count += usize::from(found.p <= level);
                }
            }
            // Three standard errors above each level; the p-values are conservative.
            assert!(below[0] <= 20 && below[1] <= 71 && below[2] <= 238, "{below:?} of {pairs}");
            assert!(below[2] >= 20, "{below:?}: a test that never rejects cannot fail");
        }
    }

    #[test]
    fn copies_and_noisy_copies_are_found() {
        for shapes in [&MLP[..], &RESIDUAL[..]] {
            let a = drawn(shapes, 3);
            let mut b = a.clone();
            let mut random = Random::from_parts(4, "noise", 0);
            b.layers.iter_mut().for_each(|l| l.values.iter_mut().for_each(|v| *v += 0.5 * random.normal() as f32));
            assert!(by_weights(&a, &b, 1).unwrap().p < 1e-6);
            assert!((0.3..0.6).contains(&distance(&a, &b)), "{}", distance(&a, &b));
        }
    }

    #[test]
    fn other_widths_are_compared_by_activations() {
        let mut random = Random::from_parts(9, "activations", 0);
        let wide: Vec<f32> = (0..24 * 50).map(|_| random.normal() as f32).collect();
        let narrow: Vec<f32> = wide[..16 * 50].iter().map(|v| v + 0.5 * random.normal() as f32).collect();
        let other: Vec<f32> = (0..16 * 50).map(|_| random.normal() as f32).collect();
        let rows = |units: usize, values: &[f32]| {
            vec![("fc1".to_owned(), Rows { units, length: 50, values: values.to_vec() })]
        };
        assert!(by_activations(&rows(24, &wide), &rows(16, &narrow), 1).unwrap().p < 1e-6);
        assert!(by_activations(&rows(24, &wide), &rows(16, &other), 1).unwrap().p > 1e-3);
        assert!(by_activations(&[], &[], 1).is_none());
    }

    #[test]
    fn layers_without_counterpart_are_left_out() {
        let a = drawn(&MLP, 1);
        let other = drawn(&[("x.weight", &[4, 9]), ("y.weight", &[3, 4])], 2);
        assert_eq!(by_weights(&a, &other, 1), None);
        assert_eq!(distance(&a, &other), f64::INFINITY);
    }
}
