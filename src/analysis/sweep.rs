//! From the records of a sweep to what an analysis takes.

use std::collections::BTreeSet;

use super::checkpoints::checkpoint;
use super::evidence::{Evidence, KernelPair, RawSeries};
use super::independence::{Standing, standings};
use super::input::{Input, RunLogits};
use super::kernels::{self, Snapshot};
use super::schema::{Fact, KernelCheckpoint, LeftOut, Settings};
use super::weights;
use crate::error::{Error, Result};
use crate::kernel::Kind;
use crate::record::{EpochMetrics, Provenance, RunReader, SoftDecisions, SweepReader, layout};

/// What the analysis of a sweep takes from elsewhere than its records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// In label order; empty where the data are not at hand.
    pub class_names: Vec<String>,
    /// How the runs were made, in words.
    pub facts: Vec<Fact>,
}

/// Soft decisions and everything else that the complete runs of a sweep recorded. `probes` says, from the labels `[N]` of
/// the evaluation set and the number of classes, which examples the kernels are of. Broken runs are named and left out.
///
/// # Errors
/// [`Error::RunsFailed`] when no run can be read; [`Error::Invalid`] when no run was recorded at `epoch`, or no epoch was
/// recorded by all runs.
pub fn read(
    sweep: &SweepReader,
    epoch: Option<usize>,
    known: Known,
    probes: impl Fn(&[u32], usize) -> Vec<usize>,
    settings: &Settings,
) -> Result<(Input, Evidence)> {
    let (chosen, mut evidence) = chosen(sweep, epoch, known)?;
    let Chosen { common, input, kept } = chosen;
    let standings = standings(&input, &evidence);
    let distinct: Vec<&RunReader> = kept
        .iter()
        .zip(standings)
        .filter(|(_, standing)| *standing == Standing::Distinct)
        .map(|(run, _)| run)
        .collect();
    evidence.training = training(&distinct);
    for &at in &common {
        let mut missing = Vec::new();
        if let Some((earlier, _)) = soft_decisions(distinct.iter().copied(), at, &mut missing) {
            evidence.checkpoints.push(checkpoint(&earlier?, at, settings)?);
        }
        evidence.notes.extend(
            missing
                .iter()
                .map(|held| format!("Run {} is missing from the table of epoch {at}: {}.", held.run, held.why)),
        );
    }
    let probes = probes(input.labels(), input.classes());
    add_kernels(&mut evidence, &distinct, input.labels(), &probes, settings)?;
    evidence.weight_spectra = weights::read(&distinct, &mut evidence.notes);
    Ok((input, evidence))
}

/// Soft decisions alone, with what tells runs apart and what they are called: enough to choose among them.
///
/// # Errors
/// As [`read`].
pub fn decisions(sweep: &SweepReader, epoch: Option<usize>, known: Known) -> Result<(Input, Evidence)> {
    chosen(sweep, epoch, known).map(|(chosen, evidence)| (chosen.input, evidence))
}

/// The runs that can be judged, and what they decided at one epoch.
struct Chosen {
    /// Epochs that all complete runs recorded.
    common: Vec<usize>,
    input: Input,
    /// In the order of `input`.
    kept: Vec<RunReader>,
}

fn chosen(sweep: &SweepReader, epoch: Option<usize>, known: Known) -> Result<(Chosen, Evidence)> {
    let root = sweep.dir().root().display();
    let (runs, broken) = sweep.runs();
    if let (true, Some(held)) = (runs.is_empty(), broken.iter().find(|held| held.why.is_corrupt())) {
        return Err(Error::Corrupt(format!("no run of {root} can be relied on; run {}: {}", held.run, held.why)));
    }
    let mut left_out: Vec<LeftOut> = broken.iter().map(|held| LeftOut::new(held.run as u32, &held.why)).collect();
    let common = common_epochs(&runs);
    let epoch = judged_epoch(sweep, &runs, &common, epoch)?;
    let (input, kept) = soft_decisions(&runs, epoch, &mut left_out)
        .ok_or_else(|| Error::RunsFailed(format!("no run of {root} can be read at epoch {epoch}")))?;
    let input = input?;
    let kept: Vec<RunReader> = kept.into_iter().cloned().collect();
    left_out.sort_by_key(|held| held.run);
    let manifest = sweep.manifest();
    let mut facts = known.facts;
    facts.extend(kept.first().map(|run| provenance(&run.outcome().provenance)).unwrap_or_default());
    let evidence = Evidence {
        name: manifest.name.clone(),
        experiment: Some(manifest.hash.clone()),
        epoch: Some(epoch),
        class_names: known.class_names,
        facts,
        left_out,
        diverged: kept.iter().filter_map(|run| Some((index(run), run.outcome().diverged?))).collect(),
        weights: kept.iter().filter_map(|run| Some((index(run), weights(run, epoch)?))).collect(),
        ..Evidence::default()
    };
    Ok((Chosen { common, input, kept }, evidence))
}

