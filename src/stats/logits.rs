//! One run's soft decisions, borrowed, with the labels that they are judged by.

use crate::error::{Error, Result};

/// A number that soft decisions may be stored in; every statistic widens it to f64 first.
pub trait Real: Copy + Send + Sync + Into<f64> {}
impl Real for f32 {}
impl Real for f64 {}

/// The logits `[N, C]` of one run, row after row, and the labels `[N]`; or those of some of its examples, which are not
/// copied.
///
/// Mean probabilities are passed as their logarithms: their softmax is themselves.
#[derive(Debug, Clone, Copy)]
pub struct Logits<'a, T = f32> {
    values: &'a [T],
    labels: &'a [u32],
    classes: usize,
    /// The row of each example, where only some take part.
    chosen: Option<&'a [u32]>,
}

impl<'a, T: Real> Logits<'a, T> {
    /// Wraps `values` of `labels.len()` examples times `classes` classes. Values need not be finite; see [`Self::is_finite`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no examples, fewer than two classes, a wrong number of values, or a label out of range.
    pub fn new(values: &'a [T], labels: &'a [u32], classes: usize) -> Result<Self> {
        if labels.is_empty() {
            return Err(Error::Invalid("there are no examples: at least one is needed".into()));
        }
        if classes < 2 {
            return Err(Error::Invalid(format!(
                "the soft decisions have {classes} class(es): at least two are needed"
            )));
        }
        if labels.len().checked_mul(classes) != Some(values.len()) {
            return Err(Error::Invalid(format!(
                "{} logits are not {} examples of {classes} classes",
                values.len(),
                labels.len()
            )));
        }
        if let Some((example, label)) = labels.iter().enumerate().find(|&(_, &y)| y as usize >= classes) {
            return Err(Error::Invalid(format!(
                "label {label} of example {example} is out of range: labels go from 0 to {}",
                classes - 1
            )));
        }
        Ok(Self { values, labels, classes, chosen: None })
    }

    /// Only the rows `chosen` of `values` `[N, C]`, in this order, with their `labels`, one for each of `chosen`.
    ///
    /// # Errors
    /// As [`Self::new`]; [`Error::Invalid`] if a row is chosen that is not there.
    pub fn of_rows(values: &'a [T], chosen: &'a [u32], labels: &'a [u32], classes: usize) -> Result<Self> {
        let rows = values.len() / classes.max(1);
        if let Some(row) = chosen.iter().find(|&&row| row as usize >= rows) {
            return Err(Error::Invalid(format!("example {row} was chosen of {rows}")));
        }
        let first = values.get(..chosen.len().saturating_mul(classes)).unwrap_or(values);
        Ok(Self { values, chosen: Some(chosen), ..Self::new(first, labels, classes)? })
    }

    /// Number of examples N, at least 1.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.labels.len()
    }

    /// Number of classes C, at least 2.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The labels `[N]`, each below C.
    #[must_use]
    pub fn labels(&self) -> &'a [u32] {
        self.labels
    }

    /// The logits `[C]` of an example.
    ///
    /// # Panics
    /// If `example` is not below N.
    #[must_use]
    pub fn row(&self, example: usize) -> &'a [T] {
        let place = self.chosen.map_or(example, |chosen| chosen[example] as usize);
        &self.values[place * self.classes..][..self.classes]
    }

    /// The logits and the label of each example, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&'a [T], usize)> + use<'a, T> {
        let this = *self;
        self.labels.iter().enumerate().map(move |(example, &y)| (this.row(example), y as usize))
    }

    /// Whether every logit is finite; a run for which this is false has diverged and takes part in no reference.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.rows().all(|(row, _)| row.iter().all(|&v| v.into().is_finite()))
    }
}

