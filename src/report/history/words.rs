//! What a history found, in sentences.

use std::borrow::Cow;

use crate::analysis::comparison::Quantity;
use crate::analysis::nights::{Alarm, Charted, History, Night, Standing};
use crate::analysis::numbers::{fixed, percent, significant, thousands};
use crate::report::comparison::words as comparison;
use crate::report::words::count;

/// How a quantity is called.
#[must_use]
pub fn name(charted: Charted) -> Cow<'static, str> {
    match charted {
        Charted::Accuracy => "mean accuracy".into(),
        Charted::Nll => "mean negative log-likelihood".into(),
        Charted::Churn => "mean churn".into(),
        Charted::Ece => "mean calibration error".into(),
        Charted::KernelAlignment => "kernel alignment with the labels".into(),
        Charted::Diverged => "share of diverged runs".into(),
        Charted::ClassAccuracy(class) => comparison::name(Quantity::ClassAccuracy(class)),
    }
}

/// A value: shares in per cent.
#[must_use]
pub fn value(charted: Charted, value: f64) -> String {
    match charted {
        Charted::KernelAlignment => fixed(value, 4),
        Charted::Nll => significant(value),
        _ => percent(value),
    }
}

/// Evidence as a number of at most four digits.
#[must_use]
pub fn evidence(value: f64) -> String {
    match value {
        value if value >= 1e6 => "over a million".to_owned(),
        value if value >= 100.0 => thousands(value.round() as usize),
        value => significant(value),
    }
}

/// The colour of the newest night and what it means, in two or three sentences.
#[must_use]
pub fn headline(found: &History) -> String {
    let Some(night) = found.newest() else { return String::new() };
    let limit = thousands(found.limit.round() as usize);
    let against = format!(
        "{} of {} against {} before it",
        count(night.runs, "run"),
        night.place,
        count(night.reference, "accepted night")
    );
    match (night.standing, &found.alarm) {
        (Standing::Red, Some(alarm)) => format!("Red: {}. {}", moved(found, alarm), stands(found, alarm)),
        (Standing::Better, Some(alarm)) => format!(
            "Better: {}. Its nights stay out of the reference until `harness accept {}` makes them the new one.",
            moved(found, alarm),
            night.place
        ),
        (Standing::Green, _) => format!(
            "Green: {against} show no change for the worse (evidence {}, an alarm at {limit}). {}",
            evidence(night.evidence.unwrap_or(1.0)),
            fastest(found)
        ),
        (Standing::Accepted, _) => {
            let person = night.accepted.as_ref().map_or_else(String::new, |held| {
                let why = held.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                format!(" by {} on {}{why}", held.by, date(held.at))
            });
            format!("Accepted: {} was accepted{person}. The reference begins here.", night.place)
        }
        (Standing::First, _) if found.sweeps.len() > 1 => {
            format!("Undecided: {} has no night to be held against, though the folder holds some.", night.place)
        }
        (Standing::First, _) => format!("First night: {} is judged by nothing yet.", night.place),
        (Standing::LeftOut, _) => format!("Not comparable: {}: {}.", night.place, night.why),
        _ => format!(
            "Undecided: {against}: {} (evidence {}, an alarm at {limit}).",
            night.why,
            evidence(night.evidence.unwrap_or(1.0))
        ),
    }
}

/// The least that a green night says.
fn fastest(found: &History) -> String {
    match found.fastest {
        Some(1) => "A large change would have raised the alarm tonight.".to_owned(),
        Some(nights) => format!("With so many runs an alarm takes at least {nights} nights in a row."),
        None => String::new(),
    }
}

/// `mean accuracy has fallen from 96.90 % to 94.10 %`
fn moved(found: &History, alarm: &Alarm) -> String {
    let Some(chart) = found.charts.iter().find(|chart| chart.metric == alarm.metric) else { return String::new() };
    let since: Vec<f64> = chart.values[alarm.since..].iter().flatten().copied().collect();
    let now = since.iter().sum::<f64>() / since.len().max(1) as f64;
    let verb = if now < chart.centre { "has fallen" } else { "has risen" };
    format!(
        "{} {verb} from {} to {}, probably since {}",
        name(alarm.metric),
        value(alarm.metric, chart.centre),
        value(alarm.metric, now),
        found.sweeps[alarm.since].place
    )
}

fn stands(found: &History, alarm: &Alarm) -> String {
    let night = &found.sweeps[alarm.raised];
    format!(
        "The alarm was raised by {} (evidence {}, an alarm at {}) and stands until the procedure is back, or `harness accept {}` \
         says that this one is wanted.",
        night.place,
        evidence(night.evidence.unwrap_or(alarm.evidence)),
        thousands(found.limit.round() as usize),
        found.newest().map_or("DIR", |night| night.place.as_str())
    )
}

/// Which quantities carry the evidence, the most first.
#[must_use]
pub fn carriers(found: &History) -> Vec<String> {
    let newest = found.sweeps.len().saturating_sub(1);
    let of = |place: usize| move |chart: &crate::analysis::nights::Chart| chart.evidence.get(place).copied().flatten();
    let mut held: Vec<(f64, Charted)> = found
        .charts
        .iter()
        .filter_map(|chart| Some((of(newest)(chart)?, chart.metric)))
        .filter(|held| held.0 > 10.0)
        .collect();
    held.sort_by(|a, b| b.0.total_cmp(&a.0));
    held.into_iter().take(5).map(|(size, metric)| format!("{} ({})", name(metric), evidence(size))).collect()
}

/// How a night stands, as in tables.
#[must_use]
pub fn standing(night: &Night) -> String {
    match night.standing {
        Standing::Red => "**red**".to_owned(),
        Standing::LeftOut => "left out".to_owned(),
        standing => standing.name().to_owned(),
    }
}

/// `2026-11-22`
#[must_use]
pub fn date(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
