//! `report.html`: one file that opens from disk, with nothing fetched from anywhere: words, a table of runs, and plots that
//! know each other's picks. The template holds the text; the script draws from the data beside it, and where no script
//! runs the figures of the Markdown report stand in its place.

mod base64;
mod data;
mod plots;

use minijinja::{AutoEscape, Environment, Value, context};

use super::figures::{ENSEMBLES, Figure, draws_single, is_void};
use super::style::Looks;
use super::tables::{self, Column};
use super::{ensembles, words};
use crate::analysis::{Analysis, Ensembles, Images, Run};
use crate::error::{Error, Result};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
/// One script in parts, each of which builds on those before.
const SCRIPT: &str = concat!(
    include_str!("script/axes.js"),
    include_str!("script/plots.js"),
    include_str!("script/table.js"),
    include_str!("script/details.js"),
    include_str!("script/page.js"),
);
/// Reasons in the table above the runs, at most.
const REASONS: usize = 20;
/// Flagged runs among the keys of the plots, at most.
const KEYS: usize = 16;

/// The page; `images` are of examples on which runs stand alone, where they are at hand, and `figures` are shown where no
/// script runs. The same analysis gives the same bytes.
///
/// # Errors
/// [`Error::Unexpected`] if the template cannot be filled in.
pub fn page(analysis: &Analysis, images: Option<&Images>, figures: &[Figure]) -> Result<String> {
    let refused =
        |cause: &dyn std::fmt::Display| Error::Unexpected(format!("cannot write the page of the report: {cause}"));
    let looks = Looks::of(analysis);
    let data = serde_json::to_string(&data::data(analysis, &looks, images)).map_err(|cause| refused(&cause))?;
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page.html", TEMPLATE).map_err(|cause| refused(&cause))?;
    let template = environment.get_template("page.html").map_err(|cause| refused(&cause))?;
    let reasons: Vec<Value> = analysis
        .runs
        .iter()
        .flat_map(|run| run.flags.iter().map(move |flag| (run.run, flag)))
        .map(|(run, flag)| context! { run => run, flag => flag.flag.name(), why => words::sentence(&flag.why) })
        .collect();
    let left_out = analysis.source.left_out.iter();
    let notes: Vec<String> = left_out
        .map(|held| format!("Run {} was left out: {}.", held.run, held.why))
        .chain(analysis.notes.iter().cloned())
        .collect();
    let keys: Vec<Value> =
        looks.iter().map(|(run, look)| context! { run => run, colour => data::colour(look) }).collect();
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
            many => analysis.runs.len() > data::MANY,
            totals => totals(analysis),
            single => draws_single(analysis),
            more_keys => keys.len().saturating_sub(KEYS),
            keys => keys.into_iter().take(KEYS).collect::<Vec<Value>>(),
            figures => figures.iter().filter(|figure| figure.file != ENSEMBLES).map(still).collect::<Vec<Value>>(),
            ensembles => analysis.ensembles.as_ref().map(|held| put_together(held, figures)),
            checkpoint_columns => tables::CHECKPOINT_COLUMNS,
            checkpoints => tables::checkpoints(analysis),
            facts => tables::facts(analysis).into_iter().map(Vec::from).collect::<Vec<Vec<String>>>(),
        })
        .map_err(|cause| refused(&cause))
}

/// Heads of the table of runs: what the script sorts by, name, and what it means.
fn columns() -> Vec<Value> {
    let run = context! { key => "run", name => "run", title => "index of the run", left => false };
    let flags =
        context! { key => "flags", name => "flags", title => "reasons for which the run is atypical", left => true };
    let of =
        |column: &Column| context! { key => column.key, name => column.name, title => column.title, left => false };
    std::iter::once(run).chain(tables::COLUMNS.iter().map(of)).chain([flags]).collect()
}

fn rows(analysis: &Analysis, looks: &Looks) -> Vec<Value> {
    let row = |run: &Run| {
        let look = looks.flagged(run.run);
        context! {
            run => run.run,
            void => is_void(run),
            colour => look.map(data::colour),
            cells => tables::COLUMNS.iter().map(|column| (column.show)(analysis, run)).collect::<Vec<String>>(),
            flags => run.flags.iter().map(|flag| flag.flag.name()).collect::<Vec<&str>>(),
        }
    };
    analysis.runs.iter().map(row).collect()
}

