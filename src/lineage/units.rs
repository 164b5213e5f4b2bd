//! Matching the units of two networks by the cosine of their incoming (or outgoing) weights.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use crate::stats::assignment::assign;
use crate::stats::rng::Stream;

/// A bundle of vectors, one for each unit: `[units, length]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// How many units.
    pub units: usize,
    /// Numbers of each.
    pub length: usize,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Rows {
    /// Each row divided by its length; rows of zeros stay.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        for row in self.values.chunks_exact_mut(self.length.max(1)) {
            let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            if norm > 0.0 {
                row.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
            }
        }
        self
    }

    /// Each row less its mean: cosines become correlations.
    #[must_use]
    pub fn centred(mut self) -> Self {
        for row in self.values.chunks_exact_mut(self.length.max(1)) {
            let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / self.length.max(1) as f64;
            row.iter_mut().for_each(|v| *v = (f64::from(*v) - mean) as f32);
        }
        self
    }
}

/// Inner products of normalised rows, `[a.units, b.units]`. Values that are not finite count as 0.
#[must_use]
pub fn similarities(a: &Rows, b: &Rows) -> Vec<f64> {
    debug_assert_eq!(a.length, b.length);
    let mut product = vec![0.0f32; a.units * b.units];
    matmul(
        MatMut::from_row_major_slice_mut(&mut product, a.units, b.units),
        Accum::Replace,
        MatRef::from_row_major_slice(&a.values, a.units, a.length),
        MatRef::from_row_major_slice(&b.values, b.units, b.length).transpose(),
        1.0,
        Par::Seq,
    );
    product.into_iter().map(|v| if v.is_finite() { f64::from(v) } else { 0.0 }).collect()
}

/// The partner of each unit of the narrower side among the units of the wider; `similarity` is `[n, m]`. The units of both
/// sides are renumbered at random (by `seed`) while they are matched: where several partners are equally good (dead units,
/// copies) none is preferred, least of all the one of the same number.
///
/// Where n > m the matching is of the m units of the other side: [`Matching::transposed`].
#[must_use]
pub fn matched(similarity: &[f64], n: usize, m: usize, seed: u64) -> Matching {
    let transposed = n > m;
    let (few, many) = (n.min(m), n.max(m));
    let (mut rows, mut columns): (Vec<usize>, Vec<usize>) = ((0..few).collect(), (0..many).collect());
    let mut stream = Stream::new(seed, 0);
    stream.shuffle(&mut rows);
    stream.shuffle(&mut columns);
    let at = |row: usize, column: usize| {
        if transposed { similarity[column * m + row] } else { similarity[row * m + column] }
    };
    let shuffled: Vec<f64> = rows.iter().flat_map(|&row| columns.iter().map(move |&column| at(row, column))).collect();
    let mut partners = vec![0; few];
    for (place, column) in assign(&shuffled, few, many).into_iter().enumerate() {
        partners[rows[place]] = columns[column];
    }
    let mean = partners.iter().enumerate().map(|(row, &column)| at(row, column)).sum::<f64>() / few.max(1) as f64;
    Matching { partners, among: many, transposed, mean }
}

/// Which units go together.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// The partner of each unit of the narrower side.
    pub partners: Vec<usize>,
    /// How many units the wider side has.
    pub among: usize,
    /// Whether the narrower side is the second network.
    pub transposed: bool,
    /// Mean similarity of the pairs.
    pub mean: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_copy_is_put_in_order() {
        let mut stream = Stream::new(5, 0);
        let (units, length) = (12, 7);
        let values: Vec<f32> = (0..units * length).map(|_| stream.uniform() as f32 - 0.5).collect();
        let mut order: Vec<usize> = (0..units).collect();
        stream.shuffle(&mut order);
        let moved: Vec<f32> = order.iter().flat_map(|&u| values[u * length..][..length].to_vec()).collect();
        let a = Rows { units, length, values }.normalised();
        let b = Rows { units, length, values: moved }.normalised();
        let found = matched(&similarities(&a, &b), units, units, 1);
        assert!(found.partners.iter().enumerate().all(|(unit, &partner)| order[partner] == unit));
        assert!((found.mean - 1.0).abs() < 1e-5);
    }

    #[test]
    fn ties_do_not_look_like_the_identity() {
        // All units alike: the matching must be random.
        let fixed: usize = (0..200)
            .map(|seed| {
                let found = matched(&[0.0; 64], 8, 8, seed);
                found.partners.iter().enumerate().filter(|(unit, partner)| *unit == **partner).count()
            })
            .sum();
        assert!((140..260).contains(&fixed), "{fixed} fixed points in 200 matchings, 200 expected");
    }
}
