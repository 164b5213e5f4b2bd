//! `history.md`: the verdict, signals, charts, the table of sweeps.

use super::words;
use crate::analysis::history::{Charted, History};
use crate::analysis::numbers::or_dash;
use crate::report::document::{Block, Document, Table};
use crate::report::figures::Figure;

/// Sweeps in the table, at most: the newest.
const SHOWN: usize = 60;

/// Everything in reading order.
pub fn document(found: &History, figures: Vec<Figure>) -> Document {
    let name = found.sweeps.last().map(|sweep| sweep.name.as_str()).unwrap_or_default();
    let mut document =
        Document { title: format!("History of {name}"), headline: words::headline(found), ..Document::default() };
    document.blocks.extend(found.notes.iter().cloned().map(Block::Note));
    let signals = words::signals(found);
    if !signals.is_empty() {
        document.heading("Signals");
        document.blocks.push(Block::List(signals));
    }
    document.blocks.extend(figures.into_iter().map(Block::Figure));
    limits(&mut document, found);
    sweeps(&mut document, found);
    document
}

fn limits(document: &mut Document, found: &History) {
    document.heading("Limits");
    let rows = found.charts.iter().map(|chart| {
        let value = |value: f64| words::value(chart.metric, value);
        vec![
            words::name(chart.metric).to_owned(),
            value(chart.centre),
            value(chart.sigma),
            format!("{} to {}", value(chart.low), value(chart.high)),
            value(chart.range_limit),
        ]
    });
    let header = ["", "centre", "sigma", "limits", "limit of steps"];
    document.table(Table::new("limits", &header, &[0], rows.collect()));
    document.text(format!(
        "From the first {} sweeps: the centre is their mean, sigma their mean moving range over 1.128, widened for so \
         short a period such that one further sweep lies beyond three sigmas in 0.27 % of cases, and at least one step of counting. EWMA has weight 0.2 and limits of 2.86 sigmas, CUSUM a slack of 0.5 and a decision interval of 5 sigmas; both begin \
         after the baseline.",
        found.baseline
    ));
}

fn sweeps(document: &mut Document, found: &History) {
    document.heading("Sweeps");
    let skipped = found.sweeps.len().saturating_sub(SHOWN);
    let rows = found.sweeps.iter().enumerate().skip(skipped).map(|(place, sweep)| {
        let mut row = vec![words::date(sweep.started), sweep.place.clone(), sweep.runs.to_string()];
        row.extend(Charted::ALL.map(|charted| {
            let chart = found.charts.iter().find(|chart| chart.metric == charted);
            let held = chart.and_then(|chart| chart.values.get(place).copied());
            let marked = found.signals.iter().any(|signal| signal.sweep == place && signal.metric == charted);
            let text = or_dash(held, |held| words::value(charted, held));
            if marked { format!("**{text}**") } else { text }
        }));
        row.push(if place < found.baseline { "baseline".into() } else { sweep.changed.join(", ") });
        row
    });
    let header = ["begun", "sweep", "runs", "accuracy", "churn", "ECE", "α̂", "kernel alignment", ""];
    document.table(Table::new("sweeps", &header, &[0, 1, 8], rows.collect()));
    if skipped > 0 {
        document.text(format!("The newest {SHOWN} of {} are shown.", found.sweeps.len()));
    }
    document.text(format!(
        "Bold values gave a signal. {}",
        if found.latest_only {
            "Only those of the newest sweep end with exit code 5."
        } else {
            "Any of them ends with exit code 5."
        }
    ));
}
