//! A chosen ensemble as files that travel, and what applies them: `ensemble.json` says which runs and how they are combined
//! ([`EnsembleFile`]), `model.toml` what network they are and how its inputs are standardised ([`ModelFile`]), one
//! safetensors file holds the weights of each run, and a Python script loads it all into PyTorch. [`export`] writes them,
//! [`Predictor`] applies them.

mod export;
mod file;
mod model;
mod predict;

pub use export::{Weights, export};
pub use file::{EnsembleFile, SCHEMA};
pub use predict::{Predictions, Predictor};
