//! `harness data`: the data sets that are known, whether files are sound, and downloading.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::arrays::file::shown;
use crate::data::check::{self, Report, Verdict};
use crate::data::fetch::{self, Patience, Progress};
use crate::data::sets::Set;
use crate::error::{Error, Result};

/// Look at data sets, check them, download them.
#[derive(Debug, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the data sets that are known by name, and whether they are there.
    List,
    /// Check a folder or a file: its format, its published checksums, the examples of each class.
    Check {
        /// A folder of IDX files or CIFAR-10 batches, one such file, or an .npz data set.
        path: PathBuf,
    },
    /// Download a data set from its publisher.
    Fetch {
        /// Which one; `harness data list` shows them.
        #[arg(value_parser = PossibleValuesParser::new(fetchable()))]
        name: String,
        /// The folder that the files go to; by default the one where experiments look for them.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Take the files from this address instead.
        #[arg(long, value_name = "URL", env = "HARNESS_DATA_URL", hide = true)]
        from: Option<String>,
    },
}

/// Runs the verb; what was asked for goes to stdout, as one JSON object if `json`, progress to stderr.
///
/// # Errors
/// [`Error::Invalid`] if data cannot be read or differs from the published; [`Error::Unexpected`] if a download fails.
pub fn run(args: &DataArgs, json: bool) -> Result<()> {
    match &args.action {
        Action::List => list(json),
        Action::Check { path } => check_path(path, json),
        Action::Fetch { name, to, from } => {
            let Some(set) = Set::published().find(|set| set.name == name) else {
                return Err(Error::Usage(format!("no data set is called {name}; `harness data list` shows them")));
            };
            let folder = to.clone().unwrap_or_else(|| set.folder.map(PathBuf::from).unwrap_or_default());
            fetch_set(set, &folder, from.as_deref(), json)
        }
    }
}

/// The names of the data sets that can be downloaded.
fn fetchable() -> impl Iterator<Item = &'static str> {
    Set::published().filter(|set| !set.downloads.is_empty()).map(|set| set.name)
}

fn print(text: &str) -> Result<()> {
    super::print(&format!("{text}\n"))
}

fn print_json(value: &Value) -> Result<()> {
    print(&format!("{value:#}"))
}

/// "3x32x32"
fn shape_text(shape: [usize; 3]) -> String {
    shape.map(|axis| axis.to_string()).join("x")
}

fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for &column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Whether every file is there, by name only.
fn is_present(set: &Set) -> bool {
    let Some(folder) = set.folder else { return true };
    let there = |name: &str| Path::new(folder).join(name).is_file();
    // Files that are published gzipped may have been unpacked.
    set.files
        .iter()
        .filter(|file| file.name.ends_with(".gz") || file.name.ends_with(".bin"))
        .all(|file| there(file.name) || file.name.strip_suffix(".gz").is_some_and(there))
}

fn list(json: bool) -> Result<()> {
    if json {
        let sets: Vec<Value> = Set::published()
            .map(|set| {
                json!({
                    "name": set.name,
                    "title": set.title,
                    "shape": set.shape,
                    "classes": set.classes,
                    "train": set.train_len,
                    "evaluation": set.eval_len,
                    "folder": set.folder,
                    "licence": set.licence,
                    "present": is_present(set),
                })
            })
            .collect();
        return print_json(&json!({ "schema": "harness.data.list/1", "datasets": sets }));
    }
    let mut table =
        table(&["name", "shape", "classes", "train", "evaluation", "expected in", "licence", "present"], &[2, 3, 4]);
    for set in Set::published() {
        table.add_row([
            set.name.to_string(),
            set.shape.map_or_else(String::new, shape_text),
            set.classes.len().to_string(),
            set.train_len.to_string(),
            set.eval_len.to_string(),
            set.folder.unwrap_or("(embedded)").to_string(),
            set.licence.to_string(),
            if is_present(set) { "yes" } else { "no" }.to_string(),
        ]);
    }
    print(&format!(
        "{table}\nA data set of your own: dataset = \"npz\" and a path, with x_train, y_train, x_test and y_test."
    ))
}

fn check_path(path: &Path, json: bool) -> Result<()> {
    let report = check::check(path)?;
    if json {
        print_json(&check_json(&report))?
    } else {
        print(&check_text(&report))?
    }
    let differing: Vec<String> = report.differing().map(|file| shown(&file.path)).collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{} differs from the published file of that name and length, so it is damaged; fetch it again",
        differing.join(", ")
    )))
}

fn verdict_text(verdict: Verdict) -> String {
    match verdict {
        Verdict::Published(set) => format!("as published ({set})"),
        Verdict::Differs(set) => format!("differs from {set} as published"),
        Verdict::Unknown => "not a published file".to_string(),
    }
}

