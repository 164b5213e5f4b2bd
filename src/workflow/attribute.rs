//! From an experiment to the sources of the difference between its runs: trains a partial grid of seeds, and splits it.

use std::path::Path;

use super::calibrate::Trainer;
use super::run::{Local, check_against_data};
use crate::analysis::Settings;
use crate::analysis::attribution::{Attribution, Design, attribute as split, sources};
use crate::config::{Experiment, Stream, Sweep};
use crate::error::{Error, Result};
use crate::record::files;
use crate::report;

/// The result as JSON, beside the sweeps.
const JSON: &str = "attribution.json";

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Sources besides those that the experiment draws from by itself (`data`, `rounding`, `bit`).
    pub also: Vec<Stream>,
    /// Steps at which one bit is flipped, each in a sweep of its own: how fast runs part.
    pub spawn: Vec<u64>,
}

/// What was found, and what was not trained.
#[derive(Debug)]
pub struct Attributed {
    /// The parts and their sources.
    pub found: Attribution,
    /// A sentence for each sweep some of whose runs failed.
    pub failures: Vec<String>,
}

/// Trains what is missing under `root`, one folder for each sweep, splits the grid and writes `attribution.json` and
/// `attribution.md` there. The grid has at most `sweep.runs` runs.
///
/// # Errors
/// [`Error::Invalid`] for an experiment that cannot be run or whose runs are too few; [`Error::Interrupted`] when it was
/// stopped: the same call goes on where it was; [`Error::RunsFailed`] where the complete runs do not tell the sources apart.
pub fn attribute(root: &Path, experiment: &Experiment, request: &Request, how: &Local) -> Result<Attributed> {
    check_against_data(experiment)?;
    let mut streams = sources(experiment);
    streams.extend(request.also.iter().filter(|stream| !sources(experiment).contains(stream)));
    let design = Design::new(streams, experiment.sweep.runs)?;
    let mut trainer = Trainer { root, how, failures: Vec::new() };
    let mut trained = |folder: &str, sweep: Sweep| {
        let name = format!("{}-{folder}", experiment.name);
        trainer.sweep(folder, &Experiment { name, sweep, ..experiment.clone() })
    };
    let grid = trained("grid", design.sweep(&experiment.sweep))?;
    let repeated = if design.repeats_exactly(&grid)? {
        None
    } else {
        let runs = experiment.sweep.runs;
        Some(trained("implementation", Sweep { runs, vary: Vec::new(), ..experiment.sweep.clone() })?)
    };
    let mut spawned = Vec::new();
    for &bit_step in &request.spawn {
        let sweep = Sweep {
            runs: experiment.sweep.runs,
            vary: vec![Stream::Bit],
            bit_step: Some(bit_step),
            ..experiment.sweep.clone()
        };
        spawned.push((bit_step, trained(&format!("bit-at-step-{bit_step}"), sweep)?));
    }
    let settings = Settings { analysis: experiment.analysis.clone(), flags: experiment.flags.clone() };
    let found = split(experiment, &design, &grid, repeated.as_ref(), &spawned, &settings)?;
    files::write(&root.join(JSON), as_json(&found)?.as_bytes())?;
    let document = report::attribution::document(&found);
    report::write_files(&document.files(report::attribution::TEXT, Some(report::attribution::PAGE))?, root)?;
    Ok(Attributed { found, failures: trainer.failures })
}

/// The attribution as one JSON object and a newline.
///
/// # Errors
/// [`Error::Unexpected`] where it cannot be written.
pub fn as_json(found: &Attribution) -> Result<String> {
    let mut text = serde_json::to_string_pretty(found)
        .map_err(|cause| Error::Unexpected(format!("cannot write an attribution as JSON: {cause}")))?;
    text.push('\n');
    Ok(text)
}
