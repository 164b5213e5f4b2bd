//! `harness cancel`: takes what is left of a sweep back from the cluster.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::error::Result;
use crate::sweep::{self, slurm::Cluster};
use crate::workflow::run::differing_keys;

#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The sweep's directory
    sweep: PathBuf,
}

pub fn run(args: &CancelArgs) -> Result<()> {
    let (dir, _) = sweep::open(&args.sweep, differing_keys)?;
    if !sweep::slurm::was_used(&dir) {
        return print(&format!(
            "{} was never submitted to a cluster; stop a local sweep with Ctrl-C\n",
            args.sweep.display()
        ));
    }
    let cancelled = Cluster::new().cancel(&dir)?;
    if cancelled.is_empty() {
        return print("nothing is queued or running any more\n");
    }
    for job in cancelled {
        print(&format!("job {job}: cancelled\n"))?;
    }
    Ok(())
}
