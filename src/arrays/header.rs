//! The header of an `.npy` array, read by `npyz` behind a guard: what a header of twelve bytes claims is checked before
//! anything of that size is allocated, multiplied or nested.

use std::io::{self, Read};

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar, TypeStr};

use super::file;
use crate::error::{Error, Result, exit};

/// The type of an array's elements in the file, by NumPy's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

impl Kind {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// What NumPy calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Whether it is an integer type; `bool` counts.
    #[must_use]
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::F16 | Self::F32 | Self::F64)
    }
}

/// What an array says about itself before its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The type of the elements.
    pub kind: Kind,
    /// Number of elements: the product of `shape`.
    pub elements: usize,
    /// Bytes of the values.
    pub payload_bytes: u64,
    pub(super) big_endian: bool,
    pub(super) fortran_order: bool,
    /// Bytes before the values.
    header_bytes: u64,
}

/// NumPy itself reads headers of at most 10,000 characters.
const LONGEST_TEXT: usize = 10_000;
const MOST_AXES: usize = 32;
/// Brackets within brackets; a plain array has two.
const DEEPEST: usize = 8;

impl Header {
    /// Reads a header, up to the first byte of the values. `place` names the array in messages.
    ///
    /// # Errors
    /// [`Error::Invalid`] if this is no header of a plain numeric array.
    pub(super) fn read(reader: &mut impl Read, place: &str) -> Result<Self> {
        let invalid = |what: String| Error::Invalid(format!("{place} {what}"));
        let mut bytes = Vec::with_capacity(12);
        take(reader, &mut bytes, 10, place)?;
        if !bytes.starts_with(b"\x93NUMPY") {
            let found = file::looks_like(&bytes);
            return Err(invalid(format!(
                "does not start like an .npy array and looks like {found}; write it with numpy.save or numpy.savez"
            )));
        }
        let mut length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        if bytes[6] > 1 {
            take(reader, &mut bytes, 2, place)?;
            length |= usize::from(bytes[10]) << 16 | usize::from(bytes[11]) << 24;
        }
        if length > LONGEST_TEXT {
            return Err(invalid(format!(
                "declares an .npy header of {length} bytes, but at most {LONGEST_TEXT} are expected; save it as a plain array"
            )));
        }
        let start = bytes.len();
        take(reader, &mut bytes, length, place)?;
        guard(&bytes[start..]).map_err(|what| invalid(format!("{what}; save it again with numpy.save")))?;
        let header = NpyHeader::from_reader(bytes.as_slice()).map_err(|cause| {
            let shown = file::clean(&cause.to_string());
            // Where it is no Python at all, the parser draws a picture of it.
            let shown = if shown.contains("could not parse Python") { "no dictionary of Python" } else { &shown };
            let sentence =
                format!("{place} has an .npy header that cannot be read ({shown}); save it again with numpy.save");
            Error::caused(exit::INVALID, sentence, cause)
        })?;
        let (kind, big_endian) = element_type(&header.dtype(), place)?;
        let shape = header.shape().iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<Vec<_>>>();
        let Some(shape) = shape.filter(|shape| shape.len() <= MOST_AXES) else {
            return Err(invalid(format!("has more than {MOST_AXES} axes; reshape it")));
        };
        // The guard has multiplied these numbers already.
        let elements: usize = shape.iter().product();
        let Some(payload_bytes) = (elements as u64).checked_mul(kind.size() as u64) else {
            return Err(invalid(TOO_MANY.to_owned() + "; save it again with numpy.save"));
        };
        let fortran_order = header.order() == Order::Fortran;
        Ok(Self { shape, kind, elements, payload_bytes, big_endian, fortran_order, header_bytes: bytes.len() as u64 })
    }

    /// Checks that header and values together are exactly `found` bytes.
    pub(super) fn check_total(&self, found: u64, place: &str) -> Result<()> {
        let expected = self.header_bytes.saturating_add(self.payload_bytes);
        if found == expected {
            return Ok(());
        }
        let relation = if found < expected { "is cut short" } else { "has trailing bytes" };
        Err(Error::Invalid(format!(
            "{place} {relation}: found {found} bytes, but {} of {} calls for {expected}; copy or save it again",
            tuple(&self.shape),
            self.kind.name()
        )))
    }
}

const TOO_MANY: &str = "declares more values than any file can hold";

