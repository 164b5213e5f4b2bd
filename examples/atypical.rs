//! Which runs of a sweep are atypical, and a report of it, from a program of one's own:
//! `cargo run --release --example atypical sweeps/digits`

use harness::record::SweepDir;
use harness::workflow::analyze::{Changes, of_sweep, write};

fn main() -> Result<(), harness::error::Error> {
    let root = std::env::args().nth(1).unwrap_or_else(|| "sweeps/digits".into());
    let analysis = of_sweep(root.as_ref(), None, &Changes::default())?;
    for run in analysis.runs.iter().filter(|run| run.is_flagged()) {
        println!("run {} is atypical: {}", run.run, run.flags[0].why);
    }
    let written = write(&SweepDir::new(root.as_ref()), &analysis, None)?;
    println!("{}", written.folder.join("report.md").display());
    Ok(())
}
