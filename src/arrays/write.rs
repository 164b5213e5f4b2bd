//! Writing `.npy` and `.npz` files that NumPy reads: version 1.0 headers, stored members, zip64 only where it must be.
//!
//! The same arrays give the same bytes: times in the archive are the earliest that the format knows.

use std::io::{self, Write};
use std::path::Path;

use flate2::Crc;

use super::file::shown;
use super::header::tuple;
use crate::error::{Error, Result};

/// The values of an array to write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slice<'a> {
    U8(&'a [u8]),
    U32(&'a [u32]),
    I64(&'a [i64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

/// An array to write, row-major.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrayView<'a> {
    /// Length of each axis; empty for a scalar.
    pub shape: &'a [usize],
    /// As many values as the product of `shape`.
    pub values: Slice<'a>,
}

impl<'a> ArrayView<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self.values {
            Slice::U8(values) => values,
            Slice::U32(values) => bytemuck::cast_slice(values),
            Slice::I64(values) => bytemuck::cast_slice(values),
            Slice::F32(values) => bytemuck::cast_slice(values),
            Slice::F64(values) => bytemuck::cast_slice(values),
        }
    }

    /// Magic, version and dictionary, padded so that the values start at a multiple of 64 bytes.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if there are more or fewer values than `shape` calls for, or the header is too long.
    fn header(&self) -> Result<Vec<u8>> {
        let order = if cfg!(target_endian = "big") { '>' } else { '<' };
        let (kind, size) = match self.values {
            Slice::U8(_) => ("u1", 1),
            Slice::U32(_) => ("u4", 4),
            Slice::I64(_) => ("i8", 8),
            Slice::F32(_) => ("f4", 4),
            Slice::F64(_) => ("f8", 8),
        };
        let order = if size == 1 { '|' } else { order };
        let expected = self.shape.iter().try_fold(size, |product: usize, &axis| product.checked_mul(axis));
        let shape = tuple(self.shape);
        if expected != Some(self.bytes().len()) {
            let found = self.bytes().len() / size;
            return Err(Error::Unexpected(format!("cannot write an array of shape {shape} from {found} values")));
        }
        let mut text = format!("{{'descr': '{order}{kind}', 'fortran_order': False, 'shape': {shape}, }}");
        let padding = (64 - (10 + text.len() + 1) % 64) % 64;
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let length = u16::try_from(text.len())
            .map_err(|_| Error::Unexpected(format!("cannot write an array of {} axes as .npy", self.shape.len())))?;
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend(length.to_le_bytes());
        header.extend(text.into_bytes());
        Ok(header)
    }
}

/// Writes one array as an `.npy` file, replacing `path` in one step.
///
/// # Errors
/// [`Error::Unexpected`] if the number of values is not the product of the shape, or the file cannot be written.
pub fn write_npy(path: &Path, array: ArrayView) -> Result<()> {
    let header = array.header()?;
    replace(path, |out| {
        out.write_all(&header)?;
        out.write_all(array.bytes())
    })
}

/// Writes named arrays as an uncompressed `.npz` file, replacing `path` in one step.
///
/// # Errors
/// [`Error::Unexpected`] if a number of values is not the product of its shape, two arrays share a name, a name is longer
/// than a zip archive takes, or the file cannot be written.
pub fn write_npz(path: &Path, arrays: &[(&str, ArrayView)]) -> Result<()> {
    let mut members = Vec::new();
    for (index, (name, array)) in arrays.iter().enumerate() {
        if arrays.iter().take(index).any(|(other, _)| other == name) {
            return Err(Error::Unexpected(format!("cannot write two arrays called `{name}` into {}", shown(path))));
        }
        let (name, header, bytes) = (format!("{name}.npy"), array.header()?, array.bytes());
        if u16::try_from(name.len()).is_err() {
            return Err(Error::Unexpected(format!("cannot write an array with a name of {} bytes", name.len())));
        }
        let mut crc = Crc::new();
        crc.update(&header);
        crc.update(bytes);
        let size = (header.len() + bytes.len()) as u64;
        members.push(Member { name, header, bytes, crc32: crc.sum(), size });
    }
    replace(path, |out| write_archive(out, &members))
}

struct Member<'a> {
    name: String,
    header: Vec<u8>,
    bytes: &'a [u8],
    crc32: u32,
    size: u64,
}

/// 1980-01-01, 00:00.
const EARLIEST: [u8; 4] = [0, 0, 0x21, 0];
/// Names are UTF-8.
const FLAGS: [u8; 2] = [0, 8];
const STORED: [u8; 2] = [0, 0];

