//! Golden outputs: what people and programs read of `harness`, over small fixed inputs, compared with stored texts.
//!
//! - `snapshots/` holds the texts. A wanted change is taken over with `INSTA_UPDATE=always cargo test --release --test
//!   golden` and read in the diff before it is committed.
//! - `contracts/` holds, for each JSON schema, the paths of its keys. Keys may join, none may go; a new key is added to the
//!   list by `GOLDEN_CONTRACTS=update`, which never takes one away.
//!
//! The inputs are `tests/fixtures/sweeps-0.1.tar.gz`, two sweeps of six small networks that version 0.1 wrote, and
//! `tests/fixtures/golden.npz`, eight runs made elsewhere of which run 5 is broken (see `tests/fixtures/README.md`). Times,
//! versions, machines and paths are replaced, and numbers rounded to five digits: the last ones may differ between CPUs.

mod contracts;
mod help;
mod outputs;
mod redact;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a call of the program gave.
pub struct Called {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// Calls the program in `folder`, without colours and with the width of no terminal.
pub fn harness(folder: &Path, arguments: &[&str]) -> Called {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.current_dir(folder).args(arguments).env("NO_COLOR", "1").env_remove("COLUMNS");
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let called = Called {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code: output.status.code().expect("no signal ended it"),
    };
    assert!(!called.stderr.contains("panicked"), "harness {arguments:?}:\n{}", called.stderr);
    called
}

/// Everything of a call in one text.
pub fn whole(called: &Called) -> String {
    let mut text = called.stdout.clone();
    if !called.stderr.is_empty() {
        text += &format!("--- stderr\n{}", called.stderr);
    }
    if called.code != 0 {
        text += &format!("--- exit code {}\n", called.code);
    }
    text
}

/// A folder with the inputs, gone when it is dropped: `a` and `b` are sweeps, `golden.npz` soft decisions of other runs.
pub fn inputs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let fixtures = fixtures();
    let packed = std::fs::File::open(fixtures.join("sweeps-0.1.tar.gz")).expect("the sweeps");
    tar::Archive::new(flate2::read::GzDecoder::new(packed)).unpack(folder.path()).expect("unpacked");
    std::fs::copy(fixtures.join("golden.npz"), folder.path().join("golden.npz")).expect("copied");
    folder
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Compares with the stored text of that name.
pub fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, redact::redact(text)));
}
