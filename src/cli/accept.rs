//! `harness accept`: a person says that the procedure of a night is the one that is wanted.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::error::Result;
use crate::record::provenance::host;
use crate::workflow::nights;

#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// The sweep whose procedure is the wanted one from now on
    sweep: PathBuf,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT", conflicts_with = "undo")]
    why: Option<String>,
    /// Take it back
    #[arg(long)]
    undo: bool,
}

/// Records it in the sweep; later nights are held against this one and those after it.
///
/// # Errors
/// As [`nights::accept`].
pub fn run(args: &AcceptArgs) -> Result<()> {
    let user =
        ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "somebody".into());
    nights::accept(&args.sweep, format!("{user}@{}", host()), args.why.clone(), args.undo)?;
    let place = args.sweep.display();
    print(&if args.undo {
        format!("{place} is not accepted any more\n")
    } else {
        format!(
            "{place} is accepted: the reference of later nights begins with it; `harness accept --undo {place}` takes it back\n"
        )
    })
}
