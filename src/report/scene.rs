//! A picture as shapes in pixels, from the upper left corner; [`Scene::svg`] and [`super::pdf`] write it. Widths of texts are
//! those of Helvetica, so that labels get the room they need in both.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::style::{Mark, Paint, sheet};
use super::text::markup;
use crate::error::{Error, Result};

/// Marks of at least this radius have a rim of paper, so that neighbours stay apart; smaller ones are of a cloud.
pub const RIM: f64 = 2.5;

/// A point in pixels.
pub type Point = (f64, f64);

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Begins at the point.
    Start,
    Middle,
    /// Ends at the point.
    End,
}

/// A picture of bytes, `[height, width, channels]`, 1 channel (grey) or 3 (red, green, blue).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub bytes: Vec<u8>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Pieces of a line, its width, and the lengths of stroke and gap if it is dashed.
    Line { pieces: Vec<Vec<Point>>, width: f64, dash: Option<(f64, f64)> },
    /// A filled polygon without outline.
    Area { corners: Vec<Point> },
    /// A point.
    Mark { at: Point, mark: Mark, radius: f64 },
    /// A text, vertically centred on its point; `upright` reads from bottom to top.
    Text { at: Point, text: String, size: f64, align: Align, bold: bool, upright: bool },
    /// An image in a box of that size.
    Image { at: Point, size: Point, pixels: Pixels },
}

/// A shape with its colour and meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub shape: Shape,
    pub paint: Paint,
    pub opacity: f64,
    /// What the shape stands for, a run's index as a rule; several are separated by spaces. A page highlights all shapes of a
    /// key together.
    pub key: String,
    /// What a reader who points at it is told.
    pub tip: String,
    /// Whether it is seen only while its key is picked; files leave it out.
    pub hidden: bool,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scene {
    pub width: f64,
    pub height: f64,
    pub items: Vec<Item>,
}

