//! `harness microscope`: what tells sets of samples apart, seen through a third model's embeddings.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::error::{Error, Result};
use crate::microscope::{Found, Settings};
use crate::report::microscope as report;
use crate::workflow::microscope::{Files, microscope, pictures, read};

#[derive(Debug, Args)]
pub struct MicroscopeArgs {
    /// Embeddings of one model, a file for each set of samples: .npy or .npz [n, d], .parquet with numeric columns, .safetensors
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    sets: Vec<PathBuf>,
    /// What is known of the samples (topic, class, language), a file for each set: .npy, .npz, .csv, .parquet, or .txt with a line each
    #[arg(long, value_name = "FILE", num_args = 1..)]
    labels: Vec<PathBuf>,
    /// What the samples are called, in the same way
    #[arg(long, value_name = "FILE", num_args = 1..)]
    ids: Vec<PathBuf>,
    /// Row i of every set comes from the same prompt or image
    #[arg(long)]
    pairs: bool,
    /// Images of the samples, a file for each set (.npy, [n, c, h, w]), to show those that tell most
    #[arg(long, value_name = "FILE", num_args = 1..)]
    images: Vec<PathBuf>,
    /// Write the orthogonal map from each further set's space to the first one's (safetensors); needs --pairs
    #[arg(long, value_name = "FILE")]
    align: Option<PathBuf>,
    /// Error level of the verdict, and of the share that differs
    #[arg(long, value_name = "ε", default_value_t = 0.05)]
    epsilon: f64,
    /// Permutations
    #[arg(long, value_name = "B", default_value_t = 999)]
    permutations: usize,
    /// Seed of permutations, halves and starts
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object, schema harness.microscope/1
    #[arg(long)]
    json: bool,
    /// Write microscope.md, the page microscope.html, figures and microscope.json into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Looks, prints, writes with `--out`.
///
/// # Errors
/// [`Error::Invalid`] for files that cannot be read, [`Error::NotComparable`] for embeddings of different widths.
pub fn run(args: &MicroscopeArgs) -> Result<()> {
    if !(args.epsilon > 0.0 && args.epsilon < 1.0) {
        return Err(Error::Usage(format!("`--epsilon` is {}, but a level lies between 0 and 1", args.epsilon)));
    }
    if args.permutations < 19 || args.permutations > 100_000 {
        return Err(Error::Usage(format!("`--permutations` is {}, but 19 to 100000 can be made", args.permutations)));
    }
    if let Some(path) = args.align.as_ref().filter(|path| path.extension().is_none_or(|kind| kind != "safetensors")) {
        return Err(Error::Usage(format!(
            "`--align` names {}, but the map is written as .safetensors",
            path.display()
        )));
    }
    let files =
        Files { sets: args.sets.clone(), labels: args.labels.clone(), ids: args.ids.clone(), pairs: args.pairs };
    let sets = read(&files)?;
    let settings = Settings {
        permutations: args.permutations,
        epsilon: args.epsilon,
        seed: args.seed,
        align: args.align.is_some(),
    };
    let found = microscope(&sets, &settings, args.align.as_deref())?;
    let shown = if args.images.is_empty() { None } else { Some(pictures(&found, &args.images)?) };
    print(&if args.json { json(&found)? } else { text(&found) })?;
    if let Some(folder) = &args.out {
        report::write(&found, shown.as_ref(), folder)?;
        crate::record::files::write(&folder.join("microscope.json"), json(&found)?.as_bytes())?;
    }
    Ok(())
}

fn json(found: &Found) -> Result<String> {
    let text = serde_json::to_string(found)
        .map_err(|cause| Error::Unexpected(format!("cannot write the study as JSON: {cause}")))?;
    Ok(text + "\n")
}

fn text(found: &Found) -> String {
    let mut text = format!("{}\n\n", report::headline(found));
    for sentence in report::evidence(found) {
        let _ = writeln!(text, "- {sentence}");
    }
    for note in &found.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}
