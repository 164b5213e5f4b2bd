//! What a user may have meant.

use super::{Key, Shape};

/// All key paths of a shape, dotted, tables included, whatever the kinds.
pub(crate) fn paths(shape: &Shape) -> Vec<String> {
    let mut all = Vec::new();
    collect(shape, "", &mut all);
    all
}

fn collect(shape: &Shape, prefix: &str, all: &mut Vec<String>) {
    let mut keys = |keys: &[Key]| {
        for key in keys {
            let path = join(prefix, key.name);
            if !all.contains(&path) {
                all.push(path.clone());
            }
            collect(&key.shape, &path, all);
        }
    };
    match shape {
        Shape::Table(table) | Shape::ListOr { table, .. } => keys(table),
        Shape::Kinds { kinds, common, .. } => {
            kinds.iter().for_each(|kind| keys(kind.keys));
            keys(common);
            all.push(join(prefix, "kind"));
        }
        _ => {}
    }
}

/// `a` and `b` to `a.b`, nothing and `b` to `b`.
pub(crate) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The candidate that is nearest to a mistyped path, if one is near enough. A key of the right name in the wrong table is
/// near, and so is one that was cut short.
pub(crate) fn nearest_path<'a>(path: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (parent, name) = split(path);
    let cost = |candidate: &str| {
        let (its_parent, its_name) = split(candidate);
        let cut = name.len() >= 3 && (its_name.starts_with(name) || name.starts_with(its_name) && its_name.len() >= 3);
        let moved = usize::from(parent != its_parent);
        let by_name = if cut { usize::from(name != its_name) } else { distance(name, its_name) };
        by_name.saturating_add(moved).min(distance(path, candidate))
    };
    near(candidates, cost, (name.chars().count() / 3).max(1))
}

/// The word that is nearest to a mistyped one, if one is near enough.
pub(crate) fn nearest_word<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let cost = |candidate: &str| {
        let cut = word.len() >= 3 && candidate.starts_with(&word);
        if cut { 1 } else { distance(&word.replace(['_', ' '], "-"), candidate) }
    };
    near(candidates, cost, (word.chars().count() / 3).max(1))
}

/// The first of the cheapest.
fn near<'a>(candidates: impl Iterator<Item = &'a str>, cost: impl Fn(&str) -> usize, limit: usize) -> Option<&'a str> {
    let priced = candidates.map(|candidate| (cost(candidate), candidate));
    priced.min_by_key(|(cost, _)| *cost).filter(|(cost, _)| *cost <= limit).map(|(_, candidate)| candidate)
}

/// Edits between two words; words too long to be a slip are as far apart as can be.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 100 { usize::MAX } else { strsim::osa_distance(a, b) }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// `"a", "b" or "c"`
pub(crate) fn listed<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}