impl Scene {
    /// An empty sheet.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, items: Vec::new() }
    }

    /// Draws a shape; the item can be given a meaning.
    pub fn draw(&mut self, shape: Shape, paint: Paint) -> &mut Item {
        self.items.push(Item { shape, paint, opacity: 1.0, key: String::new(), tip: String::new(), hidden: false });
        let last = self.items.len() - 1;
        &mut self.items[last]
    }

    /// Draws a solid line.
    pub fn line(&mut self, points: &[Point], paint: Paint, width: f64) -> &mut Item {
        self.draw(Shape::Line { pieces: vec![points.to_vec()], width, dash: None }, paint)
    }

    /// Draws a filled rectangle between two corners.
    pub fn rectangle(&mut self, from: Point, to: Point, paint: Paint) -> &mut Item {
        self.draw(Shape::Area { corners: vec![from, (to.0, from.1), to, (from.0, to.1)] }, paint)
    }

    /// Draws a text in one line.
    pub fn text(&mut self, at: Point, text: &str, size: f64, align: Align, paint: Paint) -> &mut Item {
        self.draw(Shape::Text { at, text: text.to_owned(), size, align, bold: false, upright: false }, paint)
    }

    /// The same in bold letters.
    pub fn title(&mut self, at: Point, text: &str, size: f64, align: Align) -> &mut Item {
        self.draw(Shape::Text { at, text: text.to_owned(), size, align, bold: true, upright: false }, Paint::Ink)
    }

    /// Draws a mark.
    pub fn mark(&mut self, at: Point, mark: Mark, radius: f64, paint: Paint) -> &mut Item {
        self.draw(Shape::Mark { at, mark, radius }, paint)
    }

    /// Puts another picture onto this one.
    pub fn place(&mut self, other: Self, by: Point) {
        let moved = |(x, y): Point| (x + by.0, y + by.1);
        self.items.extend(other.items.into_iter().map(|mut item| {
            match &mut item.shape {
                Shape::Line { pieces, .. } => pieces.iter_mut().flatten().for_each(|point| *point = moved(*point)),
                Shape::Area { corners } => corners.iter_mut().for_each(|point| *point = moved(*point)),
                Shape::Mark { at, .. } | Shape::Text { at, .. } | Shape::Image { at, .. } => *at = moved(*at),
            }
            item
        }));
    }

    /// An SVG file that stands alone, on white.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if an image is not of its size.
    pub fn svg(&self, title: &str) -> Result<String> {
        let (width, height) = (self.width.ceil(), self.height.ceil());
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"Helvetica, Arial, Liberation Sans, sans-serif\">\n<title>{}</title>\n<style>{}</style>\n\
             <rect class=\"a paper\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            markup(title),
            sheet(),
            self.shapes(false)?
        ))
    }

    /// An SVG element in a page, coloured by the page; `data` are further attributes.
    ///
    /// # Errors
    /// As [`Scene::svg`].
    pub fn inline(&self, title: &str, data: &str) -> Result<String> {
        Ok(format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"{data}>\n{}<g class=\"top\"></g></svg>",
            self.width.ceil(),
            self.height.ceil(),
            markup(title),
            self.shapes(true)?
        ))
    }

    fn shapes(&self, live: bool) -> Result<String> {
        let mut out = String::new();
        for item in self.items.iter().filter(|item| live || !item.hidden) {
            let mut rest = String::new();
            if item.opacity < 1.0 {
                rest.push_str(&format!(" opacity=\"{}\"", short(item.opacity)));
            }
            if live && !item.key.is_empty() {
                rest.push_str(&format!(" data-run=\"{}\"", markup(&item.key)));
            }
            if live && !item.tip.is_empty() {
                rest.push_str(&format!(" data-tip=\"{}\"", markup(&item.tip)));
            }
            let class = format!("{}{}", item.paint.class(), if item.hidden { " hidden" } else { "" });
            // Writing to a string cannot fail.
            let _ = match &item.shape {
                Shape::Line { pieces, width, dash } => {
                    let path: String = pieces.iter().filter(|piece| piece.len() > 1).map(|piece| path(piece)).collect();
                    let dash = dash.map_or_else(String::new, |(stroke, gap)| {
                        format!(" stroke-dasharray=\"{} {}\"", short(stroke), short(gap))
                    });
                    if path.is_empty() {
                        continue;
                    }
                    writeln!(
                        out,
                        "<path class=\"l {class}\"{rest} d=\"{path}\" stroke-width=\"{}\"{dash}/>",
                        short(*width)
                    )
                }
                Shape::Area { corners } => {
                    writeln!(out, "<path class=\"a {class}\"{rest} d=\"{}Z\"/>", path(corners))
                }
                Shape::Mark { at, mark, radius } => {
                    if *radius >= RIM {
                        let hidden = if item.hidden { " hidden" } else { "" };
                        let rim = outline(*at, *mark, radius + 1.0);
                        out.push_str(&format!("<path class=\"a paper{hidden}\" d=\"{rim}\"/>"));
                    }
                    writeln!(out, "<path class=\"a m {class}\"{rest} d=\"{}\"/>", outline(*at, *mark, *radius))
                }
                Shape::Text { at, text, size, align, bold, upright } => {
                    let anchor = match align {
                        Align::Start => "",
                        Align::Middle => " text-anchor=\"middle\"",
                        Align::End => " text-anchor=\"end\"",
                    };
                    let weight = if *bold { " font-weight=\"bold\"" } else { "" };
                    // Letters are centred by the height of capitals, 0.72 of the size.
                    let place = if *upright {
                        format!(" transform=\"translate({} {}) rotate(-90)\"", short(at.0 + 0.36 * size), short(at.1))
                    } else {
                        format!(" x=\"{}\" y=\"{}\"", short(at.0), short(at.1 + 0.36 * size))
                    };
                    writeln!(
                        out,
                        "<text class=\"a {class}\"{rest}{place} font-size=\"{}\"{anchor}{weight}>{}</text>",
                        short(*size),
                        markup(text)
                    )
                }
                Shape::Image { at, size, pixels } => writeln!(
                    out,
                    "<image{rest} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"image-rendering:pixelated\" href=\"{}\"/>",
                    short(at.0),
                    short(at.1),
                    short(size.0),
                    short(size.1),
                    pixels.address()?
                ),
            };
        }
        Ok(out)
    }
}

impl Pixels {
    /// As a PNG in `data:image/png;base64,…`.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if the bytes are not of that size.
    pub fn address(&self) -> Result<String> {
        let refused = |cause: &dyn std::fmt::Display| {
            Error::Unexpected(format!("cannot write an image of {}x{}: {cause}", self.width, self.height))
        };
        let side = |side: usize| u32::try_from(side).ok().filter(|&side| side > 0);
        let (Some(width), Some(height), true) = (side(self.width), side(self.height), matches!(self.channels, 1 | 3))
        else {
            return Err(refused(&format!("it has {} channels", self.channels)));
        };
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(if self.channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|cause| refused(&cause))?;
        writer.write_image_data(&self.bytes).map_err(|cause| refused(&cause))?;
        writer.finish().map_err(|cause| refused(&cause))?;
        Ok(format!("data:image/png;base64,{}", STANDARD.encode(&file)))
    }
}

/// The outline of a mark as a path.
fn outline((x, y): Point, mark: Mark, radius: f64) -> String {
    match mark {
        Mark::Disc => format!(
            "M{} {}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0Z",
            short(x - radius),
            short(y),
            r = short(radius),
            d = short(2.0 * radius)
        ),
        _ => format!("{}Z", path(&corners((x, y), mark, radius))),
    }
}

