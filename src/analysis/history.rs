//! A sequence of sweeps of one experiment, night after night: control charts that say when the procedure has moved.

use serde::{Deserialize, Serialize};

use super::comparison::Terms;
use super::schema::Analysis;
use crate::error::{Error, Result};
use crate::stats::charts::{self, Baseline, Rule};

/// Name and version of the contract.
pub const SCHEMA: &str = "harness.history/1";

/// Weight of the newest value in an EWMA, and its limits in sigmas of the average: tuned together for an in-control run
/// length of about 370 (Montgomery, table 9.11).
const EWMA: (f64, f64) = (0.2, 2.86);
/// Slack and decision interval of a CUSUM in sigmas (Montgomery, table 9.3).
const CUSUM: (f64, f64) = (0.5, 5.0);
/// Sweeps in the baseline if nothing else is said, at most.
const BASELINE: usize = 20;
/// The fewest sweeps of a baseline that is not asked for by number.
pub const FEWEST: usize = 5;
/// Below this, limits are so wide that a reader should know.
const ROUGH: usize = 10;

/// A quantity that is charted, one value per sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charted {
    /// Mean accuracy over the runs.
    Accuracy,
    /// Mean churn of two runs.
    Churn,
    /// Mean calibration error.
    Ece,
    /// Mean trimming level by the published protocol.
    AlphaHat,
    /// Mean centred alignment of the last kernels with the labels.
    KernelAlignment,
}

impl Charted {
    /// In the order of pages.
    pub const ALL: [Self; 5] = [Self::Accuracy, Self::Churn, Self::Ece, Self::AlphaHat, Self::KernelAlignment];

    /// As in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Churn => "churn",
            Self::Ece => "ece",
            Self::AlphaHat => "alpha_hat",
            Self::KernelAlignment => "kernel_alignment",
        }
    }

    fn of(self, analysis: &Analysis) -> Option<f64> {
        let summary = &analysis.summary;
        match self {
            Self::Accuracy => summary.accuracy.as_ref().map(|held| held.mean),
            Self::Churn => summary.mean_churn,
            Self::Ece => summary.ece.as_ref().map(|held| held.mean),
            Self::AlphaHat => summary.alpha_hat.as_ref().map(|held| held.mean),
            Self::KernelAlignment => {
                let runs = &analysis.kernels.last()?.runs;
                let values: Option<Vec<f64>> = runs.iter().map(|run| run.alignment).collect();
                values.filter(|values| !values.is_empty()).map(|values| crate::stats::descriptive::mean(&values))
            }
        }
    }

    /// The least step of the value for `runs` runs judged on `examples`: what varies by less is noise of counting.
    fn resolution(self, examples: usize, runs: usize) -> f64 {
        let decisions = (examples * runs.max(1)).max(1) as f64;
        match self {
            // One run decides one example otherwise; churn counts it against every other run.
            Self::Accuracy | Self::Ece => 1.0 / decisions,
            Self::Churn => 2.0 / decisions,
            // One step of the published grid, for one run.
            Self::AlphaHat => 0.01 / runs.max(1) as f64,
            Self::KernelAlignment => 1e-6,
        }
    }
}

/// One sweep before it is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub sweep: Night,
    pub terms: Terms,
    /// Examples that it was judged on.
    pub examples: usize,
    /// In the order of [`Charted::ALL`]; none where the sweep has no such value.
    pub values: [Option<f64>; 5],
}

impl Observed {
    /// What `analysis` says of a sweep.
    #[must_use]
    pub fn new(place: String, started: jiff::Timestamp, analysis: &Analysis, terms: Terms) -> Self {
        Self {
            sweep: Night {
                name: analysis.source.name.clone(),
                place,
                started,
                experiment: analysis.source.experiment.clone(),
                runs: analysis.independence.distinct,
                changed: Vec::new(),
            },
            terms,
            examples: analysis.examples,
            values: Charted::ALL.map(|charted| charted.of(analysis)),
        }
    }
}

