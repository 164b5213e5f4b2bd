//! An attribution in words, as a table and as a figure.

use super::axis::{Axis, span};
use super::document::{Block, Document, Table};
use super::figures::{Dot, Figure, Layer, Look, Mark, Paint, Panel};
use super::text::list;
use crate::analysis::attribution::{Attribution, Measure, Source};
use crate::analysis::numbers::{fixed, or_dash, percent, thousands};

/// File name of the text.
pub const TEXT: &str = "attribution.md";
/// File name of the page.
pub const PAGE: &str = "attribution.html";

/// A quantity of a source.
struct Quantity {
    title: &'static str,
    label: &'static str,
    of: fn(&Source) -> Option<Measure>,
    /// What a value is multiplied by to be shown.
    factor: f64,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity { title: "Accuracy spread", label: "std (%)", of: |source| source.accuracy_std, factor: 100.0 },
    Quantity { title: "Churn", label: "churn (%)", of: |source| source.churn, factor: 100.0 },
    Quantity { title: "Trimming level", label: "α̂ (%)", of: |source| source.alpha_hat, factor: 100.0 },
    Quantity { title: "NTK distance", label: "1 − CKA", of: |source| source.ntk_distance, factor: 1.0 },
];

/// What was found, as paragraphs.
#[must_use]
pub fn paragraphs(found: &Attribution) -> Vec<String> {
    let mut texts: Vec<String> =
        [together(found), smallest(found), each(found), nothing(found)].into_iter().flatten().collect();
    texts.extend(found.notes.iter().cloned());
    texts
}

fn together(found: &Attribution) -> Option<String> {
    let all = found.source("all")?;
    let streams: Vec<String> = all.variant.vary.iter().map(|stream| format!("`{}`", stream.name())).collect();
    Some(format!(
        "With all sources together ({}) accuracy varies by {} between runs (standard deviation), and two runs decide {} of the \
         {} test examples differently.",
        list(&streams),
        percent(all.accuracy_std?.value),
        percent(all.churn?.value),
        thousands(found.examples)
    ))
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
        "The smallest change there is, one flipped bit of one initial weight, makes two runs differ on {}: {} % of that, \
         {verdict}.",
        percent(bit.value),
        fixed(share * 100.0, 0)
    ))
}

/// Which sources alone give less than all together, by more than chance.
fn each(found: &Attribution) -> Option<String> {
    let all = found.source("all")?.churn?;
    let alone = || found.sources.iter().filter(|source| !matches!(source.variant.name.as_str(), "all" | "none"));
    let is_less = |source: &&Source| source.churn.is_some_and(|churn| churn.high < all.low);
    let names = |less: bool| {
        let kept = alone().filter(|source| is_less(source) == less);
        kept.map(|source| format!("`{}`", source.variant.name)).collect::<Vec<String>>()
    };
    let (less, rest) = (names(true), names(false));
    Some(match (less.len(), rest.len()) {
        (0, _) => "No source alone gives clearly less churn than all of them: their intervals overlap.".to_owned(),
        (_, 0) => "Every source alone gives clearly less churn than all together.".to_owned(),
        (few, many) => format!(
            "Alone, {} {} clearly less churn than all sources together; {} {} not.",
            list(&less),
            if few == 1 { "gives" } else { "give" },
            list(&rest),
            if many == 1 { "does" } else { "do" }
        ),
    })
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
            "With nothing varied the runs still differ, on {} of the examples: the machine itself adds noise.",
            or_dash(none.churn.map(|churn| churn.value), percent)
        )
    })
}

/// The head of [`row`].
pub const HEADER: [&str; 7] = ["varied", "runs", "accuracy", "its spread (std)", "churn", "α̂", "1 − CKA of NTKs"];

/// One source as a row, each number with its interval.
#[must_use]
pub fn row(source: &Source) -> [String; 7] {
    let share = |measure: Option<Measure>| {
        let hundred = |share: f64| fixed(share * 100.0, 2);
        or_dash(measure, |m| format!("{} ({} to {})", percent(m.value), hundred(m.low), hundred(m.high)))
    };
    let plain = |m: Measure| format!("{} ({} to {})", fixed(m.value, 4), fixed(m.low, 4), fixed(m.high, 4));
    [
        source.variant.name.clone(),
        source.finite.to_string(),
        or_dash(source.accuracy, |accuracy| percent(accuracy.mean)),
        share(source.accuracy_std),
        share(source.churn),
        share(source.alpha_hat),
        or_dash(source.ntk_distance, plain),
    ]
}

/// The text with its table and its figure.
#[must_use]
pub fn document(found: &Attribution) -> Document {
    let mut words = paragraphs(found).into_iter();
    let mut document = Document {
        title: format!("Which source of randomness: {}", found.name),
        headline: words.next().unwrap_or_default(),
        ..Document::default()
    };
    words.for_each(|words| document.text(words));
    let rows = found.sources.iter().map(|source| row(source).to_vec()).collect();
    document.table(Table::new("sources", &HEADER, &[0], rows));
    document.blocks.push(Block::Figure(figure(found)));
    document.text(format!(
        "Every row is a sweep of its own in which only that random stream differs between runs (`bit`: one initial weight has \
         its lowest bit flipped; `none`: nothing); run 0 is the same network in all of them. Accuracy is the mean over the \
         runs; churn the share of examples that two runs decide differently; α̂ the share of a run's margins to be trimmed \
         before they follow those of the others (published protocol, ε = {}, N = {}); 1 − CKA the distance of two runs' trace \
         NTKs. After Summers & Dinneen 2021, table 1. Experiment (BLAKE3): `{}`.",
        found.epsilon,
        thousands(found.examples),
        found.experiment
    ));
    document
}