/// Corners of a mark that is no disc.
#[must_use]
pub fn corners((x, y): Point, mark: Mark, radius: f64) -> Vec<Point> {
    let unit: &[Point] = match mark {
        Mark::Disc => &[],
        Mark::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        Mark::Triangle => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
        Mark::Diamond => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
    };
    unit.iter().map(|&(dx, dy)| (x + dx * radius, y + dy * radius)).collect()
}

/// `M1 2L3 4…` without points that repeat the one before.
fn path(points: &[Point]) -> String {
    let mut texts: Vec<String> = points.iter().map(|&(x, y)| format!("{} {}", short(x), short(y))).collect();
    texts.dedup();
    // A line of no length is a dot that somebody means: keep both ends.
    if texts.len() == 1 && points.len() > 1 {
        texts.push(texts[0].clone());
    }
    format!("M{}", texts.join("L"))
}

/// With one decimal at most, two below 1.
fn short(value: f64) -> String {
    let scale = if value.abs() < 1.0 { 100.0 } else { 10.0 };
    let rounded = (value * scale).round() / scale;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

/// Widths of the letters from space to tilde in thousandths of the size (Adobe's metrics of Helvetica).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
];

/// Width of a letter over the size.
#[must_use]
pub fn letter_width(letter: char) -> f64 {
    let place = (letter as usize).checked_sub(32);
    let width = match letter {
        '\u{300}'..='\u{36f}' => 0,
        '⁰'..='⁹' | '⁻' | '¹' | '²' | '³' | '₀'..='₉' => 340,
        '…' | '→' => 1000,
        '−' | '±' => 584,
        '–' => 556,
        _ => place.and_then(|place| WIDTHS.get(place)).copied().unwrap_or(600),
    };
    f64::from(width) / 1000.0
}

/// Width of a text in pixels.
#[must_use]
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(letter_width).sum::<f64>() * size
}

/// Room to give to a text: where Helvetica is not installed its stand-in may be wider.
#[must_use]
pub fn room_of(text: &str, size: f64) -> f64 {
    text_width(text, size) * 1.15
}

/// The text, or as much of it as `room` pixels hold, with dots for the rest.
#[must_use]
pub fn cut(text: &str, size: f64, room: f64) -> String {
    if room_of(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        if room_of(&format!("{kept}{letter}…"), size) > room {
            break;
        }
        kept.push(letter);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Scene {
        let mut scene = Scene::new(20.0, 10.0);
        scene.line(&[(0.05, 0.0), (0.051, 0.0), (10.0, 5.0)], Paint::Ink, 1.5).key = "3".to_owned();
        scene.text((5.0, 5.0), "x & y", 10.0, Align::Middle, Paint::Ink);
        scene.mark((1.0, 1.0), Mark::Square, 2.0, Paint::Series(1)).hidden = true;
        scene
    }

    #[test]
    fn a_figure_is_named_escaped_and_the_same_each_time() {
        let text = sample().svg("a < b").unwrap();
        assert!(
            text.starts_with(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"20\" height=\"10\" viewBox=\"0 0 20 10\""
            )
        );
        assert!(text.contains("<title>a &lt; b</title>") && text.contains("x &amp; y") && text.ends_with("</svg>\n"));
        assert!(text.contains("d=\"M0.05 0L10 5\" stroke-width=\"1.5\""), "{text}");
        assert_eq!(text, sample().svg("a < b").unwrap());
    }

    #[test]
    fn a_page_gets_keys_and_what_is_hidden() {
        let (file, page) = (sample().svg("").unwrap(), sample().inline("", " data-x=\"1\"").unwrap());
        assert!(!file.contains("data-run") && !file.contains("class=\"a m s1"));
        assert!(
            page.contains("data-run=\"3\"")
                && page.contains("class=\"a m s1 hidden\"")
                && page.contains("data-x=\"1\"")
        );
    }

    #[test]
    fn pixels_come_back() {
        let image = |channels, count: u8| Pixels { width: 3, height: 2, channels, bytes: (0..count).collect() };
        let address = image(3, 18).address().unwrap();
        let bytes = STANDARD.decode(address.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut back = vec![0; 18];
        reader.next_frame(&mut back).unwrap();
        assert_eq!(back, (0..18).collect::<Vec<u8>>());
        assert!(image(3, 17).address().is_err() && image(2, 12).address().is_err());
    }

    #[test]
    fn texts_are_cut_to_their_room() {
        // Helvetica: H 722, i 222.
        assert!((text_width("Hi", 10.0) - 9.44).abs() < 1e-9);
        assert_eq!(cut("Hi", 10.0, 11.0), "Hi");
        let short = cut("a long name of a class", 10.0, 60.0);
        assert!(short.ends_with('…') && text_width(&short, 10.0) <= 60.0, "{short}");
    }
}
