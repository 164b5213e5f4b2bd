//! The pooled margins of two sets of runs.

use super::schema::Margins;
use crate::analysis::curves::band;
use crate::error::Result;
use crate::stats::descriptive::quantile_sorted;
use crate::stats::trimming::Plateaus;
use crate::stats::{Margins as Rows, Ranking, Sample, alpha, wasserstein};

/// Places of the ECDFs.
const PLACES: usize = 161;
/// Share of the pooled margins left out at each end of the axis.
const TAIL: f64 = 0.005;

/// Distances and levels of the margins, given for each run in ascending order, the first runs being the baseline's.
///
/// # Errors
/// [`crate::error::Error::Invalid`] unless 0 < ε < 1 and every margin is finite.
pub fn margins(ascending: &[Vec<f64>], first: usize, epsilon: f64) -> Result<Margins> {
    let (before, after) = ascending.split_at(first);
    let examples = before.first().map_or(0, Vec::len);
    let (baseline, candidate) = (Sample::new(before.concat())?, Sample::new(after.concat())?);
    let delta = alpha::threshold(examples, epsilon)?;
    // One run has no spread of its own.
    let delta_relative = if before.len() < 2 {
        delta
    } else {
        let ranking = Ranking::new(&Rows::new(&before.concat(), before.len(), examples)?)?;
        alpha::leave_one_out(&ranking, epsilon)?.delta_relative
    };
    let of_candidate = Plateaus::steps(&baseline, &candidate);
    let of_baseline = Plateaus::steps(&candidate, &baseline);
    let (low, high) =
        [&baseline, &candidate].into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), side| {
            let at = |level| quantile_sorted(side.values(), level);
            (low.min(at(TAIL)), high.max(at(1.0 - TAIL)))
        });
    let x: Vec<f64> = (0..PLACES).map(|place| low + (high - low) * place as f64 / (PLACES - 1) as f64).collect();
    let curves = |rows: &[Vec<f64>]| {
        let shares: Vec<Vec<Option<f64>>> = rows
            .iter()
            .map(|row| x.iter().map(|&x| Some(row.partition_point(|&m| m <= x) as f64 / row.len() as f64)).collect())
            .collect();
        band(shares.iter().map(Vec::as_slice), x.len())
    };
    Ok(Margins {
        ks: of_candidate.ks(),
        wasserstein: wasserstein::distance(&baseline, &candidate),
        alpha_candidate: of_candidate.level(delta),
        alpha_baseline: of_baseline.level(delta),
        delta_relative,
        alpha_candidate_relative: of_candidate.level(delta_relative),
        alpha_baseline_relative: of_baseline.level(delta_relative),
        baseline: curves(before),
        candidate: curves(after),
        x,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_case_both_ways() {
        // Two equal runs of each side: reference 0..9, candidate 0..7, 20, 21, each value forty times.
        let forty = |values: &[f64]| values.iter().flat_map(|&v| [v; 40]).collect::<Vec<f64>>();
        let before: Vec<f64> = (0..10).map(f64::from).collect();
        let after: Vec<f64> = (0..8).map(f64::from).chain([20.0, 21.0]).collect();
        let rows = [forty(&before), forty(&before), forty(&after), forty(&after)];
        // N = 400 and ε = 2 exp(−9) make δ = 0.15.
        let found = margins(&rows, 2, 2.0 * (-9f64).exp()).unwrap();
        assert!((found.ks - 0.2).abs() < 1e-12 && (found.wasserstein - 2.4).abs() < 1e-12);
        assert!((found.alpha_candidate - 0.058_823_529_412).abs() < 1e-9, "{}", found.alpha_candidate);
        // Both runs of the baseline are equal: its own spread is nothing, so δ holds.
        assert!((found.delta_relative - 0.15).abs() < 1e-12);
        assert_eq!(found.alpha_candidate_relative, found.alpha_candidate);
        // The baseline has a fifth of its mass where the candidate has a twentieth and more to spare: 1 − 0.15 of it is kept.
        assert!((found.alpha_baseline - 1.0).abs() < 1e-12, "{}", found.alpha_baseline);
        assert_eq!(found.candidate.median.last().copied().flatten(), Some(1.0));
        assert!(margins(&rows, 2, 1.5).unwrap_err().to_string().contains("epsilon"));
    }

    #[test]
    fn a_level_that_is_above_zero() {
        let rows = |shift: i32| -> Vec<f64> { (0..400).map(|i| f64::from(i + shift)).collect() };
        let found = margins(&[rows(0), rows(0), rows(120), rows(120)], 2, 0.01).unwrap();
        assert!((found.ks - 0.3).abs() < 1e-12 && (found.wasserstein - 120.0).abs() < 1e-9);
        // Mass of the baseline below 120 is missing from the candidate, beyond δ = 0.115: no trimming repairs it.
        assert_eq!((found.alpha_candidate, found.alpha_baseline), (1.0, 1.0));
        assert!(found.delta_relative < 0.12);
    }
}
