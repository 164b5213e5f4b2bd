//! Which source of randomness makes runs differ: the same experiment with one random stream varied at a time
//! (Summers & Dinneen 2021, table 1, for one's own network), and how far each drives runs apart.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::input::Input;
use super::schema::{Estimate, Settings};
use super::summary::{bootstrap, estimate, estimate_of_pairs};
use super::sweep::{self, Known};
use crate::config::{Experiment, Stream};
use crate::error::Result;
use crate::kernel::alignment::Centred;
use crate::record::{RunReader, SweepReader};
use crate::stats::alpha_hat::{self, Protocol};
use crate::stats::descriptive::std;
use crate::stats::duplicates::duplicates;
use crate::stats::scores::scores;
use crate::stats::{Logits, Margins, Pairs, Ranking, churn, margins};

/// Name and version of `attribution.json`.
pub const SCHEMA: &str = "harness.attribution/1";

/// One sweep of an attribution: which streams vary in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The stream's name, `all`, `none`.
    pub name: String,
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
    pub epsilon: f64,
    /// In the order in which they are shown: each stream alone, `bit`, all together, none.
    pub sources: Vec<Source>,
    /// Sentences a reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A number with its 95 % interval over resampled runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// How far apart runs are that differ in one source of randomness only. A number is `null` where fewer than two runs have
/// it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
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
    /// Mean churn of all pairs of runs.
    pub churn: Option<Measure>,
    /// Mean over the runs of α̂ against the others of the same source.
    pub alpha_hat: Option<Measure>,
    /// Mean over all pairs of 1 − CKA of their trace NTKs, [0, 1].
    pub ntk_distance: Option<Measure>,
}

impl Attribution {
    /// The source of that name, if its sweep could be read.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|held| held.variant.name == name)
    }
}

/// The sweeps of an attribution: each stream that the experiment draws from alone, `bit`, all together, and none, which
/// needs two runs only. `all` comes first: its run 0 is that of every other sweep too.
#[must_use]
pub fn variants(experiment: &Experiment, runs: usize) -> Vec<Variant> {
    let augment = experiment.data.augment;
    let drops = experiment.model.drops();
    let streams = [
        (Stream::Init, true),
        (Stream::Order, true),
        (Stream::Augment, augment.flip || augment.crop > 0 || augment.cutout > 0),
        (Stream::Dropout, drops),
    ];
    let used: Vec<Stream> = streams.into_iter().filter(|(_, used)| *used).map(|(stream, _)| stream).collect();
    let alone = used.iter().chain(&[Stream::Bit]).map(|&stream| (stream.name(), vec![stream], runs));
    std::iter::once(("all", used.clone(), runs))
        .chain(alone)
        .chain([("none", Vec::new(), 2)])
        .map(|(name, vary, runs)| Variant { name: name.to_owned(), vary, runs })
        .collect()
}

/// Everything about the sources whose sweeps can be read, each with its variant; `order` of the result is that of a table.
///
/// # Errors
/// Whatever makes the records of the first sweep unreadable; other sweeps are named in the notes and left out.
pub fn attribute(
    experiment: &Experiment,
    sweeps: &[(Variant, SweepReader)],
    settings: &Settings,
) -> Result<Attribution> {
    let mut found = Attribution {
        schema: SCHEMA.to_owned(),
        name: experiment.name.clone(),
        experiment: experiment.hash(),
        examples: 0,
        classes: 0,
        epsilon: settings.analysis.epsilon,
        sources: Vec::new(),
        notes: Vec::new(),
    };
    for (place, (variant, reader)) in sweeps.iter().enumerate() {
        let read = sweep::decisions(reader, None, Known::default());
        let (input, evidence) = match read {
            Err(error) if place > 0 => {
                found.notes.push(format!("`{}` is left out: {error}.", variant.name));
                continue;
            }
            read => read?,
        };
        (found.examples, found.classes) = (input.examples(), input.classes());
        for held in &evidence.left_out {
            found.notes.push(format!("Run {} of `{}` is left out: {}.", held.run, variant.name, held.why));
        }
        let epoch = evidence.epoch.unwrap_or(experiment.train.epochs);
        let (runs, _) = reader.runs();
        found.sources.push(source(variant, epoch, &input, &runs, settings)?);
    }
    if experiment.record.kernel.is_none() {
        found.notes.push(
            "The experiment records no kernels, so there is no NTK distance: add `record.kernel`, or \
             `--set 'record.kernel={ kinds = [\"trace\"], probes = 100 }'`."
                .to_owned(),
        );
    }
    // Sources first, then what they are measured by.
    let last = |source: &Source| match source.variant.name.as_str() {
        "all" => 1,
        "none" => 2,
        _ => 0,
    };
    found.sources.sort_by_key(last);
    Ok(found)
}

