//! Evidence that gathers night after night: p-values become factors, and their product since the most telling start is held
//! against a limit whose false alarms are bounded (e-detectors: Shin, Ramdas & Rinaldo 2022; p-values against all that came
//! before: Vovk, Gammerman & Shafer 2005).

use statrs::distribution::{ContinuousCDF as _, FisherSnedecor, Normal, StudentsT};

use super::rng::Stream;
use crate::error::{Error, Result};

/// A test stops when so many divisions were at least as extreme as the night: its p-value is known well enough.
const ENOUGH: usize = 20;

/// Sizes of a change that the evidence is gathered for, in standard deviations of a night's mean. In between the next of them gains
/// more than nine tenths of what a bet that knew the size would.
const SIZES: [f64; 4] = [1.0, 1.7, 2.8, 4.5];
/// Normal scores count down to here, so that one night that could not be better does not wipe out what was gathered.
const LOWEST: f64 = -2.0;
/// Evidence below this can be forgotten: a later start does as well.
const FORGOTTEN: f64 = 1e-6;

/// The evidence that the values have moved at some night and stayed there. For every night at which a change may have begun a
/// product of likelihood ratios is held, for several sizes of the change side by side, and the largest mean over sizes counts.
///
/// A p-value becomes a normal score z = Φ⁻¹(1 − p); after a change of size δ (in standard deviations of a night's mean) its mean is
/// μ = δ·(s/r)/√(1 + 1/r) where s of the r nights of the reference are from before the change: changed nights enter the reference until
/// there is an alarm, which makes the others look less unusual. The factor exp(μz − μ²/2) falls as p rises, and its mean is 1 where p is
/// uniform; μ depends on nothing that comes later, so that each product is a test martingale, and the largest of them at most
/// their sum (Shin, Ramdas & Rinaldo 2022).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Detector(Vec<Start>);

/// A change that began at one night.
#[derive(Debug, Clone, PartialEq)]
struct Start {
    /// Nights of the reference then.
    before: usize,
    /// Logarithms of the products, by size of the change.
    logs: [f64; SIZES.len()],
}

impl Start {
    fn evidence(&self) -> f64 {
        self.logs.iter().map(|log| log.exp()).sum::<f64>() / SIZES.len() as f64
    }
}

impl Detector {
    /// Takes in the p-value of a night that was held against `reference` nights.
    pub fn add(&mut self, p: f64, reference: usize) {
        let normal = Normal::standard();
        let score = (-normal.inverse_cdf(p.clamp(1e-300, 1.0))).max(LOWEST);
        let nights = reference.max(1) as f64;
        self.0.push(Start { before: reference.max(1), logs: [0.0; SIZES.len()] });
        for start in &mut self.0 {
            let share = (start.before as f64).min(nights) / nights;
            for (log, size) in start.logs.iter_mut().zip(SIZES) {
                let mean = size * share / (1.0 + 1.0 / nights).sqrt();
                // The mean of the factor, which the lowest score raises a little above 1.
                let at_lowest = normal.cdf(LOWEST) * (mean * LOWEST - 0.5 * mean * mean).exp();
                let whole = normal.cdf(mean - LOWEST) + at_lowest;
                // Far beyond any limit it stays a number.
                *log = (*log + mean * score - 0.5 * mean * mean - whole.ln()).min(230.0);
            }
        }
        let newest = self.0.len() - 1;
        let mut place = 0;
        self.0.retain(|start| {
            place += 1;
            place > newest || start.evidence() > FORGOTTEN
        });
    }

    /// Of the start that makes it largest; 1 before the first p-value.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.strongest().map_or(1.0, |held| held.0)
    }

    /// The evidence of the start that makes it largest, and the nights of the reference before it.
    #[must_use]
    pub fn strongest(&self) -> Option<(f64, usize)> {
        let starts = self.0.iter().map(|start| (start.evidence(), start.before));
        starts.max_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Which differences count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// The new values are lower.
    Lower,
    /// Large values speak for a change.
    Higher,
    /// Large and small values do.
    Either,
}

