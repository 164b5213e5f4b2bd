//! `history.md`: the verdict, what to look at first, charts, the table of nights.

use super::words;
use crate::analysis::nights::{Charted, History};
use crate::analysis::numbers::or_dash;
use crate::report::document::{Block, Document, Table};
use crate::report::figures::Figure;
use crate::report::text::list;

/// Nights in the table, at most: the newest.
const SHOWN: usize = 60;

/// Everything in reading order; `look` is what to look at first.
pub fn document(found: &History, look: &[String], figures: Vec<Figure>) -> Document {
    let name = found.sweeps.last().map(|night| night.name.as_str()).unwrap_or_default();
    let mut document =
        Document { title: format!("Nights of {name}"), headline: words::headline(found), ..Document::default() };
    let carriers = words::carriers(found);
    let evidence = (!carriers.is_empty()).then(|| format!("The evidence is in {}.", list(&carriers)));
    let first: Vec<String> = evidence.into_iter().chain(look.iter().cloned()).collect();
    if !first.is_empty() {
        document.heading("What to look at first");
        document.blocks.push(Block::List(first));
    }
    document.blocks.extend(found.notes.iter().cloned().map(Block::Note));
    document.blocks.extend(figures.into_iter().map(Block::Figure));
    quantities(&mut document, found);
    nights(&mut document, found);
    document
}

fn quantities(document: &mut Document, found: &History) {
    document.heading("Quantities");
    let newest = found.sweeps.len().saturating_sub(1);
    let rows = found.charts.iter().map(|chart| {
        let value = |value: f64| words::value(chart.metric, value);
        vec![
            words::name(chart.metric).into_owned(),
            or_dash(chart.values.get(newest).copied().flatten(), value),
            value(chart.centre),
            value(chart.sigma),
            or_dash(chart.evidence.get(newest).copied().flatten(), words::evidence),
            if chart.by_night { "night" } else { "run" }.to_owned(),
        ]
    });
    let header = ["", "newest", "reference", "sigma of nights", "evidence", "unit"];
    document.table(Table::new("quantities", &header, &[0, 5], rows.collect()));
    document.text(format!(
        "The rule: every night's runs are held against the runs of all accepted nights by permutation; the p-value of a quantity \
         becomes a factor of its evidence, and there is an alarm when the weighted mean of the evidence reaches {}. While nothing \
         changes, a false alarm comes at most once in so many nights, in the mean.",
        found.limit.round()
    ));
}

fn nights(document: &mut Document, found: &History) {
    const COLUMNS: [Charted; 5] =
        [Charted::Accuracy, Charted::Nll, Charted::Ece, Charted::Churn, Charted::KernelAlignment];
    document.heading("Nights");
    let skipped = found.sweeps.len().saturating_sub(SHOWN);
    let rows = found.sweeps.iter().enumerate().skip(skipped).map(|(place, night)| {
        let mut row = vec![words::date(night.started), night.place.clone(), night.runs.to_string()];
        row.extend(COLUMNS.map(|charted| {
            let chart = found.charts.iter().find(|chart| chart.metric == charted);
            or_dash(chart.and_then(|chart| chart.values.get(place).copied().flatten()), |held| {
                words::value(charted, held)
            })
        }));
        row.push(or_dash(night.evidence, words::evidence));
        row.push(words::standing(night));
        row.push(night.changed.join(", "));
        row
    });
    let header = [
        "begun",
        "sweep",
        "runs",
        "accuracy",
        "NLL",
        "ECE",
        "churn",
        "kernel alignment",
        "evidence",
        "",
        "changed keys",
    ];
    document.table(Table::new("nights", &header, &[0, 1, 9, 10], rows.collect()));
    if skipped > 0 {
        document.text(format!("The newest {SHOWN} of {} are shown.", found.sweeps.len()));
    }
}
