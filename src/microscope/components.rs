//! What components of the embeddings say: how much of each the sets and the known labels explain.

use super::found::{Component, Share};
use super::linear::{Pca, add_product, eigen, product};
use super::sets::Sets;
use crate::error::Result;
use crate::random::Random;

/// Principal components that are told of.
const TOLD: usize = 8;
/// Components that discriminants are built on.
const BASIS: usize = 64;

/// The components, with the position of every sample on the first two of each kind for a picture.
pub struct Components {
    pub told: Vec<Component>,
    /// `[n]` of the first two principal components.
    pub pca: Vec<(f32, f32)>,
    /// `[n]` of the first two discriminants of the sets (the second is the first principal component where there are two sets).
    pub lda: Vec<(f32, f32)>,
}

/// Principal components and linear discriminants (of the sets, and of each label), with the share of each that sets and labels explain.
/// Discriminants are fitted on one half of the samples and told of on the other, and every share is corrected for the number
/// of values (1 − (1 − η²)(n − 1)/(n − k)): 0 on average where nothing is explained.
///
/// # Errors
/// When an eigenvalue decomposition fails.
pub fn components(sets: &Sets, seed: u64) -> Result<Components> {
    let n = sets.len();
    let all: Vec<usize> = (0..n).collect();
    let pca = Pca::of(&sets.rows, sets.width, BASIS.min(n / 5).max(2), seed)?;
    let r = pca.len();
    let scores = pca.scores(&sets.rows, &all, false);
    let white = pca.scores(&sets.rows, &all, true);
    let of = sets.of();
    let column = |rows: &[f32], width: usize, i: usize| -> Vec<f64> {
        rows.chunks_exact(width).map(|row| f64::from(row[i])).collect()
    };
    let mut told = Vec::new();
    for i in 0..r.min(TOLD) {
        let values = column(&scores, r, i);
        told.push(component(
            sets,
            "pca",
            i + 1,
            None,
            Some(pca.variances[i] / pca.total.max(1e-300)),
            &values,
            &all,
            &of,
        ));
    }
    let mut order = all.clone();
    Random::from_parts(seed, "components", 0).shuffle(&mut order);
    let (fit, test) = order.split_at(n / 2);
    let mut shown = None;
    let groupings = std::iter::once(("sets", &of, sets.names.len()))
        .chain(sets.labels.iter().map(|label| (label.name.as_str(), &label.of, label.values.len())));
    for (name, groups, count) in groupings {
        let axes = discriminants(&white, r, fit, groups, count)?;
        let found = axes.len().min(2);
        for (i, axis) in axes.iter().take(2).enumerate() {
            let axis: Vec<f32> = axis.iter().map(|v| *v as f32).collect();
            let values: Vec<f64> = product(&white, &axis, n, r, 1).into_iter().map(f64::from).collect();
            told.push(component(sets, "lda", i + 1, Some(name), None, &values, test, &of));
            if name == "sets" {
                let kept: &mut [Vec<f64>; 2] = shown.get_or_insert_with(|| [vec![0.0; n], column(&white, r, 0)]);
                kept[i] = values;
            }
        }
        debug_assert!(found <= 2);
    }
    let pair = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (*x as f32, *y as f32)).collect();
    let second = if r > 1 { column(&scores, r, 1) } else { vec![0.0; n] };
    let [x, y] = shown.unwrap_or_else(|| [vec![0.0; n], vec![0.0; n]]);
    Ok(Components { told, pca: pair(&column(&scores, r, 0), &second), lda: pair(&x, &y) })
}

/// One component, told of on `samples`.
#[allow(clippy::too_many_arguments)]
fn component(
    sets: &Sets,
    kind: &'static str,
    number: usize,
    of_label: Option<&str>,
    variance: Option<f64>,
    values: &[f64],
    samples: &[usize],
    of: &[u32],
) -> Component {
    let share = |groups: &[u32], count: usize| explained(values, groups, count, samples);
    let labels: Vec<Share> = sets
        .labels
        .iter()
        .map(|label| Share { label: label.name.clone(), share: share(&label.of, label.values.len()) })
        .collect();
    let sets_share = share(of, sets.names.len());
    let carries = labels.iter().filter(|held| held.share >= 0.1).max_by(|a, b| a.share.total_cmp(&b.share));
    let carries = match carries {
        Some(held) if held.share >= sets_share => Some(held.label.clone()),
        _ if sets_share >= 0.1 => Some("sets".to_owned()),
        _ => None,
    };
    Component { kind, number, of: of_label.map(str::to_owned), variance, sets: sets_share, labels, carries }
}

/// η² of `values` by groups, corrected for the number of groups; at most 1.
fn explained(values: &[f64], groups: &[u32], count: usize, samples: &[usize]) -> f64 {
    let n = samples.len() as f64;
    let mean = samples.iter().map(|&i| values[i]).sum::<f64>() / n;
    let (mut sums, mut counts) = (vec![0.0; count], vec![0.0f64; count]);
    let mut total = 0.0;
    for &i in samples {
        let group = groups[i] as usize;
        sums[group] += values[i] - mean;
        counts[group] += 1.0;
        total += (values[i] - mean).powi(2);
    }
    let between: f64 = sums.iter().zip(&counts).filter(|(_, c)| **c > 0.0).map(|(s, c)| s * s / c).sum();
    let k = counts.iter().filter(|c| **c > 0.0).count() as f64;
    if total <= 0.0 || n <= k {
        return 0.0;
    }
    1.0 - (1.0 - between / total) * (n - 1.0) / (n - k)
}

