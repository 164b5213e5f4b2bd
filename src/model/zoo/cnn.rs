//! Blocks of convolution, optional batch norm, activation and max pooling; then dense layers.

use serde_json::{Value as Json, json};

use super::Layout;
use super::mlp::{Activation, head};
use crate::error::{Error, Result};
use crate::keys::{Keyed, SHARE, Shape, UNITS, keys, list, whole};

keys! {
    /// Blocks of convolution, optional batch norm, activation and max pooling; then dense layers.
    pub struct Cnn {
        /// Output channels of each block.
        channels: Vec<usize> = vec![32, 64], list(&UNITS, 1, 256);
        /// Side of the square kernel; padding keeps the image's size.
        kernel: usize = 3, Shape::Odd { max: 63 };
        /// Side and stride of the max pooling after each block; 1 is none.
        pool: usize = 2, whole(1, 64);
        /// Batch norm after each convolution.
        batch_norm: bool = false, Shape::Flag;
        /// Width of each hidden dense layer after the blocks; `head = [ … ]` says the same where `head` need say nothing else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hidden: Option<Vec<usize>> = None, list(&UNITS, 0, 256);
        /// The non-linearity.
        activation: Activation = Activation::Relu, Activation::SHAPE;
        /// Probability that dropout zeroes an input of a dense layer.
        dropout: f64 = 0.0, SHARE;
    }
}

impl Layout for Cnn {
    /// Convolutions `c1`, `c2`, …, batch norms `b1`, …, dense layers `fc1`, … and `fc`.
    fn layers(&self, [_, height, width]: [usize; 3]) -> Result<Vec<Json>> {
        let Self { kernel, pool, batch_norm, .. } = *self;
        let side = |blocks: usize| (0..blocks).fold(height.min(width), |side, _| side / pool.max(1));
        if side(self.channels.len()) == 0 {
            let fit = (1..self.channels.len()).rev().find(|blocks| side(*blocks) > 0).unwrap_or(0);
            return Err(Error::Invalid(format!(
                "model.pool is {pool}, which shrinks images of {height}x{width} to nothing over {} blocks; at most {fit} fit",
                self.channels.len()
            )));
        }
        let mut all = Vec::new();
        for (index, channels) in self.channels.iter().enumerate() {
            let block = index + 1;
            all.push(json!({
                "conv": channels, "kernel": kernel, "padding": kernel / 2, "bias": !batch_norm, "name": format!("c{block}")
            }));
            all.extend(batch_norm.then(|| json!({ "batch-norm": true, "name": format!("b{block}") })));
            all.push(json!(self.activation.name()));
            all.extend((pool > 1).then(|| json!({ "max-pool": pool })));
        }
        all.push(json!("flatten"));
        all.extend(head(self.hidden.as_deref().unwrap_or_default(), self.activation, self.dropout));
        Ok(all)
    }
}
