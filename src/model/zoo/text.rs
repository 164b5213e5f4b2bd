//! Texts as tokens: an embedding, one vector for the sequence, dense layers.

use serde_json::{Value as Json, json};

use super::Layout;
use super::mlp::{Activation, head};
use crate::error::Result;
use crate::keys::{Keyed, SHARE, Shape, UNITS, keys, list, whole, words};

words! {
    /// How a sequence becomes one vector.
    pub enum Pooling {
        /// The mean of its tokens.
        Mean = "mean",
        /// Their mean, weighed by attention.
        Attention = "attention",
    }
}

keys! {
    /// Tokens: embedding, mean or attention pooling, dense layers.
    pub struct Text {
        /// How many tokens there are: inputs are whole numbers from 0 to one less.
        vocabulary: usize, whole(1, 1 << 24);
        /// Length of a token's vector.
        width: usize = 64, UNITS;
        /// How a sequence becomes one vector.
        pool: Pooling = Pooling::Mean, Pooling::SHAPE;
        /// Whether each position has a learned vector that is added to the token there.
        positions: bool = false, Shape::Flag;
        /// Width of each hidden dense layer.
        hidden: Vec<usize> = vec![], list(&UNITS, 0, 256);
        /// The non-linearity between dense layers.
        activation: Activation = Activation::Relu, Activation::SHAPE;
        /// Probability that dropout zeroes an input of a dense layer.
        dropout: f64 = 0.0, SHARE;
    }
}

impl Layout for Text {
    fn layers(&self, _: [usize; 3]) -> Result<Vec<Json>> {
        let mut all = vec![json!({ "embedding": self.width, "count": self.vocabulary, "name": "embedding" })];
        all.extend(self.positions.then(|| json!({ "positions": true, "name": "positions" })));
        all.push(match self.pool {
            Pooling::Mean => json!("token-mean"),
            Pooling::Attention => json!({ "attention-pool": true, "name": "pool" }),
        });
        all.extend(head(&self.hidden, self.activation, self.dropout));
        Ok(all)
    }
}