/// Refuses a dictionary whose numbers cannot be multiplied or whose brackets nest too deep for a reader that recurses.
fn guard(text: &[u8]) -> std::result::Result<(), String> {
    let (mut product, mut number, mut depth, mut quote) = (1u64, None::<u64>, 0usize, None);
    for &byte in text.iter().chain(b" ") {
        match (quote, byte) {
            (Some(open), _) => quote = (byte != open).then_some(open),
            (None, b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                number = Some(number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(digit)).ok_or(TOO_MANY)?);
                continue;
            }
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err("holds a structured array, but numbers are expected: save each field by itself".to_owned());
        }
        let factor = number.take().unwrap_or(1).max(1);
        product = product.checked_mul(factor).filter(|&product| product <= i64::MAX as u64).ok_or(TOO_MANY)?;
    }
    Ok(())
}

/// A shape as Python writes it.
pub(crate) fn tuple(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        axes => format!("({})", axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Appends exactly `count` bytes.
fn take(reader: &mut impl Read, bytes: &mut Vec<u8>, count: usize, place: &str) -> Result<()> {
    let start = bytes.len();
    bytes.resize(start + count, 0);
    reader.read_exact(&mut bytes[start..]).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::Invalid(format!("{place} is too short for an .npy array; copy or save it again"))
        }
        _ => file::broken(place, &cause),
    })
}

/// The element type, and whether it is big-endian.
fn element_type(dtype: &DType, place: &str) -> Result<(Kind, bool)> {
    const ASTYPE: &str = "save it with .astype(\"float32\") or .astype(\"int64\")";
    let (what, remedy) = match dtype {
        DType::Plain(plain) => match kind_of(plain) {
            Some(kind) => return Ok((kind, plain.endianness() == Endianness::Big)),
            None => match plain.type_char() {
                TypeChar::Object => ("pickled Python objects", ASTYPE),
                TypeChar::Complex => ("complex numbers", "save real and imaginary parts as arrays of their own"),
                TypeChar::UnicodeStr | TypeChar::ByteStr => ("text", "save it as integers"),
                TypeChar::DateTime | TypeChar::TimeDelta => ("dates", ASTYPE),
                TypeChar::RawData => ("raw records", "save each field as an array of its own"),
                _ => ("elements of a type that is not read", ASTYPE),
            },
        },
        _ => ("a structured array", "save each field as an array of its own"),
    };
    let shown: String = dtype.descr().chars().take(60).collect();
    Err(Error::Invalid(format!(
        "{place} holds {what} (dtype {}), but numbers are expected; {remedy}",
        file::clean(&shown)
    )))
}

fn kind_of(plain: &TypeStr) -> Option<Kind> {
    Some(match (plain.type_char(), plain.size_field()) {
        (TypeChar::Bool, 1) => Kind::Bool,
        (TypeChar::Int, 1) => Kind::I8,
        (TypeChar::Int, 2) => Kind::I16,
        (TypeChar::Int, 4) => Kind::I32,
        (TypeChar::Int, 8) => Kind::I64,
        (TypeChar::Uint, 1) => Kind::U8,
        (TypeChar::Uint, 2) => Kind::U16,
        (TypeChar::Uint, 4) => Kind::U32,
        (TypeChar::Uint, 8) => Kind::U64,
        (TypeChar::Float, 2) => Kind::F16,
        (TypeChar::Float, 4) => Kind::F32,
        (TypeChar::Float, 8) => Kind::F64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Header> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        Header::read(&mut bytes.as_slice(), "x")
    }

    #[test]
    fn what_numpy_writes() {
        let header = read("{'descr': '>f4', 'fortran_order': True, 'shape': (3, 0, 2), }\n").unwrap();
        assert_eq!((header.shape, header.kind, header.elements), (vec![3, 0, 2], Kind::F32, 0));
        assert!(header.big_endian && header.fortran_order);
    }

    #[test]
    fn products_that_overflow_are_refused_before_they_are_made() {
        for shape in [
            "(4294967296, 4294967296, 4)",
            "(99999999999999999999,)",
            "(9223372036854775808,)",
            "(0, 4294967296, 4294967296)",
        ] {
            let error = read(&format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n")).unwrap_err();
            assert!(error.to_string().contains("more values than any file can hold"), "{error}");
        }
        let error = read("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,)}\n").unwrap_err();
        assert!(error.to_string().contains("more values than any file can hold"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~\\n]{0,200}", noise in "\\PC{0,40}") {
            let _ = read(&text);
            let _ = read(&noise);
            let _ = read(&format!("{{'descr': '{noise}', 'fortran_order': False, 'shape': {text}}}"));
        }
    }
}