/// A dot with its interval for each source, in a panel for each quantity that there is.
fn figure(found: &Attribution) -> Figure {
    let panels = QUANTITIES
        .iter()
        .filter(|quantity| found.sources.iter().any(|source| (quantity.of)(source).is_some()))
        .map(|quantity| panel(quantity, found))
        .collect();
    let caption =
        "How far runs drift apart that differ in one source only: the dot is the estimate, the bar its 95 % bootstrap \
                   interval over runs. A source whose dot reaches that of `all` is enough to make the training as \
                   irreproducible as it is."
            .to_owned();
    Figure::new("attribution", "How far each source drives runs apart", caption, panels, Vec::new())
}

fn panel(quantity: &Quantity, found: &Attribution) -> Panel {
    let count = found.sources.len();
    // The first source is on top.
    let level = |place: usize| (count - 1 - place) as f64;
    let dots: Vec<Dot> = found
        .sources
        .iter()
        .enumerate()
        .filter_map(|(place, source)| {
            let measure = (quantity.of)(source)?;
            let shown = |value: f64| fixed(value * quantity.factor, if quantity.factor > 1.0 { 2 } else { 4 });
            let name = &source.variant.name;
            let tip = format!(
                "{name}, {}: {} ({} to {})",
                quantity.label,
                shown(measure.value),
                shown(measure.low),
                shown(measure.high)
            );
            let interval = Some((measure.low, measure.high));
            Some(Dot {
                interval,
                across: true,
                key: name.clone(),
                tip,
                radius: 4.5,
                ..Dot::new(measure.value, level(place), look(source))
            })
        })
        .collect();
    let ends = dots.iter().flat_map(|dot| [dot.x, dot.interval.map_or(dot.x, |ends| ends.1)]);
    let top = span(ends.chain([0.0]), 0.05).1;
    let x = Axis::linear(quantity.label, 0.0, if top > 0.0 { top } else { 0.01 }, 4, quantity.factor);
    let y = Axis::names("", found.sources.iter().map(|source| source.variant.name.clone()), true);
    Panel::chart(quantity.title, x, y, vec![Layer::Points(dots)]).sized((430.0, 90.0 + 28.0 * count as f64))
}

/// What all together and nothing at all look like is no source's look.
fn look(source: &Source) -> Look {
    match source.variant.name.as_str() {
        "all" => Look::of(Paint::Ink).marked(Mark::Diamond),
        "none" => Look::of(Paint::Typical).marked(Mark::Square),
        "bit" => Look::of(Paint::Series(0)).marked(Mark::Triangle),
        _ => Look::of(Paint::Series(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::attribution::{SCHEMA, Variant};
    use crate::config::Stream;

    fn source(name: &str, churn: [f64; 3], distinct: usize) -> Source {
        let measure = |[value, low, high]: [f64; 3]| Some(Measure { value, low, high });
        Source {
            variant: Variant { name: name.into(), vary: vec![Stream::Init], runs: 3 },
            epoch: 2,
            finite: 3,
            distinct,
            accuracy: None,
            accuracy_std: measure([0.01, 0.005, 0.02]),
            churn: measure(churn),
            alpha_hat: None,
            ntk_distance: None,
        }
    }

    fn found(sources: Vec<Source>) -> Attribution {
        Attribution {
            schema: SCHEMA.into(),
            name: "x".into(),
            experiment: "0".into(),
            examples: 100,
            classes: 2,
            epsilon: 0.01,
            sources,
            notes: Vec::new(),
        }
    }

    #[test]
    fn words_follow_the_numbers() {
        let all = source("all", [0.10, 0.09, 0.11], 3);
        let text = |bit: [f64; 3], distinct| {
            let none = source("none", [0.0, 0.0, 0.0], distinct);
            paragraphs(&found(vec![source("bit", bit, 3), all.clone(), none])).join("\n")
        };
        let high = text([0.095, 0.08, 0.11], 1);
        assert!(high.contains("95 % of that, so training amplifies") && high.contains("No source alone"), "{high}");
        assert!(high.contains("equal bit for bit"), "{high}");
        let low = text([0.02, 0.01, 0.03], 2);
        assert!(low.contains("20 % of that, so training damps") && low.contains("Every source alone"), "{low}");
        assert!(low.contains("the machine itself adds noise"), "{low}");
    }

    #[test]
    fn a_figure_has_a_panel_for_each_quantity_that_there_is() {
        let document = document(&found(vec![source("init", [0.1, 0.05, 0.2], 3), source("none", [0.0; 3], 1)]));
        let titles: Vec<&str> =
            document.figures().flat_map(|figure| &figure.panels).map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["Accuracy spread", "Churn"]);
        assert!(document.markdown().contains("| init | 3 | – |"));
    }
}
