//! Kernel surrogates (kGLM, Engel 2024): multinomial logistic regression on the rows of a kernel, how faithfully it stands
//! in for the network, and which training examples its decisions rest on.

use std::cell::RefCell;

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};

use super::matrix::view;
use crate::error::{Error, Result};
use crate::stats::kendall::tau_b;

/// How a surrogate is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// λ of the penalty ½λ‖W‖² on the weights of the scaled features; the intercepts are free. Above 0, else separable classes
    /// have no optimum.
    pub ridge: f64,
    /// The fit ends when the Euclidean norm of the objective's gradient is below this.
    pub gradient_norm: f64,
    /// The fit gives up after this many iterations of L-BFGS.
    pub iterations: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { ridge: 1e-4, gradient_norm: 1e-6, iterations: 5000 }
    }
}

/// A fitted surrogate of C classes over R reference (training) examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Surrogate {
    /// `[R, C]` row-major, to be multiplied with kernel rows as they are; they sum to 0 over the classes.
    pub weights: Vec<f64>,
    /// `[C]`
    pub intercepts: Vec<f64>,
    pub classes: usize,
    /// Mean cross-entropy on the examples it was fitted to, in nats, without the penalty.
    pub loss: f64,
    /// Euclidean norm of the objective's gradient where the fit ended.
    pub gradient_norm: f64,
    /// Iterations of L-BFGS.
    pub iterations: u64,
}

/// How well a surrogate stands in for its network on N test examples (Engel 2024).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    pub network_accuracy: f64,
    pub surrogate_accuracy: f64,
    /// Test accuracy differential: accuracy of the surrogate less accuracy of the network, in `[-1, 1]`.
    pub tad: f64,
    /// Kendall's τ_b over the examples between the two log-odds of the correct class, z_y − logsumexp_{k≠y} z_k, in `[-1, 1]`; None
    /// where one of them is the same for all examples. Engel 2024 ranks probabilities, which have the same order until they
    /// round to 1: log-odds have no such ties.
    pub tau: Option<f64>,
    /// Examples that both get wrong over those that either gets wrong, in `[0, 1]`; None where neither errs.
    pub shared_misses: Option<f64>,
}

/// What one training example adds to a surrogate's logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Influence {
    /// Index into the reference examples.
    pub example: usize,
    /// Its kernel value with the test example.
    pub similarity: f64,
    /// Weight times kernel value; over all examples these and the intercept sum to the logit.
    pub contribution: f64,
}

/// A point, its value and its gradient.
type Evaluated = (Vec<f64>, f64, Vec<f64>);

/// The objective in the scaled features: mean cross-entropy plus the ridge, with its gradient.
struct Objective<'a> {
    /// `[n, r]`, centred and scaled.
    features: &'a [f64],
    labels: &'a [u32],
    classes: usize,
    ridge: f64,
    /// The last point, its value and its gradient: the solver asks for the two one after the other.
    last: RefCell<Option<Evaluated>>,
}

impl Objective<'_> {
    fn references(&self) -> usize {
        self.features.len() / self.labels.len()
    }

    /// Value and gradient at `[r + 1, classes]` parameters, the intercepts last.
    fn evaluate(&self, parameters: &[f64]) -> (f64, Vec<f64>) {
        let (n, r, c) = (self.labels.len(), self.references(), self.classes);
        let (weights, intercepts) = parameters.split_at(r * c);
        let mut residuals = logits(self.features, weights, intercepts, n);
        let mut loss = 0.0;
        for (row, &label) in residuals.chunks_exact_mut(c).zip(self.labels) {
            loss -= row[label as usize] - softmax(row);
            row[label as usize] -= 1.0;
            row.iter_mut().for_each(|v| *v /= n as f64);
        }
        let mut gradient: Vec<f64> = weights.iter().map(|w| w * self.ridge).collect();
        let rows = MatMut::from_row_major_slice_mut(&mut gradient, r, c);
        let features = view(self.features, n, r).transpose();
        matmul(rows, Accum::Add, features, view(&residuals, n, c), 1.0, Par::Seq);
        gradient.extend((0..c).map(|class| residuals.iter().skip(class).step_by(c).sum::<f64>()));
        let penalty = 0.5 * self.ridge * weights.iter().map(|w| w * w).sum::<f64>();
        (loss / n as f64 + penalty, gradient)
    }

    fn cached<T>(&self, parameters: &[f64], read: impl Fn(f64, &[f64]) -> T) -> T {
        let mut last = self.last.borrow_mut();
        let known = last.take().filter(|(at, ..)| at == parameters);
        let (at, value, gradient) = known.unwrap_or_else(|| {
            let (value, gradient) = self.evaluate(parameters);
            (parameters.to_vec(), value, gradient)
        });
        let answer = read(value, &gradient);
        *last = Some((at, value, gradient));
        answer
    }
}

