//! Wrong labels on purpose: a fault of known size, to see what an instrument finds of it.

use super::Data;
use crate::random::Random;

/// The training labels with those of a share `data.label_noise` of the examples shuffled among each other; where
/// `data.noisy_class` names a class, the share (all when absent) is of its examples, each of which gets a label drawn from
/// all `classes`.
/// Which examples is drawn from `data.seed`, so every run of a sweep has the same wrong labels.
pub(super) fn with_noise(mut labels: Vec<u32>, data: &Data, classes: usize) -> Vec<u32> {
    let Some(share) = data.label_noise.or(data.noisy_class.map(|_| 1.0)) else { return labels };
    let mut stream = Random::from_parts(data.seed, "label-noise", 0);
    let of_class = |label: u32| data.noisy_class.is_none_or(|class| class == label);
    let mut chosen: Vec<usize> = (0..labels.len()).filter(|&example| of_class(labels[example])).collect();
    stream.shuffle(&mut chosen);
    chosen.truncate((chosen.len() as f64 * share).round() as usize);
    if data.noisy_class.is_some() {
        for example in chosen {
            labels[example] = stream.uniform_below(classes as u64) as u32;
        }
        return labels;
    }
    let mut given: Vec<u32> = chosen.iter().map(|&example| labels[example]).collect();
    stream.shuffle(&mut given);
    for (example, label) in chosen.into_iter().zip(given) {
        labels[example] = label;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DatasetKind;

    fn noisy(share: Option<f64>, class: Option<u32>) -> (Vec<u32>, Vec<u32>) {
        let labels: Vec<u32> = (0..1000).map(|example| example % 10).collect();
        let data = Data { label_noise: share, noisy_class: class, ..Data::whole(DatasetKind::Digits, None) };
        (labels.clone(), with_noise(labels, &data, 10))
    }

    #[test]
    fn a_share_of_the_labels_is_shuffled_and_their_counts_stay() {
        let (before, after) = noisy(Some(0.3), None);
        let wrong = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        // Of 300 shuffled labels a tenth falls on its own class.
        assert!((240..300).contains(&wrong), "{wrong}");
        let (mut a, mut b) = (before, after.clone());
        a.sort_unstable();
        b.sort_unstable();
        assert_eq!(a, b);
        assert_eq!(noisy(Some(0.3), None).1, after);
        assert_eq!(noisy(Some(0.0), None).0, noisy(None, None).1);
    }

    #[test]
    fn the_labels_of_one_class_alone_are_redrawn() {
        let (before, after) = noisy(None, Some(4));
        let changed: Vec<u32> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| *a).collect();
        assert!(changed.iter().all(|&class| class == 4) && (75..=100).contains(&changed.len()), "{}", changed.len());
    }
}
