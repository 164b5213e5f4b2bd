//! The lineage of networks in words, as Markdown, as a page, as a figure and for Graphviz.

use std::fmt::Write;
use std::path::Path;

use super::document::{Block, Document, Table};
use super::scene::{Align, Scene, text_width};
use super::style::Paint;
use crate::error::Result;
use crate::lineage::found::{EdgeFound, Found, Pair, Verdict};
use crate::record::files;

/// A p-value as people write it.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p < 1e-300 {
        "<1e-300".into()
    } else if p < 0.001 {
        format!("{p:.0e}")
    } else {
        format!("{p:.3}")
    }
}

/// The verdict in one sentence.
#[must_use]
pub fn headline(pair: &Pair) -> String {
    let Pair { a, b, .. } = pair;
    let p = p_value(pair.p_value);
    match pair.verdict {
        Verdict::Unrelated => format!("unrelated: {a} and {b} show no common ancestor (p = {p})"),
        Verdict::Undecided => format!("undecided: nothing can be said of {a} and {b} (p = {p})"),
        Verdict::Related if pair.distance == Some(0.0) => {
            format!("related: {a} and {b} hold the same hidden weights (p = {p})")
        }
        Verdict::Related if pair.shared_init == Some(true) => {
            format!("related: {a} and {b} share their initialisation, and were trained apart (p = {p})")
        }
        Verdict::Related => match &pair.parent {
            Some(parent) => {
                let child = if parent == a { b } else { a };
                format!("related: {child} descends from {parent}, or both from a network near it (p = {p})")
            }
            None => format!("related: {a} and {b} share an ancestor (p = {p})"),
        },
    }
}

/// What the verdict rests on, a sentence each.
#[must_use]
pub fn evidence(pair: &Pair) -> Vec<String> {
    let mut sentences = Vec::new();
    match pair.method {
        "permuted-units" => sentences.push(
            "The hidden units have been renumbered: matched from the inputs and from the outputs they agree as those of no \
             independent network do."
                .into(),
        ),
        "weights" | "activations" if pair.verdict == Verdict::Related => {
            let telling = pair.layers.iter().filter(|layer| layer.p_value <= 0.01).count();
            sentences.push(format!(
                "In {telling} of {} layers the hidden units keep their numbers, which independent training leaves to chance.",
                pair.layers.len()
            ));
        }
        _ => {}
    }
    if let Some(permuted) = &pair.permuted {
        let mut sentence = format!(
            "Matched from the inputs and from the outputs, {:.0} % of the units agree",
            permuted.agreement * 100.0
        );
        if let (Some(most), Some(p)) = (permuted.siblings_at_most, permuted.p_value) {
            let _ = write!(sentence, "; of two siblings {:.0} % at most (p = {})", most * 100.0, p_value(p));
        }
        sentences.push(sentence + ".");
    }
    if let Some(outputs) = &pair.outputs {
        let mut sentence = format!("Their probabilities differ by {:.4} on average (soft churn)", outputs.soft_churn);
        if let (Some(least), Some(p)) = (outputs.siblings_at_least, outputs.p_value) {
            let _ = write!(sentence, "; those of two siblings by {least:.4} at least (p = {})", p_value(p));
        }
        sentences.push(sentence + ".");
    }
    if let Some(distance) = pair.distance.filter(|distance| *distance > 0.0) {
        sentences.push(format!("Their weights are {distance:.3} of their size apart; unrelated ones are about 1.41."));
    }
    if let (Some(parent), Some(by)) = (&pair.parent, pair.direction_by) {
        let why = match by {
            "rounding" => "the other is it, rounded",
            "zeros" => "of where the other has exact zeros",
            _ => "the other has larger weights, heavier tails, or keeps more of what it had learned",
        };
        let sure = match pair.lean.unwrap_or(0.0).abs() {
            lean if lean > 0.9 => "",
            _ => " (the signs do not all agree)",
        };
        sentences.push(format!("{parent} is taken for the parent because {why}{sure}."));
    }
    sentences
}

