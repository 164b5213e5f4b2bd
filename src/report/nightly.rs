//! What a night comes to, for a chat, a CI page and a CI system.

use super::comparison::words as comparison;
use super::history::words as history;
use super::junit::{Case, Outcome, Suite};
use super::words;
use crate::analysis::Analysis;
use crate::analysis::comparison::Comparison;
use crate::analysis::history::History;
use crate::analysis::numbers::percent;

/// What was found about one new sweep; what could not be made says why.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {
    pub analysis: Analysis,
    pub comparison: Result<Comparison, Missing>,
    pub history: Result<History, Missing>,
}

/// Why there is no comparison or no history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It is too early for one, in words.
    Early(String),
    /// It could not be made, in words.
    Failed(String),
}

impl Night {
    /// Whether any of it is red or could not be made.
    #[must_use]
    pub fn is_red(&self) -> bool {
        let comparison =
            self.comparison.as_ref().map_or_else(|missing| matches!(missing, Missing::Failed(_)), |found| found.red);
        let history =
            self.history.as_ref().map_or_else(|missing| matches!(missing, Missing::Failed(_)), |found| found.red);
        comparison || history
    }
}

/// One paragraph of Markdown.
#[must_use]
pub fn paragraph(night: &Night) -> String {
    let analysis = &night.analysis;
    let colour = if night.is_red() { "red" } else { "green" };
    let mut text = format!("**{}: {colour}.** {}", analysis.source.name, words::headline(analysis));
    if let Some(accuracy) = &analysis.summary.accuracy {
        text.push_str(&format!(" Accuracy is {}.", words::with_spread(accuracy, percent)));
    }
    match &night.comparison {
        Ok(found) => {
            text.push_str(&format!(" Against {}: {}", found.baseline.place, comparison::headline(found)));
            for sentence in comparison::evidence(found).iter().take(3) {
                text.push_str(&format!(" {sentence}"));
            }
        }
        Err(Missing::Early(why) | Missing::Failed(why)) => text.push_str(&format!(" Not compared: {why}.")),
    }
    match &night.history {
        Ok(found) => text.push_str(&format!(" History: {}", history::headline(found))),
        Err(Missing::Early(why) | Missing::Failed(why)) => text.push_str(&format!(" No history: {why}.")),
    }
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line + "\n"
}

/// A case for each test of the comparison and each chart of the history.
#[must_use]
pub fn suites(night: &Night) -> Vec<Suite> {
    let name = &night.analysis.source.name;
    let alone = |missing: &Missing| {
        let outcome = match missing {
            Missing::Early(_) => Outcome::Passed,
            Missing::Failed(why) => Outcome::Errored { message: why.clone() },
        };
        vec![Case { name: "comparable".into(), outcome }]
    };
    let compared = match &night.comparison {
        Err(missing) => alone(missing),
        Ok(found) => found
            .metrics
            .iter()
            .map(|metric| {
                let beyond = found.red && found.beyond().any(|held| held.metric == metric.metric);
                let outcome = if beyond {
                    Outcome::Failed { kind: found.verdict.name().into(), message: comparison::sentence(metric) }
                } else {
                    Outcome::Passed
                };
                Case { name: metric.metric.name().into(), outcome }
            })
            .collect(),
    };
    let charted = match &night.history {
        Err(missing) => alone(missing),
        Ok(found) => {
            let last = found.sweeps.len().saturating_sub(1);
            let of_chart = |chart: &crate::analysis::history::Chart| {
                let signals = found
                    .signals
                    .iter()
                    .filter(|signal| signal.metric == chart.metric && (signal.sweep == last || !found.latest_only));
                let causes: Vec<String> = signals.map(|signal| history::cause(signal.cause).to_owned()).collect();
                let outcome = if causes.is_empty() {
                    Outcome::Passed
                } else {
                    let message = format!("{}: {}", history::name(chart.metric), super::text::list(&causes));
                    Outcome::Failed { kind: "signal".into(), message }
                };
                Case { name: chart.metric.name().into(), outcome }
            };
            found.charts.iter().map(of_chart).collect()
        }
    };
    vec![
        Suite { name: format!("{name}.compare"), cases: compared },
        Suite { name: format!("{name}.history"), cases: charted },
    ]
}
