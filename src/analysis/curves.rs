//! Curves of many runs with the band of the typical ones.

use std::collections::HashSet;

use super::evidence::RawSeries;
use super::schema::{Band, Curve, Curves, Series};
use crate::stats::descriptive::{ascending, quantile_sorted};
use crate::stats::{Margins, Ranking};

/// Places of a margin's ECDF.
const PLACES: usize = 241;
/// Share of the pooled margins left out at each end of the axis.
const TAIL: f64 = 0.002;
/// Runs of which every curve and every pair is listed: of more they would take more room and time than everything else. Of more,
/// the curves of the atypical runs are listed, beside the band of the typical ones.
pub const MOST_LISTED: usize = 1000;

/// Quantiles 5 %, 50 % and 95 % at each place over `rows`, each of `places` values; a value that is missing does not
/// count.
#[must_use]
pub fn band<'a>(rows: impl Iterator<Item = &'a [Option<f64>]> + Clone, places: usize) -> Band {
    band_at(places, |place| rows.clone().filter_map(|row| row.get(place).copied().flatten()).collect())
}

/// The same of the values that `at` gives for each place.
fn band_at(places: usize, at: impl Fn(usize) -> Vec<f64>) -> Band {
    let mut band = Band::default();
    for place in 0..places {
        let sorted = ascending(&at(place));
        let at = |q| (!sorted.is_empty()).then(|| quantile_sorted(&sorted, q));
        band.low.push(at(0.05));
        band.median.push(at(0.5));
        band.high.push(at(0.95));
    }
    band
}

/// Curves over `x` with the band of the `typical` runs.
#[must_use]
pub fn curves(x: Vec<f64>, runs: Vec<Curve>, typical: &[u32]) -> Curves {
    let rows = runs.iter().filter(|curve| typical.contains(&curve.run)).map(|curve| curve.y.as_slice());
    Curves { band: band(rows, x.len()), x, runs }
}

