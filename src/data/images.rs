//! Standardised images, as floats, as the bytes that they were read as, or as places in the files that hold these bytes.

use super::source::Pixels;
use super::standardise::{Standardisation, not_enough_memory};
use super::stored::Stored;
use crate::error::Result;

/// Standardised images of one shape, handed out one by one.
pub trait Images {
    /// How many there are, of `length` values each.
    fn count(&self, length: usize) -> usize;

    /// Writes image number `index`, row-major `[channels, height, width]`, to `out`, which has its length.
    ///
    /// # Errors
    /// Those of reading a file, for images that are not in memory.
    ///
    /// # Panics
    /// If there is no such image.
    fn write(&self, index: usize, out: &mut [f32]) -> Result<()>;
}

impl Images for Vec<f32> {
    fn count(&self, length: usize) -> usize {
        self.len() / length
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<()> {
        out.copy_from_slice(&self[index * out.len()..(index + 1) * out.len()]);
        Ok(())
    }
}

/// Standardised images in as little memory as they were read in: bytes stay bytes, in memory or in their files, and become
/// the same floats as ever when an image is asked for. In memory that is a quarter for as many processes as train at a time.
#[derive(Debug)]
pub struct Compact(Form);

#[derive(Debug)]
enum Form {
    Bytes {
        values: Vec<u8>,
        /// What each byte stands for in each channel.
        tables: Vec<[f32; 256]>,
    },
    Stored {
        stored: Stored,
        /// Where in the files the images are.
        indices: Vec<usize>,
        tables: Vec<[f32; 256]>,
    },
    Floats(Vec<f32>),
}

impl Compact {
    /// The images at `indices` (ascending).
    pub(super) fn new(
        standardisation: &Standardisation,
        pixels: Pixels,
        indices: &[usize],
        shape: [usize; 3],
    ) -> Result<Self> {
        let blocks = match pixels {
            Pixels::Bytes(blocks) => blocks,
            Pixels::Stored(stored) => {
                return Ok(Self(Form::Stored { stored, indices: indices.to_vec(), tables: standardisation.tables() }));
            }
            Pixels::Floats(_) => return Ok(Self(Form::Floats(standardisation.apply(pixels, indices, shape)?))),
        };
        let example: usize = shape.iter().product();
        let mut values = Vec::new();
        values.try_reserve_exact(indices.len() * example).map_err(|_| not_enough_memory(indices.len() * example))?;
        let (mut first, mut indices) = (0, indices.iter().peekable());
        for block in blocks {
            let images = block.len() / example;
            while let Some(&index) = indices.next_if(|&&index| index < first + images) {
                values.extend_from_slice(block[(index - first) * example..].get(..example).unwrap_or_default());
            }
            first += images;
        }
        Ok(Self(Form::Bytes { values, tables: standardisation.tables() }))
    }

    /// Whether images are read from their files when they are asked for.
    #[must_use]
    pub fn in_files(&self) -> bool {
        matches!(self.0, Form::Stored { .. })
    }

    /// Checks that the files that images are read from were not written since they were opened.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid) if one was.
    pub fn unchanged(&self) -> Result<()> {
        match &self.0 {
            Form::Stored { stored, .. } => stored.unchanged(),
            Form::Bytes { .. } | Form::Floats(_) => Ok(()),
        }
    }
}

impl From<Vec<f32>> for Compact {
    fn from(values: Vec<f32>) -> Self {
        Self(Form::Floats(values))
    }
}

impl Images for Compact {
    fn count(&self, length: usize) -> usize {
        match &self.0 {
            Form::Floats(values) => values.len() / length,
            Form::Bytes { values, .. } => values.len() / length,
            Form::Stored { indices, .. } => indices.len(),
        }
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<()> {
        match &self.0 {
            Form::Floats(values) => values.write(index, out),
            Form::Bytes { values, tables } => {
                translate(&values[index * out.len()..(index + 1) * out.len()], tables, out);
                Ok(())
            }
            Form::Stored { stored, indices, tables } => {
                let mut image = vec![0; out.len()];
                stored.read(indices[index], &mut image)?;
                translate(&image, tables, out);
                Ok(())
            }
        }
    }
}

/// Each byte of an image becomes what it stands for in its channel.
fn translate(image: &[u8], tables: &[[f32; 256]], out: &mut [f32]) {
    let plane = out.len() / tables.len();
    for ((out, image), table) in out.chunks_exact_mut(plane).zip(image.chunks_exact(plane)).zip(tables) {
        for (out, &byte) in out.iter_mut().zip(image) {
            *out = table[usize::from(byte)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_and_floats_are_the_images_that_are_kept_as_floats(
            bytes in proptest::collection::vec(any::<u8>(), 30..=30),
            cut in 0usize..=5,
            keep in proptest::sample::subsequence(vec![0usize, 1, 2, 3, 4], 1..=5),
        ) {
            // Five examples of two channels of three pixels, in two blocks.
            let shape = [2, 1, 3];
            let blocks = || Pixels::Bytes(vec![bytes[..cut * 6].to_vec(), bytes[cut * 6..].to_vec()]);
            let floats = || Pixels::Floats(bytes.iter().map(|&b| f32::from(b)).collect());
            for pixels in [&blocks as &dyn Fn() -> Pixels, &floats] {
                let standardisation = Standardisation::of(&pixels(), &keep, shape).unwrap();
                let expected = standardisation.apply(pixels(), &keep, shape).unwrap();
                let compact = Compact::new(&standardisation, pixels(), &keep, shape).unwrap();
                prop_assert_eq!(compact.count(6), keep.len());
                prop_assert_eq!(expected.count(6), keep.len());
                for index in 0..keep.len() {
                    let (mut ours, mut theirs) = ([f32::NAN; 6], [f32::NAN; 6]);
                    compact.write(index, &mut ours).unwrap();
                    expected.write(index, &mut theirs).unwrap();
                    prop_assert_eq!(ours.map(f32::to_bits), theirs.map(f32::to_bits));
                }
            }
        }
    }
}
