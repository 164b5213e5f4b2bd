//! What a layer shows to somebody who wants the gradients of its parameters for each example by itself (the empirical NTK): for
//! each parameter the rule by which its gradient follows from the gradient at the layer's output.

use burn::tensor::{Int, Tensor};

use crate::ops::Window;

/// How the gradient of one parameter follows from g, the gradient at the output of the operation that it belongs to, for one example
/// with T positions.
#[derive(Debug, Clone)]
pub enum Gradient {
    /// Weight `[out, in]`: Σ_t g_t x_tᵀ, with inputs `[n, T, in]`.
    Dense { inputs: Tensor<3> },
    /// Weight `[out, in / groups, kh, kw]` of a convolution of the input `[n, in, h, w]`.
    Conv { input: Tensor<4>, window: Window },
    /// Scale `[channels]`: Σ_t g_t ∘ x_t, with the values that it multiplies in the layout of the output.
    Scale { inputs: Tensor<3> },
    /// Bias or shift `[channels]`: Σ_t g_t.
    Shift,
    /// Table `[count, channels]`: row v has the sum of g_t over those positions with `rows[n, t] = v`.
    Lookup { rows: Tensor<2, Int>, count: usize },
    /// `[T, channels]`, added to every example: g itself.
    Added,
    /// `[channels]`, put at one position of every example: g there.
    Token { at: usize },
}

/// Where an output has its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[n, channels, positions]`
    ChannelsFirst,
    /// `[n, positions, channels]`
    ChannelsLast,
}

/// An operation with parameters.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// Stable name of the layer.
    pub layer: &'a str,
    /// For each of its parameters the name within the layer, as PyTorch has it, and the rule.
    pub parts: Vec<(&'static str, Gradient)>,
    /// Whether training leaves the layer as it is, so that its parameters do not count.
    pub frozen: bool,
}

/// Sees every operation with parameters in evaluation mode.
pub trait Tap {
    /// Takes what the operation gives, bias and all, and returns what the network goes on with: for example the same plus a zero
    /// whose gradient is then the gradient at this place. A parameter that is used twice is seen twice under the same names.
    fn see(&mut self, site: Site, output: Tensor<3>, layout: Layout) -> Tensor<3>;
}
