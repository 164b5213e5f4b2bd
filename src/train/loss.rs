//! Cross-entropy, on the device for the gradient and on the host for the record.

use burn::tensor::{Tensor, TensorData, activation};

/// Mean cross-entropy of `logits` `[n, classes]` against `labels` `[n]`, as a scalar tensor.
///
/// With smoothing s the target is 1 − s + s/C for the label and s/C for every other class (Szegedy 2016).
#[must_use]
pub fn cross_entropy(logits: Tensor<2>, labels: &[u32], smoothing: f64) -> Tensor<1> {
    let [n, classes] = logits.dims();
    let mut target = vec![(smoothing / classes as f64) as f32; n * classes];
    for (row, &label) in target.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] += (1.0 - smoothing) as f32;
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [n, classes]), &logits.device().inner());
    let target = if logits.is_autodiff() { target.autodiff() } else { target };
    (activation::log_softmax(logits, 1) * target).sum().mul_scalar(-1.0 / n as f64)
}

/// Sum of the unsmoothed cross-entropy, and the number of right decisions (ties: the lowest class), of `[n, classes]`.
#[must_use]
pub fn tally(logits: &[f32], labels: &[u32]) -> (f64, usize) {
    let classes = logits.len() / labels.len().max(1);
    let mut loss = 0.0;
    let mut right = 0;
    for (row, &label) in logits.chunks_exact(classes.max(1)).zip(labels) {
        let mut best = 0;
        for (class, z) in row.iter().enumerate() {
            if *z > row[best] {
                best = class;
            }
        }
        let top = f64::from(row[best]);
        let sum: f64 = row.iter().map(|&z| (f64::from(z) - top).exp()).sum();
        loss += top + sum.ln() - f64::from(row[label as usize]);
        right += usize::from(best == label as usize);
    }
    (loss, right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn agrees_with_hand_worked_values() {
        // softmax(0, ln 3) = (1/4, 3/4)
        let z = [0.0, 3f32.ln()];
        let (loss, right) = tally(&[z[0], z[1], z[0], z[1]], &[1, 0]);
        assert!((loss - (4.0f64.ln() + (4.0f64 / 3.0).ln())).abs() < 1e-7);
        assert_eq!(right, 1);
        let logits = Tensor::<2>::from_data(TensorData::new(vec![z[0], z[1]], [1, 2]), &Device::flex());
        let plain: f32 = cross_entropy(logits.clone(), &[1], 0.0).into_scalar();
        assert!((f64::from(plain) - (4.0f64 / 3.0).ln()).abs() < 1e-6);
        // smoothing 0.2: 0.9·ln(4/3) + 0.1·ln 4
        let smooth: f32 = cross_entropy(logits, &[1], 0.2).into_scalar();
        assert!((f64::from(smooth) - (0.9 * (4.0f64 / 3.0).ln() + 0.1 * 4.0f64.ln())).abs() < 1e-6);
    }

    #[test]
    fn a_tie_goes_to_the_lowest_class() {
        assert_eq!(tally(&[1.0, 1.0, 0.5], &[0]).1, 1);
        assert_eq!(tally(&[1.0, 1.0, 0.5], &[1]).1, 0);
    }

    #[test]
    fn non_finite_logits_are_never_hidden() {
        assert!(tally(&[f32::NAN, 0.0], &[1]).0.is_nan());
    }
}
