//! An attribution in words, as tables and as a figure.

use super::axis::{Axis, span};
use super::document::{Block, Document, Table};
use super::figures::{Dot, Figure, Layer, Look, Mark, Paint, Panel};
use super::text::list;
use crate::analysis::attribution::{Attribution, Component, Portion};
use crate::analysis::numbers::{fixed, or_dash, percent, significant, thousands};

/// File name of the text.
pub const TEXT: &str = "attribution.md";
/// File name of the page.
pub const PAGE: &str = "attribution.html";

/// A way to measure how far runs are apart.
struct Quantity {
    title: &'static str,
    label: &'static str,
    of: fn(&Component) -> Option<Portion>,
    /// What a value is multiplied by to be shown.
    factor: f64,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity { title: "Churn", label: "churn (%)", of: |part| part.churn, factor: 100.0 },
    Quantity { title: "Probabilities", label: "½‖p − p′‖²", of: |part| part.probabilities, factor: 1.0 },
    Quantity { title: "Accuracy", label: "variance (%²)", of: |part| part.accuracy, factor: 1e4 },
    Quantity { title: "NTK distance", label: "1 − CKA", of: |part| part.kernel, factor: 1.0 },
];

/// What was found, as paragraphs.
#[must_use]
pub fn paragraphs(found: &Attribution) -> Vec<String> {
    let mut texts: Vec<String> = [together(found), shares(found), smallest(found), nothing(found), spawns(found)]
        .into_iter()
        .flatten()
        .collect();
    texts.extend(found.notes.iter().cloned());
    texts
}

fn together(found: &Attribution) -> Option<String> {
    let all = found.source("all")?;
    let streams: Vec<String> = all.variant.vary.iter().map(|stream| format!("`{}`", stream.name())).collect();
    Some(format!(
        "Two runs that differ in every source ({}) decide {} of the {} test examples differently, and accuracy varies by {} \
         between runs (standard deviation).",
        list(&streams),
        percent(all.churn?.value),
        thousands(found.examples),
        percent(all.accuracy_std?.value),
    ))
}

/// The largest parts of churn, and what is left to interaction.
fn shares(found: &Attribution) -> Option<String> {
    let share = |component: &Component| component.churn.and_then(|portion| portion.share);
    let whole = |share: f64| format!("{} %", fixed(share * 100.0, 0));
    let mut parts: Vec<(&str, f64)> =
        streams(found).filter_map(|component| Some((component.source.as_str(), share(component)?))).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    if parts.len() < 2 {
        return None;
    }
    let named: Vec<String> = parts.iter().map(|(name, part)| format!("{} to `{name}`", whole(*part))).collect();
    let together = found.component("interaction").and_then(share).map_or_else(String::new, |part| {
        format!("; {} appears only where sources act together (interaction)", whole(part))
    });
    Some(format!("Of these differing decisions {} can be put down to one source by itself{together}.", list(&named)))
}

/// The parts that are sources of randomness.
fn streams(found: &Attribution) -> impl Iterator<Item = &Component> {
    found.components.iter().filter(|component| component.levels > 0)
}

fn smallest(found: &Attribution) -> Option<String> {
    let (all, bit) = (found.source("all")?.churn?, found.source("bit")?.churn?);
    let share = if all.value > 0.0 { bit.value / all.value } else { return None };
    let verdict = match share {
        share if share < 0.01 => "which training forgets",
        share if share < 0.5 => "so training damps small changes",
        _ => {
            "so training amplifies whatever it is given, and removing any one source of randomness will not make it reproducible"
        }
    };
    Some(format!(
        "The smallest change there is, one flipped bit of one initial weight of run 0, makes two runs differ on {}: {} % of that, \
         {verdict}.",
        percent(bit.value),
        fixed(share * 100.0, 0)
    ))
}

fn nothing(found: &Attribution) -> Option<String> {
    let none = found.source("none")?;
    if none.finite < 2 {
        return None;
    }
    Some(if none.distinct == 1 {
        "With nothing varied the runs are equal bit for bit: training itself is deterministic here.".to_owned()
    } else {
        format!(
            "With nothing varied the runs still differ, on {} of the examples: the implementation itself is a source \
             (`implementation`).",
            or_dash(none.churn.map(|churn| churn.value), percent)
        )
    })
}

/// How fast runs part, by the step of the flip.
fn spawns(found: &Attribution) -> Option<String> {
    let ends: Vec<String> = found
        .spawns
        .iter()
        .filter_map(|spawn| {
            let end = spawn.distances.last()?;
            Some(format!("{} after a flip before step {}", percent(end.churn), thousands(spawn.step as usize + 1)))
        })
        .collect();
    (!ends.is_empty()).then(|| format!("Runs that part by one flipped bit differ at the end on {}.", list(&ends)))
}

