//! How alike two representations `[n, d]` of the same n examples are: debiased CKA, mutual nearest neighbours and Procrustes, each
//! with what chance gives. Widths may differ.

use faer::{Mat, MatRef};
use serde::Serialize;

use super::rng::Stream;
use crate::error::{Error, Result};

/// Likeness of two representations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// Debiased centred kernel alignment.
    pub cka: Measured,
    /// Share of mutual nearest neighbours.
    pub neighbours: Measured,
    /// Procrustes similarity.
    pub procrustes: Measured,
}

/// A measure with its null: the same with the examples of one side put in a random order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The value found.
    pub value: f64,
    /// Mean over the permutations.
    pub chance: f64,
    /// (1 + permutations at least as large)/(1 + permutations).
    pub p: f64,
}

/// Neighbours of an example that are compared.
const NEIGHBOURS: usize = 10;

/// A representation prepared for comparison: examples centred.
pub struct Representation {
    /// `[n, d]`, centred.
    rows: Mat<f64>,
    /// Its Gram matrix with zeros on the diagonal, `[n, n]`.
    gram: Mat<f64>,
    /// HSIC with itself.
    own: f64,
    /// For each example which others are its nearest, `[n, NEIGHBOURS]`.
    nearest: Vec<Vec<u32>>,
    norm: f64,
}

impl Representation {
    /// Of values `[n, d]`, row-major.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer than 12 examples or values that are not finite.
    pub fn new(values: &[f32], d: usize) -> Result<Self> {
        let n = values.len() / d.max(1);
        if n < NEIGHBOURS + 2 || values.iter().any(|v| !v.is_finite()) {
            return Err(Error::Invalid(format!(
                "representations of {n} examples, or with values that are not finite, cannot be compared: {} are needed",
                NEIGHBOURS + 2
            )));
        }
        let mut rows = Mat::from_fn(n, d, |i, j| f64::from(values[i * d + j]));
        for j in 0..d {
            let mean = (0..n).map(|i| rows[(i, j)]).sum::<f64>() / n as f64;
            (0..n).for_each(|i| rows[(i, j)] -= mean);
        }
        let mut gram = &rows * rows.transpose();
        let squares: Vec<f64> = (0..n).map(|i| gram[(i, i)]).collect();
        let nearest = (0..n)
            .map(|i| {
                let apart = |j: usize| squares[j] - 2.0 * gram[(i, j)];
                let mut others: Vec<u32> = (0..n as u32).filter(|&j| j as usize != i).collect();
                others.select_nth_unstable_by(NEIGHBOURS - 1, |&a, &b| {
                    apart(a as usize).total_cmp(&apart(b as usize)).then(a.cmp(&b))
                });
                others.truncate(NEIGHBOURS);
                others.sort_unstable();
                others
            })
            .collect();
        (0..n).for_each(|i| gram[(i, i)] = 0.0);
        let norm = rows.norm_l2();
        let own = hsic(gram.as_ref(), gram.as_ref(), &(0..n).collect::<Vec<_>>());
        Ok(Self { rows, gram, own, nearest, norm })
    }

    fn len(&self) -> usize {
        self.rows.nrows()
    }

    /// For each example, the share of its ten nearest others that both representations agree on, `[n]`.
    #[must_use]
    pub fn neighbours_shared(&self, other: &Self) -> Vec<f64> {
        let both = self.nearest.iter().zip(&other.nearest);
        let shared = both.map(|(a, b)| b.iter().filter(|&j| a.binary_search(j).is_ok()).count());
        shared.map(|count| count as f64 / NEIGHBOURS as f64).collect()
    }

    /// All three measures with their nulls from `permutations` orders of the examples.
    ///
    /// Debiased CKA (Murphy 2024): HSIC_u(K, L)/√(HSIC_u(K, K) HSIC_u(L, L)), 0 on average for unrelated representations. Mutual nearest
    /// neighbours: mean share of the ten nearest that both have in common. Procrustes: ‖AᵀB‖_*/(‖A‖‖B‖), 1 for representations that differ by
    /// a rotation and a scale.
    ///
    /// # Errors
    /// [`Error::NotComparable`] for different numbers of examples; when a decomposition fails.
    pub fn likeness(&self, other: &Self, permutations: usize, seed: u64) -> Result<Likeness> {
        let n = self.len();
        if other.len() != n {
            return Err(Error::NotComparable(format!(
                "representations of {n} and of {} examples do not compare",
                other.len()
            )));
        }
        let identity: Vec<usize> = (0..n).collect();
        let all = |order: &[usize]| -> Result<[f64; 3]> {
            let cka = hsic(self.gram.as_ref(), other.gram.as_ref(), order);
            let size = (self.own * other.own).max(0.0).sqrt();
            let rows = Mat::from_fn(n, other.rows.ncols(), |i, j| other.rows[(order[i], j)]);
            let cross = self.rows.transpose() * rows;
            let sizes = cross
                .singular_values()
                .map_err(|_| Error::Unexpected("the singular values of a representation did not converge".into()))?;
            let norms = self.norm * other.norm;
            Ok([
                if size > 0.0 { cka / size } else { 0.0 },
                shared(&self.nearest, &other.nearest, order),
                if norms > 0.0 { sizes.iter().sum::<f64>() / norms } else { 0.0 },
            ])
        };
        let observed = all(&identity)?;
        let (mut sums, mut above) = ([0.0f64; 3], [0usize; 3]);
        for permutation in 0..permutations {
            let mut order = identity.clone();
            Stream::new(seed, permutation as u64).shuffle(&mut order);
            let found = all(&order)?;
            for i in 0..3 {
                sums[i] += found[i];
                above[i] += usize::from(found[i] >= observed[i]);
            }
        }
        let measured = |i: usize| Measured {
            value: observed[i],
            chance: sums[i] / permutations.max(1) as f64,
            p: (1 + above[i]) as f64 / (1 + permutations) as f64,
        };
        Ok(Likeness { cka: measured(0), neighbours: measured(1), procrustes: measured(2) })
    }
}

