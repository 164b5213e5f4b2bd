//! The trimmed Kolmogorov distance d_α and its inverse, the trimming level α(δ), in closed form.
//!
//! d_α is the least Kolmogorov distance between the reference F₀ and any distribution made from the candidate F_n by
//! removing at most a share α of its mass (del Barrio 2020). A trimming maps the candidate's ECDF value t to h(t), where
//! h(0) = 0, h(1) = 1 and h rises by at most L = 1/(1−α) per unit. F_n is constant between the candidate's distinct points
//! c_1 < … < c_k, so F₀ matters only through the least and greatest value that it takes on each plateau:
//!
//! ```text
//! t_i = F_n(c_i),  low_i = F₀(c_i),  high_i = F₀(c_{i+1}) from the left  (t_0 = 0, high_k = 1)
//! d_α ≤ δ  ⇔  high_j − δ ≤ L t_j,   1 − low_i − δ ≤ L (1 − t_i),   high_j − low_i − 2δ ≤ L (t_j − t_i)  for i ≤ j
//! ```
//!
//! With the interpolated reference of Banerjee 2025 the same holds with high_i = F₀(c_{i+1}), as F₀ is continuous. The three
//! lines are chords between two sets of points, so the least L is a largest slope. It is found by Newton's method on the
//! convex function "largest excess of a chord over slope L": each step is one pass over the k points, and there are
//! O(log k) of them (three to five in practice), with no hull to build.

use super::sample::{Sample, interpolate};

/// The published levels at which `alpha_hat` looks, ascending (Banerjee 2025).
pub const GRID: [f64; 13] = [0.0, 0.01, 0.025, 0.05, 0.075, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45];

/// What stands for "no level of the grid suffices"; to be read as "≥ 0.50".
pub const CEILING: f64 = 0.50;

/// Distances that exceed a threshold by less than this are rounding: both are made of ratios of counts.
const ROUNDING: f64 = 1e-12;

/// One plateau of the candidate's ECDF.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Plateau {
    /// The candidate's ECDF on it.
    candidate: f64,
    /// The least value of the reference on it.
    low: f64,
    /// The greatest value of the reference on it.
    high: f64,
}

/// All that d_α needs to know of a reference and a candidate: the plateaus between the candidate's distinct values, from the
/// one below all of them (candidate 0, low 0) to the one above (candidate 1, high 1).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plateaus(Vec<Plateau>);

impl Plateaus {
    /// Both distributions as step functions.
    #[must_use]
    pub fn steps(reference: &Sample, candidate: &Sample) -> Self {
        let (r, n) = (reference.values(), reference.len() as f64);
        let mut plateaus = Self::default();
        let mut below = 0;
        plateaus.fill(candidate.values(), |x| {
            below += r[below..].iter().take_while(|&&v| v < x).count();
            let before = below;
            below += r[below..].iter().take_while(|&&v| v == x).count();
            (before as f64 / n, below as f64 / n)
        });
        plateaus
    }

    /// The candidate as a step function, the reference interpolated between its jumps ([`Sample::interpolated_at`]).
    #[must_use]
    pub fn interpolated(reference: &Sample, candidate: &Sample) -> Self {
        let mut plateaus = Self::default();
        plateaus.fill_interpolated(reference.values(), candidate.values());
        plateaus
    }

    /// As [`Self::interpolated`], into space that is there already; both samples ascending.
    pub(super) fn fill_interpolated(&mut self, reference: &[f64], candidate: &[f64]) {
        let mut upto = 0;
        self.fill(candidate, |x| {
            while reference.get(upto).is_some_and(|&v| v <= x) {
                upto += 1;
            }
            let f = interpolate(reference, x, upto);
            (f, f)
        });
    }

