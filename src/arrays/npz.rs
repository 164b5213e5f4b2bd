//! `.npz`: a zip archive of `.npy` arrays.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::CrcReader;
use flate2::read::DeflateDecoder;

use super::decode::{self, Payload};
use super::zip::{self, Member};
use super::{Array, Header, file};
use crate::error::{Error, Result};

/// An open `.npz` file; arrays are read one at a time, on demand.
#[derive(Debug)]
pub struct Npz {
    file: File,
    place: String,
    /// Array name and member, in the file's order.
    arrays: Vec<(String, Member)>,
}

/// Deflate shrinks by less than this factor (zlib's technical notes), a block or two aside.
const DEFLATE_RATIO: u64 = 1032;
/// Up to this ratio, what a compressed member declares is allocated at once; beyond, memory follows what arrives.
const USUAL_RATIO: u64 = 8;

/// Opens an `.npz` file and reads its directory.
///
/// # Errors
/// [`Error::Invalid`] if there is no such file, it is not a sound zip archive, it holds no array, or two of one name.
pub fn open_npz(path: &Path) -> Result<Npz> {
    let opened = file::open(path, "an .npz file")?;
    let place = file::shown(path);
    let members = zip::members(&opened.file, opened.length, &place)?;
    let mut arrays: Vec<(String, Member)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for member in members {
        let Some(name) = member.name.strip_suffix(".npy").map(str::to_string) else { continue };
        if !seen.insert(name.clone()) {
            return Err(Error::Invalid(format!(
                "{place} holds the array `{}` twice; save it again under two names",
                file::clean(&name)
            )));
        }
        arrays.push((name, member));
    }
    if arrays.is_empty() {
        return Err(Error::Invalid(format!(
            "{place} is a zip archive without any .npy array; write it with numpy.savez"
        )));
    }
    Ok(Npz { file: opened.file, place, arrays })
}

impl Npz {
    /// The names of the arrays, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is an array of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|n| n == name)
    }

    /// How messages call an array of this file.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        format!("`{}` in {}", file::clean(name), self.place)
    }

    /// Shape and type of an array, without its values.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none of this name (the message lists those there are), it is not a plain numeric
    /// array, or its size is not what its header calls for.
    pub fn header(&self, name: &str) -> Result<Header> {
        self.open(name).map(|array| array.header)
    }

    /// Reads an array in its natural type.
    ///
    /// # Errors
    /// As [`Npz::header`], and if its bytes do not decompress or do not match their checksum.
    pub fn get(&self, name: &str) -> Result<Array> {
        let mut array = self.open(name)?;
        let values = array.read(decode::values)?;
        Ok(Array { shape: array.header.shape, values })
    }

    /// Reads an array as `f32`, converting while reading: shape and row-major values, which may be infinite where the
    /// file's `float64` values are beyond `f32`.
    ///
    /// # Errors
    /// As [`Npz::get`].
    pub fn get_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let mut array = self.open(name)?;
        let values = array.read(decode::floats)?;
        Ok((array.header.shape, values))
    }

    /// Goes to an array and reads its header.
    fn open(&self, name: &str) -> Result<OpenArray<'_>> {
        let Some((_, member)) = self.arrays.iter().find(|(n, _)| n == name) else {
            return Err(self.missing(name));
        };
        let place = self.place(name);
        if member.encrypted {
            return Err(Error::Invalid(format!("{place} is encrypted; save it without a password")));
        }
        let most = member.compressed.saturating_mul(DEFLATE_RATIO).saturating_add(1 << 10);
        if member.deflated && member.size > most {
            return Err(Error::Invalid(format!(
                "{place} declares {} bytes, but its {} compressed bytes hold at most {most}; copy or save it again",
                member.size, member.compressed
            )));
        }
        zip::seek_to(&self.file, member, &place)?;
        let bytes = BufReader::with_capacity(1 << 16, &self.file).take(member.compressed);
        let reader: Box<dyn Read> =
            if member.deflated { Box::new(DeflateDecoder::new(bytes)) } else { Box::new(bytes) };
        let mut reader = CrcReader::new(reader);
        let header = Header::read(&mut reader, &place)?;
        header.check_total(member.size, &place)?;
        Ok(OpenArray { member, reader, header, place })
    }

    fn missing(&self, name: &str) -> Error {
        const MOST: usize = 12;
        let mut list: Vec<String> = self.names().take(MOST).map(|n| format!("`{}`", file::clean(n))).collect();
        if self.arrays.len() > MOST {
            list.push(format!("{} more", self.arrays.len() - MOST));
        }
        Error::Invalid(format!(
            "{} has no array `{}`; it holds {}, so save it under that name",
            self.place,
            file::clean(name),
            list.join(", ")
        ))
    }
}

/// An array of which the header has been read.
struct OpenArray<'a> {
    member: &'a Member,
    reader: CrcReader<Box<dyn Read + 'a>>,
    header: Header,
    place: String,
}

impl OpenArray<'_> {
    /// Reads the values, and checks that they end where they should and match the archive's checksum.
    fn read<T>(&mut self, decode: impl FnOnce(&mut Payload) -> Result<T>) -> Result<T> {
        let place = &self.place;
        let justified = self.header.payload_bytes.min(self.member.compressed.saturating_mul(USUAL_RATIO));
        let mut payload = Payload { reader: &mut self.reader, header: &self.header, place, justified };
        let values = decode(&mut payload)?;
        let beyond = self.reader.read(&mut [0]).map_err(|cause| file::broken(place, &cause))?;
        if beyond != 0 {
            return Err(Error::Invalid(format!(
                "{place} decompresses to more than the {} bytes that it declares; save it again",
                self.member.size
            )));
        }
        let (found, expected) = (self.reader.crc().sum(), self.member.crc32);
        if found != expected {
            return Err(Error::Invalid(format!(
                "{place} is damaged: found checksum {found:08x}, expected {expected:08x}; copy or save it again"
            )));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ArrayView, Kind, Slice, Values, write_npz};
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let logits = [1.5f32, -2.0, 0.0, 4.0, f32::MAX, 6.0];
        let arrays = [
            ("logits", ArrayView { shape: &[3, 2], values: Slice::F32(&logits) }),
            ("labels", ArrayView { shape: &[3], values: Slice::I64(&[0, 1, 1]) }),
            ("wide", ArrayView { shape: &[1, 2], values: Slice::F64(&[1e300, -0.5]) }),
            ("bytes", ArrayView { shape: &[0, 7], values: Slice::U8(&[]) }),
        ];
        write_npz(&path, &arrays).unwrap();
        let npz = open_npz(&path).unwrap();
        assert_eq!(npz.names().collect::<Vec<_>>(), ["logits", "labels", "wide", "bytes"]);
        assert_eq!(npz.header("wide").unwrap().kind, Kind::F64);
        assert_eq!(npz.get("logits").unwrap(), Array { shape: vec![3, 2], values: Values::F32(logits.to_vec()) });
        assert_eq!(npz.get("labels").unwrap().into_labels("labels").unwrap(), [0, 1, 1]);
        assert_eq!(npz.get_f32("wide").unwrap(), (vec![1, 2], vec![f32::INFINITY, -0.5]));
        assert_eq!(npz.get("bytes").unwrap(), Array { shape: vec![0, 7], values: Values::U8(vec![]) });
        let missing = npz.get("y_test").unwrap_err().to_string();
        assert!(missing.contains("no array `y_test`; it holds `logits`, `labels`, `wide`, `bytes`"), "{missing}");
    }
}
