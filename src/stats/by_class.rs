//! Which of M runs gets far fewer examples of one class right than the others.
//!
//! The number of a class's n examples that a run gets right is turned into an angle, 2√n·asin√((x + 3/8)/(n + 3/4))
//! (Anscombe 1948), whose standard deviation between runs is 1 if the number is binomial, whatever its mean. The scale
//! of a class is that of its own runs, which with few runs says little, drawn towards that of all classes together as if that were known
//! from `PRIOR` further degrees of freedom (the moderated variance of Smyth 2004, with medians for means, so that one bad
//! run cannot hide), and never less than 1.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::descriptive::{mad, median};
use super::outliers::QUARTILE;
use crate::error::{Error, Result};

/// Degrees of freedom that the scale of all classes is worth in that of one.
const PRIOR: f64 = 4.0;
/// Efficiency of the MAD against the standard deviation: a MAD of k values is worth 0.37·(k − 1) degrees of freedom.
const EFFICIENCY: f64 = 0.37;
/// Degrees of freedom of the limit, at most: counts near a class's last example, and classes unlike each other, have heavier
/// tails than normal numbers.
const MOST: f64 = 12.0;

/// Scores of M runs and C classes.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassScores {
    /// `[M][C]`: how far below the median of its class a run is, in scales, negative below; 0 for a class without examples.
    pub scores: Vec<Vec<f64>>,
    /// `[C]`: median and scale of the angles.
    centres: Vec<(f64, f64)>,
    examples: Vec<usize>,
}

impl ClassScores {
    /// Of what each run gets right, `[M][C]`, of so many `examples` of each class, `[C]`.
    #[must_use]
    pub fn of(right: &[Vec<u32>], examples: &[usize]) -> Self {
        let column = |class: usize| -> Vec<f64> {
            right.iter().map(|run| angle(f64::from(run[class]), examples[class])).collect()
        };
        let angles: Vec<Vec<f64>> = (0..examples.len()).map(column).collect();
        let judged: Vec<usize> = (0..examples.len()).filter(|&class| examples[class] > 0).collect();
        let off = |class: usize| {
            let centre = median(&angles[class]);
            angles[class].iter().map(move |value| (value - centre).abs())
        };
        let all: Vec<f64> = judged.iter().flat_map(|&class| off(class)).collect();
        let runs = right.len() as f64;
        // Off the median of M values they spread less than off the true centre.
        let usual = if all.is_empty() { 1.0 } else { median(&all) / QUARTILE * (runs / (runs - 1.0).max(1.0)).sqrt() };
        let freedom = EFFICIENCY * (runs - 1.0);
        let centres: Vec<(f64, f64)> = angles
            .iter()
            .map(|values| {
                let own = mad(values) / QUARTILE;
                let variance = (PRIOR * usual.max(1.0).powi(2) + freedom * own * own) / (PRIOR + freedom);
                (median(values), variance.max(1.0).sqrt())
            })
            .collect();
        let score = |run: usize, class: usize| {
            let (centre, scale) = centres[class];
            if examples[class] == 0 { 0.0 } else { (angles[class][run] - centre) / scale }
        };
        let scores = (0..right.len()).map(|run| (0..examples.len()).map(|class| score(run, class)).collect()).collect();
        Self { scores, centres, examples: examples.to_vec() }
    }

    /// The share of `class` at which the score is −`limit`, in [0, 1].
    #[must_use]
    pub fn share_at(&self, class: usize, limit: f64) -> f64 {
        let (centre, scale) = self.centres[class];
        let n = self.examples[class] as f64;
        let angle = (centre - limit * scale) / (2.0 * n.sqrt());
        (((n + 0.75) * angle.max(0.0).sin().powi(2) - 0.375) / n).clamp(0.0, 1.0)
    }
}

fn angle(right: f64, examples: usize) -> f64 {
    let n = examples as f64;
    2.0 * n.sqrt() * ((right + 0.375) / (n + 0.75)).sqrt().min(1.0).asin()
}

/// The limit that some score of `runs` healthy runs and `classes` classes is below −limit of with probability `false_alarm`, at
/// most about: Student's t with as many degrees of freedom as the scales have, at most `MOST`.
///
/// # Errors
/// [`Error::Unexpected`] for a chance outside (0, 1) or a single run.
pub fn limit(runs: usize, classes: usize, false_alarm: f64) -> Result<f64> {
    let count = (runs * classes).max(1) as f64;
    let freedom = (EFFICIENCY * (runs as f64 - 1.0) * classes as f64).min(MOST);
    let law = StudentsT::new(0.0, 1.0, freedom).map_err(|cause| Error::Unexpected(cause.to_string()))?;
    Ok(law.inverse_cdf(1.0 - false_alarm / count))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::super::rng::Stream;
    use super::*;

    /// Right decisions of `runs` runs on classes of `examples` examples, each right with the class's chance.
    fn binomial(runs: usize, examples: &[usize], chance: &[f64], stream: &mut Stream) -> Vec<Vec<u32>> {
        let count = |stream: &mut Stream, n: usize, p: f64| (0..n).filter(|_| stream.uniform() < p).count() as u32;
        (0..runs).map(|_| examples.iter().zip(chance).map(|(&n, &p)| count(stream, n, p)).collect()).collect()
    }

    #[test]
    fn worked_by_hand() {
        // 100 examples: 2·10·asin√(90.375/100.75) = 24.8823; seven runs alike, and one that gets 40 right: 13.7096.
        assert!(close(angle(90.0, 100), 24.882_3, 1e-4) && close(angle(40.0, 100), 13.709_6, 1e-4));
        let mut right = vec![vec![90]; 7];
        right.push(vec![40]);
        let found = ClassScores::of(&right, &[100]);
        // No spread among the seven: the scale is that of a binomial number.
        assert!(close(found.scores[7][0], 13.709_6 - 24.882_3, 1e-4) && found.scores[0][0] == 0.0);
        assert!(close(found.share_at(0, 24.882_3 - 13.709_6), 0.4, 1e-4) && found.share_at(0, 1e9) == 0.0);
        // A class without examples is judged by nobody.
        assert_eq!(ClassScores::of(&[vec![0, 3], vec![0, 4]], &[0, 5]).scores[1][0], 0.0);
    }

    #[test]
    fn healthy_runs_are_below_the_limit_and_a_lost_class_is_not() {
        let examples = [51, 65, 56, 66, 55, 69, 54, 59, 64, 61];
        let chance = [0.985, 0.97, 0.93, 0.91, 0.998, 0.967, 0.978, 0.99, 0.906, 0.88];
        for runs in [6, 8, 20, 100] {
            let limit = limit(runs, examples.len(), 0.05).unwrap();
            let (mut alarms, mut found, rounds) = (0, 0, 400);
            for round in 0..rounds {
                let mut stream = Stream::new(round as u64, runs as u64);
                let mut right = binomial(runs, &examples, &chance, &mut stream);
                let least = |right: &[Vec<u32>]| {
                    ClassScores::of(right, &examples).scores.concat().into_iter().fold(0.0, f64::min)
                };
                alarms += usize::from(least(&right) < -limit);
                right[0][round % 10] = 20;
                found += usize::from(ClassScores::of(&right, &examples).scores[0][round % 10] < -limit);
            }
            // 5 % and three standard errors.
            assert!(alarms <= 33 && found == rounds, "{runs} runs: {alarms} alarms, {found} of {rounds} found");
        }
    }
}
