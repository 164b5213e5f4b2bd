//! How alike the representations of a sweep's runs are, and which examples atypical runs place elsewhere.

use super::document::{Document, Table};
use crate::analysis::Analysis;
use crate::analysis::numbers::{fixed, or_dash};
use crate::analysis::representations::{Checkpoint, Represented};

/// A section where embeddings of the runs are at hand.
pub fn section(document: &mut Document, analysis: &Analysis, represented: Option<&Represented>) {
    let Some(found) = represented else { return };
    document.heading("Representations");
    document.text(format!(
        "How the runs embed {} examples ({} numbers each). CKA (debiased): 0 by chance, 1 for the same geometry. Neighbours: share of the ten \
         nearest examples that two runs have in common. Procrustes: 1 where one is a rotation of the other. Chance: the same with the \
         examples of one run in a random order; p: the largest of all pairs.",
        found.examples, found.width
    ));
    let rows = found.checkpoints.iter().map(checkpoint).collect();
    let heads = [
        "epoch",
        "CKA",
        "chance",
        "p",
        "neighbours",
        "chance",
        "p",
        "Procrustes",
        "chance",
        "p",
        "CKA to the last epoch",
    ];
    document.table(Table::new("representations", &heads, &[], rows));
    if found.runs.len() > 2 {
        document.text("Each run among the others, the one that is least like them first.".to_owned());
        let flags = |run: u32| {
            let held = analysis.runs.iter().find(|held| held.run == run);
            held.map_or_else(String::new, |held| {
                held.flags.iter().map(|flag| format!("`{}`", flag.flag.name())).collect::<Vec<_>>().join(" ")
            })
        };
        let rows = found.runs.iter().map(|held| {
            let means = &held.means;
            let measures = [means.cka, means.neighbours, means.procrustes].map(|value| fixed(value, 3));
            [held.run.to_string(), flags(held.run)].into_iter().chain(measures).collect()
        });
        let heads = ["run", "flags", "CKA", "neighbours", "Procrustes"];
        document.table(Table::new("represented-runs", &heads, &[1], rows.collect()));
    }
    if found.elsewhere.is_empty() {
        return;
    }
    document.text(
        "Examples that the flagged runs, and the run that is least like the others, place elsewhere: shared is the mean share of their ten nearest \
         examples that the run has in common with another run; others, what two other runs have in common.",
    );
    let class =
        |label: u32| analysis.source.class_names.get(label as usize).cloned().unwrap_or_else(|| label.to_string());
    let rows = found.elsewhere.iter().map(|held| {
        vec![
            held.run.to_string(),
            held.example.to_string(),
            held.label.map_or_else(|| "–".to_owned(), class),
            fixed(held.shared, 2),
            fixed(held.others, 2),
        ]
    });
    let heads = ["run", "example", "class", "shared", "others"];
    document.table(Table::new("elsewhere", &heads, &[2], rows.collect()));
}

fn checkpoint(held: &Checkpoint) -> Vec<String> {
    let means = &held.means;
    let mut row = vec![held.epoch.map_or_else(|| "–".to_owned(), |epoch| epoch.to_string())];
    for (i, value) in [means.cka, means.neighbours, means.procrustes].into_iter().enumerate() {
        row.extend([fixed(value, 3), fixed(held.chance[i], 3), fixed(held.p[i], 3)]);
    }
    row.push(or_dash(held.to_last, |value| fixed(value, 3)));
    row
}
