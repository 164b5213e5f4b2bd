//! What the instrument sees: faults of known size planted in single runs, and how often each is flagged among healthy ones.

use serde::{Deserialize, Serialize};

use super::flags::judged;
use super::input::Input;
use super::schema::Settings;
use super::sweep::{self, Known};
use crate::config::{Checkpoints, Data, Experiment, Facts, Schedule, Sweep};
use crate::error::{Error, Result};
use crate::record::SweepReader;
use crate::stats::Logits;
use crate::stats::descriptive::mean;
use crate::stats::rng::Stream as Draws;
use crate::stats::scores::scores;

/// Name and version of `certificate.json`.
pub const SCHEMA: &str = "harness.certificate/1";
/// A fault is seen that is found so often.
pub const SEEN: f64 = 0.9;
/// Sweeps that are put together from healthy runs, and with each faulty one among them.
const SWEEPS: usize = 200;

/// A fault that can be planted in the training of a run.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Faults of one family are alike but for their size.
    pub family: &'static str,
    /// Its name, and that of its folder.
    pub name: &'static str,
    /// What is done, as a fragment.
    pub what: &'static str,
    /// The experiment with the fault; none where it has no such thing.
    pub plant: fn(&Experiment, &Facts) -> Option<Experiment>,
    /// What is done to every weight of the trained network, before it is judged.
    pub after: Option<fn(f32) -> f32>,
}

/// All faults, those of a family from the smallest to the largest.
pub const FAULTS: &[Fault] = &[
    Fault {
        family: "wrong labels",
        name: "labels-5",
        what: "5 % of the training labels are shuffled",
        plant: |e, _| Some(noisy(e, Some(0.05), None)),
        after: None,
    },
    Fault {
        family: "wrong labels",
        name: "labels-10",
        what: "10 % of the training labels are shuffled",
        plant: |e, _| Some(noisy(e, Some(0.10), None)),
        after: None,
    },
    Fault {
        family: "wrong labels",
        name: "labels-30",
        what: "30 % of the training labels are shuffled",
        plant: |e, _| Some(noisy(e, Some(0.30), None)),
        after: None,
    },
    Fault {
        family: "a class's labels",
        name: "class",
        what: "the labels of the last class are drawn at random",
        plant: |e, facts| Some(noisy(e, None, Some((kept(e, facts) - 1) as u32))),
        after: None,
    },
    Fault {
        family: "less data",
        name: "half-data",
        what: "half of the training examples are missing",
        plant: |e, facts| fewer(e, facts, 2),
        after: None,
    },
    Fault {
        family: "less data",
        name: "quarter-data",
        what: "three quarters of the training examples are missing",
        plant: |e, facts| fewer(e, facts, 4),
        after: None,
    },
    Fault {
        family: "higher rate",
        name: "rate-times-3",
        what: "the learning rate is three times as high",
        plant: |e, _| Some(faster(e, 3.0)),
        after: None,
    },
    Fault {
        family: "lower rate",
        name: "rate-over-3",
        what: "the learning rate is a third",
        plant: |e, _| Some(faster(e, 1.0 / 3.0)),
        after: None,
    },
    Fault {
        family: "no augmentation",
        name: "no-augmentation",
        what: "training images are not augmented",
        plant: |e, _| {
            let plain = crate::config::Augment::default();
            (e.data.augment != plain)
                .then(|| Experiment { data: Data { augment: plain, ..e.data.clone() }, ..e.clone() })
        },
        after: None,
    },
    Fault {
        family: "shorter",
        name: "half-epochs",
        what: "training ends after half of the epochs",
        plant: |e, _| {
            let mut planted = e.clone();
            planted.train.epochs = e.train.epochs / 2;
            if let Schedule::Step { at, .. } = &mut planted.train.schedule {
                at.iter_mut().for_each(|epoch| *epoch = (*epoch / 2).max(1));
                at.dedup();
            }
            (planted.train.epochs > 0).then_some(planted)
        },
        after: None,
    },
    Fault {
        family: "rounded weights",
        name: "bf16",
        what: "the weights are rounded to bf16 after training",
        plant: |e, _| Some(e.clone()),
        after: Some(bf16),
    },
    Fault {
        family: "a frozen layer",
        name: "frozen",
        what: "the first layer stays as it was drawn",
        plant: |e, facts| frozen(e, facts),
        after: None,
    },
];

