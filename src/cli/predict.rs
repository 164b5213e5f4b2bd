//! `harness predict`: applies an ensemble that `harness select` exported to new images.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::print;
use crate::arrays::{ArrayView, Slice, write_npy, write_npz};
use crate::ensemble::{Predictions, Predictor};
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The ensemble.json that `harness select --out` wrote
    #[arg(long, value_name = "FILE")]
    ensemble: PathBuf,
    /// Images in the units of the data set's files, not standardised: [N, C, H, W], [N, H, W] for one channel, or [N, C·H·W]
    #[arg(long, value_name = "X.npy")]
    inputs: PathBuf,
    /// Write probabilities [N, C] as .npy, or as .npz with the decisions [N], instead of printing them
    #[arg(long, value_name = "P.npy|P.npz")]
    out: Option<PathBuf>,
    /// Print one JSON object, schema harness.predictions/1
    #[arg(long)]
    json: bool,
}

/// Predicts, then prints or writes.
///
/// # Errors
/// [`Error::Invalid`] for an ensemble or inputs that cannot be used, [`Error::Corrupt`] for weights that have changed.
pub fn run(args: &PredictArgs) -> Result<()> {
    let kind = args.out.as_ref().map(|path| path.extension().and_then(|kind| kind.to_str()).unwrap_or_default());
    if let (Some(path), false) = (&args.out, matches!(kind, None | Some("npy" | "npz"))) {
        return Err(Error::Usage(format!("{} ends in neither .npy nor .npz; name the file to write", path.display())));
    }
    let predictor = Predictor::open(&args.ensemble)?;
    let found = predictor.predict(predictor.read_inputs(&args.inputs)?)?;
    if let Some(path) = &args.out {
        let shape = [found.decisions.len(), found.classes.len()];
        let values: Vec<f32> = found.probabilities.iter().map(|&p| p as f32).collect();
        let probabilities = ArrayView { shape: &shape, values: Slice::F32(&values) };
        if kind == Some("npy") {
            write_npy(path, probabilities)?;
        } else {
            let decisions: Vec<i64> = found.decisions.iter().map(|&class| i64::from(class)).collect();
            let decisions = ArrayView { shape: &shape[..1], values: Slice::I64(&decisions) };
            write_npz(path, &[("probabilities", probabilities), ("decisions", decisions)])?;
        }
    }
    match (args.json, &args.out) {
        (true, _) => print(&as_json(&found)?),
        (false, Some(path)) => print(&format!(
            "{}: {} examples by {} networks\n",
            path.display(),
            found.decisions.len(),
            predictor.members()
        )),
        (false, None) => print(&lines(&found)),
    }
}

fn as_json(found: &Predictions) -> Result<String> {
    let rows: Vec<&[f64]> = found.probabilities.chunks_exact(found.classes.len().max(1)).collect();
    let value = json!({
        "schema": "harness.predictions/1",
        "examples": found.decisions.len(),
        "classes": found.classes,
        "decisions": found.decisions,
        "probabilities": rows,
    });
    let mut text = serde_json::to_string(&value)
        .map_err(|cause| Error::Unexpected(format!("cannot write predictions as JSON: {cause}")))?;
    text.push('\n');
    Ok(text)
}

/// One example a line: its number, the name of the decision, its probability; with tabs between.
fn lines(found: &Predictions) -> String {
    let mut text = String::new();
    let rows = found.probabilities.chunks_exact(found.classes.len().max(1)).zip(&found.decisions);
    for (example, (row, &decision)) in rows.enumerate() {
        let name = found.classes.get(decision as usize).map_or("", String::as_str);
        let probability = row.get(decision as usize).copied().unwrap_or(f64::NAN);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{example}\t{name}\t{probability:.6}");
    }
    text
}
