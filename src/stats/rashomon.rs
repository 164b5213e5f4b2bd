//! Rashomon capacity: how many different answers the runs give to one example (Hsu & Calmon 2022, arXiv 2206.01295).
//!
//! It is the capacity of the channel from run to class, max over weights r of I(r) = Σ_m r_m D(p_m‖q), q = Σ_m r_m p_m, whose
//! solution has D(p_m‖q) = I where r_m > 0 and ≤ I elsewhere. Blahut's and Arimoto's iteration r_m ← r_m exp D(p_m‖q) has that
//! fixed point, but runs that nearly agree need tens of thousands of steps to come within 1e-9 of it. As at most C weights are
//! positive, this goes there by Newton steps on the positive ones, adding the run with the largest divergence each time; it
//! stops by Blahut's bound I ≤ capacity ≤ max_m D(p_m‖q).

use rayon::prelude::*;
use serde::Serialize;

use super::descriptive::{ascending, mean, quantile_sorted};
use super::logits::{Logits, Real, check_same, softmax_into};
use crate::error::{Error, Result};

/// The capacity is known to this many bits.
pub const TOLERANCE: f64 = 1e-9;

/// Runs are added at most this many times; a few for each class are usual.
const ROUNDS: usize = 400;

/// Plain steps of Blahut and Arimoto where Newton's do not come near enough.
const PLAIN: usize = 2000;

/// Newton steps between two additions, at most.
const STEPS: usize = 50;

/// Below this a probability is taken for zero.
const TINY: f64 = 1e-300;

/// A class whose probability is below this in every run changes no capacity by 1e-9 bits, even if there are a million of them.
const NEGLIGIBLE: f64 = 1e-18;

/// The capacities of all examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rashomon {
    /// Capacity of each example in bits, in [0, log₂ min(M, C)], `[N]`.
    pub bits: Vec<f64>,
    /// Mean over the examples.
    pub mean: f64,
    /// The median.
    pub median: f64,
    /// The quantile 0.9.
    pub q90: f64,
    /// The quantile 0.99.
    pub q99: f64,
    /// The largest value.
    pub max: f64,
}

/// The Rashomon capacity of each example over the soft decisions of M runs, to 1e-9 bits.
///
/// # Errors
/// [`Error::Invalid`] for no runs, different shapes or logits that are not finite.
pub fn rashomon<T: Real>(runs: &[Logits<'_, T>]) -> Result<Rashomon> {
    check_same(runs)?;
    if let Some(m) = runs.iter().position(|run| !run.is_finite()) {
        return Err(Error::Invalid(format!("run {m} has logits that are not finite: leave it out")));
    }
    let classes = runs[0].classes();
    let bits = (0..runs[0].examples())
        .into_par_iter()
        .map_init(Default::default, |(p, kept): &mut (Vec<f64>, Vec<f64>), i| {
            p.resize(runs.len() * classes, 0.0);
            for (p, run) in p.chunks_exact_mut(classes).zip(runs) {
                softmax_into(run.row(i), p);
            }
            // Classes that no run takes for possible have no say; of a thousand that is nearly all.
            let said: Vec<usize> =
                (0..classes).filter(|&c| p.iter().skip(c).step_by(classes).any(|&p| p > NEGLIGIBLE)).collect();
            kept.clear();
            p.chunks_exact(classes).for_each(|row| kept.extend(said.iter().map(|&c| row[c])));
            capacity(kept, said.len())
        })
        .collect::<Result<Vec<f64>>>()?;
    let sorted = ascending(&bits);
    let quantile = |q| quantile_sorted(&sorted, q);
    Ok(Rashomon {
        mean: mean(&bits),
        median: quantile(0.5),
        q90: quantile(0.9),
        q99: quantile(0.99),
        max: quantile(1.0),
        bits,
    })
}

/// The capacity in bits of the channel whose rows are the distributions `p`, `[M, C]`, to 1e-9.
///
/// # Errors
/// [`Error::Invalid`] if there are no rows, or `p` has NaN or entries outside [0, 1].
pub fn capacity(p: &[f64], classes: usize) -> Result<f64> {
    if classes == 0 || p.is_empty() || !p.len().is_multiple_of(classes) || !p.iter().all(|p| (0.0..=1.0).contains(p)) {
        return Err(Error::Invalid("a channel needs rows of probabilities between 0 and 1".into()));
    }
    let tolerance = TOLERANCE * std::f64::consts::LN_2;
    let mut channel = Channel::new(p, classes);
    for _ in 0..ROUNDS {
        channel.look();
        let (best, top) = channel.farthest();
        let gap = top - channel.information;
        if gap <= tolerance {
            return Ok(channel.information.max(0.0) / std::f64::consts::LN_2);
        }
        if channel.weights[best] == 0.0 {
            channel.admit(best);
        }
        // Weights that other rows will change need no more digits than that.
        channel.balance(0.1 * tolerance.max(0.1 * gap));
    }
    // Rounding keeps the bounds apart, where rows are nearly alike or have hundreds of classes. Plain steps never lose ground.
    channel.creep(tolerance);
    Ok(channel.information.max(0.0) / std::f64::consts::LN_2)
}

/// A channel and weights of its rows.
struct Channel<'a> {
    p: &'a [f64],
    classes: usize,
    /// Σ_c p_mc ln p_mc of each row.
    negentropy: Vec<f64>,
    weights: Vec<f64>,
    /// Rows of positive weight.
    support: Vec<usize>,
    /// The mixture q, `[C]`, and its logarithm.
    mixture: Vec<f64>,
    log_mixture: Vec<f64>,
    /// D(p_m‖q) of each row in nats; up to date for the support only after a step.
    divergence: Vec<f64>,
    /// I(r) in nats.
    information: f64,
}

