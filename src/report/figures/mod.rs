//! Figures as data, drawn once for every place: an SVG file beside Markdown, the same panels inline in a page (in its colours,
//! and alive), and a PDF at a paper's width.
//!
//! **To add a figure** to the report of a sweep, write a function `fn(&Analysis, &Looks) -> Option<Figure>` in one file under
//! `sweep/` and name it in one row of [`sweep::FIGURES`]; those of a comparison, a history and an attribution are listed in
//! the same way in their own folders. A figure has an `id` (name of its file and anchor on the page), a title, a caption that
//! says what to see, one or more [`Panel`]s, and a legend. A panel is a [`Kind`]: a `Chart` of [`Layer`]s over two axes, a
//! `Matrix`, `Rows` of intervals, or `Pictures`. Nothing computes pixels: room for labels is measured by the renderer.
//!
//! Whatever stands for one run gets that run's index as its `key` (several keys are separated by spaces; two sides of a
//! comparison use `b3` and `c3`). That is all it takes for a page to highlight it together with everything else of that key. A
//! point's `tip` is what a reader who points at it is told; of curves the page reads the value off the axes.

mod draw;
mod grids;
pub mod sweep;

use super::axis::Axis;
use super::pdf;
use super::scene::{Pixels, Point, Scene};
pub use super::style::{Look, Mark, Paint};
use crate::analysis::Band;
use crate::error::Result;

/// One or more panels with one legend and one caption.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name of its files without their ends, and its anchor on the page.
    pub id: &'static str,
    pub title: String,
    /// What to see in it; words in backquotes are code.
    pub caption: String,
    pub panels: Vec<Panel>,
    /// Panels side by side in a file, at most.
    pub columns: usize,
    pub legend: Vec<Entry>,
}

/// One picture of a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub title: String,
    /// Width and height in pixels, with everything around the frame.
    pub size: Point,
    pub kind: Kind,
}

/// What a panel shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Layers over two axes, drawn in order.
    Chart {
        x: Axis,
        y: Axis,
        layers: Vec<Layer>,
    },
    Matrix(Matrix),
    Rows(Vec<Row>),
    Pictures(Pictures),
}

/// Something over two axes.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// The area from `low` to `high` and the line of the median; `x` has a place for each value.
    Band {
        x: Vec<f64>,
        band: Band,
        fill: Paint,
        opacity: f64,
        line: Paint,
    },
    Curve(Curve),
    Points(Vec<Dot>),
    /// A line across the panel at height `at`, or upright at that place.
    Limit {
        at: f64,
        upright: bool,
        look: Look,
    },
    /// Upright bars from 0 or from the lower end of the axis: left end, right end, height.
    Bars {
        bars: Vec<(f64, f64, f64)>,
        paint: Paint,
    },
    /// A shaded range of the horizontal axis.
    Period {
        from: f64,
        to: f64,
    },
}

/// A line through points; it is interrupted where a value is not finite, and has marks where they are few.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    pub points: Vec<(f64, f64)>,
    pub key: String,
    pub look: Look,
    pub width: f64,
    pub opacity: f64,
    /// Whether it is seen only while its key is picked.
    pub hidden: bool,
}

/// A point with or without an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    pub x: f64,
    pub y: f64,
    /// An upright interval, or one along the horizontal axis.
    pub interval: Option<(f64, f64)>,
    pub across: bool,
    pub key: String,
    pub tip: String,
    pub look: Look,
    pub radius: f64,
    pub opacity: f64,
}

impl Dot {
    /// A plain point.
    #[must_use]
    pub fn new(x: f64, y: f64, look: Look) -> Self {
        let (key, tip) = (String::new(), String::new());
        Self { x, y, interval: None, across: false, key, tip, look, radius: 4.0, opacity: 1.0 }
    }
}