/// The p-value of the hypothesis that the values of a new night `new` and those of the `reference` are exchangeable: the
/// mean of the night (which orders divisions exactly as Student's t does) is held against that of random divisions, until
/// twenty are as extreme or `most` were drawn (Besag & Clifford 1991): valid whatever the number of draws, never 0.
///
/// # Errors
/// [`Error::Invalid`] for no new value or none of the reference.
pub fn p_of_runs(reference: &[f64], new: &[f64], tail: Tail, most: usize, seed: u64) -> Result<f64> {
    if new.is_empty() || reference.is_empty() {
        return Err(Error::Invalid(format!(
            "{} new values against {}: a night is judged by runs of its own and runs before it",
            new.len(),
            reference.len()
        )));
    }
    let mut pool: Vec<f64> = new.iter().chain(reference).copied().collect();
    let centre = pool.iter().sum::<f64>() / pool.len() as f64;
    pool.iter_mut().for_each(|value| *value -= centre);
    let statistic = |part: &[f64]| {
        let sum: f64 = part.iter().sum();
        match tail {
            Tail::Lower => -sum,
            Tail::Higher => sum,
            Tail::Either => sum.abs(),
        }
    };
    let observed = statistic(&pool[..new.len()]);
    // The same sum in another order.
    let limit = observed - 1e-9 * pool.iter().map(|value| value.abs()).sum::<f64>();
    let mut stream = Stream::new(seed, 0);
    let mut as_extreme = 0;
    for draw in 1..=most {
        for place in 0..new.len() {
            let other = place + stream.index(pool.len() - place);
            pool.swap(place, other);
        }
        if statistic(&pool[..new.len()]) >= limit {
            as_extreme += 1;
            if as_extreme == ENOUGH {
                return Ok(ENOUGH as f64 / draw as f64);
            }
        }
    }
    Ok((1 + as_extreme) as f64 / (1 + most) as f64)
}

/// The smallest p-value of [`p_of_level`]: no law is known further out.
pub const SMALLEST: f64 = 1e-7;

/// How far one value spreads, and with how many degrees of freedom that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Standard deviation.
    pub std: f64,
    /// Degrees of freedom.
    pub freedom: f64,
}

impl Scale {
    /// The spread within all `groups` together; none where no group has two values.
    #[must_use]
    pub fn within(groups: &[Vec<f64>]) -> Option<Self> {
        let mut held = (0.0, 0.0);
        for values in groups.iter().filter(|values| values.len() > 1) {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            held.0 += values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            held.1 += values.len() as f64 - 1.0;
        }
        (held.1 > 0.0).then(|| Self { std: (held.0 / held.1).sqrt(), freedom: held.1 })
    }
}

