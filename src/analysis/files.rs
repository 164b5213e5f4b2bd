//! Soft decisions that another framework made: `.npz`, `.npy` and Parquet, one file for all runs or one for each.

use std::path::{Path, PathBuf};

use polars::prelude::{DataFrame, DataType};

use super::input::{Input, RunLogits};
use super::numbers::{as_people_count, percent, thousands};
use super::runs_table::RunsTable;
use crate::arrays::{self, Array, Values};
use crate::error::{Error, Result};
use crate::record::{SoftDecisions, table};
use crate::stats::logits::Real;

/// How files are to be understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// `.npy` or `.npz` with the labels, for files that hold none.
    pub labels: Option<PathBuf>,
    /// The numbers are probabilities rather than logits.
    pub probabilities: bool,
    /// Which group of an array `[G, M, N, C]`.
    pub group: Option<usize>,
    /// Runs that are not finite are kept, to be flagged, rather than refused.
    pub diverged: bool,
}

/// Soft decisions in the precision of their files; `f64` where files differ.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyInput {
    /// Logits in single precision.
    F32(Input<f32>),
    /// Logits in double precision.
    F64(Input<f64>),
}

/// What the files hold, and sentences that a reader of the numbers should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    /// Soft decisions and labels.
    pub input: AnyInput,
    /// What the runs are called, where they come from several files.
    pub names: Vec<(u32, String)>,
    /// What the reader should know besides, as sentences.
    pub notes: Vec<String>,
}

/// Reads the files, sorted as people count (`seed2` before `seed10`); their runs are counted from 0 and carry the names of their
/// files where there are several. Labels come from the files (they must agree), else
/// from `reading.labels`.
///
/// # Errors
/// [`Error::Invalid`] with one sentence for whatever is wrong with a file: not there, not its format, another shape, missing
/// labels, a label out of range, NaN, no probabilities.
pub fn read(paths: &[PathBuf], reading: &Reading) -> Result<Foreign> {
    let mut paths: Vec<&PathBuf> = paths.iter().collect();
    paths.sort_by(|a, b| as_people_count(&a.to_string_lossy(), &b.to_string_lossy()));
    let parts = paths.iter().map(|path| Part::read(path, reading)).collect::<Result<Vec<Part>>>()?;
    let labels = labels(&parts, reading)?;
    let first = parts.first().ok_or_else(|| Error::Invalid("there is no file to analyse".into()))?;
    let (examples, classes) = (first.examples, first.classes);
    if let Some(other) = parts.iter().find(|part| (part.examples, part.classes) != (examples, classes)) {
        return Err(Error::Invalid(format!(
            "{} holds {} examples of {} classes but {} holds {} of {}: all runs must be recorded on the same examples",
            first.place, first.examples, first.classes, other.place, other.examples, other.classes
        )));
    }
    if labels.len() != examples {
        return Err(Error::Invalid(format!(
            "there are {} labels, but {} holds {} examples",
            thousands(labels.len()),
            first.place,
            thousands(examples)
        )));
    }
    if classes < 2 {
        return Err(Error::Invalid(format!(
            "the last axis of {} has length {classes}, but at least two classes are needed",
            first.place
        )));
    }
    if let Some((example, label)) = labels.iter().enumerate().find(|&(_, &label)| label as usize >= classes) {
        return Err(Error::Invalid(format!(
            "label {label} of example {example} is out of range: {} holds {classes} classes, 0 to {}",
            first.place,
            classes - 1
        )));
    }
    let names = names(&paths, &parts);
    let ids = ids(&parts)?;
    let narrow = parts.iter().all(|part| matches!(part.values, Values::F32(_)));
    let mut notes = Vec::new();
    let input = if narrow {
        let values = parts.into_iter().map(|part| (part.place, part.values.into_f32())).collect();
        AnyInput::F32(with(assemble(values, labels, classes, reading, &mut notes)?, ids)?)
    } else {
        let values = parts.into_iter().map(|part| (part.place, part.values.into_f64())).collect();
        AnyInput::F64(with(assemble(values, labels, classes, reading, &mut notes)?, ids)?)
    };
    Ok(Foreign { input, names, notes })
}