impl CostFunction for &Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> std::result::Result<f64, argmin::core::Error> {
        Ok(self.cached(parameters, |value, _| value))
    }
}

impl Gradient for &Objective<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> std::result::Result<Vec<f64>, argmin::core::Error> {
        Ok(self.cached(parameters, |_, gradient| gradient.to_vec()))
    }
}

/// Turns logits `[C]` into probabilities in place and returns their logsumexp.
pub fn softmax(row: &mut [f64]) -> f64 {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
    row.iter_mut().for_each(|v| *v = (*v - top).exp() / sum);
    top + sum.ln()
}

/// `[n, r]` features times `[r, c]` weights plus `[c]` intercepts: `[n, c]`.
fn logits(features: &[f64], weights: &[f64], intercepts: &[f64], n: usize) -> Vec<f64> {
    let (c, r) = (intercepts.len(), features.len() / n);
    let mut out = intercepts.repeat(n);
    let target = MatMut::from_row_major_slice_mut(&mut out, n, c);
    matmul(target, Accum::Add, view(features, n, r), view(weights, r, c), 1.0, Par::Seq);
    out
}

impl Surrogate {
    /// Fits to kernel rows `[n, R]` of n examples against R reference examples (usually the same) and their labels `[n]`.
    ///
    /// Minimises the mean cross-entropy plus a ridge over linear functions of the kernel row by L-BFGS (Nocedal 1980) with the
    /// line search of Moré & Thuente (1994). Columns are centred, which the free intercepts absorb, and all are divided by the
    /// one number that makes their mean square 1, so that `ridge` means the same for every kernel. Deterministic.
    ///
    /// # Errors
    /// `Invalid` if the sizes do not fit, a label is not below `classes`, a value is not finite, the rows are all equal or an option
    /// is out of range; `Unexpected` if the gradient norm asked for was not reached.
    pub fn fit(rows: &[f32], labels: &[u32], classes: usize, options: &FitOptions) -> Result<Self> {
        let n = labels.len();
        check_fit(rows, labels, classes, options)?;
        let r = rows.len() / n;
        let (features, means, scale) = standardise(rows, n)?;
        let objective =
            Objective { features: &features, labels, classes, ridge: options.ridge, last: RefCell::new(None) };
        let mut parameters = vec![0.0; (r + 1) * classes];
        let mut iterations = 0;
        // A line search that cannot go on at the limit of rounding ends the solver early: starting it anew from the best point,
        // without its history, either goes on or shows that nothing is left to gain.
        loop {
            let (next, spent) = descend(&objective, &parameters, options, iterations)?;
            iterations += spent;
            let (norm, before) = (gradient_norm(&objective, &next), gradient_norm(&objective, &parameters));
            let stuck = spent == 0 || norm >= before;
            parameters = next;
            if norm < options.gradient_norm {
                break;
            }
            if stuck || iterations >= options.iterations {
                return Err(Error::Unexpected(format!(
                    "the surrogate's gradient norm is {norm:.1e} after {iterations} iterations, not below {:.1e}: raise the ridge, the norm or the number of iterations",
                    options.gradient_norm
                )));
            }
        }
        let penalty = 0.5 * options.ridge * parameters[..r * classes].iter().map(|w| w * w).sum::<f64>();
        let loss = objective.cached(&parameters, |value, _| value) - penalty;
        let gradient_norm = gradient_norm(&objective, &parameters);
        let mut intercepts = parameters.split_off(r * classes);
        let mut weights = parameters;
        weights.iter_mut().for_each(|w| *w *= scale);
        for (row, mean) in weights.chunks_exact(classes).zip(&means) {
            intercepts.iter_mut().zip(row).for_each(|(b, w)| *b -= w * mean);
        }
        Ok(Self { weights, intercepts, classes, loss, gradient_norm, iterations })
    }

