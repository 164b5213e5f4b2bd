//! Which training examples a surrogate's decisions rest on, as a grid of pictures.

use super::figures::{Figure, HALF, Kind, Paint, Panel, Picture, Pictures};
use super::scene::Pixels;
use crate::error::{Error, Result};

/// A picture with what is written below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown<'a> {
    /// `[channels, height, width]`; any scale, one for the whole grid.
    pub pixels: &'a [f32],
    pub lines: [String; 3],
    pub frame: Frame,
}

/// What a picture's frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The network is right about it.
    Plain,
    /// The network is wrong about it.
    Wrong,
    /// It speaks for the decision, or against it.
    For,
    Against,
}

/// A test example first, and then the training examples that weigh most in its decision, row by row. Values are mapped to black and
/// white channel by channel over the whole grid; of examples with another number of channels than 1 or 3 the first is shown.
///
/// # Errors
/// [`Error::Unexpected`] if a picture is not of that shape.
pub fn grid(title: &str, note: &str, [channels, height, width]: [usize; 3], rows: &[Vec<Shown>]) -> Result<Figure> {
    let positions = height * width;
    let shown = if channels == 3 { 3 } else { 1 };
    if rows.iter().flatten().any(|picture| picture.pixels.len() < shown * positions) {
        return Err(Error::Unexpected(format!(
            "cannot draw examples: one has fewer than {shown}x{height}x{width} values"
        )));
    }
    let ranges: Vec<(f32, f32)> = (0..shown)
        .map(|channel| {
            let values = rows.iter().flatten();
            let values = values.flat_map(|picture| picture.pixels.iter().skip(channel * positions).take(positions));
            values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
        })
        .collect();
    let picture = |held: &Shown| Picture {
        pixels: Pixels { width, height, channels: shown, bytes: bytes(held.pixels, positions, &ranges) },
        frame: match held.frame {
            Frame::Plain => Paint::Soft,
            Frame::Wrong => Paint::Ink,
            Frame::For => Paint::Series(1),
            Frame::Against => Paint::Series(0),
        },
        lines: held.lines.to_vec(),
    };
    let heads = ["test example", "training examples that weigh most: for (blue), against (orange)"].map(str::to_owned);
    let rows = rows.iter().map(|row| row.iter().map(picture).collect()).collect();
    let kind = Kind::Pictures(Pictures { note: note.to_owned(), heads, rows });
    let panel = Panel { title: title.to_owned(), size: HALF, kind };
    Ok(Figure::new("attribution", title, note.to_owned(), vec![panel], Vec::new()))
}

/// The channels side by side, each stretched over its range; a range of no width is grey.
fn bytes(pixels: &[f32], positions: usize, ranges: &[(f32, f32)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ranges.len() * positions);
    for position in 0..positions {
        for (channel, &(low, high)) in ranges.iter().enumerate() {
            let value = pixels.get(channel * positions + position).copied().unwrap_or(low);
            let share = if high > low { (value - low) / (high - low) } else { 0.5 };
            bytes.push((share * 255.0).round() as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_in_the_grid() {
        let pixels: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let picture =
            |frame, name: &str| Shown { pixels: &pixels, lines: [name.to_owned(), "b".into(), "c".into()], frame };
        let rows = vec![
            vec![picture(Frame::Wrong, "<one>"), picture(Frame::For, "two"), picture(Frame::Against, "three")],
            vec![picture(Frame::Plain, "four"), picture(Frame::For, "five")],
        ];
        let svg = grid("a & b", "of run 3", [3, 2, 2], &rows).unwrap().svg().unwrap();
        assert_eq!(svg.matches("<image").count(), 5);
        assert_eq!(svg.matches("data:image/png;base64,").count(), 5);
        assert!(svg.contains("&lt;one&gt;") && svg.contains("a &amp; b") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("l s0").count(), 1);
        assert!(grid("", "", [3, 3, 2], &rows).is_err());
    }

    #[test]
    fn the_range_is_that_of_the_grid() {
        assert_eq!(bytes(&[0.0, 10.0], 2, &[(0.0, 10.0)]), [0, 255]);
        assert_eq!(bytes(&[5.0, 5.0], 2, &[(5.0, 5.0)]), [128, 128]);
    }
}
