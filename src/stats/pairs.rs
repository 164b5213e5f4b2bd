//! A symmetric quantity of every pair of runs.

use rayon::prelude::*;
use serde::Serialize;

/// One value for each unordered pair of M different runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pairs {
    runs: usize,
    /// Row by row: (0,1), (0,2), …, (1,2), …
    values: Vec<f64>,
}

impl Pairs {
    /// From the rows of the upper triangle: row a holds the values of (a, a+1), …, (a, M−1).
    pub(crate) fn from_rows(rows: Vec<Vec<f64>>) -> Self {
        let runs = rows.len();
        let values = rows.concat();
        debug_assert_eq!(values.len(), runs * runs.saturating_sub(1) / 2);
        Self { runs, values }
    }

    /// From `value(a, b)` for every a < b below `runs`; in parallel.
    #[must_use]
    pub fn from_fn(runs: usize, value: impl Fn(usize, usize) -> f64 + Sync) -> Self {
        let row = |a: usize| (a + 1..runs).map(|b| value(a, b)).collect();
        Self::from_rows((0..runs).into_par_iter().map(row).collect())
    }

    /// Number of runs M.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The value of runs `a` and `b`, in either order; 0 for a run and itself.
    ///
    /// # Panics
    /// If a run is not below M.
    #[must_use]
    pub fn get(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (a.min(b), a.max(b));
        assert!(b < self.runs, "run {b} of {}", self.runs);
        if a == b { 0.0 } else { self.values[a * (2 * self.runs - a - 1) / 2 + b - a - 1] }
    }

    /// Each pair once, as (a, b, value) with a < b.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        let pairs = (0..self.runs).flat_map(|a| (a + 1..self.runs).map(move |b| (a, b)));
        pairs.zip(&self.values).map(|((a, b), &v)| (a, b, v))
    }

    /// The mean over all pairs; NaN for fewer than two runs.
    #[must_use]
    pub fn mean(&self) -> f64 {
        super::descriptive::mean(&self.values)
    }

    /// For each run the mean over its pairs with the others, `[M]`; NaN for fewer than two runs.
    #[must_use]
    pub fn run_means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.runs];
        for (a, b, v) in self.iter() {
            sums[a] += v;
            sums[b] += v;
        }
        sums.into_iter()
            .map(|s| s / (self.runs as f64 - 1.0))
            .map(|m| if self.runs < 2 { f64::NAN } else { m })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_of_three() {
        let p = Pairs::from_rows(vec![vec![1.0, 2.0], vec![6.0], vec![]]);
        assert_eq!([p.get(0, 1), p.get(2, 0), p.get(1, 2), p.get(1, 1)], [1.0, 2.0, 6.0, 0.0]);
        assert_eq!(p.mean(), 3.0);
        assert_eq!(p.run_means(), [1.5, 3.5, 4.0]);
        assert!(p.iter().eq([(0, 1, 1.0), (0, 2, 2.0), (1, 2, 6.0)]));
        assert!(Pairs::from_rows(vec![vec![]]).run_means()[0].is_nan());
        let product = Pairs::from_fn(4, |a, b| (10 * a + b) as f64);
        assert!(product.iter().all(|(a, b, v)| v == (10 * a + b) as f64) && product.runs() == 4);
    }
}
