//! Parameters on the host and in files, by name, in PyTorch's layouts: a convolution's weight is
//! `[out, in / groups, height, width]`, a dense layer's `[out, in]`; a batch norm has `weight`, `bias`, `running_mean`,
//! `running_var`. [`read`] reads a file, [`Names`] says what a tensor is called there, `Given::fit` holds it against a plan.

mod file;
mod names;

pub use file::{digest, read};
pub use names::Names;

/// A tensor of `f32` outside of any device.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// Such as `c1.weight`.
    pub name: String,
    /// As in PyTorch.
    pub shape: Vec<usize>,
    /// Row-major, as many as the shape says.
    pub values: Vec<f32>,
}

impl HostTensor {
    /// A tensor of that name and shape.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self { name: name.into(), shape: shape.into(), values }
    }
}

/// `[rows, columns]` to `[columns, rows]`.
#[must_use]
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}
