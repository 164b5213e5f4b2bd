//! The result of a history: what `harness history --json` prints.

use serde::{Deserialize, Serialize};

use super::quantity::{Charted, Values};
use crate::analysis::comparison::Terms;
use crate::stats::charts::{Average, Sums};

/// Name and version of the contract.
pub const SCHEMA: &str = "harness.history/1";

/// A night before it is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What is known of the night.
    pub night: Night,
    /// On which terms it was judged.
    pub terms: Terms,
    /// One entry for each quantity that the night has.
    pub values: Vec<Values>,
    /// Why the night cannot be judged at all: damaged, or without a single run.
    pub unusable: Option<String>,
    /// Why it cannot be part of a reference: runs are missing.
    pub incomplete: Option<String>,
    /// Whether it is judged as the newest, whatever its clock said.
    pub newest: bool,
    /// Digests of the soft decisions of its runs, sorted: nights that share one are not independent.
    pub digests: Vec<String>,
}

impl Observed {
    /// The values of one quantity.
    #[must_use]
    pub fn of(&self, charted: Charted) -> Option<&[f64]> {
        self.values.iter().find(|held| held.metric == charted).map(|held| held.values.as_slice())
    }
}

/// One night of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    /// The sweep's folder.
    pub name: String,
    /// Its directory as it was named.
    pub place: String,
    /// When its first run began.
    pub started: jiff::Timestamp,
    /// BLAKE3 of the resolved experiment.
    pub experiment: Option<String>,
    /// Distinct finite runs.
    pub runs: usize,
    /// Runs that it was to have.
    #[serde(default)]
    pub planned: usize,
    /// Keys in which its experiment differs from that of the night before it, but for the seed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// What made its runs, as pairs of a name and a value: commit, data, machine, version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origin: Vec<(String, String)>,
    /// Whether a person accepted it as the procedure that is wanted, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
    /// What it counts as.
    #[serde(default)]
    pub standing: Standing,
    /// The weighted mean of the evidence for worse over all quantities; `null` where it was not judged.
    #[serde(default)]
    pub evidence: Option<f64>,
    /// The same for better.
    #[serde(default)]
    pub evidence_better: Option<f64>,
    /// Nights of the reference that it was held against.
    #[serde(default)]
    pub reference: usize,
    /// Why it stands as it does, a fragment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// That a person wants the procedure of this night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// When it was accepted.
    pub at: jiff::Timestamp,
    /// Who accepted it.
    pub by: String,
    /// The reason, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a night stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// There is nothing before it to be held against.
    #[default]
    First,
    /// Nothing speaks against one procedure, and runs and nights suffice to have found a large change.
    Green,
    /// A person accepted it: the reference begins here.
    Accepted,
    /// The procedure has moved for the better; its nights stay out of the reference until somebody accepts one.
    Better,
    /// Too little evidence for green, not enough for an alarm.
    Undecided,
    /// The procedure has moved.
    Red,
    /// It cannot be held against the others and takes no part.
    LeftOut,
}

impl Standing {
    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Green => "green",
            Self::Accepted => "accepted",
            Self::Better => "better",
            Self::Undecided => "undecided",
            Self::Red => "red",
            Self::LeftOut => "left-out",
        }
    }
}

/// Nights in order of time, with their charts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// [`SCHEMA`]
    pub schema: String,
    /// Whether the newest night stands under alarm: exit code 5.
    pub red: bool,
    /// The nights, oldest first.
    pub sweeps: Vec<Night>,
    /// Nights in the reference, after the newest.
    pub baseline: usize,
    /// Places of these nights.
    #[serde(default)]
    pub reference: Vec<usize>,
    /// Only the newest night counts; always so.
    pub latest_only: bool,
    /// Evidence at which there is an alarm: nights between false alarms.
    #[serde(default)]
    pub limit: f64,
    /// The alarm under which the newest night stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// The fewest nights in a row, with so many runs, in which a change of every quantity could have raised an alarm; `null`
    /// where no number of nights can.
    #[serde(default)]
    pub fastest: Option<usize>,
    /// One chart for each quantity.
    pub charts: Vec<Chart>,
    /// Every alarm there was, in order of time.
    pub signals: Vec<Signal>,
    /// What the reader should know besides, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl History {
    /// The night that is judged.
    #[must_use]
    pub fn newest(&self) -> Option<&Night> {
        self.sweeps.last()
    }
}

/// A standing alarm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Place of the night at which it was raised.
    pub raised: usize,
    /// Place of the night at which the procedure probably moved: where the evidence began to gather.
    pub since: usize,
    /// The quantity with the most evidence.
    pub metric: Charted,
    /// Its evidence when the alarm was raised.
    pub evidence: f64,
    /// Whether it got worse, rather than better.
    pub worse: bool,
}

/// One quantity over the nights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// Which quantity.
    pub metric: Charted,
    /// Mean over the runs of each night; `null` where a night takes no part or has no such value.
    pub values: Vec<Option<f64>>,
    /// Mean of the reference's nights.
    pub centre: f64,
    /// Standard deviation of the reference's nights.
    pub sigma: f64,
    /// Where 99.73 % of further nights of the reference's process lie: centre ∓ t √(1 + 1/n) sigma. A picture, not a rule.
    pub low: f64,
    /// Upper limit that is drawn.
    pub high: f64,
    /// The exponentially weighted moving average (weight 0.2) with its limits. A picture, not a rule.
    pub ewma: Vec<Option<Average>>,
    /// What has gathered on either side of the centre, in sigmas. A picture, not a rule.
    pub cusum: Vec<Option<Sums>>,
    /// Of each night and the one before it.
    pub ranges: Vec<Option<f64>>,
    /// 3.267 mean ranges of the reference's nights.
    pub range_limit: f64,
    /// Evidence for worse after each night.
    pub evidence: Vec<Option<f64>>,
    /// Its weight in the mean over quantities; they sum to 1.
    pub weight: f64,
    /// Whether a night is the unit, since nights of the reference differ by more than the runs within them.
    pub by_night: bool,
}

/// A night at which an alarm was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Place of the night in the history.
    pub sweep: usize,
    /// Which quantity.
    pub metric: Charted,
    /// Always `evidence`: there is one rule.
    pub cause: String,
    /// Whether the value lies above the centre.
    pub above: bool,
    /// The value of the night.
    pub value: f64,
}