impl<'a> Channel<'a> {
    /// Starts from two rows that are far apart.
    fn new(p: &'a [f64], classes: usize) -> Self {
        let rows = p.len() / classes;
        let entropy = |row: &[f64]| row.iter().filter(|&&p| p > 0.0).map(|p| p * p.ln()).sum();
        let mut channel = Self {
            p,
            classes,
            negentropy: p.chunks_exact(classes).map(entropy).collect(),
            weights: vec![1.0 / rows as f64; rows],
            support: (0..rows).collect(),
            mixture: vec![0.0; classes],
            log_mixture: vec![0.0; classes],
            divergence: vec![0.0; rows],
            information: 0.0,
        };
        channel.look();
        let (first, _) = channel.farthest();
        channel.set(&[(first, 1.0)]);
        channel.look();
        let (second, _) = channel.farthest();
        if second != first {
            channel.set(&[(first, 0.5), (second, 0.5)]);
        }
        channel
    }

    fn row(&self, m: usize) -> &'a [f64] {
        &self.p[m * self.classes..][..self.classes]
    }

    fn set(&mut self, weights: &[(usize, f64)]) {
        self.weights.fill(0.0);
        weights.iter().for_each(|&(m, w)| self.weights[m] = w);
        self.support = weights.iter().map(|w| w.0).collect();
    }

    /// Recomputes the mixture from the weights.
    fn mix(&mut self) {
        self.mixture.fill(0.0);
        for &m in &self.support {
            let w = self.weights[m];
            self.mixture.iter_mut().zip(&self.p[m * self.classes..]).for_each(|(q, p)| *q += w * p);
        }
        self.log_mixture.iter_mut().zip(&self.mixture).for_each(|(l, q)| *l = q.max(TINY).ln());
    }

    fn divergence(&self, m: usize) -> f64 {
        self.negentropy[m] - self.row(m).iter().zip(&self.log_mixture).map(|(p, l)| p * l).sum::<f64>()
    }

    /// Recomputes everything, for all rows.
    fn look(&mut self) {
        self.mix();
        for m in 0..self.weights.len() {
            self.divergence[m] = self.divergence(m);
        }
        self.information = self.support.iter().map(|&m| self.weights[m] * self.divergence[m]).sum();
    }

    /// Recomputes everything, for the rows of the support.
    fn look_at_support(&mut self) {
        self.mix();
        self.information = 0.0;
        for i in 0..self.support.len() {
            let m = self.support[i];
            self.divergence[m] = self.divergence(m);
            self.information += self.weights[m] * self.divergence[m];
        }
    }

    /// The row with the largest divergence, and that.
    fn farthest(&self) -> (usize, f64) {
        let mut best = (0, f64::NEG_INFINITY);
        for (m, &d) in self.divergence.iter().enumerate() {
            if d > best.1 {
                best = (m, d);
            }
        }
        best
    }

    /// Gives row `m`, which has none, the share of weight at which the information is largest.
    fn admit(&mut self, m: usize) {
        let lean = self.negentropy[m] - self.support.iter().map(|&k| self.weights[k] * self.negentropy[k]).sum::<f64>();
        let direction: Vec<f64> = self.row(m).iter().zip(&self.mixture).map(|(p, q)| p - q).collect();
        let share = self.best_share(lean, &direction, 1.0);
        self.support.iter().for_each(|&k| self.weights[k] *= 1.0 - share);
        self.weights[m] = share;
        self.support.push(m);
        self.look_at_support();
    }

    /// Moves weight from the row of the support with the smallest divergence to the one with the largest, as far as it pays.
    fn exchange(&mut self) {
        let by_divergence = |a: &&usize, b: &&usize| self.divergence[**a].total_cmp(&self.divergence[**b]);
        let (Some(&from), Some(&to)) =
            (self.support.iter().min_by(by_divergence), self.support.iter().max_by(by_divergence))
        else {
            return;
        };
        let direction: Vec<f64> = self.row(to).iter().zip(self.row(from)).map(|(p, q)| p - q).collect();
        let all = self.weights[from];
        let share = self.best_share(self.negentropy[to] - self.negentropy[from], &direction, all);
        self.weights[to] += share;
        self.weights[from] = all - share;
        self.look_at_support();
    }

    /// How far, up to `all`, the mixture should move along `direction` for the information to be largest, when it changes by
    /// `lean` for each unit besides what the mixture's entropy changes.
    fn best_share(&self, lean: f64, direction: &[f64], all: f64) -> f64 {
        // The derivative falls from positive: look at the end, then halve the interval in which it changes sign.
        let rises = |share: f64| {
            lean > direction.iter().zip(&self.mixture).map(|(d, q)| d * (q + share * d).max(TINY).ln()).sum::<f64>()
        };
        if rises(all) {
            return all;
        }
        // A row that alone has some class may deserve a share as small as that class's mass, so small ones are looked at first.
        let mut high = all;
        while high > TINY && !rises(1e-4 * high) {
            high *= 1e-4;
        }
        let mut low = 1e-4 * high;
        for _ in 0..10 {
            let share = (low * high).sqrt();
            if rises(share) { low = share } else { high = share }
        }
        low
    }

    /// Steps r_m ← r_m exp D(p_m‖q) from weights of which every row has some, until the bounds are within `tolerance`, or as
    /// many as are worth it; the information never falls.
    fn creep(&mut self, tolerance: f64) {
        let even = 0.1 / self.weights.len() as f64;
        self.weights.iter_mut().for_each(|weight| *weight = 0.9 * *weight + even);
        self.support = (0..self.weights.len()).collect();
        for _ in 0..PLAIN {
            self.look();
            let (_, top) = self.farthest();
            if top - self.information <= tolerance {
                return;
            }
            let mut total = 0.0;
            for (weight, divergence) in self.weights.iter_mut().zip(&self.divergence) {
                *weight *= (divergence - top).exp();
                total += *weight;
            }
            self.weights.iter_mut().for_each(|weight| *weight /= total);
        }
        self.look();
    }

    /// Newton steps on the weights of the support until its divergences are within `tolerance` of each other; rows whose weight
    /// falls to zero leave.
    fn balance(&mut self, tolerance: f64) {
        for _ in 0..STEPS {
            if self.support.len() < 2 {
                return;
            }
            let spread = self.support.iter().map(|&m| (self.divergence[m] - self.information).abs());
            if spread.fold(0.0, f64::max) <= tolerance {
                return;
            }
            let direction = self.newton();
            let gain: f64 = self.support.iter().zip(&direction).map(|(&m, d)| d * self.divergence[m]).sum();
            // The longest step that keeps weights from becoming negative, and the row that it stops at.
            let mut longest = (1.0, None);
            for (i, (&m, &d)) in self.support.iter().zip(&direction).enumerate() {
                if d < 0.0 && self.weights[m] < -d * longest.0 {
                    longest = (self.weights[m] / -d, Some(i));
                }
            }
            let (before, start) = (self.information, self.weights.clone());
            let (mut step, mut leaves) = longest;
            loop {
                for (&m, d) in self.support.iter().zip(&direction) {
                    self.weights[m] = (start[m] + step * d).max(0.0);
                }
                if let Some(i) = leaves {
                    self.weights[self.support[i]] = 0.0;
                }
                self.look_at_support();
                // Rounding of the information itself must not stop the last steps.
                if self.information >= before + 1e-4 * step * gain - 1e-15 {
                    break;
                }
                (step, leaves) = (0.5 * step, None);
                if step < 1e-12 {
                    // Rows so alike that the direction is noise.
                    self.weights.copy_from_slice(&start);
                    self.look_at_support();
                    self.exchange();
                    break;
                }
            }
            self.support.retain(|&m| self.weights[m] > 0.0);
            let total: f64 = self.support.iter().map(|&m| self.weights[m]).sum();
            self.support.iter().for_each(|&m| self.weights[m] /= total);
        }
    }

    /// The Newton direction on the support, of sum zero: A d = D − ν with A_mn = Σ_c p_mc p_nc / q_c.
    fn newton(&self) -> Vec<f64> {
        let k = self.support.len();
        let mut a = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..=i {
                let (x, y) = (self.row(self.support[i]), self.row(self.support[j]));
                a[i * k + j] =
                    x.iter().zip(y).zip(&self.mixture).filter(|(_, q)| **q > TINY).map(|((x, y), q)| x * y / q).sum();
            }
        }
        let mut rise: Vec<f64> = self.support.iter().map(|&m| self.divergence[m] - self.information).collect();
        let mut ones = vec![1.0; k];
        cholesky(&mut a, k);
        solve(&a, k, &mut rise);
        solve(&a, k, &mut ones);
        let shift = rise.iter().sum::<f64>() / ones.iter().sum::<f64>();
        rise.iter().zip(&ones).map(|(x, w)| x - shift * w).collect()
    }
}

