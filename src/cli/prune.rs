//! `harness prune`: the runs of old nights go, what their verdicts rest on stays.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::error::Result;
use crate::report::words::count;
use crate::workflow::nights;

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// A folder of nights
    folder: PathBuf,
    /// The newest nights of each experiment that keep their runs
    #[arg(long, value_name = "N")]
    keep: usize,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

/// Prunes and says what went.
///
/// # Errors
/// As [`nights::prune`].
pub fn run(args: &PruneArgs) -> Result<()> {
    let (done, notes) = nights::prune(&args.folder, args.keep, args.dry_run)?;
    let mut text = String::new();
    for night in &done {
        text.push_str(&format!("{}: {} MB\n", night.root.display(), night.bytes.div_ceil(1_000_000)));
    }
    let (verb, bytes) =
        (if args.dry_run { "would be" } else { "were" }, done.iter().map(|night| night.bytes).sum::<u64>());
    text.push_str(&format!(
        "{} {verb} pruned, {} MB; their values stay for `harness history`\n",
        count(done.len(), "night"),
        bytes.div_ceil(1_000_000)
    ));
    print(&text)?;
    notes.iter().for_each(|note| super::say(note));
    Ok(())
}
