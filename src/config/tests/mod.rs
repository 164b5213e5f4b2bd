//! Tests of the experiment file, by what they are about.

use std::io::Write;

use super::*;
use crate::error::exit;

mod data;
mod files;
mod in_step;
mod layering;
mod messages;
mod random;
mod texts;

/// A small experiment of no consequence.
const SMALL: &str = "name = \"x\"\n[data]\ndataset = \"digits\"\n[model]\nkind = \"mlp\"\n";

/// Loads a file of this text under the given variables and arguments; messages name it `x.toml`.
fn load_bytes(text: &[u8], env: &[(&str, &str)], sets: &[&str]) -> Result<Experiment> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let path = file.path().to_owned();
    load(&path, env, &sets).map_err(|error| {
        let text = error.to_string().replace(&path.display().to_string(), "x.toml");
        match error {
            Error::Usage(_) => Error::Usage(text),
            error if error.exit_code() == exit::INVALID => Error::Invalid(text),
            other => other,
        }
    })
}

/// Loads a file of this text; messages name it as it is called.
fn load_bytes_as_they_are(text: &[u8]) -> Result<Experiment> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    load(file.path(), std::iter::empty(), &[])
}

fn load_text(text: &str) -> Result<Experiment> {
    load_bytes(text.as_bytes(), &[], &[])
}

/// `SMALL` and more.
fn small(more: &str) -> Result<Experiment> {
    load_text(&format!("{SMALL}{more}"))
}

fn small_with(sets: &[&str]) -> Result<Experiment> {
    load_bytes(SMALL.as_bytes(), &[], sets)
}

/// The lines of the message about `SMALL` under some arguments.
fn told_with(sets: &[&str]) -> Vec<String> {
    lines(small_with(sets))
}

/// The lines of a refusal.
fn lines(result: Result<Experiment>) -> Vec<String> {
    match result {
        Err(error) if error.exit_code() == exit::INVALID => error.to_string().lines().map(str::to_owned).collect(),
        other => panic!("not refused: {other:?}"),
    }
}
