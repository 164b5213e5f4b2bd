//! Pictures of examples on which runs stand alone, from an array that a user gives.

use std::path::Path;

use crate::analysis::{Analysis, Images, images};
use crate::arrays::read_npy_f32;
use crate::error::{Error, Result};

/// Pictures in a page, at most.
const MOST: usize = 600;

/// Reads the pictures that a report shows from a `.npy` file of one picture for each example: `[N, H, W]`, `[N, C, H, W]` or
/// `[N, H, W, C]` with 1 or 3 channels. Bytes stay as they are; other values are stretched over the range of the file.
///
/// # Errors
/// As [`read_npy_f32`], and [`Error::Invalid`] for another shape or another number of examples.
pub fn of_array(path: &Path, analysis: &Analysis) -> Result<Images> {
    let (shape, values) = read_npy_f32(path)?;
    let (layout, last) = match *shape.as_slice() {
        [_, height, width] => ([1, height, width], false),
        [_, channels @ (1 | 3), height, width] => ([channels, height, width], false),
        [_, height, width, channels @ (1 | 3)] => ([channels, height, width], true),
        _ => {
            return Err(Error::Invalid(format!(
                "{} has the shape {shape:?}, but pictures are [N, H, W], [N, C, H, W] or [N, H, W, C] with 1 or 3 channels",
                path.display()
            )));
        }
    };
    if shape[0] != analysis.examples {
        return Err(Error::Invalid(format!(
            "{} holds {} pictures, but the runs were judged on {} examples",
            path.display(),
            shape[0],
            analysis.examples
        )));
    }
    let [channels, height, width] = layout;
    let (positions, size) = (height * width, channels * height * width);
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let low = finite().fold(f32::INFINITY, f32::min);
    let high = finite().fold(f32::NEG_INFINITY, f32::max);
    let are_bytes = low >= 0.0 && high > 1.5 && high <= 255.0 && finite().all(|value| value.fract() == 0.0);
    let byte = |value: f32| match are_bytes {
        true => value as u8,
        false if high > low => ((value - low) / (high - low) * 255.0).round() as u8,
        false => 128,
    };
    let picture = |example: usize| {
        let own = values.get(example * size..(example + 1) * size)?;
        let at = |channel: usize, position: usize| match last {
            true => position * channels + channel,
            false => channel * positions + position,
        };
        let places = (0..channels).flat_map(|channel| (0..positions).map(move |position| (channel, position)));
        Some((
            example,
            places.filter_map(|(channel, position)| own.get(at(channel, position)).copied().map(byte)).collect(),
        ))
    };
    let wanted = images::wanted(analysis, MOST);
    Ok(Images { shape: layout, pixels: wanted.into_iter().filter_map(picture).collect() })
}