/// Rounded to the nearest number of eight significant bits, ties to the even one: what bf16 keeps.
fn bf16(value: f32) -> f32 {
    if !value.is_finite() {
        return value;
    }
    let bits = value.to_bits();
    f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

/// With the first layer that has weights frozen, besides those that are; none where it is the only one.
fn frozen(experiment: &Experiment, facts: &Facts) -> Option<Experiment> {
    let plan = experiment.plan(facts.shape, kept(experiment, facts)).ok()?;
    let first = plan.named_tensors().first().map(|held| held.0.name.clone())?;
    let mut planted = experiment.clone();
    planted.train.freeze.get_or_insert_default().push(first);
    planted.plan(facts.shape, kept(experiment, facts)).is_ok().then_some(planted)
}

fn kept(experiment: &Experiment, facts: &Facts) -> usize {
    experiment.data.classes.as_ref().map_or(facts.classes, Vec::len)
}

fn noisy(experiment: &Experiment, label_noise: Option<f64>, noisy_class: Option<u32>) -> Experiment {
    let data = Data { label_noise, noisy_class, ..experiment.data.clone() };
    Experiment { data, ..experiment.clone() }
}

/// With one in `of` training examples, where each class keeps one.
fn fewer(experiment: &Experiment, facts: &Facts, of: usize) -> Option<Experiment> {
    let all = experiment.data.train_limit.unwrap_or(usize::MAX).min(facts.train_len);
    let data = Data { train_limit: Some(all / of), ..experiment.data.clone() };
    (all / of >= kept(experiment, facts)).then(|| Experiment { data, ..experiment.clone() })
}

fn faster(experiment: &Experiment, factor: f64) -> Experiment {
    let mut planted = experiment.clone();
    match &mut planted.train.schedule {
        Schedule::Constant { rate, .. } | Schedule::Step { rate, .. } => *rate *= factor,
        Schedule::Cosine { rate, end, .. } | Schedule::Linear { rate, end, .. } => {
            *rate *= factor;
            *end *= factor;
        }
        Schedule::OneCycle { peak, .. } => *peak *= factor,
    }
    planted
}

impl Fault {
    /// The sweep of `runs` runs that have this fault; its runs draw from other seeds than those of the healthy sweep.
    #[must_use]
    pub fn sweep(&self, experiment: &Experiment, facts: &Facts, runs: usize) -> Option<Experiment> {
        let mut planted = (self.plant)(experiment, facts)?;
        planted.name = format!("{}-{}", experiment.name, self.name);
        planted.sweep = Sweep { runs, seed: experiment.sweep.seed ^ 1, ..planted.sweep };
        planted.record.checkpoints = Checkpoints::At(vec![]);
        planted.record.kernel = None;
        Some(planted)
    }
}

/// What was seen of planted faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`SCHEMA`]
    pub schema: String,
    /// The experiment's name.
    pub name: String,
    /// BLAKE3 of the resolved experiment.
    pub experiment: String,
    /// Healthy runs that were trained.
    pub runs: usize,
    /// Runs of each sweep that was judged.
    pub size: usize,
    /// Sweeps that were put together from healthy runs, and with faulty ones.
    pub sweeps: usize,
    /// Mean accuracy of the healthy runs.
    pub accuracy: f64,
    /// Share of the healthy sweeps in which a run was flagged; the healthy runs are the same in many of them.
    pub false_alarms: f64,
    /// What `flags.false_alarm` promises.
    pub promised: f64,
    /// One row for each fault.
    pub faults: Vec<Found>,
    /// A sentence for each fault that could not be planted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How often a fault is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What kind of fault it is.
    pub family: String,
    /// The fault, with its strength.
    pub fault: String,
    /// What was done, as a fragment.
    pub what: String,
    /// Faulty runs that were trained.
    pub runs: usize,
    /// Their mean accuracy.
    pub accuracy: f64,
    /// Share of the sweeps with one of them in which it was flagged.
    pub found: f64,
    /// How many of the faulty runs were flagged in more than half of their sweeps.
    pub runs_found: usize,
    /// Share of these sweeps by flag, the most frequent first.
    pub flags: Vec<(String, f64)>,
}

impl Certificate {
    /// The smallest fault of each family that is found nine times in ten, with the family; none where none is.
    #[must_use]
    pub fn smallest(&self) -> Vec<(&str, Option<&Found>)> {
        let mut families: Vec<&str> = self.faults.iter().map(|fault| fault.family.as_str()).collect();
        families.dedup();
        let least = |family: &str| self.faults.iter().find(|fault| fault.family == family && fault.found >= SEEN);
        families.into_iter().map(|family| (family, least(family))).collect()
    }
}