fn check_text(report: &Report) -> String {
    let title = report.published().map_or(String::new(), |set| format!(", {set} as published"));
    let shape = report.shape.map_or(String::new(), |shape| format!(", {}", shape_text(shape)));
    let mut files = table(&["file", "bytes", "MD5", "checksum"], &[1]);
    for file in &report.files {
        files.add_row([shown(&file.path), file.bytes.to_string(), file.md5.clone(), verdict_text(file.verdict)]);
    }
    let mut header = vec!["label".to_string(), "class".to_string()];
    header.extend(report.parts.iter().map(|part| part.name.to_string()));
    let mut counts = table(&header.iter().map(String::as_str).collect::<Vec<_>>(), &[0, 2, 3]);
    for (label, class) in report.classes.iter().enumerate() {
        let mut row = vec![label.to_string(), class.clone()];
        row.extend(report.parts.iter().map(|part| part.per_class.get(label).copied().unwrap_or_default().to_string()));
        counts.add_row(row);
    }
    let mut total = vec![String::new(), "all".to_string()];
    total.extend(report.parts.iter().map(|part| part.examples.to_string()));
    counts.add_row(total);
    format!("{}{shape}{title}\n{files}\n{counts}", report.format)
}

fn check_json(report: &Report) -> Value {
    let parts: Vec<Value> = report
        .parts
        .iter()
        .map(|part| json!({ "part": part.name, "examples": part.examples, "per_class": part.per_class }))
        .collect();
    let files: Vec<Value> = report
        .files
        .iter()
        .map(|file| {
            let (verdict, of) = match file.verdict {
                Verdict::Published(set) => ("published", Some(set)),
                Verdict::Differs(set) => ("differs", Some(set)),
                Verdict::Unknown => ("unknown", None),
            };
            json!({ "path": file.path, "bytes": file.bytes, "md5": file.md5, "checksum": verdict, "dataset": of })
        })
        .collect();
    json!({
        "schema": "harness.data.check/1",
        "format": report.format,
        "dataset": report.published(),
        "shape": report.shape,
        "classes": report.classes,
        "parts": parts,
        "files": files,
    })
}

fn fetch_set(set: &Set, folder: &Path, from: Option<&str>, json: bool) -> Result<()> {
    let mut progress = Bar { bar: None, terminal: std::io::stderr().is_terminal() };
    for package in set.packages {
        progress.note(&format!(
            "{} has it as a package too: install {} and set data.path = \"{}\"",
            package.of, package.name, package.folder
        ));
    }
    fetch::fetch(set, folder, from, &Patience::default(), &mut progress)?;
    if json {
        return print_json(&json!({ "schema": "harness.data.fetch/1", "dataset": set.name, "folder": folder }));
    }
    print(&format!("{} is complete in {}", set.title, shown(folder)))
}

/// A bar on a terminal, plain lines elsewhere.
struct Bar {
    bar: Option<ProgressBar>,
    terminal: bool,
}

impl Progress for Bar {
    fn start(&mut self, name: &str, done: u64, total: u64) {
        if !self.terminal {
            let from = if done > 0 { format!(", going on after {done}") } else { String::new() };
            return self.note(&format!("fetching {name}: {total} bytes{from}"));
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_position(done);
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_message(name.to_string());
        self.bar = Some(bar);
    }

    fn advance(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }

    fn note(&mut self, line: &str) {
        super::say(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DatasetKind;
    use crate::data::check::{FileCheck, PartCounts};

    fn report() -> Report {
        let part = |name, per_class: Vec<usize>| PartCounts { name, examples: per_class.iter().sum(), per_class };
        let file = |name: &str, verdict| FileCheck { path: name.into(), bytes: 12_345, md5: "0f".repeat(16), verdict };
        Report {
            format: "IDX",
            shape: Some([1, 28, 28]),
            classes: vec!["zero".into(), "one".into()],
            parts: vec![part("train", vec![30, 40]), part("evaluation", vec![5, 6])],
            files: vec![file("a/x.gz", Verdict::Published("mnist")), file("a/y.gz", Verdict::Differs("mnist"))],
        }
    }

    /// The words of each line.
    fn words(text: &str) -> Vec<Vec<&str>> {
        text.lines().map(|line| line.split_whitespace().filter(|word| !word.contains(['│', '┆'])).collect()).collect()
    }

    #[test]
    fn a_report_counts_each_class_and_judges_each_file() {
        let text = check_text(&report());
        let words = words(&text);
        assert_eq!(words[0], ["IDX,", "1x28x28"]);
        for line in [
            &["0", "zero", "30", "5"][..],
            &["1", "one", "40", "6"],
            &["all", "70", "11"],
            &["a/x.gz", "12345", "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "as", "published", "(mnist)"],
            &["a/y.gz", "12345", "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "differs", "from", "mnist", "as", "published"],
        ] {
            assert!(words.iter().any(|found| found == line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn the_same_for_machines() {
        let found = check_json(&report());
        assert_eq!(found["schema"], "harness.data.check/1");
        assert_eq!(found["dataset"], Value::Null);
        assert_eq!(found["parts"][1], json!({ "part": "evaluation", "examples": 11, "per_class": [5, 6] }));
        assert_eq!(found["files"][1]["checksum"], "differs");
        let mut published = report();
        published.files.pop();
        assert_eq!(check_json(&published)["dataset"], "mnist");
    }

    #[test]
    fn what_is_embedded_is_always_there() {
        assert!(is_present(DatasetKind::Digits.set()));
        let mut set = *DatasetKind::Mnist.set();
        set.folder = Some("no/such/folder");
        assert!(!is_present(&set));
    }
}