pub(super) fn index(run: &RunReader) -> u32 {
    run.index() as u32
}

/// The epoch that is asked for, or the last that all runs recorded.
pub(super) fn judged_epoch(
    sweep: &SweepReader,
    runs: &[RunReader],
    common: &[usize],
    wanted: Option<usize>,
) -> Result<usize> {
    let root = sweep.dir().root().display();
    match wanted {
        Some(epoch) if common.contains(&epoch) => Ok(epoch),
        Some(epoch) => {
            let list: Vec<String> = common.iter().map(usize::to_string).collect();
            Err(Error::Invalid(format!(
                "epoch {epoch} of {root} was not recorded by all runs: choose one of {}",
                if list.is_empty() { "none".to_owned() } else { list.join(", ") }
            )))
        }
        None if runs.is_empty() => {
            Err(Error::RunsFailed(format!("no run of {root} is complete, so there is nothing to analyse")))
        }
        None => common.last().copied().ok_or_else(|| {
            Error::Invalid(format!("the runs of {root} have no recorded epoch in common: they cannot be compared"))
        }),
    }
}

/// Epochs that every run recorded.
pub(super) fn common_epochs(runs: &[RunReader]) -> Vec<usize> {
    let sets = runs.iter().map(|run| run.epochs().into_iter().collect::<BTreeSet<usize>>());
    let common = sets.reduce(|common, next| common.intersection(&next).copied().collect());
    common.unwrap_or_default().into_iter().collect()
}

/// Soft decisions of the runs that can be read and that were judged on the examples of the first of them; the others are
/// named. Nothing when none can be read.
pub(super) fn soft_decisions<'a>(
    runs: impl IntoIterator<Item = &'a RunReader>,
    epoch: usize,
    left_out: &mut Vec<LeftOut>,
) -> Option<(Result<Input>, Vec<&'a RunReader>)> {
    let mut first: Option<(Vec<u32>, usize)> = None;
    let (mut logits, mut kept) = (Vec::new(), Vec::new());
    for run in runs {
        match run.soft(epoch) {
            Err(error) => left_out.push(LeftOut::new(index(run), &error)),
            Ok(SoftDecisions { classes, labels, logits: values, .. }) => {
                let (expected, of) = first.get_or_insert_with(|| (labels.clone(), classes));
                if *expected == labels && *of == classes {
                    logits.push(RunLogits { index: index(run), logits: values });
                    kept.push(run);
                } else {
                    let why = "it was judged on other examples than the runs before it".to_owned();
                    left_out.push(LeftOut { run: index(run), why, damaged: true });
                }
            }
        }
    }
    let (labels, classes) = first?;
    Some((Input::new(labels, classes, logits), kept))
}

/// The digest of the weights at `epoch`, if they were kept.
pub(super) fn weights(run: &RunReader, epoch: usize) -> Option<String> {
    let path = layout::checkpoint_file(epoch, layout::WEIGHTS);
    run.files().iter().find(|file| file.path == path).map(|file| file.blake3.clone())
}

/// Loss, accuracy, learning rate and seconds after each epoch; a run whose metrics cannot be read is not drawn.
fn training(runs: &[&RunReader]) -> Vec<RawSeries> {
    type Value = fn(&EpochMetrics) -> f64;
    const QUANTITIES: [(&str, Value); 4] = [
        ("loss", |row| row.loss),
        ("accuracy", |row| row.accuracy),
        ("learning_rate", |row| row.learning_rate),
        ("seconds", |row| row.seconds),
    ];
    let metrics: Vec<(u32, Vec<EpochMetrics>)> =
        runs.iter().filter_map(|run| Some((index(run), run.metrics().ok()?))).collect();
    let epochs: BTreeSet<usize> = metrics.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.epoch)).collect();
    if epochs.is_empty() {
        return Vec::new();
    }
    QUANTITIES
        .iter()
        .map(|(name, value)| RawSeries {
            name: (*name).to_owned(),
            x: epochs.iter().map(|&epoch| epoch as f64).collect(),
            runs: metrics
                .iter()
                .map(|(run, rows)| {
                    let at = |epoch: &usize| rows.iter().find(|row| row.epoch == *epoch).map(value);
                    (*run, epochs.iter().map(|epoch| at(epoch).filter(|value| value.is_finite())).collect())
                })
                .collect(),
        })
        .collect()
}

/// The kernels of every recorded epoch: the trace kernels, and beside them those of the other kinds.
fn add_kernels(
    evidence: &mut Evidence,
    runs: &[&RunReader],
    labels: &[u32],
    probes: &[usize],
    settings: &Settings,
) -> Result<()> {
    // Every run of a sweep records the same kinds.
    let known = runs.iter().find_map(|run| run.kernel(*run.epochs_with(layout::KERNEL).first()?).ok().flatten());
    let recorded = |kind: &Kind| known.as_ref().is_some_and(|file| file.get(kind.name()).is_some());
    for kind in Kind::ALL.into_iter().filter(|kind| *kind == Kind::Trace || recorded(kind)) {
        let (checkpoints, pairs) = of_kind(kind, runs, (labels, probes), settings, &mut evidence.notes)?;
        if kind == Kind::Trace {
            (evidence.kernels, evidence.kernel_pairs) = (checkpoints, pairs);
        } else {
            evidence.other_kernels.extend(checkpoints);
        }
    }
    Ok(())
}

