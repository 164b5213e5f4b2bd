//! Tells the program which source tree it was built from and for which instruction sets. Works without git.

use std::env;
use std::process::Command;

fn main() {
    for input in ["src", "Cargo.toml", "Cargo.lock", "build.rs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    if let Some(features) = env::var_os("CARGO_CFG_TARGET_FEATURE") {
        println!("cargo::rustc-env=HARNESS_TARGET_FEATURES={}", features.to_string_lossy());
    }
    // Who builds from an archive, or does not want to build again after each commit, names the commit.
    println!("cargo::rerun-if-env-changed=HARNESS_COMMIT");
    if let Ok(commit) = env::var("HARNESS_COMMIT") {
        println!("cargo::rustc-env=HARNESS_GIT_COMMIT={commit}");
        return;
    }
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return };
    println!("cargo::rustc-env=HARNESS_GIT_COMMIT={commit}");
    if let Some(changes) = git(&["status", "--porcelain", "--untracked-files=no"]) {
        println!("cargo::rustc-env=HARNESS_GIT_DIRTY={}", !changes.is_empty());
    }
    // A commit or a checkout adds a line here without touching the sources. Not `index`: `git status` writes it.
    if let Some(path) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={path}");
    }
}

/// What git prints, or `None` if there is no git, no repository or nothing to say.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