/// Every two of some things as a cell of a square.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// What stands at the rows and columns, in order, and how each is marked.
    pub keys: Vec<String>,
    pub looks: Vec<Option<Look>>,
    /// What rows and columns are, in the singular: `run`.
    pub noun: &'static str,
    /// Row, column (the larger one) and value.
    pub values: Vec<(usize, usize, f64)>,
    /// What the colours mean, with its unit.
    pub label: String,
    /// What paper and the darkest colour stand for.
    pub range: (f64, f64),
    /// Values are shown multiplied by this, with so many decimals.
    pub factor: f64,
    pub decimals: usize,
}

/// One line of a list of differences: its name, its interval on a scale of its own around 0, and the numbers in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub text: String,
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Half the width of the grey bar around 0; 0 for none.
    pub tolerance: f64,
    pub look: Look,
    pub key: String,
}

/// Rows of pictures with text below each; the first of a row stands apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// A line below the title.
    pub note: String,
    /// What stands above the first column and above the others.
    pub heads: [String; 2],
    pub rows: Vec<Vec<Picture>>,
}

/// A picture with its frame and the lines below it, the first in ink.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub pixels: Pixels,
    pub frame: Paint,
    pub lines: Vec<String>,
}

/// One entry of a legend; with a key it picks what it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub swatch: Swatch,
    pub text: String,
    pub key: String,
}

/// What a legend shows beside a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Swatch {
    /// Fill, its opacity, and the line of the median.
    Band(Paint, f64, Paint),
    Line(Look, f64),
    Mark(Look),
}

impl Entry {
    /// An entry that picks nothing.
    #[must_use]
    pub fn new(swatch: Swatch, text: impl Into<String>) -> Self {
        Self { swatch, text: text.into(), key: String::new() }
    }
}

/// Width and height of a panel, two of which fill a page.
pub const HALF: Point = (430.0, 300.0);
/// Of one of three in a row.
pub const THIRD: Point = (300.0, 250.0);

impl Panel {
    /// A chart of half a page's width.
    #[must_use]
    pub fn chart(title: &str, x: Axis, y: Axis, layers: Vec<Layer>) -> Self {
        Self { title: title.to_owned(), size: HALF, kind: Kind::Chart { x, y, layers } }
    }

    /// The same in another size.
    #[must_use]
    pub fn sized(self, size: Point) -> Self {
        Self { size, ..self }
    }

    /// As an element of a page, coloured by it and alive.
    ///
    /// # Errors
    /// [`crate::error::Error::Unexpected`] if a picture is not of its size.
    pub fn inline(&self) -> Result<String> {
        let drawn = draw::panel(self);
        drawn.scene.inline(&self.title, &drawn.axes)
    }
}

impl Figure {
    /// A figure of panels side by side.
    #[must_use]
    pub fn new(id: &'static str, title: &str, caption: String, panels: Vec<Panel>, legend: Vec<Entry>) -> Self {
        Self { id, title: title.to_owned(), caption, columns: 2, panels, legend }
    }

    /// The name of its SVG file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.svg", self.id)
    }

    /// A file that stands alone. The same figure gives the same bytes.
    ///
    /// # Errors
    /// As [`Panel::inline`].
    pub fn svg(&self) -> Result<String> {
        self.scene().svg(&self.title)
    }

    /// The same as one page of PDF, as wide as one column of a paper (86 mm) for each panel that stands side by side.
    #[must_use]
    pub fn pdf(&self) -> Vec<u8> {
        /// Points of a column, and pixels of a panel that fills it.
        const COLUMN: f64 = 244.0 / HALF.0;
        pdf::page(&self.scene(), &self.title, COLUMN)
    }

    fn scene(&self) -> Scene {
        draw::sheet(self)
    }
}

/// A swatch as an element of a page.
///
/// # Errors
/// As [`Panel::inline`].
pub fn swatch(shown: Swatch) -> Result<String> {
    draw::swatch_scene(shown).inline("", "")
}

/// First, last and some between: `most` of them, which is above 1.
#[must_use]
pub fn some<T>(all: &[T], most: usize) -> Vec<&T> {
    if all.len() <= most {
        return all.iter().collect();
    }
    (0..most).filter_map(|place| all.get(place * (all.len() - 1) / (most - 1))).collect()
}

#[cfg(test)]
mod tests;
