//! Standardisation per channel, by the mean and the standard deviation of the training part.

use super::source::Pixels;
use crate::error::{Error, Result};

/// Mean and standard deviation of each channel, in units of the file's pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standardisation {
    channels: Vec<(f64, f64)>,
}

impl Standardisation {
    /// Measured on the examples at `indices`: all pixels of a channel weigh the same, and the deviation divides by their
    /// number. Exact for bytes. A channel that never varies gets a deviation of 1.
    ///
    /// # Errors
    /// Those of reading images that stay in their files.
    pub fn of(pixels: &Pixels, indices: &[usize], shape: [usize; 3]) -> Result<Self> {
        let [channels, height, width] = shape;
        let plane = height * width;
        let example = channels * plane;
        let moments: Vec<(f64, f64)> = match pixels {
            Pixels::Bytes(blocks) => {
                let mut counts = vec![[0u64; 256]; channels];
                chosen(blocks, indices, example).for_each(|image| count(&mut counts, image, plane));
                counts.iter().map(moments_of_counts).collect()
            }
            Pixels::Stored(stored) => {
                let mut counts = vec![[0u64; 256]; channels];
                stored.each(indices.iter().copied(), example, &mut |image| count(&mut counts, image, plane))?;
                counts.iter().map(moments_of_counts).collect()
            }
            Pixels::Floats(values) => (0..channels)
                .map(|channel| {
                    let planes = || {
                        indices.iter().filter_map(move |index| {
                            let start = index * example + channel * plane;
                            values.get(start..start + plane)
                        })
                    };
                    let total = (indices.len() * plane) as f64;
                    let mean = planes().flatten().map(|&v| f64::from(v)).sum::<f64>() / total;
                    let squares = planes().flatten().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>();
                    (mean, squares / total)
                })
                .collect(),
        };
        let deviation = |variance: f64| if variance > 0.0 { variance.sqrt() } else { 1.0 };
        Ok(Self { channels: moments.into_iter().map(|(mean, variance)| (mean, deviation(variance))).collect() })
    }

    /// Leaves the values of all channels as they are.
    pub fn none(channels: usize) -> Self {
        Self { channels: vec![(0.0, 1.0); channels] }
    }

    /// Mean and deviation of each channel.
    pub fn channels(&self) -> &[(f64, f64)] {
        &self.channels
    }

    /// The examples at `indices` (ascending), standardised: `(value − mean) / deviation` in `f64`, rounded once.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if there is not enough memory; those of reading images that stay in their files.
    pub fn apply(&self, pixels: Pixels, indices: &[usize], shape: [usize; 3]) -> Result<Vec<f32>> {
        let [channels, height, width] = shape;
        let plane = height * width;
        let example = channels * plane;
        match pixels {
            Pixels::Bytes(blocks) => self.apply_to_bytes(blocks, indices, plane, example),
            Pixels::Stored(stored) => {
                let (tables, mut values) = (self.tables(), Vec::new());
                let total = indices.len() * example;
                values.try_reserve_exact(total).map_err(|_| not_enough_memory(4 * total))?;
                stored.each(indices.iter().copied(), example, &mut |image| {
                    for (plane, table) in image.chunks_exact(plane).zip(&tables) {
                        values.extend(plane.iter().map(|&value| table[usize::from(value)]));
                    }
                })?;
                Ok(values)
            }
            Pixels::Floats(mut values) => {
                for (place, index) in indices.iter().enumerate() {
                    values.copy_within(index * example..(index + 1) * example, place * example);
                }
                values.truncate(indices.len() * example);
                values.shrink_to_fit();
                for image in values.chunks_exact_mut(example) {
                    for (plane, &(mean, deviation)) in image.chunks_exact_mut(plane).zip(&self.channels) {
                        for value in plane {
                            *value = ((f64::from(*value) - mean) / deviation) as f32;
                        }
                    }
                }
                Ok(values)
            }
        }
    }

    /// What each byte stands for in each channel: `(value − mean) / deviation` in `f64`, rounded once.
    pub fn tables(&self) -> Vec<[f32; 256]> {
        let table =
            |&(mean, deviation): &(f64, f64)| std::array::from_fn(|value| ((value as f64 - mean) / deviation) as f32);
        self.channels.iter().map(table).collect()
    }

    fn apply_to_bytes(
        &self,
        blocks: Vec<Vec<u8>>,
        indices: &[usize],
        plane: usize,
        example: usize,
    ) -> Result<Vec<f32>> {
        let tables = self.tables();
        let mut values: Vec<f32> = Vec::new();
        let total = indices.len() * example;
        values.try_reserve_exact(total).map_err(|_| not_enough_memory(4 * total))?;
        let (mut first, mut indices) = (0, indices.iter().peekable());
        for block in blocks {
            let end = first + block.len() / example;
            while let Some(&index) = indices.next_if(|&&index| index < end) {
                let image = block.get((index - first) * example..).unwrap_or_default();
                for (plane, table) in image.chunks_exact(plane).zip(&tables) {
                    values.extend(plane.iter().map(|&value| table[usize::from(value)]));
                }
            }
            first = end;
        }
        Ok(values)
    }
}

