//! What tells sets of samples apart: in words, as a report, and in pictures.

use std::path::Path;

use super::axis::{Axis, span};
use super::document::{Document, Table};
use super::figures::{Dot, Entry, Figure, HALF, Kind, Layer, Look, Mark, Paint, Panel, Picture, Pictures, Swatch};
use super::lineage::p_value;
use super::scene::Pixels;
use crate::error::Result;
use crate::microscope::found::{Component, Found, Share};

/// Dots of one set in a picture, at most.
const DOTS: usize = 1500;

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The verdict in a sentence.
#[must_use]
pub fn headline(found: &Found) -> String {
    let names: Vec<&str> = found.sets.iter().map(|set| set.name.as_str()).collect();
    let p = p_value(found.p_value);
    match found.verdict {
        "different" => {
            let mut sentence = format!("{} differ (p = {p})", names.join(" and "));
            if found.pairs.len() > 1 {
                let clearest = found.pairs.iter().min_by(|a, b| a.p_corrected.total_cmp(&b.p_corrected));
                let apart = found.pairs.iter().filter(|pair| pair.p_corrected <= found.epsilon).count();
                sentence = format!("{apart} of {} pairs of sets differ", found.pairs.len());
                if let Some(pair) = clearest {
                    sentence.push_str(&format!(", {} and {} most clearly (p = {p})", pair.a, pair.b));
                }
            }
            if found.differs_at_least > 0.0 {
                sentence.push_str(&format!("; at least {} of the samples do", percent(found.differs_at_least)));
            }
            sentence
        }
        _ => format!("no difference found between {} (p = {p})", names.join(" and ")),
    }
}

/// What the verdict rests on, and what the components carry; a sentence each.
#[must_use]
pub fn evidence(found: &Found) -> Vec<String> {
    let classifier = &found.classifier;
    let e = match classifier.e_value {
        e if e >= 1e6 => format!("{e:.0e}"),
        e => format!("{e:.2}"),
    };
    let mut sentences = vec![format!(
        "A classifier tells held-out samples right in {} ({} to {}; chance is 50 %), with an e-value of {e}.",
        percent(classifier.accuracy),
        percent(classifier.low),
        percent(classifier.high)
    )];
    let loudest = found.pairs.iter().min_by(|a, b| a.p_corrected.total_cmp(&b.p_corrected));
    if let (Some(pair), "different") = (loudest, found.verdict) {
        sentences.push(format!(
            "What speaks loudest: {}; MMD-FUSE alone has p = {}.",
            pair.by,
            p_value(pair.p_mmd_fuse)
        ));
    }
    sentences.push(if found.differs_at_least > 0.0 {
        format!(
            "At least {} of the samples differ (true with probability {}).",
            percent(found.differs_at_least),
            1.0 - found.epsilon
        )
    } else {
        "No share of samples can be shown to differ.".into()
    });
    for component in found.components.iter().filter(|held| held.carries.is_some() && told(held)) {
        let Some(carries) = &component.carries else { continue };
        let share =
            component.labels.iter().find(|held| &held.label == carries).map_or(component.sets, |held| held.share);
        let what = if carries == "sets" { "which set a sample is of".to_owned() } else { format!("`{carries}`") };
        sentences.push(format!("{} carries {what} ({} of its variance).", name(component), percent(share)));
    }
    let clusters = &found.clusters;
    let mut sentence = format!(
        "{} clusters (mean silhouette {:.2}); adjusted Rand index with the sets {:.2}",
        clusters.k, clusters.silhouette, clusters.adjusted_rand
    );
    for Share { label, share } in &clusters.labels {
        sentence.push_str(&format!(", with `{label}` {share:.2}"));
    }
    sentences.push(sentence + ".");
    let moved: Vec<String> = found
        .by_label
        .iter()
        .filter(|held| held.p_corrected.is_some_and(|p| p <= found.epsilon))
        .map(|held| format!("{} {}", held.label, held.value))
        .collect();
    if !moved.is_empty() {
        sentences.push(format!("Of the known labels these differ by themselves: {}.", super::text::list(&moved)));
    }
    for alignment in &found.alignments {
        let before = alignment.before.map_or_else(String::new, |before| format!(" (before: {})", percent(before)));
        sentences.push(format!(
            "Turned into {}'s space, {} explains {} of its variance on held-out pairs{before}.",
            alignment.to,
            alignment.from,
            percent(alignment.after)
        ));
        if let Some(head) = &alignment.head {
            let before = head.before.map_or_else(String::new, |before| format!(", as they are {}", percent(before)));
            sentences.push(format!(
                "A head trained on {} to tell `{}` is right on {} of its own held-out samples{before}, on {} of {}'s turned ones (chance {}).",
                alignment.to,
                head.label,
                percent(head.on_first),
                percent(head.after),
                alignment.from,
                percent(head.chance)
            ));
        }
    }
    sentences
}