/// With ids where there are any.
fn with<T: Real>(input: Input<T>, ids: Option<Vec<i64>>) -> Result<Input<T>> {
    match ids {
        Some(ids) => input.with_ids(ids),
        None => Ok(input),
    }
}

/// Ids `[N]`.
fn whole(array: Array, place: &str) -> Result<Vec<i64>> {
    match (array.values, array.shape.len()) {
        (Values::I64(ids), 1) => Ok(ids),
        (Values::U8(ids), 1) => Ok(ids.into_iter().map(i64::from).collect()),
        _ => Err(Error::Invalid(format!("{place} is no row of whole numbers, one for each example"))),
    }
}

/// The ids of the examples; files that have any must agree, so that their rows are of the same examples.
fn ids(parts: &[Part]) -> Result<Option<Vec<i64>>> {
    let mut given = parts.iter().filter_map(|part| Some((part, part.ids.as_ref()?)));
    let Some((first, ids)) = given.next() else { return Ok(None) };
    match given.find(|(_, other)| *other != ids) {
        Some((other, _)) => Err(Error::Invalid(format!(
            "the ids of {} differ from those of {}: runs of one side must be recorded on the same examples in the same order",
            other.place, first.place
        ))),
        None => Ok(Some(ids.clone())),
    }
}

/// One file: runs of one shape, `[runs, examples, classes]`.
struct Part {
    place: String,
    labels: Option<Vec<u32>>,
    ids: Option<Vec<i64>>,
    examples: usize,
    classes: usize,
    values: Values,
}

impl Part {
    fn read(path: &Path, reading: &Reading) -> Result<Self> {
        match extension(path).as_str() {
            "npz" => {
                let archive = arrays::open_npz(path)?;
                let name =
                    if reading.probabilities && archive.contains("probabilities") { "probabilities" } else { "logits" };
                let place = archive.place(name);
                let array = archive.get(name)?;
                let labels = if archive.contains("labels") && reading.labels.is_none() {
                    Some(archive.get("labels")?.into_labels(&archive.place("labels"))?)
                } else {
                    None
                };
                let ids = if archive.contains("ids") {
                    Some(whole(archive.get("ids")?, &archive.place("ids"))?)
                } else {
                    None
                };
                Ok(Self { ids, ..Self::of_array(place, array, labels, reading)? })
            }
            "npy" => Self::of_array(path.display().to_string(), arrays::read_npy(path)?, None, reading),
            "parquet" => Self::of_parquet(path),
            _ if path.is_dir() => Err(Error::Invalid(format!(
                "{} is a directory but not that of a sweep: there is no sweep.json in it",
                path.display()
            ))),
            _ => Err(Error::Invalid(format!(
                "{} is none of .npz, .npy and .parquet, and no sweep's directory",
                path.display()
            ))),
        }
    }

    /// `[N, C]`, `[M, N, C]`, or one group of `[G, M, N, C]`.
    fn of_array(place: String, array: Array, labels: Option<Vec<u32>>, reading: &Reading) -> Result<Self> {
        let shown = format!("{:?}", array.shape);
        let invalid = |what: String| Err(Error::Invalid(format!("{place} has shape {shown}{what}")));
        let (examples, classes, values) = match (array.shape.as_slice(), reading.group) {
            (&[examples, classes], None) | (&[_, examples, classes], None) => (examples, classes, array.values),
            (&[groups, ..], None) if array.shape.len() == 4 => {
                return invalid(format!(
                    ": pick one of its {groups} groups with `--index 0` to `--index {}`",
                    groups.saturating_sub(1)
                ));
            }
            (&[groups, runs, examples, classes], Some(group)) => {
                if group >= groups {
                    return invalid(format!(
                        ", so there is no group {group}: `--index` goes up to {}",
                        groups.saturating_sub(1)
                    ));
                }
                // No overflow: the product of the shape is the number of values.
                let size = runs * examples * classes;
                (examples, classes, slice(array.values, group * size, size))
            }
            (_, Some(_)) => return invalid(": `--index` picks a group of an array of four axes only".into()),
            (_, None) => {
                return invalid(", but soft decisions are [runs, examples, classes] or [examples, classes]".into());
            }
        };
        Ok(Self { place, labels, ids: None, examples, classes, values })
    }

