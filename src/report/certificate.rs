//! What an instrument sees of planted faults, in words, as a table and as a figure.

use super::axis::Axis;
use super::document::{Block, Document, Table};
use super::figures::{Dot, Figure, Layer, Look, Mark, Paint, Panel};
use super::text::{list, wrapped};
use crate::analysis::certificate::{Certificate, Found, SEEN};
use crate::analysis::numbers::{fixed, percent};

/// File name of the text.
pub const TEXT: &str = "certificate.md";
/// File name of the page.
pub const PAGE: &str = "certificate.html";
/// Columns of a terminal.
const COLUMNS: usize = 80;

/// What was found, as paragraphs.
#[must_use]
pub fn paragraphs(certificate: &Certificate) -> Vec<String> {
    let smallest = certificate.smallest();
    let seen: Vec<String> = smallest
        .iter()
        .filter_map(|(family, fault)| fault.map(|fault| format!("{family} (from `{}` on)", fault.fault)))
        .collect();
    let unseen: Vec<String> =
        smallest.iter().filter(|(_, fault)| fault.is_none()).map(|(family, _)| (*family).to_owned()).collect();
    let size = certificate.size;
    let mut texts = vec![match (seen.as_slice(), unseen.as_slice()) {
        ([], _) => {
            format!("In a sweep of {size} runs no fault that was planted in one run is found nine times in ten.")
        }
        (seen, []) => {
            format!("In a sweep of {size} runs one faulty run is found nine times in ten for {}.", list(seen))
        }
        (seen, unseen) => format!(
            "In a sweep of {size} runs one faulty run is found nine times in ten for {}. Not so for {}: such a run would go \
             unnoticed too often.",
            list(seen),
            list(unseen)
        ),
    }];
    texts.push(format!(
        "Of {} sweeps put together from {} healthy runs {} carry a flag (promised: at most {}); healthy runs reach an accuracy of {}.",
        certificate.sweeps,
        certificate.runs,
        whole(certificate.false_alarms),
        whole(certificate.promised),
        percent(certificate.accuracy)
    ));
    texts.extend(certificate.notes.iter().cloned());
    texts
}

fn whole(share: f64) -> String {
    format!("{} %", fixed(share * 100.0, 0))
}

/// A row for each fault.
#[must_use]
pub fn faults(certificate: &Certificate) -> Table {
    let row = |found: &Found| {
        let flags: Vec<String> = found.flags.iter().map(|(flag, share)| format!("{flag} {}", whole(*share))).collect();
        let change = (found.accuracy - certificate.accuracy) * 100.0;
        vec![
            found.fault.clone(),
            whole(found.found),
            format!("{} of {}", found.runs_found, found.runs),
            fixed(change, 2),
            if flags.is_empty() { "–".to_owned() } else { flags.join(", ") },
        ]
    };
    let heads = ["fault", "found", "runs found", "accuracy (points)", "flags"];
    Table::new("faults", &heads, &[0, 4], certificate.faults.iter().map(row).collect())
}

/// The text with its table and its figure.
#[must_use]
pub fn document(certificate: &Certificate) -> Document {
    let mut words = paragraphs(certificate).into_iter();
    let mut document = Document {
        title: format!("What the instrument sees: {}", certificate.name),
        headline: words.next().unwrap_or_default(),
        ..Document::default()
    };
    words.for_each(|words| document.text(words));
    document.table(faults(certificate));
    if !certificate.faults.is_empty() {
        document.blocks.push(Block::Figure(figure(certificate)));
    }
    let what = certificate.faults.iter().map(|found| format!("`{}`: {}.", found.fault, found.what));
    document.blocks.push(Block::List(what.collect()));
    document.text(format!(
        "Every faulty run was put among {} healthy ones, {} times with other healthy runs, and each of these sweeps was judged as \
         `harness run` judges. \"Found\" is the share of sweeps in which the faulty run was flagged; a run counts as found where \
         that was so in more than half of its sweeps. Few faulty runs say little: with K runs found in every sweep the true \
         share may still be as low as 0.05 to the power 1/K. Experiment (BLAKE3) `{}`.",
        certificate.size - 1,
        certificate.sweeps,
        certificate.experiment
    ));
    document
}