/// Checks that there is at least one run and that all have one shape and the same labels.
///
/// # Errors
/// [`Error::Invalid`] naming the first run that differs from run 0.
pub fn check_same<T: Real>(runs: &[Logits<'_, T>]) -> Result<()> {
    let Some(first) = runs.first() else {
        return Err(Error::Invalid("there are no runs: at least one is needed".into()));
    };
    for (m, run) in runs.iter().enumerate() {
        if (run.examples(), run.classes) != (first.examples(), first.classes) {
            return Err(Error::Invalid(format!(
                "run {m} has {} examples of {} classes, run 0 has {} of {}: all runs must be recorded on the same examples",
                run.examples(),
                run.classes,
                first.examples(),
                first.classes
            )));
        }
        if !std::ptr::eq(run.labels, first.labels) && run.labels != first.labels {
            return Err(Error::Invalid(format!("the labels of run {m} differ from those of run 0")));
        }
    }
    Ok(())
}

/// Writes the softmax of `row` into `out` and returns log Σ exp(row); both of length C. Adding a constant to the row
/// changes nothing in `out`.
pub fn softmax_into<T: Real>(row: &[T], out: &mut [f64]) -> f64 {
    let top = maximum(row);
    let mut sum = 0.0;
    for (p, &z) in out.iter_mut().zip(row) {
        *p = (z.into() - top).exp();
        sum += *p;
    }
    for p in out.iter_mut() {
        *p /= sum;
    }
    top + sum.ln()
}

/// The largest logit of a row; −∞ for an empty one.
pub fn maximum<T: Real>(row: &[T]) -> f64 {
    row.iter().fold(f64::NEG_INFINITY, |a, &z| a.max(z.into()))
}

/// The log-odds of a class: z_c − log Σ_{k≠c} exp z_k. Only differences of logits enter.
///
/// # Panics
/// If `class` is not below C.
pub fn log_odds<T: Real>(row: &[T], class: usize) -> f64 {
    let others = || row.iter().enumerate().filter(|&(k, _)| k != class).map(|(_, &z)| z.into());
    let top = others().fold(f64::NEG_INFINITY, f64::max);
    (row[class].into() - top) - others().map(|z| (z - top).exp()).sum::<f64>().ln()
}

/// The class with the largest logit; the lowest of those that tie.
pub fn argmax<T: Real>(row: &[T]) -> usize {
    let mut best = 0;
    let mut top = f64::NEG_INFINITY;
    for (k, &z) in row.iter().enumerate() {
        if z.into() > top {
            (best, top) = (k, z.into());
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_wrong_shapes_and_labels() {
        let z = [0.0f32; 6];
        assert!(Logits::new(&z, &[0, 1, 2], 2).unwrap_err().to_string().contains("label 2 of example 2"));
        assert!(Logits::new(&z, &[0, 1], 2).is_err());
        assert!(Logits::new(&z, &[], 2).is_err());
        assert!(Logits::new(&z, &[0; 6], 1).is_err());
        assert!(Logits::new(&z, &[0, 1, 1], 2).is_ok());
        let (a, b) = (Logits::new(&z, &[0, 1, 1], 2).unwrap(), Logits::new(&z, &[0, 0, 1], 2).unwrap());
        assert!(check_same(&[a, a]).is_ok());
        assert!(check_same(&[a, b]).unwrap_err().to_string().contains("run 1"));
        assert!(check_same(&[a, Logits::new(&z, &[0, 1], 3).unwrap()]).is_err());
        assert!(check_same::<f32>(&[]).is_err());
    }

    #[test]
    fn some_of_the_rows() {
        let z = [1.0f32, 2.0, 3.0, 4.0, 5.0, f32::NAN];
        let some = Logits::of_rows(&z, &[1, 0], &[0, 1], 2).unwrap();
        assert_eq!(some.rows().collect::<Vec<_>>(), [(&z[2..4], 0), (&z[..2], 1)]);
        assert!(some.is_finite() && some.examples() == 2);
        assert!(Logits::of_rows(&z, &[3], &[0], 2).is_err() && Logits::of_rows(&z, &[0, 1], &[0], 2).is_err());
        assert!(Logits::of_rows(&z, &[0], &[2], 2).is_err() && Logits::of_rows(&z, &[], &[], 2).is_err());
    }

    #[test]
    fn softmax_of_huge_logits_is_finite() {
        let mut p = [0.0; 3];
        let lse = softmax_into(&[1e4f32, 0.0, -1e4], &mut p);
        assert_eq!(p, [1.0, 0.0, 0.0]);
        assert_eq!(lse, 1e4);
    }

    #[test]
    fn ties_go_to_the_lowest_class() {
        assert_eq!(argmax(&[1.0, 2.0, 2.0]), 1);
    }

    #[test]
    fn log_odds_leave_the_class_out() {
        let v = log_odds(&[0.0, 700.0, 0.0], 1);
        assert!((v - (700.0 - 2f64.ln())).abs() < 1e-12);
        assert_eq!(log_odds(&[0.5, 3.0], 0), -2.5, "two classes: the difference, exactly");
    }
}
