//! Named arrays to and from safetensors, with the same bytes for the same arrays.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::error::{Error, Result};

/// The one key that we write under a file's `__metadata__`.
const NOTE: &str = "harness";

/// The numbers of an array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Unsigned, 32 bits.
    U32(Vec<u32>),
    /// Bytes.
    U8(Vec<u8>),
}

impl Values {
    /// How many numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::U32(_) => Dtype::U32,
            Self::U8(_) => Dtype::U8,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::U8(values) => values.clone(),
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self::F64(values)
    }
}

impl From<Vec<u32>> for Values {
    fn from(values: Vec<u32>) -> Self {
        Self::U32(values)
    }
}

impl From<Vec<u8>> for Values {
    fn from(values: Vec<u8>) -> Self {
        Self::U8(values)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Array {
    shape: Vec<usize>,
    values: Values,
}

/// Arrays by name, with a note: one text that travels in the file's metadata.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tensors {
    arrays: BTreeMap<String, Array>,
    note: Option<String>,
}

impl Tensors {
    /// No arrays, no note.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array, or replaces the one of that name.
    ///
    /// # Errors
    /// `Unexpected` if `shape` does not hold as many numbers as `values`, or the name is the reserved `__metadata__`.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], values: impl Into<Values>) -> Result<()> {
        let (name, values) = (name.into(), values.into());
        let size = shape.iter().try_fold(1_usize, |size, side| size.checked_mul(*side));
        if size != Some(values.len()) || name == "__metadata__" {
            return Err(Error::Unexpected(format!(
                "array {name:?} of shape {shape:?} cannot be recorded with {} values",
                values.len()
            )));
        }
        self.arrays.insert(name, Array { shape: shape.to_vec(), values });
        Ok(())
    }

    /// Shape and numbers of an array.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&[usize], &Values)> {
        self.arrays.get(name).map(|array| (array.shape.as_slice(), &array.values))
    }

    /// Shape and numbers of an array of `f32`.
    ///
    /// # Errors
    /// `Invalid` if there is no such array or it has another type.
    pub fn f32(&self, name: &str) -> Result<(&[usize], &[f32])> {
        match self.get(name) {
            Some((shape, Values::F32(values))) => Ok((shape, values)),
            found => Err(missing(name, "f32", found.is_some())),
        }
    }

    /// Shape and numbers of an array of `f64`.
    ///
    /// # Errors
    /// `Invalid` if there is no such array or it has another type.
    pub fn f64(&self, name: &str) -> Result<(&[usize], &[f64])> {
        match self.get(name) {
            Some((shape, Values::F64(values))) => Ok((shape, values)),
            found => Err(missing(name, "f64", found.is_some())),
        }
    }

    /// Shape and numbers of an array of `u32`.
    ///
    /// # Errors
    /// `Invalid` if there is no such array or it has another type.
    pub fn u32(&self, name: &str) -> Result<(&[usize], &[u32])> {
        match self.get(name) {
            Some((shape, Values::U32(values))) => Ok((shape, values)),
            found => Err(missing(name, "u32", found.is_some())),
        }
    }

    /// Shape and numbers of an array of bytes.
    ///
    /// # Errors
    /// `Invalid` if there is no such array or it has another type.
    pub fn u8(&self, name: &str) -> Result<(&[usize], &[u8])> {
        match self.get(name) {
            Some((shape, Values::U8(values))) => Ok((shape, values)),
            found => Err(missing(name, "u8", found.is_some())),
        }
    }

    /// Takes an array out.
    pub fn remove(&mut self, name: &str) -> Option<(Vec<usize>, Values)> {
        self.arrays.remove(name).map(|array| (array.shape, array.values))
    }

    /// Names, shapes and numbers, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize], &Values)> {
        self.arrays.iter().map(|(name, array)| (name.as_str(), array.shape.as_slice(), &array.values))
    }

    /// How many arrays.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arrays.len()
    }

    /// Whether there is no array.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrays.is_empty()
    }

    /// The note, if there is one.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Sets the note: a text of any kind, such as JSON.
    pub fn set_note(&mut self, note: impl Into<String>) {
        self.note = Some(note.into());
    }

    /// Takes the note away.
    pub(super) fn clear_note(&mut self) {
        self.note = None;
    }

    /// The bytes of a safetensors file: widest type first, then by name.
    ///
    /// # Errors
    /// `Unexpected` if the names do not fit into a header.
    pub fn encode(&self) -> Result<Vec<u8>> {
        // A single key: a map with more would be written in an order that changes from process to process.
        let metadata = self.note.as_ref().map(|note| HashMap::from([(NOTE.to_owned(), note.clone())]));
        let arrays = self.arrays.iter().map(|(name, array)| (name.as_str(), array));
        safetensors::serialize(arrays, metadata)
            .map_err(|cause| Error::Unexpected(format!("cannot write arrays as safetensors: {cause}")))
    }

    /// Reads a safetensors file; `what` names it in messages. Sizes are checked against the length of `bytes` before
    /// anything is allocated.
    ///
    /// # Errors
    /// `Invalid` for a file that is not safetensors or whose arrays are not `f32`, `f64`, `u32` or `u8`.
    pub fn decode(bytes: &[u8], what: &str) -> Result<Self> {
        let invalid =
            |cause: String| Error::Invalid(format!("{what} is not a safetensors file that can be read: {cause}"));
        refuse_duplicates(bytes).map_err(invalid)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|cause| invalid(cause.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|cause| invalid(cause.to_string()))?;
        let note = metadata.metadata().as_ref().and_then(|keys| keys.get(NOTE)).cloned();
        let mut arrays = BTreeMap::new();
        for (name, view) in file.iter() {
            let values = decode_values(&view).ok_or_else(|| {
                invalid(format!("array {name:?} has the type {:?}, not f32, f64, u32 or u8", view.dtype()))
            })?;
            arrays.insert(name.to_owned(), Array { shape: view.shape().to_vec(), values });
        }
        Ok(Self { arrays, note })
    }
}