/// Judges sweeps of `size` runs put together from the healthy runs, and the same with one faulty run; `faulty` are the decisions of the
/// runs with each fault.
///
/// # Errors
/// [`Error::Invalid`] where there are fewer healthy runs than `size`; whatever makes records unreadable.
pub fn certify(
    experiment: &Experiment,
    healthy: &SweepReader,
    faulty: &[(&Fault, Input)],
    size: usize,
    settings: &Settings,
) -> Result<Certificate> {
    let (pool, _) = sweep::decisions(healthy, None, Known::default())?;
    if size < 2 || pool.runs().len() < size {
        return Err(Error::Invalid(format!(
            "{} healthy runs are complete, and sweeps of {size} were to be put together from them: give more `--runs`",
            pool.runs().len()
        )));
    }
    let soft = all(&pool)?;
    let accuracies: Vec<f64> = soft.iter().map(|logits| scores(logits).accuracy).collect();
    let mut alarms = 0;
    for draw in 0..SWEEPS {
        let chosen = chosen(&soft, size, draw, settings.analysis.seed);
        alarms += usize::from(flags(&chosen, settings)?.iter().any(|run| !run.is_empty()));
    }
    let mut found = Vec::new();
    for (fault, input) in faulty {
        found.push(found_of(fault, &soft, &all(input)?, size, settings)?);
    }
    Ok(Certificate {
        schema: SCHEMA.to_owned(),
        name: experiment.name.clone(),
        experiment: experiment.hash(),
        runs: soft.len(),
        size,
        sweeps: SWEEPS,
        accuracy: mean(&accuracies),
        false_alarms: alarms as f64 / SWEEPS as f64,
        promised: settings.flags.false_alarm,
        faults: found,
        notes: Vec::new(),
    })
}

fn all(input: &Input) -> Result<Vec<Logits<'_, f32>>> {
    input.runs().iter().map(|run| input.soft(run)).collect()
}

/// `count` of the runs, without replacement.
fn chosen<'a>(soft: &[Logits<'a, f32>], count: usize, draw: usize, seed: u64) -> Vec<Logits<'a, f32>> {
    let mut places: Vec<usize> = (0..soft.len()).collect();
    Draws::new(seed, draw as u64).shuffle(&mut places);
    places.into_iter().take(count).map(|place| soft[place]).collect()
}

/// The names of the flags of every run.
fn flags(soft: &[Logits<'_, f32>], settings: &Settings) -> Result<Vec<Vec<&'static str>>> {
    let indices: Vec<u32> = (0..soft.len() as u32).collect();
    let runs = judged(soft, &indices, settings)?;
    Ok(runs.iter().map(|run| run.flags.iter().map(|flag| flag.flag.name()).collect()).collect())
}

fn found_of(
    fault: &Fault,
    healthy: &[Logits<'_, f32>],
    faulty: &[Logits<'_, f32>],
    size: usize,
    settings: &Settings,
) -> Result<Found> {
    let mut by_flag: Vec<(String, f64)> = Vec::new();
    let mut by_run = vec![(0usize, 0usize); faulty.len()];
    let mut hits = 0;
    for draw in 0..SWEEPS {
        let place = draw % faulty.len();
        let mut sweep = chosen(healthy, size - 1, draw, settings.analysis.seed);
        sweep.push(faulty[place]);
        let raised = flags(&sweep, settings)?.pop().unwrap_or_default();
        by_run[place].1 += 1;
        if !raised.is_empty() {
            hits += 1;
            by_run[place].0 += 1;
        }
        for flag in raised {
            match by_flag.iter_mut().find(|held| held.0 == flag) {
                Some(held) => held.1 += 1.0 / SWEEPS as f64,
                None => by_flag.push((flag.to_owned(), 1.0 / SWEEPS as f64)),
            }
        }
    }
    by_flag.sort_by(|a, b| b.1.total_cmp(&a.1));
    let accuracies: Vec<f64> = faulty.iter().map(|logits| scores(logits).accuracy).collect();
    Ok(Found {
        family: fault.family.to_owned(),
        fault: fault.name.to_owned(),
        what: fault.what.to_owned(),
        runs: faulty.len(),
        accuracy: mean(&accuracies),
        found: hits as f64 / SWEEPS as f64,
        runs_found: by_run.iter().filter(|(hits, all)| 2 * hits > *all).count(),
        flags: by_flag,
    })
}
