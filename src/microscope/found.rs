//! What is found of sets of embeddings, as it is printed and written: schema `harness.microscope/1`.

use serde::Serialize;

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    pub schema: &'static str,
    pub sets: Vec<SetFound>,
    /// `different` or `no difference found`.
    pub verdict: &'static str,
    /// Of the two sets that differ most clearly, corrected for all pairs of sets (Holm).
    pub p_value: f64,
    /// Of that pair.
    pub classifier: ClassifierFound,
    /// Of that pair: at least this share of the samples differs, with probability 1 − ε.
    pub differs_at_least: f64,
    pub epsilon: f64,
    pub clusters: ClustersFound,
    pub components: Vec<Component>,
    /// Every two sets.
    pub pairs: Vec<PairFound>,
    /// Each value of each label, between the two sets that differ most clearly.
    pub by_label: Vec<ValueFound>,
    /// The samples that tell the two sets apart best.
    pub telling: Vec<Telling>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alignments: Vec<AlignmentFound>,
    /// How it was computed.
    pub notes: Vec<String>,
    /// Where every sample lies on the first two principal components and discriminants; for pictures only.
    #[serde(skip)]
    pub places: Places,
}

/// Positions of samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places {
    pub set: Vec<u32>,
    pub pca: Vec<(f32, f32)>,
    pub lda: Vec<(f32, f32)>,
    /// Held-out scores of the two sets that differ most clearly.
    pub scores: [Vec<f64>; 2],
}

/// One set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetFound {
    pub name: String,
    pub n: usize,
}

/// A held-out classifier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassifierFound {
    /// Mean over both sets of the share told right; 0.5 is chance.
    pub accuracy: f64,
    pub low: f64,
    pub high: f64,
    /// At least 1/ε with probability at most ε where nothing differs.
    pub e_value: f64,
}

/// Two sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairFound {
    pub a: String,
    pub b: String,
    pub p_value: f64,
    pub p_corrected: f64,
    /// Of MMD-FUSE alone.
    pub p_mmd_fuse: f64,
    /// The statistic that spoke loudest.
    pub by: &'static str,
    pub classifier: ClassifierFound,
    pub differs_at_least: f64,
}

/// Clusters against sets and labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClustersFound {
    pub k: usize,
    pub silhouette: f64,
    /// With the sets: 1 where clusters are the sets, 0 as by chance.
    pub adjusted_rand: f64,
    pub labels: Vec<Share>,
}

/// A number for a label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    pub label: String,
    pub share: f64,
}

/// A component.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Component {
    /// `pca` or `lda`.
    pub kind: &'static str,
    pub number: usize,
    /// Of a discriminant: what it was fitted to tell, `sets` or a label.
    pub of: Option<String>,
    /// Share of the variance of all embeddings along it.
    pub variance: Option<f64>,
    /// Share of the variance along it that the sets explain.
    pub sets: f64,
    /// That each label explains.
    pub labels: Vec<Share>,
    /// What explains most of it, a tenth at least: a label, or `sets`.
    pub carries: Option<String>,
}

/// The samples with one value of a label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueFound {
    pub label: String,
    pub value: String,
    /// Samples in either set.
    pub n: [usize; 2],
    /// Null where there are too few.
    pub p_value: Option<f64>,
    /// Corrected over all values of all labels (Holm).
    pub p_corrected: Option<f64>,
    /// Mean held-out score of the second set less that of the first: how far apart they are, in log-odds.
    pub apart: f64,
}

/// A sample that tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Telling {
    pub set: String,
    pub row: usize,
    pub id: String,
    /// Log-odds of being of the second set rather than the first, by a classifier that has not seen it.
    pub score: f64,
    /// What is known of it.
    pub labels: Vec<String>,
}

/// An orthogonal map onto the first set's space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlignmentFound {
    pub from: String,
    pub to: String,
    /// Share of the first set's variance that the other explains, on held-out pairs.
    pub before: Option<f64>,
    pub after: f64,
    pub head: Option<HeadFound>,
}

/// A head trained on the first set's embeddings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeadFound {
    pub label: String,
    pub chance: f64,
    pub on_first: f64,
    pub before: Option<f64>,
    pub after: f64,
}
