//! How much a mean over N examples would vary between healthy runs if each example varied on its own: the floor below which a
//! difference between runs is not evidence of anything.

use rayon::prelude::*;

/// √(Σ_i s_i²)/N, where s_i² is the sample variance over the M `runs` of `value(run, example)`: the standard deviation of a
/// run's mean over `examples` if the examples were independent. 0 for fewer than two runs or no examples.
pub fn independent(runs: usize, examples: usize, value: impl Fn(usize, usize) -> f64 + Sync) -> f64 {
    if runs < 2 || examples == 0 {
        return 0.0;
    }
    let squares: Vec<f64> = (0..examples)
        .into_par_iter()
        .map(|i| {
            // Of differences from the first run, to lose no digits.
            let first = value(0, i);
            let (mut sum, mut squares) = (0.0, 0.0);
            for m in 1..runs {
                let off = value(m, i) - first;
                sum += off;
                squares += off * off;
            }
            ((squares - sum * sum / runs as f64) / (runs - 1) as f64).max(0.0)
        })
        .collect();
    squares.iter().sum::<f64>().sqrt() / examples as f64
}

/// The standard deviation of the Kolmogorov–Smirnov distance of N draws from the pooled N·(M − 1) draws of the other runs,
/// if all are of one law: that of Kolmogorov's distribution, 0.2603, over the root of the sizes (Kolmogorov 1933).
#[must_use]
pub fn kolmogorov(runs: usize, examples: usize) -> f64 {
    let others = (runs.saturating_sub(1)).max(1) as f64;
    0.2603 * ((1.0 + 1.0 / others) / examples.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::descriptive::std;
    use crate::stats::rng::Stream;

    #[test]
    fn worked_by_hand() {
        // Two runs, three examples: differences 0, 1 and 2, variances 0, 1/2 and 2.
        let values = [[0.0, 1.0, 5.0], [0.0, 2.0, 3.0]];
        let found = independent(2, 3, |m, i| values[m][i]);
        assert!((found - 2.5f64.sqrt() / 3.0).abs() < 1e-15);
        assert_eq!(independent(1, 3, |_, _| 1.0), 0.0);
    }

    #[test]
    fn of_independent_examples_it_is_what_is_seen() {
        let mut stream = Stream::new(4, 0);
        let runs: Vec<Vec<f64>> =
            (0..60).map(|_| (0..400).map(|_| f64::from(u8::from(stream.uniform() < 0.2))).collect()).collect();
        let means: Vec<f64> = runs.iter().map(|run| run.iter().sum::<f64>() / 400.0).collect();
        let found = independent(60, 400, |m, i| runs[m][i]);
        assert!((found / 0.02 - 1.0).abs() < 0.03 && (std(&means) / found - 1.0).abs() < 0.3, "{found}");
    }

    #[test]
    fn one_example_that_differs_is_no_evidence() {
        // A single run with a huge value on a single example: its offset is √M of the noise that it makes itself.
        let value = |m: usize, i: usize| if m == 0 && i == 0 { 1e6 } else { 1.0 };
        let (runs, examples) = (9, 500);
        let offset = (1e6 - 1.0) / examples as f64;
        assert!((offset / independent(runs, examples, value) - 3.0).abs() < 1e-9);
    }
}