/// What to say where `bytes` of memory for the data are not to be had.
pub(super) fn not_enough_memory(bytes: usize) -> Error {
    Error::Unexpected(format!("the data needs {bytes} bytes of memory, which this machine does not have free"))
}

/// The images at `indices` (ascending) of consecutive blocks.
fn chosen<'a>(blocks: &'a [Vec<u8>], indices: &'a [usize], example: usize) -> impl Iterator<Item = &'a [u8]> {
    let mut blocks = blocks.iter().map(Vec::as_slice);
    let (mut block, mut first) = (blocks.next().unwrap_or_default(), 0);
    indices.iter().filter_map(move |index| {
        while index - first >= block.len() / example {
            first += block.len() / example;
            block = blocks.next()?;
        }
        block.chunks_exact(example).nth(index - first)
    })
}

/// Counts the bytes of each channel of an image.
fn count(counts: &mut [[u64; 256]], image: &[u8], plane: usize) {
    for (counts, plane) in counts.iter_mut().zip(image.chunks_exact(plane)) {
        for &value in plane {
            counts[usize::from(value)] += 1;
        }
    }
}

/// Mean and variance of bytes of which each occurs so many times.
fn moments_of_counts(counts: &[u64; 256]) -> (f64, f64) {
    let (mut number, mut sum, mut squares) = (0u128, 0u128, 0u128);
    for (value, &count) in (0u128..).zip(counts) {
        let count = u128::from(count);
        number += count;
        sum += count * value;
        squares += count * value * value;
    }
    if number == 0 {
        return (0.0, 0.0);
    }
    // n·Σv² − (Σv)² is exact, so no digits cancel.
    let spread = (number * squares - sum * sum) as f64;
    (sum as f64 / number as f64, spread / (number as f64 * number as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_channels_by_hand() {
        // Channel 0 of the training examples: 1, 3 → mean 2, deviation 1; channel 1: 5, 5 → mean 5, deviation 1 (constant).
        let pixels = || Pixels::Bytes(vec![vec![1, 5, 9, 9], vec![3, 5]]);
        let found = Standardisation::of(&pixels(), &[0, 2], [2, 1, 1]).unwrap();
        assert_eq!(found.channels, [(2.0, 1.0), (5.0, 1.0)]);
        assert_eq!(found.apply(pixels(), &[0, 1, 2], [2, 1, 1]).unwrap(), [-1.0, 0.0, 7.0, 4.0, 1.0, 0.0]);
        assert_eq!(found.apply(pixels(), &[1], [2, 1, 1]).unwrap(), [7.0, 4.0]);
    }

    proptest! {
        #[test]
        fn bytes_and_floats_agree_and_come_out_standard(
            bytes in proptest::collection::vec(any::<u8>(), 24..=24),
            cut in 0usize..=4,
            keep in proptest::sample::subsequence(vec![0usize, 1, 2, 3], 1..=4),
        ) {
            // Four examples of two channels of three pixels, in two blocks.
            let shape = [2, 1, 3];
            let blocks = || Pixels::Bytes(vec![bytes[..cut * 6].to_vec(), bytes[cut * 6..].to_vec()]);
            let floats = || Pixels::Floats(bytes.iter().map(|&b| f32::from(b)).collect());
            let of = |pixels: &Pixels| Standardisation::of(pixels, &keep, shape).unwrap();
            let (a, b) = (of(&blocks()), of(&floats()));
            for (&(mean, deviation), &(mean_b, deviation_b)) in a.channels.iter().zip(&b.channels) {
                prop_assert!((mean - mean_b).abs() < 1e-9 && (deviation - deviation_b).abs() < 1e-9);
            }
            let out = a.apply(blocks(), &keep, shape).unwrap();
            let out_floats = b.apply(floats(), &keep, shape).unwrap();
            prop_assert!(out.iter().zip(&out_floats).all(|(x, y)| (x - y).abs() < 1e-5));
            prop_assert_eq!(out.len(), keep.len() * 6);
            for channel in 0..2 {
                let values: Vec<f64> =
                    out.chunks(3).skip(channel).step_by(2).flatten().map(|&v| f64::from(v)).collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let variance = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
                prop_assert!(mean.abs() < 1e-5);
                prop_assert!((variance - 1.0).abs() < 1e-4 || variance == 0.0);
            }
        }
    }
}
