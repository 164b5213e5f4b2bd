//! The values of an array: from bytes of any supported type, byte order and axis order to a row-major vector.

use std::io::Read;

use super::Values;
use super::file;
use super::header::{Header, Kind};
use crate::error::{Error, Result};

/// The bytes after a header.
pub(super) struct Payload<'a> {
    pub reader: &'a mut dyn Read,
    pub header: &'a Header,
    /// Names the array in messages.
    pub place: &'a str,
    /// Bytes of values that the file is long enough to hold: what may be allocated before they have been read.
    pub justified: u64,
}

/// Bytes converted at a time; a multiple of every element size.
const CHUNK: usize = 1 << 16;

/// Reads the values in their natural type.
pub(super) fn values(payload: &mut Payload) -> Result<Values> {
    Ok(match payload.header.kind {
        Kind::Bool | Kind::U8 => Values::U8(collect(payload, |[byte]: [u8; 1]| byte)?),
        Kind::I8 => Values::I64(collect(payload, |b| i8::from_le_bytes(b).into())?),
        Kind::I16 => Values::I64(collect(payload, |b| i16::from_le_bytes(b).into())?),
        Kind::I32 => Values::I64(collect(payload, |b| i32::from_le_bytes(b).into())?),
        Kind::I64 => Values::I64(collect(payload, i64::from_le_bytes)?),
        Kind::U16 => Values::I64(collect(payload, |b| u16::from_le_bytes(b).into())?),
        Kind::U32 => Values::I64(collect(payload, |b| u32::from_le_bytes(b).into())?),
        Kind::U64 => {
            let values = collect(payload, i64::from_le_bytes)?;
            if let Some(index) = values.iter().position(|&v| v < 0) {
                return Err(Error::Invalid(format!(
                    "{} holds {} at index {index}, but integers up to 2^63 - 1 are expected; save it as float64",
                    payload.place,
                    values.get(index).map_or(0, |v| v.cast_unsigned())
                )));
            }
            Values::I64(values)
        }
        Kind::F16 => Values::F32(collect(payload, |b| half(u16::from_le_bytes(b)))?),
        Kind::F32 => Values::F32(collect(payload, f32::from_le_bytes)?),
        Kind::F64 => Values::F64(collect(payload, f64::from_le_bytes)?),
    })
}

/// Reads the values rounded to `f32`.
pub(super) fn floats(payload: &mut Payload) -> Result<Vec<f32>> {
    match payload.header.kind {
        Kind::Bool | Kind::U8 => collect(payload, |[byte]: [u8; 1]| byte.into()),
        Kind::I8 => collect(payload, |b| i8::from_le_bytes(b).into()),
        Kind::I16 => collect(payload, |b| i16::from_le_bytes(b).into()),
        Kind::I32 => collect(payload, |b| i32::from_le_bytes(b) as f32),
        Kind::I64 => collect(payload, |b| i64::from_le_bytes(b) as f32),
        Kind::U16 => collect(payload, |b| u16::from_le_bytes(b).into()),
        Kind::U32 => collect(payload, |b| u32::from_le_bytes(b) as f32),
        Kind::U64 => collect(payload, |b| u64::from_le_bytes(b) as f32),
        Kind::F16 => collect(payload, |b| half(u16::from_le_bytes(b))),
        Kind::F32 => collect(payload, f32::from_le_bytes),
        Kind::F64 => collect(payload, |b| f64::from_le_bytes(b) as f32),
    }
}

/// Reads every element through `convert`, which takes its bytes lowest first; in C order.
fn collect<const N: usize, T: Copy>(payload: &mut Payload, convert: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    let values = if payload.header.big_endian {
        read_all(payload, |mut bytes: [u8; N]| {
            bytes.reverse();
            convert(bytes)
        })?
    } else {
        read_all(payload, convert)?
    };
    Ok(if payload.header.fortran_order { to_row_major(values, &payload.header.shape) } else { values })
}

fn read_all<const N: usize, T: Copy>(payload: &mut Payload, convert: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    let total = payload.header.elements;
    let justified = usize::try_from(payload.justified / N as u64).unwrap_or(usize::MAX);
    let mut values = Vec::new();
    file::reserve(&mut values, total.min(justified), total, payload.place)?;
    let mut buffer = vec![0; CHUNK.min(total.saturating_mul(N))];
    while values.len() < total {
        let count = (total - values.len()).min(CHUNK / N);
        let bytes = &mut buffer[..count * N];
        payload.reader.read_exact(bytes).map_err(|cause| file::broken(payload.place, &cause))?;
        file::reserve(&mut values, count, total, payload.place)?;
        values.extend(bytes.as_chunks().0.iter().map(|&element| convert(element)));
    }
    Ok(values)
}

/// From Fortran order (first axis fastest) to C order (last axis fastest).
fn to_row_major<T: Copy>(values: Vec<T>, shape: &[usize]) -> Vec<T> {
    let Some((&last, outer)) = shape.split_last().filter(|(_, outer)| !outer.is_empty() && !values.is_empty()) else {
        return values;
    };
    let last_stride = values.len() / last;
    let mut ordered = Vec::with_capacity(values.len());
    let mut index = vec![0; outer.len()];
    let mut start = 0;
    for _ in 0..last_stride {
        ordered.extend(values[start..].iter().step_by(last_stride));
        // The next row: count up in `outer`, last of them fastest, keeping `start` the place of its first element.
        let mut stride = last_stride;
        for (position, &length) in index.iter_mut().zip(outer).rev() {
            stride /= length;
            *position += 1;
            start += stride;
            if *position < length {
                break;
            }
            start -= stride * length;
            *position = 0;
        }
    }
    ordered
}

/// An IEEE 754 half-precision number, exactly.
#[must_use]
pub fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let mantissa = f32::from(bits & 0x3ff);
    let magnitude = match bits >> 10 & 0x1f {
        0 => mantissa * 2f32.powi(-24),
        0x1f if mantissa == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        exponent => (1024.0 + mantissa) * 2f32.powi(i32::from(exponent) - 25),
    };
    sign * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_of_the_standard() {
        // Table of IEEE 754-2008 binary16: smallest and largest subnormal, smallest and largest normal, one, a third, -2.
        let known = [
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7bff, 65_504.0),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_95),
            (0xc000, -2.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000) == 0.0 && half(0x8000).is_sign_negative());
    }

    #[test]
    fn a_small_transposition_by_hand() {
        // [[1, 2, 3], [4, 5, 6]] in Fortran order.
        assert_eq!(to_row_major(vec![1, 4, 2, 5, 3, 6], &[2, 3]), [1, 2, 3, 4, 5, 6]);
    }

    proptest! {
        #[test]
        fn every_element_finds_its_place(shape in proptest::collection::vec(1usize..5, 1..5)) {
            let total: usize = shape.iter().product();
            // The value of an element is its row-major index; laid out in Fortran order it must come back sorted.
            let mut fortran = vec![usize::MAX; total];
            for value in 0..total {
                let (mut rest, mut index) = (value, vec![0; shape.len()]);
                for (i, &length) in index.iter_mut().zip(&shape).rev() {
                    *i = rest % length;
                    rest /= length;
                }
                let (mut place, mut stride) = (0, 1);
                for (&i, &length) in index.iter().zip(&shape) {
                    place += i * stride;
                    stride *= length;
                }
                fortran[place] = value;
            }
            prop_assert_eq!(to_row_major(fortran, &shape), (0..total).collect::<Vec<_>>());
        }
    }
}
