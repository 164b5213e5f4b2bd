//! Clusters: k-means with a stated choice of k, and how far clusters agree with what is known.

use crate::random::Random;

/// Clusters of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    pub k: usize,
    /// The cluster of each row.
    pub of: Vec<u32>,
    /// Mean silhouette of a sample of the rows, −1 to 1: how much nearer a row is to its own cluster than to the next.
    pub silhouette: f64,
}

/// Most clusters that are tried.
const MOST: usize = 10;
/// Rows that the choice of k rests on.
const SAMPLE: usize = 1000;

/// k-means (k-means++ starts, five of them) for k from 2 to 10; the k with the largest mean silhouette of 1,000 rows is chosen.
/// Rows `[n, width]`.
#[must_use]
pub fn clusters(rows: &[f32], width: usize, seed: u64) -> Clusters {
    let n = rows.len() / width.max(1);
    let step = (n / SAMPLE).max(1);
    let sample: Vec<usize> = (0..n).step_by(step).collect();
    let few: Vec<f32> = sample.iter().flat_map(|&i| rows[i * width..][..width].iter().copied()).collect();
    let mut best: Option<(f64, Vec<f32>, usize)> = None;
    for k in 2..=MOST.min(sample.len().saturating_sub(1)) {
        let centres = centres(&few, width, k, seed);
        let of = assigned(&few, width, &centres);
        let silhouette = silhouette(&few, width, &of, k);
        if best.as_ref().is_none_or(|held| silhouette > held.0) {
            best = Some((silhouette, centres, k));
        }
    }
    match best {
        Some((silhouette, centres, k)) => Clusters { k, of: assigned(rows, width, &centres), silhouette },
        None => Clusters { k: 1, of: vec![0; n], silhouette: 0.0 },
    }
}

fn square(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

fn nearest(row: &[f32], centres: &[f32], width: usize) -> (usize, f64) {
    centres
        .chunks_exact(width)
        .map(|centre| square(row, centre))
        .enumerate()
        .fold((0, f64::INFINITY), |best, (i, d)| if d < best.1 { (i, d) } else { best })
}

fn assigned(rows: &[f32], width: usize, centres: &[f32]) -> Vec<u32> {
    rows.chunks_exact(width).map(|row| nearest(row, centres, width).0 as u32).collect()
}

/// The best of five starts.
fn centres(rows: &[f32], width: usize, k: usize, seed: u64) -> Vec<f32> {
    let n = rows.len() / width;
    let mut best = (f64::INFINITY, Vec::new());
    for start in 0..5 {
        let mut random = Random::from_parts(seed, "k-means", start);
        let first = random.uniform_below(n as u64) as usize;
        let mut centres = rows[first * width..][..width].to_vec();
        while centres.len() < k * width {
            let distances: Vec<f64> = rows.chunks_exact(width).map(|row| nearest(row, &centres, width).1).collect();
            let mut point = random.uniform() * distances.iter().sum::<f64>();
            let chosen = distances.iter().position(|d| {
                point -= d;
                point <= 0.0
            });
            let chosen = chosen.unwrap_or(n - 1);
            centres.extend_from_slice(&rows[chosen * width..][..width]);
        }
        let mut total = f64::INFINITY;
        for _ in 0..50 {
            let (mut sums, mut counts) = (vec![0.0f64; k * width], vec![0.0f64; k]);
            let mut sum = 0.0;
            for row in rows.chunks_exact(width) {
                let (at, distance) = nearest(row, &centres, width);
                sum += distance;
                counts[at] += 1.0;
                sums[at * width..][..width].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
            }
            for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
                for (centre, sum) in centres[at * width..][..width].iter_mut().zip(&sums[at * width..]) {
                    *centre = (sum / count) as f32;
                }
            }
            if sum >= total * (1.0 - 1e-6) {
                break;
            }
            total = sum;
        }
        if total < best.0 {
            best = (total, centres);
        }
    }
    best.1
}

fn silhouette(rows: &[f32], width: usize, of: &[u32], k: usize) -> f64 {
    let n = of.len();
    let mut total = 0.0;
    for i in 0..n {
        let (mut sums, mut counts) = (vec![0.0f64; k], vec![0.0f64; k]);
        for j in (0..n).filter(|&j| j != i) {
            let at = of[j] as usize;
            sums[at] += square(&rows[i * width..][..width], &rows[j * width..][..width]).sqrt();
            counts[at] += 1.0;
        }
        let own = of[i] as usize;
        if counts[own] > 0.0 {
            let inside = sums[own] / counts[own];
            let outside = (0..k)
                .filter(|&c| c != own && counts[c] > 0.0)
                .map(|c| sums[c] / counts[c])
                .fold(f64::INFINITY, f64::min);
            if outside.is_finite() && inside.max(outside) > 0.0 {
                total += (outside - inside) / inside.max(outside);
            }
        }
    }
    total / n.max(1) as f64
}

/// The adjusted Rand index (Hubert & Arabie 1985) of two partitions of the same samples: 1 for the same, 0 as by chance.
#[must_use]
pub fn adjusted_rand(a: &[u32], b: &[u32]) -> f64 {
    use std::collections::BTreeMap;
    let pairs = |count: f64| count * (count - 1.0) / 2.0;
    let (mut cells, mut rows, mut columns) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (a, b) in a.iter().zip(b) {
        *cells.entry((a, b)).or_insert(0.0) += 1.0;
        *rows.entry(a).or_insert(0.0) += 1.0;
        *columns.entry(b).or_insert(0.0) += 1.0;
    }
    let together: f64 = cells.values().map(|c| pairs(*c)).sum();
    let (in_a, in_b): (f64, f64) = (rows.values().map(|c| pairs(*c)).sum(), columns.values().map(|c| pairs(*c)).sum());
    let all = pairs(a.len() as f64);
    let expected = if all > 0.0 { in_a * in_b / all } else { 0.0 };
    let most = (in_a + in_b) / 2.0;
    if most - expected == 0.0 { 1.0 } else { (together - expected) / (most - expected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rand_by_hand() {
        // scikit-learn: adjusted_rand_score([0, 0, 1, 1], [0, 0, 1, 2]) = 0.571428…
        assert!((adjusted_rand(&[0, 0, 1, 1], &[0, 0, 1, 2]) - 4.0 / 7.0).abs() < 1e-12);
        assert_eq!(adjusted_rand(&[0, 0, 1, 1], &[5, 5, 2, 2]), 1.0);
        assert!((adjusted_rand(&[0, 0, 1, 1], &[0, 1, 0, 1]) + 0.5).abs() < 1e-12);
        assert_eq!(adjusted_rand(&[0, 0], &[1, 1]), 1.0);
    }

    #[test]
    fn three_clouds_are_three_clusters() {
        let mut random = Random::from_parts(0, "clouds", 0);
        let truth: Vec<u32> = (0..90).map(|i| i % 3).collect();
        let rows: Vec<f32> = truth
            .iter()
            .flat_map(|&c| [f64::from(c) * 10.0, f64::from(c * c) * 5.0])
            .map(|centre| (centre + random.normal()) as f32)
            .collect();
        let found = clusters(&rows, 2, 1);
        assert_eq!(found.k, 3);
        assert_eq!(adjusted_rand(&found.of, &truth), 1.0);
        assert!(found.silhouette > 0.7);
    }
}
