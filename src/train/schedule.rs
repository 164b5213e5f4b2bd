//! The learning rate at each step.

use crate::config::Schedule;

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

/// Share of a one-cycle's peak at which it starts, and at which it ends (Smith & Topin 2019, as PyTorch has them).
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
        Schedule::OneCycle { peak, warmup } => {
            let whole = step / (at.total as f64 - 1.0).max(1.0);
            let (from, to, share) = if whole < *warmup {
                (ONE_CYCLE_START, 1.0, whole / warmup)
            } else {
                (1.0, ONE_CYCLE_END, (whole - warmup) / (1.0 - warmup).max(f64::MIN_POSITIVE))
            };
            peak * (from + (to - from) * share.min(1.0))
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
        let r = rates(&Schedule::OneCycle { peak: 1.0, warmup: 0.4 }, 11, 11);
        close(r[0], 0.04);
        close(r[2], 0.52);
        close(r[4], 1.0);
        close(r[10], 1e-4);
    }

    proptest! {
        #[test]
        fn rates_stay_between_zero_and_the_top(kind in 0..5, top in 1e-4f64..10.0, warmup in 0.0f64..=1.0, total in 1usize..200, per_epoch in 1usize..50) {
            let schedule = match kind {
                0 => Schedule::Constant { rate: top, warmup },
                1 => Schedule::Step { rate: top, at: vec![1, 2], factor: 0.3, warmup },
                2 => Schedule::Cosine { rate: top, end: 0.0, warmup },
                3 => Schedule::Linear { rate: top, end: 0.0, warmup },
                _ => Schedule::OneCycle { peak: top, warmup },
            };
            for r in rates(&schedule, total, per_epoch) {
                prop_assert!(r.is_finite() && (0.0..=top * (1.0 + 1e-12)).contains(&r), "{r}");
            }
        }
    }
}
