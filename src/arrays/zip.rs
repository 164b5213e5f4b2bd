//! The directory of a zip archive (PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.4), as far as NumPy writes it: members
//! stored or deflated, zip64 or not.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::file;
use crate::error::{Error, Result};

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub name: String,
    pub deflated: bool,
    pub encrypted: bool,
    pub crc32: u32,
    /// Bytes in the archive.
    pub compressed: u64,
    /// Bytes once decompressed, as the directory declares.
    pub size: u64,
    /// Where its local header starts.
    offset: u64,
    /// Where the directory starts: no member's bytes lie beyond.
    limit: u64,
}

/// Little-endian integers out of a record, in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

/// Where the directory lies, and how many members it lists.
struct Directory {
    offset: u64,
    size: u64,
    members: u64,
}

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const END64: &[u8] = b"PK\x06\x06";
const END64_BYTES: u64 = 56;
const LOCATOR64: &[u8] = b"PK\x06\x07";
const LOCATOR64_BYTES: u64 = 20;
const LONGEST_COMMENT: u64 = 65_535;
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: u64 = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: u64 = 30;

/// Lists the members of the archive in `file`, which is `length` bytes long.
pub(super) fn members(file: &File, length: u64, place: &str) -> Result<Vec<Member>> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start).map_err(|cause| file::broken(place, &cause))?;
    if !start.starts_with(b"PK") {
        let found = file::looks_like(&start);
        return Err(Error::Invalid(format!(
            "{place} is no zip archive and looks like {found}; write it with numpy.savez"
        )));
    }
    let directory = find_directory(file, length, place)?;
    let bytes = read_at(file, directory.offset, directory.size, place)?;
    let mut fields = Fields(&bytes);
    let mut members = Vec::new();
    while !fields.0.is_empty() {
        let member = entry(&mut fields, directory.offset, place)?;
        members.push(member.ok_or_else(|| damaged(place, "an entry of its directory is incomplete"))?);
    }
    if members.len() as u64 != directory.members {
        let counts = format!("its directory lists {} members where {} are declared", members.len(), directory.members);
        return Err(damaged(place, &counts));
    }
    Ok(members)
}

/// Goes to the first byte of a member's data.
pub(super) fn seek_to(file: &File, member: &Member, place: &str) -> Result<()> {
    let header = read_at(file, member.offset, LOCAL_BYTES, place)?;
    let mut fields = Fields(&header);
    let lengths = (|| {
        let signature = fields.take(4)?;
        fields.take(22)?;
        Some((signature, fields.u16()?, fields.u16()?))
    })();
    let Some((LOCAL, name_length, extra_length)) = lengths else {
        return Err(damaged(place, "its directory does not lead to a member"));
    };
    let name = read_at(file, member.offset + LOCAL_BYTES, name_length.into(), place)?;
    if name != member.name.as_bytes() {
        return Err(damaged(place, "its directory and its member disagree about the name"));
    }
    let start = member.offset + LOCAL_BYTES + u64::from(name_length) + u64::from(extra_length);
    if start.saturating_add(member.compressed) > member.limit {
        return Err(damaged(place, "a member runs into the directory"));
    }
    let mut file = file;
    file.seek(SeekFrom::Start(start)).map_err(|cause| file::broken(place, &cause))?;
    Ok(())
}

fn damaged(place: &str, what: &str) -> Error {
    Error::Invalid(format!("{place} is a damaged zip archive ({what}); copy or save it again"))
}

/// Reads `count` bytes from `offset` on; the caller has checked that the file is that long.
fn read_at(mut file: &File, offset: u64, count: u64, place: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset)).map_err(|cause| file::broken(place, &cause))?;
    file.take(count).read_to_end(&mut bytes).map_err(|cause| file::broken(place, &cause))?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(damaged(place, "it ends too early")) }
}

fn find_directory(file: &File, length: u64, place: &str) -> Result<Directory> {
    let missing = || damaged(place, "it has no directory at its end, so it may be cut short");
    let tail_start = length.saturating_sub(END_BYTES as u64 + LONGEST_COMMENT);
    let tail = read_at(file, tail_start, length - tail_start, place)?;
    // The record ends with a comment whose length it states; it must end where the file ends.
    let end = (0..=tail.len().saturating_sub(END_BYTES)).rev().find(|&at| {
        let record = tail.get(at..).unwrap_or_default();
        let comment = record.get(END_BYTES - 2..END_BYTES).and_then(|b| b.try_into().ok()).map(u16::from_le_bytes);
        record.starts_with(END) && comment.is_some_and(|comment| record.len() == END_BYTES + usize::from(comment))
    });
    let at = end.ok_or_else(missing)?;
    let mut record = Fields(tail.get(at..).unwrap_or_default());
    let fields = (|| {
        record.take(4)?;
        let disks = (record.u16()?, record.u16()?);
        record.take(2)?;
        Some((disks, record.u16()?, record.u32()?, record.u32()?))
    })();
    let (disks, members, size, offset) = fields.ok_or_else(missing)?;
    let end_offset = tail_start + at as u64;
    let mut directory = Directory { offset: offset.into(), size: size.into(), members: members.into() };
    let mut limit = end_offset;
    if members == u16::MAX || size == u32::MAX || offset == u32::MAX {
        (directory, limit) = find_directory64(file, end_offset, place)?;
    } else if disks != (0, 0) {
        return Err(damaged(place, "it is spread over several disks"));
    }
    if directory.offset.checked_add(directory.size).is_none_or(|end| end > limit) {
        return Err(damaged(place, "its directory runs beyond its end"));
    }
    if directory.members > directory.size / ENTRY_BYTES {
        return Err(damaged(place, "it declares more members than its directory has room for"));
    }
    Ok(directory)
}