/// What fits into 32 bits as it is; otherwise the mark that the zip64 field has it.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl Member<'_> {
    /// The fields that a local header and a directory entry share, up to the length of the extra field.
    fn common(&self, extra_length: usize) -> Vec<u8> {
        let version: u16 = if extra_length == 0 { 20 } else { 45 };
        let mut fields = version.to_le_bytes().to_vec();
        fields.extend(FLAGS);
        fields.extend(STORED);
        fields.extend(EARLIEST);
        fields.extend(self.crc32.to_le_bytes());
        fields.extend([narrow(self.size); 2].map(u32::to_le_bytes).concat());
        fields.extend((self.name.len() as u16).to_le_bytes());
        fields.extend((extra_length as u16).to_le_bytes());
        fields
    }
}

/// A zip64 extra field of these values; nothing if there are none.
fn zip64_extra(values: &[u64]) -> Vec<u8> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut extra = 1u16.to_le_bytes().to_vec();
    extra.extend((8 * values.len() as u16).to_le_bytes());
    extra.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    extra
}

fn write_archive(out: &mut dyn Write, members: &[Member]) -> io::Result<()> {
    let (mut offset, mut directory) = (0u64, Vec::new());
    for member in members {
        let big = narrow(member.size) == u32::MAX;
        let sizes: &[u64] = if big { &[member.size; 2] } else { &[] };
        let extra = zip64_extra(sizes);
        let mut local = b"PK\x03\x04".to_vec();
        local.extend(member.common(extra.len()));
        local.extend(member.name.bytes());
        local.extend(&extra);
        out.write_all(&local)?;
        out.write_all(&member.header)?;
        out.write_all(member.bytes)?;

        let far: &[u64] = if narrow(offset) == u32::MAX { &[offset] } else { &[] };
        let extra = zip64_extra(&[sizes, far].concat());
        directory.extend(b"PK\x01\x02\x2d\x00");
        directory.extend(member.common(extra.len()));
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(narrow(offset).to_le_bytes());
        directory.extend(member.name.bytes());
        directory.extend(&extra);
        offset += local.len() as u64 + member.size;
    }
    out.write_all(&directory)?;
    out.write_all(&end_of_archive(members.len() as u64, directory.len() as u64, offset))
}

fn end_of_archive(members: u64, size: u64, offset: u64) -> Vec<u8> {
    let mut end = Vec::new();
    let short_count = u16::try_from(members).unwrap_or(u16::MAX);
    if short_count == u16::MAX || narrow(offset) == u32::MAX || narrow(size) == u32::MAX {
        end.extend(b"PK\x06\x06");
        end.extend(44u64.to_le_bytes());
        end.extend([45, 0, 45, 0]);
        end.extend([0; 8]);
        end.extend([members, members, size, offset].map(u64::to_le_bytes).concat());
        end.extend(b"PK\x06\x07\x00\x00\x00\x00");
        end.extend((offset + size).to_le_bytes());
        end.extend(1u32.to_le_bytes());
    }
    end.extend(b"PK\x05\x06\x00\x00\x00\x00");
    end.extend([short_count; 2].map(u16::to_le_bytes).concat());
    end.extend([narrow(size), narrow(offset)].map(u32::to_le_bytes).concat());
    end.extend([0, 0]);
    end
}

/// Writes a file beside `path`, syncs it and renames it to `path`.
fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        let mut out = io::BufWriter::new(file.as_file_mut());
        write(&mut out)?;
        out.flush()?;
        drop(out);
        file.as_file().sync_all()?;
        file.persist(path).map_err(|failed| failed.error)
    });
    written.map(drop).map_err(|cause| Error::Unexpected(format!("cannot write {}: {cause}", shown(path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpy_headers_are_aligned() {
        for shape in [&[][..], &[1], &[3, 4], &[1; 20]] {
            let total: usize = shape.iter().product();
            let values = vec![0.0f32; total];
            let header = ArrayView { shape, values: Slice::F32(&values) }.header().unwrap();
            assert_eq!(header.len() % 64, 0);
            assert!(header.ends_with(b"\n"));
        }
    }

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let array = ArrayView { shape: &[2, 3], values: Slice::U8(&[1, 2, 3]) };
        let message = array.header().unwrap_err().to_string();
        assert_eq!(message, "cannot write an array of shape (2, 3) from 3 values");
    }

    #[test]
    fn large_archives_take_the_wide_fields() {
        let big = u64::from(u32::MAX) + 5;
        let end = end_of_archive(3, 200, big);
        assert_eq!(end.len(), 56 + 20 + 22);
        assert_eq!(u64::from_le_bytes(end[48..56].try_into().unwrap()), big);
        assert_eq!(u64::from_le_bytes(end[64..72].try_into().unwrap()), big + 200);
        assert_eq!(end_of_archive(3, 200, 1000).len(), 22);
        let member = Member { name: "x.npy".into(), header: vec![], bytes: &[], crc32: 0, size: big };
        assert_eq!(&member.common(20)[14..22], &[0xff; 8]);
        assert_eq!(zip64_extra(&[big, big]).len(), 20);
    }
}
