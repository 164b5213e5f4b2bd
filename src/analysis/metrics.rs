//! The metrics of a run, each described once: a row of the table below gives the field of [`Run`] and of [`Summary`], the
//! columns of tables and Parquet, the names that comparison and history use, and what a flag needs. To add a metric, write its
//! mathematics in `stats` and a row here.

use serde::{Deserialize, Serialize};

use super::flags::{Flag, FlagKind};
use super::measured::{Measured, Noise};
use super::numbers::{fixed, percent, significant};
use super::schema::{Estimate, Multiplicity, RashomonCapacity};
use crate::stats::logits::Real;

/// What a number of a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share, [0, 1]; written in percent.
    Share,
    /// Natural units of information.
    Nats,
    /// Differences of logits.
    Margin,
    /// A number without a unit.
    Plain,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: only whether there is a difference can be said.
    Neither,
}

/// What a metric's mean is a mean of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// One value for each run.
    Runs,
    /// One value for each pair of runs; that of a run is its mean over the pairs with the others.
    Pairs,
}

/// A number of a run, if it has it.
pub type OfRun = fn(&Run) -> Option<f64>;

/// One metric of a run.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As in JSON, Parquet and on the command line.
    pub key: &'static str,
    /// Head of a column.
    pub short: &'static str,
    /// In a sentence, after "its".
    pub name: &'static str,
    /// What it means, as a fragment.
    pub meaning: &'static str,
    /// How its values are written.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// What one value is of.
    pub over: Over,
    /// Whether it is a column of the table of runs and a line of the figure of where each run stands.
    pub column: bool,
    /// How a number is written.
    pub write: fn(f64) -> String,
    /// The least step of one run's value when it is judged on so many examples.
    pub resolution: fn(usize) -> f64,
    /// The flag that an outlier on the bad side gets, if any.
    pub flag: Option<FlagKind>,
    /// The standard deviation that the examples alone give the metric between healthy runs.
    pub noise: fn(&Noise) -> f64,
    /// An increasing function of the value, given the noise, after which healthy runs spread about evenly to both sides.
    pub even: fn(f64, f64) -> f64,
    /// Of one run.
    pub of: OfRun,
    /// Further numbers of the run that belong to it, by their keys.
    pub beside: &'static [(&'static str, OfRun)],
    /// Over the distinct runs.
    pub estimate: fn(&Summary) -> Option<Estimate>,
    /// Where the estimate of a summary goes.
    pub(super) entry: fn(&mut Summary) -> &mut Option<Estimate>,
}

impl Metric {
    /// The metric of this key.
    #[must_use]
    pub fn by_key(key: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.key == key)
    }
}

/// One decision of one example.
fn one_example(examples: usize) -> f64 {
    1.0 / examples.max(1) as f64
}

/// A continuous quantity: steps are those of rounding.
fn continuous(_examples: usize) -> f64 {
    1e-9
}

fn as_it_is(value: f64, _noise: f64) -> f64 {
    value
}

/// Of a quantity that is 0 or more, and whose spread grows with its size: the logarithm from where the noise no longer matters.
fn logarithm(value: f64, noise: f64) -> f64 {
    (value.max(0.0) + noise.max(1e-12)).ln()
}

/// A distance, three decimals.
fn distance(value: f64) -> String {
    fixed(value, 3)
}

/// A level of the published protocol, which looks no further than one half.
fn level(value: f64) -> String {
    if value >= 0.5 { format!("≥ {}", percent(0.5)) } else { percent(value) }
}

