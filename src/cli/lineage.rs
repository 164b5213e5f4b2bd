//! `harness lineage`: whether networks share an ancestor, and who descends from whom.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::print;
use crate::error::{Error, Result};
use crate::lineage::found::{Found, Pair, Verdict};
use crate::report::lineage as report;
use crate::workflow::lineage::{Settings, Siblings, Subject, lineage, read, read_activations};

#[derive(Debug, Args)]
pub struct LineageArgs {
    /// Networks: weights (.safetensors, .pt), logits of the same examples (.npy), a sweep (all its runs) or one run (SWEEP:3)
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<PathBuf>,
    /// Independent networks of the same experiment, to calibrate what independent networks share: a sweep or files
    #[arg(long, value_name = "SWEEP|FILE", num_args = 1..)]
    siblings: Vec<PathBuf>,
    /// Match units by what they do on these images, in the units of the data set's files, instead of by weights: for sweeps whose
    /// networks have other widths
    #[arg(long, value_name = "X.npy", conflicts_with = "siblings")]
    inputs: Option<PathBuf>,
    /// Say who descends from whom; what three and more networks get anyway
    #[arg(long)]
    tree: bool,
    /// Networks are called related when p is at most this
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    level: f64,
    /// Print one JSON object, schema harness.lineage/1
    #[arg(long)]
    json: bool,
    /// Write lineage.md, lineage.json, the tree as a figure (tree.svg) and for Graphviz (tree.dot) into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Judges, prints, writes with `--out`.
///
/// # Errors
/// [`Error::Invalid`] for files that cannot be read, [`Error::NotComparable`] for networks without a common layer, and
/// [`Error::Undecided`] when nothing can be said.
pub fn run(args: &LineageArgs) -> Result<()> {
    if !(args.level > 0.0 && args.level < 1.0) {
        return Err(Error::Usage(format!("`--level` is {}, but a level lies between 0 and 1", args.level)));
    }
    let settings = Settings { level: args.level, ..Settings::default() };
    let subjects = distinct(match &args.inputs {
        None => subjects(&args.networks)?,
        Some(inputs) => {
            let each = args.networks.iter().map(|network| read_activations(network, inputs));
            each.collect::<Result<Vec<_>>>()?.concat()
        }
    });
    let mut siblings = self::subjects(&args.siblings)?;
    // A sweep may be given whose runs are in question themselves.
    siblings.retain(|sibling| !subjects.iter().any(|subject| subject.source == sibling.source));
    let siblings = Siblings::new(siblings, &settings);
    let found = lineage(&subjects, &siblings, &settings, args.tree || subjects.len() > 2)?;
    print(&if args.json { json(&found)? } else { text(&found) })?;
    if let Some(folder) = &args.out {
        report::write(&found, folder)?;
        crate::record::files::write(&folder.join("lineage.json"), json(&found)?.as_bytes())?;
    }
    match found.verdict {
        Verdict::Undecided => Err(Error::Undecided("whether the networks are related cannot be told from this".into())),
        _ => Ok(()),
    }
}

fn subjects(paths: &[PathBuf]) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for path in paths {
        subjects.extend(read(Path::new(path))?);
    }
    Ok(subjects)
}

/// With names that tell them apart.
fn distinct(mut subjects: Vec<Subject>) -> Vec<Subject> {
    for i in 1..subjects.len() {
        let (before, rest) = subjects.split_at_mut(i);
        if let Some(subject) = rest.first_mut() {
            let taken = |name: &str| before.iter().any(|held| held.name == name);
            let numbered = (2..).map(|number| format!("{} ({number})", subject.name));
            let free = std::iter::once(subject.name.clone()).chain(numbered).find(|name| !taken(name));
            subject.name = free.unwrap_or_default();
        }
    }
    subjects
}

fn json(found: &Found) -> Result<String> {
    let text = serde_json::to_string(found)
        .map_err(|cause| Error::Unexpected(format!("cannot write the lineage as JSON: {cause}")))?;
    Ok(text + "\n")
}

fn text(found: &Found) -> String {
    let mut text = String::new();
    if let [pair] = found.pairs.as_slice() {
        text.push_str(&one_pair(pair));
    } else {
        let related = found.pairs.iter().filter(|pair| pair.verdict == Verdict::Related).count();
        let _ = writeln!(
            text,
            "{} networks, {} pairs: {related} related (p ≤ {} after Holm's correction)\n",
            found.networks.len(),
            found.pairs.len(),
            found.level
        );
    }
    if let Some(edges) = &found.edges {
        if !edges.is_empty() {
            text.push('\n');
            text.push_str(&report::outline(found));
        }
        let twins = found.pairs.iter().filter(|pair| pair.shared_init == Some(true));
        for pair in twins {
            let _ = writeln!(text, "{} and {} share their initialisation, and were trained apart", pair.a, pair.b);
        }
    }
    for note in
        found.notes.iter().chain(found.pairs.iter().filter(|_| found.pairs.len() == 1).flat_map(|pair| &pair.notes))
    {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn one_pair(pair: &Pair) -> String {
    let mut text = format!("{}\n", report::headline(pair));
    for sentence in report::evidence(pair) {
        let _ = writeln!(text, "- {sentence}");
    }
    if !pair.layers.is_empty() {
        let _ = write!(
            text,
            "\n{:<24} {:>6} {:>7} {:>9} {:>10} {:>7} {:>9}\n",
            "layer", "units", "rho", "same unit", "p", "cosine", "apart"
        );
        for layer in &pair.layers {
            let distance = layer.distance.map_or_else(|| "-".into(), |distance| format!("{distance:.3}"));
            let _ = writeln!(
                text,
                "{:<24} {:>6} {:>7.3} {:>9} {:>10} {:>7.3} {:>9}",
                layer.layer,
                layer.units,
                layer.statistic,
                layer.fixed,
                report::p_value(layer.p_value),
                layer.cosine,
                distance
            );
        }
    }
    text
}
