//! Spectra: the cosine normalisation of a kernel, its eigenvalues and what is read off them, and the singular values of
//! weight matrices.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{evd, svd};
use faer::{Mat, Par, Spec};

use super::matrix::{side, view};
use crate::error::{Error, Result};
use crate::model::HostTensor;

/// What the eigenvalues of a kernel say.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// `[P]`, largest first. Those of a Gram matrix are at least 0, up to rounding.
    pub eigenvalues: Vec<f64>,
    /// (Σλ)² / Σλ², in `[1, P]` for a Gram matrix: how many equal eigenvalues would be as spread out. 0 for the zero kernel.
    pub effective_rank: f64,
    /// Largest eigenvalue over their sum, in `[1/P, 1]` for a Gram matrix. 0 for the zero kernel.
    pub top_share: f64,
}

/// The kernel `[P, P]` with entry (i, j) divided by √(K_ii K_jj): the trNTK of Engel 2024 if the kernel is the trace NTK.
///
/// The result has ones on its diagonal. An example whose gradient is zero keeps a row and a column of zeros.
///
/// # Errors
/// `Invalid` if the kernel is not square, not finite, or has a negative entry on its diagonal.
pub fn cosine(kernel: &[f32]) -> Result<Vec<f64>> {
    let n = side(kernel, "the kernel")?;
    let mut scale = Vec::with_capacity(n);
    for (i, row) in kernel.chunks_exact(n).enumerate() {
        let norm = f64::from(row[i]);
        if norm < 0.0 {
            return Err(Error::Invalid(format!(
                "the kernel has {norm} on its diagonal at {i}: it is not a Gram matrix"
            )));
        }
        scale.push(if norm > 0.0 { norm.sqrt().recip() } else { 0.0 });
    }
    let rows = kernel.chunks_exact(n).enumerate();
    Ok(rows
        .flat_map(|(i, row)| {
            let scale = &scale;
            row.iter().enumerate().map(move |(j, &v)| match i == j && scale[i] > 0.0 {
                true => 1.0,
                false => f64::from(v) * scale[i] * scale[j],
            })
        })
        .collect())
}

/// Eigenvalues of a symmetric matrix `[n, n]`, largest first. Only the lower triangle is read.
///
/// Runs on the calling thread, so that the bits do not depend on the machine's load.
///
/// # Errors
/// `Invalid` if `matrix` does not hold n² values or one of them is not finite; `Unexpected` if the iteration does not converge.
pub fn eigenvalues(matrix: &[f64], n: usize) -> Result<Vec<f64>> {
    if n == 0 || matrix.len() != n * n {
        return Err(Error::Invalid(format!("{} values are not a symmetric {n}x{n} matrix", matrix.len())));
    }
    if !matrix.iter().all(|v| v.is_finite()) {
        return Err(Error::Invalid(format!(
            "the {n}x{n} matrix holds values that are not finite: it has no eigenvalues"
        )));
    }
    let mut values = Diag::<f64>::zeros(n);
    let scratch = evd::self_adjoint_evd_scratch::<f64>(n, evd::ComputeEigenvectors::No, Par::Seq, Spec::default());
    evd::self_adjoint_evd(
        view(matrix, n, n),
        values.as_mut(),
        None,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Spec::default(),
    )
    .map_err(|_| Error::Unexpected(format!("the eigenvalues of a {n}x{n} matrix did not converge")))?;
    let mut values: Vec<f64> = values.column_vector().iter().copied().collect();
    values.sort_unstable_by(|a, b| b.total_cmp(a));
    Ok(values)
}

/// The spectrum of the cosine-normalised kernel `[P, P]` (DESIGN section 4), in f64.
///
/// # Errors
/// Those of [`cosine`] and [`eigenvalues`].
pub fn spectrum(kernel: &[f32]) -> Result<Spectrum> {
    let normalised = cosine(kernel)?;
    let eigenvalues = eigenvalues(&normalised, normalised.len().isqrt())?;
    let sum: f64 = eigenvalues.iter().sum();
    let squares: f64 = eigenvalues.iter().map(|l| l * l).sum();
    let (effective_rank, top_share) = match squares > 0.0 {
        true => (sum * sum / squares, eigenvalues[0] / sum),
        false => (0.0, 0.0),
    };
    Ok(Spectrum { eigenvalues, effective_rank, top_share })
}

