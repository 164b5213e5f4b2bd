//! `harness power`: how small a change the runs of a sweep can show.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};

use super::print;
use crate::analysis::comparison::Quantity;
use crate::analysis::numbers::or_dash;
use crate::analysis::power::Power;
use crate::error::{Error, Result};
use crate::record::files;
use crate::report::comparison::words;
use crate::report::power as report;
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
    print(&if args.json { compare::json(&found)? } else { text(&found, std::io::stdout().is_terminal()) })?;
    if let Some(folder) = &args.out {
        report::write(&found, folder)?;
        files::write(&folder.join("power.json"), compare::json(&found)?.as_bytes())?;
    }
    Ok(())
}

/// What a person reads: the answer, then the table.
fn text(found: &Power, terminal: bool) -> String {
    let mut text: String = report::answers(found).into_iter().map(|sentence| sentence + "\n").collect();
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    let sizes = found.sizes.iter().map(|size| match *size == found.runs {
        true => format!("{size} (as here)"),
        false => size.to_string(),
    });
    table.set_header(["change of".to_owned(), "mean".into(), "sd".into()].into_iter().chain(sizes));
    for row in report::shown(found) {
        let cells = row.detectable.iter().map(|change| or_dash(*change, |change| words::size(row.metric, change)));
        let first =
            [row.metric.name().into_owned(), words::value(row.metric, row.mean), words::size(row.metric, row.std)];
        table.add_row(first.into_iter().chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text.push_str(&format!("{table}\n"));
    text.push_str(&format!("{}\n", report::explanation(found)));
    text
}