/// One sweep of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    pub name: String,
    /// Its directory as it was named.
    pub place: String,
    pub started: jiff::Timestamp,
    /// BLAKE3 of the resolved experiment.
    pub experiment: Option<String>,
    /// Distinct finite runs.
    pub runs: usize,
    /// Keys in which its experiment differs from that of the sweep before it, but for the seed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// Sweeps in order of time, with their charts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// [`SCHEMA`]
    pub schema: String,
    /// Whether a sweep that counts gives a signal: exit code 5.
    pub red: bool,
    pub sweeps: Vec<Night>,
    /// The first so many sweeps make the limits.
    pub baseline: usize,
    /// Whether only the newest sweep counts.
    pub latest_only: bool,
    pub charts: Vec<Chart>,
    /// After the baseline, in order of time.
    pub signals: Vec<Signal>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The control charts of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    pub metric: Charted,
    /// One for each sweep.
    pub values: Vec<f64>,
    /// Mean of the baseline.
    pub centre: f64,
    /// From the mean moving range of the baseline, widened for a short one, at least the least step of the value.
    pub sigma: f64,
    /// Limits of single values: centre ∓ 3 sigma.
    pub low: f64,
    pub high: f64,
    /// |x_i − x_{i−1}|, one fewer than values.
    pub ranges: Vec<f64>,
    /// Upper limit of the ranges: 3.267 mean ranges, widened in the same way.
    pub range_limit: f64,
    pub ewma: Vec<EwmaPoint>,
    pub cusum: Vec<CusumPoint>,
}

/// The exponentially weighted moving average after a sweep, with its limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EwmaPoint {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// The cumulative sums after a sweep, in sigmas.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CusumPoint {
    pub above: f64,
    pub below: f64,
}

/// Which chart gave a signal, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// One value beyond three sigmas.
    BeyondThreeSigma,
    /// Two of three consecutive values beyond two sigmas on one side.
    TwoOfThreeBeyondTwo,
    /// Four of five consecutive values beyond one sigma on one side.
    FourOfFiveBeyondOne,
    /// Eight consecutive values on one side.
    EightOnOneSide,
    /// A step between two sweeps beyond the limit of moving ranges.
    MovingRange,
    Ewma,
    Cusum,
}

impl From<Rule> for Cause {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::BeyondThreeSigma => Self::BeyondThreeSigma,
            Rule::TwoOfThreeBeyondTwo => Self::TwoOfThreeBeyondTwo,
            Rule::FourOfFiveBeyondOne => Self::FourOfFiveBeyondOne,
            Rule::EightOnOneSide => Self::EightOnOneSide,
        }
    }
}

/// A sweep at which a chart says that the process has moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Place of the sweep in the history.
    pub sweep: usize,
    pub metric: Charted,
    pub cause: Cause,
    /// Whether it moved up.
    pub above: bool,
    pub value: f64,
}

/// Puts the sweeps into order of time and charts them. The first `baseline` make the limits: if none is given, as many as
/// there are but the newest, at most 20. With `latest_only` only signals of the newest sweep make the history red.
///
/// # Errors
/// [`Error::NotComparable`] naming every sweep that differs in its terms from the first; [`Error::Invalid`] for too few sweeps
/// or a baseline that does not fit.
pub fn history(mut observed: Vec<Observed>, baseline: Option<usize>, latest_only: bool) -> Result<History> {
    observed.sort_by(|a, b| (a.sweep.started, &a.sweep.place).cmp(&(b.sweep.started, &b.sweep.place)));
    comparable(&observed)?;
    let count = observed.len();
    let baseline = match baseline {
        Some(wanted) if (2..=count).contains(&wanted) => wanted,
        Some(wanted) => {
            return Err(Error::Invalid(format!(
                "a baseline of {wanted} sweeps does not fit a history of {count}: take from 2 to {count}"
            )));
        }
        None if count > FEWEST => BASELINE.min(count - 1),
        None => {
            return Err(Error::Invalid(format!(
                "{count} sweeps are too few for control charts: {} are needed, or fewer with a `--baseline` of your own",
                FEWEST + 1
            )));
        }
    };
    let mut notes = Vec::new();
    if baseline < ROUGH {
        notes.push(format!(
            "Limits from {baseline} sweeps are wide, since so few say little of how nights differ: only large changes show until \
             there are {ROUGH} or more in the baseline."
        ));
    }
    let (mut charts, mut signals) = (Vec::new(), Vec::new());
    for (place, charted) in Charted::ALL.into_iter().enumerate() {
        let values: Option<Vec<f64>> = observed.iter().map(|held| held.values[place]).collect();
        let Some(values) = values else {
            if observed.iter().any(|held| held.values[place].is_some()) {
                notes.push(format!("There is no chart of {}: not every sweep has it.", charted.name()));
            }
            continue;
        };
        let resolution =
            observed.iter().map(|held| charted.resolution(held.examples, held.sweep.runs)).fold(0.0, f64::max);
        let (chart, found, before) = chart(charted, values, baseline, resolution)?;
        if before > 0 {
            notes.push(format!(
                "{before} of the {baseline} sweeps of the baseline lie beyond the limits of {} themselves: was that period in order?",
                charted.name()
            ));
        }
        charts.push(chart);
        signals.extend(found);
    }
    if charts.is_empty() {
        return Err(Error::Invalid("the sweeps have no quantity in common that could be charted".into()));
    }
    signals.sort_by_key(|signal| signal.sweep);
    let counts = |signal: &Signal| !latest_only || signal.sweep + 1 == count;
    Ok(History {
        schema: SCHEMA.to_owned(),
        red: signals.iter().any(counts),
        sweeps: observed.into_iter().map(|held| held.sweep).collect(),
        baseline,
        latest_only,
        charts,
        signals,
        notes,
    })
}