/// The leading components of either kind.
fn told(component: &Component) -> bool {
    component.kind == "pca" && component.number <= 4 || component.kind == "lda" && component.number == 1
}

fn name(component: &Component) -> String {
    match &component.of {
        None => format!("Principal component {}", component.number),
        Some(of) if of == "sets" => format!("Discriminant {} of the sets", component.number),
        Some(of) => format!("Discriminant {} of `{of}`", component.number),
    }
}

/// Pixels of the samples that tell: channels, height, width, and each picture.
pub type Shown = ([usize; 3], Vec<Vec<f32>>);

/// Writes `microscope.md`, `microscope.html` and the figures.
///
/// # Errors
/// What the file system refuses.
pub fn write(found: &Found, pictures: Option<&Shown>, folder: &Path) -> Result<()> {
    super::write_files(&document(found, pictures).files("microscope.md", Some("microscope.html"))?, folder)
}

fn document(found: &Found, pictures: Option<&Shown>) -> Document {
    let mut document = Document { title: "Microscope".into(), headline: headline(found) + ".", ..Document::default() };
    document.blocks.push(super::document::Block::List(evidence(found)));
    document.heading("Sets");
    let rows = found.sets.iter().map(|set| vec![set.name.clone(), set.n.to_string()]).collect();
    document.table(Table::new("sets", &["set", "samples"], &[0], rows));
    let pairs = found.pairs.iter().map(|pair| {
        vec![
            format!("{} and {}", pair.a, pair.b),
            p_value(pair.p_value),
            p_value(pair.p_corrected),
            p_value(pair.p_mmd_fuse),
            percent(pair.classifier.accuracy),
            format!("{} to {}", percent(pair.classifier.low), percent(pair.classifier.high)),
            format!("{:.3e}", pair.classifier.e_value),
            percent(pair.differs_at_least),
        ]
    });
    let heads = ["sets", "p", "corrected", "MMD-FUSE", "held-out accuracy", "interval", "e-value", "differs at least"];
    document.table(Table::new("pairs", &heads, &[0], pairs.collect()));
    document.blocks.push(super::document::Block::Figure(places(found)));
    document.blocks.push(super::document::Block::Figure(scores(found)));
    document.heading("Components");
    let mut heads = vec!["component", "variance", "sets"];
    let labels: Vec<String> = found
        .components
        .first()
        .map_or_else(Vec::new, |component| component.labels.iter().map(|share| share.label.clone()).collect());
    heads.extend(labels.iter().map(String::as_str));
    let rows = found.components.iter().map(|component| {
        let mut row =
            vec![name(component), component.variance.map_or_else(|| "–".into(), percent), percent(component.sets)];
        row.extend(component.labels.iter().map(|share| percent(share.share)));
        row
    });
    document.table(Table::new("components", &heads, &[0], rows.collect()));
    document.text(
        "Variance: share of the spread of all embeddings along the component. The other columns: share of the spread along it that \
         the sets, or a label, explain (corrected for the number of values, so that it is 0 on average where nothing is explained; \
         discriminants are told of on the half of the samples that they were not fitted to).",
    );
    if !found.by_label.is_empty() {
        document.heading("By label");
        let rows = found.by_label.iter().map(|held| {
            let dash = |p: Option<f64>| p.map_or_else(|| "–".into(), p_value);
            vec![
                held.label.clone(),
                held.value.clone(),
                held.n[0].to_string(),
                held.n[1].to_string(),
                format!("{:+.2}", held.apart),
                dash(held.p_value),
                dash(held.p_corrected),
            ]
        });
        let heads = ["label", "value", "first set", "second set", "apart", "p", "corrected"];
        document.table(Table::new("labels", &heads, &[0, 1], rows.collect()));
        document.text("Apart: mean held-out score of the second set's samples less that of the first's, in log-odds.");
    }
    document.heading("The samples that tell most");
    let rows = found.telling.iter().map(|held| {
        vec![
            held.set.clone(),
            held.row.to_string(),
            held.id.clone(),
            format!("{:+.2}", held.score),
            held.labels.join(", "),
        ]
    });
    document.table(Table::new("telling", &["set", "row", "id", "score", "labels"], &[0, 2, 4], rows.collect()));
    if let Some(figure) = pictures.and_then(|shown| telling(found, shown)) {
        document.blocks.push(super::document::Block::Figure(figure));
    }
    document.text(found.notes.join(" "));
    document
}

