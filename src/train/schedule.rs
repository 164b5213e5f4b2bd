//! The learning rate at each step.

use crate::config::{Anneal, Schedule};

/// Where a run stands: step of `total`, and how many steps make an epoch.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Steps done before this one, from 0.
    pub step: usize,
    /// Steps of the whole training.
    pub total: usize,
    /// Steps of one epoch.
    pub per_epoch: usize,
}

/// Share of a one-cycle's peak at which it starts (as PyTorch has it), and at which it ends unless told otherwise (Smith & Topin 2019).
const ONE_CYCLE_START: f64 = 1.0 / 25.0;
const ONE_CYCLE_END: f64 = 1e-4;

/// The rate of the step about to be made.
///
/// Warm-up, where it is not part of the schedule, rises linearly to the schedule's first rate and takes the stated share
/// of all steps; the schedule then runs over the remaining ones.
#[must_use]
pub fn rate(schedule: &Schedule, at: Position) -> f64 {
    let warmup = match schedule {
        Schedule::OneCycle { .. } => 0.0,
        Schedule::Constant { warmup, .. }
        | Schedule::Step { warmup, .. }
        | Schedule::Cosine { warmup, .. }
        | Schedule::Linear { warmup, .. } => warmup * at.total as f64,
    };
    let step = at.step as f64;
    if step < warmup {
        let top = match schedule {
            Schedule::Constant { rate, .. }
            | Schedule::Step { rate, .. }
            | Schedule::Cosine { rate, .. }
            | Schedule::Linear { rate, .. } => *rate,
            Schedule::OneCycle { peak, .. } => *peak,
        };
        return top * (step + 1.0) / (warmup + 1.0);
    }
    // 0 at the first step after warm-up, 1 at the last step.
    let progress = ((step - warmup) / (at.total as f64 - 1.0 - warmup).max(1.0)).clamp(0.0, 1.0);
    match schedule {
        Schedule::Constant { rate, .. } => *rate,
        Schedule::Step { rate, at: epochs, factor, .. } => {
            let epoch = at.step / at.per_epoch.max(1);
            let passed = epochs.iter().filter(|&&change| epoch >= change).count();
            rate * factor.powi(i32::try_from(passed).unwrap_or(i32::MAX))
        }
        Schedule::Cosine { rate, end, .. } => {
            end + (rate - end) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
        Schedule::Linear { rate, end, .. } => rate + (end - rate) * progress,
        Schedule::OneCycle { peak, warmup, anneal, end } => {
            let last = at.total as f64 - 1.0;
            // The step of the peak: PyTorch's where its curve is asked for.
            let top = if anneal.is_some() { warmup * at.total as f64 - 1.0 } else { warmup * last };
            let (from, to, share) = if step < top {
                (ONE_CYCLE_START, 1.0, step / top)
            } else {
                (1.0, end.unwrap_or(ONE_CYCLE_END), (step - top) / (last - top).max(f64::MIN_POSITIVE))
            };
            let share = match anneal {
                Some(Anneal::Cosine) => 0.5 * (1.0 - (std::f64::consts::PI * share.min(1.0)).cos()),
                Some(Anneal::Linear) | None => share.min(1.0),
            };
            peak * (from + (to - from) * share)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rates(schedule: &Schedule, total: usize, per_epoch: usize) -> Vec<f64> {
        (0..total).map(|step| rate(schedule, Position { step, total, per_epoch })).collect()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn constant_with_warmup() {
        let r = rates(&Schedule::Constant { rate: 1.0, warmup: 0.3 }, 10, 10);
        close(r[0], 0.25);
        close(r[1], 0.5);
        close(r[2], 0.75);
        assert!(r[3..].iter().all(|&x| x == 1.0));
    }

    #[test]
    fn step_falls_at_the_start_of_its_epochs() {
        let r = rates(&Schedule::Step { rate: 1.0, at: vec![2, 3], factor: 0.1, warmup: 0.0 }, 20, 5);
        close(r[9], 1.0);
        close(r[10], 0.1);
        close(r[15], 0.01);
    }

    #[test]
    fn cosine_and_linear_go_from_rate_to_end() {
        for schedule in [
            Schedule::Cosine { rate: 0.5, end: 0.1, warmup: 0.0 },
            Schedule::Linear { rate: 0.5, end: 0.1, warmup: 0.0 },
        ] {
            let r = rates(&schedule, 11, 11);
            close(r[0], 0.5);
            close(r[5], 0.3);
            close(r[10], 0.1);
        }
    }

    #[test]
    fn one_cycle_rises_and_falls() {
        let r = rates(&Schedule::OneCycle { peak: 1.0, warmup: 0.4, anneal: None, end: None }, 11, 11);
        close(r[0], 0.04);
        close(r[2], 0.52);
        close(r[4], 1.0);
        close(r[10], 1e-4);
    }

    /// torch.optim.lr_scheduler.OneCycleLR(SGD, max_lr=1.0, total_steps=10, pct_start=0.3), PyTorch 2.
    #[test]
    fn one_cycle_is_pytorchs_where_it_is_asked_to() {
        let schedule = Schedule::OneCycle { peak: 1.0, warmup: 0.3, anneal: Some(Anneal::Cosine), end: Some(4e-6) };
        let at = |step: usize| rate(&schedule, Position { step, total: 10, per_epoch: 10 });
        let expected = [0.04, 0.52, 1.0, 0.950485, 0.811746, 0.611262, 0.388742, 0.188258, 0.049519, 4e-6];
        for (step, expected) in expected.into_iter().enumerate() {
            assert!((at(step) - expected).abs() < 1e-6, "{step}: {} is not {expected}", at(step));
        }
    }

    proptest! {
        #[test]
        fn rates_stay_between_zero_and_the_top(kind in 0..5, top in 1e-4f64..10.0, warmup in 0.0f64..=1.0, total in 1usize..200, per_epoch in 1usize..50) {
            let schedule = match kind {
                0 => Schedule::Constant { rate: top, warmup },
                1 => Schedule::Step { rate: top, at: vec![1, 2], factor: 0.3, warmup },
                2 => Schedule::Cosine { rate: top, end: 0.0, warmup },
                3 => Schedule::Linear { rate: top, end: 0.0, warmup },
                _ => Schedule::OneCycle { peak: top, warmup, anneal: Some(Anneal::Cosine), end: None },
            };
            for r in rates(&schedule, total, per_epoch) {
                prop_assert!(r.is_finite() && (0.0..=top * (1.0 + 1e-12)).contains(&r), "{r}");
            }
        }
    }
}
