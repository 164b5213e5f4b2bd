//! From an experiment to its certificate: healthy runs and runs with planted faults are trained, and judged among each other.

use std::path::Path;

use super::embed::weights;
use super::run::{Local, check_against_data, open, train};
use super::surrogate::data_of;
use crate::analysis::certificate::{Certificate, FAULTS, Fault, certify};
use crate::analysis::sweep::{self, Known};
use crate::analysis::{Input, RunLogits, Settings};
use crate::config::{self, Experiment, Facts};
use crate::data;
use crate::error::{Error, Result};
use crate::kernel::{DEFAULT_BUDGET, Jacobians};
use crate::record::{RunReader, SweepReader, files};
use crate::report;

/// The result as JSON, beside the sweeps.
const JSON: &str = "certificate.json";

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Healthy runs that are trained.
    pub healthy: usize,
    /// Runs that are trained with each fault.
    pub faulty: usize,
    /// Runs of each sweep that is judged.
    pub size: usize,
    /// Names of the faults to plant; all that the experiment allows when empty.
    pub faults: Vec<String>,
}

/// The certificate, and what was not trained.
#[derive(Debug)]
pub struct Calibrated {
    /// What was seen.
    pub certificate: Certificate,
    /// A sentence for each sweep some of whose runs failed.
    pub failures: Vec<String>,
}

/// Trains what is missing under `root` (the sweep `healthy` and one for each fault), judges, and writes `certificate.json`,
/// `certificate.md` and its page there.
///
/// # Errors
/// [`Error::Usage`] for a fault that is unknown; [`Error::Invalid`] for an experiment that cannot be run;
/// [`Error::Interrupted`] when it was stopped: the same call goes on where it was.
pub fn calibrate(root: &Path, experiment: &Experiment, request: &Request, how: &Local) -> Result<Calibrated> {
    let asked = faults(&request.faults)?;
    check_against_data(experiment)?;
    let facts = data::facts(&experiment.data)?;
    let facts = Facts {
        shape: facts.shape,
        classes: facts.classes.len(),
        train_len: facts.train_len,
        eval_len: facts.eval_len,
    };
    let mut trainer = Trainer { root, how, failures: Vec::new() };
    let healthy = Experiment {
        name: format!("{}-healthy", experiment.name),
        sweep: config::Sweep { runs: request.healthy, ..experiment.sweep.clone() },
        ..experiment.clone()
    };
    let healthy = trainer.sweep("healthy", &healthy)?;
    let (mut faulty, mut notes) = (Vec::new(), Vec::new());
    for fault in asked {
        match fault.sweep(experiment, &facts, request.faulty) {
            Some(planted) => {
                let sweep = trainer.sweep(fault.name, &planted)?;
                let input = match fault.after {
                    None => sweep::decisions(&sweep, None, Known::default())?.0,
                    Some(change) => with_changed_weights(&sweep, &planted, change)?,
                };
                faulty.push((fault, input));
            }
            None => notes.push(format!("`{}` cannot be planted in this experiment.", fault.name)),
        }
    }
    let settings = Settings { analysis: experiment.analysis.clone(), flags: experiment.flags.clone() };
    let mut certificate = certify(experiment, &healthy, &faulty, request.size, &settings)?;
    certificate.notes = notes;
    files::write(&root.join(JSON), as_json(&certificate)?.as_bytes())?;
    let document = report::certificate::document(&certificate);
    report::write_files(&document.files(report::certificate::TEXT, Some(report::certificate::PAGE))?, root)?;
    Ok(Calibrated { certificate, failures: trainer.failures })
}

/// What the networks of a sweep decide once every weight of theirs was changed.
fn with_changed_weights(sweep: &SweepReader, experiment: &Experiment, change: fn(f32) -> f32) -> Result<Input> {
    let root = sweep.dir().root();
    let (runs, _) = sweep.runs();
    let first = runs.first().ok_or_else(|| Error::RunsFailed(format!("no run of {} is complete", root.display())))?;
    let data = data_of(experiment, first)?;
    let plan = experiment.plan(data.shape, data.classes.len())?;
    let decided = |run: &RunReader| {
        let (_, mut weights) = weights(run, None, root)?;
        weights.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|value| *value = change(*value));
        let network = Jacobians::from_weights(&plan, weights, DEFAULT_BUDGET)?;
        Ok(RunLogits { index: run.index() as u32, logits: network.logits(&data.eval.pixels)? })
    };
    let decided = runs.iter().map(decided).collect::<Result<_>>()?;
    Input::new(data.eval.labels.clone(), data.classes.len(), decided)
}

fn faults(names: &[String]) -> Result<Vec<&'static Fault>> {
    if names.is_empty() {
        return Ok(FAULTS.iter().collect());
    }
    let known = || FAULTS.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        FAULTS
            .iter()
            .find(|fault| fault.name == name)
            .ok_or_else(|| Error::Usage(format!("there is no fault {name}; the faults are {}", known())))
    };
    names.iter().map(find).collect()
}

/// The certificate as one JSON object and a newline.
///
/// # Errors
/// [`Error::Unexpected`] where it cannot be written.
pub fn as_json(certificate: &Certificate) -> Result<String> {
    let mut text = serde_json::to_string_pretty(certificate)
        .map_err(|cause| Error::Unexpected(format!("cannot write a certificate as JSON: {cause}")))?;
    text.push('\n');
    Ok(text)
}

/// Trains several sweeps under one folder.
pub(super) struct Trainer<'a> {
    pub root: &'a Path,
    pub how: &'a Local<'a>,
    /// A sentence for each sweep some of whose runs failed.
    pub failures: Vec<String>,
}

impl Trainer<'_> {
    /// The sweep of that folder, trained as far as it goes.
    pub fn sweep(&mut self, folder: &str, experiment: &Experiment) -> Result<SweepReader> {
        config::validate(experiment)?;
        if !self.how.quiet {
            anstream::eprintln!("{folder}: {} runs", experiment.sweep.runs);
        }
        let (sweep, _) = open(&self.root.join(folder), experiment)?;
        let summary = train(&sweep, experiment, self.how)?;
        if self.how.stop.asked() {
            return Err(Error::Interrupted(format!(
                "{} is stopped; the same command goes on where it was",
                self.root.display()
            )));
        }
        if let Err(error) = summary.check() {
            self.failures.push(format!("{folder}: {error}"));
        }
        SweepReader::open(sweep.root())
    }
}