    /// Columns `label` and `z0` …, and perhaps `example`; with a column `run`, of several runs.
    fn of_parquet(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let bytes = arrays::file::bytes(path, "a Parquet file")?;
        let decoded = table::decode(&bytes, &place)?;
        if RunsTable::is_one(&decoded) {
            let RunsTable { labels, classes, values } = RunsTable::read(&decoded, &place)?;
            return Ok(Self { place, examples: labels.len(), labels: Some(labels), ids: None, classes, values });
        }
        let soft = SoftDecisions::decode(&bytes, &place)?;
        let is_wide = |class| decoded.column(&format!("z{class}")).is_ok_and(|held| *held.dtype() == DataType::Float64);
        let wide = (0..soft.classes).any(is_wide);
        let values = if wide { Values::F64(wide_logits(&decoded, &soft, &place)?) } else { Values::F32(soft.logits) };
        Ok(Self { place, labels: Some(soft.labels), ids: None, examples: soft.examples, classes: soft.classes, values })
    }
}

/// The logits of a table whose columns are of double precision, in order of its examples.
fn wide_logits(decoded: &DataFrame, soft: &SoftDecisions, place: &str) -> Result<Vec<f64>> {
    let order: Vec<usize> = if decoded.column("example").is_ok() {
        table::u32s(decoded, "example", place)?.into_iter().map(|example| example as usize).collect()
    } else {
        (0..soft.examples).collect()
    };
    let mut logits = vec![0.0; soft.examples * soft.classes];
    for class in 0..soft.classes {
        for (&row, value) in order.iter().zip(table::f64s(decoded, &format!("z{class}"), place)?) {
            if let Some(held) = logits.get_mut(row * soft.classes + class) {
                *held = value;
            }
        }
    }
    Ok(logits)
}

/// What the runs of several files are called: the file's stem, or its path where stems repeat, with the place in the file
/// where it holds more than one.
fn names(paths: &[&PathBuf], parts: &[Part]) -> Vec<(u32, String)> {
    if paths.len() < 2 {
        return Vec::new();
    }
    let stem = |path: &Path| path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut names = Vec::new();
    for (path, part) in paths.iter().zip(parts) {
        let shared = paths.iter().filter(|other| stem(other) == stem(path)).count() > 1;
        let name = if shared { path.display().to_string() } else { stem(path) };
        let runs = part.values.len() / part.examples.saturating_mul(part.classes).max(1);
        for place in 0..runs {
            let own = if runs > 1 { format!("{name}[{place}]") } else { name.clone() };
            names.push((names.len() as u32, own));
        }
    }
    names
}

fn extension(path: &Path) -> String {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase()
}

fn slice(values: Values, from: usize, count: usize) -> Values {
    fn part<T>(mut values: Vec<T>, from: usize, count: usize) -> Vec<T> {
        values.drain(..from);
        values.truncate(count);
        values.shrink_to_fit();
        values
    }
    match values {
        Values::U8(values) => Values::U8(part(values, from, count)),
        Values::I64(values) => Values::I64(part(values, from, count)),
        Values::F32(values) => Values::F32(part(values, from, count)),
        Values::F64(values) => Values::F64(part(values, from, count)),
    }
}

fn labels(parts: &[Part], reading: &Reading) -> Result<Vec<u32>> {
    if let Some(path) = &reading.labels {
        return match extension(path).as_str() {
            "npz" => {
                let archive = arrays::open_npz(path)?;
                let place = archive.place("labels");
                archive.get("labels")?.into_labels(&place)
            }
            _ => arrays::read_npy(path)?.into_labels(&path.display().to_string()),
        };
    }
    let mut found: Option<(&str, &Vec<u32>)> = None;
    for part in parts {
        match (&part.labels, found) {
            (Some(labels), None) => found = Some((&part.place, labels)),
            (Some(labels), Some((place, first))) if labels != first => {
                return Err(Error::Invalid(format!(
                    "the labels of {} differ from those of {place}: all runs must be recorded on the same examples",
                    part.place
                )));
            }
            _ => {}
        }
    }
    match (found, parts.first()) {
        (Some((_, labels)), _) => Ok(labels.clone()),
        (None, Some(part)) => Err(Error::Invalid(format!(
            "{} comes without labels: name a file that holds them with `--labels`",
            part.place
        ))),
        (None, None) => Ok(Vec::new()),
    }
}