fn look(set: usize) -> Look {
    Look { mark: Mark::EVERY[set % Mark::EVERY.len()], ..Look::of(Paint::Series(set)) }
}

fn legend(found: &Found) -> Vec<Entry> {
    found.sets.iter().enumerate().map(|(set, held)| Entry::new(Swatch::Mark(look(set)), held.name.clone())).collect()
}

/// Where the samples lie.
fn places(found: &Found) -> Figure {
    let panel = |title: &str, across: &str, up: &str, at: &[(f32, f32)]| {
        let mut dots: Vec<Dot> = Vec::new();
        let step: Vec<usize> = found.sets.iter().map(|set| set.n.div_ceil(DOTS).max(1)).collect();
        for (i, (&(x, y), &set)) in at.iter().zip(&found.places.set).enumerate() {
            if i % step[set as usize] == 0 {
                let dot = Dot::new(f64::from(x), f64::from(y), look(set as usize));
                dots.push(Dot { radius: 2.0, opacity: 0.55, key: format!("s{set}"), ..dot });
            }
        }
        let (low, high) = span(dots.iter().map(|dot| dot.x), 0.04);
        let (bottom, top) = span(dots.iter().map(|dot| dot.y), 0.04);
        // No set lies over the others.
        dots.sort_by_key(|dot| (dot.x.to_bits() ^ dot.y.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Panel::chart(
            title,
            Axis::linear(across, low, high, 5, 1.0),
            Axis::linear(up, bottom, top, 5, 1.0),
            vec![Layer::Points(dots)],
        )
    };
    let variance = |number: usize| {
        let found = found.components.iter().find(|held| held.kind == "pca" && held.number == number);
        found.and_then(|held| held.variance).map_or_else(String::new, |share| format!(" ({})", percent(share)))
    };
    let second = if found.sets.len() > 2 { "second discriminant" } else { "first component, in deviations" };
    let panels = vec![
        panel(
            "Where they spread most",
            &format!("first principal component{}", variance(1)),
            &format!("second{}", variance(2)),
            &found.places.pca,
        ),
        panel("Where the sets lie apart most", "first discriminant", second, &found.places.lda),
    ];
    let caption = format!(
        "A mark is a sample{}. Left: the two directions in which all samples spread most. Right: the direction that tells the sets \
         apart best; half of the samples shown were used to find it, so a small gap there may be chance.",
        if found.sets.iter().any(|set| set.n > DOTS) {
            format!(" (about {DOTS} of each set are shown)")
        } else {
            String::new()
        }
    );
    Figure::new("places", "Where the samples lie", caption, panels, legend(found))
}

/// Distribution of the held-out scores.
fn scores(found: &Found) -> Figure {
    let clearest = found.pairs.iter().min_by(|a, b| a.p_corrected.total_cmp(&b.p_corrected));
    let number = |name: &str| found.sets.iter().position(|set| set.name == name).unwrap_or(0);
    let sets = clearest.map_or([0, 1], |pair| [number(&pair.a), number(&pair.b)]);
    let all = found.places.scores.iter().flatten().copied();
    let (low, high) = span(all, 0.02);
    let curve = |place: usize| {
        let mut values = found.places.scores[place].clone();
        values.sort_by(f64::total_cmp);
        let n = values.len().max(1) as f64;
        let step = (values.len() / 400).max(1);
        let points: Vec<(f64, f64)> =
            values.iter().enumerate().step_by(step).map(|(i, v)| (*v, (i + 1) as f64 / n)).collect();
        Layer::Curve(super::figures::Curve {
            points,
            key: format!("s{}", sets[place]),
            look: Look::of(Paint::Series(sets[place])),
            width: 1.9,
            opacity: 1.0,
            hidden: false,
        })
    };
    let panel = Panel::chart(
        "",
        Axis::linear("held-out score, log-odds of the second set", low, high, 6, 1.0),
        Axis::linear("share of the samples below, %", 0.0, 1.0, 5, 100.0),
        vec![curve(0), curve(1)],
    )
    .sized((HALF.0 * 1.3, HALF.1));
    let legend = sets
        .iter()
        .map(|&set| Entry::new(Swatch::Line(Look::of(Paint::Series(set)), 1.9), found.sets[set].name.clone()))
        .collect();
    let caption = format!(
        "How many samples of either set have a score below each value, by classifiers that had not seen them. The largest gap between the lines is \
         what can be told apart; {} of the samples differ at least.",
        percent(found.differs_at_least)
    );
    Figure::new("scores", "How far the sets are apart", caption, vec![panel], legend)
}

/// Pictures of the samples that tell, a row for each set.
fn telling(found: &Found, ([channels, height, width], pixels): &Shown) -> Option<Figure> {
    let positions = height * width;
    let kept = if *channels == 3 { 3 } else { 1 };
    let values = pixels.iter().flatten().copied();
    let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let byte = |v: f32| if high > low { ((v - low) / (high - low) * 255.0).round() as u8 } else { 128 };
    let mut rows: Vec<Vec<Picture>> = Vec::new();
    for set in &found.sets {
        let own = found
            .telling
            .iter()
            .zip(pixels)
            .filter(|(told, pixels)| told.set == set.name && pixels.len() >= kept * positions);
        let row: Vec<Picture> = own
            .map(|(told, pixels)| Picture {
                pixels: Pixels {
                    width: *width,
                    height: *height,
                    channels: kept,
                    bytes: (0..positions)
                        .flat_map(|p| (0..kept).map(move |c| byte(pixels[c * positions + p])))
                        .collect(),
                },
                frame: Paint::Soft,
                lines: vec![told.id.clone(), format!("{:+.1}", told.score), told.set.clone()],
            })
            .collect();
        if !row.is_empty() {
            rows.push(row);
        }
    }
    if rows.is_empty() || positions == 0 {
        return None;
    }
    let heads = ["most telling".to_owned(), "next".to_owned()];
    let kind = Kind::Pictures(Pictures { note: String::new(), heads, rows });
    let panel = Panel { title: String::new(), size: HALF, kind };
    let caption = "The samples of either set that are least like the other, with their score.".to_owned();
    Some(Figure::new("telling", "The samples that tell most", caption, vec![panel], Vec::new()))
}