/// How often each fault is found, with the line of nine in ten.
fn figure(certificate: &Certificate) -> Figure {
    let count = certificate.faults.len();
    let dots = certificate
        .faults
        .iter()
        .enumerate()
        .map(|(place, found)| {
            let look = if found.found >= SEEN {
                Look::of(Paint::Series(1))
            } else {
                Look::of(Paint::Series(0)).marked(Mark::Triangle)
            };
            Dot {
                key: found.fault.clone(),
                tip: format!("{}: {}", found.fault, whole(found.found)),
                radius: 4.5,
                ..Dot::new(found.found, (count - 1 - place) as f64, look)
            }
        })
        .collect();
    let x = Axis::linear("found in so many of the sweeps (%)", -0.03, 1.03, 5, 100.0);
    let y = Axis::names("", certificate.faults.iter().map(|found| found.fault.clone()), true);
    let panel = Panel::chart("One faulty run in a sweep", x, y, vec![Layer::Points(dots)])
        .sized((560.0, 90.0 + 26.0 * count as f64));
    let caption = "How often a run with each fault is flagged among healthy runs; triangles are found less than nine times in ten."
        .to_owned();
    Figure::new("certificate", "Which faults are noticed", caption, vec![panel], Vec::new())
}

/// What a person reads in a terminal.
#[must_use]
pub fn text(certificate: &Certificate) -> String {
    let mut text = String::new();
    for paragraph in paragraphs(certificate) {
        text.push_str(&format!("{}\n\n", wrapped(&paragraph, COLUMNS)));
    }
    let table = faults(certificate);
    let widths: Vec<usize> = (0..table.heads.len())
        .map(|column| {
            let cells = table.rows.iter().map(|row| row.cells[column].chars().count());
            cells.chain([table.heads[column].name.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).zip(&table.heads).map(|((cell, &width), head)| {
            if head.words { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    text.push_str(&line(&mut table.heads.iter().map(|head| head.name.as_str())));
    for row in &table.rows {
        text.push_str(&line(&mut row.cells.iter().map(String::as_str)));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::certificate::SCHEMA;

    fn found(family: &str, fault: &str, share: f64) -> Found {
        Found {
            family: family.into(),
            fault: fault.into(),
            what: "something is wrong".into(),
            runs: 3,
            accuracy: 0.9,
            found: share,
            runs_found: 2,
            flags: vec![("accuracy".into(), share)],
        }
    }

    #[test]
    fn the_smallest_fault_that_is_found_nine_times_in_ten_is_named() {
        let certificate = Certificate {
            schema: SCHEMA.into(),
            name: "x".into(),
            experiment: "0".into(),
            runs: 20,
            size: 8,
            sweeps: 200,
            accuracy: 0.97,
            false_alarms: 0.035,
            promised: 0.05,
            faults: vec![
                found("wrong labels", "labels-5", 0.4),
                found("wrong labels", "labels-10", 0.93),
                found("wrong labels", "labels-30", 1.0),
                found("shorter", "half-epochs", 0.2),
            ],
            notes: Vec::new(),
        };
        let words = paragraphs(&certificate).join(" ");
        assert!(words.contains("for wrong labels (from `labels-10` on). Not so for shorter"), "{words}");
        let text = text(&certificate);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(rows.contains(&vec!["labels-5", "40", "%", "2", "of", "3", "−7.00", "accuracy", "40", "%"]), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(
            document(&certificate).markdown(None).contains("| labels-30 | 100 % | 2 of 3 | −7.00 | accuracy 100 % |")
        );
    }
}