/// The head of [`row`].
const HEADER: [&str; 6] = ["part", "levels", "churn (%)", "share", "accuracy std (%)", "1 − CKA of NTKs"];

/// One part as a row, each number with its interval.
fn row(component: &Component) -> [String; 6] {
    let hundred = |share: f64| fixed(share * 100.0, 2);
    let with_interval = |portion: Portion, show: &dyn Fn(f64) -> String| {
        format!("{} ({} to {})", show(portion.value), show(portion.low), show(portion.high))
    };
    // A variance that is estimated below 0 is none.
    let std = |variance: f64| hundred(variance.max(0.0).sqrt());
    [
        component.source.clone(),
        if component.levels > 0 { component.levels.to_string() } else { String::new() },
        or_dash(component.churn, |portion| with_interval(portion, &hundred)),
        or_dash(component.churn.and_then(|portion| portion.share), |share| format!("{} %", fixed(share * 100.0, 0))),
        or_dash(component.accuracy, |portion| with_interval(portion, &std)),
        or_dash(component.kernel, |portion| with_interval(portion, &|value| fixed(value, 4))),
    ]
}

/// Repeatability, reproducibility and the whole, as process engineers keep them apart.
fn gauge(found: &Attribution) -> Vec<[String; 4]> {
    let Some(total) = found.component("total") else { return Vec::new() };
    let of = |name: &str, quantity: fn(&Component) -> Option<Portion>| {
        found.component(name).and_then(quantity).map_or(0.0, |portion| portion.value)
    };
    let line = |name: &str, churn: f64, accuracy: f64| {
        let whole = [total.churn, total.accuracy].map(|portion| portion.map_or(0.0, |portion| portion.value));
        let share = |part: f64, whole: f64| {
            if whole > 0.0 { format!("{} %", fixed(part / whole * 100.0, 0)) } else { "–".to_owned() }
        };
        [name.to_owned(), percent(accuracy.max(0.0).sqrt()), share(accuracy, whole[1]), share(churn, whole[0])]
    };
    let (churn, accuracy) = (|c: &Component| c.churn, |c: &Component| c.accuracy);
    let repeat = [of("implementation", churn), of("implementation", accuracy)];
    let all = [of("total", churn), of("total", accuracy)];
    vec![
        line("repeatability: the same seeds again", repeat[0], repeat[1]),
        line("reproducibility: other seeds", all[0] - repeat[0], all[1] - repeat[1]),
        line("the whole", all[0], all[1]),
    ]
}

/// A row for each part.
#[must_use]
pub fn parts(found: &Attribution) -> Table {
    Table::new("parts", &HEADER, &[0], found.components.iter().map(|component| row(component).to_vec()).collect())
}

/// The text with its tables and its figure.
#[must_use]
pub fn document(found: &Attribution) -> Document {
    let mut words = paragraphs(found).into_iter();
    let mut document = Document {
        title: format!("Which source of randomness: {}", found.name),
        headline: words.next().unwrap_or_default(),
        ..Document::default()
    };
    words.for_each(|words| document.text(words));
    document.table(parts(found));
    document.blocks.push(Block::Figure(figure(found)));
    let heads = ["as a gauge", "std of accuracy", "share of its variance", "share of churn"];
    document.table(Table::new("gauge", &heads, &[0], gauge(found).into_iter().map(Vec::from).collect()));
    if !found.spawns.is_empty() {
        let at = found.spawns.iter().flat_map(|spawn| spawn.distances.iter().map(|at| (spawn.step, at)));
        let rows = at.map(|(step, at)| {
            let (churn, distance) = (percent(at.churn), significant(at.probabilities));
            vec![thousands(step as usize), at.epoch.to_string(), churn, distance]
        });
        let heads = ["steps before the flip", "epoch", "churn", "½‖p − p′‖²"];
        document.table(Table::new("spawns", &heads, &[], rows.collect()));
    }
    document.text(format!(
        "Each part is an estimate with its 95 % interval (jackknife over the levels of every source). Runs form a partial grid \
         of seeds: every level of every source is used several times, and two runs share at most one. Let T be the mean \
         distance of two runs that share nothing, T_s that of two runs that share source s: T − T_s belongs to s by itself, \
         whatever the other sources are, and what is left of T is interaction. An estimate can fall a little below 0 where a \
         part is small. Churn is the share of examples that two runs decide differently; the accuracy column is the standard \
         deviation that a part would give by itself; 1 − CKA is the distance of two runs' trace NTKs. ε = {}, N = {}, \
         experiment (BLAKE3) `{}`. Definitions: `docs/definitions.md`, Attribution.",
        found.epsilon,
        thousands(found.examples),
        found.experiment
    ));
    document
}