    /// As [`Self::fill_interpolated`], but where at least `atom` of the reference's values are equal, it jumps like the step
    /// function: F₀ is compared before and after the jump, and is level from the value before the atom up to it.
    pub(super) fn fill_with_atoms(&mut self, reference: &[f64], candidate: &[f64], atom: usize) {
        let n = reference.len() as f64;
        let last = atom.max(1) - 1;
        let begins_atom = |from: usize| reference.get(from).is_some_and(|v| reference.get(from + last) == Some(v));
        let (mut upto, mut start) = (0, 0);
        self.fill(candidate, |x| {
            while reference.get(upto).is_some_and(|&v| v <= x) {
                if upto == 0 || reference[upto - 1] != reference[upto] {
                    start = upto;
                }
                upto += 1;
            }
            let is_here = upto > 0 && reference[upto - 1] == x;
            if is_here && upto - start >= atom {
                return (start as f64 / n, upto as f64 / n);
            }
            let f = if !is_here && begins_atom(upto) { upto as f64 / n } else { interpolate(reference, x, upto) };
            (f, f)
        });
    }

    /// Fills from ascending candidate values; `reference(x)` gives F₀ left of x and at x, for ascending distinct x.
    fn fill(&mut self, candidate: &[f64], mut reference: impl FnMut(f64) -> (f64, f64)) {
        self.clear();
        let n = candidate.len() as f64;
        for (i, &x) in candidate.iter().enumerate() {
            if candidate.get(i + 1) != Some(&x) {
                let (before, at) = reference(x);
                self.push(before, at, (i + 1) as f64 / n);
            }
        }
    }

    /// Starts anew, with a candidate that has no values yet.
    pub(super) fn clear(&mut self) {
        self.0.clear();
        self.0.push(Plateau { candidate: 0.0, low: 0.0, high: 1.0 });
    }

    /// Adds the next distinct candidate value: the reference just before it and at it, and the candidate's ECDF at it.
    pub(super) fn push(&mut self, before: f64, at: f64, candidate: f64) {
        if let Some(last) = self.0.last_mut() {
            last.high = before;
        }
        self.0.push(Plateau { candidate, low: at, high: 1.0 });
    }

    /// The Kolmogorov–Smirnov distance, d_0, in [0, 1].
    #[must_use]
    pub fn ks(&self) -> f64 {
        self.0.iter().fold(0.0, |d, p| larger(larger(d, p.high - p.candidate), p.candidate - p.low))
    }

    /// d_α in [0, 1] for a trimming level `alpha` in [0, 1]; never increases in `alpha`. Levels outside are clamped, and 1
    /// means the limit, which no trimming can go below.
    #[must_use]
    pub fn distance(&self, alpha: f64) -> f64 {
        if alpha <= 0.0 {
            return self.ks();
        }
        let floor = self.floor();
        if alpha >= 1.0 { floor } else { larger(floor, self.stretched(1.0 / (1.0 - alpha), f64::INFINITY)) }
    }

    /// d_α at each of `levels`; see [`Self::distance`].
    #[must_use]
    pub fn curve(&self, levels: &[f64]) -> Vec<f64> {
        levels.iter().map(|&alpha| self.distance(alpha)).collect()
    }