/// The tree as indented lines, families one after the other; networks without relatives last.
#[must_use]
pub fn outline(found: &Found) -> String {
    let edges = found.edges.as_deref().unwrap_or_default();
    let children =
        |of: &str| edges.iter().filter(|edge| edge.parent == of).map(|edge| edge.child.clone()).collect::<Vec<_>>();
    let mut text = String::new();
    let mut alone = Vec::new();
    for network in &found.networks {
        if edges.iter().any(|edge| &edge.child == network) {
            continue;
        }
        if children(network).is_empty() {
            alone.push(network.as_str());
            continue;
        }
        // Depth first, with the depth of each.
        let mut open = vec![(network.clone(), 0)];
        while let Some((name, depth)) = open.pop() {
            let edge = edges.iter().find(|edge| edge.child == name);
            let how = edge.map_or_else(String::new, |edge| {
                format!("   p = {}, direction {}", p_value(edge.p_value), direction(edge))
            });
            let mark = if depth == 0 { "" } else { "└ " };
            let _ = writeln!(text, "{}{mark}{name}{how}", "  ".repeat(depth));
            for child in children(&name).into_iter().rev() {
                open.push((child, depth + 1));
            }
        }
    }
    if !alone.is_empty() {
        let _ = writeln!(text, "without relatives: {}", alone.join(", "));
    }
    text
}

/// How sure it is who of the two came first.
fn direction(edge: &EdgeFound) -> String {
    if edge.clear > 0.0 { format!("{:.0} %", 50.0 + 50.0 * edge.clear) } else { "not told".into() }
}

/// The tree in the language of Graphviz.
#[must_use]
pub fn dot(found: &Found) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text =
        String::from("digraph lineage {\n  rankdir = LR;\n  node [shape = box, fontname = \"Helvetica\"];\n");
    for network in &found.networks {
        let _ = writeln!(text, "  {};", quoted(network));
    }
    for edge in found.edges.iter().flatten() {
        let _ = writeln!(
            text,
            "  {} -> {} [label = \"p = {}\", penwidth = {:.1}{}];",
            quoted(&edge.parent),
            quoted(&edge.child),
            p_value(edge.p_value),
            1.0 + 2.0 * edge.clear,
            if edge.clear > 0.0 { "" } else { ", dir = none" }
        );
    }
    text.push_str("}\n");
    text
}

/// `lineage.md`, `lineage.html`, and with a tree `tree.svg` and `tree.dot`.
///
/// # Errors
/// What the file system refuses.
pub fn write(found: &Found, folder: &Path) -> Result<()> {
    super::write_files(&document(found).files("lineage.md", Some("lineage.html"))?, folder)?;
    if found.edges.is_some() {
        files::write(&folder.join("tree.dot"), dot(found).as_bytes())?;
    }
    Ok(())
}

