//! What spectra say beyond their distribution: values that rose out of the bulk, how heavy the tail is, and whose largest values
//! are unusual. A distribution function of P values cannot see one of them, and the largest are those that learning moves (Wang 2023).

use super::descriptive::{ascending, median};
use super::outliers::{FEWEST, robust_scores};

/// Values of a tail, at least: fewer do not tell an exponent.
const TAIL: usize = 5;

/// How many of `values` lie beyond `edge`, the largest value of the bulk; values within 1e-9 of it, relatively, do not.
#[must_use]
pub fn beyond(values: &[f64], edge: f64) -> usize {
    values.iter().filter(|&&value| value > edge + 1e-9 * edge.abs()).count()
}

/// The exponent a of the tail of a density ρ(λ) ~ λ^(−a): 1 + k/Σ ln(λ_i/λ_{k+1}) over the k largest of the positive values, a
/// quarter of them (Hill 1975). Small exponents are heavy tails: below 4 or so where training has written structure into weights
/// that began without any. None for fewer than twenty positive values, or where the largest are equal.
#[must_use]
pub fn tail_exponent(values: &[f64]) -> Option<f64> {
    let positive: Vec<f64> = values.iter().copied().filter(|&value| value > 0.0 && value.is_finite()).collect();
    let sorted = ascending(&positive);
    let tail = sorted.len() / 4;
    if tail < TAIL {
        return None;
    }
    let edge = sorted[sorted.len() - tail - 1];
    let sum: f64 = sorted[sorted.len() - tail..].iter().map(|value| (value / edge).ln()).sum();
    (sum > 0.0).then(|| 1.0 + tail as f64 / sum)
}

/// For each run the modified z-score that is furthest from 0 among its `count` largest values, each held against the same place of
/// the other runs by its logarithm; rows `[M][P]`, largest first. None below six runs, or where a value is not positive in every
/// run.
#[must_use]
pub fn top_scores(rows: &[&[f64]], count: usize) -> Vec<Option<f64>> {
    let mut scores: Vec<Option<f64>> = vec![None; rows.len()];
    if rows.len() < FEWEST {
        return scores;
    }
    for place in 0..count {
        let Some(values) = rows.iter().map(|row| row.get(place).copied()).collect::<Option<Vec<f64>>>() else { break };
        if values.iter().any(|&value| value <= 0.0) {
            break;
        }
        let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
        // Rounding of single precision is no difference.
        let floor = 1e-6 * (1.0 + median(&logs).abs());
        for (held, score) in scores.iter_mut().zip(robust_scores(&logs, floor)) {
            if held.is_none_or(|most| score.abs() > most.abs()) {
                *held = Some(score);
            }
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::super::rng::Stream;
    use super::*;

    #[test]
    fn the_tail_of_a_pareto_law() {
        // P(λ > x) = x^(−2), density ~ λ^(−3): the exponent is 3, within four standard errors 2/√k of 2.
        let mut stream = Stream::new(1, 0);
        let values: Vec<f64> = (0..40_000).map(|_| (1.0 - stream.uniform()).powf(-0.5)).collect();
        let found = tail_exponent(&values).unwrap();
        assert!((found - 3.0).abs() < 4.0 * 2.0 / 10_000f64.sqrt(), "{found}");
        // By hand: of 20 values the five largest are e times the sixth.
        let mut values = vec![1.0; 15];
        values.extend([std::f64::consts::E; 5]);
        assert!(close(tail_exponent(&values).unwrap(), 2.0, 1e-12));
        assert_eq!((tail_exponent(&[1.0; 40]), tail_exponent(&[3.0, 2.0, 1.0])), (None, None));
    }

    #[test]
    fn values_beyond_the_bulk() {
        assert_eq!(beyond(&[5.0, 2.0, 2.0, 1.0], 2.0), 1);
        assert_eq!(beyond(&[2.0 + 1e-12, 1.0], 2.0), 0);
    }

    #[test]
    fn one_eigenvalue_is_seen() {
        // Six runs of 200 equal values but for one, whose largest is ten times that of the others.
        let mut stream = Stream::new(2, 0);
        let mut rows: Vec<Vec<f64>> = (0..8)
            .map(|_| (0..200).map(|k| (1.0 + 0.01 * stream.normal()) * 100.0 / (k + 1) as f64).collect())
            .collect();
        rows[3][0] *= 1.5;
        let views: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let scores = top_scores(&views, 10);
        assert!(scores[3].unwrap() > 15.0, "{scores:?}");
        assert!(scores.iter().enumerate().all(|(run, score)| run == 3 || score.unwrap().abs() < 12.0), "{scores:?}");
        assert_eq!(top_scores(&views[..5], 10), [None; 5]);
        assert_eq!(top_scores(&[[1.0, 0.0].as_slice(); 6], 2), [Some(0.0); 6]);
    }
}
