//! Blocks of convolution, optional batch norm, activation and max pooling; then dense layers.

use serde_json::{Value as Json, json};

use super::mlp;
use crate::config::Activation;

/// Convolutions `c1`, `c2`, … padded to keep the size, batch norms `b1`, …, dense layers `fc1`, … and `fc`.
pub fn layers(
    channels: &[usize],
    kernel: usize,
    pool: usize,
    batch_norm: bool,
    head: &[usize],
    activation: Activation,
    dropout: f64,
) -> Vec<Json> {
    let mut all = Vec::new();
    for (index, channels) in channels.iter().enumerate() {
        let block = index + 1;
        all.push(json!({
            "conv": channels, "kernel": kernel, "padding": kernel / 2, "bias": !batch_norm, "name": format!("c{block}")
        }));
        all.extend(batch_norm.then(|| json!({ "batch-norm": true, "name": format!("b{block}") })));
        all.push(mlp::word(activation));
        all.extend((pool > 1).then(|| json!({ "max-pool": pool })));
    }
    all.push(json!("flatten"));
    all.extend(mlp::head(head, activation, dropout));
    all
}
