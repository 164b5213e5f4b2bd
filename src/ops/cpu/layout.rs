//! From planes (`[channels, positions]`, as tensors lie) to channels last (`[positions, channels]`, as registers of channels want
//! them) and back.

#![allow(
    clippy::needless_range_loop,
    reason = "iterators take closures, which would not be compiled for the instruction set"
)]

use pulp::{Simd, WithSimd};

/// Most lanes of a register.
const MOST_LANES: usize = 16;

/// Where the channels of a position `p` start: at `p / columns · pitch + p % columns · width`.
#[derive(Debug, Clone, Copy)]
pub struct Last {
    pub columns: usize,
    pub pitch: usize,
    pub width: usize,
}

impl Last {
    #[inline(always)]
    fn at(&self, position: usize) -> usize {
        position / self.columns * self.pitch + position % self.columns * self.width
    }

    /// How many of `count` positions can be moved a register at a time.
    fn whole<S: Simd>(&self, count: usize) -> usize {
        let (lanes, columns) = (S::F32_LANES, self.columns);
        let aligned = columns.is_multiple_of(lanes) || lanes.is_multiple_of(columns);
        let fits = (4..=MOST_LANES).contains(&lanes) && aligned && (self.pitch | self.width).is_multiple_of(4);
        if fits { count / lanes * lanes } else { 0 }
    }
}

/// Where the groups of four channels lie, in registers that have been interleaved: those of which position of a register.
#[inline(always)]
fn order<S: Simd>(simd: S) -> [usize; MOST_LANES] {
    let mut numbers = [0.0; MOST_LANES];
    for i in 0..MOST_LANES {
        numbers[i] = i as f32;
    }
    let numbers = S::as_simd_f32s(&numbers).0[0];
    let mixed = simd.interleave_shfl_f32s([numbers; 4]);
    let groups: &[[f32; 4]] = bytemuck::cast_slice(&mixed);
    let mut order = [0; MOST_LANES];
    for (place, group) in order.iter_mut().zip(groups) {
        *place = group[0] as usize;
    }
    order
}

/// Positions `start..start + count` of planes of `positions` values to channels last, the first to the start of `to`; channels
/// past the last one become 0.
pub struct ToLast<'a> {
    pub planes: &'a [f32],
    pub positions: usize,
    pub start: usize,
    pub count: usize,
    pub last: Last,
    pub to: &'a mut [f32],
}

impl WithSimd for ToLast<'_> {
    type Output = ();

    #[allow(unsafe_code)]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { planes, positions, start, count, last, to } = self;
        let channels = planes.len() / positions;
        if channels < last.width {
            for p in 0..count {
                to[last.at(p) + channels..][..last.width - channels].fill(0.0);
            }
        }
        let (lanes, order, whole) = (S::F32_LANES, order(simd), last.whole::<S>(count));
        let mut channel = 0;
        while channel + 4 <= channels {
            let rows: [&[f32]; 4] = std::array::from_fn(|i| &planes[(channel + i) * positions + start..][..count]);
            let mut offsets = [0; MOST_LANES];
            for (offset, place) in offsets.iter_mut().zip(order) {
                *offset = (last.at(place) + channel) / 4;
            }
            let farthest = offsets.iter().fold(0, |farthest, &offset| farthest.max(offset));
            let groups = if whole > 0 { to.as_chunks_mut::<4>().0 } else { &mut [] };
            for p in (0..whole).step_by(lanes) {
                for i in 4..8 {
                    prefetch(planes, (channel + i) * positions + start + p);
                }
                let mut registers = [simd.splat_f32s(0.0); 4];
                for i in 0..4 {
                    registers[i] = S::as_simd_f32s(&rows[i][p..][..lanes]).0[0];
                }
                let mixed = simd.interleave_shfl_f32s(registers);
                let from: &[[f32; 4]] = bytemuck::cast_slice(&mixed);
                let groups = &mut groups[last.at(p) / 4..];
                assert!(farthest < groups.len(), "channels last end early");
                for i in 0..lanes {
                    // SAFETY: no group lies farther than the farthest.
                    unsafe { *groups.get_unchecked_mut(offsets[i]) = from[i] };
                }
            }
            for p in whole..count {
                to[last.at(p) + channel..][..4].copy_from_slice(&[rows[0][p], rows[1][p], rows[2][p], rows[3][p]]);
            }
            channel += 4;
        }
        for channel in channel..channels {
            for (p, &value) in planes[channel * positions + start..][..count].iter().enumerate() {
                to[last.at(p) + channel] = value;
            }
        }
    }
}

/// Asks the processor for the line of the cache that holds an element, if there is one: planes are read four at a time, and each is
/// too short for the processor to see by itself what will be wanted next.
#[allow(unsafe_code, unused_variables)]
#[inline(always)]
fn prefetch(values: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing, wherever it points.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(at).cast());
    }
}

/// Back to all positions of planes of `positions` values, from channels last.
pub struct FromLast<'a> {
    pub from: &'a [f32],
    pub last: Last,
    pub planes: &'a mut [f32],
    pub positions: usize,
}

impl WithSimd for FromLast<'_> {
    type Output = ();

    #[allow(unsafe_code)]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { from, last, planes, positions } = self;
        let (lanes, order, whole) = (S::F32_LANES, order(simd), last.whole::<S>(positions));
        let (quads, single) = planes.split_at_mut(planes.len() / (4 * positions) * 4 * positions);
        let mut channel = 0;
        for rows in quads.chunks_exact_mut(4 * positions) {
            let mut offsets = [0; MOST_LANES];
            for (offset, place) in offsets.iter_mut().zip(order) {
                *offset = (last.at(place) + channel) / 4;
            }
            let farthest = offsets.iter().fold(0, |farthest, &offset| farthest.max(offset));
            let groups = from.as_chunks::<4>().0;
            for p in (0..whole).step_by(lanes) {
                let groups = &groups[last.at(p) / 4..];
                let mut mixed = [simd.splat_f32s(0.0); 4];
                let to: &mut [[f32; 4]] = bytemuck::cast_slice_mut(&mut mixed);
                assert!(farthest < groups.len(), "channels last end early");
                for i in 0..lanes {
                    // SAFETY: no group lies farther than the farthest.
                    to[i] = unsafe { *groups.get_unchecked(offsets[i]) };
                }
                let registers = simd.deinterleave_shfl_f32s(mixed);
                for i in 0..4 {
                    S::as_mut_simd_f32s(&mut rows[i * positions + p..][..lanes]).0[0] = registers[i];
                }
            }
            for p in whole..positions {
                for (i, &value) in from[last.at(p) + channel..][..4].iter().enumerate() {
                    rows[i * positions + p] = value;
                }
            }
            channel += 4;
        }
        for row in single.chunks_exact_mut(positions) {
            for (p, to) in row.iter_mut().enumerate() {
                *to = from[last.at(p) + channel];
            }
            channel += 1;
        }
    }
}
