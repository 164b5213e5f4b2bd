//! Dense layers one after the other.

use serde_json::{Value as Json, json};

use crate::config::Activation;

/// `flatten`, then hidden layers `fc1`, `fc2`, … and `fc` for the logits.
pub fn layers(widths: &[usize], activation: Activation, dropout: f64) -> Vec<Json> {
    let mut all = vec![json!("flatten")];
    // The first dense layer sees the example itself, of which nothing is dropped.
    all.extend(head(widths, activation, dropout).into_iter().skip(usize::from(dropout > 0.0)));
    all
}

/// Dense layers `fc1`, `fc2`, …, and `fc` for the logits, with dropout before each.
pub fn head(widths: &[usize], activation: Activation, dropout: f64) -> Vec<Json> {
    let drop = (dropout > 0.0).then(|| json!({ "dropout": dropout }));
    let mut all = Vec::new();
    for (index, width) in widths.iter().enumerate() {
        all.extend(drop.clone());
        all.extend([json!({ "dense": width, "name": format!("fc{}", index + 1) }), word(activation)]);
    }
    all.extend(drop);
    all.push(json!({ "dense": "classes", "name": "fc" }));
    all
}

/// An activation as a layer.
pub fn word(activation: Activation) -> Json {
    json!(match activation {
        Activation::Relu => "relu",
        Activation::Tanh => "tanh",
        Activation::Gelu => "gelu",
    })
}
