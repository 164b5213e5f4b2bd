//! Where the difference between runs comes from: a partial grid of seeds, split into the parts of its sources and their
//! interactions ([`components`]); beside it the smallest change there is (one flipped bit), and runs with nothing varied.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::input::{Input, RunLogits};
use super::schema::{Estimate, Settings};
use super::summary::{bootstrap, estimate, estimate_of_pairs};
use super::sweep::{self, Known};
use crate::config::{Experiment, Levels, Stream, Sweep};
use crate::error::{Error, Result};
use crate::kernel::alignment::Centred;
use crate::record::{RunReader, SweepReader};
use crate::stats::alpha_hat::{self, Protocol};
use crate::stats::components::{Part, components, grid};
use crate::stats::descriptive::std;
use crate::stats::duplicates::duplicates;
use crate::stats::logits::softmax_into;
use crate::stats::scores::scores;
use crate::stats::{Logits, Margins, Pairs, Ranking, churn, margins};

/// Name and version of `attribution.json`.
pub const SCHEMA: &str = "harness.attribution/1";

/// Runs of the grid's sweep: `levels` of the first, and what is trained beside the grid at level 0 of every source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    /// In the order of the columns of `levels`.
    pub sources: Vec<Stream>,
    /// A row for each run of the grid: runs 0, 1, ….
    pub levels: Vec<Vec<u64>>,
    /// How many runs follow that repeat run 0.
    pub repeats: usize,
    /// How many runs follow these that repeat run 0 but for one flipped bit.
    pub flips: usize,
}

impl Design {
    /// The grid of at most `runs` runs over `sources`, one repeat of run 0 and, unless `bit` is a source itself, as many flips as a
    /// source has levels.
    ///
    /// # Errors
    /// As [`grid`].
    pub fn new(sources: Vec<Stream>, runs: usize) -> Result<Self> {
        let levels = grid(sources.len(), runs)?;
        let most = levels.iter().flatten().max().map_or(0, |&level| level as usize + 1);
        let flips = if sources.contains(&Stream::Bit) { 0 } else { most.min(10) };
        Ok(Self { sources, levels, repeats: 1, flips })
    }

    /// How many runs it trains.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.levels.len() + self.repeats + self.flips
    }

    /// The `[sweep]` table that trains it, with the seed of `sweep`.
    #[must_use]
    pub fn sweep(&self, sweep: &Sweep) -> Sweep {
        let beside = self.repeats + self.flips;
        let (mut levels, mut vary) = (Levels::default(), self.sources.clone());
        for (place, &source) in self.sources.iter().enumerate() {
            let column = self.levels.iter().map(|row| row[place]).chain(std::iter::repeat_n(0, beside));
            levels.set(source, column.collect());
        }
        if self.flips > 0 {
            let unflipped = std::iter::repeat_n(0, self.levels.len() + self.repeats);
            levels.set(Stream::Bit, unflipped.chain(1..=self.flips as u64).collect());
            vary.push(Stream::Bit);
        }
        Sweep { runs: self.runs(), vary, levels: Some(levels), ..sweep.clone() }
    }

    /// Whether the repeats of run 0 in `grid` are bit-equal to it, as far as they are complete.
    ///
    /// # Errors
    /// Whatever makes the records unreadable.
    pub fn repeats_exactly(&self, grid: &SweepReader) -> Result<bool> {
        let (input, _) = sweep::decisions(grid, None, Known::default())?;
        let repeats = Self::beside(self.levels.len(), self.repeats);
        let held: Vec<&[f32]> =
            input.runs().iter().filter(|run| repeats.contains(&run.index)).map(|run| run.logits.as_slice()).collect();
        Ok(duplicates(&held).iter().filter(|original| original.is_none()).count() <= 1)
    }

    fn grid_runs(&self) -> BTreeSet<u32> {
        (0..self.levels.len() as u32).collect()
    }

    /// Run 0 and the `count` runs from `first` on.
    fn beside(first: usize, count: usize) -> BTreeSet<u32> {
        std::iter::once(0).chain((first..first + count).map(|run| run as u32)).collect()
    }
}