/// Makes [`Run`], [`Summary`] and [`METRICS`] of the rows. `value` is computed from what was measured on all runs (`m`) for the
/// run at place `i`; `beside` are further numbers of the run that belong to the metric and are not summarised.
macro_rules! metrics {
    ($(
        $key:ident $name:literal ($short:literal): $meaning:literal,
        $unit:ident, $better:ident, $over:ident, column $column:literal, write $write:expr, step $step:expr, flag $flag:expr,
        noise |$n:ident| $noise:expr, even $even:expr,
        value |$m:ident, $i:ident| $value:expr,
        beside { $($beside:ident $beside_meaning:literal |$bm:ident, $bi:ident| $beside_value:expr,)* }
    )*) => {
        /// One run. Shares and distances are in [0, 1]; a number that does not exist (of a diverged run, or of a lone run
        /// without a reference) is `null`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct Run {
            /// The run's index.
            pub run: u32,
            /// What the run is called where it came from: the file, or its name in it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub name: Option<String>,
            $(
                #[doc = $meaning]
                #[serde(default)]
                pub $key: Option<f64>,
                $(
                    #[doc = $beside_meaning]
                    #[serde(default)]
                    pub $beside: Option<f64>,
                )*
            )*
            /// The flags that it carries.
            pub flags: Vec<Flag>,
        }

        impl Run {
            /// A run of which nothing is known.
            #[must_use]
            pub fn empty(run: u32) -> Self {
                Self { run, name: None, $($key: None, $($beside: None,)*)* flags: Vec::new() }
            }

            /// The numbers of the run at `place` of `found`, under the index `run`.
            #[must_use]
            pub fn measured<T: Real>(run: u32, found: &Measured<'_, T>, place: usize) -> Self {
                Self {
                    run,
                    name: None,
                    $(
                        $key: { let ($m, $i) = (found, place); $value },
                        $($beside: { let ($bm, $bi) = (found, place); $beside_value },)*
                    )*
                    flags: Vec::new(),
                }
            }
        }

        /// Over the distinct runs that did not diverge.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub struct Summary {
            $(
                #[doc = $meaning]
                #[serde(default)]
                pub $key: Option<Estimate>,
            )*
            /// Mean churn of all pairs.
            pub mean_churn: Option<f64>,
            /// Share of examples on which some run differs from the plurality vote.
            pub ambiguity: Option<f64>,
            /// Largest share of examples on which one run differs from the plurality vote.
            pub discrepancy: Option<f64>,
            /// Ambiguity of near-equal runs, and of a stated number of runs.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub multiplicity: Option<Multiplicity>,
            /// How far the runs could be played against each other on one example.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub rashomon: Option<RashomonCapacity>,
            /// Standard deviation of accuracy if the errors of each example were independent between runs.
            pub std_predicted_independent: Option<f64>,
            /// Standard deviation of accuracy that would remain on an infinite test set (Jordan 2024).
            pub std_distribution: Option<f64>,
        }

        /// Every metric of a run, in the order of tables.
        pub static METRICS: &[Metric] = &[$(Metric {
            key: stringify!($key),
            short: $short,
            name: $name,
            meaning: $meaning,
            unit: Unit::$unit,
            better: Better::$better,
            over: Over::$over,
            column: $column,
            write: $write,
            resolution: $step,
            flag: $flag,
            noise: |$n| $noise,
            even: $even,
            of: |run| run.$key,
            beside: &[$((stringify!($beside), |run| run.$beside),)*],
            estimate: |summary| summary.$key,
            entry: |summary| &mut summary.$key,
        },)*];
    };
}

