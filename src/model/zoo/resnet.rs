//! Residual networks for small images (He 2016, section 4.2).

use serde_json::{Value as Json, json};

use crate::error::{Error, Result};

/// 6n + 2 layers in three stages, with 1x1 convolutions as shortcuts where the shape changes.
pub fn layers(depth: usize, width: usize) -> Result<Vec<Json>> {
    if depth < 8 || depth % 6 != 2 {
        return Err(Error::Invalid(format!(
            "model.depth is {depth}, but a resnet for small images has 6n + 2 layers; use 8, 14, 20, 32, 44 or 56"
        )));
    }
    let conv = |channels: usize, kernel: usize, stride: usize, name: &str| {
        json!({ "conv": channels, "kernel": kernel, "stride": stride, "padding": kernel / 2, "bias": false, "name": name })
    };
    let norm = |name: &str| json!({ "batch-norm": true, "name": name });
    let blocks = (depth - 2) / 6;
    let mut all = vec![conv(width, 3, 1, "c"), norm("b"), json!("relu")];
    for block in 0..3 * blocks {
        let stage = block / blocks;
        let channels = width << stage;
        let first = stage > 0 && block % blocks == 0;
        let stride = if first { 2 } else { 1 };
        let shortcut = if first { vec![conv(channels, 1, stride, "sc")] } else { Vec::new() };
        let body = [conv(channels, 3, stride, "c1"), norm("b1"), json!("relu"), conv(channels, 3, 1, "c2"), norm("b2")];
        all.push(json!({ "residual": body, "shortcut": shortcut, "name": format!("blocks.{block}") }));
        all.push(json!("relu"));
    }
    all.extend([json!("global-mean"), json!({ "dense": "classes", "name": "fc" })]);
    Ok(all)
}
