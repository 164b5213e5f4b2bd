//! `harness verify`: is every file of a sweep as it was written?

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::error::{Error, Result};
use crate::record::{self, SweepDir};

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The sweep's directory
    sweep: PathBuf,
    /// Forget what is broken, so that `harness resume` makes it again
    #[arg(long)]
    repair: bool,
}

pub fn run(args: &VerifyArgs) -> Result<()> {
    let sweep = SweepDir::new(&args.sweep);
    let problems = record::verify(&sweep)?;
    if problems.is_empty() {
        return print(&format!("{}: every file is as it was written\n", args.sweep.display()));
    }
    for problem in &problems {
        print(&format!("{problem}\n"))?;
    }
    let count = problems.len();
    if !args.repair {
        return Err(Error::Corrupt(format!(
            "{count} problems in {}; `harness verify --repair` forgets what is broken",
            args.sweep.display()
        )));
    }
    for sentence in record::repair(&sweep, &problems)? {
        print(&format!("{sentence}\n"))?;
    }
    match record::verify(&sweep)?.len() {
        0 => Ok(()),
        left => Err(Error::Corrupt(format!(
            "{left} of {count} problems in {} are left; they are not the program's to mend",
            args.sweep.display()
        ))),
    }
}
