//! What a history found, in sentences.

use crate::analysis::history::{Cause, Charted, History, Signal};
use crate::analysis::numbers::{fixed, percent};
use crate::report::words::{count, list};

/// How a quantity is called.
#[must_use]
pub fn name(charted: Charted) -> &'static str {
    match charted {
        Charted::Accuracy => "mean accuracy",
        Charted::Churn => "mean churn",
        Charted::Ece => "mean calibration error",
        Charted::AlphaHat => "mean α̂",
        Charted::KernelAlignment => "kernel alignment with the labels",
    }
}

/// A value: shares in per cent.
#[must_use]
pub fn value(charted: Charted, value: f64) -> String {
    match charted {
        Charted::KernelAlignment => fixed(value, 4),
        _ => percent(value),
    }
}

/// What a rule saw, as a fragment.
#[must_use]
pub fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::BeyondThreeSigma => "beyond three sigmas",
        Cause::TwoOfThreeBeyondTwo => "two of three beyond two sigmas",
        Cause::FourOfFiveBeyondOne => "four of five beyond one sigma",
        Cause::EightOnOneSide => "eight in a row on one side",
        Cause::MovingRange => "a step beyond the limit of moving ranges",
        Cause::Ewma => "the weighted average (EWMA) beyond its limits",
        Cause::Cusum => "the cumulative sum (CUSUM) beyond its limit",
    }
}

/// How many sweeps, and whether the process is where the baseline had it.
#[must_use]
pub fn headline(found: &History) -> String {
    let last = found.sweeps.len().saturating_sub(1);
    let span = match (found.sweeps.first(), found.sweeps.last()) {
        (Some(first), Some(last)) => format!(", {} to {}", date(first.started), date(last.started)),
        _ => String::new(),
    };
    let newest: Vec<&Signal> = found.signals.iter().filter(|signal| signal.sweep == last).collect();
    let earlier = found.signals.len() - newest.len();
    let verdict = match (newest.is_empty(), earlier) {
        (true, 0) => "the process is where the baseline had it".to_owned(),
        (true, _) => format!("the newest sweep gives no signal, earlier ones gave {earlier}"),
        (false, _) => format!("the newest sweep signals: {}", list(&described(&newest))),
    };
    format!("{}{span}, limits from the first {}: {verdict}.", count(found.sweeps.len(), "sweep"), found.baseline)
}

/// Signals of one sweep, a fragment for each quantity.
fn described(signals: &[&Signal]) -> Vec<String> {
    let mut parts = Vec::new();
    for charted in Charted::ALL {
        let own: Vec<&&Signal> = signals.iter().filter(|signal| signal.metric == charted).collect();
        let Some(first) = own.first() else { continue };
        let causes: Vec<String> = own.iter().map(|signal| cause(signal.cause).to_owned()).collect();
        let side = if first.above { "high" } else { "low" };
        parts.push(format!("{} is {side} at {} ({})", name(charted), value(charted, first.value), list(&causes)));
    }
    parts
}

/// What each sweep with signals says, in order of time.
#[must_use]
pub fn signals(found: &History) -> Vec<String> {
    let mut sentences = Vec::new();
    for (place, sweep) in found.sweeps.iter().enumerate() {
        let own: Vec<&Signal> = found.signals.iter().filter(|signal| signal.sweep == place).collect();
        if own.is_empty() {
            continue;
        }
        let changed = if sweep.changed.is_empty() {
            String::new()
        } else {
            format!("; its experiment differs from the one before in {}", list(&sweep.changed))
        };
        sentences.push(format!("{}, {}: {}{changed}.", date(sweep.started), sweep.place, list(&described(&own))));
    }
    sentences
}

/// `2026-11-22`
#[must_use]
pub fn date(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
