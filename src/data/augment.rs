//! Random changes of one image, as [`Augment`] asks for: flip, then crop, then cutout.

use crate::data::Augment;
use crate::random::UniformSource;

/// Writes a changed copy of `pixels`, row-major `[channels, height, width]`, to `out`, which is as long.
///
/// - `flip`: mirrored left to right where a draw from {0, 1} is 1.
/// - `crop` = p: p pixels are added on each side by reflection at the border pixel, which is not repeated; the window of the
///   original size is taken at row offset and column offset drawn from 0..=2p, in this order. p at the centre changes
///   nothing.
/// - `cutout` = s: a square of s pixels is set to 0, the mean of standardised data, in every channel. Its centre is drawn from
///   the rows, then the columns; it spans s/2 pixels (rounded down) before the centre and the rest from it on, and is cut
///   off at the borders (DeVries & Taylor 2017).
///
/// What is off draws nothing, so the number of draws depends on the settings only. Pixels without a counterpart (where the
/// slices are not of the length that `shape` calls for) are left alone.
pub fn augment(
    pixels: &[f32],
    shape: [usize; 3],
    settings: &Augment,
    random: &mut impl UniformSource,
    out: &mut [f32],
) {
    let [_, height, width] = shape;
    let mut below = |n: usize| random.uniform_below(n as u64) as usize;
    let flipped = settings.flip && below(2) == 1;
    let padding = settings.crop;
    let (down, right) = if padding == 0 { (0, 0) } else { (below(2 * padding + 1), below(2 * padding + 1)) };
    let columns: Vec<usize> = (0..width)
        .map(|x| reflected(x + right, padding, width))
        .map(|x| if flipped { width - 1 - x } else { x })
        .collect();
    let plane = height * width;
    if plane == 0 {
        return;
    }
    for (source, target) in pixels.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
        for (y, row) in target.chunks_exact_mut(width).enumerate() {
            let start = reflected(y + down, padding, height) * width;
            let source = &source[start..start + width];
            if !flipped && right == padding {
                row.copy_from_slice(source);
            } else {
                for (value, &x) in row.iter_mut().zip(&columns) {
                    *value = source[x];
                }
            }
        }
    }
    if settings.cutout > 0 {
        let (rows, columns) =
            (square(below(height), settings.cutout, height), square(below(width), settings.cutout, width));
        for target in out.chunks_exact_mut(plane) {
            for row in target.chunks_exact_mut(width).take(rows.end).skip(rows.start) {
                row[columns.clone()].fill(0.0);
            }
        }
    }
}

/// Where position `at` of a line of `length` pixels with `padding` reflected ones on each side comes from. Longer paddings
/// than the line go back and forth.
fn reflected(at: usize, padding: usize, length: usize) -> usize {
    if length < 2 {
        return 0;
    }
    let period = 2 * (length - 1);
    // at − padding modulo the period, without leaving the unsigned numbers.
    let within = (at + period - padding % period) % period;
    within.min(period - within)
}