fn document(found: &Found) -> Document {
    let related = found.pairs.iter().filter(|pair| pair.verdict == Verdict::Related).count();
    let headline_of_all = match found.pairs.as_slice() {
        [pair] => headline(pair) + ".",
        pairs => format!(
            "{} networks, {} pairs, {related} of them related (p ≤ {} after Holm's correction for all pairs).",
            found.networks.len(),
            pairs.len(),
            found.level
        ),
    };
    let mut document = Document { title: "Lineage".into(), headline: headline_of_all, ..Document::default() };
    let edges = found.edges.as_deref().unwrap_or_default();
    if found.edges.is_some() {
        document.blocks.push(Block::Drawing("tree.svg", "The tree of the networks".into(), figure(found)));
    }
    if !edges.is_empty() {
        let rows = edges.iter().map(|edge| {
            let pair = found.pairs.iter().find(|pair| {
                (pair.a == edge.parent && pair.b == edge.child) || (pair.b == edge.parent && pair.a == edge.child)
            });
            vec![
                edge.parent.clone(),
                edge.child.clone(),
                p_value(edge.p_value),
                direction(edge),
                dashed(pair.and_then(|pair| pair.distance)),
            ]
        });
        let heads = ["parent", "child", "p", "direction", "apart"];
        document.table(Table::new("edges", &heads, &[0, 1], rows.collect()));
        document.text(
            "p: of the two sharing an ancestor, right under independence. Direction: 100 % where every sign says that the first is the parent, not told where none does. \
             Apart: size of the difference of the weights over their size; about 1.41 for unrelated networks.",
        );
    }
    let shown = found.pairs.iter().filter(|pair| found.pairs.len() == 1 || pair.verdict != Verdict::Unrelated);
    for pair in shown.take(40) {
        if found.pairs.len() > 1 {
            document.heading(&format!("{} and {}", pair.a, pair.b));
            document.text(headline(pair) + ".");
        }
        document.blocks.push(Block::List(evidence(pair).into_iter().chain(pair.notes.iter().cloned()).collect()));
        if !pair.layers.is_empty() {
            let rows = pair.layers.iter().map(|layer| {
                vec![
                    layer.layer.clone(),
                    layer.units.to_string(),
                    format!("{:.3}", layer.statistic),
                    layer.fixed.to_string(),
                    p_value(layer.p_value),
                    format!("{:.3}", layer.cosine),
                    dashed(layer.distance),
                ]
            });
            let heads = ["layer", "units", "ρ", "same unit", "p", "cosine", "apart"];
            document.table(Table::new("layers", &heads, &[0], rows.collect()));
        }
    }
    document.text(
        "ρ: Spearman's correlation of the best matching of the hidden units with their numbers. Same unit: units matched with the unit of the same number; \
         one is expected by chance.",
    );
    document
}

fn dashed(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.3}"))
}

/// The tree, parents to the left of their children; a line's width says how sure its direction is.
fn figure(found: &Found) -> Scene {
    const ROW: f64 = 22.0;
    const SIZE: f64 = 12.0;
    let edges = found.edges.as_deref().unwrap_or_default();
    // Depth-first order of all networks, families first; each with its depth.
    let mut rows: Vec<(&str, usize)> = Vec::new();
    let has_children = |name: &str| edges.iter().any(|edge| edge.parent == name);
    let roots = found.networks.iter().filter(|name| !edges.iter().any(|edge| &edge.child == *name));
    let (families, alone): (Vec<&String>, Vec<&String>) = roots.partition(|name| has_children(name));
    for root in families.into_iter().chain(alone) {
        let mut open = vec![(root.as_str(), 0)];
        while let Some((name, depth)) = open.pop() {
            rows.push((name, depth));
            let children = edges.iter().rev().filter(|edge| edge.parent == name);
            open.extend(children.map(|edge| (edge.child.as_str(), depth + 1)));
        }
    }
    let depth = rows.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    let longest = rows.iter().map(|(name, _)| text_width(name, SIZE)).fold(0.0, f64::max);
    let column = longest + 40.0;
    let place = |name: &str| {
        let row = rows.iter().position(|(held, _)| *held == name)?;
        Some((16.0 + column * rows[row].1 as f64, 18.0 + ROW * row as f64))
    };
    let mut scene = Scene::new(column * (depth + 1) as f64 + 20.0, ROW * rows.len() as f64 + 16.0);
    for edge in edges {
        if let (Some((x0, y0)), Some((x1, y1))) = (place(&edge.parent), place(&edge.child)) {
            let bend = x0 + 10.0;
            let path = [(bend, y0 + 9.0), (bend, y1), (x1 - 6.0, y1)];
            scene.line(&path, Paint::Series(0), 0.8 + 1.6 * edge.clear);
        }
    }
    for (name, _) in &rows {
        if let Some(at) = place(name) {
            if has_children(name) {
                scene.title(at, name, SIZE, Align::Start);
            } else {
                scene.text(at, name, SIZE, Align::Start, Paint::Ink);
            }
        }
    }
    scene
}
