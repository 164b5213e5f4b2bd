//! What is found of networks in question, as it is printed and written: schema `harness.lineage/1`.

use serde::Serialize;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Related,
    Unrelated,
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
    pub layer: String,
    pub units: usize,
    /// Spearman's ρ of the matching of units with the identity.
    pub statistic: f64,
    /// Units matched with the unit of the same number.
    pub fixed: usize,
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
    pub p_value: Option<f64>,
    /// The smallest soft churn of two siblings.
    pub siblings_at_least: Option<f64>,
}

/// Two networks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    pub a: String,
    pub b: String,
    pub verdict: Verdict,
    pub p_value: f64,
    /// Corrected for all pairs (Holm).
    pub p_corrected: f64,
    /// What the p-value rests on: `weights`, `permuted-units`, `activations`, `outputs`.
    pub method: &'static str,
    pub layers: Vec<LayerFound>,
    pub permuted: Option<PermutedFound>,
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
    pub notes: Vec<String>,
}

/// An edge of the tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeFound {
    pub parent: String,
    pub child: String,
    /// Of the two sharing an ancestor, corrected for all pairs.
    pub p_value: f64,
    /// How clear the direction is, 0 to 1: the share of the clues that agree, less the share that do not.
    pub clear: f64,
}

/// Everything, schema `harness.lineage/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    pub schema: &'static str,
    /// Of the pair, or of the closest pair of three and more.
    pub verdict: Verdict,
    pub p_value: f64,
    pub method: &'static str,
    pub layers: Vec<LayerFound>,
    pub shared_init: Option<bool>,
    pub level: f64,
    pub siblings: usize,
    pub networks: Vec<String>,
    pub pairs: Vec<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<EdgeFound>>,
    pub notes: Vec<String>,
}
