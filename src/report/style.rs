//! Colours, marks and numbers: the same run looks the same in every figure and table.

use plotters::style::RGBColor;

use crate::analysis::{Analysis, FlagKind};

/// What is drawn on.
pub const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
/// Text, axes and the median of the typical runs.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Secondary text and ticks.
pub const SOFT_INK: RGBColor = RGBColor(0x55, 0x55, 0x55);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(0xE6, 0xE6, 0xE6);
/// The band of the typical runs.
pub const BAND: RGBColor = RGBColor(0xC9, 0xCF, 0xD6);
/// A single typical run.
pub const TYPICAL: RGBColor = RGBColor(0x8A, 0x93, 0x9C);
/// Limits and thresholds.
pub const LIMIT: RGBColor = RGBColor(0x00, 0x00, 0x00);

/// Okabe and Ito's colours (2008), which stay apart for every kind of colour vision; yellow is left out, being too pale
/// for lines on white, and black is the colour of limits.
pub const PALETTE: [RGBColor; 6] = [
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
];

/// A colour as in a style sheet.
#[must_use]
pub fn css(red: u8, green: u8, blue: u8) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Disc,
    Square,
    Triangle,
    Diamond,
}

/// How one run is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub colour: RGBColor,
    pub mark: Mark,
    /// Lengths of stroke and gap in pixels; none for a solid line.
    pub dash: Option<(f64, f64)>,
}

/// What every typical run looks like.
pub const TYPICAL_LOOK: Look = Look { colour: TYPICAL, mark: Mark::Disc, dash: None };

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
        const MARKS: [Mark; 4] = [Mark::Disc, Mark::Square, Mark::Triangle, Mark::Diamond];
        const DASHES: [Option<(f64, f64)>; 4] = [None, Some((6.0, 3.0)), Some((2.0, 2.5)), Some((9.0, 2.5))];
        let flagged = analysis
            .runs
            .iter()
            .filter(|run| run.is_flagged() && !run.has(FlagKind::Duplicate) && run.accuracy.is_some())
            .enumerate()
            .map(|(place, run)| {
                let round = place / PALETTE.len() % MARKS.len();
                let look = Look { colour: PALETTE[place % PALETTE.len()], mark: MARKS[round], dash: DASHES[round] };
                (run.run, look)
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
        self.flagged(run).unwrap_or(TYPICAL_LOOK)
    }

    /// Those that stand out.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Look)> + '_ {
        self.flagged.iter().copied()
    }
}
