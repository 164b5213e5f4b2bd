//! All runs at one epoch: the same questions as at the end, but only those that cost little.

use rayon::prelude::*;

use super::input::Input;
use super::schema::{Checkpoint, CheckpointRun, Settings};
use super::summary::estimate;
use crate::error::Result;
use crate::stats::calibration::{BINS, calibration};
use crate::stats::churn::Votes;
use crate::stats::logits::Real;
use crate::stats::scores::scores;
use crate::stats::{Logits, Margins, Ranking, alpha, churn, margins};

/// The runs of `input`, which are those that are distinct at the last checkpoint; a run that is not finite here has no
/// numbers. Runs that are still equal at this epoch (a shared initialisation) count each.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for settings out of range.
pub fn checkpoint<T: Real>(input: &Input<T>, epoch: usize, settings: &Settings) -> Result<Checkpoint> {
    let all: Vec<Logits<'_, T>> = input.runs().iter().map(|run| input.soft(run)).collect::<Result<_>>()?;
    let kept: Vec<usize> = (0..all.len()).filter(|&place| all[place].is_finite()).collect();
    let soft: Vec<Logits<'_, T>> = kept.iter().map(|&place| all[place]).collect();
    let mut runs: Vec<CheckpointRun> = input.runs().iter().map(|run| CheckpointRun::empty(run.index)).collect();
    let single: Vec<(f64, f64, f64)> = soft
        .par_iter()
        .map(|soft| {
            let scores = scores(soft);
            (scores.accuracy, scores.nll, calibration(soft, BINS).ece)
        })
        .collect();
    for (&place, &(accuracy, nll, ece)) in kept.iter().zip(&single) {
        let run = &mut runs[place];
        (run.accuracy, run.nll, run.ece) = (Some(accuracy), Some(nll), Some(ece));
    }
    let of = |value: fn(&(f64, f64, f64)) -> f64| {
        let values: Vec<f64> = single.iter().map(value).collect();
        (!values.is_empty()).then(|| estimate(&values, settings)).transpose()
    };
    let mut checkpoint = Checkpoint {
        epoch,
        accuracy: of(|held| held.0)?,
        nll: of(|held| held.1)?,
        ece: of(|held| held.2)?,
        mean_churn: None,
        ambiguity: None,
        runs,
    };
    if soft.len() > 1 {
        let decisions: Vec<Vec<u32>> = soft.par_iter().map(churn::decisions).collect();
        let votes = Votes::of(&decisions)?;
        checkpoint.mean_churn = Some(votes.mean_churn());
        checkpoint.ambiguity = Some(churn::multiplicity(&decisions, &votes).ambiguity);
        let rows: Vec<Vec<f64>> = soft.par_iter().map(margins::label_margins).collect();
        let ranking = Ranking::new(&Margins::new(&rows.concat(), soft.len(), input.examples())?)?;
        let levels = alpha::leave_one_out(&ranking, settings.analysis.epsilon)?;
        for ((&place, churn), level) in kept.iter().zip(votes.churn_of_runs(&decisions)).zip(&levels.runs) {
            let run = &mut checkpoint.runs[place];
            (run.churn, run.ks, run.alpha) = (Some(churn), Some(level.ks), Some(level.alpha));
        }
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::super::input::RunLogits;
    use super::*;

    #[test]
    fn a_run_that_is_not_finite_here_has_no_numbers_and_spoils_none() {
        let run = |index, logits: [f32; 4]| RunLogits { index, logits: logits.to_vec() };
        let runs = vec![run(0, [1.0, 0.0, 0.0, 1.0]), run(3, [f32::NAN; 4]), run(5, [1.0, 0.0, 1.0, 0.0])];
        let input = Input::new(vec![0, 1], 2, runs).unwrap();
        let found = checkpoint(&input, 7, &Settings::default()).unwrap();
        assert_eq!(found.mean_churn, Some(0.5));
        assert_eq!(found.runs[1], CheckpointRun::empty(3));
        assert_eq!((found.runs[0].accuracy, found.runs[2].accuracy), (Some(1.0), Some(0.5)));
        assert_eq!(found.accuracy.map(|accuracy| accuracy.mean), Some(0.75));
        assert_eq!(found.runs[2].churn, Some(0.5));
    }
}
