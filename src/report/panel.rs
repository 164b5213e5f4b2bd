//! One pair of axes, and legends beside it.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::canvas::{Align, Canvas, Point, Text, text_width};
use super::style::{BAND, GRID, INK, LIMIT, Look, Mark, PAPER, SOFT_INK};
use crate::analysis::Band;
use crate::error::Result;

/// Size of tick labels and legends in pixels.
pub const SMALL: f64 = 12.0;
/// Size of axis labels.
pub const NORMAL: f64 = 13.0;
/// Size of a panel's title.
pub const LARGE: f64 = 14.0;

/// Where the frame of a panel lies on its sheet, in pixels, without ticks and labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// A pair of axes on a sheet.
pub struct Panel<'a, 'b> {
    canvas: &'a Canvas<'b>,
    frame: Frame,
    x: Axis,
    y: Axis,
}

/// Text in the ink of axes.
#[must_use]
pub fn ink(size: f64, align: Align) -> Text {
    Text { size, colour: INK, align, bold: false, upright: false }
}

impl<'a, 'b> Panel<'a, 'b> {
    /// Draws frame, grid, ticks and labels. The vertical label stands `room` pixels left of the frame.
    ///
    /// # Errors
    /// As [`Canvas::line`]; so everywhere here.
    pub fn new(canvas: &'a Canvas<'b>, frame: Frame, title: &str, x: Axis, y: Axis, room: f64) -> Result<Self> {
        let panel = Self { canvas, frame, x, y };
        let Frame { left, top, right, bottom } = frame;
        let tick = Text { colour: SOFT_INK, ..ink(SMALL, Align::Middle) };
        for (value, label) in panel.x.ticks() {
            if let Some(x) = panel.across(*value) {
                canvas.line(&[(x, top), (x, bottom)], GRID, 1.0, 1.0, None)?;
                canvas.line(&[(x, bottom), (x, bottom + 4.0)], SOFT_INK, 1.0, 1.0, None)?;
                canvas.text(label, (x, bottom + 13.0), tick)?;
            }
        }
        for (value, label) in panel.y.ticks() {
            if let Some(y) = panel.up(*value) {
                canvas.line(&[(left, y), (right, y)], GRID, 1.0, 1.0, None)?;
                canvas.line(&[(left - 4.0, y), (left, y)], SOFT_INK, 1.0, 1.0, None)?;
                canvas.text(label, (left - 8.0, y), Text { align: Align::End, ..tick })?;
            }
        }
        for x in panel.x.minor().iter().filter_map(|&value| panel.across(value)) {
            canvas.line(&[(x, bottom), (x, bottom + 2.5)], SOFT_INK, 1.0, 0.8, None)?;
        }
        for y in panel.y.minor().iter().filter_map(|&value| panel.up(value)) {
            canvas.line(&[(left - 2.5, y), (left, y)], SOFT_INK, 1.0, 0.8, None)?;
        }
        canvas.line(&[(left, top), (left, bottom), (right, bottom)], SOFT_INK, 1.0, 1.0, None)?;
        canvas.text(&panel.x.label, ((left + right) / 2.0, bottom + 34.0), ink(NORMAL, Align::Middle))?;
        let upright = Text { upright: true, ..ink(NORMAL, Align::Middle) };
        canvas.text(&panel.y.label, (left - room, (top + bottom) / 2.0), upright)?;
        if !title.is_empty() {
            canvas.text(title, (left, top - 15.0), Text { bold: true, ..ink(LARGE, Align::Start) })?;
        }
        Ok(panel)
    }

    /// Where a value of the horizontal axis lies, in pixels, also beyond the frame.
    fn across(&self, value: f64) -> Option<f64> {
        self.x.share(value).map(|share| self.frame.left + share * (self.frame.right - self.frame.left))
    }

    /// Where a value of the vertical axis lies, in pixels, also beyond the frame.
    fn up(&self, value: f64) -> Option<f64> {
        self.y.share(value).map(|share| self.frame.bottom - share * (self.frame.bottom - self.frame.top))
    }

    /// Where a point lies, held inside the frame.
    fn point(&self, x: f64, y: f64) -> Option<Point> {
        let Frame { left, top, right, bottom } = self.frame;
        Some((self.across(x)?.clamp(left, right), self.up(y)?.clamp(top, bottom)))
    }