/// The kernels of one kind in order of epochs, and the alignment of every two runs at the last.
fn of_kind(
    kind: Kind,
    runs: &[&RunReader],
    (labels, probes): (&[u32], &[usize]),
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<(Vec<KernelCheckpoint>, Vec<KernelPair>)> {
    let epochs: BTreeSet<usize> = runs.iter().flat_map(|run| run.epochs_with(layout::KERNEL)).collect();
    let (mut last, mut checkpoints, mut of_last, mut found) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Backwards: earlier kernels are compared with the last.
    for &epoch in epochs.iter().rev() {
        let snapshots = snapshots(runs, epoch, kind, notes);
        let Some(first) = snapshots.first() else { continue };
        let side = first.kernel.len().isqrt();
        let of_probes: Vec<u32> = probes.iter().filter_map(|&probe| labels.get(probe).copied()).collect();
        let of_probes = if of_probes.len() == side { of_probes } else { Vec::new() };
        let is_last = checkpoints.is_empty();
        if is_last {
            last = kernels::centred(&snapshots)?;
        }
        let (mut checkpoint, pairs) = kernels::checkpoint(epoch, &snapshots, &of_probes, &last, settings)?;
        checkpoint.kind = kind.name().to_owned();
        if is_last {
            of_last = pairs;
        }
        checkpoints.push(checkpoint);
        found.push(kernels::of_runs(&snapshots, &of_probes)?);
    }
    checkpoints.reverse();
    found.reverse();
    kernels::note_risen(&mut checkpoints, &found);
    Ok((checkpoints, of_last))
}

/// The kernels of one kind and epoch that can be used: finite, square, and of one size.
pub(super) fn snapshots(runs: &[&RunReader], epoch: usize, kind: Kind, notes: &mut Vec<String>) -> Vec<Snapshot> {
    let mut kept: Vec<Snapshot> = Vec::new();
    for run in runs {
        let read = run.kernel(epoch).and_then(|found| match found {
            None => Ok(None),
            Some(mut tensors) => match tensors.remove(kind.name()) {
                None => Ok(None),
                Some((shape, values)) => usable(&shape, values, kept.first()).map(Some),
            },
        });
        match read {
            Ok(Some(kernel)) => kept.push(Snapshot { run: index(run), kernel }),
            Ok(None) => {}
            Err(error) => {
                let note = format!("The kernel of run {} at epoch {epoch} is left out: {error}.", run.index());
                // A file that cannot be read lacks every kind, and is named once.
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
    }
    kept
}

fn usable(shape: &[usize], values: crate::record::Values, first: Option<&Snapshot>) -> Result<Vec<f32>> {
    let crate::record::Values::F32(kernel) = values else {
        return Err(Error::Corrupt("it is not of type f32".into()));
    };
    if !matches!(shape, [rows, columns] if rows == columns && *rows > 0) {
        return Err(Error::Corrupt(format!("its shape is {shape:?}, not square")));
    }
    if !kernel.iter().all(|value| value.is_finite()) {
        return Err(Error::Corrupt("it holds values that are not finite".into()));
    }
    if first.is_some_and(|first| first.kernel.len() != kernel.len()) {
        return Err(Error::Corrupt("it is of another size than those of the runs before it".into()));
    }
    Ok(kernel)
}

/// A device as its library prints it, `Device<Flex(Cpu)>`, as people say it.
fn device(printed: &str) -> String {
    let inner = printed.strip_prefix("Device<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(printed);
    let own = inner.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(inner);
    if own.eq_ignore_ascii_case("cpu") || own.is_empty() { "CPU".to_owned() } else { own.to_owned() }
}

/// Where the runs were made; times are left out, so that a report of the same results has the same bytes.
fn provenance(origin: &Provenance) -> Vec<Fact> {
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    let commit = origin.git_commit.as_ref().map(|commit| {
        format!("{commit}{}", if origin.git_dirty == Some(true) { " with changes that were not committed" } else { "" })
    });
    let mut facts = vec![fact("harness", origin.version.clone())];
    facts.extend(commit.map(|commit| fact("commit", commit)));
    facts.extend(origin.data_digest.clone().map(|digest| fact("data (BLAKE3)", digest)));
    facts.push(fact("backend, device", format!("{}, {}", origin.backend, device(&origin.device))));
    facts.push(fact("threads per run", origin.threads.to_string()));
    facts.push(fact("machine", format!("{}, {}, {}", origin.host, origin.system, origin.cpu)));
    facts
}
