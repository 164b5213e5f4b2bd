//! How alike two kernels are: debiased centred kernel alignment (CKA) between kernels and with the labels.
//!
//! The plain centred alignment of two kernels of P examples is biased upwards: between a kernel and its own scrambled copy it is
//! far from 0 where P is small (0.28 at P = 32). Here it is made of the unbiased estimate of the Hilbert–Schmidt independence
//! criterion, HSIC_u(K, L) = [tr K̃L̃ + 1ᵀK̃1·1ᵀL̃1/((P−1)(P−2)) − 2·1ᵀK̃L̃1/(P−2)]/(P(P−3)), K̃ and L̃ with zero diagonals (Song
//! 2012; Murphy 2024): CKA_u = HSIC_u(K, L)/√(HSIC_u(K, K)·HSIC_u(L, L)).

use super::matrix::side;
use crate::error::{Error, Result};

/// A kernel without its diagonal, centred so that rows sum to 0 (U-centred, Székely & Rizzo 2014) and scaled to Frobenius norm 1:
/// the alignment of two kernels is the inner product of their centred forms. All zeros for a kernel without spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Centred {
    values: Vec<f64>,
    /// Frobenius norm before it was scaled.
    norm: f64,
    /// Whether the centred kernel is more than rounding.
    spread: bool,
}

impl Centred {
    /// Centres and scales a symmetric kernel `[P, P]`.
    ///
    /// # Errors
    /// `Invalid` if the kernel is not square or not finite.
    pub fn new(kernel: &[f32]) -> Result<Self> {
        let n = side(kernel, "the kernel")?;
        Ok(Self::from_values(kernel.iter().map(|&v| f64::from(v)).collect(), n))
    }

    /// The centred one-hot kernel of the labels `[P]`: entry (i, j) is 1 where the labels agree.
    #[must_use]
    pub fn of_labels(labels: &[u32]) -> Self {
        let agree = labels.iter().flat_map(|a| labels.iter().map(move |b| f64::from(u8::from(a == b))));
        Self::from_values(agree.collect(), labels.len())
    }

    fn from_values(mut values: Vec<f64>, n: usize) -> Self {
        // HSIC_u divides by P − 3: fewer than four examples have none.
        if n < 4 {
            values.fill(0.0);
            return Self { values, norm: 0.0, spread: false };
        }
        (0..n).for_each(|i| values[i * n + i] = 0.0);
        let before = norm(&values);
        let p = n as f64;
        let rows: Vec<f64> = values.chunks_exact(n).map(|row| row.iter().sum::<f64>() / (p - 2.0)).collect();
        let all = rows.iter().sum::<f64>() / (p - 1.0);
        for (i, row) in values.chunks_exact_mut(n).enumerate() {
            for (v, other) in row.iter_mut().zip(&rows) {
                *v += all - rows[i] - other;
            }
            row[i] = 0.0;
        }
        // Below this the centred kernel is what rounding left of a constant one.
        let after = norm(&values);
        let spread = after > before * 1e-13;
        let scale = if spread { after.recip() } else { 0.0 };
        values.iter_mut().for_each(|v| *v *= scale);
        Self { values, norm: after, spread }
    }

    /// CKA_u with another kernel on the same examples, in `[-1, 1]`; 0 in the mean for kernels that have nothing to do with each
    /// other. None where either kernel is constant or of fewer than four examples: nothing is left to align.
    ///
    /// # Errors
    /// `Invalid` if the kernels are of different size.
    pub fn alignment(&self, other: &Self) -> Result<Option<f64>> {
        let product = self.product(other)?;
        Ok((self.spread && other.spread).then(|| product.clamp(-1.0, 1.0)))
    }

    /// HSIC_u with another kernel on the same examples, in the product of their units; None for fewer than four examples.
    ///
    /// # Errors
    /// `Invalid` if the kernels are of different size.
    pub fn hsic(&self, other: &Self) -> Result<Option<f64>> {
        let p = self.values.len().isqrt() as f64;
        let product = self.product(other)?;
        Ok((p >= 4.0).then(|| product * self.norm * other.norm / (p * (p - 3.0))))
    }

