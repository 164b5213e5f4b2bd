//! `harness export`: logits, labels and kernels of all runs in one file.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::arrays::{ArrayView, Slice, write_npz};
use crate::error::{Error, Result};
use crate::record::SweepReader;

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The sweep's directory
    sweep: PathBuf,
    /// The file to write, ending in .npz: `logits` [M, N, C], `labels` [N], `runs` [M], and a kernel [M, P, P] for each kind
    #[arg(long, value_name = "FILE.npz")]
    to: PathBuf,
    /// Which checkpoint; by default the last that every run has
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
}

pub fn run(args: &ExportArgs) -> Result<()> {
    if args.to.extension().is_none_or(|extension| extension != "npz") {
        return Err(Error::Usage(format!("{} does not end in .npz; name the file to write", args.to.display())));
    }
    let reader = SweepReader::open(&args.sweep)?;
    let (runs, left_out) = reader.runs();
    for run in &left_out {
        anstream::eprintln!("left out: run {}: {}", run.run, run.why);
    }
    let common = |epoch: &usize| runs.iter().all(|run| run.epochs().contains(epoch));
    let epochs: Vec<usize> =
        runs.first().map(|run| run.epochs()).unwrap_or_default().into_iter().filter(common).collect();
    let epoch = match args.epoch {
        Some(epoch) if epochs.contains(&epoch) => epoch,
        Some(epoch) => {
            return Err(Error::Invalid(format!(
                "epoch {epoch} is not recorded for every run; recorded are {epochs:?}"
            )));
        }
        None => *epochs.last().ok_or_else(|| {
            Error::Invalid(format!("{} has no complete run to export; `harness resume` it first", args.sweep.display()))
        })?,
    };
    let (mut logits, mut labels, mut shape) = (Vec::new(), Vec::new(), [runs.len(), 0, 0]);
    let mut kernels: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for run in &runs {
        let soft = run.soft(epoch)?;
        if !labels.is_empty() && labels != soft.labels {
            return Err(Error::Corrupt(format!("run {} was judged on other labels than the others", run.index())));
        }
        shape = [runs.len(), soft.examples, soft.classes];
        logits.extend(soft.logits);
        labels = soft.labels;
        let Some(kernel) = run.kernel(epoch)? else { continue };
        for (name, _, _) in kernel.iter() {
            let Ok((shape, values)) = kernel.f32(name) else { continue };
            match kernels.iter_mut().find(|(known, known_shape, _)| known == name && known_shape == shape) {
                Some((_, _, all)) => all.extend_from_slice(values),
                None => kernels.push((name.to_owned(), shape.to_vec(), values.to_vec())),
            }
        }
    }
    let labels: Vec<i64> = labels.into_iter().map(i64::from).collect();
    let indices: Vec<i64> = runs.iter().map(|run| run.index() as i64).collect();
    let (labels_shape, runs_shape) = ([labels.len()], [runs.len()]);
    let stacked: Vec<(String, Vec<usize>, &[f32])> = kernels
        .iter()
        .map(|(name, shape, values)| {
            let length = shape.iter().product::<usize>().max(1);
            let stacked = std::iter::once(values.len() / length).chain(shape.iter().copied()).collect();
            (format!("kernel_{name}"), stacked, values.as_slice())
        })
        .collect();
    let mut arrays = vec![
        ("logits", ArrayView { shape: &shape, values: Slice::F32(&logits) }),
        ("labels", ArrayView { shape: &labels_shape, values: Slice::I64(&labels) }),
        ("runs", ArrayView { shape: &runs_shape, values: Slice::I64(&indices) }),
    ];
    arrays.extend(stacked.iter().map(|(name, shape, values)| {
        (name.as_str(), ArrayView { shape: shape.as_slice(), values: Slice::F32(values) })
    }));
    write_npz(&args.to, &arrays)?;
    print(&format!("{}: epoch {epoch} of {} runs\n", args.to.display(), runs.len()))
}
