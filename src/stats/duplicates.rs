//! Runs that are bit-equal to an earlier one: their seeds were not independent.

use std::collections::HashMap;

use rayon::prelude::*;

use super::logits::Real;

/// For each run the lowest-numbered run with the same bits, if that is another one. Runs of different length differ.
///
/// Zeros of different sign differ, and so do NaNs of different payload: only the same computation makes the same bits.
#[must_use]
pub fn duplicates<T: Real>(runs: &[&[T]]) -> Vec<Option<usize>> {
    let prints: Vec<u64> = runs.par_iter().map(|values| fingerprint(values)).collect();
    let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
    runs.iter()
        .zip(prints)
        .enumerate()
        .map(|(m, (values, print))| {
            let firsts = seen.entry(print).or_default();
            let original = firsts.iter().copied().find(|&first| bit_equal(runs[first], values));
            if original.is_none() {
                firsts.push(m);
            }
            original
        })
        .collect()
}

/// How many runs are left when each group of duplicates counts once.
#[must_use]
pub fn distinct(duplicates: &[Option<usize>]) -> usize {
    duplicates.iter().filter(|d| d.is_none()).count()
}

fn bits<T: Real>(v: T) -> u64 {
    v.into().to_bits()
}

fn bit_equal<T: Real>(a: &[T], b: &[T]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&x, &y)| bits(x) == bits(y))
}

/// A cheap hash that sorts out what certainly differs (FNV-1a over whole words).
fn fingerprint<T: Real>(values: &[T]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |h, &v| (h ^ bits(v)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_group_is_the_original() {
        let (a, b) = ([1.0f32, f32::NAN], [1.0f32, 2.0]);
        let runs: [&[f32]; 6] = [&a, &b, &a, &b, &b[..1], &a];
        let d = duplicates(&runs);
        assert_eq!(d, [None, None, Some(0), Some(1), None, Some(0)]);
        assert_eq!(distinct(&d), 3);
    }

    #[test]
    fn one_bit_makes_a_difference() {
        let a = vec![0.1f64; 1000];
        let mut b = a.clone();
        b[999] = f64::from_bits(b[999].to_bits() ^ 1);
        assert_eq!(duplicates(&[&a, &b]), [None, None]);
        assert_eq!(duplicates(&[&[0.0f32] as &[f32], &[-0.0]]), [None, None]);
    }
}
