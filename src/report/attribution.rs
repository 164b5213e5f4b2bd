//! An attribution in words, as a table and as a figure.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};
use plotters::style::RGBColor;

use super::Page;
use super::axis::{Axis, span};
use super::canvas::{Canvas, svg};
use super::panel::{Frame, Panel};
use super::style::{INK, Mark, PALETTE, TYPICAL};
use super::words::list;
use crate::analysis::attribution::{Attribution, Component, Portion};
use crate::analysis::numbers::{fixed, or_dash, percent, significant, thousands};
use crate::error::Result;

/// File name of the figure.
const FIGURE: &str = "attribution.svg";
/// File name of the text.
pub const TEXT: &str = "attribution.md";

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

/// What a person reads: findings in words, then a row for each part.
#[must_use]
pub fn text(found: &Attribution, terminal: bool) -> String {
    let mut text: String = paragraphs(found).iter().map(|paragraph| format!("{paragraph}\n\n")).collect();
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_content_arrangement(if terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header(HEADER);
    for component in &found.components {
        table.add_row(row(component));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text.push_str(&format!("{table}\n\n"));
    text
}

/// `attribution.md` and its figure. The same attribution gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the figure cannot be drawn.
pub fn pages(found: &Attribution) -> Result<Vec<Page>> {
    let mut text = format!("# Which source of randomness: {}\n\n", found.name);
    for paragraph in paragraphs(found) {
        text.push_str(&format!("{paragraph}\n\n"));
    }
    text.push_str(&format!("| {} |\n| --- | ---: | ---: | ---: | ---: | ---: |\n", HEADER.join(" | ")));
    for component in &found.components {
        text.push_str(&format!("| {} |\n", row(component).join(" | ")));
    }
    text.push_str(
        "\n| as a gauge | std of accuracy | share of its variance | share of churn |\n| --- | ---: | ---: | ---: |\n",
    );
    for line in gauge(found) {
        text.push_str(&format!("| {} |\n", line.join(" | ")));
    }
    if !found.spawns.is_empty() {
        text.push_str("\n| one bit flipped after step | epoch | churn | ½‖p − p′‖² |\n| ---: | ---: | ---: | ---: |\n");
        for (step, at) in found.spawns.iter().flat_map(|spawn| spawn.distances.iter().map(|at| (spawn.step, at))) {
            let (churn, distance) = (percent(at.churn), significant(at.probabilities));
            text.push_str(&format!("| {} | {} | {churn} | {distance} |\n", thousands(step as usize), at.epoch));
        }
    }
    text.push_str(&format!(
        "\n![Parts of the difference between runs]({FIGURE})\n\n\
         Each part is an estimate with its 95 % interval (jackknife over the levels of every source). Runs form a partial grid of seeds: every \
         level of every source is used several times, and two runs share at most one. Let T be the mean distance of two runs that share \
         nothing, T_s that of two runs that share source s: T − T_s belongs to s by itself, whatever the other sources are, and what is left of T \
         is interaction. An estimate can fall a little below 0 where a part is small. Churn is the share of examples that two runs decide \
         differently; the accuracy column is the standard deviation that a part alone would give; 1 − CKA is the distance of two runs' trace \
         NTKs. ε = {}, N = {}, experiment (BLAKE3) `{}`. Definitions: `docs/definitions.md`, Attribution.\n",
        found.epsilon,
        thousands(found.examples),
        found.experiment
    ));
    Ok(vec![
        Page { name: TEXT.to_owned(), bytes: text.into_bytes() },
        Page { name: FIGURE.to_owned(), bytes: figure(found)?.into_bytes() },
    ])
}

/// A dot with its interval for each part, in a panel for each quantity that there is.
fn figure(found: &Attribution) -> Result<String> {
    const LEFT: f64 = 84.0;
    const WIDTH: f64 = 860.0;
    const ROW: f64 = 30.0;
    let panels: Vec<&Quantity> = QUANTITIES
        .iter()
        .filter(|quantity| found.components.iter().any(|part| (quantity.of)(part).is_some()))
        .collect();
    let height = ROW * found.components.len() as f64;
    let step = (WIDTH - LEFT - 10.0) / panels.len().max(1) as f64;
    svg(WIDTH as u32, (height + 100.0) as u32, "Parts of the difference between runs", |canvas| {
        for (place, quantity) in panels.iter().enumerate() {
            let left = LEFT + step * place as f64;
            let frame = Frame { left, top: 40.0, right: left + step - 24.0, bottom: 40.0 + height };
            panel(canvas, frame, quantity, found, place == 0)?;
        }
        Ok(())
    })
}

fn panel(canvas: &Canvas, frame: Frame, quantity: &Quantity, found: &Attribution, named: bool) -> Result<()> {
    let count = found.components.len();
    // The first source is on top.
    let level = |place: usize| (count - 1 - place) as f64;
    let measures =
        || found.components.iter().enumerate().filter_map(|(place, part)| Some((place, part, (quantity.of)(part)?)));
    let shown = |portion: Portion| [portion.low.max(-0.2 * portion.value.abs()), portion.high, portion.value];
    let (low, top) = span(measures().flat_map(|(_, _, portion)| shown(portion)).chain([0.0]), 0.05);
    let x = Axis::linear(quantity.label, low, if top > low { top } else { 0.01 }, 4, quantity.factor);
    let names = found
        .components
        .iter()
        .enumerate()
        .map(|(place, part)| (level(place), if named { part.source.clone() } else { String::new() }));
    let y = Axis::linear("", -0.6, count as f64 - 0.4, 5, 1.0).with_ticks(names.collect());
    let panel = Panel::new(canvas, frame, quantity.title, x, y, 60.0)?;
    for (place, part, portion) in measures() {
        let colour = colour(part);
        panel.reach(level(place), portion.low.max(low), portion.high, colour)?;
        panel.mark(portion.value, level(place), mark(part), 4.5, colour)?;
    }
    Ok(())
}

/// The whole and what is no source have no source's colour.
fn colour(part: &Component) -> RGBColor {
    match part.source.as_str() {
        "total" => INK,
        "interaction" | "implementation" => TYPICAL,
        _ => PALETTE[1],
    }
}

fn mark(part: &Component) -> Mark {
    match part.source.as_str() {
        "total" => Mark::Diamond,
        "interaction" | "implementation" => Mark::Square,
        _ => Mark::Disc,
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
        let pages = pages(&found(0.02, 1)).unwrap();
        let figure = String::from_utf8(pages[1].bytes.clone()).unwrap();
        assert!(figure.contains("Churn") && figure.contains("Accuracy") && !figure.contains("NTK distance"));
        let text = String::from_utf8_lossy(&pages[0].bytes).into_owned();
        assert!(pages[0].name == TEXT && text.contains("| init | 5 | 6.00 (5.00 to 7.00) | 60 % |"), "{text}");
        assert!(text.contains("| reproducibility: other seeds |"), "{text}");
    }
}
