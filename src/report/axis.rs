//! Axes: ranges that end where data ends, ticks at round numbers, labels with units.

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::{RangedCoordf64, RangedCoordi64};

use crate::analysis::numbers::{fixed, superscript};

/// How values lie on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// By powers of ten; values of 0 and less have no place.
    Log,
}

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is measured, with its unit.
    pub label: String,
    scale: Scale,
    low: f64,
    high: f64,
    /// Values are shown multiplied by this: 100 for per cent.
    factor: f64,
    ticks: Vec<(f64, String)>,
    /// Places of ticks without text.
    minor: Vec<f64>,
}

impl Axis {
    /// From `low` to `high`, with about `count` ticks at multiples of 1, 2 or 5 times a power of ten, of values that
    /// are shown multiplied by `factor` (100 for per cent). A range without width is widened.
    #[must_use]
    pub fn linear(label: &str, low: f64, high: f64, count: usize, factor: f64) -> Self {
        let (low, high) = widened(low, high);
        let values = round_values(low * factor, high * factor, count);
        let decimals = decimals_of(&values);
        let ticks = values.into_iter().map(|value| (value / factor, fixed(value, decimals))).collect();
        Self { label: label.to_owned(), scale: Scale::Linear, low, high, factor, ticks, minor: Vec::new() }
    }

    /// Of whole numbers (epochs): ticks at whole numbers only.
    #[must_use]
    pub fn whole(label: &str, low: f64, high: f64, count: usize) -> Self {
        let (low, high) = widened(low, high);
        let values = RangedCoordi64::from(low.ceil() as i64..high.floor() as i64).key_points(count + 1);
        let ticks = values.into_iter().map(|value| (value as f64, value.to_string())).collect();
        Self { label: label.to_owned(), scale: Scale::Linear, low, high, factor: 1.0, ticks, minor: Vec::new() }
    }

    /// By powers of ten, from `low` to `high`, both positive. Ticks at powers of ten; where fewer than two of them lie
    /// inside, also at 2 and 5 times these.
    #[must_use]
    pub fn log(label: &str, low: f64, high: f64) -> Self {
        let low = low.max(f64::MIN_POSITIVE);
        let (low_power, high_power) = widened(low.log10(), high.max(low).log10());
        let (low, high) = (10f64.powf(low_power), 10f64.powf(high_power));
        let inside = |value: f64| value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9);
        let powers = || low_power.floor() as i32..=high_power.ceil() as i32;
        let decades: Vec<i32> = powers().filter(|&power| inside(10f64.powi(power))).collect();
        let ticks = if decades.len() >= 2 {
            let every = decades.len().div_ceil(7);
            decades.iter().rev().step_by(every).rev().map(|&power| (10f64.powi(power), power_label(power))).collect()
        } else {
            powers()
                .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (digit * 10f64.powi(power), power)))
                .filter(|&(value, _)| inside(value))
                .map(|(value, power)| (value, fixed(value, (-power).max(0) as usize)))
                .collect()
        };
        let minor = if decades.len() <= 7 {
            powers()
                .flat_map(|power| (2..10).map(move |digit| f64::from(digit) * 10f64.powi(power)))
                .filter(|&v| inside(v))
                .collect()
        } else {
            Vec::new()
        };
        Self { label: label.to_owned(), scale: Scale::Log, low, high, factor: 1.0, ticks, minor }
    }

    /// With ticks at given places.
    #[must_use]
    pub fn with_ticks(mut self, ticks: Vec<(f64, String)>) -> Self {
        self.ticks = ticks;
        self
    }

    /// Of categories `0..count`, each one unit high, with their names as ticks; the first is the uppermost or leftmost.
    #[must_use]
    pub fn names(label: &str, names: impl Iterator<Item = String>, reversed: bool) -> Self {
        let names: Vec<String> = names.collect();
        let last = names.len() as f64 - 1.0;
        let at = |place: usize| if reversed { last - place as f64 } else { place as f64 };
        let ticks = names.into_iter().enumerate().map(|(place, name)| (at(place), name)).collect();
        Self::linear(label, -0.6, last + 0.6, 1, 1.0).with_ticks(ticks)
    }

    /// Low end, high end, factor of shown values, and whether values lie by powers of ten.
    #[must_use]
    pub fn range(&self) -> (f64, f64, f64, bool) {
        (self.low, self.high, self.factor, self.scale == Scale::Log)
    }

    /// Where ticks stand and what they say.
    #[must_use]
    pub fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// Where small ticks stand: 2 to 9 times the powers of ten of a logarithmic axis.
    #[must_use]
    pub fn minor(&self) -> &[f64] {
        &self.minor
    }

    /// Where a value lies: 0 at the low end, 1 at the high end, and beyond these outside; none for what has no place.
    #[must_use]
    pub fn share(&self, value: f64) -> Option<f64> {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value > 0.0 => (value / self.low).log10() / (self.high / self.low).log10(),
            Scale::Log => return None,
        };
        share.is_finite().then_some(share)
    }
}

