//! `history.md`: the verdict, signals, charts, the table of sweeps.

use super::words;
use crate::analysis::history::{Charted, History};
use crate::analysis::numbers::or_dash;
use crate::report::figures::Figure;
use crate::report::markdown::{Page, plain, plain_but_code};

/// Sweeps in the table, at most: the newest.
const SHOWN: usize = 60;

/// The whole text; figures are named by their files.
pub fn markdown(found: &History, figures: &[Figure]) -> String {
    let mut page = Page::default();
    let name = found.sweeps.last().map(|sweep| sweep.name.as_str()).unwrap_or_default();
    page.line(&format!("# History of {}", plain(name)));
    page.line(&format!("**{}**", plain(&words::headline(found))));
    for note in &found.notes {
        page.line(&format!("> {}", plain_but_code(note)));
    }
    let signals = words::signals(found);
    if !signals.is_empty() {
        page.line("## Signals");
        page.line(&signals.iter().map(|sentence| format!("- {}", plain(sentence))).collect::<Vec<_>>().join("\n"));
    }
    for figure in figures {
        page.line(&format!("## {}", figure.title));
        page.line(&format!("![{}]({})", figure.title, figure.file));
        page.line(&plain_but_code(&figure.caption));
    }
    limits(&mut page, found);
    sweeps(&mut page, found);
    page.text
}

fn limits(page: &mut Page, found: &History) {
    page.line("## Limits");
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
    page.table(&["", "centre", "sigma", "limits", "limit of steps"], "lrrrr", rows);
    page.line(&format!(
        "From the first {} sweeps: the centre is their mean, sigma their mean moving range over 1.128, widened for so \
         short a period such that one further sweep lies beyond three sigmas in 0.27 % of cases, and at least one step of counting. EWMA has weight 0.2 and limits of 2.86 sigmas, CUSUM a slack of 0.5 and a decision interval of 5 sigmas; both begin \
         after the baseline.",
        found.baseline
    ));
}

fn sweeps(page: &mut Page, found: &History) {
    page.line("## Sweeps");
    let skipped = found.sweeps.len().saturating_sub(SHOWN);
    let rows = found.sweeps.iter().enumerate().skip(skipped).map(|(place, sweep)| {
        let mut row = vec![words::date(sweep.started), plain(&sweep.place), sweep.runs.to_string()];
        row.extend(Charted::ALL.map(|charted| {
            let chart = found.charts.iter().find(|chart| chart.metric == charted);
            let held = chart.and_then(|chart| chart.values.get(place).copied());
            let marked = found.signals.iter().any(|signal| signal.sweep == place && signal.metric == charted);
            let text = or_dash(held, |held| words::value(charted, held));
            if marked { format!("**{text}**") } else { text }
        }));
        row.push(if place < found.baseline { "baseline".into() } else { plain(&sweep.changed.join(", ")) });
        row
    });
    let header = ["begun", "sweep", "runs", "accuracy", "churn", "ECE", "α̂", "kernel alignment", ""];
    page.table(&header, "llrrrrrrl", rows);
    if skipped > 0 {
        page.line(&format!("The newest {SHOWN} of {} are shown.", found.sweeps.len()));
    }
    page.line(&format!(
        "Bold values gave a signal. {}",
        if found.latest_only {
            "Only those of the newest sweep end with exit code 5."
        } else {
            "Any of them ends with exit code 5."
        }
    ));
}