/// The directions in which a kernel tells its examples apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions {
    /// Eigenvalues of the cosine-normalised kernel, centred so that what all examples share is no direction; `[P]`, largest first.
    pub eigenvalues: Vec<f64>,
    /// The cosine of each eigenvector to the nearest vector that only depends on the class, `[P]`, in `[0, 1]`. Squared, a direction that
    /// has nothing to do with the labels has (C − 1)/(P − 1) in the mean.
    pub cosines: Vec<f64>,
}

/// The directions of a kernel `[P, P]` and what they have to do with the labels `[P]` of its examples.
///
/// # Errors
/// Those of [`cosine`]; `Invalid` if there is not one label for each example; `Unexpected` if the iteration does not converge.
pub fn directions(kernel: &[f32], labels: &[u32]) -> Result<Directions> {
    let mut values = cosine(kernel)?;
    let n = labels.len();
    if values.len() != n * n {
        return Err(Error::Invalid(format!("{n} labels for a kernel of {} examples", values.len().isqrt())));
    }
    let rows: Vec<f64> = values.chunks_exact(n).map(|row| row.iter().sum::<f64>() / n as f64).collect();
    let all = rows.iter().sum::<f64>() / n as f64;
    for (row, own) in values.chunks_exact_mut(n).zip(&rows) {
        row.iter_mut().zip(&rows).for_each(|(value, other)| *value += all - own - other);
    }
    let (mut found, mut vectors) = (Diag::<f64>::zeros(n), Mat::<f64>::zeros(n, n));
    let scratch = evd::self_adjoint_evd_scratch::<f64>(n, evd::ComputeEigenvectors::Yes, Par::Seq, Spec::default());
    evd::self_adjoint_evd(
        view(&values, n, n),
        found.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Spec::default(),
    )
    .map_err(|_| Error::Unexpected(format!("the eigenvectors of a {n}x{n} matrix did not converge")))?;
    let found: Vec<f64> = found.column_vector().iter().copied().collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| found[b].total_cmp(&found[a]));
    let mut classes: Vec<u32> = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let to_labels = |column: usize| {
        // Squared length of the projection on vectors that are constant within each class, less that on the constant one.
        let (mut within, mut whole) = (0.0, 0.0);
        for class in &classes {
            let of_class = (0..n).filter(|&i| labels[i] == *class);
            let (sum, count) = of_class.fold((0.0, 0.0), |(sum, count), i| (sum + vectors[(i, column)], count + 1.0));
            within += sum * sum / count;
            whole += sum;
        }
        (within - whole * whole / n as f64).clamp(0.0, 1.0).sqrt()
    };
    Ok(Directions {
        eigenvalues: order.iter().map(|&column| found[column]).collect(),
        cosines: order.into_iter().map(to_labels).collect(),
    })
}

/// Singular values of a weight matrix `[rows, columns]`, row-major, largest first: min(rows, columns) of them (Wang 2023).
///
/// # Errors
/// `Invalid` if `weights` does not hold rows × columns values, holds none, or one that is not finite; `Unexpected` if the
/// iteration does not converge.
pub fn singular_values(weights: &[f32], rows: usize, columns: usize) -> Result<Vec<f64>> {
    if weights.is_empty() || rows.checked_mul(columns) != Some(weights.len()) {
        return Err(Error::Invalid(format!("{} values are not a {rows}x{columns} weight matrix", weights.len())));
    }
    if !weights.iter().all(|w| w.is_finite()) {
        return Err(Error::Invalid(format!("the {rows}x{columns} weight matrix holds values that are not finite")));
    }
    let weights: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
    let mut values = Diag::<f64>::zeros(rows.min(columns));
    let none = svd::ComputeSvdVectors::No;
    let scratch = svd::svd_scratch::<f64>(rows, columns, none, none, Par::Seq, Spec::default());
    svd::svd(
        view(&weights, rows, columns),
        values.as_mut(),
        None,
        None,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Spec::default(),
    )
    .map_err(|_| Error::Unexpected(format!("the singular values of a {rows}x{columns} matrix did not converge")))?;
    Ok(values.column_vector().iter().copied().collect())
}