/// Refuses a safetensors header that names one array twice: readers differ in which of the two they take.
///
/// # Errors
/// What is wrong with the header, in words.
pub fn refuse_duplicates(bytes: &[u8]) -> std::result::Result<(), String> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("the header of a safetensors file")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
            let mut seen = BTreeSet::new();
            while let Some(name) = map.next_key::<String>()? {
                map.next_value::<IgnoredAny>()?;
                if let Some(name) = seen.replace(name) {
                    return Err(serde::de::Error::custom(format!("its header names {name:?} twice")));
                }
            }
            Ok(())
        }
    }
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or("it is too short")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let header = rest.get(..length).ok_or("its header is longer than the file")?;
    serde_json::Deserializer::from_slice(header).deserialize_map(Names).map_err(|cause| cause.to_string())
}

fn missing(name: &str, wanted: &str, there: bool) -> Error {
    Error::Invalid(if there {
        format!("array {name:?} does not hold {wanted} numbers")
    } else {
        format!("array {name:?} is missing")
    })
}

fn decode_values(view: &TensorView<'_>) -> Option<Values> {
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => Values::F32(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()),
        Dtype::F64 => Values::F64(bytes.as_chunks::<8>().0.iter().map(|value| f64::from_le_bytes(*value)).collect()),
        Dtype::U32 => Values::U32(bytes.as_chunks::<4>().0.iter().map(|value| u32::from_le_bytes(*value)).collect()),
        Dtype::U8 => Values::U8(bytes.to_vec()),
        _ => return None,
    })
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        self.values.dtype()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.bytes().into()
    }

    fn data_len(&self) -> usize {
        self.values.len() * self.values.dtype().bitsize() / 8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        let one = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        for (header, good) in [(format!("{{{one}}}"), true), (format!("{{{one},{one}}}"), false)] {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(&1.0_f32.to_le_bytes());
            let read = Tensors::decode(&bytes, "weights");
            assert_eq!(read.is_ok(), good, "{header}: {read:?}");
            assert!(good || read.unwrap_err().to_string().contains("twice"));
        }
    }

    fn example() -> Tensors {
        let mut tensors = Tensors::new();
        tensors.insert("b", &[2, 2], vec![1.0_f32, -0.0, f32::NAN, f32::INFINITY]).unwrap();
        tensors.insert("a", &[3], vec![0.1_f64, f64::MIN_POSITIVE, -7.0]).unwrap();
        tensors.insert("probes", &[2], vec![u32::MAX, 0]).unwrap();
        tensors.insert("empty", &[0, 5], Vec::<f32>::new()).unwrap();
        tensors.insert("scalar", &[], vec![2.5_f32]).unwrap();
        tensors.set_note("{\"epoch\": 3}");
        tensors
    }

    #[test]
    fn arrays_read_back_bit_by_bit() {
        let bytes = example().encode().unwrap();
        let read = Tensors::decode(&bytes, "example").unwrap();
        assert_eq!(read.encode().unwrap(), bytes);
        assert_eq!(read.note(), Some("{\"epoch\": 3}"));
        let bits = |tensors: &Tensors| tensors.f32("b").unwrap().1.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&example()));
        assert_eq!(read.f64("a").unwrap(), example().f64("a").unwrap());
        assert_eq!(read.u32("probes").unwrap(), (&[2_usize][..], &[u32::MAX, 0][..]));
        assert_eq!(read.get("empty").unwrap().0, [0, 5]);
        assert!(read.f32("a").unwrap_err().to_string().contains("f32"));
        assert!(read.f32("z").unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn bytes_do_not_depend_on_the_order_of_insertion() {
        let (mut one, mut other) = (Tensors::new(), Tensors::new());
        for index in 0..50_u32 {
            one.insert(format!("w{index}"), &[1], vec![index]).unwrap();
            other.insert(format!("w{}", 49 - index), &[1], vec![49 - index]).unwrap();
        }
        assert_eq!(one.encode().unwrap(), other.encode().unwrap());
    }

    #[test]
    fn shapes_must_fit() {
        let mut tensors = Tensors::new();
        assert!(tensors.insert("a", &[2, 3], vec![0.0_f32; 5]).is_err());
        assert!(tensors.insert("a", &[usize::MAX, usize::MAX], vec![0.0_f32]).is_err());
        assert!(tensors.insert("__metadata__", &[1], vec![0.0_f32]).is_err());
    }

    #[test]
    fn hostile_headers_are_refused() {
        let header = |text: &str, data: usize| {
            let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
            bytes.extend(text.as_bytes());
            bytes.extend(vec![0; data]);
            bytes
        };
        let cases = [
            Vec::new(),
            vec![0xff; 8],
            header("{", 0),
            header(r#"{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}"#, 4),
            header(r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0),
            header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 3),
            header(r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#, 4),
            header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4),
        ];
        for (index, bytes) in cases.iter().enumerate() {
            let error = Tensors::decode(bytes, "weights.safetensors").unwrap_err();
            assert!(matches!(&error, Error::Invalid(text) if text.contains("weights.safetensors")), "{index}: {error}");
        }
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(position in any::<prop::sample::Index>(), bit in 0..8_u8, cut in any::<prop::sample::Index>()) {
            let mut bytes = example().encode().unwrap();
            let at = position.index(bytes.len());
            bytes[at] ^= 1 << bit;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let _ = Tensors::decode(&bytes, "damaged");
        }
    }
}
