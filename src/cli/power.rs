//! `harness power`: how small a change the runs of a sweep can show.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::print;
use crate::analysis::comparison::Quantity;
use crate::analysis::numbers::or_dash;
use crate::analysis::power::{Power, Row};
use crate::error::{Error, Result};
use crate::record::files;
use crate::report::comparison::words;
use crate::report::power as report;
use crate::report::terminal;
use crate::workflow::{compare, power};

#[derive(Debug, Args)]
pub struct PowerArgs {
    /// A sweep whose runs say how much one run differs from another
    sweep: PathBuf,
    /// A change that is to be found, accuracy=0.003 say: prints the runs that it needs; may be repeated
    #[arg(long, value_name = "NAME=SIZE")]
    detect: Vec<Change>,
    /// Epoch that is judged; by default the last that all runs recorded
    #[arg(long, value_name = "E")]
    epoch: Option<usize>,
    /// Confidence of all tests of a comparison together
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// Print one JSON object, schema harness.power/1, instead of a table
    #[arg(long)]
    json: bool,
    /// Write power.md, power.html, its figure and power.json into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One argument of `--detect`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    quantity: Quantity,
    size: f64,
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, number) = text.split_once('=').ok_or_else(|| format!("`{text}`: write accuracy=0.003"))?;
        let size: f64 = number.trim().parse().map_err(|_| format!("`{number}` is not a number"))?;
        if !(size > 0.0 && size.is_finite()) {
            return Err(format!("a change has a size above 0, not {size}"));
        }
        Ok(Self { quantity: name.trim().parse()?, size })
    }
}

/// Prints the table, or JSON.
///
/// # Errors
/// As [`power::of_sweep`]; [`Error::Usage`] for a confidence out of range.
pub fn run(args: &PowerArgs) -> Result<()> {
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        return Err(Error::Usage(format!("`--confidence` is {}, but lies between 0 and 1", args.confidence)));
    }
    let asked: Vec<(Quantity, f64)> = args.detect.iter().map(|change| (change.quantity, change.size)).collect();
    let found = power::of_sweep(&args.sweep, args.epoch, args.confidence, &asked)?;
    print(&if args.json { compare::json(&found)? } else { text(&found) })?;
    if let Some(folder) = &args.out {
        report::write(&found, folder)?;
        files::write(&folder.join("power.json"), compare::json(&found)?.as_bytes())?;
    }
    Ok(())
}

/// What a person reads: the answer, then the table; the largest numbers of runs are left out first where there is too little room.
fn text(found: &Power) -> String {
    let mut text: String = report::answers(found).into_iter().map(|sentence| sentence + "\n").collect();
    let sizes = found.sizes.iter().map(|size| match *size == found.runs {
        true => format!("{size} (as here)"),
        false => size.to_string(),
    });
    let heads: Vec<String> = ["change of".to_owned(), "mean".into(), "sd".into()].into_iter().chain(sizes).collect();
    let row = |held: &Row| {
        let cells = held.detectable.iter().map(|change| or_dash(*change, |change| words::size(held.metric, change)));
        let first =
            [held.metric.name().into_owned(), words::value(held.metric, held.mean), words::size(held.metric, held.std)];
        first.into_iter().chain(cells).collect::<Vec<String>>()
    };
    let rows: Vec<Vec<String>> = report::shown(found).into_iter().map(row).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let least: Vec<usize> =
        (3..heads.len()).rev().filter(|place| found.sizes.get(place - 3) != Some(&found.runs)).collect();
    text.push_str(&terminal::table(&heads, &rows, &[0], &least, terminal::width()));
    text.push_str(&format!("\n{}\n", report::explanation(found)));
    terminal::fitted(&text, terminal::width())
}