/// A name and what a row says of it.
pub type Column<R> = (&'static str, fn(&R) -> Option<f64>);

/// Tables of several epochs, a row for each run, as series over the epochs; nothing for no table.
#[must_use]
pub fn over_epochs<R>(tables: Vec<(usize, &[R])>, run: fn(&R) -> u32, columns: &[Column<R>]) -> Vec<RawSeries> {
    let mut runs: Vec<u32> = tables.iter().flat_map(|(_, rows)| rows.iter().map(run)).collect();
    runs.sort_unstable();
    runs.dedup();
    let of = |of: u32, value: fn(&R) -> Option<f64>| {
        let at = |(_, rows): &(usize, &[R])| rows.iter().find(|row| run(row) == of).and_then(value);
        (of, tables.iter().map(at).collect())
    };
    columns
        .iter()
        .filter(|_| !tables.is_empty())
        .map(|&(name, value)| RawSeries {
            name: name.to_owned(),
            x: tables.iter().map(|(epoch, _)| *epoch as f64).collect(),
            runs: runs.iter().map(|&run| of(run, value)).collect(),
        })
        .collect()
}

/// The same of series over the epochs.
#[must_use]
pub fn series(raw: Vec<RawSeries>, typical: &[u32]) -> Vec<Series> {
    raw.into_iter()
        .map(|RawSeries { name, x, runs }| {
            let runs = runs.into_iter().map(|(run, y)| Curve { run, y }).collect();
            Series { name, curves: curves(x, runs, typical) }
        })
        .collect()
}

/// ECDFs of the margins of each run, at evenly spaced places between the extreme thousandths of all margins.
#[must_use]
pub fn margins(margins: &Margins<'_>, ranking: &Ranking, indices: &[u32], typical: &[u32]) -> Curves {
    let pooled = ranking.sorted();
    let (low, high) = (quantile_sorted(pooled, TAIL), quantile_sorted(pooled, 1.0 - TAIL));
    let x: Vec<f64> = (0..PLACES).map(|place| low + (high - low) * place as f64 / (PLACES - 1) as f64).collect();
    let rows: Vec<Vec<f64>> = margins.rows().map(ascending).collect();
    let share = |row: &[f64], x: f64| row.partition_point(|&margin| margin <= x) as f64 / row.len() as f64;
    of_runs(x.clone(), indices, typical, |run, place| share(&rows[run], x[place]))
}

/// Curves over `x` of `y(run, place)`, with the band of the `typical` runs.
fn of_runs(x: Vec<f64>, indices: &[u32], typical: &[u32], y: impl Fn(usize, usize) -> f64) -> Curves {
    let known: HashSet<u32> = typical.iter().copied().collect();
    let of_typical = |place: usize| {
        let runs = indices.iter().enumerate().filter(|(_, run)| known.contains(run));
        runs.map(|(run, _)| y(run, place)).collect()
    };
    let drawn = indices.iter().enumerate().filter(|(_, run)| indices.len() <= MOST_LISTED || !known.contains(run));
    let curve = |(place, &run): (usize, &u32)| Curve { run, y: (0..x.len()).map(|at| Some(y(place, at))).collect() };
    Curves { band: band_at(x.len(), of_typical), runs: drawn.map(curve).collect(), x }
}

/// d_α of each run against the pooled others, for α from 0 to one half.
#[must_use]
pub fn trimming(ranking: &Ranking, indices: &[u32], typical: &[u32]) -> Curves {
    let levels: Vec<f64> = (0..=50).map(|level| f64::from(level) / 100.0).collect();
    let distances = ranking.map(|_, plateaus| plateaus.curve(&levels));
    of_runs(levels, indices, typical, |run, place| distances[run][place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_is_of_the_typical_runs_only() {
        let curve = |run, y: [f64; 2]| Curve { run, y: y.map(Some).to_vec() };
        let runs = vec![curve(0, [1.0, 5.0]), curve(1, [2.0, 5.0]), curve(4, [90.0, 90.0]), curve(5, [3.0, 5.0])];
        let curves = curves(vec![0.0, 1.0], runs, &[0, 1, 5]);
        assert_eq!(curves.band.median, [Some(2.0), Some(5.0)]);
        // Type 7 quantiles of 1, 2, 3: 1 + 0.1 and 3 - 0.1.
        assert!((curves.band.low[0].unwrap() - 1.1).abs() < 1e-12);
        assert!((curves.band.high[0].unwrap() - 2.9).abs() < 1e-12);
        assert_eq!(curves.runs.len(), 4);
    }

    #[test]
    fn what_is_missing_does_not_count() {
        let rows = [vec![None, Some(1.0)], vec![None, Some(3.0)], vec![None, None]];
        let band = band(rows.iter().map(Vec::as_slice), 2);
        assert_eq!(band.median, [None, Some(2.0)]);
    }

    #[test]
    fn ecdfs_end_at_one_and_distances_start_at_ks() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40)).collect();
        let rows = Margins::new(&values, 2, 20).unwrap();
        let ranking = Ranking::new(&rows).unwrap();
        let ecdf = margins(&rows, &ranking, &[0, 1], &[0, 1]);
        // The last place leaves a thousandth of the pooled margins to its right, here at most one margin.
        assert!(ecdf.runs.iter().all(|curve| curve.y.last().copied().flatten() >= Some(0.95)));
        assert!(ecdf.runs.iter().all(|curve| curve.y.windows(2).all(|pair| pair[0] <= pair[1])));
        // Of very many runs the atypical ones are drawn.
        let many: Vec<u32> = (0..=MOST_LISTED as u32).collect();
        let drawn = of_runs(vec![0.0], &many, &many[1..], |run, _| run as f64);
        assert_eq!((drawn.runs.len(), drawn.runs[0].run, drawn.band.median[0]), (1, 0, Some(500.5)));
        let trimming = trimming(&ranking, &[0, 1], &[0, 1]);
        assert_eq!(trimming.runs[1].y[0], Some(ranking.plateaus(1).ks()));
    }
}