/// The streams that an experiment draws from, in the order in which they are shown: those that `attribute` asks about by itself.
#[must_use]
pub fn sources(experiment: &Experiment) -> Vec<Stream> {
    let augment = experiment.data.augment;
    let drops = experiment.model.drops();
    [
        (Stream::Init, true),
        (Stream::Order, true),
        (Stream::Augment, augment.flip || augment.crop > 0 || augment.cutout > 0),
        (Stream::Dropout, drops),
    ]
    .into_iter()
    .filter_map(|(stream, used)| used.then_some(stream))
    .collect()
}

/// Runs that differ in the same way: which streams vary among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// `all`, `bit`, `none`.
    pub name: String,
    /// The sources that differ between its runs.
    pub vary: Vec<Stream>,
    /// How many runs it has.
    pub runs: usize,
}

/// What was found of all sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// [`SCHEMA`]
    pub schema: String,
    /// The experiment's name.
    pub name: String,
    /// BLAKE3 of the resolved experiment.
    pub experiment: String,
    /// N
    pub examples: usize,
    /// C
    pub classes: usize,
    /// Error level ε of the trimming levels.
    pub epsilon: f64,
    /// The parts of the difference between runs: every source, `interaction`, `implementation` where it was seen, `total`.
    #[serde(default)]
    pub components: Vec<Component>,
    /// Groups of runs: of the grid (`all`), with one flipped bit, with nothing varied.
    pub sources: Vec<Source>,
    /// Runs with one bit flipped at some step, by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spawns: Vec<Spawn>,
    /// Sentences a reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One part of the difference between runs, by each way to measure it. `null` where too few runs have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// A stream's name, `interaction`, `implementation` or `total`.
    pub source: String,
    /// How many levels it has in the grid; 0 for what is no stream.
    pub levels: usize,
    /// Of the mean share of examples that two runs decide differently.
    pub churn: Option<Portion>,
    /// Of ½‖p − p′‖², the mean over examples.
    pub probabilities: Option<Portion>,
    /// Of the variance of accuracy between runs.
    pub accuracy: Option<Portion>,
    /// Of the mean of 1 − CKA of two runs' trace NTKs.
    pub kernel: Option<Portion>,
}

/// A part of a mean distance between runs, with its 95 % interval (jackknife over levels), and what share of the whole it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// The value found.
    pub value: f64,
    /// Low end of the interval.
    pub low: f64,
    /// High end of the interval.
    pub high: f64,
    /// `value` over that of `total`; `null` where runs do not differ.
    pub share: Option<f64>,
}

/// How fast runs part after one bit of one weight was flipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spawn {
    /// Steps done before the flip.
    pub step: u64,
    /// Runs, with the one that has no bit flipped.
    pub runs: usize,
    /// At every checkpoint after the flip.
    pub distances: Vec<Parted>,
}

/// How far apart runs are at one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Parted {
    /// Epochs of training.
    pub epoch: usize,
    /// Mean churn of all pairs.
    pub churn: f64,
    /// Mean of ½‖p − p′‖² of all pairs and examples.
    pub probabilities: f64,
}

/// A number with its 95 % interval over resampled runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The value found.
    pub value: f64,
    /// Low end of the interval.
    pub low: f64,
    /// High end of the interval.
    pub high: f64,
}