    /// What no trimming can repair: the reference's mass outside the candidate's range, and half of what it has between two
    /// neighbouring values of the candidate.
    fn floor(&self) -> f64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return 0.0;
        };
        self.0[1..].iter().fold(larger(first.high, 1.0 - last.low), |d, p| larger(d, 0.5 * (p.high - p.low)))
    }

    /// d_α for L = 1/(1−α) = `slope`, but for the floor; any value above `enough` if it is above that.
    fn stretched(&self, slope: f64, enough: f64) -> f64 {
        let mut d = 0.0;
        let mut lowest = f64::INFINITY;
        for p in self.0.iter().skip(1) {
            let stretch = slope * p.candidate;
            let (upper, lower) = (p.high - stretch, p.low - stretch);
            if lower < lowest {
                lowest = lower;
            }
            d = larger(larger(d, upper), larger(1.0 - slope - lower, 0.5 * (upper - lowest)));
            if d > enough {
                return d;
            }
        }
        d
    }

    /// α(δ), the smallest level in [0, 1] with d_α ≤ `delta`; 0 exactly where the KS distance is at most `delta`, 1 where mass
    /// is missing that no trimming repairs. A distance that equals `delta` up to rounding (1e-12) counts as within.
    #[must_use]
    pub fn level(&self, delta: f64) -> f64 {
        if self.ks() <= delta + ROUNDING {
            return 0.0;
        }
        if self.floor() > delta + ROUNDING {
            return 1.0;
        }
        let mut slope = 1.0;
        while let Some(steeper) = self.steeper(slope, delta) {
            slope = steeper;
        }
        1.0 - 1.0 / slope
    }

    /// The slope of the chord that rises most above slope `slope`, if it is steeper.
    fn steeper(&self, slope: f64, delta: f64) -> Option<f64> {
        // Chords go from (0, δ) or (t_i, low_i + 2δ) to (t_j, high_j) or (1, 1 + δ).
        let (mut from, mut from_rest) = ((0.0, delta), delta);
        let mut best = (0.0, slope);
        let mut consider = |from: (f64, f64), from_rest: f64, to: (f64, f64)| {
            let excess = to.1 - slope * to.0 - from_rest;
            if excess > best.0 && to.0 > from.0 {
                best = (excess, (to.1 - from.1) / (to.0 - from.0));
            }
        };
        for p in self.0.iter().skip(1) {
            let raised = p.low + 2.0 * delta;
            let rest = raised - slope * p.candidate;
            if rest < from_rest {
                (from, from_rest) = ((p.candidate, raised), rest);
            }
            consider(from, from_rest, (p.candidate, p.high));
        }
        consider(from, from_rest, (1.0, 1.0 + delta));
        (best.1 > slope).then_some(best.1)
    }

    /// The smallest level of [`GRID`] with d_α ≤ `delta`, or [`CEILING`].
    #[must_use]
    pub fn grid_level(&self, delta: f64) -> f64 {
        let limit = delta + ROUNDING;
        if self.ks() <= limit {
            return GRID[0];
        }
        if self.floor() > limit {
            return CEILING;
        }
        let above = &GRID[1..];
        let enough = above.partition_point(|&alpha| self.stretched(1.0 / (1.0 - alpha), limit) > limit);
        above.get(enough).copied().unwrap_or(CEILING)
    }
}

