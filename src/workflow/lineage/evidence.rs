//! One pair of networks: every test that can be made of it, and one p-value.

use super::Settings;
use super::read::{Source, Subject};
use super::siblings::Siblings;
use crate::error::{Error, Result};
use crate::lineage::ancestry::{by_activations, by_weights, distances};
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

/// Tests a pair.
///
/// # Errors
/// [`Error::NotComparable`] where there is nothing in common.
pub(super) fn judge(a: &Subject, b: &Subject, siblings: &Siblings, settings: &Settings) -> Result<Judged> {
    match (&a.source, &b.source) {
        (Source::Weights(one), Source::Weights(other)) => {
            let found = by_weights(one, other, settings.seed).ok_or_else(|| {
                Error::NotComparable(format!(
                    "{} and {} have no hidden layer in common: the same name, or the same place in a chain, and the same number of inputs",
                    a.name, b.name
                ))
            })?;
            let apart = distances(one, other);
            let distance = |layer: &str| apart.iter().find(|(name, _)| name == layer).map(|(_, distance)| *distance);
            let layers = found.layers.iter().map(|layer| LayerFound {
                layer: layer.layer.clone(),
                units: layer.units,
                statistic: layer.rho,
                fixed: layer.fixed,
                p_value: layer.p,
                cosine: layer.cosine,
                distance: distance(&layer.layer),
            });
            let mut judged = Judged {
                p: found.p,
                method: "weights",
                layers: layers.collect(),
                permuted: None,
                outputs: None,
                partners: None,
                cannot_tell: false,
                notes: Vec::new(),
            };
            if !found.fisher {
                judged.notes.push(
                    "Which layers share units could not be read off the names: the smallest p-value counts, times the number of layers."
                        .into(),
                );
            }
            let smallest = found.layers.iter().map(|layer| layer.units).max().unwrap_or(0);
            if smallest < 4 {
                judged.cannot_tell = true;
                judged.notes.push(format!("No hidden layer has more than {smallest} units, too few to tell."));
            }
            if let Some(agreed) = agreement(one, other, settings.seed) {
                let among = siblings.agreements(a, b, settings);
                let p = among.as_ref().map(|among| rank_p(agreed.statistic(), among));
                judged.permuted = Some(PermutedFound {
                    agreement: agreed.share,
                    p_value: p,
                    siblings_at_most: siblings.largest_agreement(),
                });
                judged.partners = Some(agreed.partners);
                match p {
                    Some(p) => {
                        let (weights, permuted) = (found.p / BY_WEIGHTS, p / (1.0 - BY_WEIGHTS));
                        judged.p = weights.min(permuted).min(1.0);
                        if permuted < weights {
                            judged.method = "permuted-units";
                        }
                        let best = rank_p(f64::INFINITY, among.as_deref().unwrap_or_default()) / (1.0 - BY_WEIGHTS);
                        if best > settings.level && permuted < 1.0 && p <= best {
                            judged.cannot_tell = true;
                            judged.notes.push(format!(
                                "The pair agrees more than any of the siblings, but {} are needed to reach {}.",
                                siblings_needed(settings.level * (1.0 - BY_WEIGHTS)),
                                settings.level
                            ));
                        }
                    }
                    None if found.p > settings.level && agreed.share >= STRIKING => {
                        judged.cannot_tell = true;
                        judged.notes.push(format!(
                            "Matched from the inputs and from the outputs, {:.0} % of the hidden units agree: they may have been renumbered. \
                             Give independent networks of the same experiment with --siblings to calibrate that.",
                            agreed.share * 100.0
                        ));
                    }
                    None => {}
                }
            }
            Ok(judged)
        }
        (Source::Activations(one), Source::Activations(other)) => {
            let found = by_activations(one, other, settings.seed).ok_or_else(|| {
                Error::NotComparable(format!("{} or {} has no hidden layer with weights", a.name, b.name))
            })?;
            let layers = found.layers.iter().map(|layer| LayerFound {
                layer: layer.layer.clone(),
                units: layer.units,
                statistic: layer.rho,
                fixed: layer.fixed,
                p_value: layer.p,
                cosine: layer.cosine,
                distance: None,
            });
            Ok(Judged {
                p: found.p,
                method: "activations",
                layers: layers.collect(),
                permuted: None,
                outputs: None,
                partners: None,
                cannot_tell: false,
                notes: Vec::new(),
            })
        }
        (Source::Outputs(one), Source::Outputs(other)) => {
            let churn = one.churn(other).ok_or_else(|| {
                Error::NotComparable(format!(
                    "{} holds soft decisions of {} examples and {} classes, {} of {} and {}",
                    a.name, one.examples, one.classes, b.name, other.examples, other.classes
                ))
            })?;
            let among = siblings.churns(one, other);
            let p = among.as_ref().map(|among| rank_p(-churn, among));
            let mut notes = Vec::new();
            let mut cannot_tell = p.is_none();
            match (&p, &among) {
                (Some(_), Some(among)) => {
                    let best = rank_p(f64::INFINITY, among);
                    if best > settings.level {
                        cannot_tell = true;
                        notes.push(format!(
                            "So few siblings cannot reach {}: {} are needed.",
                            settings.level,
                            siblings_needed(settings.level)
                        ));
                    }
                }
                _ => notes.push(
                    "Soft decisions alone say nothing without siblings: give independent networks of the same experiment with --siblings."
                        .into(),
                ),
            }
            Ok(Judged {
                p: p.unwrap_or(1.0),
                method: "outputs",
                layers: Vec::new(),
                permuted: None,
                outputs: Some(OutputsFound {
                    soft_churn: churn,
                    p_value: p,
                    siblings_at_least: siblings.smallest_churn(),
                }),
                partners: None,
                cannot_tell,
                notes,
            })
        }
        _ => Err(Error::NotComparable(format!(
            "one of {} and {} holds weights and the other soft decisions: give the same of both",
            a.name, b.name
        ))),
    }
}