    fn product(&self, other: &Self) -> Result<f64> {
        if self.values.len() != other.values.len() {
            let (a, b) = (self.values.len().isqrt(), other.values.len().isqrt());
            return Err(Error::Invalid(format!("a kernel of {a} examples cannot be aligned with one of {b}")));
        }
        Ok(self.values.iter().zip(&other.values).map(|(a, b)| a * b).sum())
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Debiased alignment (CKA_u) of two symmetric kernels `[P, P]` on the same examples; see [`Centred::alignment`].
///
/// # Errors
/// `Invalid` if a kernel is not square or not finite, or their sizes differ.
pub fn cka(a: &[f32], b: &[f32]) -> Result<Option<f64>> {
    Centred::new(a)?.alignment(&Centred::new(b)?)
}

/// Debiased alignment of a kernel `[P, P]` with the one-hot kernel of its examples' labels `[P]`, in `[-1, 1]`. None where the kernel is constant or all labels are equal.
///
/// # Errors
/// `Invalid` if the kernel is not square or not finite, or there is not one label for each example.
pub fn label_alignment(kernel: &[f32], labels: &[u32]) -> Result<Option<f64>> {
    let centred = Centred::new(kernel)?;
    let n = kernel.len().isqrt();
    if labels.len() != n {
        return Err(Error::Invalid(format!("{} labels for a kernel of {n} examples", labels.len())));
    }
    centred.alignment(&Centred::of_labels(labels))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gram(x: &[f32], n: usize) -> Vec<f32> {
        let d = x.len() / n;
        let row = |i: usize| &x[i * d..][..d];
        (0..n * n).map(|ij| row(ij / n).iter().zip(row(ij % n)).map(|(a, b)| a * b).sum()).collect()
    }

    /// The formula as it is written, term by term.
    fn by_the_book(k: &[f32], l: &[f32], n: usize) -> f64 {
        let off = |m: &[f32], i: usize, j: usize| if i == j { 0.0 } else { f64::from(m[i * n + j]) };
        let (mut trace, mut k_all, mut l_all, mut both) = (0.0, 0.0, 0.0, 0.0);
        for i in 0..n {
            let (mut k_row, mut l_row) = (0.0, 0.0);
            for j in 0..n {
                trace += off(k, i, j) * off(l, j, i);
                k_row += off(k, i, j);
                l_row += off(l, i, j);
            }
            (k_all, l_all, both) = (k_all + k_row, l_all + l_row, both + k_row * l_row);
        }
        let p = n as f64;
        (trace + k_all * l_all / ((p - 1.0) * (p - 2.0)) - 2.0 * both / (p - 2.0)) / (p * (p - 3.0))
    }

    #[test]
    fn the_independent_cases() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/verdicts.json");
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let matrix = |case: &serde_json::Value, key: &str| -> Vec<f32> {
            let rows = case[key].as_array().unwrap();
            rows.iter().flat_map(|row| row.as_array().unwrap()).map(|v| v.as_f64().unwrap() as f32).collect()
        };
        for case in all["cka_u"].as_array().unwrap() {
            let (k, l) = (Centred::new(&matrix(case, "k")).unwrap(), Centred::new(&matrix(case, "l")).unwrap());
            for (found, key) in
                [(k.hsic(&l), "hsic_kl"), (k.hsic(&k), "hsic_kk"), (l.hsic(&l), "hsic_ll"), (k.alignment(&l), "cka_u")]
            {
                let (found, expected) = (found.unwrap().unwrap(), case[key].as_f64().unwrap());
                // Kernels are stored in single precision.
                assert!((found - expected).abs() < 1e-5, "{key}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn a_scrambled_copy_is_aligned_at_zero_in_the_mean() {
        // The kernel of 32 points in ten dimensions: the biased form gives its scrambled copies about 0.28.
        let mut stream = crate::stats::rng::Stream::new(3, 0);
        let n = 32;
        let x: Vec<f32> = (0..n * 10).map(|_| stream.normal() as f32).collect();
        let k = gram(&x, n);
        let alignments: Vec<f64> = (0..200)
            .map(|_| {
                let mut order: Vec<usize> = (0..n).collect();
                stream.shuffle(&mut order);
                let scrambled: Vec<f32> = (0..n * n).map(|ij| k[order[ij / n] * n + order[ij % n]]).collect();
                cka(&k, &scrambled).unwrap().unwrap()
            })
            .collect();
        let mean = alignments.iter().sum::<f64>() / 200.0;
        assert!(mean.abs() < 0.02, "{mean}");
    }

    #[test]
    fn a_constant_kernel_aligns_with_nothing() {
        let x = gram(&[0.0, 1.0, 2.0, 4.0], 4);
        assert_eq!(cka(&[0.3; 16], &x), Ok(None));
        assert_eq!(label_alignment(&x, &[1, 1, 1, 1]), Ok(None));
        assert_eq!(cka(&gram(&[0.0, 1.0, 2.0], 3), &gram(&[0.0, 1.0, 2.0], 3)), Ok(None), "three examples");
    }

    #[test]
    fn sizes_must_agree() {
        assert!(cka(&[1.0; 4], &[1.0; 9]).unwrap_err().to_string().contains("2 examples"));
        assert!(label_alignment(&[1.0; 4], &[0, 1, 1]).is_err());
        assert!(cka(&[1.0; 3], &[1.0; 3]).is_err());
    }

    proptest! {
        #[test]
        fn alignment_is_symmetric_and_ignores_scale_shift_and_order(
            x in prop::collection::vec(-1f32..1.0, 5 * 3), y in prop::collection::vec(-1f32..1.0, 5 * 3), scale in 0.1f32..10.0,
        ) {
            let (kx, ky) = (gram(&x, 5), gram(&y, 5));
            let a = cka(&kx, &ky).unwrap().unwrap();
            prop_assert!((-1.0..=1.0).contains(&a));
            let found = Centred::new(&kx).unwrap().hsic(&Centred::new(&ky).unwrap()).unwrap().unwrap();
            prop_assert!((found - by_the_book(&kx, &ky, 5)).abs() < 1e-9);
            prop_assert!((a - cka(&ky, &kx).unwrap().unwrap()).abs() < 1e-12);
            let scaled: Vec<f32> = kx.iter().map(|v| v * scale).collect();
            prop_assert!((a - cka(&scaled, &ky).unwrap().unwrap()).abs() < 1e-5);
            // Adding a constant vector to every x adds to each entry what depends on its row or its column alone.
            let shifted: Vec<f32> = x.iter().enumerate().map(|(i, v)| v + [0.5, -0.25, 1.0][i % 3]).collect();
            prop_assert!((a - cka(&gram(&shifted, 5), &ky).unwrap().unwrap()).abs() < 1e-3);
            let turn = |k: &[f32]| (0..25).map(|ij| k[(ij / 5 + 2) % 5 * 5 + (ij % 5 + 2) % 5]).collect::<Vec<_>>();
            prop_assert!((a - cka(&turn(&kx), &turn(&ky)).unwrap().unwrap()).abs() < 1e-12);
            prop_assert!((cka(&kx, &kx).unwrap().unwrap() - 1.0).abs() < 1e-12);
        }
    }
}