/// Mean and standard deviation below each column; nothing for a single run.
fn totals(analysis: &Analysis) -> Vec<(&'static str, Vec<String>)> {
    let of = |value: fn(&crate::analysis::Estimate) -> Option<f64>| {
        let cell = |column: &Column| {
            let held = (column.estimate)(&analysis.summary);
            held.and_then(|estimate| value(&estimate)).map_or_else(String::new, column.format)
        };
        tables::COLUMNS.iter().map(cell).collect()
    };
    if analysis.summary.accuracy.and_then(|accuracy| accuracy.std).is_none() {
        return Vec::new();
    }
    vec![("mean", of(|estimate| Some(estimate.mean))), ("std", of(|estimate| estimate.std))]
}

/// What is said of ensembles, the strategies, and the figure.
fn put_together(held: &Ensembles, figures: &[Figure]) -> Value {
    let paragraphs: Vec<String> = ensembles::paragraphs(held).iter().map(|text| text.replace('`', "")).collect();
    let rows: Vec<Vec<String>> = held.strategies.iter().map(|strategy| ensembles::row(strategy).to_vec()).collect();
    let figure = figures.iter().find(|figure| figure.file == ENSEMBLES).map(still);
    context! { paragraphs => paragraphs, columns => ensembles::HEADER, rows => rows, figure => figure }
}

fn still(figure: &Figure) -> Value {
    context! { title => figure.title.as_str(), svg => figure.svg.as_str(), caption => figure.caption.replace('`', "") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Evidence, Fact, Input, RunLogits, Settings, analyze};

    /// The analysis of runs that decide so between two classes; all labels are 0.
    pub fn analysed<const N: usize>(decisions: &[[u32; N]]) -> Analysis {
        of(decisions, Evidence::default())
    }

    fn of<const N: usize>(decisions: &[[u32; N]], evidence: Evidence) -> Analysis {
        let runs = decisions.iter().zip(0..).map(|(row, index)| {
            let logits = row.iter().flat_map(|&class| if class == 0 { [1.0, 0.0] } else { [0.0, 1.0] });
            RunLogits { index, logits: logits.collect() }
        });
        let input = Input::new(vec![0; N], 2, runs.collect()).unwrap();
        analyze(&input, evidence, Settings::default()).unwrap()
    }

    fn shown(analysis: &Analysis) -> String {
        page(analysis, None, &super::super::figures::all(analysis).unwrap()).unwrap()
    }

    #[test]
    fn names_of_others_stay_text() {
        let hostile = "</script><script>alert(1)</script> & \"<img src=x onerror=alert(2)>' {{ 7 * 7 }}";
        let evidence = Evidence {
            name: hostile.to_owned(),
            class_names: vec![hostile.to_owned(), "-->".to_owned()],
            facts: vec![Fact { name: hostile.to_owned(), value: hostile.to_owned() }],
            notes: vec![hostile.to_owned()],
            ..Evidence::default()
        };
        let text = shown(&of(&[[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1]], evidence));
        assert!(!text.contains("<script>alert") && !text.contains("<img"), "markup got through");
        assert!(text.contains("{{ 7 * 7 }}"), "text was taken for a template");
        // Its own two elements: the data and the script.
        assert_eq!(text.matches("</script>").count(), 2);
    }

    #[test]
    fn the_page_names_no_other_file() {
        let text = shown(&analysed(&[[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1]]));
        for sign in [" src=", " href=", "url(http", "@import", "fetch(", "XMLHttpRequest"] {
            assert!(!text.contains(sign), "{sign}");
        }
        assert!(text.contains("default-src 'none'"));
    }

    #[test]
    fn one_run_and_none_that_can_be_judged_have_a_page() {
        for decisions in [&[[0, 1, 0, 0]][..], &[[0, 1, 0, 0], [0, 1, 0, 0]]] {
            let text = shown(&analysed(decisions));
            assert!(text.contains("75.00 %"), "no accuracy");
        }
        let runs = (0..2).map(|index| RunLogits { index, logits: vec![f64::NAN; 4] }).collect();
        let input = Input::new(vec![0, 1], 2, runs).unwrap();
        let text = shown(&analyze(&input, Evidence::default(), Settings::default()).unwrap());
        assert!(text.contains("There is nothing to judge."));
    }
}