    /// A curve; it is interrupted where a value has no place, and cut where it leaves the frame.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn curve(&self, values: impl Iterator<Item = (f64, f64)>, look: Look, alpha: f64, width: f64) -> Result<()> {
        let mut piece: Vec<Point> = Vec::new();
        let mut last: Option<Point> = None;
        for (x, y) in values {
            let next = self.across(x).zip(self.up(y));
            if let Some((from, to)) = last.zip(next).and_then(|(from, to)| clip(from, to, self.frame)) {
                if piece.last() != Some(&from) {
                    self.canvas.line(&piece, look.colour, alpha, width, look.dash)?;
                    piece = vec![from];
                }
                piece.push(to);
            }
            last = next;
        }
        self.canvas.line(&piece, look.colour, alpha, width, look.dash)
    }

    /// A band from `low` to `high`, and its median.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn band(&self, x: &[f64], band: &Band, fill: RGBColor, line: RGBColor) -> Result<()> {
        let side = |y: &[Option<f64>]| -> Vec<Point> {
            x.iter().zip(y).filter_map(|(&x, &y)| self.across(x).zip(self.up(y?))).collect()
        };
        let mut outline = side(&band.high);
        outline.extend(side(&band.low).into_iter().rev());
        let outline = clip_area(outline, self.frame);
        if outline.len() > 2 {
            self.canvas.fill(&outline, fill, 0.75)?;
        }
        let median = band.median.iter().map(|value| value.unwrap_or(f64::NAN));
        self.curve(x.iter().copied().zip(median), Look { colour: line, mark: Mark::Disc, dash: None }, 1.0, 1.6)
    }

    /// A mark at a value.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn mark(&self, x: f64, y: f64, mark: Mark, radius: f64, colour: RGBColor) -> Result<()> {
        match self.point(x, y) {
            Some(at) => self.canvas.mark(at, mark, radius, colour),
            None => Ok(()),
        }
    }

    /// A dot without rim, for clouds of many.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn dot(&self, x: f64, y: f64, radius: f64, colour: RGBColor, alpha: f64) -> Result<()> {
        match self.point(x, y) {
            Some(at) => self.canvas.dot(at, radius, colour, alpha),
            None => Ok(()),
        }
    }

    /// A vertical bar from `low` to `high` at `x`: an interval.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn interval(&self, x: f64, low: f64, high: f64, colour: RGBColor) -> Result<()> {
        match (self.point(x, low), self.point(x, high)) {
            (Some(from), Some(to)) => self.canvas.line(&[from, to], colour, 0.8, 1.2, None),
            _ => Ok(()),
        }
    }

    /// How many pixels apart two values of the vertical axis lie.
    #[must_use]
    pub fn apart(&self, a: f64, b: f64) -> f64 {
        self.up(a).zip(self.up(b)).map_or(f64::INFINITY, |(a, b)| (a - b).abs())
    }

    /// A horizontal bar from `low` to `high` at height `y`: an interval.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn reach(&self, y: f64, low: f64, high: f64, colour: RGBColor) -> Result<()> {
        match (self.point(low, y), self.point(high, y)) {
            (Some(from), Some(to)) => self.canvas.line(&[from, to], colour, 0.9, 1.6, None),
            _ => Ok(()),
        }
    }

    /// A dashed line across the panel at height `y`, with a text at its right end, above it or `below`.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn limit(&self, y: f64, label: &str, below: bool) -> Result<()> {
        let Some(height) = self.up(y) else { return Ok(()) };
        let Frame { left, right, .. } = self.frame;
        self.canvas.line(&[(left, height), (right, height)], LIMIT, 0.75, 1.0, Some((5.0, 4.0)))?;
        if label.is_empty() {
            return Ok(());
        }
        // Curves must not run through the text.
        let room = text_width(label, SMALL);
        let middle = if below { height + 9.0 } else { height - 8.0 };
        self.canvas.rectangle((right - 4.0 - room, middle - 7.0), (right - 1.0, middle + 6.0), PAPER)?;
        self.canvas.text(label, (right - 4.0, middle), Text { colour: INK, ..ink(SMALL, Align::End) })
    }

    /// A text beside a value, `dx` pixels to its right and `dy` below.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn note(&self, x: f64, y: f64, (dx, dy): Point, text: &str, look: Text) -> Result<()> {
        match self.point(x, y) {
            Some((x, y)) => self.canvas.text(text, (x + dx, y + dy), look),
            None => Ok(()),
        }
    }

    /// A filled rectangle between two corners in values.
    ///
    /// # Errors
    /// See [`Panel::new`].
    pub fn cell(&self, from: (f64, f64), to: (f64, f64), colour: RGBColor) -> Result<()> {
        match (self.point(from.0, from.1), self.point(to.0, to.1)) {
            (Some(from), Some(to)) => {
                let upper_left = (from.0.min(to.0), from.1.min(to.1));
                let lower_right = (from.0.max(to.0), from.1.max(to.1));
                self.canvas.rectangle(upper_left, lower_right, colour)
            }
            _ => Ok(()),
        }
    }
}

/// What a legend shows beside a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Swatch {
    Band(RGBColor, RGBColor),
    Line(Look, f64),
    Mark(Look),
}

/// Height of a row of a legend in pixels.
pub const ROW: f64 = 20.0;

/// Entries of swatch and text, downwards from `at`; texts longer than `room` pixels are cut.
///
/// # Errors
/// As [`Canvas::line`].
pub fn legend(canvas: &Canvas, at: Point, room: f64, entries: &[(Swatch, String)]) -> Result<()> {
    legend_columns(canvas, at, room, 1, entries)
}