/// The p-value of the hypothesis that new values have the mean of those at `level`, by Student's t with a spread that is known
/// from elsewhere: for a level so young that dividing its runs would tell nothing.
///
/// # Errors
/// [`Error::Invalid`] for no new value or none at the level.
pub fn p_of_level(level: &[f64], new: &[f64], scale: &Scale, tail: Tail) -> Result<f64> {
    let (n, m) = (new.len() as f64, level.len() as f64);
    let law = StudentsT::new(0.0, 1.0, scale.freedom);
    let (Ok(law), true) = (law, n > 0.0 && m > 0.0 && scale.std > 0.0) else {
        return Err(Error::Invalid(format!("{n} new values against {m} with a spread of {}", scale.std)));
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let t = (mean(new) - mean(level)) / (scale.std * (1.0 / n + 1.0 / m).sqrt());
    let p = match tail {
        Tail::Lower => law.cdf(t),
        Tail::Higher => law.cdf(-t),
        Tail::Either => 2.0 * law.cdf(-t.abs()),
    };
    Ok(p.clamp(SMALLEST, 1.0))
}

/// The smallest p-value of [`p_of_runs`] with at most `most` draws where, of `reference + worse + new` values, the `new` ones are
/// as extreme as `worse` earlier ones and more so than all others.
#[must_use]
pub fn smallest_p(reference: usize, worse: usize, new: usize, most: usize) -> f64 {
    let (bad, all) = ((worse + new) as f64, (reference + worse + new) as f64);
    let share: f64 = (0..new).map(|i| (bad - i as f64) / (all - i as f64)).product();
    share.max(1.0 / (1 + most) as f64)
}

/// Whether nights differ by more than the runs within them: the p-value of the F test of a one-way layout. 1 where there is
/// nothing to tell.
///
/// # Errors
/// [`Error::Unexpected`] if the F law refuses its degrees of freedom.
pub fn p_of_night_effect(nights: &[&[f64]]) -> Result<f64> {
    let runs: usize = nights.iter().map(|night| night.len()).sum();
    if nights.len() < 2 || runs <= nights.len() {
        return Ok(1.0);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let all = mean(&nights.concat());
    let (mut between, mut within) = (0.0, 0.0);
    for night in nights.iter().filter(|night| !night.is_empty()) {
        let own = mean(night);
        between += night.len() as f64 * (own - all).powi(2);
        within += night.iter().map(|value| (value - own).powi(2)).sum::<f64>();
    }
    let (k, n) = ((nights.len() - 1) as f64, (runs - nights.len()) as f64);
    if between <= 1e-12 * within || between == 0.0 {
        return Ok(1.0);
    }
    if within == 0.0 {
        return Ok(0.0);
    }
    let law = FisherSnedecor::new(k, n).map_err(|cause| Error::Unexpected(cause.to_string()))?;
    Ok(1.0 - law.cdf(between / k / (within / n)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::*;

    /// The evidence of p-values, each against so many nights.
    fn evidence_of(nights: &[(f64, usize)]) -> f64 {
        let mut detector = Detector::default();
        nights.iter().for_each(|&(p, reference)| detector.add(p, reference));
        detector.evidence()
    }

    #[test]
    fn factors_by_hand() {
        assert_eq!(evidence_of(&[]), 1.0);
        // p = 0.00135 is three standard deviations out; against very many nights μ is the size itself.
        let many = 1_000_000_000;
        let three = SIZES.iter().map(|size| (3.0 * size - 0.5 * size * size).exp()).sum::<f64>() / 4.0;
        assert!(close(evidence_of(&[(0.001_349_898, many)]), three, 1e-3 * three));
        // A second such night against ten of which one is changed: μ = δ·0.9/√1.1, after δ·1/√(1 + 1/9).
        let by_hand = |size: f64| {
            let (first, second) = (size / (10.0f64 / 9.0).sqrt(), size * 0.9 / 1.1f64.sqrt());
            (3.0 * first - 0.5 * first * first + 3.0 * second - 0.5 * second * second).exp()
        };
        let two = SIZES.into_iter().map(by_hand).sum::<f64>() / 4.0;
        assert!(close(evidence_of(&[(0.001_349_898, 9), (0.001_349_898, 10)]), two, 2e-3 * two));
        // The mean over p of the factor of one night is 1: in u = −ln p, by the trapezoid rule; beyond u = 40 is e^(−21).
        for reference in [1, 10, many] {
            let at = |u: f64| (-u).exp() * evidence_of(&[((-u).exp(), reference)]);
            let steps = (0..40_000).map(|i| f64::from(i) * 1e-3);
            let integral: f64 = steps.map(|u| 0.5e-3 * (at(u) + at(u + 1e-3))).sum();
            assert!(close(integral, 1.0, 1e-3), "{integral}");
        }
    }

    #[test]
    fn a_change_may_begin_at_any_night() {
        // Nights before a change take nothing from the evidence of those after it.
        let after = [(1e-3, 12), (1e-3, 13)];
        assert_eq!(evidence_of(&[&[(1.0, 10), (0.9, 11)], after.as_slice()].concat()), evidence_of(&after));
        // And a night that could not be better does not end it.
        let all = evidence_of(&[(1e-4, 50), (1e-4, 51), (1.0, 52)]);
        assert!(all > 2.0 && all < evidence_of(&[(1e-4, 50), (1e-4, 51)]), "{all}");
    }

    #[test]
    fn a_level_with_a_known_spread() {
        // Means 3 and 1 of 2 and 2 values, spread 1: t = 2/1 = 2; of four degrees of freedom 0.0581 is beyond.
        let scale = Scale::within(&[vec![0.0, 1.0, 2.0], vec![4.0], vec![5.0, 6.0, 7.0]]).unwrap();
        assert_eq!((scale.std, scale.freedom), (1.0, 4.0));
        let p = |tail| p_of_level(&[0.0, 2.0], &[2.5, 3.5], &scale, tail).unwrap();
        assert!(close(p(Tail::Higher), 0.058_058, 1e-6) && close(p(Tail::Lower), 0.941_942, 1e-6));
        assert!(close(p(Tail::Either), 0.116_117, 1e-6));
        assert_eq!(p_of_level(&[0.0], &[1e9], &scale, Tail::Higher).unwrap(), SMALLEST);
        assert!(p_of_level(&[], &[1.0], &scale, Tail::Higher).is_err() && Scale::within(&[vec![1.0]]).is_none());
    }

    #[test]
    fn small_p_values_by_counting() {
        assert!(close(smallest_p(9, 0, 3, 1000), 1.0 / 220.0, 1e-15) && smallest_p(400, 0, 10, 999_999) == 1e-6);
        // Three of the six lowest of fifteen: 20 of 455.
        assert!(close(smallest_p(9, 3, 3, 1000), 20.0 / 455.0, 1e-15));
        // 3 lowest of 12: one division in 220.
        let reference: Vec<f64> = (0..9).map(f64::from).collect();
        let p = p_of_runs(&reference, &[-9.0, -8.5, -8.0], Tail::Lower, 100_000, 1).unwrap();
        assert!(close(p, 1.0 / 220.0, 2e-3), "{p}");
        assert!(p_of_runs(&reference, &[-9.0, -8.5, -8.0], Tail::Higher, 1000, 1).unwrap() > 0.9);
        assert!(p_of_runs(&[], &[1.0], Tail::Either, 9, 1).is_err());
    }

    fn normal(stream: &mut Stream) -> f64 {
        (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0
    }

    #[test]
    fn p_values_of_successive_nights_are_independent_and_uniform() {
        // What the guarantee rests on: against a reference that grows, products of factors have a mean of at most 1.
        let bet = |p: f64| evidence_of(&[(p, 10)]);
        let (mut small, mut both, mut product, rounds) = (0, 0, 0.0, 3000);
        for round in 0..rounds {
            let mut stream = Stream::new(round, 3);
            let mut reference: Vec<f64> = (0..4).map(|_| normal(&mut stream)).collect();
            let p: Vec<f64> = (0..3)
                .map(|night| {
                    let new: Vec<f64> = (0..4).map(|_| normal(&mut stream)).collect();
                    let p = p_of_runs(&reference, &new, Tail::Lower, 100_000, round * 10 + night).unwrap();
                    reference.extend(new);
                    p
                })
                .collect();
            small += p.iter().filter(|&&p| p <= 0.1).count();
            both += usize::from(p[1] <= 0.2 && p[2] <= 0.2);
            product += p.iter().map(|&p| bet(p).min(30.0)).product::<f64>();
        }
        let share = small as f64 / (3 * rounds) as f64;
        assert!(share <= 0.112, "{share} at 10 %");
        let share = both as f64 / rounds as f64;
        assert!(share <= 0.051, "{share} at 4 %");
        assert!(product / rounds as f64 <= 1.15, "{}", product / rounds as f64);
    }

    #[test]
    fn nights_that_differ_are_told_from_nights_that_do_not() {
        let nights = |seed, effect: f64| -> Vec<Vec<f64>> {
            let mut stream = Stream::new(seed, 9);
            (0..10)
                .map(|_| {
                    let own = effect * normal(&mut stream);
                    (0..5).map(|_| own + normal(&mut stream)).collect()
                })
                .collect()
        };
        let p = |nights: &[Vec<f64>]| p_of_night_effect(&nights.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let found = |effect| (0..200).filter(|&seed| p(&nights(seed, effect)) <= 0.05).count();
        let (none, some) = (found(0.0), found(1.0));
        assert!((2..=20).contains(&none) && some >= 190, "{none} and {some} of 200");
        assert_eq!(p(&[vec![1.0], vec![2.0]]), 1.0);
        // Means 1 and 3 with 0, 2 and 2, 4: 4 between over 2 within, F(1, 2) = 2.
        assert!(close(p(&[vec![0.0, 2.0], vec![2.0, 4.0]]), 0.292_893, 1e-5));
    }

    proptest! {
        #[test]
        fn evidence_falls_as_p_rises(a in 1e-9f64..1.0, b in 1e-9f64..1.0) {
            let (low, high) = (a.min(b), a.max(b));
            let of = |p| evidence_of(&[(p, 7)]);
            prop_assert!(of(low) >= of(high) - 1e-12);
        }

        #[test]
        fn the_order_within_a_night_does_not_matter(values in proptest::collection::vec(-5i32..5, 8..20)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let (new, reference) = values.split_at(3);
            let back: Vec<f64> = new.iter().rev().copied().collect();
            let p = |new: &[f64]| p_of_runs(reference, new, Tail::Either, 1000, 4).unwrap();
            let (one, other) = (p(new), p(&back));
            // Of the same divisions in another order of drawing: equal up to chance.
            prop_assert!((one - other).abs() < 0.9 && one > 0.0);
        }
    }
}