/// How far apart the runs of one group are. A number is `null` where fewer than two runs have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What was varied.
    #[serde(flatten)]
    pub variant: Variant,
    /// The epoch that is judged, the last.
    pub epoch: usize,
    /// Complete runs with finite logits, which the numbers are of; bit-equal ones count, being the finding of `none`.
    pub finite: usize,
    /// Those that are not bit-equal to a lower one.
    pub distinct: usize,
    /// Mean accuracy over the runs.
    pub accuracy: Option<Estimate>,
    /// Standard deviation of accuracy over the runs.
    pub accuracy_std: Option<Measure>,
    /// Mean churn of all pairs of runs; in `all`, of those that share no level.
    pub churn: Option<Measure>,
    /// Mean over the runs of α̂ against the others of the group.
    pub alpha_hat: Option<Measure>,
    /// Mean over all pairs of 1 − CKA of their trace NTKs, [0, 1]; in `all`, of those that share no level.
    pub ntk_distance: Option<Measure>,
}

impl Attribution {
    /// The group of that name, if its runs could be read.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|held| held.variant.name == name)
    }

    /// The part of that name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|held| held.source == name)
    }
}

/// Splits what makes the runs of the grid differ. `repeated` holds more runs that repeat run 0, where the first repeat differed
/// from it; `spawned` the sweeps with one bit flipped at a step.
///
/// # Errors
/// Whatever makes the grid's records unreadable, and [`Error::RunsFailed`] where the runs that are complete do not tell the
/// sources apart.
pub fn attribute(
    experiment: &Experiment,
    design: &Design,
    grid: &SweepReader,
    repeated: Option<&SweepReader>,
    spawned: &[(u64, SweepReader)],
    settings: &Settings,
) -> Result<Attribution> {
    let (input, evidence) = sweep::decisions(grid, None, Known::default())?;
    let epoch = evidence.epoch.unwrap_or(experiment.train.epochs);
    let mut found = Attribution {
        schema: SCHEMA.to_owned(),
        name: experiment.name.clone(),
        experiment: experiment.hash(),
        examples: input.examples(),
        classes: input.classes(),
        epsilon: settings.analysis.epsilon,
        components: Vec::new(),
        sources: Vec::new(),
        spawns: Vec::new(),
        notes: Vec::new(),
    };
    let left_out = evidence.left_out.iter().map(|held| format!("Run {} is left out: {}.", held.run, held.why));
    found.notes.extend(left_out);
    let (readers, _) = grid.runs();
    let first = design.levels.len();
    let grid_runs = Group::new(&input, &design.grid_runs(), &readers, epoch)?;
    let repeats = match repeated {
        Some(sweep) => {
            let (input, _) = sweep::decisions(sweep, None, Known::default())?;
            let all = input.runs().iter().map(|run| run.index).collect();
            Group::new(&input, &all, &sweep.runs().0, epoch)?
        }
        None => Group::new(&input, &Design::beside(first, design.repeats), &readers, epoch)?,
    };
    let flips = Group::new(&input, &Design::beside(first + design.repeats, design.flips), &readers, epoch)?;
    found.components = split(design, &grid_runs, &repeats)?;
    let row = |name: &str, vary: &[Stream], group: &Group| {
        let variant = Variant { name: name.to_owned(), vary: vary.to_vec(), runs: group.runs };
        source(variant, epoch, group, settings)
    };
    let mut all = row("all", &design.sources, &grid_runs)?;
    let total = found.component("total");
    all.churn = total.and_then(|part| part.churn).map(Measure::from);
    all.ntk_distance = total.and_then(|part| part.kernel).map(Measure::from);
    found.sources.push(all);
    if design.flips > 0 {
        found.sources.push(row("bit", &[Stream::Bit], &flips)?);
    }
    found.sources.push(row("none", &[], &repeats)?);
    for (step, sweep) in spawned {
        found.spawns.push(spawn(*step, sweep)?);
    }
    if experiment.record.kernel.is_none() {
        found.notes.push(
            "The experiment records no kernels, so there is no NTK distance: add `record.kernel`, or \
             `--set 'record.kernel={ kinds = [\"trace\"], probes = 100 }'`."
                .to_owned(),
        );
    }
    Ok(found)
}

