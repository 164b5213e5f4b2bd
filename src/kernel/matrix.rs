//! Square matrices as plain slices: the checks and views that the files of this folder share.

use faer::MatRef;

use crate::error::{Error, Result};

/// The side of a square matrix held in `values`, row-major.
///
/// # Errors
/// `Invalid` if `values` is empty, not square, or holds a value that is not finite; `what` names it in the message.
pub fn side(values: &[f32], what: &str) -> Result<usize> {
    let side = values.len().isqrt();
    if side == 0 || side * side != values.len() {
        return Err(Error::Invalid(format!("{what} holds {} values, which is not a square matrix", values.len())));
    }
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(side),
        Some(at) => Err(Error::Invalid(format!(
            "{what} holds {} at row {}, column {}: the network has diverged or its inputs are not finite",
            values[at],
            at / side,
            at % side
        ))),
    }
}

/// The slice as a row-major matrix for `faer`.
pub(super) fn view<T>(values: &[T], rows: usize, columns: usize) -> MatRef<'_, T> {
    MatRef::from_row_major_slice(values, rows, columns)
}

/// Inner product, in 16 partial sums that vectorise.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn square_matrices_have_a_side() {
        assert_eq!(side(&[1.0; 9], "k"), Ok(3));
        assert!(side(&[], "k").unwrap_err().to_string().contains("0 values"));
        assert!(side(&[1.0; 8], "k").unwrap_err().to_string().contains("8 values"));
    }

    #[test]
    fn a_value_that_is_not_finite_is_located() {
        let message = side(&[1.0, 2.0, f32::NAN, 4.0], "the trace kernel").unwrap_err().to_string();
        assert!(message.contains("the trace kernel holds NaN at row 1, column 0"), "{message}");
    }
}