fn source(
    variant: &Variant,
    epoch: usize,
    input: &Input,
    readers: &[RunReader],
    settings: &Settings,
) -> Result<Source> {
    let finite: Vec<u32> = input
        .runs()
        .iter()
        .filter(|run| run.logits.iter().all(|logit| logit.is_finite()))
        .map(|run| run.index)
        .collect();
    let kept = || input.runs().iter().filter(|run| finite.contains(&run.index));
    let soft: Vec<Logits<'_, f32>> = kept().map(|run| input.soft(run)).collect::<Result<_>>()?;
    let values: Vec<&[f32]> = kept().map(|run| run.logits.as_slice()).collect();
    let accuracies: Vec<f64> = soft.par_iter().map(|logits| scores(logits).accuracy).collect();
    let mut found = Source {
        variant: variant.clone(),
        epoch,
        finite: finite.len(),
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
    found.churn = Some(measure(&estimate_of_pairs(&churn::pairwise(&decisions)?, settings)?));
    found.alpha_hat = Some(measure(&estimate(&levels(&soft, settings)?, settings)?));
    let kernels: Vec<&RunReader> = readers.iter().filter(|run| finite.contains(&(run.index() as u32))).collect();
    if let Some(pairs) = kernel_distances(&kernels, epoch)? {
        found.ntk_distance = Some(measure(&estimate_of_pairs(&pairs, settings)?));
    }
    Ok(found)
}

fn measure(estimate: &Estimate) -> Measure {
    Measure { value: estimate.mean, low: estimate.low, high: estimate.high }
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
    let protocol = Protocol { epsilon: judged.epsilon, bootstraps: judged.bootstraps, seed: judged.seed };
    Ok(alpha_hat::leave_one_out(&ranking, &protocol)?.into_iter().map(|level| level.mean).collect())
}

/// 1 − CKA of the trace kernels of every pair; nothing where a run has none, or one that is constant.
fn kernel_distances(runs: &[&RunReader], epoch: usize) -> Result<Option<Pairs>> {
    if runs.len() < 2 {
        return Ok(None);
    }
    let mut kernels = Vec::with_capacity(runs.len());
    for run in runs {
        let Some(tensors) = run.kernel(epoch)? else { return Ok(None) };
        let Ok((_, values)) = tensors.f32("trace") else { return Ok(None) };
        kernels.push(Centred::new(values)?);
    }
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
    fn only_streams_that_are_drawn_from_have_a_sweep() {
        let names = |sets: &[&str]| {
            let found = variants(&experiment(sets), 10);
            found.iter().map(|held| (held.name.clone(), held.vary.len(), held.runs)).collect::<Vec<_>>()
        };
        let row = |name: &str, varied, runs| (name.to_owned(), varied, runs);
        assert_eq!(
            names(&[]),
            [
                row("all", 3, 10),
                row("init", 1, 10),
                row("order", 1, 10),
                row("augment", 1, 10),
                row("bit", 1, 10),
                row("none", 0, 2)
            ]
        );
        let dropped = names(&["data.augment.crop=0", "model.dropout=0.1"]);
        assert_eq!(dropped[0], row("all", 3, 10));
        assert!(dropped.contains(&row("dropout", 1, 10)) && !dropped.iter().any(|held| held.0 == "augment"));
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
        let variant = Variant { name: "init".into(), vary: vec![Stream::Init], runs: 4 };
        let found = source(&variant, 3, &input, &[], &Settings::default()).unwrap();
        assert_eq!((found.finite, found.distinct), (3, 3));
        assert!((found.accuracy.unwrap().mean - 0.75).abs() < 1e-15);
        assert!((found.accuracy_std.unwrap().value - 0.25).abs() < 1e-15);
        // Pairs differ on 1, 2 and 1 of four examples.
        assert!((found.churn.unwrap().value - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(found.ntk_distance, None);
    }

    #[test]
    fn equal_runs_have_no_distance() {
        let logits = vec![2.0f32, 0.0, 0.0, 2.0, 1.0, 0.5, 0.0, 2.0];
        let runs = (0..2).map(|index| RunLogits { index, logits: logits.clone() }).collect();
        let input = Input::new(vec![0, 1, 0, 1], 2, runs).unwrap();
        let variant = Variant { name: "none".into(), vary: Vec::new(), runs: 2 };
        let found = source(&variant, 3, &input, &[], &Settings::default()).unwrap();
        assert_eq!((found.finite, found.distinct), (2, 1));
        assert_eq!(found.accuracy_std, Some(Measure { value: 0.0, low: 0.0, high: 0.0 }));
        assert_eq!(found.churn, Some(Measure { value: 0.0, low: 0.0, high: 0.0 }));
        let text = serde_json::to_string(&found).unwrap();
        assert!(text.starts_with("{\"name\":\"none\",\"vary\":[],\"runs\":2,\"epoch\":3"), "{text}");
        assert_eq!(serde_json::from_str::<Source>(&text).unwrap(), found);
    }
}
