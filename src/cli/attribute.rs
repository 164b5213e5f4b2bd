//! `harness attribute`: where the difference between runs comes from.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};

use super::print;
use super::show::ExperimentArgs;
use crate::analysis::attribution::Attribution;
use crate::config::Stream;
use crate::error::{Error, Result};
use crate::report::attribution::{TEXT, paragraphs, parts};
use crate::sweep::Stop;
use crate::workflow::attribute::{Request, as_json, attribute};
use crate::workflow::run::Local;

#[derive(Debug, Args)]
pub struct AttributeArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The folder of all sweeps and of the result; by default sweeps/NAME-attribution
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs of the grid, at most, instead of the experiment's
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(2..))]
    runs: Option<u32>,
    /// Sources besides those that the experiment draws from: data (a bootstrap of the training set), rounding (the order of
    /// summation), bit
    #[arg(long, value_name = "SOURCE", value_delimiter = ',', value_parser = ["data", "rounding", "bit"])]
    also: Vec<String>,
    /// Steps of training at which one bit of one weight is flipped, each in a sweep of its own: how fast runs part
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    spawn: Vec<u64>,
    #[command(flatten)]
    local: LocalArgs,
    /// Print one JSON object, schema harness.attribution/1, instead of a table
    #[arg(long)]
    json: bool,
}

/// How runs are trained on this machine, for verbs that train several sweeps.
#[derive(Debug, Clone, Copy, Args)]
pub struct LocalArgs {
    /// Runs side by side; by default as many as cores and memory allow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// How often a run that failed is tried again
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Memory that all runs together may use, in GiB
    #[arg(long, value_name = "GIB")]
    memory: Option<f64>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl LocalArgs {
    /// The same, with what stops it.
    #[must_use]
    pub fn with(self, stop: &Stop) -> Local<'_> {
        let Self { jobs, retries, memory, quiet } = self;
        Local { jobs, retries, memory, devices: &[], quiet, stop }
    }
}

/// Trains what is missing of the grid, splits it and prints what was found.
///
/// # Errors
/// As [`attribute`]; [`Error::RunsFailed`] when runs failed.
pub fn run(mut args: AttributeArgs) -> Result<()> {
    if let Some(runs) = args.runs {
        args.experiment.sets.push(format!("sweep.runs={runs}"));
    }
    let experiment = args.experiment.load()?;
    let root = args.out.unwrap_or_else(|| Path::new("sweeps").join(format!("{}-attribution", experiment.name)));
    let also = args.also.iter().filter_map(|name| Stream::ALL.iter().find(|stream| stream.name() == name)).copied();
    let request = Request { also: also.collect(), spawn: args.spawn };
    let stop = Stop::on_signals()?;
    let done = attribute(&root, &experiment, &request, &args.local.with(&stop))?;
    if args.json {
        print(&as_json(&done.found)?)?;
    } else {
        print(&text(&done.found, std::io::stdout().is_terminal()))?;
        print(&format!("{}\n", root.join(TEXT).display()))?;
    }
    match done.failures.as_slice() {
        [] => Ok(()),
        failures => Err(Error::RunsFailed(failures.join("; "))),
    }
}

/// What a person reads: findings in words, then a row for each part.
fn text(found: &Attribution, terminal: bool) -> String {
    let held = parts(found);
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header(held.heads.iter().map(|head| &head.name));
    for row in &held.rows {
        table.add_row(&row.cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let words: String = paragraphs(found).iter().map(|paragraph| format!("{paragraph}\n\n")).collect();
    format!("{words}{table}\n\n")
}
