//! Examples of the evaluation part as pictures, for people to look at.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Pixels, Source};
use super::{select, source};
use crate::data::Data;
use crate::error::Result;

/// Some examples of the evaluation part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// Channels, height, width of one picture.
    pub shape: [usize; 3],
    /// As [`super::Dataset::digest`]: the examples are those of a run if it saw the same digest.
    pub digest: String,
    /// By the number of the example among those that the experiment keeps: `[channels, height, width]`, spread over 0 to
    /// 255 from 0 (bytes) or the smallest value (floats) to the largest value of the whole part.
    pub pixels: BTreeMap<usize, Vec<u8>>,
}

/// The `wanted` evaluation examples, numbered as in soft decisions; those that do not exist are left out.
///
/// # Errors
/// As [`super::load`].
pub fn pictures(data: &Data, wanted: &BTreeSet<usize>) -> Result<Pictures> {
    let Source { shape, classes, eval, digest, .. } = source::read(data, u64::MAX)?;
    let kept = select::kept_classes(data, classes.len())?;
    let chosen = select::select(&eval.labels, &kept, data.eval_limit, data.seed, "eval")?;
    let places = wanted.iter().filter_map(|&example| Some((example, *chosen.indices.get(example)?)));
    let size = shape.iter().product();
    let pixels = match &eval.pixels {
        Pixels::Stored(stored) => {
            let mut largest = 0;
            stored.each(0..stored.len(), size, &mut |image| {
                largest = image.iter().copied().fold(largest, u8::max);
            })?;
            let mut found = BTreeMap::new();
            for (example, place) in places {
                let mut picture = vec![0; size];
                stored.read(place, &mut picture)?;
                picture.iter_mut().for_each(|value| *value = byte(f32::from(*value), 0.0, f32::from(largest)));
                found.insert(example, picture);
            }
            found
        }
        Pixels::Bytes(blocks) => {
            let largest = f32::from(blocks.iter().flatten().copied().max().unwrap_or(0));
            let picture = |image: &[u8]| image.iter().map(|&value| byte(f32::from(value), 0.0, largest)).collect();
            places.filter_map(|(example, place)| Some((example, picture(image(blocks, place, size)?)))).collect()
        }
        Pixels::Floats(values) => {
            let (low, high) =
                values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
            let picture = |image: &[f32]| image.iter().map(|&value| byte(value, low, high)).collect();
            let image = |place: usize| values.get(place.checked_mul(size)?..)?.get(..size);
            places.filter_map(|(example, place)| Some((example, picture(image(place)?)))).collect()
        }
    };
    Ok(Pictures { shape, digest, pixels })
}

/// Where between `low` and `high` a value lies, in steps of 1/255; 0 where they are one.
fn byte(value: f32, low: f32, high: f32) -> u8 {
    // The conversion saturates, and a NaN becomes 0.
    ((value - low) * (255.0 / (high - low))).round() as u8
}

/// The image at `place` in blocks of whole images.
fn image(blocks: &[Vec<u8>], mut place: usize, size: usize) -> Option<&[u8]> {
    for block in blocks {
        let count = block.len() / size.max(1);
        if place < count {
            return block.get(place * size..(place + 1) * size);
        }
        place -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DatasetKind;

    #[test]
    fn pictures_are_the_examples_of_the_data_set() {
        let data = Data { classes: Some(vec![3, 5]), ..Data::whole(DatasetKind::Digits, None) };
        let found = pictures(&data, &BTreeSet::from([0, 99, 100])).unwrap();
        assert_eq!(found.pixels.keys().copied().collect::<Vec<_>>(), [0, 99], "there are 100 examples of two classes");
        let loaded = super::super::load(&data).unwrap();
        assert_eq!((found.shape, &found.digest), (loaded.shape, &loaded.digest));
        // Digits have the values 0 to 16, all of which occur: standardised ones can be turned back.
        let all = &loaded.eval.pixels;
        let (low, high) = all.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        let size: usize = found.shape.iter().product();
        for (&example, bytes) in &found.pixels {
            let expected: Vec<u8> = all[example * size..(example + 1) * size]
                .iter()
                .map(|value| (((value - low) / (high - low) * 16.0).round() * 255.0 / 16.0).round() as u8)
                .collect();
            assert_eq!(*bytes, expected);
        }
    }

    #[test]
    fn values_are_spread_over_a_byte() {
        assert_eq!([-1.0, 0.0, 1.0].map(|value| byte(value, -1.0, 1.0)), [0, 128, 255]);
        assert_eq!(byte(3.0, 3.0, 3.0), 0);
        let blocks = [vec![1, 2, 3, 4], vec![5, 6]];
        assert_eq!(image(&blocks, 2, 2), Some([5, 6].as_slice()));
        assert_eq!(image(&blocks, 3, 2), None);
    }
}