/// A dot with its interval for each part, in a panel for each quantity that there is.
fn figure(found: &Attribution) -> Figure {
    let panels = QUANTITIES
        .iter()
        .filter(|quantity| found.components.iter().any(|part| (quantity.of)(part).is_some()))
        .map(|quantity| panel(quantity, found))
        .collect();
    let caption = "What each source adds to the difference between two runs by itself, what sources add only together \
                   (interaction), and the whole: the dot is the estimate, the bar its 95 % interval."
        .to_owned();
    Figure::new("attribution", "Parts of the difference between runs", caption, panels, Vec::new())
}

fn panel(quantity: &Quantity, found: &Attribution) -> Panel {
    let count = found.components.len();
    // The first part is on top.
    let level = |place: usize| (count - 1 - place) as f64;
    let dots: Vec<Dot> = found
        .components
        .iter()
        .enumerate()
        .filter_map(|(place, part)| {
            let portion = (quantity.of)(part)?;
            let shown = |value: f64| fixed(value * quantity.factor, if quantity.factor > 1.0 { 2 } else { 4 });
            let name = &part.source;
            let tip = format!(
                "{name}, {}: {} ({} to {})",
                quantity.label,
                shown(portion.value),
                shown(portion.low),
                shown(portion.high)
            );
            let interval = Some((portion.low, portion.high));
            Some(Dot {
                interval,
                across: true,
                key: name.clone(),
                tip,
                radius: 4.5,
                ..Dot::new(portion.value, level(place), look(part))
            })
        })
        .collect();
    let ends = dots.iter().flat_map(|dot| {
        let (low, high) = dot.interval.unwrap_or((dot.x, dot.x));
        [dot.x, low, high]
    });
    let (low, high) = span(ends.chain([0.0]), 0.05);
    let x = Axis::linear(quantity.label, low, if high > low { high } else { 0.01 }, 4, quantity.factor);
    let y = Axis::names("", found.components.iter().map(|part| part.source.clone()), true);
    Panel::chart(quantity.title, x, y, vec![Layer::Points(dots)]).sized((430.0, 90.0 + 28.0 * count as f64))
}

/// The whole and what is no source have no source's look.
fn look(part: &Component) -> Look {
    match part.source.as_str() {
        "total" => Look::of(Paint::Ink).marked(Mark::Diamond),
        "interaction" | "implementation" => Look::of(Paint::Typical).marked(Mark::Square),
        _ => Look::of(Paint::Series(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::attribution::{Measure, SCHEMA, Source, Variant};
    use crate::config::Stream;

    fn source(name: &str, churn: f64, distinct: usize) -> Source {
        let measure = |value: f64| Some(Measure { value, low: value * 0.9, high: value * 1.1 });
        Source {
            variant: Variant { name: name.into(), vary: vec![Stream::Init], runs: 3 },
            epoch: 2,
            finite: 3,
            distinct,
            accuracy: None,
            accuracy_std: measure(0.01),
            churn: measure(churn),
            alpha_hat: None,
            ntk_distance: None,
        }
    }

    fn component(source: &str, levels: usize, churn: f64, share: f64) -> Component {
        let portion = |value: f64| Some(Portion { value, low: value - 0.01, high: value + 0.01, share: Some(share) });
        Component {
            source: source.into(),
            levels,
            churn: portion(churn),
            probabilities: None,
            accuracy: portion(-1e-6),
            kernel: None,
        }
    }

    fn found(bit: f64, distinct: usize) -> Attribution {
        Attribution {
            schema: SCHEMA.into(),
            name: "x".into(),
            experiment: "0".into(),
            examples: 100,
            classes: 2,
            epsilon: 0.01,
            components: vec![
                component("init", 5, 0.06, 0.6),
                component("order", 5, 0.01, 0.1),
                component("interaction", 0, 0.03, 0.3),
                component("total", 0, 0.10, 1.0),
            ],
            sources: vec![source("all", 0.1, 3), source("bit", bit, 3), source("none", 0.0, distinct)],
            spawns: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn words_follow_the_numbers() {
        let high = paragraphs(&found(0.095, 1)).join("\n");
        assert!(high.contains("95 % of that, so training amplifies"), "{high}");
        assert!(
            high.contains("60 % to `init` and 10 % to `order` can be put down to one source by itself; 30 %"),
            "{high}"
        );
        assert!(high.contains("equal bit for bit"), "{high}");
        let low = paragraphs(&found(0.02, 2)).join("\n");
        assert!(low.contains("20 % of that, so training damps") && low.contains("(`implementation`)"), "{low}");
    }

    #[test]
    fn a_figure_has_a_panel_for_each_quantity_that_there_is() {
        let document = document(&found(0.02, 1));
        let titles: Vec<&str> =
            document.figures().flat_map(|figure| &figure.panels).map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["Churn", "Accuracy"]);
        let text = document.markdown(None);
        assert!(text.contains("| init | 5 | 6.00 (5.00 to 7.00) | 60 % |"), "{text}");
        assert!(text.contains("| reproducibility: other seeds |"), "{text}");
    }
}
