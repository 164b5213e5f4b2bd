//! The zoo: architectures as lists of layers, one file each.

use serde_json::Value as Json;

use crate::config::Model;
use crate::error::Result;

mod cnn;
mod mlp;
mod resnet;

/// The layers of a model for examples `[channels, height, width]`, as they would be written in an experiment.
///
/// # Errors
/// `Invalid` where the keys do not fit together.
pub fn layers(model: &Model, _input: [usize; 3], _classes: usize) -> Result<Vec<Json>> {
    match model {
        Model::Mlp { widths, activation, dropout } => Ok(mlp::layers(widths, *activation, *dropout)),
        Model::Cnn { channels, kernel, pool, batch_norm, head, activation, dropout } => {
            Ok(cnn::layers(channels, *kernel, *pool, *batch_norm, head, *activation, *dropout))
        }
        Model::Resnet { depth, width } => resnet::layers(*depth, *width),
    }
}
