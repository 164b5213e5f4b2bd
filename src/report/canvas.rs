//! A sheet to draw on: pixels with fractions, text, lines, dashes and marks over plotters' SVG backend.
//!
//! The backend knows only whole pixels and no text sizes. So everything is drawn ten times as large and the view box
//! scales it back, and no layout depends on measured text: room for labels is given, not computed.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, FontTransform};

use super::style::Mark;
use crate::error::{Error, Result};

/// Drawn units in a pixel.
const FINE: f64 = 10.0;
/// The backend divides sizes by this number.
const FONT_FACTOR: f64 = 1.24;
const FONT: &str = "Helvetica, Arial, Liberation Sans, sans-serif";
/// Width of a letter over the font size, generous: for the room of legends only.
const LETTER: f64 = 0.51;

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Begins at the point.
    Start,
    Middle,
    /// Ends at the point.
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Text {
    pub size: f64,
    pub colour: RGBColor,
    pub align: Align,
    pub bold: bool,
    /// Reads from bottom to top.
    pub upright: bool,
}

/// A point in pixels, from the upper left corner.
pub type Point = (f64, f64);

/// A white sheet of pixels.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a figure of so many pixels; `title` is its name for those who cannot see it.
///
/// # Errors
/// [`Error::Unexpected`] when the backend refuses.
pub fn svg(width: u32, height: u32, title: &str, draw: impl FnOnce(&Canvas) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    let fine = (width * FINE as u32, height * FINE as u32);
    {
        let canvas = Canvas { area: SVGBackend::with_string(&mut text, fine).into_drawing_area() };
        canvas.area.fill(&WHITE).map_err(refused)?;
        draw(&canvas)?;
        canvas.area.present().map_err(refused)?;
    }
    let body = text.split_once('\n').map_or("", |(_, body)| body);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
         role=\"img\">\n<title>{}</title>\n{body}",
        fine.0,
        fine.1,
        escaped(title)
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn refused(cause: impl std::fmt::Display) -> Error {
    Error::Unexpected(format!("cannot draw a figure: {cause}"))
}

fn fine((x, y): Point) -> (i32, i32) {
    ((x * FINE).round() as i32, (y * FINE).round() as i32)
}

/// Room that a text needs, in pixels, on the generous side.
#[must_use]
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

impl Canvas<'_> {
    /// A line through `points`; `dash` are the lengths of stroke and gap.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when the backend refuses; so everywhere here.
    pub fn line(
        &self,
        points: &[Point],
        colour: RGBColor,
        alpha: f64,
        width: f64,
        dash: Option<(f64, f64)>,
    ) -> Result<()> {
        let style = colour.mix(alpha).stroke_width((width * FINE).round() as u32);
        let strokes = match dash {
            Some((stroke, gap)) => dashes(points, stroke, gap),
            None => vec![points.to_vec()],
        };
        for stroke in strokes {
            let path: Vec<(i32, i32)> = deduplicated(stroke.into_iter().map(fine));
            if path.len() > 1 {
                self.area.draw(&PathElement::new(path, style)).map_err(refused)?;
            }
        }
        Ok(())
    }

    /// A filled shape without outline.
    ///
    /// # Errors
    /// See [`Canvas::line`].
    pub fn fill(&self, corners: &[Point], colour: RGBColor, alpha: f64) -> Result<()> {
        let corners: Vec<(i32, i32)> = deduplicated(corners.iter().copied().map(fine));
        self.area.draw(&Polygon::new(corners, colour.mix(alpha).filled())).map_err(refused)
    }

    /// A filled rectangle between two corners.
    ///
    /// # Errors
    /// See [`Canvas::line`].
    pub fn rectangle(&self, from: Point, to: Point, colour: RGBColor) -> Result<()> {
        self.area.draw(&Rectangle::new([fine(from), fine(to)], colour.filled())).map_err(refused)
    }

    /// A point, with a white rim so that neighbours stay apart.
    ///
    /// # Errors
    /// See [`Canvas::line`].
    pub fn mark(&self, at: Point, mark: Mark, radius: f64, colour: RGBColor) -> Result<()> {
        self.solid_mark(at, mark, radius + 1.0, WHITE)?;
        self.solid_mark(at, mark, radius, colour)
    }

    /// A disc without rim.
    ///
    /// # Errors
    /// See [`Canvas::line`].
    pub fn dot(&self, at: Point, radius: f64, colour: RGBColor, alpha: f64) -> Result<()> {
        let disc = Circle::new(fine(at), (radius * FINE).round() as i32, colour.mix(alpha).filled());
        self.area.draw(&disc).map_err(refused)
    }

    fn solid_mark(&self, (x, y): Point, mark: Mark, radius: f64, colour: RGBColor) -> Result<()> {
        let polygon = |corners: &[(f64, f64)]| {
            let corners: Vec<Point> = corners.iter().map(|&(dx, dy)| (x + dx * radius, y + dy * radius)).collect();
            self.fill(&corners, colour, 1.0)
        };
        match mark {
            Mark::Disc => self.dot((x, y), radius, colour, 1.0),
            Mark::Square => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Mark::Triangle => polygon(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]),
            Mark::Diamond => polygon(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
        }
    }

    /// A text, vertically centred on `at`.
    ///
    /// # Errors
    /// See [`Canvas::line`].
    pub fn text(&self, text: &str, at: Point, look: Text) -> Result<()> {
        let horizontal = match look.align {
            Align::Start => HPos::Left,
            Align::Middle => HPos::Center,
            Align::End => HPos::Right,
        };
        let font = FontDesc::new(
            FontFamily::Name(FONT),
            look.size * FONT_FACTOR * FINE,
            if look.bold { FontStyle::Bold } else { FontStyle::Normal },
        )
        .transform(if look.upright { FontTransform::Rotate270 } else { FontTransform::None });
        let style = TextStyle::from(font).color(&look.colour).pos(Pos::new(horizontal, VPos::Center));
        self.area.draw_text(text, &style, fine(at)).map_err(refused)
    }
}