/// The part of a span of `side` around `centre` that lies in `0..length`.
fn square(centre: usize, side: usize, length: usize) -> std::ops::Range<usize> {
    let before = side / 2;
    centre.saturating_sub(before)..(centre + (side - before)).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    /// Gives chosen draws, and fails where more are taken.
    struct Draws(Vec<u64>);

    impl UniformSource for Draws {
        fn uniform_below(&mut self, n: u64) -> u64 {
            let draw = self.0.remove(0);
            assert!(draw < n, "{draw} of {n}");
            draw
        }
    }

    fn changed(pixels: &[f32], shape: [usize; 3], settings: Augment, draws: &[u64]) -> Vec<f32> {
        let mut out = vec![f32::NAN; pixels.len()];
        let mut draws = Draws(draws.to_vec());
        augment(pixels, shape, &settings, &mut draws, &mut out);
        assert!(draws.0.is_empty(), "{} draws are left", draws.0.len());
        out
    }

    const SQUARE: [f32; 9] = [1., 2., 3., 4., 5., 6., 7., 8., 9.];

    #[test]
    fn flips() {
        let settings = Augment { flip: true, ..Augment::default() };
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[0]), SQUARE);
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[1]), [3., 2., 1., 6., 5., 4., 9., 8., 7.]);
    }

    #[test]
    fn crops_as_numpy_pads() {
        // numpy.pad(square, 2, mode="reflect") =
        // 9 8 7 8 9 8 7 / 6 5 4 5 6 5 4 / 3 2 1 2 3 2 1 / 6 5 4 5 6 5 4 / 9 8 7 8 9 8 7 / 6 5 4 5 6 5 4 / 3 2 1 2 3 2 1
        let settings = Augment { crop: 2, ..Augment::default() };
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[0, 0]), [9., 8., 7., 6., 5., 4., 3., 2., 1.]);
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[2, 2]), SQUARE);
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[4, 1]), [8., 7., 8., 5., 4., 5., 2., 1., 2.]);
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[1, 4]), [6., 5., 4., 3., 2., 1., 6., 5., 4.]);
    }

    #[test]
    fn cuts_out_in_every_channel() {
        let settings = Augment { cutout: 2, ..Augment::default() };
        let two: Vec<f32> = [SQUARE, SQUARE].concat();
        let cut = changed(&two, [2, 3, 3], settings, &[1, 2]);
        let expected = [1., 0., 0., 4., 0., 0., 7., 8., 9.];
        assert_eq!(cut, [expected, expected].concat());
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[0, 0]), [0., 2., 3., 4., 5., 6., 7., 8., 9.]);
        let odd = Augment { cutout: 3, ..Augment::default() };
        assert_eq!(changed(&SQUARE, [1, 3, 3], odd, &[2, 0]), [1., 2., 3., 0., 0., 6., 0., 0., 9.]);
    }

    #[test]
    fn all_together_in_order() {
        let settings = Augment { flip: true, crop: 1, cutout: 1 };
        // Flipped rows 3 2 1 / 6 5 4 / 9 8 7, window one row up and one column to the right, then the centre is cut out.
        assert_eq!(changed(&SQUARE, [1, 3, 3], settings, &[1, 0, 2, 1, 1]), [5., 4., 5., 2., 0., 2., 5., 4., 5.]);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_every_pixel_comes_from_the_image(
            (channels, height, width) in (1usize..3, 1usize..7, 1usize..7),
            (flip, crop, cutout) in (any::<bool>(), 0usize..20, 0usize..20),
            seed: u64,
        ) {
            let pixels: Vec<f32> = (1..=channels * height * width).map(|v| v as f32).collect();
            let mut out = vec![f32::NAN; pixels.len()];
            let settings = Augment { flip, crop, cutout };
            augment(&pixels, [channels, height, width], &settings, &mut Random::from_parts(seed, "x", 0), &mut out);
            for (channel, values) in out.chunks(height * width).enumerate() {
                let own = channel * height * width..(channel + 1) * height * width;
                prop_assert!(values.iter().all(|&v| v == 0.0 && cutout > 0 || own.contains(&(v as usize - 1))));
            }
        }

        #[test]
        fn reflection_is_that_of_numpy(padding in 0usize..30, length in 1usize..9) {
            // Walking outwards from the border, one step at a time, turning at each end.
            let mut walk: Vec<usize> = Vec::new();
            let (mut at, mut up) = (0usize, true);
            for _ in 0..padding + length {
                walk.push(at);
                if length > 1 {
                    if at == length - 1 { up = false; }
                    if at == 0 { up = true; }
                    at = if up { at + 1 } else { at - 1 };
                }
            }
            for (step, &expected) in walk.iter().enumerate().take(padding + 1) {
                prop_assert_eq!(reflected(padding - step, padding, length), expected);
            }
            for (x, &expected) in walk.iter().enumerate() {
                prop_assert_eq!(reflected(padding + x, padding, length), expected);
            }
        }
    }
}
