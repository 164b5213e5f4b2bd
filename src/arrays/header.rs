//! The header of an `.npy` array: NumPy's "NPY format", versions 1.0 to 3.0.

use std::io::{self, Read};

use super::file;
use crate::error::{Error, Result};

/// The type of an array's elements in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Header {
    /// Reads a header, up to the first byte of the values. `place` names the array in messages.
    ///
    /// # Errors
    /// [`Error::Invalid`] if this is no header of a plain numeric array.
    pub(super) fn read(reader: &mut impl Read, place: &str) -> Result<Self> {
        let mut start = Vec::with_capacity(12);
        take(reader, &mut start, 10, place)?;
        if !start.starts_with(b"\x93NUMPY") {
            let found = file::looks_like(&start);
            return Err(Error::Invalid(format!(
                "{place} does not start like an .npy array and looks like {found}; write it with numpy.save or numpy.savez"
            )));
        }
        let &[.., major, minor, low, high] = start.as_slice() else {
            return Err(short(place));
        };
        let mut length = usize::from(u16::from_le_bytes([low, high]));
        if matches!((major, minor), (2 | 3, 0)) {
            take(reader, &mut start, 2, place)?;
            let &[.., high, highest] = start.as_slice() else { return Err(short(place)) };
            length |= usize::from(high) << 16 | usize::from(highest) << 24;
        } else if (major, minor) != (1, 0) {
            return Err(Error::Invalid(format!(
                "{place} is of .npy version {major}.{minor}, but 1.0, 2.0 or 3.0 is expected; save it again with numpy.save"
            )));
        }
        if length > LONGEST_TEXT {
            return Err(Error::Invalid(format!(
                "{place} declares an .npy header of {length} bytes, but at most {LONGEST_TEXT} are expected; save it as a \
                 plain array"
            )));
        }
        let mut text = Vec::with_capacity(length);
        take(reader, &mut text, length, place)?;
        let header_bytes = (start.len() + length) as u64;
        Self::parse(&text, header_bytes, place)
    }

    fn parse(text: &[u8], header_bytes: u64, place: &str) -> Result<Self> {
        let literal = Parser { rest: text }.header().map_err(|what| {
            Error::Invalid(format!("{place} has an .npy header that {what}; save it again with numpy.save"))
        })?;
        let (kind, big_endian) = element_type(&literal.descr, place)?;
        let payload = literal.shape.iter().try_fold((1usize, false), |(product, zero), &axis| {
            Some((if axis == 0 { product } else { product.checked_mul(axis)? }, zero || axis == 0))
        });
        let elements = payload.map(|(product, zero)| if zero { 0 } else { product });
        let sized = elements.and_then(|n| Some((n, u64::try_from(n.checked_mul(kind.size())?).ok()?)));
        let Some((elements, payload_bytes)) = sized.filter(|&(_, bytes)| bytes <= i64::MAX as u64) else {
            return Err(Error::Invalid(format!(
                "{place} declares shape {}, more values than any file can hold; save it again with numpy.save",
                tuple(&literal.shape)
            )));
        };
        Ok(Self {
            shape: literal.shape,
            kind,
            elements,
            payload_bytes,
            big_endian,
            fortran_order: literal.fortran_order,
            header_bytes,
        })
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

/// A shape as Python writes it.
pub(crate) fn tuple(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        axes => format!("({})", axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn short(place: &str) -> Error {
    Error::Invalid(format!("{place} is too short for an .npy array; copy or save it again"))
}

/// Appends exactly `count` bytes.
fn take(reader: &mut impl Read, bytes: &mut Vec<u8>, count: usize, place: &str) -> Result<()> {
    let start = bytes.len();
    bytes.resize(start + count, 0);
    reader.read_exact(&mut bytes[start..]).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => short(place),
        _ => file::broken(place, &cause),
    })
}

/// The element type of a type string such as `<f4`, and whether it is big-endian.
fn element_type(descr: &str, place: &str) -> Result<(Kind, bool)> {
    let shown: String = descr.chars().take(60).collect();
    let refuse = |what: &str, remedy: &str| {
        Err(Error::Invalid(format!(
            "{place} holds {what} (dtype {}), but numbers are expected; {remedy}",
            file::clean(&shown)
        )))
    };
    if descr.starts_with(['[', '(']) {
        return refuse("a structured array", "save each field as an array of its own");
    }
    let (order, rest) = match descr.strip_prefix(['<', '>', '|', '=']) {
        Some(rest) => (descr.as_bytes().first().copied().unwrap_or(b'|'), rest),
        None => (b'=', descr),
    };
    let kind = match rest {
        "b1" | "?" => Kind::Bool,
        "i1" => Kind::I8,
        "i2" => Kind::I16,
        "i4" => Kind::I32,
        "i8" => Kind::I64,
        "u1" => Kind::U8,
        "u2" => Kind::U16,
        "u4" => Kind::U32,
        "u8" => Kind::U64,
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        _ => {
            let astype = "save it with .astype(\"float32\") or .astype(\"int64\")";
            return match rest.as_bytes().first() {
                Some(b'O') => refuse("pickled Python objects", astype),
                Some(b'c') => refuse("complex numbers", "save real and imaginary parts as arrays of their own"),
                Some(b'U' | b'S' | b'a') => refuse("text", "save it as integers"),
                Some(b'm' | b'M') => refuse("dates", astype),
                Some(b'V') => refuse("raw records", "save each field as an array of its own"),
                _ => refuse("elements of a type that is not read", astype),
            };
        }
    };
    Ok((kind, order == b'>' || (order == b'=' && cfg!(target_endian = "big"))))
}

/// The three entries of the header's dictionary.
struct Literal {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads the one Python dictionary that a header is. It never recurses: what nests is refused.
struct Parser<'a> {
    rest: &'a [u8],
}

/// The end of a sentence that begins "has an .npy header that …".
type Parsed<T> = std::result::Result<T, String>;

impl Parser<'_> {
    fn header(mut self) -> Parsed<Literal> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.accept(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let repeated = match key.as_str() {
                "descr" => descr.replace(self.descr()?).is_some(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                other => return Err(format!("has the unknown key '{}'", file::clean(other))),
            };
            if repeated {
                return Err(format!("has the key '{key}' twice"));
            }
            if !self.accept(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.spaces();
        if !self.rest.is_empty() {
            return Err("goes on after its closing brace".to_string());
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Literal { descr, fortran_order, shape }),
            _ => Err("lacks one of 'descr', 'fortran_order' and 'shape'".to_string()),
        }
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.spaces();
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.accept(byte) {
            return Ok(());
        }
        let found: String = String::from_utf8_lossy(self.rest).chars().take(12).collect();
        Err(format!("lacks a '{}' before \"{}\"", char::from(byte), file::clean(&found)))
    }

    fn string(&mut self) -> Parsed<String> {
        let quote = if self.accept(b'"') { b'"' } else { self.expect(b'\'').map(|()| b'\'')? };
        let end = self.rest.iter().position(|&b| b == quote).ok_or("has a string without an end")?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| "has a string that is not UTF-8")?;
        Ok(text.to_string())
    }

    /// The type string; of a structured type, its text up to a readable length.
    fn descr(&mut self) -> Parsed<String> {
        self.spaces();
        if !self.rest.starts_with(b"[") && !self.rest.starts_with(b"(") {
            return self.string();
        }
        let mut depth = 0usize;
        let end = self.rest.iter().position(|b| {
            match b {
                b'[' | b'(' => depth += 1,
                b']' | b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        });
        let (text, rest) = self.rest.split_at(end.ok_or("has a bracket without an end")? + 1);
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn boolean(&mut self) -> Parsed<bool> {
        self.spaces();
        for (text, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(text.as_bytes()) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("has a 'fortran_order' that is neither True nor False".to_string())
    }

    fn shape(&mut self) -> Parsed<Vec<usize>> {
        self.expect(b'(')?;
        let mut axes = Vec::new();
        while !self.accept(b')') {
            self.spaces();
            if self.rest.starts_with(b"-") {
                return Err("has a negative length in 'shape'".to_string());
            }
            let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (number, rest) = self.rest.split_at(digits);
            // Python 2 wrote long integers with an L.
            self.rest = rest.strip_prefix(b"L").unwrap_or(rest);
            let number = std::str::from_utf8(number).ok().filter(|text| !text.is_empty());
            let number = number.ok_or("has a 'shape' that is not a tuple of integers")?;
            axes.push(number.parse().map_err(|_| format!("has a length of {} in 'shape'", file::clean(number)))?);
            if axes.len() > MOST_AXES {
                return Err(format!("has more than {MOST_AXES} axes"));
            }
            if !self.accept(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(axes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(version: u8, text: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        if version == 1 {
            bytes.extend((text.len() as u16).to_le_bytes());
        } else {
            bytes.extend((text.len() as u32).to_le_bytes());
        }
        bytes.extend(text.bytes());
        bytes
    }

    fn read(version: u8, text: &str) -> Result<Header> {
        Header::read(&mut header(version, text).as_slice(), "x.npy")
    }

    #[test]
    fn headers_that_numpy_writes() {
        let found = read(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }          \n").unwrap();
        assert_eq!((found.shape, found.kind, found.elements, found.payload_bytes), (vec![3, 4], Kind::F32, 12, 48));
        let scalar = read(1, "{'descr': '>i8', 'fortran_order': True, 'shape': (), }\n").unwrap();
        assert_eq!((scalar.shape, scalar.elements), (vec![], 1));
        assert!(scalar.big_endian && scalar.fortran_order);
        let python2 = read(2, "{'descr': '|u1', 'fortran_order': False, 'shape': (60000L, 784L), }\n").unwrap();
        assert_eq!(python2.shape, [60_000, 784]);
        assert_eq!(read(3, "{\"shape\":(5,),\"descr\":\"|b1\",\"fortran_order\":False}").unwrap().shape, [5]);
    }

    #[test]
    fn nothing_times_anything_is_nothing() {
        let huge = u64::MAX;
        let found = read(1, &format!("{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {huge}), }}")).unwrap();
        assert_eq!((found.elements, found.payload_bytes), (0, 0));
    }

    #[test]
    fn too_many_values_are_refused() {
        for shape in ["(4294967296, 4294967296)", "(9223372036854775807,)", "(2305843009213693952, 1)"] {
            let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
            let Err(Error::Invalid(message)) = read(1, &text) else { panic!("{shape} was accepted") };
            assert!(message.contains("more values than any file can hold"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::read(&mut bytes.as_slice(), "x.npy");
        }

        #[test]
        fn no_text_panics(text in "[\\[\\](){}'\":,<>|0-9a-zL -]{0,60}") {
            let _ = read(1, &text);
            let _ = read(1, &format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {text}}}"));
            let _ = read(1, &format!("{{'descr': {text}, 'fortran_order': False, 'shape': (1,)}}"));
        }

        #[test]
        fn every_shape_comes_back(shape in proptest::collection::vec(0usize..1000, 0..5)) {
            let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {}, }}\n", tuple(&shape));
            prop_assert_eq!(read(1, &text).unwrap().shape, shape);
        }
    }
}
