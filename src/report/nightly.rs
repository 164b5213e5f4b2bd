//! What a night comes to, for a chat, a CI page and a CI system.

use std::path::Path;

use super::comparison::words as comparison;
use super::history::words as history;
use super::junit::{Case, Outcome, Suite};
use super::{text, words};
use crate::analysis::Analysis;
use crate::analysis::comparison::{Comparison, Verdict};
use crate::analysis::nights::{History, Standing};
use crate::analysis::numbers::percent;

/// Examples that are named, at most.
const EXAMPLES: usize = 5;

/// What was found about one new sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged {
    /// Against one earlier sweep: by its comparison.
    Sweep(Box<Comparison>),
    /// Against a folder of nights: by their history; beside it what to look at first, and the night beside the newest nights
    /// of its reference.
    Nights { history: Box<History>, look: Vec<String>, beside: Option<Box<Comparison>> },
    /// It could not be judged, and why.
    Not(String),
}

impl Judged {
    /// One word for all of it.
    #[must_use]
    pub fn colour(&self) -> &'static str {
        match self {
            Self::Sweep(found) if found.red => "red",
            Self::Sweep(found) if found.verdict == Verdict::Undecided => "undecided",
            Self::Sweep(_) => "green",
            Self::Nights { history, .. } => match history.newest().map(|night| night.standing) {
                Some(Standing::First) if history.sweeps.len() > 1 => "undecided",
                Some(Standing::First) => "first night",
                Some(Standing::LeftOut) | None => "not comparable",
                Some(standing) => standing.name(),
            },
            Self::Not(_) => "not judged",
        }
    }
}

/// One paragraph of Markdown; `report` is where there is more to read.
#[must_use]
pub fn paragraph(name: &str, analysis: Option<&Analysis>, judged: &Judged, report: Option<&Path>) -> String {
    let mut said = format!("**{name}: {}.**", judged.colour());
    match judged {
        Judged::Not(why) => said.push_str(&format!(" {}", text::capital(why))),
        Judged::Sweep(found) => {
            said.push_str(&format!(" Against {}: {}", found.baseline.place, comparison::headline(found)));
            comparison::evidence(found).iter().take(3).for_each(|sentence| said.push_str(&format!(" {sentence}")));
        }
        Judged::Nights { history, look, beside } => {
            said.push_str(&format!(" {}", history::headline(history)));
            look.iter().for_each(|sentence| said.push_str(&format!(" {sentence}")));
            let red = history.red.then_some(()).and(beside.as_ref());
            let examples = red.map(|found| found.votes.examples.iter().take(EXAMPLES)).into_iter().flatten();
            let examples: Vec<String> = examples
                .map(|vote| {
                    format!("{} (label {}, {} became {})", vote.example, vote.label, vote.baseline, vote.candidate)
                })
                .collect();
            if !examples.is_empty() {
                said.push_str(&format!(" Examples to look at: {}.", text::list(&examples)));
            }
        }
    }
    if let Some(analysis) = analysis {
        said.push_str(&format!(" {}", words::headline(analysis)));
        if let Some(accuracy) = &analysis.summary.accuracy {
            said.push_str(&format!(" Accuracy is {}.", words::with_spread(accuracy, percent)));
        }
    }
    if let Some(report) = report {
        said.push_str(&format!(" [Report]({}).", report.display()));
    }
    let line: String = said.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line.trim_end().to_owned() + "\n"
}

/// A case for each quantity, or one that says why there are none.
#[must_use]
pub fn suites(name: &str, judged: &Judged) -> Vec<Suite> {
    match judged {
        Judged::Not(why) => {
            let outcome = Outcome::Errored { message: why.clone() };
            vec![Suite { name: format!("{name}.nights"), cases: vec![Case { name: "night".into(), outcome }] }]
        }
        Judged::Sweep(found) => {
            let cases = found.shown().into_iter().map(|metric| {
                let outcome = match (found.red && metric.finding.is_difference(), found.verdict) {
                    (true, verdict) => {
                        Outcome::Failed { kind: verdict.name().into(), message: comparison::sentence(metric) }
                    }
                    (false, Verdict::Undecided) => Outcome::Errored { message: comparison::why_undecided(found) },
                    _ => Outcome::Passed,
                };
                Case { name: metric.metric.into(), outcome }
            });
            vec![Suite { name: format!("{name}.compare"), cases: cases.collect() }]
        }
        Judged::Nights { history, .. } => {
            let message = history::headline(history);
            let outcome = match judged.colour() {
                "red" => Outcome::Failed { kind: "alarm".into(), message },
                "undecided" | "not comparable" => Outcome::Errored { message },
                _ => Outcome::Passed,
            };
            let newest = history.sweeps.len().saturating_sub(1);
            let mut cases = vec![Case { name: "night".into(), outcome }];
            cases.extend(history.charts.iter().map(|chart| {
                let evidence = chart.evidence.get(newest).copied().flatten().unwrap_or(1.0);
                let outcome = if history.red && evidence >= history.limit {
                    let message = format!("evidence {}", history::evidence(evidence));
                    Outcome::Failed { kind: "evidence".into(), message }
                } else {
                    Outcome::Passed
                };
                Case { name: chart.metric.into(), outcome }
            }));
            vec![Suite { name: format!("{name}.nights"), cases }]
        }
    }
}
