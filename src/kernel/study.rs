//! The surrogate of one network: its kernel on training and test examples, the fit, and how faithful it is.

use super::Jacobians;
use super::kind::{Draw, Kind};
use super::spectrum::cosine;
use super::surrogate::{Fidelity, FitOptions, Surrogate, fidelity};
use crate::error::{Error, Result};

/// Labelled examples, pixels `[n, channels · height · width]` and labels `[n]`.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    pub pixels: &'a [f32],
    pub labels: &'a [u32],
}

/// A surrogate with what it was judged on: T training and N test examples, C classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    pub surrogate: Surrogate,
    pub fidelity: Fidelity,
    /// `[N, T]`: the cosine-normalised kernel between test and training examples, which the surrogate reads.
    pub rows: Vec<f32>,
    /// Logits of the surrogate and of the network on the test examples, `[N, C]`.
    pub surrogate_logits: Vec<f64>,
    pub network_logits: Vec<f64>,
}

/// Fits a surrogate (Engel 2024) to the cosine-normalised kernel of that kind between the training examples, and compares it with
/// the network on the test examples. The kernel of all of them is computed: the cost is quadratic in T + N. Every kind but the full
/// one has a row for each example.
///
/// # Errors
/// `Invalid` if the examples do not fit the network or each other, or the kernel is constant; `Unexpected` if the fit does not
/// reach its gradient norm.
pub fn study(
    network: &Jacobians,
    train: Examples,
    test: Examples,
    kind: Kind,
    draw: &Draw,
    options: &FitOptions,
) -> Result<Study> {
    let (t, n, classes) = (train.labels.len(), test.labels.len(), network.classes());
    if t == 0 || n == 0 || (t + n) * network.example_len() != train.pixels.len() + test.pixels.len() {
        return Err(Error::Invalid(format!(
            "{t} training and {n} test examples with {} and {} values do not fit a network that takes {} each",
            train.pixels.len(),
            test.pixels.len(),
            network.example_len()
        )));
    }
    let all = [train.pixels, test.pixels].concat();
    if kind == Kind::Full {
        return Err(Error::Invalid(
            "the full kernel has no one row for each example, so no surrogate is fitted to it".into(),
        ));
    }
    let logits = network.logits(&all)?;
    let normalised = cosine(&network.kernel(&all, kind, draw)?.values)?;
    // The first T columns of the rows: of the training examples, then of the test examples.
    let mut rows: Vec<f32> =
        normalised.chunks_exact(t + n).flat_map(|row| row[..t].iter().map(|&v| v as f32)).collect();
    let rows_of_test = rows.split_off(t * t);
    let surrogate = Surrogate::fit(&rows, train.labels, classes, options)?;
    let surrogate_logits = surrogate.logits(&rows_of_test)?;
    let network_logits: Vec<f64> = logits[t * classes..].iter().map(|&z| f64::from(z)).collect();
    let fidelity = fidelity(&surrogate_logits, &network_logits, test.labels)?;
    Ok(Study { surrogate, fidelity, rows: rows_of_test, surrogate_logits, network_logits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Model;
    use crate::kernel::DEFAULT_BUDGET;
    use crate::kernel::brute::Case;

    #[test]
    fn rows_are_the_kernel_between_test_and_training_examples() {
        let model = Model::parse("kind = 'mlp', widths = [6], activation = 'tanh'");
        let case = Case::new(&model, [1, 3, 3], 2, 14, 5);
        let network = Jacobians::from_weights(&case.plan, case.weights.clone(), DEFAULT_BUDGET).unwrap();
        let labels: Vec<u32> = (0..14).map(|i| i % 2).collect();
        let (train, test) = case.pixels.split_at(10 * 9);
        let of = |pixels, labels| Examples { pixels, labels };
        let kind = Kind::Trace;
        let options = FitOptions::default();
        let judged =
            study(&network, of(train, &labels[..10]), of(test, &labels[10..]), kind, &Draw::default(), &options)
                .unwrap();
        let kernel = cosine(&network.kernel(&case.pixels, kind, &Draw::default()).unwrap().values).unwrap();
        assert_eq!(judged.rows.len(), 4 * 10);
        for (i, row) in judged.rows.chunks_exact(10).enumerate() {
            for (j, &value) in row.iter().enumerate() {
                assert_eq!(value, kernel[(10 + i) * 14 + j] as f32);
            }
        }
        assert_eq!((judged.surrogate.references(), judged.surrogate_logits.len()), (10, 8));
        let logits = case.logits();
        for (ours, exact) in judged.network_logits.iter().zip(&logits[20..]) {
            assert!((ours - exact).abs() < 1e-5);
        }
        assert!(judged.surrogate.gradient_norm < options.gradient_norm);
        let short = study(&network, of(train, &labels[..9]), of(test, &labels[10..]), kind, &Draw::default(), &options);
        assert!(short.unwrap_err().to_string().contains("do not fit a network that takes 9 each"));
    }
}
