//! The program, small sweeps to mix up, and files with a checksum that fits what was changed in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use harness::record::checksum;
use serde_json::Value;

/// Sets that make a sweep of the embedded digits small.
pub const SMALL: [&str; 6] = [
    "train.epochs=2",
    "record.checkpoints=[0]",
    "record.kernel.probes=20",
    "data.train_limit=200",
    "data.eval_limit=100",
    "model={kind=\"mlp\", widths=[8]}",
];

/// How a call ended: exit code, stdout, stderr.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The program that is tried: `HARNESS_PROGRAM`, to see on which older one a test fails, or the one just built.
pub fn program() -> PathBuf {
    std::env::var_os("HARNESS_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_harness").into(), PathBuf::from)
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Calls the program, which may end as it likes but not panic.
pub fn call(arguments: &[&str]) -> Said {
    finished(&mut command(arguments))
}

pub fn finished(command: &mut Command) -> Said {
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
    assert!(said.code >= 0 && said.code != 101 && !said.err.contains("panicked"), "{command:?}: {said:?}");
    said
}

/// Calls the program, which must end with `code`.
pub fn expect(code: i32, arguments: &[&str]) -> Said {
    let said = call(arguments);
    assert_eq!(said.code, code, "{arguments:?}: {said:?}");
    said
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a name that is text")
}

/// Trains a small sweep of three runs in `root`.
pub fn train(root: &Path, sets: &[&str]) {
    let mut arguments = vec!["run", "configs/digits.toml", "--runs", "3", "--quiet", "--out", text(root)];
    for set in SMALL.iter().chain(sets) {
        arguments.extend(["--set", set]);
    }
    expect(0, &arguments);
}

/// Sweeps that are made once and never changed: `base`, and `seed` from another root seed.
pub fn originals() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        train(&folder.path().join("base"), &[]);
        train(&folder.path().join("seed"), &["sweep.seed=7"]);
        folder
    });
    folder.path()
}

/// A copy of an original in a folder of its own.
pub fn fresh(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let sweep = folder.path().join(name);
    copy(&originals().join(name), &sweep);
    (folder, sweep)
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { drop(fs::copy(entry.path(), target)) }
    }
}

/// Every file below `folder` with its bytes.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path).expect("there").file_type();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_symlink() {
                found.insert(path.clone(), text(&fs::read_link(&path).expect("a link")).as_bytes().to_vec());
            } else {
                found.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// The files of a sweep's checkpoints, which are the same bytes however they came about.
pub fn recorded(sweep: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let inside = |path: &PathBuf| path.to_string_lossy().contains("checkpoints");
    let all = tree(&sweep.join("runs")).into_iter().filter(|(path, _)| inside(path));
    all.map(|(path, bytes)| (path.strip_prefix(sweep).expect("inside").to_path_buf(), bytes)).collect()
}

/// Changes a JSON file with a checksum, and gives it one that fits.
pub fn sealed(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
    value.as_object_mut().expect("an object").remove("digest");
    change(&mut value);
    fs::write(path, checksum::encode(&value).expect("JSON")).expect("written");
}

pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

/// The runs that an analysis counts.
pub fn counted(said: &Said) -> Vec<u64> {
    let value: Value = serde_json::from_str(&said.out).expect("JSON");
    value["runs"].as_array().expect("runs").iter().map(|run| run["run"].as_u64().expect("an index")).collect()
}
