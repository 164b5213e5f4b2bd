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
    /// One of `SERIES` colours, counted round.
    Series(usize),
    /// The end of the scale of a heat map; its opacity is the value.
    Heat,
    /// One of `STAGES` steps from pale to dark: checkpoints in order of time.
    Stage(usize),
    /// What has no value: the diagonal of a matrix, the period of a baseline.
    Void,
}

/// Colours of runs and sides: Okabe and Ito's (2008), which stay apart for every kind of colour vision. Yellow is left out,
/// being too pale for lines on white, and black is the colour of limits.
pub const SERIES: usize = 6;
/// Steps of [`Paint::Stage`].
pub const STAGES: usize = 6;

/// Class, and red, green, blue on white paper: plain paints, then series, then stages.
#[rustfmt::skip]
const PAINTS: [(&str, u32); 9 + SERIES + STAGES] = [
    ("paper", 0xFF_FF_FF), ("ink", 0x22_22_22), ("soft", 0x55_55_55), ("grid", 0xE6_E6_E6), ("band", 0xD3_D8_DE),
    ("typical", 0x8A_93_9C), ("limit", 0x00_00_00), ("heat", 0x0A_42_8A), ("void", 0xEE_F0_F2),
    ("s0", 0xD5_5E_00), ("s1", 0x00_72_B2), ("s2", 0x00_9E_73), ("s3", 0xCC_79_A7), ("s4", 0xE6_9F_00), ("s5", 0x56_B4_E9),
    ("e0", 0xA8_BE_DC), ("e1", 0x8E_9C_C6), ("e2", 0x75_7A_AF), ("e3", 0x5B_58_99), ("e4", 0x42_36_83), ("e5", 0x28_14_5A),
];

impl Paint {
    fn held(self) -> (&'static str, u32) {
        PAINTS[match self {
            Self::Paper => 0,
            Self::Ink => 1,
            Self::Soft => 2,
            Self::Grid => 3,
            Self::Band => 4,
            Self::Typical => 5,
            Self::Limit => 6,
            Self::Heat => 7,
            Self::Void => 8,
            Self::Series(place) => 9 + place % SERIES,
            Self::Stage(place) => 9 + SERIES + place.min(STAGES - 1),
        }]
    }

    /// The class in SVG and style sheets.
    #[must_use]
    pub fn class(self) -> &'static str {
        self.held().0
    }

    /// Red, green and blue on white paper.
    #[must_use]
    pub fn rgb(self) -> [u8; 3] {
        let [_, rgb @ ..] = self.held().1.to_be_bytes();
        rgb
    }
}

/// The style sheet of a figure that stands alone.
#[must_use]
pub fn sheet() -> String {
    let colours: String = PAINTS.iter().map(|(class, rgb)| format!(".{class}{{color:#{rgb:06x}}}")).collect();
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
}
