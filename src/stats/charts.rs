//! Pictures of a history of single values, one a night: limits of individual values and a weighted average (Montgomery,
//! Introduction to Statistical Quality Control, chapters 6 and 9). Verdicts come from [`super::evidence`].

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::descriptive::{mean, std};
use crate::error::{Error, Result};

/// What further values of a process are expected to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub centre: f64,
    /// Standard deviation from value to value.
    pub sigma: f64,
    pub low: f64,
    pub high: f64,
}

/// From the values of a period: one further value of the same normal process lies between `low` and `high` in 99.73 % of
/// cases, although centre and sigma are estimates: centre ∓ t √(1 + 1/n) sigma with n − 1 degrees of freedom. One value has
/// no limits but itself.
///
/// # Errors
/// [`Error::Invalid`] for no value.
pub fn limits(values: &[f64]) -> Result<Limits> {
    let count = values.len() as f64;
    let centre = mean(values);
    match values.len() {
        0 => Err(Error::Invalid("limits of no values".into())),
        1 => Ok(Limits { centre, sigma: 0.0, low: centre, high: centre }),
        _ => {
            let law = StudentsT::new(0.0, 1.0, count - 1.0).map_err(|cause| Error::Unexpected(cause.to_string()))?;
            let sigma = std(values);
            let reach = law.inverse_cdf(0.998_65) * (1.0 + 1.0 / count).sqrt() * sigma;
            Ok(Limits { centre, sigma, low: centre - reach, high: centre + reach })
        }
    }
}

/// The exponentially weighted moving average (Roberts 1959): λx_i + (1 − λ)·previous, which starts at `centre`. Missing values
/// leave it where it is.
#[must_use]
pub fn ewma(values: &[Option<f64>], centre: f64, lambda: f64) -> Vec<Option<f64>> {
    let mut average = centre;
    values
        .iter()
        .map(|value| {
            average += lambda * ((*value)? - average);
            Some(average)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::close;
    use super::*;

    #[test]
    fn limits_by_hand() {
        let found = limits(&[1.0, 2.0, 3.0]).unwrap();
        // t(2) at 99.865 % is 19.206.
        assert!(close(found.centre, 2.0, 1e-12) && close(found.sigma, 1.0, 1e-12));
        assert!(close(found.high - 2.0, 19.206 * (4.0f64 / 3.0).sqrt(), 0.01), "{}", found.high);
        assert_eq!(limits(&[5.0]).unwrap().high, 5.0);
        assert!(limits(&[]).is_err());
    }

    #[test]
    fn an_average_by_hand() {
        let found = ewma(&[Some(1.0), None, Some(2.0)], 0.0, 0.5);
        assert_eq!(found, [Some(0.5), None, Some(1.25)]);
    }
}
