//! Dense layers one after the other.

use serde_json::{Value as Json, json};

use super::Layout;
use crate::error::Result;
use crate::keys::{Keyed, SHARE, UNITS, keys, list, words};

words! {
    /// The non-linearity of a network.
    pub enum Activation {
        /// max(0, x)
        Relu = "relu",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// x·Φ(x), exact.
        Gelu = "gelu",
    }
}

keys! {
    /// Dense layers.
    pub struct Mlp {
        /// Width of each hidden layer; none makes a linear model.
        widths: Vec<usize> = vec![128], list(&UNITS, 0, 256);
        /// The non-linearity.
        activation: Activation = Activation::Relu, Activation::SHAPE;
        /// Probability that dropout zeroes a unit.
        dropout: f64 = 0.0, SHARE;
    }
}

impl Layout for Mlp {
    /// `flatten`, then hidden layers `fc1`, `fc2`, … and `fc` for the logits.
    fn layers(&self, _: [usize; 3]) -> Result<Vec<Json>> {
        let mut all = vec![json!("flatten")];
        // The first dense layer sees the example itself, of which nothing is dropped.
        let head = head(&self.widths, self.activation, self.dropout);
        all.extend(head.into_iter().skip(usize::from(self.dropout > 0.0)));
        Ok(all)
    }
}

/// Dense layers `fc1`, `fc2`, …, and `fc` for the logits, with dropout before each.
pub fn head(widths: &[usize], activation: Activation, dropout: f64) -> Vec<Json> {
    let drop = (dropout > 0.0).then(|| json!({ "dropout": dropout }));
    let mut all = Vec::new();
    for (index, width) in widths.iter().enumerate() {
        all.extend(drop.clone());
        all.extend([json!({ "dense": width, "name": format!("fc{}", index + 1) }), json!(activation.name())]);
    }
    all.extend(drop);
    all.push(json!({ "dense": "classes", "name": "fc" }));
    all
}
