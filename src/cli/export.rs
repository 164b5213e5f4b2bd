//! `harness export`: logits, labels and kernels of all runs in one file, or as one array each in a folder.

use std::path::{Path, PathBuf};

use clap::Args;

use super::print;
use crate::analysis::LeftOut;
use crate::arrays::{ArrayView, Slice, write_npy, write_npz};
use crate::error::{Error, Result};
use crate::record::SweepReader;
use crate::record::export::stack;

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The sweep's directory
    sweep: PathBuf,
    /// An .npz file to write, or a folder for one .npy file each: `logits` [M, N, C], `labels` [N], `runs` [M], and
    /// `kernel_…` [M, P, P] for each kind of kernel
    #[arg(long, value_name = "FILE.npz|DIR")]
    to: PathBuf,
    /// Which checkpoint; by default the last that every run has
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
    /// End with exit code 0 though complete runs are damaged and were left out
    #[arg(long)]
    allow_damaged: bool,
}

/// Writes the arrays and says where.
///
/// # Errors
/// As [`stack`]; `Unexpected` when the file system refuses.
pub fn run(args: &ExportArgs) -> Result<()> {
    let npz = is_npz(&args.to)?;
    let stack = stack(&SweepReader::open(&args.sweep)?, args.epoch)?;
    for run in &stack.left_out {
        super::say(&format!("left out: run {}: {}", run.run, run.why));
    }
    let labels: Vec<i64> = stack.labels.iter().copied().map(i64::from).collect();
    let indices: Vec<i64> = stack.runs.iter().map(|&run| run as i64).collect();
    let (labels_shape, runs_shape) = ([labels.len()], [indices.len()]);
    let names: Vec<String> = stack.kernels.iter().map(|kernel| format!("kernel_{}", kernel.name)).collect();
    let mut arrays = vec![
        ("logits", ArrayView { shape: &stack.shape, values: Slice::F32(&stack.logits) }),
        ("labels", ArrayView { shape: &labels_shape, values: Slice::I64(&labels) }),
        ("runs", ArrayView { shape: &runs_shape, values: Slice::I64(&indices) }),
    ];
    arrays.extend(
        names.iter().zip(&stack.kernels).map(|(name, kernel)| {
            (name.as_str(), ArrayView { shape: &kernel.shape, values: Slice::F32(&kernel.values) })
        }),
    );
    if npz {
        write_npz(&args.to, &arrays)?;
    } else {
        std::fs::create_dir_all(&args.to).map_err(|cause| Error::io("create", &args.to, &cause))?;
        for (name, array) in arrays {
            write_npy(&args.to.join(format!("{name}.npy")), array)?;
        }
    }
    print(&format!("{}: epoch {} of {} runs\n", args.to.display(), stack.epoch, stack.runs.len()))?;
    let left_out: Vec<LeftOut> = stack.left_out.iter().map(|held| LeftOut::new(held.run as u32, &held.why)).collect();
    super::refuse_damaged(&left_out, args.allow_damaged)
}

/// Whether `to` is an .npz file rather than a folder.
fn is_npz(to: &Path) -> Result<bool> {
    match to.extension() {
        Some(extension) if extension == "npz" => Ok(true),
        Some(extension) if !to.is_dir() => Err(Error::Usage(format!(
            "{} ends in .{}; name a file that ends in .npz, or a folder",
            to.display(),
            extension.display()
        ))),
        _ => Ok(false),
    }
}
