//! `harness embed`: embeddings of examples by the networks of a sweep, and how alike the runs' representations are.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::analysis::representations::{Alike, AlikePair, Embedded};
use crate::arrays::{ArrayView, Slice, write_npy, write_npz};
use crate::error::{Error, Result};
use crate::report::lineage::p_value;
use crate::workflow::embed::{What, alike, embed};

#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// The directory of a sweep whose weights are recorded
    sweep: PathBuf,
    /// One run; by default all, and then embeddings are [runs, N, d]
    #[arg(long, value_name = "I")]
    run: Option<usize>,
    /// The checkpoint after this epoch; by default the last with weights
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
    /// The output of this layer before its activation, a mean over positions; by default what the last dense layer reads
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Images in the units of the data set's files: [N, C, H, W], [N, H, W] for one channel, or [N, C·H·W]; by default the evaluation set
    #[arg(long, value_name = "X.npy")]
    inputs: Option<PathBuf>,
    /// Where the embeddings go: .npy, or .npz with runs, epochs and labels, which `harness report --embeddings` reads
    #[arg(long, value_name = "E.npy|E.npz", required_unless_present = "alike")]
    out: Option<PathBuf>,
    /// Compare the representations of the runs: debiased CKA, mutual nearest neighbours, Procrustes, each with its null
    #[arg(long)]
    alike: bool,
    /// And with those of this sweep, of whatever architecture
    #[arg(long, value_name = "SWEEP", requires = "alike")]
    against: Option<PathBuf>,
    /// Permutations of each null
    #[arg(long, value_name = "B", default_value_t = 99)]
    permutations: usize,
    /// With --alike: print one JSON object, schema harness.representations/1
    #[arg(long, requires = "alike")]
    json: bool,
}

/// Embeds and writes, or compares and prints.
///
/// # Errors
/// [`Error::Invalid`] where weights are not recorded, there is no such layer or inputs do not fit.
pub fn run(args: &EmbedArgs) -> Result<()> {
    let what = What { run: args.run, epoch: args.epoch, layer: args.layer.as_deref(), inputs: args.inputs.as_deref() };
    if let Some(path) = &args.out {
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        if !["npy", "npz"].contains(&kind) {
            return Err(Error::Usage(format!(
                "{} ends in neither .npy nor .npz; name the file to write",
                path.display()
            )));
        }
        let found = embed(&args.sweep, what)?;
        write(&found, path, kind == "npz", args.run.is_some())?;
        print(&format!(
            "{}: {} examples, {} numbers each, by {} networks\n",
            path.display(),
            found.examples,
            found.width,
            found.runs.len()
        ))?;
    }
    if args.alike {
        let found = alike(&args.sweep, args.against.as_deref(), what, args.permutations)?;
        print(&shown(&found, args.json)?)?;
    }
    Ok(())
}

/// The likeness as text, or as one JSON object.
///
/// # Errors
/// None in practice: every number is written.
pub fn shown(found: &Alike, json: bool) -> Result<String> {
    if !json {
        return Ok(text(found));
    }
    serde_json::to_string(found)
        .map(|text| text + "\n")
        .map_err(|cause| Error::Unexpected(format!("cannot write likeness as JSON: {cause}")))
}

fn write(found: &Embedded, path: &std::path::Path, archive: bool, one: bool) -> Result<()> {
    let all = [found.runs.len(), found.examples, found.width];
    let shape = if one { &all[1..] } else { &all[..] };
    let values = ArrayView { shape, values: Slice::F32(&found.values) };
    if !archive {
        return write_npy(path, values);
    }
    let runs: Vec<i64> = found.runs.iter().map(|&run| i64::from(run)).collect();
    let epochs: Vec<i64> = found.epochs.iter().map(|&epoch| epoch as i64).collect();
    let labels: Vec<i64> = found.labels.iter().flatten().map(|&label| i64::from(label)).collect();
    let (runs_shape, labels_shape) = ([runs.len()], [labels.len()]);
    let mut arrays = vec![
        ("embeddings", values),
        ("runs", ArrayView { shape: &runs_shape, values: Slice::I64(&runs) }),
        ("epochs", ArrayView { shape: &runs_shape, values: Slice::I64(&epochs) }),
    ];
    if !labels.is_empty() {
        arrays.push(("labels", ArrayView { shape: &labels_shape, values: Slice::I64(&labels) }));
    }
    write_npz(path, &arrays)
}

fn text(found: &Alike) -> String {
    let mut text = format!("{:<18} {:>6} {:>8} {:>11} {:>11}\n", "pairs", "count", "CKA", "neighbours", "Procrustes");
    for mean in &found.means {
        let _ = writeln!(
            text,
            "{:<18} {:>6} {:>8.3} {:>11.3} {:>11.3}",
            mean.of, mean.pairs, mean.cka, mean.neighbours, mean.procrustes
        );
    }
    let chance = |value: &dyn Fn(&AlikePair) -> f64| {
        found.pairs.iter().map(value).sum::<f64>() / found.pairs.len().max(1) as f64
    };
    let _ = writeln!(
        text,
        "{:<18} {:>6} {:>8.3} {:>11.3} {:>11.3}",
        "by chance",
        "",
        chance(&|pair| pair.likeness.cka.chance),
        chance(&|pair| pair.likeness.neighbours.chance),
        chance(&|pair| pair.likeness.procrustes.chance)
    );
    if let Some(p) = found.p_between {
        let _ = writeln!(text, "runs of the two sweeps further apart than runs of one: p = {}", p_value(p));
    }
    let _ = writeln!(text, "on {} examples; CKA is debiased, neighbours are the ten nearest", found.examples);
    text
}
