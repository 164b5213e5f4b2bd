//! Writing `.npy` and `.npz` files that NumPy reads: headers by `npyz`, archives by `zip`, members stored as they are.
//!
//! The same arrays give the same bytes: times in the archive are the earliest that the format knows.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use npyz::WriterBuilder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::file::shown;
use super::header::tuple;
use crate::error::{Error, Result};

/// The values of an array to write, by their type.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Slice<'a> {
    U8(&'a [u8]),
    U32(&'a [u32]),
    I64(&'a [i64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

impl Slice<'_> {
    fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Bytes of the values, at most.
    fn bytes(&self) -> u64 {
        8 * self.len() as u64
    }
}

/// An array to write, row-major.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrayView<'a> {
    /// Length of each axis; empty for a scalar.
    pub shape: &'a [usize],
    /// As many values as the product of `shape`.
    pub values: Slice<'a>,
}

impl ArrayView<'_> {
    /// # Errors
    /// [`Error::Unexpected`] if there are more or fewer values than `shape` calls for.
    fn check(&self) -> Result<()> {
        let found = self.values.len();
        let expected = self.shape.iter().try_fold(1, |product: usize, &axis| product.checked_mul(axis));
        if expected == Some(found) {
            return Ok(());
        }
        let shape = tuple(self.shape);
        Err(Error::Unexpected(format!("cannot write an array of shape {shape} from {found} values")))
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.values {
            Slice::U8(values) => write_values(self.shape, values, out),
            Slice::U32(values) => write_values(self.shape, values, out),
            Slice::I64(values) => write_values(self.shape, values, out),
            Slice::F32(values) => write_values(self.shape, values, out),
            Slice::F64(values) => write_values(self.shape, values, out),
        }
    }
}

fn write_values<T: npyz::AutoSerialize + Copy>(shape: &[usize], values: &[T], out: &mut dyn Write) -> io::Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&axis| axis as u64).collect();
    // npyz writes value by value.
    let buffered = io::BufWriter::with_capacity(1 << 16, out);
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(buffered).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()
}

/// Writes one array as an `.npy` file, replacing `path` in one step.
///
/// # Errors
/// [`Error::Unexpected`] if the number of values is not the product of the shape, or the file cannot be written.
pub fn write_npy(path: &Path, array: ArrayView) -> Result<()> {
    array.check()?;
    replace(path, |file| array.write(file))
}

/// Writes named arrays as an uncompressed `.npz` file, replacing `path` in one step.
///
/// # Errors
/// [`Error::Unexpected`] if a number of values is not the product of its shape, two arrays share a name, a name is longer
/// than a zip archive takes, or the file cannot be written.
pub fn write_npz(path: &Path, arrays: &[(&str, ArrayView)]) -> Result<()> {
    arrays.iter().try_for_each(|(_, array)| array.check())?;
    replace(path, |file| {
        let mut archive = ZipWriter::new(file);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default());
        for (name, array) in arrays {
            // Room for a size that 32 bits do not hold.
            let large = array.values.bytes() > u64::from(u32::MAX) / 2;
            archive.start_file(format!("{name}.npy"), options.large_file(large)).map_err(io::Error::from)?;
            array.write(&mut archive)?;
        }
        archive.finish().map_err(io::Error::from)?;
        Ok(())
    })
}

/// Writes a file beside `path`, syncs it and renames it to `path`.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        write(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|failed| failed.error)
    });
    written.map(drop).map_err(|cause| Error::Unexpected(format!("cannot write {}: {cause}", shown(path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let array = ArrayView { shape: &[2, 3], values: Slice::U8(&[1, 2, 3]) };
        let message = array.check().unwrap_err().to_string();
        assert_eq!(message, "cannot write an array of shape (2, 3) from 3 values");
    }

    #[test]
    fn the_same_arrays_give_the_same_bytes_and_values_start_at_a_multiple_of_64() {
        let folder = tempfile::tempdir().unwrap();
        let values = vec![0.5f32; 12];
        let array = ArrayView { shape: &[3, 4], values: Slice::F32(&values) };
        let [a, b, c] = ["a.npz", "b.npz", "c.npy"].map(|name| folder.path().join(name));
        write_npz(&a, &[("x", array)]).unwrap();
        write_npz(&b, &[("x", array)]).unwrap();
        assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap());
        write_npy(&c, array).unwrap();
        assert_eq!((std::fs::read(c).unwrap().len() - 48) % 64, 0);
        assert!(matches!(
            write_npz(&folder.path().join("d.npz"), &[("x", array), ("x", array)]),
            Err(Error::Unexpected(_))
        ));
    }
}