/// The larger of two numbers that are not NaN: one instruction, where [`f64::max`] takes several.
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::{TrimmingCase, close, trimming_cases};
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).unwrap()
    }

    fn worked() -> Plateaus {
        let reference: Vec<f64> = (0..10).map(f64::from).collect();
        let mut candidate: Vec<f64> = (0..8).map(f64::from).collect();
        candidate.extend([20.0, 21.0]);
        Plateaus::steps(&sample(&reference), &sample(&candidate))
    }

    #[test]
    fn the_worked_case_of_the_design() {
        let p = worked();
        for (alpha, d) in [(0.0, 0.2), (0.05, 0.157_894_736_842), (0.1, 0.111_111_111_111), (0.2, 0.1)] {
            assert!(close(p.distance(alpha), d, 1e-12), "d at {alpha}: {}", p.distance(alpha));
        }
        for (delta, alpha) in [(0.15, 0.058_823_529_412), (0.1, 0.111_111_111_111), (0.05, 1.0), (0.2, 0.0)] {
            assert!(close(p.level(delta), alpha, 1e-12), "level at {delta}: {}", p.level(delta));
        }
        assert_eq!(p.grid_level(0.15), 0.075);
        assert_eq!(p.grid_level(0.05), CEILING);
    }

    #[test]
    fn an_atom_in_both_samples_is_no_difference() {
        // A third of all values at 0, the rest spread alike.
        let values = |shift: f64| -> Vec<f64> {
            let spread = (0..200).map(|i| f64::from(i) / 10.0 - 10.0 + shift);
            spread.filter(|v| *v != 0.0).chain(std::iter::repeat_n(0.0, 100)).collect()
        };
        let (reference, candidate) = (sample(&values(0.0)), sample(&values(0.01)));
        let mut plateaus = Plateaus::default();
        plateaus.fill_interpolated(reference.values(), candidate.values());
        assert!(plateaus.ks() > 0.3, "the literal form is blind: {}", plateaus.ks());
        plateaus.fill_with_atoms(reference.values(), candidate.values(), 10);
        assert!(plateaus.ks() < 0.01, "{}", plateaus.ks());
    }

    #[test]
    fn the_independent_cases_with_atoms() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/verdicts.json");
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let numbers = |case: &serde_json::Value, key: &str| -> Vec<f64> {
            case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
        };
        for case in all["alpha_atoms"].as_array().unwrap() {
            let p = Plateaus::steps(&sample(&numbers(case, "reference")), &sample(&numbers(case, "candidate")));
            assert!(close(p.ks(), case["ks"].as_f64().unwrap(), 1e-12));
            for (delta, alpha) in case["alpha"].as_object().unwrap() {
                let found = p.level(delta.parse().unwrap());
                assert!(close(found, alpha.as_f64().unwrap(), 1e-9), "{delta}: {found} instead of {alpha}");
            }
        }
    }

    #[test]
    fn the_independent_cases() {
        for TrimmingCase { reference, candidate, trimmed_ks, level } in trimming_cases() {
            let (r, c) = (sample(&reference), sample(&candidate));
            let (step, interpolated) = (Plateaus::steps(&r, &c), Plateaus::interpolated(&r, &c));
            for row in trimmed_ks {
                assert!(close(step.distance(row.alpha), row.step, 1e-9), "{}", row.alpha);
                assert!(close(interpolated.distance(row.alpha), row.interpolated, 1e-9), "{}", row.alpha);
            }
            for row in level {
                assert!(close(step.level(row.delta), row.alpha, 1e-9), "{}", row.delta);
            }
        }
    }

    /// The formula of the design for the interpolated reference, word by word, over all pooled points.
    fn interpolated_by_the_book(reference: &Sample, candidate: &Sample, alpha: f64) -> f64 {
        let mut x = [reference.values(), candidate.values()].concat();
        x.sort_by(f64::total_cmp);
        let q = 1.0 - alpha;
        let k = x.len();
        let f: Vec<f64> = x.iter().map(|&x| reference.interpolated_at(x)).collect();
        let t: Vec<f64> = x.iter().map(|&x| candidate.at(x)).collect();
        let u: Vec<f64> = (0..k).map(|i| f[i] - if i == 0 { 0.0 } else { t[i - 1] } / q).collect();
        let l: Vec<f64> = (0..k).map(|i| f[i] - t[i] / q).collect();
        let g: Vec<f64> = (0..=k)
            .map(|i| {
                let upper = if i == k { -alpha / q } else { u[i..].iter().copied().fold(f64::MIN, f64::max) };
                let lower = if i == 0 { 0.0 } else { l[..i].iter().copied().fold(f64::MAX, f64::min) };
                (0.5 * (upper + lower)).clamp(-alpha / q, 0.0)
            })
            .collect();
        (0..k).map(|i| (u[i] - g[i]).max(g[i + 1] - l[i])).fold(f64::MIN, f64::max)
    }

    /// The closed form of the design, word by word: all pairs of pooled points.
    fn level_by_the_book(reference: &Sample, candidate: &Sample, delta: f64) -> f64 {
        let mut x = [reference.values(), candidate.values()].concat();
        x.sort_by(f64::total_cmp);
        x.dedup();
        let f: Vec<f64> = x.iter().map(|&x| reference.at(x)).collect();
        let t: Vec<f64> = x.iter().map(|&x| candidate.at(x)).collect();
        let mut slope: f64 = 1.0;
        let mut chord = |rise: f64, run: f64| {
            if rise > 1e-12 {
                slope = slope.max(rise / run);
            }
        };
        for i in 0..x.len() {
            chord(f[i] - delta, t[i]);
            chord(1.0 - f[i] - delta, 1.0 - t[i]);
            for j in i + 1..x.len() {
                chord(f[j] - f[i] - 2.0 * delta, t[j] - t[i]);
            }
        }
        1.0 - 1.0 / slope
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        // Few distinct values, so that ties within and between samples are common.
        proptest::collection::vec((-20i32..20).prop_map(|v| f64::from(v) / 4.0), 1..60)
    }

    proptest! {
        #[test]
        fn distance_falls_from_ks_with_the_level(r in values(), c in values()) {
            let p = Plateaus::steps(&sample(&r), &sample(&c));
            let pooled = [r.clone(), c.clone()].concat();
            let (rs, cs) = (sample(&r), sample(&c));
            let ks = pooled.iter().map(|&x| (rs.at(x) - cs.at(x)).abs()).fold(0.0, f64::max);
            prop_assert!(close(p.distance(0.0), ks, 1e-12));
            let curve = p.curve(&(0..=100).map(|a| f64::from(a) / 100.0).collect::<Vec<_>>());
            prop_assert!(curve.windows(2).all(|w| w[1] <= w[0] + 1e-12), "{curve:?}");
        }

        #[test]
        fn the_level_inverts_the_distance(r in values(), c in values(), delta in 0.01f64..0.6) {
            let p = Plateaus::steps(&sample(&r), &sample(&c));
            let alpha = p.level(delta);
            prop_assert!(close(alpha, level_by_the_book(&sample(&r), &sample(&c), delta), 1e-9));
            if alpha < 1.0 {
                prop_assert!(p.distance(alpha) <= delta + 1e-9);
            }
            if alpha > 1e-6 {
                prop_assert!(p.distance(alpha - 1e-6) > delta);
            }
        }

        #[test]
        fn the_level_at_a_distance_is_no_larger(r in values(), c in values(), alpha in 0.0f64..0.9) {
            let p = Plateaus::steps(&sample(&r), &sample(&c));
            prop_assert!(p.level(p.distance(alpha)) <= alpha + 1e-9, "ties between distance and threshold");
        }

        #[test]
        fn without_atoms_nothing_jumps_and_with_all_values_atoms_everything_does(r in values(), c in values()) {
            let (r, c) = (sample(&r), sample(&c));
            let mut found = Plateaus::default();
            found.fill_with_atoms(r.values(), c.values(), 1000);
            prop_assert_eq!(&found, &Plateaus::interpolated(&r, &c));
            found.fill_with_atoms(r.values(), c.values(), 1);
            prop_assert!(close(found.ks(), Plateaus::steps(&r, &c).ks(), 1e-12));
        }

        #[test]
        fn the_interpolated_distance_follows_the_book(r in values(), c in values(), alpha in 0.0f64..0.9) {
            let (r, c) = (sample(&r), sample(&c));
            let d = Plateaus::interpolated(&r, &c).distance(alpha);
            prop_assert!(close(d, interpolated_by_the_book(&r, &c, alpha), 1e-12));
        }

        #[test]
        fn a_sample_is_at_level_zero_from_itself(v in values(), delta in 0.0f64..1.0) {
            let p = Plateaus::steps(&sample(&v), &sample(&v));
            prop_assert_eq!(p.ks(), 0.0);
            prop_assert_eq!(p.level(delta), 0.0);
        }

        #[test]
        fn the_grid_level_is_the_first_that_suffices(r in values(), c in values(), delta in 0.01f64..0.5) {
            let p = Plateaus::interpolated(&sample(&r), &sample(&c));
            let first = GRID.iter().copied().find(|&a| p.distance(a) <= delta + 1e-12).unwrap_or(CEILING);
            prop_assert_eq!(p.grid_level(delta), first);
        }
    }

    #[test]
    fn a_missing_tail_is_beyond_repair() {
        let p = Plateaus::steps(&sample(&[0.0, 1.0, 2.0, 3.0]), &sample(&[2.0, 3.0]));
        assert_eq!(p.level(0.4), 1.0);
        assert_eq!(p.distance(1.0), 0.5);
    }
}
