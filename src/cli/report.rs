//! `harness report`: the report of a sweep, written anew from its records.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;

use super::analyze::SettingsArgs;
use crate::error::{Error, Result};
use crate::record::SweepDir;
use crate::report::{Extras, write_files};
use crate::workflow::analyze;

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The sweep's directory
    sweep: PathBuf,
    /// Where the report goes; by default into the sweep's directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Write every table as CSV and LaTeX into this folder instead of a report
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// Write every figure as PDF, at a paper's column width, into this folder instead of a report
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// Epoch that is judged; by default the last that all runs recorded
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
    /// Embeddings of all runs at one checkpoint or several, from `harness embed SWEEP --out E.npz`: the report says how alike the
    /// runs' representations are, and which examples atypical runs place elsewhere
    #[arg(long, value_name = "E.npz", num_args = 1..)]
    embeddings: Vec<PathBuf>,
    /// Show the report when it is written
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Analyses the sweep and writes tables and report.
///
/// # Errors
/// As [`analyze::of_sweep`] and [`analyze::write`].
pub fn run(args: &ReportArgs) -> Result<()> {
    let analysis = analyze::of_sweep(&args.sweep, args.epoch, &args.settings.changes()?)?;
    let represented = analyze::represented(&args.embeddings, &analysis)?;
    if args.tables.is_some() || args.figures.is_some() {
        let document = crate::report::document(&analysis, &Extras { represented, ..Extras::default() });
        let wanted = [(&args.tables, document.table_files()), (&args.figures, document.figure_files())];
        for (folder, files) in wanted {
            let Some(folder) = folder else { continue };
            write_files(&files, folder)?;
            super::print(
                &files.iter().map(|file| format!("{}\n", folder.join(&file.name).display())).collect::<String>(),
            )?;
        }
        return Ok(());
    }
    let written = analyze::write_with(&SweepDir::new(&args.sweep), &analysis, represented, args.report.as_deref())?;
    super::remark(&written);
    super::print(&super::report_files(&written.folder))?;
    if args.open {
        open(&written.folder.join("report.html"))?;
    }
    super::refuse_damaged(&analysis.source.left_out, args.settings.allow_damaged)
}

/// Shows a file with whatever the system shows such files with.
fn open(page: &std::path::Path) -> Result<()> {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let started =
        Command::new(program).arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started
        .map(|_| ())
        .map_err(|cause| Error::Unexpected(format!("cannot start {program} to show {}: {cause}", page.display())))
}
