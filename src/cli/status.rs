//! `harness status` and `harness list`: how sweeps stand.

use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::{Table, presets};

use super::{print, say};
use crate::error::{Error, Result};
use crate::record::{SweepDir, SweepManifest};
use crate::report::words;
use crate::sweep::slurm::{self, Cluster};
use crate::sweep::{self, Counts, SweepStatus};
use crate::workflow::run::differing_keys;

/// Where sweeps are by default.
const USUAL: &str = "sweeps";

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
    #[arg(default_value = USUAL)]
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
        say(&format!("{error}"));
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
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for path in folders(&args.folder)? {
        let dir = SweepDir::new(&path);
        match SweepManifest::read(&dir) {
            Ok(Some(manifest)) => match sweep::status(&dir, &manifest) {
                Ok(status) => found.push((path, status, manifest.provenance.started)),
                Err(error) => say(&format!("left out: {error}")),
            },
            Ok(None) => others.push(path.display().to_string()),
            Err(error) => say(&format!("left out: {error}")),
        }
    }
    if !others.is_empty() {
        let is = if others.len() == 1 { "is no sweep" } else { "are no sweeps" };
        say(&format!("{} {is}", words::list(&others)));
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

/// The folders in `folder`, by name as people count: `night-2` before `night-10`. None where the usual folder is not there
/// yet.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let shown = folder.display();
    if SweepDir::new(folder).is_there() {
        return Err(Error::Invalid(format!(
            "{shown} is itself a sweep: `harness status {shown}` shows it, and `harness list` takes the folder above"
        )));
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && folder == Path::new(USUAL) => {
            return Ok(Vec::new());
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Invalid(format!("{shown} does not exist; name a folder that holds sweeps")));
        }
        Err(cause) => return Err(Error::Invalid(format!("cannot list {shown}: {cause}"))),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|cause| Error::io("list", folder, &cause))?.path();
        if path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort_by_cached_key(|path| counted_name(&path.to_string_lossy()));
    Ok(paths)
}

/// A name in pieces that sort as people count: texts, and numbers by their size. Equal numbers with other leading zeros stay
/// apart.
fn counted_name(name: &str) -> Vec<(String, u128, String)> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text: String = rest.chars().take_while(|c| !c.is_ascii_digit()).collect();
        rest = rest.get(text.len()..).unwrap_or_default();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        rest = rest.get(digits.len()..).unwrap_or_default();
        pieces.push((text, digits.parse().unwrap_or(u128::MAX), digits));
    }
    pieces
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_count() {
        let mut names = [
            "night-10",
            "night-2",
            "night-1",
            "a",
            "night-02",
            "night-2b",
            "night",
            "night-99999999999999999999999999999999999999999",
        ];
        names.sort_by_cached_key(|name| counted_name(name));
        let sorted = ["a", "night", "night-1", "night-02", "night-2", "night-2b", "night-10"];
        assert_eq!(names[..7], sorted);
    }
}
