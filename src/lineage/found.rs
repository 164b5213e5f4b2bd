//! What is found of networks in question, as it is printed and written: schema `harness.lineage/1`.

use serde::Serialize;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They share an ancestor, at the level asked for.
    Related,
    /// Nothing says that they do.
    Unrelated,
    /// What is known cannot tell.
    Undecided,
}

impl Verdict {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Related => "related",
            Self::Unrelated => "unrelated",
            Self::Undecided => "undecided",
        }
    }
}

/// One layer's evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerFound {
    /// The layer's name.
    pub layer: String,
    /// Units matched: those of the narrower side.
    pub units: usize,
    /// Spearman's ρ of the matching of units with the identity.
    pub statistic: f64,
    /// Units matched with the unit of the same number.
    pub fixed: usize,
    /// Under independence, of this layer alone.
    pub p_value: f64,
    /// Mean cosine of the matched units.
    pub cosine: f64,
    /// ‖A − B‖/√(‖A‖‖B‖); null where the shapes differ.
    pub distance: Option<f64>,
}

/// How two networks agree when their units may have been renumbered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PermutedFound {
    /// Share of hidden units that the matchings from the inputs and from the outputs agree on.
    pub agreement: f64,
    /// Rank among the siblings; null without siblings.
    pub p_value: Option<f64>,
    /// The largest agreement of two siblings.
    pub siblings_at_most: Option<f64>,
}

/// How near the decisions of two networks are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputsFound {
    /// Mean over examples of ½‖p − p′‖₁.
    pub soft_churn: f64,
    /// Rank among the siblings; null without siblings.
    pub p_value: Option<f64>,
    /// The smallest soft churn of two siblings.
    pub siblings_at_least: Option<f64>,
}

/// Two networks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The run with the lower index.
    pub a: String,
    /// The run with the higher index.
    pub b: String,
    /// Whether they are related.
    pub verdict: Verdict,
    /// Under independence, before correction for all pairs.
    pub p_value: f64,
    /// Corrected for all pairs (Holm).
    pub p_corrected: f64,
    /// What the p-value rests on: `weights`, `permuted-units`, `activations`, `outputs`.
    pub method: &'static str,
    /// What each layer says; empty without weights.
    pub layers: Vec<LayerFound>,
    /// The statistic that holds though hidden units were renumbered; null where it was not needed.
    pub permuted: Option<PermutedFound>,
    /// By what they decide; null without outputs.
    pub outputs: Option<OutputsFound>,
    /// Root mean square over hidden layers of the distance, after units were put in order where they had been renumbered.
    pub distance: Option<f64>,
    /// Whether they share an initialisation and nothing that was learned; null where that cannot be told.
    pub shared_init: Option<bool>,
    /// Which of the two is the parent; null where neither is, or it cannot be told.
    pub parent: Option<String>,
    /// What told it: `rounding`, `zeros`, `training`.
    pub direction_by: Option<&'static str>,
    /// −1 to 1: above 0, `a` is the parent.
    pub lean: Option<f64>,
    /// What the reader should know besides, as sentences.
    pub notes: Vec<String>,
}

/// An edge of the tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeFound {
    /// The earlier one.
    pub parent: String,
    /// What was made from it.
    pub child: String,
    /// Of the two sharing an ancestor, corrected for all pairs.
    pub p_value: f64,
    /// How clear the direction is, 0 to 1: the share of the clues that agree, less the share that do not.
    pub clear: f64,
}

/// Everything, schema `harness.lineage/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Name and version of the format.
    pub schema: &'static str,
    /// Of the pair, or of the closest pair of three and more.
    pub verdict: Verdict,
    /// Of that pair.
    pub p_value: f64,
    /// What it rests on.
    pub method: &'static str,
    /// What each layer of that pair says.
    pub layers: Vec<LayerFound>,
    /// Whether that pair shares an initialisation and nothing that was learned.
    pub shared_init: Option<bool>,
    /// Related from this p-value on.
    pub level: f64,
    /// How many independent networks calibrated it.
    pub siblings: usize,
    /// The networks, as they were named.
    pub networks: Vec<String>,
    /// Every pair.
    pub pairs: Vec<Pair>,
    /// The tree; absent where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<EdgeFound>>,
    /// What the reader should know besides, as sentences.
    pub notes: Vec<String>,
}
