//! How alike two kernels are: centred kernel alignment between kernels, with the labels, and over all pairs of runs.

use rayon::prelude::*;

use super::matrix::side;
use crate::error::{Error, Result};

/// A kernel with the mean of its rows and columns removed (H K H, H = I − 11ᵀ/P) and scaled to Frobenius norm 1, so that the
/// alignment of two kernels is the inner product of their centred forms. All zeros for a kernel without spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Centred {
    values: Vec<f64>,
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
        let before = norm(&values);
        let mean = |v: f64| v / n as f64;
        let rows: Vec<f64> = values.chunks_exact(n.max(1)).map(|row| mean(row.iter().sum())).collect();
        let all = mean(rows.iter().sum());
        for (row, i) in values.chunks_exact_mut(n.max(1)).zip(&rows) {
            for (v, j) in row.iter_mut().zip(&rows) {
                *v += all - i - j;
            }
        }
        // Below this the centred kernel is what rounding left of a constant one.
        let after = norm(&values);
        let spread = after > before * 1e-13;
        let scale = if spread { after.recip() } else { 0.0 };
        values.iter_mut().for_each(|v| *v *= scale);
        Self { values, spread }
    }

    /// Centred kernel alignment with another kernel on the same examples: ⟨HKH, HLH⟩ / (‖HKH‖ ‖HLH‖), in `[0, 1]` for Gram
    /// matrices (Cortes 2012). None where either kernel is constant: nothing is left to align.
    ///
    /// # Errors
    /// `Invalid` if the kernels are of different size.
    pub fn alignment(&self, other: &Self) -> Result<Option<f64>> {
        if self.values.len() != other.values.len() {
            let (a, b) = (self.values.len().isqrt(), other.values.len().isqrt());
            return Err(Error::Invalid(format!("a kernel of {a} examples cannot be aligned with one of {b}")));
        }
        let product: f64 = self.values.iter().zip(&other.values).map(|(a, b)| a * b).sum();
        Ok((self.spread && other.spread).then(|| product.clamp(-1.0, 1.0)))
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Centred kernel alignment (CKA) of two symmetric kernels `[P, P]` on the same examples; see [`Centred::alignment`].
///
/// # Errors
/// `Invalid` if a kernel is not square or not finite, or their sizes differ.
pub fn cka(a: &[f32], b: &[f32]) -> Result<Option<f64>> {
    Centred::new(a)?.alignment(&Centred::new(b)?)
}

/// Centred alignment of a kernel `[P, P]` with the one-hot kernel of its examples' labels `[P]`, in `[0, 1]` for a Gram
/// matrix. None where the kernel is constant or all labels are equal.
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

/// CKA of every pair of M kernels `[P, P]`: `[M, M]` row-major, symmetric, ones on the diagonal; NaN where a kernel is constant.
///
/// # Errors
/// Those of [`cka`].
pub fn cka_matrix(kernels: &[&[f32]]) -> Result<Vec<f64>> {
    let m = kernels.len();
    let centred = kernels.par_iter().map(|k| Centred::new(k)).collect::<Result<Vec<_>>>()?;
    let rows = (0..m).into_par_iter().map(|i| {
        let later = centred[i..].iter().map(|other| centred[i].alignment(other).map(|a| a.unwrap_or(f64::NAN)));
        later.collect::<Result<Vec<_>>>()
    });
    let upper = rows.collect::<Result<Vec<_>>>()?;
    let entry = |i: usize, j: usize| if i == j && !upper[i][0].is_nan() { 1.0 } else { upper[i.min(j)][i.abs_diff(j)] };
    Ok((0..m * m).map(|ij| entry(ij / m, ij % m)).collect())
}

/// Each run's mean CKA with the other runs, from the matrix of [`cka_matrix`] `[M, M]`: `[M]`. Pairs that are NaN do not
/// count; NaN where none is left.
#[must_use]
pub fn mean_to_others(matrix: &[f64]) -> Vec<f64> {
    let m = matrix.len().isqrt();
    let mean = |i: usize| {
        let others = (0..m).filter(|&j| j != i).map(|j| matrix[i * m + j]).filter(|a| !a.is_nan());
        let (sum, count) = others.fold((0.0, 0u32), |(sum, count), a| (sum + a, count + 1));
        sum / f64::from(count)
    };
    (0..m).map(mean).collect()
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

    #[test]
    fn by_hand() {
        // K = diag(1, 2), H K H = 3/4 [[1, -1], [-1, 1]]: any two centred 2x2 kernels are parallel.
        let c = Centred::new(&[1.0, 0.0, 0.0, 2.0]).unwrap();
        assert_eq!(c.values, [0.5, -0.5, -0.5, 0.5]);
        // x = (0, 1, 2) centred is (-1, 0, 1); y = (0, 0, 1) centred is (-1, -1, 2)/3: CKA = (3/3)² / (2 * 6/9) = 3/4.
        let (x, y) = (gram(&[0.0, 1.0, 2.0], 3), gram(&[0.0, 0.0, 1.0], 3));
        assert!((cka(&x, &y).unwrap().unwrap() - 0.75).abs() < 1e-12);
        // Labels 0, 0, 1: the one-hot kernel is, centred, the same as twice that of y.
        assert!((label_alignment(&y, &[0, 0, 1]).unwrap().unwrap() - 1.0).abs() < 1e-12);
        assert!((label_alignment(&x, &[7, 7, 3]).unwrap().unwrap() - 0.75).abs() < 1e-12);
    }

    #[test]
    fn a_constant_kernel_aligns_with_nothing() {
        assert_eq!(cka(&[0.3; 9], &gram(&[0.0, 1.0, 2.0], 3)), Ok(None));
        assert_eq!(label_alignment(&gram(&[0.0, 1.0, 2.0], 3), &[1, 1, 1]), Ok(None));
    }

    #[test]
    fn sizes_must_agree() {
        assert!(cka(&[1.0; 4], &[1.0; 9]).unwrap_err().to_string().contains("2 examples"));
        assert!(label_alignment(&[1.0; 4], &[0, 1, 1]).is_err());
        assert!(cka(&[1.0; 3], &[1.0; 3]).is_err());
    }

    #[test]
    fn matrix_and_means_over_runs() {
        let (x, y, flat) = (gram(&[0.0, 1.0, 2.0], 3), gram(&[0.0, 0.0, 1.0], 3), [1.0; 9]);
        let m = cka_matrix(&[&x, &y, &x, &flat]).unwrap();
        assert_eq!((m[0], m[5], m[10]), (1.0, 1.0, 1.0));
        assert!((m[1] - 0.75).abs() < 1e-12 && m[1] == m[4] && (m[2] - 1.0).abs() < 1e-12);
        assert!(m[3].is_nan() && m[15].is_nan());
        let means = mean_to_others(&m);
        assert!((means[0] - 0.875).abs() < 1e-12 && (means[1] - 0.75).abs() < 1e-12 && means[3].is_nan());
    }

    proptest! {
        #[test]
        fn alignment_is_symmetric_and_ignores_scale_shift_and_order(
            x in prop::collection::vec(-1f32..1.0, 5 * 3), y in prop::collection::vec(-1f32..1.0, 5 * 3), scale in 0.1f32..10.0,
        ) {
            let (kx, ky) = (gram(&x, 5), gram(&y, 5));
            let a = cka(&kx, &ky).unwrap().unwrap();
            prop_assert!((-1e-9..=1.0).contains(&a));
            prop_assert!((a - cka(&ky, &kx).unwrap().unwrap()).abs() < 1e-12);
            let scaled: Vec<f32> = kx.iter().map(|v| v * scale).collect();
            prop_assert!((a - cka(&scaled, &ky).unwrap().unwrap()).abs() < 1e-5);
            // Adding a constant vector to every x changes the Gram matrix but not the centred one.
            let shifted: Vec<f32> = x.iter().enumerate().map(|(i, v)| v + [0.5, -0.25, 1.0][i % 3]).collect();
            prop_assert!((a - cka(&gram(&shifted, 5), &ky).unwrap().unwrap()).abs() < 1e-4);
            let turn = |k: &[f32]| (0..25).map(|ij| k[(ij / 5 + 2) % 5 * 5 + (ij % 5 + 2) % 5]).collect::<Vec<_>>();
            prop_assert!((a - cka(&turn(&kx), &turn(&ky)).unwrap().unwrap()).abs() < 1e-12);
            prop_assert!((cka(&kx, &kx).unwrap().unwrap() - 1.0).abs() < 1e-12);
        }
    }
}