/// Without points that repeat the one before: less to store, the same picture.
fn deduplicated(points: impl Iterator<Item = (i32, i32)>) -> Vec<(i32, i32)> {
    let mut kept: Vec<(i32, i32)> = points.collect();
    kept.dedup();
    kept
}

/// Cuts a line into strokes along its length.
fn dashes(points: &[Point], stroke: f64, gap: f64) -> Vec<Vec<Point>> {
    let mut strokes = Vec::new();
    let mut current: Vec<Point> = Vec::new();
    let mut drawing = true;
    let mut left = stroke;
    for pair in points.windows(2) {
        let &[mut from, to] = pair else { continue };
        if drawing && current.is_empty() {
            current.push(from);
        }
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length < left {
                left -= length;
                if drawing && length > 0.0 {
                    current.push(to);
                }
                break;
            }
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            if drawing {
                current.push(from);
                strokes.push(std::mem::take(&mut current));
                left = gap;
            } else {
                current.push(from);
                left = stroke;
            }
            drawing = !drawing;
        }
    }
    if current.len() > 1 {
        strokes.push(current);
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_the_line() {
        let strokes = dashes(&[(0.0, 0.0), (4.0, 0.0), (10.0, 0.0)], 3.0, 2.0);
        let length: f64 = strokes.iter().flat_map(|stroke| stroke.windows(2)).map(|pair| pair[1].0 - pair[0].0).sum();
        // 0-3, 5-8: six of ten pixels, and the gap from 8 to 10.
        assert_eq!(strokes.len(), 2);
        assert!((length - 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_figure_is_scaled_back_and_named() {
        let draw = || {
            svg(20, 10, "a < b", |canvas| {
                canvas.line(&[(0.05, 0.0), (10.0, 5.0)], BLACK, 1.0, 1.5, None)?;
                canvas.text(
                    "x & y",
                    (5.0, 5.0),
                    Text { size: 12.0, colour: BLACK, align: Align::Middle, bold: true, upright: false },
                )
            })
            .expect("drawn")
        };
        let text = draw();
        assert!(text.starts_with(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"20\" height=\"10\" viewBox=\"0 0 200 100\""
        ));
        assert!(text.contains("<title>a &lt; b</title>"));
        assert!(text.contains("stroke-width=\"15\""));
        assert!(text.contains("points=\"1,0 100,50 \""));
        assert!(text.contains("x &amp; y"));
        assert!(text.trim_end().ends_with("</svg>"));
        assert_eq!(text, draw());
    }
}