/// Runs that are compared with each other: those with finite logits, in the order of their indices.
struct Group {
    /// How many there should be.
    runs: usize,
    indices: Vec<u32>,
    labels: Vec<u32>,
    classes: usize,
    logits: Vec<Vec<f32>>,
    kernels: Option<Vec<Centred>>,
}

impl Group {
    fn new(input: &Input, wanted: &BTreeSet<u32>, readers: &[RunReader], epoch: usize) -> Result<Self> {
        let finite = |run: &&RunLogits| run.logits.iter().all(|logit| logit.is_finite());
        let kept: Vec<&RunLogits> =
            input.runs().iter().filter(|run| wanted.contains(&run.index)).filter(finite).collect();
        let indices: Vec<u32> = kept.iter().map(|run| run.index).collect();
        let of_kept: Vec<&RunReader> =
            readers.iter().filter(|reader| indices.contains(&(reader.index() as u32))).collect();
        Ok(Self {
            runs: wanted.len(),
            labels: input.labels().to_vec(),
            classes: input.classes(),
            logits: kept.iter().map(|run| run.logits.clone()).collect(),
            kernels: kernels(&of_kept, epoch)?.filter(|held| held.len() == indices.len()),
            indices,
        })
    }

    fn soft(&self) -> Result<Vec<Logits<'_, f32>>> {
        self.logits.iter().map(|logits| Logits::new(logits, &self.labels, self.classes)).collect()
    }

    /// 1 − CKA of every pair; nothing where a run has no trace kernel.
    fn kernel_distances(&self) -> Result<Option<Pairs>> {
        let Some(kernels) = &self.kernels else { return Ok(None) };
        let rows: Vec<Vec<Option<f64>>> = (0..kernels.len())
            .into_par_iter()
            .map(|a| {
                let distance = |other: &Centred| Ok(kernels[a].alignment(other)?.map(|cka| 1.0 - cka));
                kernels[a + 1..].iter().map(distance).collect::<Result<Vec<_>>>()
            })
            .collect::<Result<_>>()?;
        let rows: Option<Vec<Vec<f64>>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        Ok(rows.map(Pairs::from_rows))
    }
}

/// Every example's probabilities, one after the other.
fn probabilities(soft: &Logits<'_, f32>) -> Vec<f64> {
    let mut p = vec![0.0; soft.classes()];
    let mut all = Vec::with_capacity(soft.examples() * soft.classes());
    for (row, _) in soft.rows() {
        softmax_into(row, &mut p);
        all.extend_from_slice(&p);
    }
    all
}

