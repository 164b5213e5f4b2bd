//! Which examples are used: class subsets and class-balanced choices by a seed.

use crate::data::Data;
use crate::error::{Error, Result};
use crate::random::Random;

/// Examples of one part, in the order of the files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selected {
    /// Ascending.
    pub indices: Vec<usize>,
    /// Renumbered, one for each index.
    pub labels: Vec<u32>,
}

/// The kept classes by their label in the files, in their new order.
///
/// # Errors
/// [`Error::Invalid`] if there are fewer than two, one is kept twice, or the data has no such class.
pub(super) fn kept_classes(data: &Data, available: usize) -> Result<Vec<u32>> {
    let Some(kept) = &data.classes else { return Ok((0..available as u32).collect()) };
    if kept.len() < 2 {
        return Err(Error::Invalid(format!(
            "data.classes keeps {} classes, but at least two are expected",
            kept.len()
        )));
    }
    for (index, class) in kept.iter().enumerate() {
        if *class as usize >= available {
            return Err(Error::Invalid(format!(
                "data.classes names class {class}, but the data has classes 0 to {} only",
                available.saturating_sub(1)
            )));
        }
        if kept.iter().take(index).any(|earlier| earlier == class) {
            return Err(Error::Invalid(format!("data.classes names class {class} twice, so remove one of them")));
        }
    }
    Ok(kept.clone())
}

/// The examples of the kept classes, at most `limit` of them, class-balanced and chosen by the seed and the `part`.
///
/// # Errors
/// [`Error::Invalid`] if no example is left.
pub(super) fn select(labels: &[u32], kept: &[u32], limit: Option<usize>, seed: u64, part: &str) -> Result<Selected> {
    let renumbered = |label: u32| kept.iter().position(|&class| class == label);
    let (mut indices, mut chosen) = (Vec::new(), Vec::new());
    for (index, &label) in labels.iter().enumerate() {
        if let Some(class) = renumbered(label) {
            indices.push(index);
            chosen.push(class as u32);
        }
    }
    if let Some(limit) = limit.filter(|&limit| limit < indices.len()) {
        let places = balanced(&chosen, kept.len(), limit, seed, &format!("data.{part}_limit"));
        let pick = |from: usize| Some((*indices.get(from)?, *chosen.get(from)?));
        (indices, chosen) = places.into_iter().filter_map(pick).unzip();
    }
    if indices.is_empty() {
        return Err(Error::Invalid(format!(
            "the {part} part has no example left, so raise data.{part}_limit or keep other classes"
        )));
    }
    Ok(Selected { indices, labels: chosen })
}

/// At most `limit` places of `labels`, ascending: as many of each class as of any other, but for one where `limit` is not a
/// multiple (lower classes first), and for classes with too few, whose share goes to the others.
///
/// Each class is shuffled by ChaCha8 keyed with the seed, the purpose and the class, and the first are taken: a larger limit
/// keeps what a smaller one chose of a class.
pub(super) fn balanced(labels: &[u32], classes: usize, limit: usize, seed: u64, purpose: &str) -> Vec<usize> {
    let mut members = vec![Vec::new(); classes];
    for (place, &label) in labels.iter().enumerate() {
        if let Some(class) = members.get_mut(label as usize) {
            class.push(place);
        }
    }
    let counts: Vec<usize> = members.iter().map(Vec::len).collect();
    let mut chosen = Vec::new();
    for (class, (mut places, quota)) in members.into_iter().zip(quotas(&counts, limit)).enumerate() {
        Random::from_parts(seed, purpose, class as u64).shuffle(&mut places);
        chosen.extend(places.into_iter().take(quota));
    }
    chosen.sort_unstable();
    chosen
}

/// How many to take of each class.
fn quotas(counts: &[usize], limit: usize) -> Vec<usize> {
    let mut quotas = vec![0; counts.len()];
    let mut left = limit.min(counts.iter().sum());
    while left > 0 {
        let open = quotas.iter().zip(counts).filter(|(quota, count)| quota < count).count();
        let share = (left / open.max(1)).max(1);
        for (quota, &count) in quotas.iter_mut().zip(counts) {
            let more = share.min(count - *quota).min(left);
            *quota += more;
            left -= more;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotas_by_hand() {
        assert_eq!(quotas(&[10, 10, 10], 9), [3, 3, 3]);
        assert_eq!(quotas(&[10, 10, 10], 11), [4, 4, 3]);
        assert_eq!(quotas(&[1, 10, 10], 11), [1, 5, 5]);
        assert_eq!(quotas(&[1, 2, 10], 11), [1, 2, 8]);
        assert_eq!(quotas(&[1, 2, 3], 100), [1, 2, 3]);
        assert_eq!(quotas(&[0, 0], 5), [0, 0]);
        assert_eq!(quotas(&[5, 5, 5], 2), [1, 1, 0]);
    }

    #[test]
    fn classes_are_renumbered_in_the_given_order() {
        let found = select(&[3, 5, 1, 3, 5, 5], &[5, 3], None, 0, "train").unwrap();
        assert_eq!(found, Selected { indices: vec![0, 1, 3, 4, 5], labels: vec![1, 0, 1, 0, 0] });
    }

    proptest! {
        #[test]
        fn quotas_are_as_equal_as_they_can_be(counts in proptest::collection::vec(0usize..30, 1..8), limit in 0usize..200) {
            let quotas = quotas(&counts, limit);
            prop_assert_eq!(quotas.iter().sum::<usize>(), limit.min(counts.iter().sum()));
            let highest = quotas.iter().copied().max().unwrap_or(0);
            for (quota, count) in quotas.iter().zip(&counts) {
                prop_assert!(quota <= count);
                prop_assert!(quota == count || quota + 1 >= highest, "{:?} of {:?}", quotas, counts);
            }
        }

        #[test]
        fn larger_limits_keep_what_smaller_ones_chose(labels in proptest::collection::vec(0u32..4, 1..80), seed: u64, limit in 0usize..40) {
            let smaller = balanced(&labels, 4, limit, seed, "x");
            let larger = balanced(&labels, 4, limit + 4, seed, "x");
            prop_assert!(smaller.is_sorted_by(|a, b| a < b));
            prop_assert!(smaller.iter().all(|place| larger.contains(place)));
        }
    }
}
