//! `compare.md`: the verdict in words, the table of tests, figures, votes that changed, how the experiments differ.

use super::words;
use crate::analysis::comparison::{Comparison, Finding, Quantity, Side, Unit};
use crate::analysis::numbers::{fixed, or_dash, percent, thousands};
use crate::report::figures::Figure;
use crate::report::markdown::{Page, plain, plain_but_code};

/// Changed votes in the table, at most; all are in the JSON.
const VOTES: usize = 30;

/// The whole text; figures are named by their files.
pub fn markdown(found: &Comparison, figures: &[Figure]) -> String {
    let mut page = Page::default();
    page.line(&format!("# {}", plain(&title(found))));
    page.line(&format!("**{}**", plain(&words::headline(found))));
    let evidence = words::evidence(found);
    if !evidence.is_empty() {
        page.line(&evidence.iter().map(|sentence| format!("- {}", plain(sentence))).collect::<Vec<_>>().join("\n"));
    }
    for sentence in words::description(found) {
        page.line(&plain(&sentence));
    }
    for note in &found.notes {
        page.line(&format!("> {}", plain_but_code(note)));
    }
    tests(&mut page, found);
    for figure in figures {
        page.line(&format!("## {}", figure.title));
        page.line(&format!("![{}]({})", figure.title, figure.file));
        page.line(&plain_but_code(&figure.caption));
    }
    votes(&mut page, found);
    changes(&mut page, found);
    sides(&mut page, found);
    page.text
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

fn tests(page: &mut Page, found: &Comparison) {
    page.line("## Tests");
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
    page.table(&header, "lrrrrrrrrl", rows);
    if metrics.len() < found.metrics.len() {
        page.line(&format!(
            "Of the {} classes those are shown whose accuracy differs; the JSON has all.",
            found.metrics.iter().filter(|metric| matches!(metric.metric, Quantity::ClassAccuracy(_))).count()
        ));
    }
    let unit = match found.unit {
        Unit::Examples => "exchanges the answers of the two models to an example",
        Unit::Pairs => "exchanges the runs of a pair",
        Unit::Runs | Unit::Sweeps => "divides the runs into sides anew",
    };
    page.line(&format!(
        "Differences are candidate less baseline, those of shares in percentage points; of a distance between the sides, what it \
         exceeds the mean of both within by. p is that of a studentised permutation test, which {unit}; the corrected p holds for all \
         tests together (step-down max-T on the same permutations), and so do the intervals, at {} % confidence. \"Would be found\" is \
         the change that these runs find four times in five.",
        fixed(found.confidence * 100.0, 0),
    ));
}

fn votes(page: &mut Page, found: &Comparison) {
    let votes = &found.votes;
    if votes.examples.is_empty() {
        return;
    }
    page.line("## Changed votes");
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
    page.table(&["example", "label", "baseline's vote", "candidate's vote", ""], "rrrrl", rows);
    if votes.examples.len() > VOTES {
        page.line(&format!("The {VOTES} surest of {} are shown.", thousands(votes.examples.len())));
    }
}

fn changes(page: &mut Page, found: &Comparison) {
    if found.changed.is_empty() {
        return;
    }
    page.line("## How the experiments differ");
    let cell = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), |value| plain(value));
    let rows =
        found.changed.iter().map(|key| vec![format!("`{}`", key.key), cell(&key.baseline), cell(&key.candidate)]);
    page.table(&["key", "baseline", "candidate"], "lll", rows);
}

fn sides(page: &mut Page, found: &Comparison) {
    page.line("## What was compared");
    let row =
        |name: &str, of: &dyn Fn(&Side) -> String| vec![name.to_owned(), of(&found.baseline), of(&found.candidate)];
    let missing = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), |value| plain(value));
    let rows = vec![
        row("read from", &|side: &Side| plain(&side.place)),
        row("runs compared", &|side: &Side| numbers(&side.runs)),
        row("diverged", &|side: &Side| numbers(&side.diverged)),
        row("repeats", &|side: &Side| numbers(&side.duplicates)),
        row("left out", &|side: &Side| numbers(&side.left_out.iter().map(|held| held.run).collect::<Vec<_>>())),
        row("begun", &|side: &Side| missing(&side.started)),
        row("experiment (BLAKE3)", &|side: &Side| {
            side.experiment.as_ref().map_or_else(|| "–".into(), |hash| format!("`{hash:.16}`"))
        }),
        row("epoch", &|side: &Side| side.epoch.map_or_else(|| "–".into(), |epoch| epoch.to_string())),
    ];
    page.table(&["", "baseline", "candidate"], "lll", rows.into_iter());
    page.line(&format!(
        "{} test examples of {} classes; ε = {}, δ = {}.",
        thousands(found.examples),
        found.classes,
        found.epsilon,
        fixed(found.delta, 5)
    ));
}

/// `0–9, 12`; nothing as a dash.
fn numbers(runs: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &run in runs {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == run => *last = run,
            _ => parts.push((run, run)),
        }
    }
    let text =
        |&(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}–{last}") };
    if parts.is_empty() { "–".to_owned() } else { parts.iter().map(text).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_runs_are_named_together() {
        assert_eq!(numbers(&[0, 1, 2, 5, 7, 8]), "0–2, 5, 7–8");
        assert_eq!(numbers(&[]), "–");
    }
}
