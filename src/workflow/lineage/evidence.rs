//! One pair of networks: every test that can be made of it, and one p-value.

use super::Settings;
use super::read::{Outputs, Source, Subject};
use super::siblings::Siblings;
use crate::error::{Error, Result};
use crate::lineage::Weights;
use crate::lineage::ancestry::{Evidence, by_activations, by_weights, distances};
use crate::lineage::axes::Axis;
use crate::lineage::found::{LayerFound, OutputsFound, PermutedFound};
use crate::lineage::permuted::agreement;
use crate::lineage::rank::{rank_p, siblings_needed};

/// Of the level, the share that the test by weights gets where siblings allow one for renumbered units too. Related networks
/// are so far out by weights that a fiftieth is enough, and few siblings resolve so little that the rest is needed.
const BY_WEIGHTS: f64 = 0.02;

/// From this agreement on, networks without siblings are not called unrelated: their units may have been renumbered.
/// Independent networks trained on the same data reached 0.75.
const STRIKING: f64 = 0.8;

/// What was found of a pair.
#[derive(Debug)]
pub(super) struct Judged {
    pub p: f64,
    pub method: &'static str,
    pub layers: Vec<LayerFound>,
    pub permuted: Option<PermutedFound>,
    pub outputs: Option<OutputsFound>,
    /// Which unit of the second goes with each of the first.
    pub partners: Option<Vec<(Axis, Vec<usize>)>>,
    /// Whether a p-value above the level says nothing.
    pub cannot_tell: bool,
    pub notes: Vec<String>,
}

impl Judged {
    fn new(p: f64, method: &'static str) -> Self {
        let (layers, notes) = (Vec::new(), Vec::new());
        Self { p, method, layers, permuted: None, outputs: None, partners: None, cannot_tell: false, notes }
    }
}

/// Tests a pair.
///
/// # Errors
/// [`Error::NotComparable`] where there is nothing in common.
pub(super) fn judge(a: &Subject, b: &Subject, siblings: &Siblings, settings: &Settings) -> Result<Judged> {
    let found = match (&a.source, &b.source) {
        (Source::Weights(one), Source::Weights(other)) => weights(one, other, siblings, settings).ok_or_else(|| {
            format!(
                "{} and {} have no hidden layer in common: the same name, or the same place in a chain, and the same number of inputs",
                a.name, b.name
            )
        }),
        (Source::Activations(one), Source::Activations(other)) => by_activations(one, other, settings.seed)
            .map(|found| Judged { layers: layers(&found, &[]), ..Judged::new(found.p, "activations") })
            .ok_or_else(|| format!("{} or {} has no hidden layer with weights", a.name, b.name)),
        (Source::Outputs(one), Source::Outputs(other)) => outputs(one, other, siblings, settings).ok_or_else(|| {
            format!(
                "{} holds soft decisions of {} examples and {} classes, {} of {} and {}",
                a.name, one.examples, one.classes, b.name, other.examples, other.classes
            )
        }),
        _ => Err(format!(
            "one of {} and {} holds weights and the other soft decisions: give the same of both",
            a.name, b.name
        )),
    };
    found.map_err(Error::NotComparable)
}

/// What each layer says, with how far apart its weights are where that is known by name.
fn layers(found: &Evidence, apart: &[(String, f64)]) -> Vec<LayerFound> {
    let each = found.layers.iter().map(|layer| LayerFound {
        layer: layer.layer.clone(),
        units: layer.units,
        statistic: layer.rho,
        fixed: layer.fixed,
        p_value: layer.p,
        cosine: layer.cosine,
        distance: apart.iter().find(|(name, _)| *name == layer.layer).map(|(_, distance)| *distance),
    });
    each.collect()
}

/// By weights as they lie, and with hidden units renumbered. None without a common layer.
fn weights(one: &Weights, other: &Weights, siblings: &Siblings, settings: &Settings) -> Option<Judged> {
    let found = by_weights(one, other, settings.seed)?;
    let mut judged = Judged { layers: layers(&found, &distances(one, other)), ..Judged::new(found.p, "weights") };
    if !found.fisher {
        judged.notes.push(
            "Which layers share units could not be read off the names: the smallest p-value counts, times the number of layers."
                .into(),
        );
    }
    let most = found.layers.iter().map(|layer| layer.units).max().unwrap_or(0);
    if most < 4 {
        judged.cannot_tell = true;
        judged.notes.push(format!("No hidden layer has more than {most} units, too few to tell."));
    }
    let Some(agreed) = agreement(one, other, settings.seed) else { return Some(judged) };
    let among = siblings.agreements(one, other, settings);
    let p = among.as_ref().map(|among| rank_p(agreed.statistic(), among));
    if let (Some(p), Some(among)) = (p, &among) {
        let (by_weights, by_rank) = (found.p / BY_WEIGHTS, p / (1.0 - BY_WEIGHTS));
        judged.p = by_weights.min(by_rank).min(1.0);
        if by_rank < by_weights {
            judged.method = "permuted-units";
        }
        let best = rank_p(f64::INFINITY, among) / (1.0 - BY_WEIGHTS);
        if best > settings.level && by_rank < 1.0 && p <= best {
            judged.cannot_tell = true;
            judged.notes.push(format!(
                "The pair agrees more than any of the siblings, but {} are needed to reach {}.",
                siblings_needed(settings.level * (1.0 - BY_WEIGHTS)),
                settings.level
            ));
        }
    } else if found.p > settings.level && agreed.share >= STRIKING {
        judged.cannot_tell = true;
        judged.notes.push(format!(
            "Matched from the inputs and from the outputs, {:.0} % of the hidden units agree: they may have been renumbered. \
             Give independent networks of the same experiment with --siblings to calibrate that.",
            agreed.share * 100.0
        ));
    }
    let siblings_at_most = siblings.largest_agreement();
    judged.permuted = Some(PermutedFound { agreement: agreed.share, p_value: p, siblings_at_most });
    judged.partners = Some(agreed.partners);
    Some(judged)
}

/// By soft decisions alone. Networks that learned the same data decide alike, and a child hardly more so: what is found may say
/// that two are related, and never that they are not. None for other shapes.
fn outputs(one: &Outputs, other: &Outputs, siblings: &Siblings, settings: &Settings) -> Option<Judged> {
    let churn = one.churn(other)?;
    let among = siblings.churns(one, other);
    let p = among.as_ref().map(|among| rank_p(-churn, among));
    let mut judged = Judged { cannot_tell: true, ..Judged::new(p.unwrap_or(1.0), "outputs") };
    let best = among.map(|among| rank_p(f64::INFINITY, &among));
    judged.notes.extend(match best {
        None => Some(
            "Soft decisions alone say nothing without siblings: give independent networks of the same experiment with --siblings."
                .into(),
        ),
        Some(best) if best > settings.level => Some(format!(
            "So few siblings cannot reach {}: {} are needed.",
            settings.level,
            siblings_needed(settings.level)
        )),
        Some(_) if judged.p > settings.level => Some(
            "They decide no more alike than siblings do, but children often do not either: weights would tell.".into(),
        ),
        Some(_) => None,
    });
    judged.outputs = Some(OutputsFound { soft_churn: churn, p_value: p, siblings_at_least: siblings.smallest_churn() });
    Some(judged)
}
