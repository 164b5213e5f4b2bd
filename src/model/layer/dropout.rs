//! Dropout (Srivastava 2014).

use burn::tensor::{Tensor, TensorData};

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::Result;
use crate::model::network::{Mode, Pass};

/// Inverted: kept inputs are scaled by 1/(1 − p) while training, nothing happens in evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// With which an input is set to 0.
    pub probability: f64,
}

impl Describe for Dropout {
    const KINDS: &'static [Kind] = &[Kind {
        name: "dropout",
        aliases: &[],
        meaning: "Sets values to 0 at random while training.",
        argument: Some(Key::new("probability", Takes::Real(0.0, 1.0), Some("0.5"), "With which probability.")),
        keys: &[],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        Ok((Self { probability: item.real("probability") }, builder.input))
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let Mode::Train(training) = pass.mode else { return x };
        let shape = x.dims();
        let each = shape[1] * shape[2] * shape[3];
        let keep = (1.0 / (1.0 - self.probability)) as f32;
        // A uniform value takes two words.
        let offset = training.dropout.reserve(2 * each as u64);
        let mut mask = Vec::with_capacity(shape[0] * each);
        for place in 0..shape[0] {
            let stream = training.dropout.at(place, offset);
            mask.extend((0..each).map(|_| if stream.uniform() < self.probability { 0.0 } else { keep }));
        }
        let mask = Tensor::<4>::from_data(TensorData::new(mask, shape), &x.device());
        x * mask
    }

    fn torch(&self, _: &Placed) -> String {
        format!("nn.Dropout({:?})", self.probability)
    }
}
