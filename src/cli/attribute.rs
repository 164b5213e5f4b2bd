//! `harness attribute`: which source of randomness makes runs differ. One sweep for each, with what they share trained once.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};

use super::print;
use super::show::ExperimentArgs;
use crate::analysis::Settings;
use crate::analysis::attribution::{Attribution, Variant, attribute, variants};
use crate::config::{self, Experiment, Sweep};
use crate::error::{Error, Result};
use crate::record::{Outcome, RunReader, SweepDir, SweepManifest, SweepReader, files};
use crate::report;
use crate::sweep::{self, Stop};
use crate::workflow::run::{Local, check_against_data, open, train};

/// The result as JSON, beside the sweeps.
const JSON: &str = "attribution.json";

#[derive(Debug, Args)]
pub struct AttributeArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The folder of all sweeps and of the result; by default sweeps/NAME-attribution
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Number of runs of each source, instead of the experiment's
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(2..))]
    runs: Option<u32>,
    /// Runs side by side; by default as many as cores and memory allow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// How often a run that failed is tried again
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Memory that all runs together may use, in GiB
    #[arg(long, value_name = "GIB")]
    memory: Option<f64>,
    /// Print one JSON object, schema harness.attribution/1, instead of a table
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// Trains what is missing of each source's sweep, then compares the sources.
///
/// # Errors
/// [`Error::Invalid`] for an experiment that cannot be run, [`Error::Interrupted`] when it was stopped (the same command
/// goes on), [`Error::RunsFailed`] when runs failed.
pub fn run(mut args: AttributeArgs) -> Result<()> {
    if let Some(runs) = args.runs {
        args.experiment.sets.push(format!("sweep.runs={runs}"));
    }
    let experiment = args.experiment.load()?;
    let runs = experiment.sweep.runs;
    if runs < 2 {
        return Err(Error::Invalid("sweep.runs is 1, but a spread needs at least two runs: give `--runs 10`".into()));
    }
    check_against_data(&experiment)?;
    let root = args.out.clone().unwrap_or_else(|| Path::new("sweeps").join(format!("{}-attribution", experiment.name)));
    let stop = Stop::on_signals()?;
    let local = Local {
        jobs: args.jobs,
        retries: args.retries,
        memory: args.memory,
        devices: &[],
        quiet: args.quiet,
        stop: &stop,
    };
    let variants = variants(&experiment, runs);
    let mut first: Option<RunReader> = None;
    let (mut sweeps, mut failures) = (Vec::new(), Vec::new());
    for (place, variant) in variants.iter().enumerate() {
        if !args.quiet {
            let (place, count) = (place + 1, variants.len());
            super::say(&format!("{place} of {count}: {} runs, varied: {}", variant.runs, variant.name));
        }
        let sweep = trained(&root, &experiment, variant, first.as_ref(), &local, &mut failures)?;
        if stop.asked() {
            return Err(Error::Interrupted(format!(
                "{} is stopped; the same command goes on where it was",
                root.display()
            )));
        }
        let reader = SweepReader::open(sweep.root())?;
        if first.is_none() {
            first = reader.run(0).ok();
        }
        sweeps.push((variant.clone(), reader));
    }
    let settings = Settings { analysis: experiment.analysis.clone(), flags: experiment.flags.clone() };
    let found = attribute(&experiment, &sweeps, &settings)?;
    let json = as_json(&found)?;
    files::write(&root.join(JSON), json.as_bytes())?;
    let document = report::attribution::document(&found);
    report::write_files(&document.files(report::attribution::TEXT, Some(report::attribution::PAGE))?, &root)?;
    if args.json {
        print(&json)?;
    } else {
        print(&text(&found, std::io::stdout().is_terminal()))?;
        print(&format!("{}\n", root.join(report::attribution::TEXT).display()))?;
    }
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(Error::RunsFailed(failures.join("; "))),
    }
}

/// The sweep of one source, trained as far as it goes; what failed is added to `failures`.
fn trained(
    root: &Path,
    experiment: &Experiment,
    variant: &Variant,
    first: Option<&RunReader>,
    local: &Local,
    failures: &mut Vec<String>,
) -> Result<SweepDir> {
    let experiment = Experiment {
        name: format!("{}-{}", experiment.name, variant.name),
        sweep: Sweep { runs: variant.runs, vary: variant.vary.clone(), ..experiment.sweep.clone() },
        ..experiment.clone()
    };
    config::validate(&experiment)?;
    let (sweep, _) = open(&root.join(&variant.name), &experiment)?;
    // Run 0 draws from the first of each stream whatever varies, and no bit of it is flipped.
    if let (Some(first), Some(manifest)) = (first, SweepManifest::read(&sweep)?)
        && let Some(data) = first.outcome().provenance.data_digest.as_deref()
    {
        let identity = sweep::identity(&manifest, &experiment, data, 0);
        sweep::link(first, &sweep, &identity, |outcome| mark_varied(outcome, &experiment.sweep))?;
    }
    let summary = train(&sweep, &experiment, local)?;
    if !local.stop.asked()
        && let Err(error) = summary.check()
    {
        failures.push(format!("{}: {error}", variant.name));
    }
    Ok(sweep)
}

/// Which streams differ between the runs of the sweep that a run is taken into.
fn mark_varied(outcome: &mut Outcome, sweep: &Sweep) {
    for (name, stream) in &mut outcome.streams {
        stream.varies = sweep.vary.iter().any(|varied| varied.name() == name);
    }
}

fn as_json(found: &Attribution) -> Result<String> {
    let mut text = serde_json::to_string_pretty(found)
        .map_err(|cause| Error::Unexpected(format!("cannot write an attribution as JSON: {cause}")))?;
    text.push('\n');
    Ok(text)
}

/// What a person reads: findings in words, then a row for each source.
fn text(found: &Attribution, terminal: bool) -> String {
    let mut text = String::new();
    for paragraph in report::attribution::paragraphs(found) {
        text.push_str(&format!("{paragraph}\n\n"));
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header(report::attribution::HEADER);
    for source in &found.sources {
        table.add_row(report::attribution::row(source));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{text}{table}\n\n")
}