/// Directions in which groups lie apart, over their spread within: the leading eigenvectors of W^{−1/2} B W^{−1/2}, with a little ridge.
fn discriminants(white: &[f32], r: usize, samples: &[usize], groups: &[u32], count: usize) -> Result<Vec<Vec<f64>>> {
    let mut means = vec![vec![0.0f64; r]; count];
    let mut counts = vec![0.0f64; count];
    for &i in samples {
        let group = groups[i] as usize;
        counts[group] += 1.0;
        means[group].iter_mut().zip(&white[i * r..]).for_each(|(mean, v)| *mean += f64::from(*v));
    }
    for (mean, count) in means.iter_mut().zip(&counts) {
        mean.iter_mut().for_each(|v| *v /= count.max(1.0));
    }
    let within: Vec<f32> = samples
        .iter()
        .flat_map(|&i| {
            let mean = &means[groups[i] as usize];
            white[i * r..][..r].iter().zip(mean).map(|(v, mean)| (f64::from(*v) - mean) as f32)
        })
        .collect();
    let mut scatter = vec![0.0; r * r];
    add_product(&mut scatter, &within, &within, samples.len(), r, r);
    let n = samples.len().max(1) as f64;
    scatter.iter_mut().for_each(|v| *v /= n);
    let (values, vectors) = eigen(&scatter, r)?;
    let ridge = 0.01 * values.iter().sum::<f64>() / r as f64 + 1e-9;
    // Group means in the space where the spread within is one.
    let whiten = |mean: &[f64]| -> Vec<f64> {
        vectors
            .iter()
            .zip(&values)
            .map(|(vector, value)| {
                vector.iter().zip(mean).map(|(v, m)| v * m).sum::<f64>() / (value.max(0.0) + ridge).sqrt()
            })
            .collect()
    };
    let grand: Vec<f64> =
        (0..r).map(|j| means.iter().zip(&counts).map(|(mean, count)| mean[j] * count).sum::<f64>() / n).collect();
    let mut between = vec![0.0; r * r];
    for (mean, count) in means.iter().zip(&counts).filter(|(_, count)| **count > 0.0) {
        let apart: Vec<f64> = mean.iter().zip(&grand).map(|(m, g)| m - g).collect();
        let apart = whiten(&apart);
        for i in 0..r {
            for j in 0..r {
                between[i * r + j] += count / n * apart[i] * apart[j];
            }
        }
    }
    let (sizes, axes) = eigen(&between, r)?;
    let top = sizes.first().copied().unwrap_or(0.0);
    let kept = sizes.iter().take(count.saturating_sub(1)).filter(|size| **size > 1e-9 * top && **size > 0.0).count();
    let back = |axis: &[f64]| -> Vec<f64> {
        (0..r)
            .map(|j| {
                let each = vectors.iter().zip(&values).zip(axis);
                each.map(|((vector, value), a)| vector[j] * a / (value.max(0.0) + ridge).sqrt()).sum()
            })
            .collect()
    };
    Ok(axes[..kept].iter().map(|axis| back(axis)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::sets::Label;
    use super::*;

    #[test]
    fn shares_by_hand() {
        // Two groups at 0 and 2: all explained. Mixed: 0 on average, here (1 − (1 − 0)·3/2) = −0.5.
        assert_eq!(explained(&[0.0, 0.0, 2.0, 2.0], &[0, 0, 1, 1], 2, &[0, 1, 2, 3]), 1.0);
        assert!((explained(&[0.0, 2.0, 0.0, 2.0], &[0, 0, 1, 1], 2, &[0, 1, 2, 3]) + 0.5).abs() < 1e-12);
        assert_eq!(explained(&[1.0; 4], &[0, 0, 1, 1], 2, &[0, 1, 2, 3]), 0.0);
    }

    #[test]
    fn a_topic_is_found_where_it_lies() {
        let n = 300;
        let mut random = Random::from_parts(1, "topics", 0);
        let topics: Vec<u32> = (0..2 * n as u32).map(|i| i % 3).collect();
        // Coordinate 1 carries the topic and much variance; coordinate 2 a difference of the sets with little.
        let rows: Vec<f32> = (0..2 * n)
            .flat_map(|i| (0..5).map(move |j| (i, j)))
            .map(|(i, j)| {
                let shift = match j {
                    1 => 8.0 * f64::from((i % 3) as u32),
                    2 if i >= n => 1.5,
                    _ => 0.0,
                };
                (shift + random.normal()) as f32
            })
            .collect();
        let sets = Sets {
            names: vec!["a".into(), "b".into()],
            sizes: vec![n, n],
            width: 5,
            rows,
            labels: vec![Label {
                name: "topic".into(),
                values: ["x", "y", "z"].map(str::to_owned).to_vec(),
                of: topics,
            }],
            ids: Vec::new(),
            pairs: false,
        };
        let found = components(&sets, 0).unwrap();
        let first = &found.told[0];
        assert!(first.labels[0].share > 0.9 && first.sets.abs() < 0.05 && first.carries.as_deref() == Some("topic"));
        let lda = found.told.iter().find(|c| c.kind == "lda" && c.of.as_deref() == Some("sets")).unwrap();
        // d = 1.5: η² = (d/2)²/(1 + (d/2)²) = 0.36.
        assert!((lda.sets - 0.36).abs() < 0.08, "{lda:?}");
        assert_eq!(found.pca.len(), 2 * n);
    }
}
