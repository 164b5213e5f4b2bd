//! `history.md`: the verdict, what to look at first, charts, the table of nights.

use super::words;
use crate::analysis::nights::{Charted, History};
use crate::analysis::numbers::or_dash;
use crate::report::figures::Figure;
use crate::report::markdown::{Page, plain, plain_but_code};
use crate::report::words::list;

/// Nights in the table, at most: the newest.
const SHOWN: usize = 60;

/// The whole text; figures are named by their files, `look` is what to look at first.
pub fn markdown(found: &History, look: &[String], figures: &[Figure]) -> String {
    let mut page = Page::default();
    let name = found.sweeps.last().map(|night| night.name.as_str()).unwrap_or_default();
    page.line(&format!("# Nights of {}", plain(name)));
    page.line(&format!("**{}**", plain_but_code(&words::headline(found))));
    let carriers = words::carriers(found);
    let mut first: Vec<String> = look.iter().map(|sentence| format!("- {}", plain_but_code(sentence))).collect();
    if !carriers.is_empty() {
        first.insert(0, format!("- The evidence is in {}.", plain(&list(&carriers))));
    }
    if !first.is_empty() {
        page.line("## What to look at first");
        page.line(&first.join("\n"));
    }
    for note in &found.notes {
        page.line(&format!("> {}", plain_but_code(note)));
    }
    for figure in figures {
        page.line(&format!("## {}", figure.title));
        page.line(&format!("![{}]({})", figure.title, figure.file));
        page.line(&plain_but_code(&figure.caption));
    }
    quantities(&mut page, found);
    nights(&mut page, found);
    page.text
}

fn quantities(page: &mut Page, found: &History) {
    page.line("## Quantities");
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
    page.table(&["", "newest", "reference", "sigma of nights", "evidence", "unit"], "lrrrrl", rows);
    page.line(&format!(
        "The rule: every night's runs are held against the runs of all accepted nights by permutation; the p-value of a quantity \
         becomes a factor of its evidence, and there is an alarm when the weighted mean of the evidence reaches {}. While nothing \
         changes, a false alarm comes at most once in so many nights, in the mean.",
        found.limit.round()
    ));
}

fn nights(page: &mut Page, found: &History) {
    const COLUMNS: [Charted; 5] =
        [Charted::Accuracy, Charted::Nll, Charted::Ece, Charted::Churn, Charted::KernelAlignment];
    page.line("## Nights");
    let skipped = found.sweeps.len().saturating_sub(SHOWN);
    let rows = found.sweeps.iter().enumerate().skip(skipped).map(|(place, night)| {
        let mut row = vec![words::date(night.started), plain(&night.place), night.runs.to_string()];
        row.extend(COLUMNS.map(|charted| {
            let chart = found.charts.iter().find(|chart| chart.metric == charted);
            or_dash(chart.and_then(|chart| chart.values.get(place).copied().flatten()), |held| {
                words::value(charted, held)
            })
        }));
        row.push(or_dash(night.evidence, words::evidence));
        row.push(words::standing(night));
        row.push(plain(&night.changed.join(", ")));
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
    page.table(&header, "llrrrrrrrll", rows);
    if skipped > 0 {
        page.line(&format!("The newest {SHOWN} of {} are shown.", found.sweeps.len()));
    }
}
