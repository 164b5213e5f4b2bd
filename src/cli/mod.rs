//! The command line: one file per verb, each of which parses, calls the library, prints and returns.
//!
//! Data goes to stdout, progress and messages to stderr. An error is one sentence on stderr and an exit code of
//! [`crate::error::exit`].

mod accept;
pub mod analyze;
mod attribute;
mod calibrate;
mod cancel;
mod compare;
mod compare_by;
mod completions;
pub mod data;
mod embed;
mod execution;
mod export;
mod history;
mod kernel;
mod lineage;
mod microscope;
mod model;
mod nightly;
mod plan;
mod power;
mod predict;
mod prune;
mod report;
mod resume;
mod run;
mod select;
mod show;
mod status;
mod train_run;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::analysis::LeftOut;
use crate::error::{Error, Result, exit, plain};
use crate::workflow::analyze::Written;

const EXIT_CODES: &str = "Exit codes: 0 fine; 1 unexpected; 2 usage; 3 invalid experiment or input; 4 some runs failed; \
5 regression or alarm; 6 corrupt artefacts; 7 not comparable; 8 undecided; 75 interrupted, can be resumed";

/// Measures how reproducible a training procedure is.
#[derive(Debug, Parser)]
#[command(name = "harness", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Train a sweep, analyse it and write its report
    Run(Box<run::RunArgs>),
    /// Do what is missing of a sweep
    Resume(resume::ResumeArgs),
    /// Say which runs are atypical, of a sweep or of soft decisions made elsewhere
    Analyze(analyze::AnalyzeArgs),
    /// Say whether a sweep is still the same procedure as another
    Compare(compare::CompareArgs),
    /// Judge the sweeps of many nights, and say when the procedure has moved
    History(history::HistoryArgs),
    /// Say that the procedure of a night is the one that is wanted
    Accept(accept::AcceptArgs),
    /// Remove the runs of old nights; their values stay
    Prune(prune::PruneArgs),
    /// Say how small a change the runs of a sweep can show
    Power(power::PowerArgs),
    /// Write the report of a sweep
    Report(report::ReportArgs),
    /// Take what is left of a sweep back from Slurm
    Cancel(cancel::CancelArgs),
    /// How the runs of a sweep stand
    Status(status::StatusArgs),
    /// The sweeps in a folder
    List(status::ListArgs),
    /// Check every file of a sweep against what was written
    Verify(verify::VerifyArgs),
    /// Write logits, labels and kernels of all runs into one .npz file
    Export(export::ExportArgs),
    /// Say which runs to put together, and export them
    Select(select::SelectArgs),
    /// Say which source of randomness makes runs differ
    Attribute(attribute::AttributeArgs),
    /// Say which faults would be noticed: plants them and counts
    Calibrate(calibrate::CalibrateArgs),
    /// Apply an exported ensemble to new images
    Predict(predict::PredictArgs),
    /// Kernels of networks from elsewhere, and surrogates of runs
    Kernel(kernel::KernelArgs),
    /// Layers and architectures that there are, and the network of an experiment
    Model(model::ModelArgs),
    /// Say whether networks share an ancestor, and who descends from whom
    Lineage(lineage::LineageArgs),
    /// Say what tells sets of samples apart, seen through a third model's embeddings
    Microscope(microscope::MicroscopeArgs),
    /// Write embeddings by the networks of a sweep, and say how alike its runs' representations are
    Embed(embed::EmbedArgs),
    /// Look at data sets, check them, download them
    Data {
        #[command(flatten)]
        args: data::DataArgs,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Train one run of a sweep; what every way of running a sweep calls
    TrainRun(train_run::TrainRunArgs),
    /// Print an experiment with every default, override and environment variable filled in
    Show(show::ShowArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Runs the program on the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Run(args) => run::run(*args),
        Verb::Analyze(args) => analyze::run(&args),
        Verb::Compare(args) => compare::run(&args),
        Verb::History(args) => history::run(&args),
        Verb::Accept(args) => accept::run(&args),
        Verb::Prune(args) => prune::run(&args),
        Verb::Power(args) => power::run(&args),
        Verb::Report(args) => report::run(&args),
        Verb::Resume(args) => resume::run(&args),
        Verb::Cancel(args) => cancel::run(&args),
        Verb::Status(args) => status::status(&args),
        Verb::List(args) => status::list(&args),
        Verb::Verify(args) => verify::run(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Select(args) => select::run(&args),
        Verb::Attribute(args) => attribute::run(args),
        Verb::Calibrate(args) => calibrate::run(args),
        Verb::Predict(args) => predict::run(&args),
        Verb::Kernel(args) => kernel::run(&args),
        Verb::Model(args) => model::run(&args),
        Verb::Lineage(args) => lineage::run(&args),
        Verb::Microscope(args) => microscope::run(&args),
        Verb::Embed(args) => embed::run(&args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Data { args, json } => data::run(&args, json),
        Verb::TrainRun(args) => train_run::run(&args),
        Verb::Show(args) => show::run(&args),
    };
    finish(outcome)
}

/// Where a report is, a line for each way of reading it.
fn report_files(folder: &Path) -> String {
    ["report.md", "report.html"].map(|name| format!("{}\n", folder.join(name).display())).concat()
}

/// Says on stderr what a report lacks.
fn remark(written: &Written) {
    for remark in &written.remarks {
        say(remark);
    }
}

/// Writes data to stdout, with what a name in a file could do to a terminal made visible. A reader that has gone away, as
/// `head` does, is no error.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(plain(text).as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(crate::error::Error::Unexpected(format!("cannot write to stdout: {cause}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line of progress or of a message to stderr. That nobody can read it ends nothing.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(anstream::stderr(), "{}", plain(text));
}

/// The error that what was found ends with where complete runs were left out because they cannot be relied on, unless that
/// was allowed.
fn refuse_damaged(left_out: &[LeftOut], allowed: bool) -> Result<()> {
    let damaged: Vec<String> =
        left_out.iter().filter(|held| held.damaged).map(|held| format!("run {}: {}", held.run, held.why)).collect();
    if damaged.is_empty() || allowed {
        return Ok(());
    }
    Err(Error::Corrupt(format!(
        "not all complete runs could be relied on, and these were left out ({}); `harness verify` says more, and \
         `--allow-damaged` takes what is left for an answer",
        damaged.join("; ")
    )))
}

fn finish(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