/// A number of a file, with what differs between precisions.
trait Number: Real {
    /// The smallest positive number of full precision: what a probability of 0 is taken for.
    const LEAST: f64;
    fn from_f64(value: f64) -> Self;
}

impl Number for f32 {
    const LEAST: f64 = f32::MIN_POSITIVE as f64;
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Number for f64 {
    const LEAST: f64 = f64::MIN_POSITIVE;
    fn from_f64(value: f64) -> Self {
        value
    }
}

/// Runs from the values of each file, counted through all of them.
fn assemble<T: Number>(
    parts: Vec<(String, Vec<T>)>,
    labels: Vec<u32>,
    classes: usize,
    reading: &Reading,
    notes: &mut Vec<String>,
) -> Result<Input<T>> {
    let size = labels.len().saturating_mul(classes);
    let mut runs: Vec<RunLogits<T>> = Vec::new();
    for (place, mut values) in parts {
        if size == 0 || values.is_empty() {
            return Err(Error::Invalid(format!("{place} holds no soft decisions")));
        }
        // From the end, giving memory back as it goes: never twice the whole.
        let mut of_file = Vec::new();
        while !values.is_empty() {
            of_file.push(values.split_off(values.len().saturating_sub(size)));
            values.shrink_to_fit();
        }
        for logits in of_file.into_iter().rev() {
            runs.push(RunLogits { index: runs.len() as u32, logits });
        }
    }
    if reading.probabilities {
        to_logits(&mut runs, classes, notes)?;
    } else {
        if !reading.diverged {
            refuse_non_finite(&runs, classes)?;
        }
        let looks_like_softmax =
            |run: &RunLogits<T>| run.logits.chunks_exact(classes).all(|row| is_distribution(row, 1e-4));
        if let Some(run) = runs.iter().find(|run| looks_like_softmax(run)) {
            return Err(Error::Invalid(format!(
                "run {} holds probabilities, not logits: every row sums to 1. Say so with `--probabilities`",
                run.index
            )));
        }
    }
    Input::new(labels, classes, runs)
}

fn refuse_non_finite<T: Number>(runs: &[RunLogits<T>], classes: usize) -> Result<()> {
    for run in runs {
        if let Some(place) = run.logits.iter().position(|&value| !value.into().is_finite()) {
            return Err(Error::Invalid(format!(
                "run {} holds {} at example {}, class {}: leave that run out, or flag it with `--diverged`",
                run.index,
                run.logits[place].into(),
                place / classes,
                place % classes
            )));
        }
    }
    Ok(())
}

fn is_distribution<T: Number>(row: &[T], tolerance: f64) -> bool {
    let inside = row.iter().all(|&value| (-tolerance..=1.0 + tolerance).contains(&value.into()));
    inside && (row.iter().map(|&value| value.into()).sum::<f64>() - 1.0).abs() <= tolerance * row.len() as f64
}

/// Probabilities as their logarithms, of which the softmax gives them back.
fn to_logits<T: Number>(runs: &mut [RunLogits<T>], classes: usize, notes: &mut Vec<String>) -> Result<()> {
    // Half-precision softmax sums to 1 within about a thousandth per class.
    const TOLERANCE: f64 = 2e-3;
    let (mut zeros, mut all) = (0usize, 0usize);
    for run in runs {
        for (example, row) in run.logits.chunks_exact_mut(classes).enumerate() {
            if !is_distribution(row, TOLERANCE) {
                let sum: f64 = row.iter().map(|&value| value.into()).sum();
                return Err(Error::Invalid(format!(
                    "example {example} of run {} is no probability distribution (its values sum to {sum}): leave out \
                     `--probabilities` if these are logits",
                    run.index
                )));
            }
            for value in row {
                let probability: f64 = (*value).into();
                zeros += usize::from(probability < T::LEAST);
                all += 1;
                *value = T::from_f64(probability.max(T::LEAST).ln());
            }
        }
    }
    if zeros > 0 {
        notes.push(format!(
            "{} of the probabilities are 0; they count as {:e}, the smallest number of their precision.",
            percent(zeros as f64 / all as f64),
            T::LEAST
        ));
    }
    Ok(())
}