/// The mean over examples of ½‖p − p′‖² of every pair of runs.
fn probability_distances(soft: &[Logits<'_, f32>]) -> Pairs {
    let held: Vec<Vec<f64>> = soft.par_iter().map(probabilities).collect();
    let examples = soft.first().map_or(1, Logits::examples) as f64;
    Pairs::from_fn(held.len(), |a, b| {
        0.5 * held[a].iter().zip(&held[b]).map(|(p, q)| (p - q).powi(2)).sum::<f64>() / examples
    })
}

/// The ways to measure how far two runs are apart that split into parts: churn, probabilities, accuracy, kernels.
fn distances(group: &Group) -> Result<[Option<Pairs>; 4]> {
    let soft = group.soft()?;
    if soft.len() < 2 {
        return Ok([None, None, None, None]);
    }
    let decisions: Vec<Vec<u32>> = soft.par_iter().map(churn::decisions).collect();
    let accuracies: Vec<f64> = soft.par_iter().map(|logits| scores(logits).accuracy).collect();
    Ok([
        Some(churn::pairwise(&decisions)?),
        Some(probability_distances(&soft)),
        Some(Pairs::from_fn(soft.len(), |a, b| 0.5 * (accuracies[a] - accuracies[b]).powi(2))),
        group.kernel_distances()?,
    ])
}

/// Every part of every distance.
fn split(design: &Design, grid: &Group, repeats: &Group) -> Result<Vec<Component>> {
    let levels: Vec<Vec<u64>> = grid.indices.iter().map(|&run| design.levels[run as usize].clone()).collect();
    let sources = design.sources.len();
    // By quantity: sources, interaction, implementation, total.
    let mut columns: Vec<Option<Vec<Portion>>> = Vec::new();
    for (pairs, repeated) in distances(grid)?.into_iter().zip(distances(repeats)?) {
        let Some(pairs) = pairs else {
            columns.push(None);
            continue;
        };
        let parts = components(&pairs, &levels).map_err(|error| {
            Error::RunsFailed(format!("{} of {} runs of the grid are complete: {error}", levels.len(), grid.runs))
        })?;
        let implementation = repeated.map_or(0.0, |pairs| pairs.mean());
        let less = |part: Part| Part {
            value: part.value - implementation,
            low: part.low - implementation,
            high: part.high - implementation,
        };
        let interaction = if sources == 1 { parts.interaction } else { less(parts.interaction) };
        let of_sources = parts.sources.iter().map(|&part| if sources == 1 { less(part) } else { part });
        let total = parts.total.value;
        let portion = |part: Part| Portion {
            value: part.value,
            low: part.low,
            high: part.high,
            share: (total > 0.0).then(|| part.value / total),
        };
        let exact = |value: f64| Part { value, low: value, high: value };
        let all = of_sources.chain([interaction, exact(implementation), parts.total]);
        columns.push(Some(all.map(portion).collect()));
    }
    let column = |quantity: usize, row: usize| columns[quantity].as_ref().map(|column| column[row]);
    let name = |row: usize| match row.checked_sub(sources) {
        None => design.sources[row].name(),
        Some(0) => "interaction",
        Some(1) => "implementation",
        Some(_) => "total",
    };
    let count = |row: usize| {
        let used: BTreeSet<u64> = levels.iter().filter_map(|levels| levels.get(row).copied()).collect();
        used.len()
    };
    let rows = (0..sources + 3).map(|row| Component {
        source: name(row).to_owned(),
        levels: count(row),
        churn: column(0, row),
        probabilities: column(1, row),
        accuracy: column(2, row),
        kernel: column(3, row),
    });
    // Runs that repeat each other exactly have nothing to attribute to the implementation.
    let seen = |row: &Component| {
        row.source != "implementation" || row.probabilities.is_some_and(|portion| portion.value > 0.0)
    };
    // One source has nothing to interact with.
    Ok(rows.filter(seen).filter(|row| sources > 1 || row.source != "interaction").collect())
}

fn spawn(step: u64, sweep: &SweepReader) -> Result<Spawn> {
    let (readers, _) = sweep.runs();
    let mut found = Spawn { step, runs: readers.len(), distances: Vec::new() };
    let epochs: BTreeSet<usize> = readers.iter().flat_map(RunReader::epochs).collect();
    for epoch in epochs {
        let (input, _) = sweep::decisions(sweep, Some(epoch), Known::default())?;
        let all = input.runs().iter().map(|run| run.index).collect();
        let group = Group::new(&input, &all, &[], epoch)?;
        if let [Some(churn), Some(probabilities), ..] = distances(&group)? {
            found.distances.push(Parted { epoch, churn: churn.mean(), probabilities: probabilities.mean() });
        }
    }
    Ok(found)
}

fn source(variant: Variant, epoch: usize, group: &Group, settings: &Settings) -> Result<Source> {
    let soft = group.soft()?;
    let values: Vec<&[f32]> = group.logits.iter().map(Vec::as_slice).collect();
    let accuracies: Vec<f64> = soft.par_iter().map(|logits| scores(logits).accuracy).collect();
    let mut found = Source {
        variant,
        epoch,
        finite: soft.len(),
        distinct: duplicates(&values).iter().filter(|original| original.is_none()).count(),
        accuracy: None,
        accuracy_std: None,
        churn: None,
        alpha_hat: None,
        ntk_distance: None,
    };
    if !accuracies.is_empty() {
        found.accuracy = Some(estimate(&accuracies, settings)?);
    }
    if soft.len() < 2 {
        return Ok(found);
    }
    let spread = bootstrap(settings).interval(&accuracies, std)?;
    found.accuracy_std = Some(Measure { value: spread.estimate, low: spread.low, high: spread.high });
    let decisions: Vec<Vec<u32>> = soft.par_iter().map(churn::decisions).collect();
    found.churn = Some(measure(&estimate_of_pairs(&churn::pairwise(&decisions)?.run_means(), 0.0)?));
    found.alpha_hat = Some(measure(&estimate(&levels(&soft, settings)?, settings)?));
    if let Some(pairs) = group.kernel_distances()? {
        found.ntk_distance = Some(measure(&estimate_of_pairs(&pairs.run_means(), 0.0)?));
    }
    Ok(found)
}

fn measure(estimate: &Estimate) -> Measure {
    Measure {
        value: estimate.mean,
        low: estimate.low.unwrap_or(estimate.mean),
        high: estimate.high.unwrap_or(estimate.mean),
    }
}

impl From<Portion> for Measure {
    fn from(portion: Portion) -> Self {
        Self { value: portion.value, low: portion.low, high: portion.high }
    }
}

/// α̂ of each run against the pooled others.
fn levels(soft: &[Logits<'_, f32>], settings: &Settings) -> Result<Vec<f64>> {
    let judged = &settings.analysis;
    let mut values: Vec<f64> = soft.par_iter().flat_map_iter(margins::label_margins).collect();
    if let Some(limit) = judged.clip {
        margins::clip(&mut values, limit);
    }
    let examples = soft.first().map_or(0, Logits::examples);
    let ranking = Ranking::new(&Margins::new(&values, soft.len(), examples)?)?;
    let protocol =
        Protocol { epsilon: judged.epsilon, bootstraps: judged.bootstraps, seed: judged.seed, literal: judged.literal };
    Ok(alpha_hat::leave_one_out(&ranking, &protocol)?.into_iter().map(|level| level.mean).collect())
}

/// The trace kernels of the runs; nothing where one has none.
fn kernels(runs: &[&RunReader], epoch: usize) -> Result<Option<Vec<Centred>>> {
    if runs.len() < 2 {
        return Ok(None);
    }
    let mut kernels = Vec::with_capacity(runs.len());
    for run in runs {
        let Some(tensors) = run.kernel(epoch)? else { return Ok(None) };
        let Ok((_, values)) = tensors.f32("trace") else { return Ok(None) };
        kernels.push(Centred::new(values)?);
    }
    Ok(Some(kernels))
}

#[cfg(test)]
mod tests {
    use super::super::input::RunLogits;
    use super::*;
    use crate::config;

    fn experiment(sets: &[&str]) -> Experiment {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/digits.toml");
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        config::load(&path, std::iter::empty(), &sets).unwrap()
    }

    #[test]
    fn only_streams_that_are_drawn_from_are_sources() {
        let names = |sets: &[&str]| sources(&experiment(sets)).into_iter().map(Stream::name).collect::<Vec<_>>();
        assert_eq!(names(&[]), ["init", "order", "augment"]);
        assert_eq!(names(&["data.augment.crop=0", "model.dropout=0.1"]), ["init", "order", "dropout"]);
    }

    #[test]
    fn the_sweep_of_a_design_trains_grid_repeats_and_flips() {
        let design = Design::new(vec![Stream::Init, Stream::Order], 10).unwrap();
        let sweep = design.sweep(&Sweep { seed: 7, ..Sweep::default() });
        assert_eq!((design.levels.len(), sweep.runs, sweep.seed), (10, 16, 7));
        assert_eq!(sweep.vary, [Stream::Init, Stream::Order, Stream::Bit]);
        assert_eq!(sweep.levels.as_ref().unwrap().of(Stream::Bit).unwrap()[9..], [0, 0, 1, 2, 3, 4, 5]);
        // Run 10 repeats run 0, run 11 is it but for one bit.
        for stream in [Stream::Init, Stream::Order] {
            assert!([0, 10, 11].iter().all(|&run| sweep.level(stream, run) == 0));
        }
        let none = Design::new(vec![Stream::Init, Stream::Bit], 10).unwrap();
        assert_eq!(none.flips, 0);
        config::validate(&Experiment { sweep, ..experiment(&[]) }).unwrap();
    }

    fn group(logits: &[[f32; 8]]) -> Group {
        Group {
            runs: logits.len(),
            indices: (0..logits.len() as u32).collect(),
            labels: vec![0, 1, 0, 1],
            classes: 2,
            logits: logits.iter().map(|held| held.to_vec()).collect(),
            kernels: None,
        }
    }

    #[test]
    fn numbers_of_three_runs_by_hand() {
        // Decisions on four examples of labels 0, 1, 0, 1: all right; one wrong; two wrong. The fourth is not finite.
        let right = [2.0f32, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0];
        let mut one = right;
        one[0] = -1.0;
        let mut two = one;
        two[2] = 5.0;
        let run = |index, logits: [f32; 8]| RunLogits { index, logits: logits.to_vec() };
        let runs = vec![run(0, right), run(1, one), run(2, two), run(3, [f32::NAN; 8])];
        let input = Input::new(vec![0, 1, 0, 1], 2, runs).unwrap();
        let held = Group::new(&input, &(0..4).collect(), &[], 3).unwrap();
        let variant = Variant { name: "all".into(), vary: vec![Stream::Init], runs: 4 };
        let found = source(variant, 3, &held, &Settings::default()).unwrap();
        assert_eq!((found.finite, found.distinct), (3, 3));
        assert!((found.accuracy.unwrap().mean - 0.75).abs() < 1e-15);
        assert!((found.accuracy_std.unwrap().value - 0.25).abs() < 1e-15);
        // Pairs differ on 1, 2 and 1 of four examples.
        assert!((found.churn.unwrap().value - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(found.ntk_distance, None);
    }

    #[test]
    fn runs_that_one_source_decides_alone_belong_to_it() {
        // Decisions follow the level of the first source only: all of the churn is its own.
        let design = Design::new(vec![Stream::Init, Stream::Order], 10).unwrap();
        let logits: Vec<[f32; 8]> = design
            .levels
            .iter()
            .map(|row| std::array::from_fn(|i| if i % 2 == 1 { 2.0 } else { 3.0 * ((row[0] >> (i / 2)) & 1) as f32 }))
            .collect();
        let parts = split(&design, &group(&logits), &group(&[logits[0], logits[0]])).unwrap();
        let names: Vec<&str> = parts.iter().map(|part| part.source.as_str()).collect();
        assert_eq!(names, ["init", "order", "interaction", "total"]);
        let share = |place: usize| parts[place].churn.unwrap().share.unwrap();
        assert!((share(0) - 1.0).abs() < 1e-12 && share(1).abs() < 0.2, "{parts:?}");
        assert_eq!(parts[0].levels, 5);
        let sum: f64 = (0..3).map(share).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn runs_that_do_not_repeat_give_the_implementation_its_part() {
        let design = Design::new(vec![Stream::Init, Stream::Order], 4).unwrap();
        let right = [2.0f32, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0];
        let mut one = right;
        one[0] = -1.0;
        let parts = split(&design, &group(&[right, one, one, right]), &group(&[right, one])).unwrap();
        let of = |name: &str| parts.iter().find(|part| part.source == name).unwrap().churn.unwrap().value;
        assert_eq!(of("implementation"), 0.25);
        assert!((of("init") + of("order") + of("interaction") + of("implementation") - of("total")).abs() < 1e-15);
    }
}