/// The same in columns of `room` pixels each, filled row by row.
///
/// # Errors
/// As [`Canvas::line`].
pub fn legend_columns(
    canvas: &Canvas,
    (start, top): Point,
    room: f64,
    columns: usize,
    entries: &[(Swatch, String)],
) -> Result<()> {
    const WIDTH: f64 = 24.0;
    for (place, (swatch, text)) in entries.iter().enumerate() {
        let left = start + room * (place % columns.max(1)) as f64;
        let middle = top + ROW * (place / columns.max(1)) as f64;
        let line = [(left, middle), (left + WIDTH, middle)];
        match *swatch {
            Swatch::Band(fill, median) => {
                canvas.rectangle((left, middle - 6.0), (left + WIDTH, middle + 6.0), fill)?;
                canvas.line(&line, median, 1.0, 1.6, None)?;
            }
            Swatch::Line(look, width) => canvas.line(&line, look.colour, 1.0, width, look.dash)?,
            Swatch::Mark(look) => canvas.mark((left + WIDTH / 2.0, middle), look.mark, 4.5, look.colour)?,
        }
        canvas.text(&cut(text, room - WIDTH - 8.0), (left + WIDTH + 8.0, middle), ink(SMALL, Align::Start))?;
    }
    Ok(())
}

/// The band of the typical runs as a legend shows it.
pub const TYPICAL_BAND: Swatch = Swatch::Band(BAND, INK);

/// The part of the stroke between two points that lies in the frame (Liang and Barsky 1984).
fn clip(from: Point, to: Point, frame: Frame) -> Option<(Point, Point)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let sides = [
        (-dx, from.0 - frame.left),
        (dx, frame.right - from.0),
        (-dy, from.1 - frame.top),
        (dy, frame.bottom - from.1),
    ];
    for (towards, distance) in sides {
        if towards == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if towards < 0.0 {
            enter = enter.max(distance / towards);
        } else {
            leave = leave.min(distance / towards);
        }
    }
    let at = |share: f64| (from.0 + dx * share, from.1 + dy * share);
    (enter <= leave).then(|| (if enter > 0.0 { at(enter) } else { from }, if leave < 1.0 { at(leave) } else { to }))
}

/// The part of an area that lies in the frame (Sutherland and Hodgman 1974).
fn clip_area(mut corners: Vec<Point>, frame: Frame) -> Vec<Point> {
    // How far inside each side a point lies.
    let sides: [&dyn Fn(Point) -> f64; 4] =
        [&|p| p.0 - frame.left, &|p| frame.right - p.0, &|p| p.1 - frame.top, &|p| frame.bottom - p.1];
    for inside in sides {
        let mut kept = Vec::with_capacity(corners.len() + 4);
        for (place, &to) in corners.iter().enumerate() {
            let from = corners[(place + corners.len() - 1) % corners.len()];
            let (before, after) = (inside(from), inside(to));
            if (before < 0.0) != (after < 0.0) {
                let share = before / (before - after);
                kept.push((from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share));
            }
            if after >= 0.0 {
                kept.push(to);
            }
        }
        corners = kept;
    }
    corners
}

fn cut(text: &str, room: f64) -> String {
    if text_width(text, SMALL) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        if text_width(&kept, SMALL) + text_width("xx", SMALL) > room {
            break;
        }
        kept.push(letter);
    }
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn strokes_end_at_the_frame() {
        assert_eq!(clip((1.0, 1.0), (9.0, 9.0), FRAME), Some(((1.0, 1.0), (9.0, 9.0))));
        assert_eq!(clip((5.0, 5.0), (5.0, 25.0), FRAME), Some(((5.0, 5.0), (5.0, 10.0))));
        assert_eq!(clip((-10.0, 5.0), (20.0, 5.0), FRAME), Some(((0.0, 5.0), (10.0, 5.0))));
        assert_eq!(clip((5.0, 12.0), (9.0, 20.0), FRAME), None);
        assert_eq!(clip((-5.0, 4.0), (4.0, -6.0), FRAME), None);
    }

    #[test]
    fn areas_end_at_the_frame() {
        let square = [(1.0, 1.0), (9.0, 1.0), (9.0, 9.0), (1.0, 9.0)];
        assert_eq!(clip_area(square.to_vec(), FRAME), square);
        assert_eq!(clip_area(vec![(20.0, 1.0), (30.0, 1.0), (30.0, 9.0)], FRAME), []);
        // Half of a triangle across the lower side.
        let mut cut = clip_area(vec![(0.0, 5.0), (10.0, 5.0), (5.0, 15.0)], FRAME);
        cut.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(cut, [(0.0, 5.0), (2.5, 10.0), (7.5, 10.0), (10.0, 5.0)]);
    }

    #[test]
    fn long_legends_are_cut() {
        assert_eq!(cut("short", 100.0), "short");
        let text = cut("a text that is far too long", 60.0);
        assert!(text.ends_with('…') && text_width(&text, SMALL) <= 60.0 + SMALL, "{text}");
    }
}
