//! Which runs are atypical, with the value, the limit and a sentence for each reason.
//!
//! The flags are one table, [`FlagKind`]; which quantities are judged as outliers says the table of metrics. Limits are
//! computed so that a sweep of healthy runs carries a flag with the probability `flags.false_alarm`. Start reading at [`judge()`];
//! `by_class` is the flag of single classes.

mod by_class;
mod judge;

use serde::{Deserialize, Serialize};

pub use by_class::{ByClass, named};
pub use judge::{Ground, Judgement, judge, judged};

use super::numbers::percent;
use super::schema::Analysis;
use crate::config::Flags;
use crate::stats::outliers::FEWEST;

macro_rules! flags {
    ($($kind:ident $name:literal: $meaning:literal, $advice:literal;)*) => {
        /// A reason for which a run is atypical.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FlagKind {
            $(#[doc = $meaning] $kind,)*
        }

        impl FlagKind {
            /// All of them, in the order of glossaries.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// As in JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What it means, as a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }

            /// What to look at first, as a sentence.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(Self::$kind => $advice,)* }
            }
        }
    };
}

flags! {
    Diverged "diverged": "Its loss or its outputs were not finite.",
        "Look at its learning curve: a smaller learning rate or a warm-up usually helps.";
    Duplicate "duplicate": "It repeats another run bit for bit.",
        "Give every run its own seed; a repeated run counts once.";
    Alpha "alpha": "How sure it is of the right class is distributed unlike that of the other runs.",
        "Compare the curves of its margins: they show whether it differs as a whole or only in the tail.";
    Accuracy "accuracy": "It gets fewer examples right than the other runs.",
        "Look at the classes and the examples that it alone gets wrong, then at its data and its learning curve.";
    Nll "nll": "Its loss on the test set is larger than that of the other runs.",
        "Look for confident mistakes: wrong labels in training, or training for too long.";
    Ece "ece": "Its probabilities are off by more than those of the other runs.",
        "Look at the reliability curve; a fitted temperature often mends it.";
    Churn "churn": "It decides more examples unlike the other runs than these do among themselves.",
        "Look at the examples on which it stands alone.";
    Kernel "kernel": "Its tangent kernel is unlike those of the other runs.",
        "It learned other features: look at its kernel's spectrum and at the examples on which it stands alone.";
    Class "class": "It gets far fewer examples of one class right than the other runs.",
        "Check that class in this run's training data.";
}

/// A flag of a run: which quantity was over which limit, and in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// Which flag.
    pub flag: FlagKind,
    /// The quantity that was judged, in its own unit.
    pub value: f64,
    /// The limit that it passed, in the same unit.
    pub limit: f64,
    /// A sentence without its final stop.
    pub why: String,
}

/// The limits of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Runs that were judged, M.
    pub runs: usize,
    /// Quantities that were judged, Q, the classes together as one.
    pub quantities: usize,
    /// Of the modified z-score: passed by the largest of the scores of M runs and Q quantities of healthy sweeps with the
    /// probability `false_alarm`.
    pub score: f64,
    /// The same for the scores by class.
    pub class_score: f64,
    /// The chance that a sweep of healthy runs is flagged: as asked for, or what the limit that was set comes to.
    pub false_alarm: f64,
}

/// The flag of a run with non-finite logits.
#[must_use]
pub fn diverged_logits(count: usize) -> Flag {
    let what = if count == 1 {
        "1 of its logits is not finite".to_owned()
    } else {
        format!("{count} of its logits are not finite")
    };
    Flag { flag: FlagKind::Diverged, value: count as f64, limit: 0.0, why: what }
}

/// The flag of a run whose loss was not finite, first at `epoch`.
#[must_use]
pub fn diverged_loss(epoch: usize) -> Flag {
    let why = format!("its loss was not finite at epoch {epoch}");
    Flag { flag: FlagKind::Diverged, value: epoch as f64, limit: 0.0, why }
}

/// The flag of a run that repeats the run called `original`; `what` are its soft decisions or its weights.
#[must_use]
pub fn duplicate(original: &str, what: &str) -> Flag {
    let why = format!("its {what} are bit-equal to those of {original}: the seeds were not independent");
    Flag { flag: FlagKind::Duplicate, value: 1.0, limit: 0.0, why }
}

/// How runs were judged, for a table of facts.
#[must_use]
pub fn limits_in_words(analysis: &Analysis, settings: &Flags) -> String {
    let level = format!("α relative {}", percent(settings.alpha));
    match &analysis.limits {
        None => format!("{level}; fewer than {FEWEST} runs show no outlier, so none was looked for"),
        Some(limits) => {
            let origin = if settings.outlier.is_some() { "as set" } else { "computed" };
            format!(
                "{level}; modified z-score {:.1}, {origin}: a sweep of {} healthy runs is flagged with a probability of {}",
                limits.score,
                limits.runs,
                percent(limits.false_alarm)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_in_the_glossary() {
        for kind in FlagKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(kind.meaning().ends_with('.') && kind.advice().ends_with('.'));
        }
    }
}
