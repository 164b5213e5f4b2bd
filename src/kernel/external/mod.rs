//! Networks that were trained elsewhere: their weights as safetensors, under the names that they have there.
//!
//! Layouts are PyTorch's, which are ours: a convolution's weight is `[out, in, k, k]`, a dense layer's `[out, in]`, and a batch
//! norm has `weight`, `bias`, `running_mean` and `running_var`. [`Names`] says what a parameter is called elsewhere.

mod names;
mod weights;

pub use names::Names;
pub use weights::read_weights;