metrics! {
    accuracy "accuracy" ("accuracy"): "share of right decisions",
    Share, Higher, Runs, column true, write percent, step one_example, flag Some(FlagKind::Accuracy),
    noise |noise| noise.accuracy, even as_it_is,
    value |m, i| Some(m.scores[i].accuracy),
    beside {}

    nll "loss" ("NLL"): "mean negative log-likelihood of the label, nats",
    Nats, Lower, Runs, column true, write significant, step continuous, flag Some(FlagKind::Nll),
    noise |noise| noise.nll, even as_it_is,
    value |m, i| Some(m.scores[i].nll),
    beside {}

    brier "Brier score" ("Brier"): "mean squared distance of the probabilities from the label, [0, 2]",
    Plain, Lower, Runs, column false, write significant, step continuous, flag None,
    noise |_noise| 0.0, even as_it_is,
    value |m, i| Some(m.scores[i].brier),
    beside {}

    ece "calibration error" ("ECE"): "expected calibration error, 15 equal-width bins",
    Share, Lower, Runs, column true, write percent, step one_example, flag Some(FlagKind::Ece),
    noise |noise| noise.ece, even logarithm,
    value |m, i| Some(m.calibration[i].ece),
    beside {
        ece_calibrated "what a perfectly calibrated network of these confidences scores in the mean"
            |m, i| m.calibrated.get(i).map(|found| found.mean),
        ece_calibrated_high "the 95 % point of what a perfectly calibrated network scores"
            |m, i| m.calibrated.get(i).map(|found| found.high),
        ece_p "the chance that a perfectly calibrated network scores at least this ECE"
            |m, i| m.calibrated.get(i).map(|found| found.p),
    }

    ece_adaptive "calibration error with bins of equal mass" ("ECE, equal mass"):
    "expected calibration error, 15 bins of equal mass",
    Share, Lower, Runs, column false, write percent, step one_example, flag None,
    noise |noise| noise.ece, even logarithm,
    value |m, i| Some(m.calibration[i].ece_adaptive),
    beside {}

    ece_classwise "calibration error by class" ("ECE, class-wise"):
    "mean over classes of the calibration error of each class's probability",
    Share, Lower, Runs, column false, write percent, step one_example, flag None,
    noise |noise| noise.ece, even logarithm,
    value |m, i| Some(m.calibration[i].ece_classwise),
    beside {}

    churn "disagreement with the other runs" ("churn"): "mean share of examples decided differently from another run",
    Share, Lower, Pairs, column true, write percent, step one_example, flag Some(FlagKind::Churn),
    noise |noise| noise.churn, even logarithm,
    value |m, i| m.against.as_ref().map(|found| found.churn[i]),
    beside {}

    alpha "exact α" ("α"): "share of examples to be trimmed, exact, at δ",
    Share, Lower, Runs, column true, write percent, step one_example, flag None,
    noise |_noise| 0.0, even as_it_is,
    value |m, i| m.against.as_ref().map(|found| found.levels.runs[i].alpha),
    beside {}

    alpha_relative "relative α" ("α relative"): "share of examples to be trimmed, exact, at the ensemble's own spread",
    Share, Lower, Runs, column true, write percent, step one_example, flag None,
    noise |_noise| 0.0, even as_it_is,
    value |m, i| m.against.as_ref().map(|found| found.levels.runs[i].alpha_relative),
    beside {}

    alpha_hat "α̂" ("α̂"):
    "share of examples to be trimmed, published bootstrap protocol; 0.5 reads \"at least 0.5\"",
    Share, Lower, Runs, column true, write level, step |_| 0.01, flag None,
    noise |_noise| 0.0, even as_it_is,
    value |m, i| m.hat(i).map(|hat| hat.mean),
    beside {
        alpha_hat_low "the 2.5 % point of the single bootstraps of α̂" |m, i| m.hat(i).map(|hat| hat.low),
        alpha_hat_high "the 97.5 % point of the single bootstraps of α̂" |m, i| m.hat(i).map(|hat| hat.high),
        alpha_hat_error "α̂ ± this holds what endless bootstraps would give, 95 %" |m, i| m.hat(i).map(|hat| hat.error),
        alpha_hat_from "the lower end of α̂'s 95 % interval over examples" |m, i| m.hat(i).map(|hat| hat.over_examples.0),
        alpha_hat_to "the upper end of α̂'s 95 % interval over examples" |m, i| m.hat(i).map(|hat| hat.over_examples.1),
    }

    ks "KS distance from the other runs" ("KS"):
    "Kolmogorov–Smirnov distance of the margins from those of the pooled others",
    Share, Lower, Runs, column true, write distance, step one_example, flag Some(FlagKind::Alpha),
    noise |noise| noise.ks, even logarithm,
    value |m, i| m.against.as_ref().map(|found| found.levels.runs[i].ks),
    beside {
        typicality "share of the runs that are at least as far from the others by KS distance"
            |m, i| m.against.as_ref().map(|found| found.typicality[i]),
    }

    wasserstein "W₁ distance from the other runs" ("W₁"):
    "1-Wasserstein distance of the margins from those of the pooled others, in units of the margin",
    Margin, Lower, Runs, column true, write significant, step continuous, flag None,
    noise |_noise| 0.0, even as_it_is,
    value |m, i| m.against.as_ref().and_then(|found| found.wasserstein.get(i).copied()),
    beside {}

    wasserstein_level "W₁ distance beyond the ensemble's own spread" ("W₁ level"):
    "radius of the 1-Wasserstein ball around the other runs' margins that comes within δ_M of the run's, in units of the margin",
    Margin, Lower, Runs, column false, write significant, step continuous, flag None,
    noise |_noise| 0.0, even as_it_is,
    value |m, i| m.against.as_ref().and_then(|found| found.wasserstein_level.get(i).copied()),
    beside {}

    kernel_alignment "alignment of its kernel with the labels" ("kernel, labels"):
    "alignment of the last kernel with the labels of the probes, [-1, 1]",
    Plain, Neither, Runs, column false, write distance, step continuous, flag None,
    noise |_noise| 0.0, even as_it_is,
    value |m, i| m.kernels[i].alignment,
    beside {}

    kernel_cka "alignment of its kernel with those of the other runs" ("kernel, runs"):
    "mean alignment of the last kernel with those of the other runs, [-1, 1]",
    Plain, Higher, Pairs, column false, write distance, step continuous, flag Some(FlagKind::Kernel),
    noise |noise| noise.kernel, even |cka, _noise| -cka.clamp(-1.0, 1.0).acos(),
    value |m, i| m.kernels[i].mean_cka,
    beside {}
}

impl Run {
    /// Whether there is any reason to call this run atypical.
    #[must_use]
    pub fn is_flagged(&self) -> bool {
        !self.flags.is_empty()
    }

    /// `run 4`, or what it is called where it came from.
    #[must_use]
    pub fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("run {}", self.run))
    }

    /// Whether it carries this flag.
    #[must_use]
    pub fn has(&self, flag: FlagKind) -> bool {
        self.flags.iter().any(|held| held.flag == flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_are_those_of_the_json() {
        let run = serde_json::to_value(Run::empty(3)).unwrap();
        let summary = serde_json::to_value(Summary::default()).unwrap();
        for (place, metric) in METRICS.iter().enumerate() {
            assert!(run.get(metric.key).is_some() && summary.get(metric.key).is_some(), "{}", metric.key);
            assert!(METRICS[..place].iter().all(|other| other.key != metric.key));
            assert_eq!(Metric::by_key(metric.key).map(|found| found.name), Some(metric.name));
        }
    }

    #[test]
    fn a_row_reads_its_own_field() {
        let run = Run { ks: Some(0.25), ..Run::empty(0) };
        let filled: Vec<&str> =
            METRICS.iter().filter(|metric| (metric.of)(&run).is_some()).map(|metric| metric.key).collect();
        assert_eq!(filled, ["ks"]);
        assert_eq!(level(0.5), "≥ 50.00 %");
    }
}
