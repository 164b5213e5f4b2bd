//! Group normalisation (Wu & He 2018).

use burn::tensor::Tensor;

use super::keys::{Item, Key, Kind, MOST, Takes};
use super::{Builder, Describe, Placed, Role, Shape, TensorSpec};
use crate::error::{Error, Result};
use crate::model::network::Pass;
use crate::model::tap::{Gradient, Layout};

/// Over all positions and channels of each group of channels of each example.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupNorm {
    /// Groups of channels.
    pub groups: usize,
    /// Channels.
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Describe for GroupNorm {
    const KINDS: &'static [Kind] = &[Kind {
        name: "group-norm",
        aliases: &["groupnorm"],
        meaning: "Normalisation of groups of channels, example by example.",
        argument: Some(Key::new("groups", Takes::Whole(1, MOST), None, "Groups of channels; 1 normalises all together.")),
        keys: &[Key::new("epsilon", Takes::Real(0.0, 1.0), Some("1e-5"), "Added to the variance.")],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let (groups, channels) = (item.whole("groups"), builder.input.axes()[0]);
        if !channels.is_multiple_of(groups) {
            return Err(Error::Invalid(format!(
                "layer {} (group-norm) has {groups} groups, which do not divide its {channels} channels",
                builder.name
            )));
        }
        Ok((Self { groups, channels, epsilon: item.real("epsilon") }, builder.input))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let parts = [("weight", 1.0), ("bias", 0.0)];
        parts.map(|(part, value)| TensorSpec::constant(part, self.channels, Role::Spared, value)).into()
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let dims = x.dims();
        let n = dims[0];
        let normalised = normalised(x.reshape([n * self.groups, at.input.values() / self.groups]), self.epsilon).reshape(dims);
        let channels = |values: Tensor<1>| values.reshape([1, self.channels, 1, 1]);
        let out = normalised.clone() * channels(pass.vector(at, 0)) + channels(pass.vector(at, 1));
        if !pass.tapped() {
            return out;
        }
        let inputs = normalised.reshape([n, self.channels, at.input.values() / self.channels]);
        let parts = vec![("weight", Gradient::Scale { inputs }), ("bias", Gradient::Shift)];
        pass.tap(at, Layout::ChannelsFirst, parts, out)
    }

    fn torch(&self, _: &Placed) -> String {
        let epsilon = if self.epsilon == 1e-5 { String::new() } else { format!(", eps={:?}", self.epsilon) };
        format!("nn.GroupNorm({}, {}{epsilon})", self.groups, self.channels)
    }
}

/// Rows less their mean, over their deviation: `[rows, values]`.
pub(super) fn normalised(rows: Tensor<2>, epsilon: f64) -> Tensor<2> {
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / variance.add_scalar(epsilon).sqrt()
}