/// HSIC_u of two Gram matrices with zero diagonals, the examples of the second in `order` (Song 2012):
/// [tr KL + 1ᵀK1·1ᵀL1/((n−1)(n−2)) − 2·1ᵀKL1/(n−2)]/(n(n−3)).
fn hsic(k: MatRef<'_, f64>, l: MatRef<'_, f64>, order: &[usize]) -> f64 {
    let n = order.len();
    let (mut trace, mut k_sum, mut l_sum, mut both) = (0.0, 0.0, 0.0, 0.0);
    for j in 0..n {
        let (mut k_column, mut l_column) = (0.0, 0.0);
        let place = order[j];
        for i in 0..n {
            let (a, b) = (k[(i, j)], l[(order[i], place)]);
            trace += a * b;
            k_column += a;
            l_column += b;
        }
        k_sum += k_column;
        l_sum += l_column;
        both += k_column * l_column;
    }
    let n = n as f64;
    (trace + k_sum * l_sum / ((n - 1.0) * (n - 2.0)) - 2.0 * both / (n - 2.0)) / (n * (n - 3.0))
}

fn shared(a: &[Vec<u32>], b: &[Vec<u32>], order: &[usize]) -> f64 {
    // Example i of the first side is example order[i] of the second.
    let mut place = vec![0u32; order.len()];
    order.iter().enumerate().for_each(|(i, &at)| place[at] = i as u32);
    let total: usize = order
        .iter()
        .enumerate()
        .map(|(i, &at)| b[at].iter().filter(|&&j| a[i].binary_search(&place[j as usize]).is_ok()).count())
        .sum();
    total as f64 / (order.len() * NEIGHBOURS).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(n: usize, d: usize, seed: u64) -> Vec<f32> {
        let mut stream = Stream::new(seed, 0);
        (0..n * d).map(|_| (stream.uniform() - 0.5) as f32).collect()
    }

    #[test]
    fn a_rotation_changes_nothing_and_strangers_are_at_chance() {
        let (n, d) = (60, 4);
        let a = drawn(n, d, 1);
        // Axes swapped, one turned round, and all twice as large.
        let b: Vec<f32> = a.chunks_exact(d).flat_map(|r| [2.0 * r[1], -2.0 * r[0], 2.0 * r[3], 2.0 * r[2]]).collect();
        let (one, other) = (Representation::new(&a, d).unwrap(), Representation::new(&b, d).unwrap());
        let same = one.likeness(&other, 99, 0).unwrap();
        for measured in [&same.cka, &same.neighbours, &same.procrustes] {
            assert!((measured.value - 1.0).abs() < 1e-6 && measured.p == 0.01, "{measured:?}");
        }
        let stranger = Representation::new(&drawn(n, 9, 2), 9).unwrap();
        let found = one.likeness(&stranger, 99, 0).unwrap();
        assert!(found.cka.value.abs() < 0.15 && found.cka.chance.abs() < 0.03, "{found:?}");
        // Ten of 59 by chance.
        assert!((found.neighbours.chance - 10.0 / 59.0).abs() < 0.02, "{found:?}");
        assert!(found.procrustes.chance > 0.1 && found.cka.p > 0.02, "{found:?}");
    }

    #[test]
    fn p_values_of_strangers_are_uniform() {
        let low = (0..60)
            .filter(|&seed| {
                let (a, b) = (drawn(20, 3, 2 * seed + 10), drawn(20, 3, 2 * seed + 11));
                let (a, b) = (Representation::new(&a, 3).unwrap(), Representation::new(&b, 3).unwrap());
                a.likeness(&b, 19, seed).unwrap().cka.p <= 0.1
            })
            .count();
        assert!((1..=14).contains(&low), "{low} of 60 at 0.1");
    }

    #[test]
    fn too_few_examples_are_refused() {
        assert!(Representation::new(&drawn(8, 2, 1), 2).is_err());
        let (a, b) =
            (Representation::new(&drawn(20, 2, 1), 2).unwrap(), Representation::new(&drawn(30, 2, 1), 2).unwrap());
        assert!(a.likeness(&b, 9, 0).is_err());
    }
}
