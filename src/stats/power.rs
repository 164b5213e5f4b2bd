//! What a comparison of so many runs can see: the smallest change that is found four times in five.

use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal, StudentsT};

use crate::error::{Error, Result};

/// Places of each of the two integrals over a standard deviation.
const PLACES: usize = 48;

/// How often a change is to be found.
pub const POWER: f64 = 0.8;

/// A two-sided test of two means, or of the mean of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// 1/n₁ + 1/n₂, or 1/n of pairs: the variance of the difference in units of that of one run (one difference).
    pub weight: f64,
    /// Degrees of freedom of the test.
    pub freedom: f64,
    /// |t| beyond which a change counts as found.
    pub critical: f64,
    /// Standard deviation of its logarithm from one test to the next.
    pub spread: f64,
}

impl Design {
    /// `n` runs against `m` at a critical value.
    #[must_use]
    pub fn of_sides(n: usize, m: usize, critical: f64) -> Self {
        Self { weight: 1.0 / n as f64 + 1.0 / m as f64, freedom: (n + m) as f64 - 2.0, critical, spread: 0.0 }
    }

    /// `n` pairs.
    #[must_use]
    pub fn of_pairs(n: usize, critical: f64) -> Self {
        Self { weight: 1.0 / n as f64, freedom: n as f64 - 1.0, critical, spread: 0.0 }
    }

    /// The same where the critical value is the statistic of rank `rank` of the divisions of a permutation test: few divisions
    /// make it vary from test to test. Where the tail falls like c^(−1/ξ), the logarithm of the value of rank k varies by
    /// ξ·√(π²/6 − Σ_{i<k} 1/i²) (Rényi 1953); ξ is that of Student's t at the critical value.
    ///
    /// # Errors
    /// [`Error::Unexpected`] without degrees of freedom.
    pub fn of_rank(self, rank: usize) -> Result<Self> {
        let level = level_of_t(self.critical, self.freedom)?.max(1e-12);
        let index = (critical_t(level / std::f64::consts::E, self.freedom)? / self.critical).ln();
        let earlier: f64 = (1..rank.clamp(1, 1000)).map(|i| 1.0 / (i as f64).powi(2)).sum();
        let spread = index.max(0.0) * (std::f64::consts::PI.powi(2) / 6.0 - earlier).max(0.0).sqrt();
        // Below one in a hundred it is lost among the degrees of freedom.
        Ok(Self { spread: if spread > 0.01 { spread } else { 0.0 }, ..self })
    }

    /// The change, in standard deviations as `known` degrees of freedom estimate them, that is found with probability
    /// `power`: the mean over what the true standard deviation may be, over what the test will estimate it as, and over the
    /// critical values of the next test. The
    /// chance of a finding in the wrong direction is left out.
    ///
    /// # Errors
    /// [`Error::Unexpected`] without degrees of freedom.
    pub fn detectable(&self, known: f64, power: f64) -> Result<f64> {
        let scales = |freedom: f64| -> Result<Vec<f64>> {
            let law = ChiSquared::new(freedom).map_err(|cause| Error::Unexpected(cause.to_string()))?;
            let place = |i: usize| (law.inverse_cdf((i as f64 + 0.5) / PLACES as f64) / freedom).sqrt();
            Ok((0..PLACES).map(place).collect())
        };
        let (of_test, of_estimate) = (scales(self.freedom)?, scales(known)?);
        let normal = Normal::standard();
        // The critical value by five equal shares of its law.
        let places: &[f64] = if self.spread > 0.0 { &[0.1, 0.3, 0.5, 0.7, 0.9] } else { &[0.5] };
        let criticals: Vec<f64> = places
            .iter()
            .map(|&place| self.critical * (self.spread * normal.inverse_cdf(place)).exp())
            .flat_map(|critical| of_test.iter().map(move |test| critical * test))
            .collect();
        let found = |change: f64| {
            let shift = change / self.weight.sqrt();
            let each =
                of_estimate.iter().flat_map(|estimate| criticals.iter().map(move |limit| estimate * shift - limit));
            each.map(|z| normal.cdf(z)).sum::<f64>() / (PLACES * criticals.len()) as f64
        };
        let (mut low, mut high) = (0.0, 1.0);
        while found(high) < power && high < 1e6 {
            high *= 2.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if found(middle) < power { low = middle } else { high = middle }
        }
        Ok(high)
    }
}