/// The singular values of the matrix `[out, …]` of every dense layer and convolution, in the order of `weights`: the layer's name,
/// and its values, largest first. A convolution's matrix is `[out, in · k · k]`, a row for each filter.
///
/// # Errors
/// Those of [`singular_values`].
pub fn weight_spectra(weights: &[HostTensor]) -> Result<Vec<(String, Vec<f64>)>> {
    let matrices = weights.iter().filter(|tensor| tensor.shape.len() > 1);
    let of_layer = |tensor: &HostTensor| {
        let rows = tensor.shape[0];
        let layer = tensor.name.strip_suffix(".weight").unwrap_or(&tensor.name).to_owned();
        Ok((layer, singular_values(&tensor.values, rows, tensor.shape[1..].iter().product())?))
    };
    matrices.map(of_layer).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_by_two_by_hand() {
        // [[2, 1], [1, 2]] has the eigenvalues 3 and 1.
        let values = eigenvalues(&[2.0, 1.0, 1.0, 2.0], 2).unwrap();
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 1.0).abs() < 1e-14, "{values:?}");
        // Cosine: off-diagonal 6 / sqrt(4 * 9) = 1, a kernel of rank one.
        let s = spectrum(&[4.0, 6.0, 6.0, 9.0]).unwrap();
        assert!((s.eigenvalues[0] - 2.0).abs() < 1e-14 && s.eigenvalues[1].abs() < 1e-14);
        assert!((s.effective_rank - 1.0).abs() < 1e-14 && (s.top_share - 1.0).abs() < 1e-14);
        // Cosine 0.5: eigenvalues 1.5 and 0.5, effective rank 4 / 2.5, top share 0.75.
        let s = spectrum(&[4.0, 3.0, 3.0, 9.0]).unwrap();
        assert!((s.effective_rank - 1.6).abs() < 1e-14 && (s.top_share - 0.75).abs() < 1e-14, "{s:?}");
    }

    #[test]
    fn the_identity_has_full_rank() {
        let identity: Vec<f32> = (0..25).map(|i| if i % 6 == 0 { 7.0 } else { 0.0 }).collect();
        let s = spectrum(&identity).unwrap();
        assert!((s.effective_rank - 5.0).abs() < 1e-12 && (s.top_share - 0.2).abs() < 1e-12);
        assert_eq!(
            spectrum(&[0.0; 4]).unwrap(),
            Spectrum { eigenvalues: vec![0.0; 2], effective_rank: 0.0, top_share: 0.0 }
        );
    }

    #[test]
    fn directions_by_hand() {
        // Two examples of each class, alike within the class and opposed between: one direction, the labels.
        let kernel: Vec<f32> = (0..16).map(|ij| if (ij / 4) / 2 == (ij % 4) / 2 { 1.0 } else { -1.0 }).collect();
        let found = directions(&kernel, &[0, 0, 1, 1]).unwrap();
        assert!((found.eigenvalues[0] - 4.0).abs() < 1e-12 && found.eigenvalues[1].abs() < 1e-12, "{found:?}");
        assert!((found.cosines[0] - 1.0).abs() < 1e-12);
        // With labels across it, none of it is theirs.
        assert!(directions(&kernel, &[0, 1, 0, 1]).unwrap().cosines[0] < 1e-7);
        // What all examples share is no direction.
        assert!(directions(&[1.0; 16], &[0, 0, 1, 1]).unwrap().eigenvalues[0].abs() < 1e-12);
        assert!(directions(&kernel, &[0, 1]).is_err());
    }

    #[test]
    fn what_is_not_a_kernel_is_refused() {
        assert!(cosine(&[1.0, 0.0, 0.0, -1.0]).unwrap_err().to_string().contains("-1 on its diagonal at 1"));
        assert!(spectrum(&[1.0, f32::INFINITY, 0.0, 1.0]).is_err());
        assert!(eigenvalues(&[1.0; 3], 2).is_err());
        assert!(eigenvalues(&[f64::NAN; 4], 2).is_err());
        assert!(singular_values(&[1.0; 6], 2, 2).is_err());
        assert!(singular_values(&[], 0, 0).is_err());
        assert!(singular_values(&[f32::NAN; 4], 2, 2).is_err());
    }

    #[test]
    fn singular_values_by_hand() {
        // diag(3, 4) beside a zero column; and the rank-one outer product of (1, 2) and (2, 1, 2): sqrt(5) * 3.
        assert_eq!(singular_values(&[3.0, 0.0, 0.0, 0.0, 4.0, 0.0], 2, 3).unwrap(), [4.0, 3.0]);
        let s = singular_values(&[2.0, 1.0, 2.0, 4.0, 2.0, 4.0], 2, 3).unwrap();
        assert!((s[0] - 3.0 * 5f64.sqrt()).abs() < 1e-12 && s[1].abs() < 1e-12, "{s:?}");
    }

    #[test]
    fn every_matrix_of_a_network_has_a_spectrum() {
        let tensor = |name: &str, shape: &[usize], values: &[f32]| HostTensor::new(name, shape, values.to_vec());
        let weights = [
            tensor("c1.weight", &[2, 1, 1, 2], &[0.0, 2.0, 1.0, 0.0]),
            tensor("c1.bias", &[2], &[9.0, 9.0]),
            tensor("fc.weight", &[1, 2], &[3.0, 4.0]),
        ];
        let spectra = weight_spectra(&weights).unwrap();
        assert_eq!(spectra[0], ("c1".to_owned(), vec![2.0, 1.0]));
        assert_eq!((spectra[1].0.as_str(), spectra[1].1.len(), spectra.len()), ("fc", 1, 2));
        assert!((spectra[1].1[0] - 5.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn eigenvalues_keep_trace_and_frobenius_norm(x in prop::collection::vec(-1f32..1.0, 6 * 9)) {
            let gram: Vec<f32> = (0..36).map(|ij| {
                let (a, b) = (&x[ij / 6 * 9..][..9], &x[ij % 6 * 9..][..9]);
                a.iter().zip(b).map(|(u, v)| u * v).sum()
            }).collect();
            let (normalised, s) = (cosine(&gram).unwrap(), spectrum(&gram).unwrap());
            let trace: f64 = (0..6).map(|i| normalised[i * 7]).sum();
            let squares: f64 = normalised.iter().map(|v| v * v).sum();
            prop_assert!((s.eigenvalues.iter().sum::<f64>() - trace).abs() < 1e-12);
            prop_assert!((s.eigenvalues.iter().map(|l| l * l).sum::<f64>() - squares).abs() < 1e-11);
            prop_assert!(s.eigenvalues.windows(2).all(|w| w[0] >= w[1]));
            prop_assert!(s.eigenvalues[5] > -1e-5, "a Gram matrix has no negative eigenvalue");
            prop_assert!(s.effective_rank >= 1.0 - 1e-9 && s.effective_rank <= 6.0 + 1e-9);
        }

        #[test]
        fn the_squares_of_singular_values_are_the_eigenvalues_of_the_gram_matrix(x in prop::collection::vec(-1f32..1.0, 4 * 7)) {
            let gram: Vec<f64> = (0..16).map(|ij| {
                let (a, b) = (&x[ij / 4 * 7..][..7], &x[ij % 4 * 7..][..7]);
                a.iter().zip(b).map(|(u, v)| f64::from(*u) * f64::from(*v)).sum()
            }).collect();
            let (lambda, sigma) = (eigenvalues(&gram, 4).unwrap(), singular_values(&x, 4, 7).unwrap());
            for (l, s) in lambda.iter().zip(&sigma) {
                prop_assert!((l - s * s).abs() < 1e-10);
            }
        }
    }
}
