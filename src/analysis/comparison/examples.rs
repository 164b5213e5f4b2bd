//! One model a side: the unit is the example, and what is found holds for these two models only.

use rayon::prelude::*;
use statrs::distribution::{Binomial, DiscreteCDF as _};

use super::judge::Settings;
use super::schema::{Metric, Quantity};
use super::tested::Tested;
use super::verdict::finding;
use crate::error::{Error, Result};
use crate::stats::Logits;
use crate::stats::bootstrap::Bootstrap;
use crate::stats::churn::decisions;
use crate::stats::descriptive::{mean, variance};
use crate::stats::family::Family;
use crate::stats::logits::{Real, softmax_into};
use crate::stats::power::{self, POWER};
use crate::stats::rng::Stream;

/// Random changes of sign, and resamples of an interval.
const PERMUTATIONS: usize = 9_999;
const RESAMPLES: usize = 2_000;

/// A value of each model on each example that counts.
struct Paired {
    quantity: Quantity,
    before: Vec<f64>,
    after: Vec<f64>,
    /// The example of each value.
    examples: Vec<u32>,
}

impl Paired {
    fn differences(&self) -> Vec<f64> {
        self.before.iter().zip(&self.after).map(|(before, after)| after - before).collect()
    }
}

/// Tests whether two models answer the same examples equally well: the signs of the differences are exchanged example by
/// example (McNemar's test for accuracy), the intervals resample examples.
///
/// # Errors
/// [`Error::Invalid`] for logits of other shapes.
pub fn tested<T: Real>(before: &Logits<'_, T>, after: &Logits<'_, T>, settings: &Settings) -> Result<Tested> {
    let quantities = paired(before, after);
    let level = 1.0 - settings.confidence;
    let differences: Vec<Vec<f64>> = quantities.iter().map(Paired::differences).collect();
    let sizes: Vec<f64> = differences
        .iter()
        .map(|values| values.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE))
        .collect();
    let rows: Vec<Vec<f64>> = (0..=PERMUTATIONS)
        .into_par_iter()
        .map(|draw| {
            let mut stream = Stream::new(settings.seed, draw as u64);
            let examples = before.labels().len();
            let signs: Vec<f64> =
                (0..examples).map(|_| if draw > 0 && stream.below(2) == 1 { -1.0 } else { 1.0 }).collect();
            let sum = |(quantity, values): (&Paired, &Vec<f64>)| -> f64 {
                quantity.examples.iter().zip(values).map(|(&example, v)| signs[example as usize] * v).sum::<f64>().abs()
            };
            quantities.iter().zip(&differences).map(sum).zip(&sizes).map(|(sum, size)| sum / size).collect()
        })
        .collect();
    let columns: Vec<Vec<f64>> = (0..quantities.len()).map(|q| rows.iter().map(|row| row[q]).collect()).collect();
    let family = Family::of_columns(&columns, 1);
    let critical = family.critical(level);
    let factor = critical
        .map(|critical| {
            let freedom = before.labels().len() as f64 - 1.0;
            power::Design { weight: 1.0, freedom, critical, spread: 0.0 }.detectable(freedom, POWER)
        })
        .transpose()?;
    let bootstrap =
        Bootstrap { resamples: RESAMPLES, level: 1.0 - level / quantities.len() as f64, seed: settings.seed };
    let metrics = quantities.iter().zip(&differences).enumerate().map(|(place, (held, values))| {
        let interval = bootstrap.mean(values)?;
        let count = values.len() as f64;
        let (p, p_corrected) = (mcnemar(held, values).unwrap_or(Ok(family.p[place]))?, family.corrected[place]);
        let found = p_corrected <= level;
        let (mut low, mut high) = (interval.low, interval.high);
        if found {
            // A difference that is found has its sign.
            if interval.estimate > 0.0 { low = low.max(0.0) } else { high = high.min(0.0) }
        }
        let tolerance = settings.tolerances.of(held.quantity);
        Ok(Metric {
            metric: held.quantity,
            baseline: mean(&held.before),
            candidate: mean(&held.after),
            between: None,
            difference: interval.estimate,
            low,
            high,
            p,
            p_corrected,
            detectable: factor.map(|factor| factor * (variance(values) / count).sqrt()),
            good: held.quantity.good(),
            tolerance: tolerance.unwrap_or(0.0),
            finding: finding(held.quantity, (low, interval.estimate, high), found, tolerance, true),
            baseline_runs: vec![mean(&held.before)],
            candidate_runs: vec![mean(&held.after)],
        })
    });
    let mut metrics = metrics.collect::<Result<Vec<Metric>>>()?;
    metrics.sort_by_key(|metric| metric.metric.order());
    Ok(Tested { metrics, level: None, smallest_p: 1.0 / (1 + PERMUTATIONS) as f64 })
}

/// The exact p-value of McNemar's test: among the examples that one model has right and the other wrong, either is as
/// likely. Only of accuracies.
fn mcnemar(held: &Paired, differences: &[f64]) -> Option<Result<f64>> {
    if !matches!(held.quantity, Quantity::Accuracy | Quantity::ClassAccuracy(_)) {
        return None;
    }
    let won = differences.iter().filter(|&&d| d > 0.0).count() as u64;
    let lost = differences.iter().filter(|&&d| d < 0.0).count() as u64;
    let law = Binomial::new(0.5, won + lost).map_err(|cause| Error::Unexpected(cause.to_string()));
    Some(law.map(|law| (2.0 * law.cdf(won.min(lost))).min(1.0)))
}

fn paired<T: Real>(before: &Logits<'_, T>, after: &Logits<'_, T>) -> Vec<Paired> {
    let labels = before.labels();
    let all: Vec<u32> = (0..labels.len() as u32).collect();
    let sides = [before, after].map(|soft| (hits(soft), losses(soft)));
    let [(hit_before, loss_before), (hit_after, loss_after)] = &sides;
    let mut found = vec![Paired {
        quantity: Quantity::Accuracy,
        before: hit_before.clone(),
        after: hit_after.clone(),
        examples: all.clone(),
    }];
    for (quantity, which) in [(Quantity::Nll, 0), (Quantity::Brier, 1)] {
        let of = |losses: &[[f64; 2]]| losses.iter().map(|loss| loss[which]).collect();
        found.push(Paired { quantity, before: of(loss_before), after: of(loss_after), examples: all.clone() });
    }
    for class in 0..before.classes() as u32 {
        let examples: Vec<u32> = all.iter().copied().filter(|&i| labels[i as usize] == class).collect();
        let of = |hits: &[f64]| -> Vec<f64> { examples.iter().map(|&i| hits[i as usize]).collect() };
        let (before, after) = (of(hit_before), of(hit_after));
        // Where the two agree on every example there is nothing to test.
        if before != after && examples.len() > 1 {
            found.push(Paired { quantity: Quantity::ClassAccuracy(class), before, after, examples });
        }
    }
    found
}

fn hits<T: Real>(soft: &Logits<'_, T>) -> Vec<f64> {
    decisions(soft).iter().zip(soft.labels()).map(|(class, label)| f64::from(u8::from(class == label))).collect()
}

/// Negative log-likelihood and Brier score of each example.
fn losses<T: Real>(soft: &Logits<'_, T>) -> Vec<[f64; 2]> {
    let mut shares = vec![0.0; soft.classes()];
    soft.rows()
        .map(|(row, label)| {
            let nll = softmax_into(row, &mut shares) - row[label].into();
            let off = |(class, share): (usize, &f64)| (share - f64::from(u8::from(class == label))).powi(2);
            [nll, shares.iter().enumerate().map(off).sum()]
        })
        .collect()
}