/// Smallest and largest finite value with `margin` times their distance added on both sides; 0 to 1 for no values.
#[must_use]
pub fn span(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = (high - low) * margin;
    (low - room, high + room)
}

fn power_label(power: i32) -> String {
    match power {
        0 => "1".to_owned(),
        1 => "10".to_owned(),
        _ => format!("10{}", superscript(power)),
    }
}

fn widened(low: f64, high: f64) -> (f64, f64) {
    if high - low > low.abs().max(high.abs()) * 1e-12 {
        (low, high)
    } else {
        let room = if low == 0.0 { 0.5 } else { low.abs() * 0.05 };
        (low - room, high + room)
    }
}

/// At most `count + 1` round numbers between two finite ends.
fn round_values(low: f64, high: f64, count: usize) -> Vec<f64> {
    // Ends of the order of 1, because plotters takes a range below 2e-16 for one value.
    let unit = 10f64.powf((high - low).log10().floor());
    let range = RangedCoordf64::from(low / unit..high / unit);
    range.key_points(count + 1).into_iter().map(|value| value * unit).collect()
}

/// How many decimals tell evenly spaced values apart and write each exactly.
fn decimals_of(values: &[f64]) -> usize {
    let &[first, second, ..] = values else { return 0 };
    let step = second - first;
    let whole = |decimals: &usize| {
        let digits = step * 10f64.powi(*decimals as i32);
        digits > 0.5 && (digits - digits.round()).abs() < 1e-6 * digits
    };
    (0..=20).find(whole).unwrap_or(20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks().iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_stand_at_round_numbers() {
        assert_eq!(labels(&Axis::linear("", 0.0, 1.0, 5, 1.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::linear("", 0.912, 0.951, 4, 100.0)), ["92", "93", "94", "95"]);
        assert_eq!(labels(&Axis::linear("", -1.3, 2.1, 4, 1.0)), ["−1", "0", "1", "2"]);
        assert_eq!(labels(&Axis::whole("", 0.0, 3.0, 8)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&Axis::log("", 0.01, 100.0)), ["10⁻²", "10⁻¹", "1", "10", "10²"]);
        assert_eq!(labels(&Axis::log("", 0.3, 3.0)), ["0.5", "1", "2"]);
    }

    #[test]
    fn a_range_without_width_and_values_without_place() {
        let axis = Axis::linear("", 2.0, 2.0, 4, 1.0);
        assert_eq!(axis.share(2.0), Some(0.5));
        assert!(axis.ticks().len() > 1);
        assert_eq!(axis.share(f64::NAN), None);
        assert_eq!(Axis::log("", 1.0, 10.0).share(0.0), None);
        assert_eq!(span(std::iter::empty(), 0.1), (0.0, 1.0));
        assert_eq!(span([1.0, f64::NAN, 3.0].into_iter(), 0.5), (0.0, 4.0));
    }
}