/// Every sweep must agree with the first.
fn comparable(observed: &[Observed]) -> Result<()> {
    let Some((first, others)) = observed.split_first() else {
        return Err(Error::Invalid("a history needs sweeps".into()));
    };
    let complaints: Vec<String> = others
        .iter()
        .filter_map(|other| {
            let fields = other.terms.differing(&first.terms);
            (!fields.is_empty()).then(|| format!("{} differs in {}", other.sweep.place, fields.join("; ")))
        })
        .collect();
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Error::NotComparable(format!("not comparable with {}: {}", first.sweep.place, complaints.join(", and "))))
}

/// The charts of one quantity, the signals after the baseline, and how many values of the baseline lie beyond its limits.
fn chart(charted: Charted, values: Vec<f64>, baseline: usize, resolution: f64) -> Result<(Chart, Vec<Signal>, usize)> {
    let mut limits = Baseline::new(&values[..baseline])?.widened(baseline)?;
    // A period without spread would make a signal of the least change.
    limits.sigma = limits.sigma.max(resolution);
    let range_limit = limits.range_limit().max(3.0 * resolution);
    let mut signals = Vec::new();
    let mut add = |sweep: usize, cause: Cause, above: bool| {
        signals.push(Signal { sweep, metric: charted, cause, above, value: values[sweep] });
    };
    for signal in charts::western_electric(&values, &limits)? {
        add(signal.index, signal.rule.into(), signal.above);
    }
    let ranges = charts::moving_ranges(&values);
    for (place, &range) in ranges.iter().enumerate() {
        if range > range_limit {
            add(place + 1, Cause::MovingRange, values[place + 1] > values[place]);
        }
    }
    // Averages and sums gather what has happened since the baseline ended, not what happened in it.
    let after = &values[baseline..];
    let ewma = charts::ewma(after, &limits, EWMA.0, EWMA.1)?;
    let cusum = charts::cusum(after, &limits, CUSUM.0, CUSUM.1)?;
    for (place, (ewma, cusum)) in ewma.iter().zip(&cusum).enumerate() {
        if ewma.signal {
            add(baseline + place, Cause::Ewma, ewma.value > limits.centre);
        }
        if cusum.signal {
            add(baseline + place, Cause::Cusum, cusum.above > cusum.below);
        }
    }
    let beyond = signals.iter().filter(|held| held.sweep < baseline && held.cause == Cause::BeyondThreeSigma).count();
    signals.retain(|signal| signal.sweep >= baseline);
    let (low, high) = limits.limits();
    let chart = Chart {
        metric: charted,
        centre: limits.centre,
        sigma: limits.sigma,
        low,
        high,
        ranges,
        range_limit,
        ewma: ewma.into_iter().map(|held| EwmaPoint { value: held.value, low: held.low, high: held.high }).collect(),
        cusum: cusum.into_iter().map(|held| CusumPoint { above: held.above, below: held.below }).collect(),
        values,
    };
    Ok((chart, signals, beyond))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn observed(night: i64, accuracy: f64) -> Observed {
        Observed {
            sweep: Night {
                name: "digits".into(),
                place: format!("night-{night}"),
                started: jiff::Timestamp::from_second(night * 86_400).unwrap(),
                experiment: None,
                runs: 10,
                changed: Vec::new(),
            },
            terms: Terms::default().and("checkpoints", "0, 5".into()),
            examples: 500,
            values: [Some(accuracy), None, None, None, None],
        }
    }

    fn nights(values: &[f64]) -> Vec<Observed> {
        values.iter().zip(0..).map(|(&value, night)| observed(night, value)).collect()
    }

    #[test]
    fn a_drop_is_found_on_its_night_and_by_every_chart_in_the_end() {
        let mut values: Vec<f64> = (0..10).map(|i| 0.98 + if i % 2 == 0 { 0.001 } else { -0.001 }).collect();
        values.extend([0.981, 0.97, 0.97, 0.97]);
        // In any order: time decides.
        let mut sweeps = nights(&values);
        sweeps.reverse();
        let found = history(sweeps, Some(10), false).unwrap();
        assert!(found.red && found.sweeps[0].place == "night-0");
        let chart = &found.charts[0];
        assert!((chart.centre - 0.98).abs() < 1e-12 && (chart.sigma - 1.5 * 0.002 / 1.128).abs() < 1e-5);
        assert_eq!((chart.values.len(), chart.ranges.len(), chart.ewma.len(), chart.cusum.len()), (14, 13, 4, 4));
        let first: Vec<Cause> = found.signals.iter().filter(|s| s.sweep == 11).map(|s| s.cause).collect();
        assert!(first.contains(&Cause::BeyondThreeSigma) && first.contains(&Cause::MovingRange), "{first:?}");
        let last: Vec<Cause> = found.signals.iter().filter(|s| s.sweep == 13).map(|s| s.cause).collect();
        assert!(last.contains(&Cause::Ewma) && last.contains(&Cause::Cusum), "{last:?}");
        assert!(found.signals.iter().all(|signal| !signal.above && signal.sweep >= 11));
    }

    #[test]
    fn only_the_newest_sweep_may_count() {
        let mut values: Vec<f64> = (0..12).map(|i| 0.98 + if i % 2 == 0 { 0.001 } else { -0.001 }).collect();
        values[10] = 0.9;
        values.extend([0.981; 3]);
        let all = history(nights(&values), Some(10), false).unwrap();
        assert!(all.red);
        let mut recovered = values.clone();
        recovered[10] = 0.99;
        let latest = history(nights(&recovered), Some(10), true).unwrap();
        assert!(!latest.signals.is_empty() && !latest.red, "{:?}", latest.signals);
    }

    #[test]
    fn a_history_without_spread_signals_more_than_one_step() {
        let constant = |last: f64| nights(&[0.98, 0.98, 0.98, 0.98, 0.98, 0.98, last]);
        assert!(!history(constant(0.98), None, false).unwrap().red);
        assert!(!history(constant(0.98 + 1.0 / 5000.0), None, false).unwrap().red, "one example of one run");
        assert!(history(constant(0.981), None, false).unwrap().red);
    }

    #[test]
    fn too_few_sweeps_and_strangers_are_refused() {
        assert!(history(nights(&[0.98; 5]), None, false).unwrap_err().to_string().contains("too few"));
        assert!(
            history(nights(&[0.98; 5]), Some(6), false).is_err() && history(nights(&[0.9; 5]), Some(1), false).is_err()
        );
        assert!(history(Vec::new(), None, false).is_err());
        let mut sweeps = nights(&[0.98; 6]);
        sweeps[4].terms = Terms::default().and("checkpoints", "0, 10".into());
        let error = history(sweeps, None, false).unwrap_err();
        assert_eq!(error.exit_code(), crate::error::exit::NOT_COMPARABLE);
        assert_eq!(
            error.to_string(),
            "not comparable with night-0: night-4 differs in checkpoints (0, 10 against 0, 5)"
        );
    }

    #[test]
    fn quiet_nights_stay_quiet_mostly() {
        // Twenty nights of baseline, then one that counts: one chart of seven rules.
        let red = (0..300)
            .filter(|&seed| {
                let mut random = Random::from_parts(5, "nights", seed);
                let values: Vec<f64> =
                    (0..21).map(|_| 0.98 + 0.002 * ((0..12).map(|_| random.uniform()).sum::<f64>() - 6.0)).collect();
                history(nights(&values), Some(20), true).unwrap().red
            })
            .count();
        assert!(red <= 12, "{red} of 300");
    }
}
