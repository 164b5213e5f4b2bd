//! Arrays that others wrote: NumPy's `.npy` and `.npz`, checked before anything is allocated.
//!
//! `npyz` and `zip` parse, behind a guard (`header`, `npz`): a file of twelve bytes must not cost four gigabytes. Sizes that a
//! header declares are held against the length of the file first, compressed arrays grow only as their bytes arrive, and
//! names, checksums and trailing bytes are all verified.

mod decode;
pub(crate) mod file;
mod header;
mod npz;
mod write;

use std::io::BufReader;
use std::path::Path;

pub use decode::half;
pub use header::{Header, Kind};
pub use npz::{Npz, open_npz};
pub use write::{ArrayView, Slice, write_npy, write_npz};

use crate::error::{Error, Result};

/// An array in memory, row-major (C order) whatever its order in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub values: Values,
}

/// The values of an array, in the narrowest of these types that holds every value of the file's type.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// `bool` (0 or 1) and `uint8`.
    U8(Vec<u8>),
    /// Every other integer type.
    I64(Vec<i64>),
    /// `float16` and `float32`.
    F32(Vec<f32>),
    /// `float64`.
    F64(Vec<f64>),
}

impl Values {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the type, as NumPy calls it (for integers, the widest that it may have been).
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "uint8",
            Self::I64(_) => "int64",
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
        }
    }

    /// The values rounded to `f32`: free for `F32`, otherwise a second vector. [`read_npy_f32`] and [`Npz::get_f32`]
    /// convert while reading and never hold both.
    #[must_use]
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::U8(values) => values.into_iter().map(f32::from).collect(),
            Self::I64(values) => values.into_iter().map(|v| v as f32).collect(),
            Self::F32(values) => values,
            Self::F64(values) => values.into_iter().map(|v| v as f32).collect(),
        }
    }

    /// The values as `f64` (integers beyond ±2⁵³ are rounded): free for `F64`, otherwise a second vector.
    #[must_use]
    pub fn into_f64(self) -> Vec<f64> {
        match self {
            Self::U8(values) => values.into_iter().map(f64::from).collect(),
            Self::I64(values) => values.into_iter().map(|v| v as f64).collect(),
            Self::F32(values) => values.into_iter().map(f64::from).collect(),
            Self::F64(values) => values,
        }
    }
}

impl Array {
    /// The array as class labels: shape `[N]`, integers from 0. `place` names the array in messages.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the array has another number of axes, is not of an integer type, or holds a negative label
    /// or one above 2³² − 1; the first such index is named.
    pub fn into_labels(self, place: &str) -> Result<Vec<u32>> {
        if self.shape.len() != 1 {
            let hint = if self.shape.len() == 2 { "; one-hot labels: save labels.argmax(1)" } else { "" };
            let shape = header::tuple(&self.shape);
            return Err(Error::Invalid(format!("{place} has shape {shape}, but labels are of shape (N,){hint}")));
        }
        match self.values {
            Values::U8(labels) => Ok(labels.into_iter().map(u32::from).collect()),
            Values::I64(labels) => labels
                .iter()
                .enumerate()
                .map(|(index, &label)| {
                    u32::try_from(label).map_err(|_| {
                        Error::Invalid(format!(
                            "{place} holds label {label} at index {index}, but labels are integers from 0; renumber them"
                        ))
                    })
                })
                .collect(),
            values => Err(Error::Invalid(format!(
                "{place} is of type {}, but labels are integers; save them with .astype(\"int64\")",
                values.type_name()
            ))),
        }
    }
}

/// Reads a whole `.npy` file.
///
/// # Errors
/// [`Error::Invalid`] if there is no such file, it is not a plain numeric array, or its length is not what its header
/// calls for; [`Error::Unexpected`] if the machine fails to read it.
pub fn read_npy(path: &Path) -> Result<Array> {
    read_with(path, decode::values).map(|(shape, values)| Array { shape, values })
}

/// Reads a whole `.npy` file as `f32`, converting while reading: shape and row-major values, which may be infinite where
/// the file's `float64` values are beyond `f32`.
///
/// # Errors
/// As [`read_npy`].
pub fn read_npy_f32(path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
    read_with(path, decode::floats)
}

fn read_with<T>(path: &Path, decode: impl FnOnce(&mut decode::Payload) -> Result<T>) -> Result<(Vec<usize>, T)> {
    let opened = file::open(path, "an .npy file")?;
    let place = file::shown(path);
    let mut reader = BufReader::new(opened.file);
    let header = Header::read(&mut reader, &place)?;
    header.check_total(opened.length, &place)?;
    let values = decode(&mut decode::Payload {
        reader: &mut reader,
        header: &header,
        place: &place,
        justified: header.payload_bytes,
    })?;
    Ok((header.shape, values))
}