/// The zip64 record before the ordinary one, and where it starts.
fn find_directory64(file: &File, end_offset: u64, place: &str) -> Result<(Directory, u64)> {
    let missing = || damaged(place, "its zip64 directory is not where it should be");
    let locator_offset = end_offset.checked_sub(LOCATOR64_BYTES).ok_or_else(missing)?;
    let locator = read_at(file, locator_offset, LOCATOR64_BYTES, place)?;
    let mut fields = Fields(&locator);
    let located = (|| (fields.take(4)? == LOCATOR64 && fields.u32()? == 0).then(|| fields.u64())?)();
    let offset = located.filter(|&at| at.checked_add(END64_BYTES).is_some_and(|end| end <= locator_offset));
    let offset = offset.ok_or_else(missing)?;
    let record = read_at(file, offset, END64_BYTES, place)?;
    let mut fields = Fields(&record);
    let directory = (|| {
        let signature = fields.take(4)?;
        fields.take(12)?;
        let disks = (fields.u32()?, fields.u32()?);
        fields.take(8)?;
        let (members, size, offset) = (fields.u64()?, fields.u64()?, fields.u64()?);
        (signature == END64 && disks == (0, 0)).then_some(Directory { offset, size, members })
    })();
    Ok((directory.ok_or_else(missing)?, offset))
}

/// One entry of the directory; `None` if it is cut short.
fn entry(fields: &mut Fields, limit: u64, place: &str) -> Result<Option<Member>> {
    if fields.0.len() >= ENTRY.len() && !fields.0.starts_with(ENTRY) {
        return Err(damaged(place, "an entry of its directory does not start as one"));
    }
    let parsed = (|| {
        fields.take(8)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.take(4)?;
        let (crc32, compressed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_length, extra_length, comment_length) = (fields.u16()?, fields.u16()?, fields.u16()?);
        fields.take(8)?;
        let offset = fields.u32()?;
        let name = fields.take(name_length.into())?;
        let extra = fields.take(extra_length.into())?;
        fields.take(comment_length.into())?;
        let [size, compressed, offset] = widened([size, compressed, offset], extra)?;
        Some((flags, method, crc32, size, compressed, offset, name))
    })();
    let Some((flags, method, crc32, size, compressed, offset, name)) = parsed else {
        return Ok(None);
    };
    let Ok(name) = std::str::from_utf8(name) else {
        return Err(damaged(place, "the name of a member is not UTF-8"));
    };
    let shown = file::clean(name);
    if !matches!(method, 0 | 8) {
        return Err(Error::Invalid(format!(
            "{place} holds '{shown}' compressed by zip method {method}, but only 0 (stored) and 8 (deflated) are read; \
             write it with numpy.savez or numpy.savez_compressed"
        )));
    }
    let bytes_end = offset.checked_add(LOCAL_BYTES).and_then(|start| start.checked_add(compressed));
    if bytes_end.is_none_or(|end| end > limit) {
        return Err(damaged(place, &format!("'{shown}' runs beyond its end")));
    }
    if method == 0 && size != compressed {
        return Err(damaged(place, &format!("'{shown}' is stored as it is but declared with another size")));
    }
    let (deflated, encrypted) = (method == 8, flags & 1 != 0);
    Ok(Some(Member { name: name.to_string(), deflated, encrypted, crc32, compressed, size, offset, limit }))
}

/// Size, compressed size and offset, each taken from the zip64 extra field where the 32-bit one says so.
fn widened(narrow: [u32; 3], extra: &[u8]) -> Option<[u64; 3]> {
    const ZIP64: u16 = 1;
    let mut wide = Fields(&[]);
    let mut extras = Fields(extra);
    while let (Some(id), Some(length)) = (extras.u16(), extras.u16()) {
        let content = extras.take(length.into())?;
        if id == ZIP64 {
            wide = Fields(content);
        }
    }
    let mut fields = [0; 3];
    for (field, narrow) in fields.iter_mut().zip(narrow) {
        *field = if narrow == u32::MAX { wide.u64()? } else { narrow.into() };
    }
    Some(fields)
}
