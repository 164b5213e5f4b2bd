//! `harness history`: the nights of one procedure, and when it has moved.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::analysis::nights::{History, Rules, Standing};
use crate::error::{Error, Result};
use crate::report::history::words;
use crate::report::terminal;
use crate::report::text::list;
use crate::workflow::{compare, nights};

/// How nights are judged; shared with `run --against`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Nights")]
pub struct RulesArgs {
    /// How often a false alarm may come while nothing changes: once in so many nights, as 1/365, or as a share
    #[arg(long, value_name = "RATE", default_value = "1/365", value_parser = rate)]
    false_alarm: f64,
    /// Freeze the reference after the first K accepted nights; by default every accepted night enters it
    #[arg(long, value_name = "K")]
    baseline: Option<usize>,
}

impl RulesArgs {
    /// The rules that these arguments ask for.
    pub fn rules(&self) -> Rules {
        Rules { between: 1.0 / self.false_alarm, baseline: self.baseline, ..Rules::default() }
    }
}

/// `1/365` or `0.003`.
fn rate(text: &str) -> std::result::Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| format!("`{text}` is not a number"));
    let rate = match text.split_once('/') {
        Some((one, nights)) => number(one)? / number(nights)?,
        None => number(text)?,
    };
    if rate > 0.0 && rate < 1.0 { Ok(rate) } else { Err(format!("{text} is no rate between 0 and 1 per night")) }
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Sweeps of one experiment, or folders that hold such sweeps
    #[arg(required = true, value_name = "DIR")]
    sweeps: Vec<PathBuf>,
    #[command(flatten)]
    rules: RulesArgs,
    /// Print one JSON object, schema harness.history/1, instead of text
    #[arg(long)]
    json: bool,
    /// Write history.md, its figures and history.json into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Judges the nights, prints, writes with `--out`; how the newest stands decides the exit code.
///
/// # Errors
/// As [`outcome`]; [`Error::Invalid`] for what is no sweep.
pub fn run(args: &HistoryArgs) -> Result<()> {
    let found = nights::history(&args.sweeps, &args.rules.rules())?;
    let look = nights::first_look(&found)?;
    print(&if args.json { compare::json(&found)? } else { terminal::fitted(&text(&found, &look), terminal::width()) })?;
    if let Some(folder) = &args.out {
        nights::write(&found, &look, folder)?;
    }
    outcome(&found)
}

/// The error that a history ends with, unless its newest night is fine.
///
/// # Errors
/// [`Error::Regression`] under alarm, [`Error::Undecided`] with too little evidence for green, [`Error::NotComparable`] for a
/// newest night that cannot be held against the others.
pub fn outcome(found: &History) -> Result<()> {
    let Some(night) = found.newest() else { return Ok(()) };
    match night.standing {
        Standing::Red => Err(Error::Regression(words::headline(found))),
        Standing::Undecided => Err(Error::Undecided(words::headline(found))),
        Standing::First if found.sweeps.len() > 1 => Err(Error::Undecided(words::headline(found))),
        Standing::LeftOut => Err(Error::NotComparable(words::headline(found))),
        Standing::First | Standing::Green | Standing::Accepted | Standing::Better => Ok(()),
    }
}

/// What a person reads.
fn text(found: &History, look: &[String]) -> String {
    let mut text = format!("{}\n", words::headline(found));
    let carriers = words::carriers(found);
    if !carriers.is_empty() {
        text.push_str(&format!("- The evidence is in {}.\n", list(&carriers)));
    }
    for sentence in look {
        text.push_str(&format!("- {sentence}\n"));
    }
    text.push('\n');
    let newest = found.sweeps.len().saturating_sub(1);
    for chart in found.charts.iter().filter(|chart| chart.metric.order().1 == 0) {
        let Some(own) = chart.values.get(newest).copied().flatten() else { continue };
        let value = |value: f64| words::value(chart.metric, value);
        text.push_str(&format!(
            "{}: {} tonight, {} in the reference (nights vary by {})\n",
            words::name(chart.metric),
            value(own),
            value(chart.centre),
            value(chart.sigma)
        ));
    }
    text.push('\n');
    let skipped = found.sweeps.len().saturating_sub(10);
    for night in &found.sweeps[skipped..] {
        let evidence = night.evidence.map_or_else(String::new, |held| format!(", evidence {}", words::evidence(held)));
        text.push_str(&format!(
            "{}  {}  {}{evidence}\n",
            words::date(night.started),
            night.place,
            words::standing(night).replace('*', "")
        ));
    }
    for note in &found.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        assert_eq!(rate("1/100"), Ok(0.01));
        assert_eq!(rate("0.25"), Ok(0.25));
        for wrong in ["0", "1", "-1/5", "a", "1/x", "5/2", "nan"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
