//! Colours and marks: the same run looks the same in every figure and table, on white and on black.

use crate::analysis::{Analysis, FlagKind};

/// A colour by its meaning. In SVG it is a class; a file brings its own light colours, a page those of its theme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Paint {
    /// What is drawn on.
    Paper,
    /// Text, and the median of the typical runs.
    Ink,
    /// Secondary text, axes and ticks.
    Soft,
    Grid,
    /// The band of the typical runs.
    Band,
    /// A single typical run.
    Typical,
    /// Limits and thresholds.
    Limit,
    /// One of [`SERIES`] colours, counted round.
    Series(usize),
    /// The end of the scale of a heat map; its opacity is the value.
    Heat,
    /// One of [`STAGES`] steps from pale to dark: checkpoints in order of time.
    Stage(usize),
    /// What has no value: the diagonal of a matrix, the period of a baseline.
    Void,
}

/// Colours of runs and sides: Okabe and Ito's (2008), which stay apart for every kind of colour vision. Yellow is left out,
/// being too pale for lines on white, and black is the colour of limits.
pub const SERIES: usize = 6;
/// Steps of [`Paint::Stage`].
pub const STAGES: usize = 6;

/// Class, and red, green, blue on white paper.
const PAINTS: [(Paint, &str, [u8; 3]); 9] = [
    (Paint::Paper, "paper", [0xFF, 0xFF, 0xFF]),
    (Paint::Ink, "ink", [0x22, 0x22, 0x22]),
    (Paint::Soft, "soft", [0x55, 0x55, 0x55]),
    (Paint::Grid, "grid", [0xE6, 0xE6, 0xE6]),
    (Paint::Band, "band", [0xD3, 0xD8, 0xDE]),
    (Paint::Typical, "typical", [0x8A, 0x93, 0x9C]),
    (Paint::Limit, "limit", [0x00, 0x00, 0x00]),
    (Paint::Heat, "heat", [0x0A, 0x42, 0x8A]),
    (Paint::Void, "void", [0xEE, 0xF0, 0xF2]),
];
const SERIES_PAINTS: [(&str, [u8; 3]); SERIES] = [
    ("s0", [0xD5, 0x5E, 0x00]),
    ("s1", [0x00, 0x72, 0xB2]),
    ("s2", [0x00, 0x9E, 0x73]),
    ("s3", [0xCC, 0x79, 0xA7]),
    ("s4", [0xE6, 0x9F, 0x00]),
    ("s5", [0x56, 0xB4, 0xE9]),
];
const STAGE_PAINTS: [(&str, [u8; 3]); STAGES] = [
    ("e0", [0xA8, 0xBE, 0xDC]),
    ("e1", [0x8E, 0x9C, 0xC6]),
    ("e2", [0x75, 0x7A, 0xAF]),
    ("e3", [0x5B, 0x58, 0x99]),
    ("e4", [0x42, 0x36, 0x83]),
    ("e5", [0x28, 0x14, 0x5A]),
];

impl Paint {
    fn held(self) -> (&'static str, [u8; 3]) {
        match self {
            Self::Series(place) => SERIES_PAINTS[place % SERIES],
            Self::Stage(place) => STAGE_PAINTS[place.min(STAGES - 1)],
            other => PAINTS
                .into_iter()
                .find(|&(paint, ..)| paint == other)
                .map_or(("ink", [0; 3]), |(_, class, rgb)| (class, rgb)),
        }
    }

    /// The class in SVG and style sheets.
    #[must_use]
    pub fn class(self) -> &'static str {
        self.held().0
    }

    /// Red, green and blue on white paper.
    #[must_use]
    pub fn rgb(self) -> [u8; 3] {
        self.held().1
    }
}

/// The style sheet of a figure that stands alone.
#[must_use]
pub fn sheet() -> String {
    let named = PAINTS.into_iter().map(|(_, class, rgb)| (class, rgb));
    let rule =
        |(class, [red, green, blue]): (&str, [u8; 3])| format!(".{class}{{color:#{red:02x}{green:02x}{blue:02x}}}");
    let colours: String = named.chain(SERIES_PAINTS).chain(STAGE_PAINTS).map(rule).collect();
    format!(".l{{fill:none;stroke:currentColor}}.a{{fill:currentColor}}{colours}")
}

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Disc,
    Square,
    Triangle,
    Diamond,
}

impl Mark {
    /// All of them.
    pub const EVERY: [Self; 4] = [Self::Disc, Self::Square, Self::Triangle, Self::Diamond];
}

/// How one run is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub paint: Paint,
    pub mark: Mark,
    /// Lengths of stroke and gap in pixels; none for a solid line.
    pub dash: Option<(f64, f64)>,
}

impl Look {
    /// A disc and a solid line.
    #[must_use]
    pub const fn of(paint: Paint) -> Self {
        Self { paint, mark: Mark::Disc, dash: None }
    }

    /// The same with another mark.
    #[must_use]
    pub const fn marked(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }

    /// The same with a dashed line.
    #[must_use]
    pub const fn dashed(self, stroke: f64, gap: f64) -> Self {
        Self { dash: Some((stroke, gap)), ..self }
    }
}

/// What every typical run looks like.
pub const TYPICAL: Look = Look::of(Paint::Typical);

/// The runs that stand out, each with its own look, in order of their index.
#[derive(Debug, Clone, PartialEq)]
pub struct Looks {
    flagged: Vec<(u32, Look)>,
}

impl Looks {
    /// Runs whose soft decisions were judged and flagged get a colour each, and after six a new mark and dash; the
    /// others, and those that only repeat another run or have no numbers, look typical.
    #[must_use]
    pub fn of(analysis: &Analysis) -> Self {
        const DASHES: [Option<(f64, f64)>; 4] = [None, Some((6.0, 3.0)), Some((2.0, 2.5)), Some((9.0, 2.5))];
        let flagged = analysis
            .runs
            .iter()
            .filter(|run| run.is_flagged() && !run.has(FlagKind::Duplicate) && run.accuracy.is_some())
            .enumerate()
            .map(|(place, run)| {
                let round = place / SERIES % Mark::EVERY.len();
                (run.run, Look { paint: Paint::Series(place), mark: Mark::EVERY[round], dash: DASHES[round] })
            })
            .collect();
        Self { flagged }
    }

    /// The look of a run that stands out, none of a typical one.
    #[must_use]
    pub fn flagged(&self, run: u32) -> Option<Look> {
        self.flagged.binary_search_by_key(&run, |&(held, _)| held).ok().map(|place| self.flagged[place].1)
    }

    /// The look of any run.
    #[must_use]
    pub fn get(&self, run: u32) -> Look {
        self.flagged(run).unwrap_or(TYPICAL)
    }

    /// Those that stand out.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Look)> + '_ {
        self.flagged.iter().copied()
    }
}
