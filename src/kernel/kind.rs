//! The kinds of kernels, by name.

use crate::config::KernelKind;

/// A kernel of a network on P examples with C outputs (docs/definitions.md, "Trace NTK"; Engel 2024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `[P, P]`: sum over outputs of the inner products of their gradients.
    Trace,
    /// `[P, P]`: inner products of the gradient of the sum of all outputs.
    Pseudo,
    /// `[P, P]`: inner products of the inputs of the last dense layer.
    Conjugate,
    /// `[P, P]`: sum over operations with parameters of the inner products of their outputs.
    Embedding,
    /// `[P, P]`: the trace kernel of randomly projected gradients.
    Projected,
    /// `[P · C, P · C]`: inner products of every output's gradient with every other's, class innermost.
    Full,
    /// `[P, P]`: the trace kernel estimated by random signs over the outputs.
    Estimate,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Trace, Self::Pseudo, Self::Conjugate, Self::Embedding, Self::Projected, Self::Full, Self::Estimate];

    /// As options, tables and files have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Pseudo => "pseudo",
            Self::Conjugate => "conjugate",
            Self::Embedding => "embedding",
            Self::Projected => "projected",
            Self::Full => "full",
            Self::Estimate => "estimate",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Trace => "Sum over outputs of the inner products of their gradients",
            Self::Pseudo => "Inner products of the gradient of the sum of all outputs",
            Self::Conjugate => "Inner products of the last hidden activations",
            Self::Embedding => "Sum of the inner products of the outputs of every layer with parameters",
            Self::Projected => "The trace kernel of gradients projected to --dimensions",
            Self::Full => "The inner products of every output with every other, for few inputs",
            Self::Estimate => "The trace kernel estimated by random signs over the outputs, --samples of them",
        }
    }

    /// Whether it needs gradients.
    #[must_use]
    pub fn follows_gradients(self) -> bool {
        !matches!(self, Self::Conjugate | Self::Embedding)
    }
}

impl From<KernelKind> for Kind {
    fn from(kind: KernelKind) -> Self {
        match kind {
            KernelKind::Trace => Self::Trace,
            KernelKind::Pseudo => Self::Pseudo,
            KernelKind::Conjugate => Self::Conjugate,
            KernelKind::Embedding => Self::Embedding,
        }
    }
}

/// How kernels that depend on chance are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Dimensions of projected gradients.
    pub dimensions: usize,
    /// Samples of an estimate.
    pub samples: usize,
    pub seed: u64,
}

impl Default for Draw {
    fn default() -> Self {
        Self { dimensions: 4096, samples: 16, seed: 0 }
    }
}