    /// Number of reference examples.
    #[must_use]
    pub fn references(&self) -> usize {
        self.weights.len() / self.classes
    }

    /// Logits `[n, C]` of examples whose kernel rows against the reference examples are `[n, R]`.
    ///
    /// # Errors
    /// `Invalid` if the rows are of another length.
    pub fn logits(&self, rows: &[f32]) -> Result<Vec<f64>> {
        let r = self.references();
        if !rows.len().is_multiple_of(r) {
            return Err(Error::Invalid(format!("{} kernel values are not rows of {r} reference examples", rows.len())));
        }
        let features: Vec<f64> = rows.iter().map(|&v| f64::from(v)).collect();
        Ok(logits(&features, &self.weights, &self.intercepts, rows.len() / r))
    }

    /// The training examples that weigh most in the logit of `class` for a test example with kernel row `[R]`: at most `top`, by
    /// size of the contribution, ties by index (Engel 2024, attribution by kernel surrogate).
    ///
    /// # Errors
    /// `Invalid` if the row is of another length or there is no such class.
    pub fn attribute(&self, row: &[f32], class: usize, top: usize) -> Result<Vec<Influence>> {
        if row.len() != self.references() || class >= self.classes {
            return Err(Error::Invalid(format!(
                "a kernel row of {} and class {class} do not fit a surrogate of {} examples and {} classes",
                row.len(),
                self.references(),
                self.classes
            )));
        }
        let weights = self.weights.iter().skip(class).step_by(self.classes);
        let mut all: Vec<Influence> = row
            .iter()
            .zip(weights)
            .enumerate()
            .map(|(example, (&k, w))| Influence { example, similarity: f64::from(k), contribution: w * f64::from(k) })
            .collect();
        all.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
        all.truncate(top);
        Ok(all)
    }
}

fn check_fit(rows: &[f32], labels: &[u32], classes: usize, options: &FitOptions) -> Result<()> {
    let invalid = |message: String| Err(Error::Invalid(message));
    let n = labels.len();
    if n == 0 || rows.is_empty() || !rows.len().is_multiple_of(n) {
        return invalid(format!("{} kernel values are not one row for each of {n} labels", rows.len()));
    }
    if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
        return invalid(format!("label {label} of {classes} classes: labels are 0 to {}", classes.saturating_sub(1)));
    }
    if !(options.ridge > 0.0 && options.ridge.is_finite() && options.gradient_norm > 0.0) {
        return invalid(format!(
            "ridge {} and gradient norm {} of a surrogate must be positive numbers",
            options.ridge, options.gradient_norm
        ));
    }
    Ok(())
}

/// The rows `[n, r]` with every column's mean taken off and all scaled by one number: features, means `[r]`, the scale.
fn standardise(rows: &[f32], n: usize) -> Result<(Vec<f64>, Vec<f64>, f64)> {
    let r = rows.len() / n;
    let mut features: Vec<f64> = rows.iter().map(|&v| f64::from(v)).collect();
    let mut means = vec![0.0; r];
    for row in features.chunks_exact(r) {
        means.iter_mut().zip(row).for_each(|(m, v)| *m += v / n as f64);
    }
    for row in features.chunks_exact_mut(r) {
        row.iter_mut().zip(&means).for_each(|(v, m)| *v -= m);
    }
    let square = features.iter().map(|v| v * v).sum::<f64>() / features.len() as f64;
    if !(square > 0.0 && square.is_finite()) {
        return Err(Error::Invalid(
            "the kernel rows are all equal or not finite: there is nothing for a surrogate to learn from".into(),
        ));
    }
    let scale = square.sqrt().recip();
    features.iter_mut().for_each(|v| *v *= scale);
    Ok((features, means, scale))
}