/// Factors the lower triangle of a symmetric positive semidefinite matrix in place. Where rows are dependent, up to rounding, the
/// pivot is kept at a small share of its diagonal entry.
fn cholesky(a: &mut [f64], k: usize) {
    for j in 0..k {
        let least = 1e-13 * a[j * k + j];
        for i in j..k {
            let dot: f64 = (0..j).map(|l| a[i * k + l] * a[j * k + l]).sum();
            let rest = a[i * k + j] - dot;
            a[i * k + j] = if i == j { rest.max(least).sqrt() } else { rest / a[j * k + j] };
        }
    }
}

/// Solves L Lᵀ x = b in place, L the lower triangle of `l`.
fn solve(l: &[f64], k: usize, b: &mut [f64]) {
    for i in 0..k {
        let dot: f64 = (0..i).map(|j| l[i * k + j] * b[j]).sum();
        b[i] = (b[i] - dot) / l[i * k + i];
    }
    for i in (0..k).rev() {
        let dot: f64 = (i + 1..k).map(|j| l[j * k + i] * b[j]).sum();
        b[i] = (b[i] - dot) / l[i * k + i];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::close;
    use super::super::rng::Stream;
    use super::*;

    #[test]
    fn channels_of_known_capacity() {
        let h = |p: f64| -p * p.log2() - (1.0 - p) * (1.0 - p).log2();
        for e in [0.01, 0.1, 0.3, 0.499] {
            let symmetric = capacity(&[1.0 - e, e, e, 1.0 - e], 2).unwrap();
            assert!(close(symmetric, 1.0 - h(e), 1e-9));
            let erasure = capacity(&[1.0 - e, 0.0, e, 0.0, 1.0 - e, e], 3).unwrap();
            assert!(close(erasure, 1.0 - e, 1e-9));
            let z = capacity(&[1.0, 0.0, e, 1.0 - e], 2).unwrap();
            assert!(close(z, (1.0 + (1.0 - e) * e.powf(e / (1.0 - e))).log2(), 1e-9));
        }
        assert_eq!(capacity(&[0.2, 0.8, 0.2, 0.8], 2).unwrap(), 0.0);
        assert_eq!(capacity(&[0.2, 0.8], 2).unwrap(), 0.0);
        assert!(close(capacity(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], 3).unwrap(), 3f64.log2(), 1e-9));
    }

    /// Plain Blahut–Arimoto: lower and upper bound of the capacity in bits.
    fn blahut_arimoto(p: &[f64], classes: usize, steps: usize) -> (f64, f64) {
        let rows: Vec<&[f64]> = p.chunks(classes).collect();
        let mut r = vec![1.0 / rows.len() as f64; rows.len()];
        let mut bounds = (0.0, f64::INFINITY);
        for _ in 0..steps {
            let q: Vec<f64> = (0..classes).map(|c| rows.iter().zip(&r).map(|(p, r)| r * p[c]).sum()).collect();
            let d: Vec<f64> = rows
                .iter()
                .map(|p| p.iter().zip(&q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).log2()).sum())
                .collect();
            bounds = (r.iter().zip(&d).map(|(r, d)| r * d).sum(), d.iter().copied().fold(f64::MIN, f64::max));
            let unscaled: Vec<f64> = r.iter().zip(&d).map(|(r, d)| r * d.exp2()).collect();
            let total: f64 = unscaled.iter().sum();
            r = unscaled.into_iter().map(|r| r / total).collect();
        }
        bounds
    }

    proptest! {
        #[test]
        fn lies_between_the_bounds_of_blahut_and_arimoto(
            rows in 1usize..12,
            classes in 2usize..7,
            spread in prop::sample::select(vec![1e-6, 0.01, 0.3, 2.0, 30.0, 900.0]),
            rare in prop::sample::select(vec![0.05, 0.3, 1.0]),
            seed in 0u64..10_000,
        ) {
            let mut stream = Stream::new(seed, 0);
            let base: Vec<f64> = (0..classes).map(|_| 4.0 * stream.uniform()).collect();
            let p: Vec<f64> = (0..rows).flat_map(|_| {
                let z: Vec<f64> = base
                    .iter()
                    .map(|b| b + if stream.uniform() < rare { spread * stream.uniform() } else { 0.0 })
                    .collect();
                let mut p = vec![0.0; classes];
                softmax_into(&z, &mut p);
                p
            }).collect();
            let ours = capacity(&p, classes).unwrap();
            let (low, high) = blahut_arimoto(&p, classes, 300);
            prop_assert!(low - 1e-9 <= ours && ours <= high + 1e-9, "{low} {ours} {high}");
            let reversed: Vec<f64> = p.chunks(classes).rev().flatten().copied().collect();
            prop_assert!(close(capacity(&reversed, classes).unwrap(), ours, 1e-9));
        }
    }

    #[test]
    fn a_class_of_vanishing_mass_is_no_obstacle() {
        // Two rows share out all but two classes, which the third alone holds: its best share is some 1e-31.
        let e = 1e-33;
        let p = [0.77, e, e, 0.23 - 2.0 * e, e, e, e, e, e, 1.0, 0.58, 0.001, 0.007, 0.174, 0.238];
        let bits = capacity(&p, 5).unwrap();
        let (low, _) = blahut_arimoto(&p, 5, 300);
        assert!(low - 1e-9 <= bits && bits < 1.0 + 1e-3, "{low} {bits}");
    }

    #[test]
    fn many_runs_converge() {
        let mut stream = Stream::new(1, 0);
        for (runs, classes, spread) in [(100, 10, 1.0), (300, 3, 6.0), (100, 2, 0.05), (20, 200, 2.0)] {
            for _ in 0..20 {
                let p: Vec<f64> = (0..runs)
                    .flat_map(|_| {
                        let z: Vec<f64> = (0..classes).map(|c| f64::from(c % 7) + spread * stream.uniform()).collect();
                        let mut p = vec![0.0; z.len()];
                        softmax_into(&z, &mut p);
                        p
                    })
                    .collect();
                let bits = capacity(&p, classes as usize).unwrap();
                assert!(bits > 0.0 && bits < f64::from(classes).log2());
            }
        }
    }

    #[test]
    fn a_sweep_has_one_capacity_per_example() {
        let labels = [0, 1];
        let (a, b) = ([900.0f32, 0.0, 1.0, 0.0], [0.0f32, 900.0, 1.0, 0.0]);
        let runs = [&a, &b].map(|z| Logits::new(z.as_slice(), &labels, 2).unwrap());
        let r = rashomon(&runs).unwrap();
        assert!(close(r.bits[0], 1.0, 1e-9) && r.bits[1] == 0.0);
        assert!(close(r.mean, 0.5, 1e-9) && close(r.max, 1.0, 1e-9) && close(r.median, 0.5, 1e-9));
        let broken = [f32::NAN; 4];
        assert!(rashomon(&[Logits::new(&broken, &labels, 2).unwrap()]).is_err());
        assert!(capacity(&[0.5, f64::NAN], 2).is_err() && capacity(&[], 2).is_err());
    }
}
