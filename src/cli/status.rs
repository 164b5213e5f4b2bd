//! `harness status` and `harness list`: how sweeps stand.

use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::{Table, presets};

use super::print;
use crate::error::{Error, Result};
use crate::record::{SweepDir, SweepManifest};
use crate::sweep::slurm::{self, Cluster};
use crate::sweep::{self, Counts, SweepStatus};
use crate::workflow::run::differing_keys;

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The sweep's directory
    sweep: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// The folder that holds sweeps
    #[arg(default_value = "sweeps")]
    folder: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn status(args: &StatusArgs) -> Result<()> {
    let (dir, manifest) = sweep::open(&args.sweep, differing_keys)?;
    let mut status = sweep::status(&dir, &manifest)?;
    if slurm::was_used(&dir)
        && let Err(error) = Cluster::new().merge(&dir, &mut status)
    {
        // The sweep's own files say enough where the cluster cannot be asked.
        anstream::eprintln!("{error}");
    }
    if args.json {
        return print_json(&status);
    }
    print(&describe(&status))
}

fn describe(status: &SweepStatus) -> String {
    let mut table = table(&["run", "state", "attempt", "epochs", "process", "since", "last words"]);
    for run in &status.runs {
        let process = match (&run.host, run.pid) {
            (Some(host), Some(pid)) => format!("{host}:{pid}"),
            _ => String::new(),
        };
        table.add_row([
            run.run.to_string(),
            run.queue.clone().unwrap_or_else(|| run.state.name().to_owned()),
            run.attempt.to_string(),
            run.epoch.to_string(),
            process,
            run.since.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
            run.error.clone().unwrap_or_default(),
        ]);
    }
    format!("{}: {}\n{table}\n", status.name, counted(status.counts))
}

/// `10 complete, 1 failed`: the states that occur.
fn counted(counts: Counts) -> String {
    let Counts { pending, running, complete, failed, interrupted } = counts;
    let states = [
        (complete, "complete"),
        (running, "running"),
        (interrupted, "interrupted"),
        (failed, "failed"),
        (pending, "pending"),
    ];
    let occurring: Vec<String> =
        states.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if occurring.is_empty() { "no runs".into() } else { occurring.join(", ") }
}

pub fn list(args: &ListArgs) -> Result<()> {
    let mut found = Vec::new();
    for path in folders(&args.folder)? {
        let dir = SweepDir::new(&path);
        match SweepManifest::read(&dir.manifest()) {
            Ok(Some(manifest)) => found.push((path, sweep::status(&dir, &manifest)?, manifest.provenance.started)),
            Ok(None) => {}
            Err(error) => anstream::eprintln!("left out: {error}"),
        }
    }
    if args.json {
        let sweeps: Vec<_> = found
            .iter()
            .map(|(path, status, started)| {
                serde_json::json!({ "path": path, "name": status.name, "hash": status.hash, "started": started, "counts": status.counts })
            })
            .collect();
        return print_json(&serde_json::json!({ "schema": "harness.list/1", "sweeps": sweeps }));
    }
    if found.is_empty() {
        return print(&format!("no sweeps in {}\n", args.folder.display()));
    }
    let mut table = table(&["sweep", "directory", "begun", "runs"]);
    for (path, status, started) in &found {
        let begun = started.strftime("%Y-%m-%d %H:%M").to_string();
        table.add_row([status.name.clone(), path.display().to_string(), begun, counted(status.counts)]);
    }
    print(&format!("{table}\n"))
}

/// The folders in `folder`, by name; none where there is no such folder.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::Invalid(format!("cannot list {}: {cause}", folder.display()))),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|cause| Error::io("list", folder, &cause))?.path();
        if path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

pub(super) fn print_json<T: serde::Serialize>(value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::Unexpected(format!("cannot write JSON: {cause}")))?;
    print(&(text + "\n"))
}
