//! `harness verify`: is every file of a sweep as it was written, and is it all there?

use std::path::PathBuf;

use clap::Args;

use super::{print, resume};
use crate::error::{Error, Result};
use crate::record::{self, Completeness, SweepDir, SweepManifest};
use crate::report::words::list;
use crate::workflow::run::open;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The sweep's directory
    sweep: PathBuf,
    /// Forget what is broken and can be made again, so that `harness resume` and `harness report` make it
    #[arg(long)]
    repair: bool,
}

pub fn run(args: &VerifyArgs) -> Result<()> {
    let sweep = SweepDir::new(&args.sweep);
    let root = args.sweep.display();
    let (problems, found) = record::look_through(&sweep)?;
    if let Some(found) = found {
        print(&format!("{root}: {}\n", completeness(&found)))?;
    }
    if problems.is_empty() {
        return print(&format!("{root}: every file that is there is as it was written\n"));
    }
    for problem in &problems {
        print(&format!("{problem}\n"))?;
    }
    let count = problems.len();
    let noun = if count == 1 { "1 problem" } else { &format!("{count} problems") };
    if !args.repair {
        return Err(Error::Corrupt(format!(
            "{noun} in {root}; `harness verify --repair {root}` forgets what is broken and can be made again"
        )));
    }
    if !matches!(SweepManifest::read(&sweep), Ok(Some(_))) {
        open(&args.sweep, &resume::stored(&args.sweep)?)?;
        print("wrote sweep.json again from experiment.toml\n")?;
    }
    let (done, left) = record::repair(&sweep)?;
    for sentence in done {
        print(&format!("{sentence}\n"))?;
    }
    match left.len() {
        0 => Ok(()),
        left => Err(Error::Corrupt(format!("{left} of {noun} in {root} are left; they are not the program's to mend"))),
    }
}

/// `2 of 3 runs are complete; missing are 1`.
fn completeness(found: &Completeness) -> String {
    /// Runs that are named.
    const SHOWN: usize = 10;
    let mut text = format!("{} of {} runs are complete", found.complete, found.runs);
    if !found.missing.is_empty() {
        let mut missing: Vec<String> = found.missing.iter().take(SHOWN).map(usize::to_string).collect();
        if found.missing.len() > SHOWN {
            missing.push(format!("{} more", found.missing.len() - SHOWN));
        }
        text.push_str(&format!("; not complete: {}", list(&missing)));
    }
    text
}
