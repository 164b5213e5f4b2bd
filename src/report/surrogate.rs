//! Which training examples a surrogate's decisions rest on, as a grid of pictures.

use std::fmt::Write;

use super::png::data_address;
use crate::error::Result;

/// Side of a picture, and what stands between and below pictures, in pixels.
const SIDE: usize = 76;
const GAP: usize = 18;
const CAPTION: usize = 46;
const LEFT: usize = 24;
/// Between the test example and the training examples.
const APART: usize = 44;
const TOP: usize = 74;

/// A picture with what is written below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture<'a> {
    /// `[channels, height, width]`; any scale, one for the whole grid.
    pub pixels: &'a [f32],
    pub lines: [String; 3],
    /// The colour of its frame.
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

/// A test example and the training examples that weigh most in its decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    pub test: Picture<'a>,
    pub training: Vec<Picture<'a>>,
}

/// Draws the grid as SVG with the pictures inside. Values are mapped to black and white channel by channel over the whole grid;
/// of examples with another number of channels than 1 or 3 the first is shown.
///
/// # Errors
/// `Unexpected` if a picture is not of that shape.
pub fn grid(title: &str, subtitle: &str, [channels, height, width]: [usize; 3], rows: &[Row]) -> Result<String> {
    let positions = height * width;
    let shown = if channels == 3 { 3 } else { 1 };
    let pictures = || rows.iter().flat_map(|row| std::iter::once(&row.test).chain(&row.training));
    let ranges: Vec<(f32, f32)> = (0..shown)
        .map(|channel| {
            let values = pictures().flat_map(|picture| picture.pixels.iter().skip(channel * positions).take(positions));
            values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
        })
        .collect();
    let columns = rows.iter().map(|row| row.training.len()).max().unwrap_or(0);
    let wide = (LEFT + SIDE + APART + columns * (SIDE + GAP)).max(560);
    let tall = TOP + rows.len() * (SIDE + CAPTION) + 8;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{tall}\" viewBox=\"0 0 {wide} {tall}\" role=\"img\" \
         font-family=\"Helvetica, Arial, Liberation Sans, sans-serif\" font-size=\"11\" fill=\"#222222\">\n\
         <title>{}</title>\n<rect width=\"{wide}\" height=\"{tall}\" fill=\"#FFFFFF\"/>\n",
        escaped(title)
    );
    let mut text = |x: usize, y: usize, style: &str, text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\"{style}>{}</text>", escaped(text));
    };
    text(LEFT, 24, " font-size=\"15\" font-weight=\"bold\"", title);
    text(LEFT, 42, " fill=\"#555555\"", subtitle);
    text(LEFT, TOP - 10, " font-weight=\"bold\"", "test example");
    text(
        LEFT + SIDE + APART,
        TOP - 10,
        " font-weight=\"bold\"",
        "training examples that weigh most, for (blue) or against (orange)",
    );
    for (place, row) in rows.iter().enumerate() {
        let y = TOP + place * (SIDE + CAPTION);
        let places =
            std::iter::once(LEFT).chain((0..row.training.len()).map(|i| LEFT + SIDE + APART + i * (SIDE + GAP)));
        for (picture, x) in std::iter::once(&row.test).chain(&row.training).zip(places) {
            let address = image(picture.pixels, [shown, height, width], &ranges)?;
            let (colour, line) = match picture.frame {
                Frame::Plain => ("#555555", 1),
                Frame::Wrong => ("#222222", 4),
                Frame::For => ("#0072B2", 3),
                Frame::Against => ("#D55E00", 3),
            };
            let _ = writeln!(
                out,
                "<image x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" style=\"image-rendering:pixelated\" href=\"{address}\"/>\n\
                 <rect x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{line}\"/>"
            );
            for (place, line) in picture.lines.iter().enumerate() {
                let (y, style) =
                    (y + SIDE + 13 + 11 * place, if place == 0 { "" } else { " fill=\"#555555\" font-size=\"10\"" });
                let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\"{style}>{}</text>", escaped(line));
            }
        }
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// The first `shape[0]` channels as PNG, each stretched over its range.
fn image(pixels: &[f32], [channels, height, width]: [usize; 3], ranges: &[(f32, f32)]) -> Result<String> {
    let positions = height * width;
    let mut bytes = Vec::with_capacity(channels * positions);
    for position in 0..positions {
        for (channel, &(low, high)) in (0..channels).zip(ranges) {
            let value = pixels.get(channel * positions + position).copied().unwrap_or(low);
            let share = if high > low { (value - low) / (high - low) } else { 0.5 };
            bytes.push((share * 255.0).round() as u8);
        }
    }
    data_address(width, height, channels, &bytes)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_in_the_grid() {
        let pixels: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let picture =
            |frame, name: &str| Picture { pixels: &pixels, lines: [name.to_owned(), "b".into(), "c".into()], frame };
        let rows = vec![
            Row {
                test: picture(Frame::Wrong, "<one>"),
                training: vec![picture(Frame::For, "two"), picture(Frame::Against, "three")],
            },
            Row { test: picture(Frame::Plain, "four"), training: vec![picture(Frame::For, "five")] },
        ];
        let svg = grid("a & b", "of run 3", [3, 2, 2], &rows).unwrap();
        assert_eq!(svg.matches("<image").count(), 5);
        assert_eq!(svg.matches("data:image/png;base64,").count(), 5);
        assert!(svg.contains("&lt;one&gt;") && svg.contains("a &amp; b") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("#D55E00").count(), 1);
    }

    #[test]
    fn the_range_is_that_of_the_grid() {
        let ranges = [(0.0, 10.0)];
        assert_eq!(image(&[0.0, 10.0], [1, 1, 2], &ranges).unwrap(), data_address(2, 1, 1, &[0, 255]).unwrap());
        assert_eq!(image(&[5.0, 5.0], [1, 1, 2], &[(5.0, 5.0)]).unwrap(), data_address(2, 1, 1, &[128, 128]).unwrap());
    }
}