fn gradient_norm(objective: &Objective, parameters: &[f64]) -> f64 {
    objective.cached(parameters, |_, gradient| gradient.iter().map(|g| g * g).sum::<f64>().sqrt())
}

/// One start of L-BFGS: the best point that it reached and the iterations that it took.
fn descend(objective: &Objective, from: &[f64], options: &FitOptions, spent: u64) -> Result<(Vec<f64>, u64)> {
    let fail = |e: argmin::core::Error| Error::Unexpected(format!("the surrogate's optimiser failed: {e}"));
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 20)
        .with_tolerance_grad(options.gradient_norm)
        .and_then(|solver| solver.with_tolerance_cost(0.0))
        .map_err(fail)?;
    let left = options.iterations.saturating_sub(spent);
    let executor = Executor::new(objective, solver)
        .configure(|state| state.param(from.to_vec()).max_iters(left))
        .ctrlc(false)
        .timer(false);
    let state = executor.run().map_err(fail)?.state;
    let best = state.get_best_param().cloned().unwrap_or_else(|| from.to_vec());
    Ok((best, state.get_iter()))
}

/// z_y − logsumexp_{k≠y} z_k of a row of logits, which orders as the probability of y does; 0 for a single class.
fn log_odds(row: &[f64], label: usize) -> f64 {
    let others = || row.iter().enumerate().filter(|(class, _)| *class != label).map(|(_, z)| *z);
    let top = others().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return 0.0;
    }
    row[label] - top - others().map(|z| (z - top).exp()).sum::<f64>().ln()
}

