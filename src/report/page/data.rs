//! What the page's script is given: runs as in the JSON of the analysis, and plots with their numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::figures::SINGLE;
use super::super::figures::matrix;
use super::super::style::{Look, Looks, Mark, css};
use super::base64;
use super::plots::{Plot, plots, short};
use crate::analysis::{Alone, Analysis, Images, PerClass, Run};

/// Examples listed for each run, of few and of many runs.
const LISTED: [usize; 2] = [16, 4];
/// Sweeps of more runs are "many".
pub const MANY: usize = 100;

/// Everything the script needs.
#[derive(Serialize)]
pub struct Data<'a> {
    /// Exactly as in the JSON of the analysis.
    runs: &'a [Run],
    classes: &'a [String],
    looks: BTreeMap<u32, LookData>,
    /// Of which run a run is a repetition: its place in the plots.
    originals: BTreeMap<u32, u32>,
    /// Whom each run decides most and least alike.
    neighbours: BTreeMap<u32, Neighbours>,
    /// Typical runs drawn one by one, at most.
    single: usize,
    /// Colours of a matrix, from the smallest value to the largest, at even distances.
    ramp: Vec<String>,
    plots: Vec<Plot>,
    per_class: Vec<PerClass>,
    alone: Vec<Alone>,
    images: Option<ImageData>,
}

#[derive(Serialize)]
struct LookData {
    colour: String,
    mark: &'static str,
    dash: Option<String>,
}

/// The runs of least and of most churn, and how much that is.
#[derive(Debug, PartialEq, Serialize)]
struct Neighbours {
    nearest: (u32, f64),
    farthest: (u32, f64),
}

#[derive(Serialize)]
struct ImageData {
    channels: usize,
    height: usize,
    width: usize,
    /// Base64 of the bytes.
    pixels: BTreeMap<usize, String>,
}

/// The page's data.
#[must_use]
pub fn data<'a>(analysis: &'a Analysis, looks: &Looks, images: Option<&Images>) -> Data<'a> {
    let listed = LISTED[usize::from(analysis.runs.len() > MANY)];
    let alone = analysis.alone.iter().map(|held| {
        let mut held = held.clone();
        held.examples.truncate(listed);
        held.examples.iter_mut().for_each(|example| example.probability = short(example.probability));
        held
    });
    let per_class = analysis
        .per_class
        .iter()
        .map(|held| PerClass { alpha: held.alpha.iter().copied().map(short).collect(), ..held.clone() });
    let groups = analysis.independence.groups.iter().filter_map(|group| group.split_first());
    Data {
        runs: &analysis.runs,
        classes: &analysis.source.class_names,
        looks: looks.iter().map(|(run, look)| (run, look_data(look))).collect(),
        originals: groups.flat_map(|(&first, copies)| copies.iter().map(move |&copy| (copy, first))).collect(),
        neighbours: neighbours(analysis),
        single: SINGLE,
        ramp: matrix::RAMP.iter().map(|&(red, green, blue)| css(red, green, blue)).collect(),
        plots: plots(analysis, looks),
        per_class: per_class.collect(),
        alone: alone.collect(),
        images: images.map(image_data),
    }
}

/// A look's colour as in a style sheet.
#[must_use]
pub fn colour(look: Look) -> String {
    css(look.colour.0, look.colour.1, look.colour.2)
}

fn look_data(look: Look) -> LookData {
    LookData {
        colour: colour(look),
        mark: match look.mark {
            Mark::Disc => "disc",
            Mark::Square => "square",
            Mark::Triangle => "triangle",
            Mark::Diamond => "diamond",
        },
        dash: look.dash.map(|(stroke, gap)| format!("{stroke} {gap}")),
    }
}

fn image_data(images: &Images) -> ImageData {
    let [channels, height, width] = images.shape;
    let pixels = images.pixels.iter().map(|(&example, bytes)| (example, base64::encode(bytes)));
    ImageData { channels, height, width, pixels: pixels.collect() }
}

/// For each run that has pairs with two others and more, the ends of its churn; ties go to the lower run.
fn neighbours(analysis: &Analysis) -> BTreeMap<u32, Neighbours> {
    let mut found: BTreeMap<u32, (usize, Neighbours)> = BTreeMap::new();
    let both = analysis.pairs.iter().flat_map(|pair| [(pair.a, pair.b, pair.churn), (pair.b, pair.a, pair.churn)]);
    for (run, other, churn) in both {
        let first = || (0, Neighbours { nearest: (other, churn), farthest: (other, churn) });
        let (count, ends) = found.entry(run).or_insert_with(first);
        *count += 1;
        if churn < ends.nearest.1 || (churn == ends.nearest.1 && other < ends.nearest.0) {
            ends.nearest = (other, churn);
        }
        if churn > ends.farthest.1 || (churn == ends.farthest.1 && other < ends.farthest.0) {
            ends.farthest = (other, churn);
        }
    }
    found.into_iter().filter(|(_, (count, _))| *count > 1).map(|(run, (_, ends))| (run, ends)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::analysed;
    use super::*;

    #[test]
    fn neighbours_are_the_ends_of_a_run_s_churn() {
        // Decisions of three runs on four examples: 0 and 1 differ on one, 0 and 2 on three, 1 and 2 on two.
        let found = neighbours(&analysed(&[[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 1, 1]]));
        assert_eq!(found[&0], Neighbours { nearest: (1, 0.25), farthest: (2, 0.75) });
        assert_eq!(found[&1], Neighbours { nearest: (0, 0.25), farthest: (2, 0.5) });
        assert_eq!(found[&2], Neighbours { nearest: (1, 0.5), farthest: (0, 0.75) });
        assert!(neighbours(&analysed(&[[0, 0, 0, 0], [0, 0, 0, 1]])).is_empty());
    }

    #[test]
    fn a_repeated_run_names_its_original() {
        let analysis = analysed(&[[0, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]);
        let data = data(&analysis, &Looks::of(&analysis), None);
        assert_eq!(data.originals, BTreeMap::from([(2, 0)]));
        assert_eq!(serde_json::to_value(data.runs).unwrap(), serde_json::to_value(&analysis.runs).unwrap());
    }
}
