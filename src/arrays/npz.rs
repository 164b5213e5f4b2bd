//! `.npz`: a zip archive of `.npy` arrays, read by `zip`; sizes are held against each other before anything is allocated.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use zip::CompressionMethod;
use zip::read::{ZipArchive, ZipReadOptions};
use zip::result::ZipError;

use super::decode::{self, Payload};
use super::{Array, Header, file};
use crate::error::{Error, Result, exit};

/// An open `.npz` file; arrays are read one at a time, on demand.
#[derive(Debug)]
pub struct Npz {
    archive: ZipArchive<Arc<File>>,
    place: String,
    /// Array name and place in the archive, in the file's order.
    arrays: Vec<(String, usize)>,
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
    let mut opened = file::open(path, "an .npz file")?;
    let place = file::shown(path);
    let mut start = Vec::new();
    (&mut opened.file).take(16).read_to_end(&mut start).map_err(|cause| file::broken(&place, &cause))?;
    if !start.starts_with(b"PK") {
        let found = file::looks_like(&start);
        return Err(Error::Invalid(format!(
            "{place} is no zip archive and looks like {found}; write it with numpy.savez"
        )));
    }
    let file = Arc::new(opened.file);
    let archive = ZipArchive::new(file.clone()).map_err(|cause| refused(&place, cause))?;
    if archive.has_duplicate_names() {
        return Err(Error::Invalid(format!("{place} holds an array twice; save it again under two names")));
    }
    check_end(&file, opened.length, &archive, &place)?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let name = archive.name_for_index(index).transpose().map_err(|cause| refused(&place, cause))?;
        if let Some(name) = name.as_deref().and_then(|name| name.strip_suffix(".npy")) {
            arrays.push((name.to_owned(), index));
        }
    }
    if arrays.is_empty() {
        return Err(Error::Invalid(format!(
            "{place} is a zip archive without any .npy array; write it with numpy.savez"
        )));
    }
    Ok(Npz { archive, place, arrays })
}

/// Checks what `zip` lets pass: the file ends with the record that closes an archive, and the directory is as long and has
/// as many entries as this declares (PKWARE's APPNOTE 6.3.10, sections 4.3.12 and 4.3.16; of an archive beyond 4 GiB the record
/// says nothing).
fn check_end(file: &Arc<File>, length: u64, archive: &ZipArchive<Arc<File>>, place: &str) -> Result<()> {
    const RECORD: usize = 22;
    let start = length.saturating_sub(RECORD as u64 + archive.comment().len() as u64);
    let record = read_at(file, start, RECORD as u64).map_err(|cause| file::broken(place, &cause))?;
    let &[b'P', b'K', 5, 6, _, _, _, _, _, _, c0, c1, s0, s1, s2, s3, o0, o1, o2, o3, _, _] = record.as_slice() else {
        return Err(Error::Invalid(format!("{place} goes on after its end, or is cut short; copy or save it again")));
    };
    let count = u16::from_le_bytes([c0, c1]);
    let [size, offset] = [u32::from_le_bytes([s0, s1, s2, s3]), u32::from_le_bytes([o0, o1, o2, o3])];
    if count == u16::MAX || size == u32::MAX || offset == u32::MAX {
        return Ok(());
    }
    if u64::from(offset) + u64::from(size) <= start {
        let directory = read_at(file, offset.into(), size.into()).map_err(|cause| file::broken(place, &cause))?;
        let (mut rest, mut entries) = (directory.as_slice(), 0);
        while let &[b'P', b'K', 1, 2, ref fields @ ..] = rest {
            let length =
                |at: usize| fields.get(at..at + 2).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
            // Name, extra field and comment follow 46 bytes.
            rest = rest.get(46 + length(24) + length(26) + length(28)..).unwrap_or_default();
            entries += 1;
        }
        if rest.is_empty() && entries == usize::from(count) && entries == archive.len() {
            return Ok(());
        }
    }
    Err(Error::Invalid(format!("{place} has a directory of another size than it declares; copy or save it again")))
}

fn read_at(mut file: &File, offset: u64, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why `zip` will not read on, as a sentence.
fn refused(place: &str, cause: ZipError) -> Error {
    if let ZipError::Io(cause) = &cause
        && cause.kind() != io::ErrorKind::Unsupported
    {
        return file::broken(place, cause);
    }
    let sentence = format!(
        "{place} is a zip archive that cannot be read ({}); copy it again, or write it with numpy.savez",
        file::clean(&cause.to_string())
    );
    Error::caused(exit::INVALID, sentence, cause)
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
        self.read(name, |_| Ok(())).map(|(header, ())| header)
    }

    /// Reads an array in its natural type.
    ///
    /// # Errors
    /// As [`Npz::header`], and if its bytes do not decompress or do not match their checksum.
    pub fn get(&self, name: &str) -> Result<Array> {
        let (header, values) = self.read(name, |payload| complete(payload, decode::values))?;
        Ok(Array { shape: header.shape, values })
    }

    /// Reads an array as `f32`, converting while reading: shape and row-major values, which may be infinite where the
    /// file's `float64` values are beyond `f32`.
    ///
    /// # Errors
    /// As [`Npz::get`].
    pub fn get_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let (header, values) = self.read(name, |payload| complete(payload, decode::floats))?;
        Ok((header.shape, values))
    }

    /// Goes to an array, checks its header against its size, and hands over what follows.
    fn read<T>(&self, name: &str, then: impl FnOnce(&mut Payload) -> Result<T>) -> Result<(Header, T)> {
        let Some(&(_, index)) = self.arrays.iter().find(|(n, _)| n == name) else {
            return Err(self.missing(name));
        };
        let place = self.place(name);
        // What is copied is a pointer to the directory and one to the file.
        let mut archive = self.archive.clone();
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let mut member = archive.by_index_with_options(index, options).map_err(|cause| refused(&place, cause))?;
        let (size, compressed) = (member.size(), member.compressed_size());
        let deflated = member.compression() == CompressionMethod::Deflated;
        let most = if deflated { compressed.saturating_mul(DEFLATE_RATIO).saturating_add(1 << 10) } else { compressed };
        if size > most {
            return Err(Error::Invalid(format!(
                "{place} declares {size} bytes, but its {compressed} bytes in the archive hold at most {most}; \
                 copy or save it again"
            )));
        }
        let header = Header::read(&mut member, &place)?;
        header.check_total(size, &place)?;
        let justified = header.payload_bytes.min(compressed.saturating_mul(USUAL_RATIO));
        let value = then(&mut Payload { reader: &mut member, header: &header, place: &place, justified })?;
        Ok((header, value))
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

/// Decodes the values, and checks that they end where they should; at the end `zip` compares the checksum.
fn complete<T>(payload: &mut Payload, decode: impl FnOnce(&mut Payload) -> Result<T>) -> Result<T> {
    let values = decode(payload)?;
    match payload.reader.read(&mut [0]) {
        Ok(0) => Ok(values),
        Ok(_) => Err(Error::Invalid(format!(
            "{} decompresses to more than the size that it declares; save it again",
            payload.place
        ))),
        Err(cause) => Err(file::broken(payload.place, &cause)),
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
