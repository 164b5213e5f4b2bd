//! `report.html`: one file that opens from disk, with nothing fetched from anywhere: words, a table of runs, and plots that
//! know each other's picks. The template holds the text, the script draws from the data beside it.

mod base64;
mod data;

use minijinja::{AutoEscape, Environment, Value, context};

use super::figures::is_void;
use super::style::Looks;
use super::tables::{self, Column};
use super::words;
use crate::analysis::{Analysis, Images};
use crate::error::{Error, Result};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Reasons in the table above the runs, at most.
const REASONS: usize = 40;

/// The page; `images` are of examples on which runs stand alone, where they are at hand. The same analysis gives the same
/// bytes.
///
/// # Errors
/// [`Error::Unexpected`] if the template cannot be filled in.
pub fn page(analysis: &Analysis, images: Option<&Images>) -> Result<String> {
    let refused = |cause: &dyn std::fmt::Display| Error::Unexpected(format!("cannot write the page of the report: {cause}"));
    let looks = Looks::of(analysis);
    let data = serde_json::to_string(&data::data(analysis, &looks, images)).map_err(|cause| refused(&cause))?;
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page.html", TEMPLATE).map_err(|cause| refused(&cause))?;
    let template = environment.get_template("page.html").map_err(|cause| refused(&cause))?;
    let reasons: Vec<Value> = analysis
        .runs
        .iter()
        .flat_map(|run| run.flags.iter().map(move |flag| (run, flag)))
        .map(|(run, flag)| context! { run => run.run, flag => flag.flag.name(), why => words::sentence(&flag.why) })
        .collect();
    let left_out = analysis.source.left_out.iter();
    let notes: Vec<String> = left_out
        .map(|held| format!("Run {} was left out: {}.", held.run, held.why))
        .chain(analysis.notes.iter().cloned())
        .collect();
    template
        .render(context! {
            name => analysis.source.name.as_str(),
            style => STYLE,
            script => SCRIPT,
            // Whatever a name holds, it cannot end the script's element.
            data => data.replace('<', "\\u003c"),
            headline => words::headline(analysis),
            findings => words::findings(analysis),
            notes => notes,
            more_reasons => reasons.len().saturating_sub(REASONS),
            reasons => reasons.into_iter().take(REASONS).collect::<Vec<Value>>(),
            columns => columns(),
            rows => rows(analysis, &looks),
            checkpoints => tables::checkpoints(analysis),
            facts => tables::facts(analysis).into_iter().map(Vec::from).collect::<Vec<Vec<String>>>(),
        })
        .map_err(|cause| refused(&cause))
}

/// Heads of the table of runs: what the script sorts by, name, and what it means.
fn columns() -> Vec<Value> {
    let run = context! { key => "run", name => "run", title => "index of the run", left => false };
    let flags = context! { key => "flags", name => "flags", title => "reasons for which the run is atypical", left => true };
    let of = |column: &Column| context! { key => column.key, name => column.name, title => column.title, left => false };
    std::iter::once(run).chain(tables::COLUMNS.iter().map(of)).chain([flags]).collect()
}

fn rows(analysis: &Analysis, looks: &Looks) -> Vec<Value> {
    let row = |run: &crate::analysis::Run| {
        let look = looks.flagged(run.run).filter(|_| !is_void(run));
        context! {
            run => run.run,
            colour => look.map(data::colour),
            cells => tables::COLUMNS.iter().map(|column| (column.show)(analysis, run)).collect::<Vec<String>>(),
            flags => run.flags.iter().map(|flag| flag.flag.name()).collect::<Vec<&str>>(),
        }
    };
    analysis.runs.iter().map(row).collect()
}
