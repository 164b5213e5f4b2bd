//! `compare.md`: the verdict in words, the table of tests, figures, votes that changed, how the experiments differ.

use super::words;
use crate::analysis::comparison::{Comparison, Finding, Quantity, Side, Unit};
use crate::analysis::numbers::{fixed, or_dash, percent, thousands};
use crate::report::document::{Block, Document, Table};
use crate::report::figures::Figure;
use crate::report::text::ranges;

/// Changed votes in the table, at most; all are in the JSON.
const VOTES: usize = 30;

/// Everything in reading order.
pub fn document(found: &Comparison, figures: Vec<Figure>) -> Document {
    let mut document = Document { title: title(found), headline: words::headline(found), ..Document::default() };
    let evidence = words::evidence(found);
    if !evidence.is_empty() {
        document.blocks.push(Block::List(evidence));
    }
    words::description(found).into_iter().for_each(|sentence| document.text(sentence));
    document.blocks.extend(found.notes.iter().cloned().map(Block::Note));
    tests(&mut document, found);
    document.blocks.extend(figures.into_iter().map(Block::Figure));
    votes(&mut document, found);
    changes(&mut document, found);
    sides(&mut document, found);
    document
}

fn title(found: &Comparison) -> String {
    if found.baseline.name == found.candidate.name {
        format!("{}: {} against {}", found.baseline.name, found.candidate.place, found.baseline.place)
    } else {
        format!("{} against {}", found.candidate.name, found.baseline.name)
    }
}

/// `**worse**`
fn shown(finding: Finding) -> String {
    if finding.is_difference() { format!("**{}**", finding.name()) } else { finding.name().to_owned() }
}

fn tests(document: &mut Document, found: &Comparison) {
    document.heading("Tests");
    let metrics = found.shown();
    let rows = metrics.iter().map(|metric| {
        let quantity = metric.metric;
        vec![
            words::name(quantity).into_owned(),
            words::value(quantity, metric.baseline),
            words::value(quantity, metric.candidate),
            or_dash(metric.between, |between| words::value(quantity, between)),
            words::difference(quantity, metric.difference),
            words::interval(metric),
            words::p_value(metric.p),
            words::p_value(metric.p_corrected),
            or_dash(metric.detectable, |size| words::size(quantity, size)),
            shown(metric.finding),
        ]
    });
    let header = [
        "",
        "baseline",
        "candidate",
        "between",
        "difference",
        "interval",
        "p",
        "corrected p",
        "would be found",
        "finding",
    ];
    document.table(Table::new("tests", &header, &[0, 9], rows.collect()));
    if metrics.len() < found.metrics.len() {
        document.text(format!(
            "Of the {} classes those are shown whose accuracy differs; the JSON has all.",
            found.metrics.iter().filter(|metric| matches!(metric.metric, Quantity::ClassAccuracy(_))).count()
        ));
    }
    let unit = match found.unit {
        Unit::Examples => "exchanges the answers of the two models to an example",
        Unit::Pairs => "exchanges the runs of a pair",
        Unit::Runs | Unit::Sweeps => "divides the runs into sides anew",
    };
    document.text(format!(
        "Differences are candidate less baseline, those of shares in percentage points; of a distance between the sides, what it \
         exceeds the mean of both within by. p is that of a studentised permutation test, which {unit}; the corrected p holds for all \
         tests together (step-down max-T on the same permutations), and so do the intervals, at {} % confidence. \"Would be found\" is \
         the change that these runs find four times in five.",
        fixed(found.confidence * 100.0, 0),
    ));
}

fn votes(document: &mut Document, found: &Comparison) {
    let votes = &found.votes;
    if votes.examples.is_empty() {
        return;
    }
    document.heading("Changed votes");
    let rows = votes.examples.iter().take(VOTES).map(|vote| {
        let cell = |class: u32, share: f64| format!("{class} ({})", percent(share));
        vec![
            vote.example.to_string(),
            vote.label.to_string(),
            cell(vote.baseline, vote.baseline_share),
            cell(vote.candidate, vote.candidate_share),
            match (vote.baseline == vote.label, vote.candidate == vote.label) {
                (true, _) => "lost",
                (_, true) => "won",
                _ => "wrong both times",
            }
            .to_owned(),
        ]
    });
    let header = ["example", "label", "baseline's vote", "candidate's vote", ""];
    document.table(Table::new("votes", &header, &[4], rows.collect()));
    if votes.examples.len() > VOTES {
        document.text(format!("The {VOTES} surest of {} are shown.", thousands(votes.examples.len())));
    }
}

fn changes(document: &mut Document, found: &Comparison) {
    if found.changed.is_empty() {
        return;
    }
    document.heading("How the experiments differ");
    let cell = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), Clone::clone);
    let rows =
        found.changed.iter().map(|key| vec![format!("`{}`", key.key), cell(&key.baseline), cell(&key.candidate)]);
    document.table(Table::new("changes", &["key", "baseline", "candidate"], &[0, 1, 2], rows.collect()));
}

fn sides(document: &mut Document, found: &Comparison) {
    document.heading("What was compared");
    let row =
        |name: &str, of: &dyn Fn(&Side) -> String| vec![name.to_owned(), of(&found.baseline), of(&found.candidate)];
    let missing = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), Clone::clone);
    let rows = vec![
        row("read from", &|side: &Side| side.place.clone()),
        row("runs compared", &|side: &Side| ranges(&side.runs)),
        row("diverged", &|side: &Side| ranges(&side.diverged)),
        row("repeats", &|side: &Side| ranges(&side.duplicates)),
        row("left out", &|side: &Side| ranges(&side.left_out.iter().map(|held| held.run).collect::<Vec<_>>())),
        row("begun", &|side: &Side| missing(&side.started)),
        row("experiment (BLAKE3)", &|side: &Side| {
            side.experiment.as_ref().map_or_else(|| "–".into(), |hash| format!("`{hash:.16}`"))
        }),
        row("epoch", &|side: &Side| side.epoch.map_or_else(|| "–".into(), |epoch| epoch.to_string())),
    ];
    document.table(Table::new("compared", &["", "baseline", "candidate"], &[0, 1, 2], rows));
    document.text(format!(
        "{} test examples of {} classes; ε = {}, δ = {}.",
        thousands(found.examples),
        found.classes,
        found.epsilon,
        fixed(found.delta, 5)
    ));
}
