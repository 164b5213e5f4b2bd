//! The pictures of examples on which runs stand alone, as bytes that a page can show.

use std::collections::BTreeMap;

use super::schema::Analysis;

/// Some examples of the evaluation set as pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// By the number of the example: `[channels, height, width]`.
    pub pixels: BTreeMap<usize, Vec<u8>>,
}

/// The examples to show, at most `count`: first the surest of each run, then the next ones, lower runs before higher.
#[must_use]
pub fn wanted(analysis: &Analysis, count: usize) -> Vec<usize> {
    let mut chosen = Vec::new();
    let longest = analysis.alone.iter().map(|held| held.examples.len()).max().unwrap_or(0);
    for rank in 0..longest {
        for example in analysis.alone.iter().filter_map(|held| held.examples.get(rank)) {
            if chosen.len() == count {
                return chosen;
            }
            if !chosen.contains(&example.example) {
                chosen.push(example.example);
            }
        }
    }
    chosen
}

/// The examples `wanted` out of `pixels` `[N, channels, height, width]`, each channel spread over 0 to 255 from its smallest
/// to its largest value in the whole set: standardised pixels become what they were.
#[must_use]
pub fn images([channels, height, width]: [usize; 3], pixels: &[f32], wanted: &[usize]) -> Images {
    let (plane, size) = (height * width, channels * height * width);
    let range = |channel: usize| {
        let planes = pixels.chunks_exact(plane.max(1)).skip(channel).step_by(channels.max(1));
        planes.flatten().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
    };
    let ranges: Vec<(f32, f32)> = (0..channels).map(range).collect();
    let of = |example: usize| {
        let start = example.checked_mul(size)?;
        let values = pixels.get(start..start.checked_add(size)?)?;
        let bytes = values.chunks_exact(plane.max(1)).zip(&ranges).flat_map(|(values, &(low, high))| {
            let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
            values.iter().map(move |&value| ((value - low) * scale).round() as u8)
        });
        Some((example, bytes.collect()))
    };
    Images { channels, height, width, pixels: wanted.iter().filter_map(|&example| of(example)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standardised_pixels_become_bytes_again() {
        // Two examples of two channels of 1x2; the second channel is constant.
        let pixels = [-1.0, 0.0, 5.0, 5.0, 1.0, -0.5, 5.0, 5.0];
        let found = images([2, 1, 2], &pixels, &[1, 7]);
        assert_eq!(found.pixels, BTreeMap::from([(1, vec![255, 64, 0, 0])]));
    }
}