/// Runs a side that find a change of `change` standard deviations with probability [`POWER`] in a two-sided t test at
/// `level`, the standard deviation being known from `known` degrees of freedom; none up to 10,000.
///
/// # Errors
/// [`Error::Unexpected`] for a level outside (0, 1).
pub fn runs_needed(change: f64, level: f64, known: f64) -> Result<Option<usize>> {
    const MOST: usize = 10_000;
    let enough = |n: usize| -> Result<bool> {
        let design = Design::of_sides(n, n, critical_t(level, 2.0 * n as f64 - 2.0)?);
        Ok(design.detectable(known, POWER)? <= change)
    };
    if change.is_nan() || change <= 0.0 || !enough(MOST)? {
        return Ok(None);
    }
    let (mut few, mut many) = (fewest_runs(level).max(2) - 1, MOST);
    while many - few > 1 {
        let middle = few.midpoint(many);
        if enough(middle)? { many = middle } else { few = middle }
    }
    Ok(Some(many))
}

/// The two-sided critical value of Student's t at `level`.
///
/// # Errors
/// [`Error::Unexpected`] without degrees of freedom.
pub fn critical_t(level: f64, freedom: f64) -> Result<f64> {
    let law = StudentsT::new(0.0, 1.0, freedom).map_err(|cause| Error::Unexpected(cause.to_string()))?;
    Ok(law.inverse_cdf(1.0 - 0.5 * level))
}

/// The level of one two-sided t test with critical value `critical`.
///
/// # Errors
/// [`Error::Unexpected`] without degrees of freedom.
pub fn level_of_t(critical: f64, freedom: f64) -> Result<f64> {
    let law = StudentsT::new(0.0, 1.0, freedom).map_err(|cause| Error::Unexpected(cause.to_string()))?;
    Ok(2.0 * (1.0 - law.cdf(critical)))
}

/// Runs a side, at least, so that `level` can be reached at all: of the C(2n, n) divisions two are as extreme as the sides.
#[must_use]
pub fn fewest_runs(level: f64) -> usize {
    let mut smallest = 1.0;
    (1..1000)
        .find(|&n| {
            smallest *= n as f64 / (2.0 * (2.0 * n as f64 - 1.0));
            2.0 * smallest <= level
        })
        .unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::*;

    #[test]
    fn known_sample_sizes() {
        // The textbook's case: d = 1, two-sided 5 %, 80 %: 17 a side (Cohen 1988), the standard deviation known well.
        let at = |n: usize| {
            let critical = critical_t(0.05, 2.0 * n as f64 - 2.0).unwrap();
            Design::of_sides(n, n, critical).detectable(1e6, 0.8).unwrap()
        };
        assert!(at(17) < 1.0 && at(16) > 1.0, "{} {}", at(17), at(16));
        assert!(close(at(64), 0.5, 0.005), "{}", at(64));
        assert_eq!(runs_needed(1.0, 0.05, 1e6).unwrap(), Some(17));
        assert_eq!((runs_needed(9.0, 0.05, 1e6).unwrap(), runs_needed(0.0, 0.05, 1e6).unwrap()), (Some(4), None));
        // Of pairs: d = 0.5 needs 34.
        let critical = critical_t(0.05, 33.0).unwrap();
        assert!(close(Design::of_pairs(34, critical).detectable(1e6, 0.8).unwrap(), 0.495, 0.006));
        // A standard deviation from few runs may be too small: the promise is larger.
        let critical = critical_t(0.05, 8.0).unwrap();
        let few = Design::of_sides(5, 5, critical);
        assert!(few.detectable(8.0, 0.8).unwrap() > few.detectable(1e6, 0.8).unwrap());
        assert!(close(level_of_t(critical, 8.0).unwrap(), 0.05, 1e-9));
    }

    #[test]
    fn few_divisions_make_the_critical_value_vary() {
        // Four against four: of 35 pairs of divisions the largest counts. Six degrees of freedom, |t| = 4.95: level 0.0026,
        // a factor e further out 6.02, ξ = 0.196; times √(π²/6).
        let four = Design::of_sides(4, 4, 4.95).of_rank(1).unwrap();
        assert!(close(four.spread, 0.251, 0.002), "{}", four.spread);
        assert!(close(Design::of_sides(5, 5, 3.79).of_rank(6).unwrap().spread, 0.075, 0.002));
        assert_eq!(Design::of_sides(10, 10, 3.1).of_rank(1000).unwrap().spread, 0.0);
        let plain = Design { spread: 0.0, ..four };
        assert!(four.detectable(6.0, 0.8).unwrap() > 1.01 * plain.detectable(6.0, 0.8).unwrap());
    }

    #[test]
    fn so_few_runs_can_show_nothing() {
        // 2/C(2n, n): 2/20 at 3, 2/70 at 4; one per cent needs 2/252 at 5.
        assert_eq!((fewest_runs(0.05), fewest_runs(0.01)), (4, 5));
    }
}
