//! Non-linearities, element by element.

use burn::tensor::{Tensor, activation};

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::Pass;
use crate::ops;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// x, or this times x where x is negative.
    LeakyRelu(f64),
    /// x Φ(x)
    Gelu,
    /// x Φ(x) with Φ by the hyperbolic tangent: PyTorch's `approximate="tanh"`.
    GeluTanh,
    /// x σ(x)
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// 1/(1 + e⁻ˣ)
    Sigmoid,
    /// x min(max(x + 3, 0), 6)/6
    HardSwish,
}

const fn plain(name: &'static str, aliases: &'static [&'static str], meaning: &'static str) -> Kind {
    Kind { name, aliases, meaning, argument: None, keys: &[] }
}

impl Describe for Activation {
    const KINDS: &'static [Kind] = &[
        plain("relu", &[], "max(x, 0)"),
        plain("relu6", &[], "min(max(x, 0), 6)"),
        Kind {
            name: "leaky-relu",
            aliases: &["leakyrelu"],
            meaning: "x, or a multiple of x where x is negative.",
            argument: Some(Key::new("slope", Takes::Real(0.0, f64::INFINITY), Some("0.01"), "The multiple.")),
            keys: &[],
        },
        Kind {
            name: "gelu",
            aliases: &[],
            meaning: "x Φ(x).",
            argument: Some(Key::new("approximate", Takes::Word(&["none", "tanh"]), Some("none"), "How Φ is computed: exactly, or by tanh.")),
            keys: &[],
        },
        plain("silu", &["swish"], "x σ(x)"),
        plain("tanh", &[], "Hyperbolic tangent."),
        plain("sigmoid", &[], "σ(x)"),
        plain("hard-swish", &["hardswish"], "x min(max(x + 3, 0), 6)/6"),
    ];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let layer = match item.kind.name {
            "relu" => Self::Relu,
            "relu6" => Self::Relu6,
            "leaky-relu" => Self::LeakyRelu(item.real("slope")),
            "gelu" if item.word("approximate") == "tanh" => Self::GeluTanh,
            "gelu" => Self::Gelu,
            "silu" => Self::Silu,
            "tanh" => Self::Tanh,
            "sigmoid" => Self::Sigmoid,
            _ => Self::HardSwish,
        };
        Ok((layer, builder.input))
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, _: &mut Pass) -> Tensor<4> {
        match *self {
            Self::Relu => ops::relu(x),
            Self::Relu6 => ops::relu6(x),
            Self::LeakyRelu(slope) => activation::leaky_relu(x, slope),
            Self::Gelu => activation::gelu(x),
            Self::GeluTanh => activation::gelu_approximate(x),
            Self::Silu => activation::silu(x),
            Self::Tanh => activation::tanh(x),
            Self::Sigmoid => activation::sigmoid(x),
            Self::HardSwish => activation::hard_swish(x),
        }
    }

    fn torch(&self, _: &Placed) -> String {
        match self {
            Self::Relu => "nn.ReLU()".into(),
            Self::Relu6 => "nn.ReLU6()".into(),
            Self::LeakyRelu(slope) => format!("nn.LeakyReLU({slope:?})"),
            Self::Gelu => "nn.GELU()".into(),
            Self::GeluTanh => "nn.GELU(approximate=\"tanh\")".into(),
            Self::Silu => "nn.SiLU()".into(),
            Self::Tanh => "nn.Tanh()".into(),
            Self::Sigmoid => "nn.Sigmoid()".into(),
            Self::HardSwish => "nn.Hardswish()".into(),
        }
    }
}