/// Compares a surrogate with its network on test examples: both logits `[N, C]`, labels `[N]`; ties of the largest logit go to
/// the lowest class.
///
/// # Errors
/// `Invalid` if the sizes do not fit or a label is not below C.
pub fn fidelity(surrogate: &[f64], network: &[f64], labels: &[u32]) -> Result<Fidelity> {
    let n = labels.len();
    if n == 0 || surrogate.len() != network.len() || network.is_empty() || !network.len().is_multiple_of(n) {
        return Err(Error::Invalid(format!(
            "{} logits of the surrogate, {} of the network and {n} labels do not belong together",
            surrogate.len(),
            network.len()
        )));
    }
    let c = network.len() / n;
    if let Some(label) = labels.iter().find(|&&label| label as usize >= c) {
        return Err(Error::Invalid(format!("label {label} of {c} classes: labels are 0 to {}", c - 1)));
    }
    let judge = |logits: &[f64]| -> (Vec<f64>, Vec<bool>) {
        let rows = logits.chunks_exact(c).zip(labels);
        rows.map(|(row, &label)| {
            let top = (1..c).fold(0, |top, class| if row[class] > row[top] { class } else { top });
            (log_odds(row, label as usize), top != label as usize)
        })
        .unzip()
    };
    let ((odds_surrogate, misses_surrogate), (odds_network, misses_network)) = (judge(surrogate), judge(network));
    let share = |count: usize| count as f64 / n as f64;
    let accuracy = |misses: &[bool]| share(misses.iter().filter(|&&m| !m).count());
    let (surrogate_accuracy, network_accuracy) = (accuracy(&misses_surrogate), accuracy(&misses_network));
    let misses = || misses_surrogate.iter().zip(&misses_network);
    let (both, either) = (misses().filter(|&(&a, &b)| a && b).count(), misses().filter(|&(&a, &b)| a || b).count());
    Ok(Fidelity {
        network_accuracy,
        surrogate_accuracy,
        tad: surrogate_accuracy - network_accuracy,
        // A single example has no order.
        tau: if n < 2 { None } else { Some(tau_b(&odds_surrogate, &odds_network)?).filter(|tau| !tau.is_nan()) },
        shared_misses: (either > 0).then(|| both as f64 / either as f64),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows of an RBF kernel between points on a line.
    fn rbf(points: &[f64], references: &[f64]) -> Vec<f32> {
        points.iter().flat_map(|x| references.iter().map(move |r| (-(x - r) * (x - r)).exp() as f32)).collect()
    }

    #[test]
    fn two_examples_by_hand() {
        // Centred and scaled, the features are ((1, −1), (−1, 1)). By symmetry W = ((w, −w), (−w, w)), the margin is 4w and the
        // objective ln(1 + exp(−4w)) + 2λw², which is least where λ w (1 + exp(4w)) = 1.
        let options = FitOptions { ridge: 0.01, ..FitOptions::default() };
        let fit = Surrogate::fit(&[5.0, 1.0, 1.0, 5.0], &[0, 1], 2, &options).unwrap();
        let (mut low, mut high) = (0.0, 10.0);
        for _ in 0..200 {
            let w = 0.5 * (low + high);
            if 0.01 * w * (1.0 + f64::exp(4.0 * w)) < 1.0 { low = w } else { high = w }
        }
        let logits = fit.logits(&[5.0, 1.0]).unwrap();
        assert!((logits[0] - logits[1] - 4.0 * low).abs() < 1e-4, "{logits:?} {low}");
        assert!((fit.loss - (-4.0 * low).exp().ln_1p()).abs() < 1e-6);
        assert!(fit.gradient_norm < 1e-6);
    }

    #[test]
    fn the_gradient_is_that_of_the_value() {
        let features = rbf(&[0.1, 0.9, 1.7, 2.2], &[0.0, 1.0, 2.0]).iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let objective =
            Objective { features: &features, labels: &[0, 1, 2, 1], classes: 3, ridge: 0.1, last: RefCell::new(None) };
        let at: Vec<f64> = (0..12).map(|i| f64::from(i) * 0.3 - 1.5).collect();
        let gradient = objective.evaluate(&at).1;
        for i in 0..at.len() {
            let moved = |by: f64| {
                let mut to = at.clone();
                to[i] += by;
                objective.evaluate(&to).0
            };
            assert!(((moved(1e-5) - moved(-1e-5)) / 2e-5 - gradient[i]).abs() < 1e-8, "parameter {i}");
        }
    }

    #[test]
    fn learns_classes_that_are_not_linear() {
        let points: Vec<f64> = (0..60).map(|i| f64::from(i) * 0.1).collect();
        let labels: Vec<u32> = points.iter().map(|&x| x as u32 / 2 * 2 % 3).collect();
        let fit = Surrogate::fit(&rbf(&points, &points), &labels, 3, &FitOptions::default()).unwrap();
        let logits = fit.logits(&rbf(&points, &points)).unwrap();
        let f = fidelity(&logits, &logits, &labels).unwrap();
        assert!(f.surrogate_accuracy > 0.95, "{f:?}");
        assert_eq!((f.tad, f.tau), (0.0, Some(1.0)));
        assert!(fit.loss < 0.3, "{}", fit.loss);
    }

    #[test]
    fn attribution_adds_up_to_the_logit() {
        let references = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5];
        let fit =
            Surrogate::fit(&rbf(&references, &references), &[0, 0, 1, 1, 2, 2], 3, &FitOptions::default()).unwrap();
        let row = rbf(&[0.6], &references);
        let logits = fit.logits(&row).unwrap();
        for (class, logit) in logits.iter().enumerate() {
            let all = fit.attribute(&row, class, 10).unwrap();
            assert_eq!(all.len(), 6);
            assert!(all.windows(2).all(|w| w[0].contribution.abs() >= w[1].contribution.abs()));
            let sum: f64 = all.iter().map(|i| i.contribution).sum();
            assert!((sum + fit.intercepts[class] - logit).abs() < 1e-9);
            assert_eq!(fit.attribute(&row, class, 2).unwrap(), all[..2]);
        }
        for weights in fit.weights.chunks_exact(3) {
            assert!(weights.iter().sum::<f64>().abs() < 1e-6 * weights[0].abs().max(1.0), "{weights:?}");
        }
        assert!(fit.attribute(&row, 3, 1).is_err() && fit.attribute(&row[1..], 0, 1).is_err());
    }

    #[test]
    fn fidelity_by_hand() {
        // Network right on 0, 1, 3; surrogate right on 0, 3: both miss 2, either misses 1 and 2.
        let network = [2.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 3.0];
        let surrogate = [1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.5];
        let f = fidelity(&surrogate, &network, &[0, 1, 1, 1]).unwrap();
        assert_eq!((f.network_accuracy, f.surrogate_accuracy, f.tad), (0.75, 0.5, -0.25));
        assert_eq!(f.shared_misses, Some(0.5));
        // Margins of the label: network 2, 1, −1, 3; surrogate 1, −1, −2, 0.5: of six pairs, (0, 3) is discordant.
        assert!((f.tau.unwrap() - 4.0 / 6.0).abs() < 1e-12, "{f:?}");
        assert_eq!(fidelity(&[1.0, 0.0], &[1.0, 0.0], &[0]).unwrap().shared_misses, None);
        // Probabilities that all round to 1 still have an order.
        let sure = [200.0, 0.0, 300.0, 0.0, 400.0, 0.0];
        assert_eq!(fidelity(&sure, &sure, &[0, 0, 0]).unwrap().tau, Some(1.0));
        assert!(fidelity(&[1.0, 0.0], &[1.0, 0.0], &[2]).is_err());
        assert!(fidelity(&[1.0, 0.0], &[1.0], &[0]).is_err());
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let o = FitOptions::default();
        let refusal = |rows: &[f32], labels: &[u32], options: &FitOptions| {
            Surrogate::fit(rows, labels, 2, options).unwrap_err().to_string()
        };
        assert!(refusal(&[1.0; 3], &[0, 1], &o).contains("one row for each of 2 labels"));
        assert!(refusal(&[1.0; 4], &[0, 2], &o).contains("label 2 of 2 classes"));
        assert!(refusal(&[1.0; 4], &[0, 1], &o).contains("all equal"));
        assert!(refusal(&[1.0, f32::NAN, 0.0, 1.0], &[0, 1], &o).contains("not finite"));
        assert!(refusal(&[1.0, 0.0, 0.0, 1.0], &[0, 1], &FitOptions { ridge: 0.0, ..o }).contains("must be positive"));
        let hasty = FitOptions { iterations: 1, ..o };
        assert!(refusal(&[1.0, 0.0, 0.0, 1.0], &[0, 1], &hasty).contains("not below 1.0e-6"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_scale_of_the_kernel_does_not_matter(points in prop::collection::vec(0.0..3.0, 8), exponent in -6i32..=6) {
            // A power of two scales without rounding: with near-equal points, the last bits of a kernel matter.
            let scale = 2f32.powi(exponent);
            let rows = rbf(&points, &points);
            prop_assume!(rows.iter().any(|&v| (v - rows[0]).abs() > 1e-3));
            let labels: Vec<u32> = points.iter().map(|&x| u32::from(x > 1.5)).collect();
            let scaled: Vec<f32> = rows.iter().map(|v| v * scale).collect();
            let a = Surrogate::fit(&rows, &labels, 2, &FitOptions::default()).unwrap().logits(&rows).unwrap();
            let b = Surrogate::fit(&scaled, &labels, 2, &FitOptions::default()).unwrap().logits(&scaled).unwrap();
            for (x, y) in a.iter().zip(&b) {
                prop_assert!((x - y).abs() < 1e-3 * (1.0 + x.abs()), "{x} {y}");
            }
        }
    }
}
