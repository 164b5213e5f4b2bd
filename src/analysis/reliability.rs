//! The reliability tables of all runs and their band.

use super::curves;
use super::schema::{Reliability, RunReliability};
use crate::stats::calibration::Calibration;
use crate::stats::descriptive::mean;

/// Bins of fewer decisions in the mean over the typical runs say nothing but noise.
const LEAST: u64 = 5;

/// Tables of the runs `indices`, with the band of the `typical` ones.
#[must_use]
pub fn reliability(tables: &[Calibration], indices: &[u32], typical: &[u32]) -> Reliability {
    let runs: Vec<RunReliability> = indices
        .iter()
        .zip(tables)
        .map(|(&run, table)| {
            let filled = |value: f64| value.is_finite().then_some(value);
            RunReliability {
                run,
                count: table.bins.iter().map(|bin| bin.count).collect(),
                confidence: table.bins.iter().map(|bin| filled(bin.confidence)).collect(),
                accuracy: table.bins.iter().map(|bin| filled(bin.accuracy)).collect(),
            }
        })
        .collect();
    let first = tables.first().map_or(&[][..], |table| &table.bins);
    let edges = first.first().map(|bin| bin.low).into_iter().chain(first.iter().map(|bin| bin.high)).collect();
    let among: Vec<&RunReliability> = runs.iter().filter(|run| typical.contains(&run.run)).collect();
    let counts: Vec<u64> = (0..first.len()).map(|bin| among.iter().map(|run| run.count[bin]).sum()).collect();
    let all = counts.iter().sum::<u64>().max(1);
    let bins: Vec<usize> =
        (0..first.len()).filter(|&bin| counts[bin] > 0 && counts[bin] >= LEAST * among.len() as u64).collect();
    let confidence = bins
        .iter()
        .map(|&bin| mean(&among.iter().filter_map(|run| run.confidence[bin]).collect::<Vec<f64>>()))
        .collect();
    let kept: Vec<Vec<Option<f64>>> =
        among.iter().map(|run| bins.iter().map(|&bin| run.accuracy[bin]).collect()).collect();
    let band = curves::band(kept.iter().map(Vec::as_slice), bins.len());
    let share = counts.iter().map(|&count| count as f64 / all as f64).collect();
    Reliability { edges, share, bins, confidence, band, runs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::calibration::Bin;

    #[test]
    fn bins_of_a_handful_of_decisions_are_left_out_of_the_band() {
        let bin = |low, high, count, accuracy| Bin { low, high, count, confidence: high, accuracy };
        let table = |first: u64, accuracy: f64| Calibration {
            ece: 0.0,
            ece_adaptive: 0.0,
            ece_classwise: 0.0,
            bins: vec![
                bin(0.0, 0.5, first, if first == 0 { f64::NAN } else { 0.5 }),
                bin(0.5, 1.0, 10 - first, accuracy),
            ],
        };
        let tables = [table(0, 0.8), table(0, 0.9), table(2, 1.0), table(10, 0.0)];
        let found = reliability(&tables, &[0, 1, 2, 9], &[0, 1, 2]);
        assert_eq!(found.edges, [0.0, 0.5, 1.0]);
        assert_eq!(found.bins, [1]);
        assert_eq!(found.band.median, [Some(0.9)]);
        assert_eq!(found.confidence, [1.0]);
        assert_eq!(found.share, [2.0 / 30.0, 28.0 / 30.0]);
        assert_eq!(found.runs[0].accuracy[0], None);
    }
}
