//! Linear algebra over many rows: scales, products in blocks, principal components.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};

use super::problem::Problem;
use crate::error::Result;
use crate::random::Random;

/// Rows treated at a time.
pub(super) const BLOCK: usize = 2048;
/// Up to this width the covariance is computed exactly; beyond, components come from a randomised range finder.
const EXACT: usize = 640;

/// Mean and standard deviation of every coordinate.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    pub mean: Vec<f32>,
    /// 0 where the coordinate is constant.
    pub deviation: Vec<f32>,
}

impl Scale {
    /// Of the rows of `[n, width]` that `take` names.
    pub fn of(rows: &[f32], width: usize, take: &[usize]) -> Self {
        let n = take.len().max(1) as f64;
        let (mut sum, mut square) = (vec![0.0f64; width], vec![0.0f64; width]);
        for &row in take {
            let row = &rows[row * width..][..width];
            sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        let mean: Vec<f64> = sum.iter().map(|sum| sum / n).collect();
        for &row in take {
            let row = &rows[row * width..][..width];
            for ((square, v), mean) in square.iter_mut().zip(row).zip(&mean) {
                *square += (f64::from(*v) - mean).powi(2);
            }
        }
        let deviation = square.iter().zip(&mean).map(|(square, mean)| {
            let deviation = (square / n).sqrt();
            // What is left of a constant coordinate is rounding.
            if deviation > 1e-6 * mean.abs() { deviation as f32 } else { 0.0 }
        });
        Self { deviation: deviation.collect(), mean: mean.into_iter().map(|mean| mean as f32).collect() }
    }

    /// The rows `take` less the mean, over the deviation; constant coordinates become 0.
    pub fn standardised(&self, rows: &[f32], take: &[usize]) -> Vec<f32> {
        self.each(rows, take, |v, mean, deviation| if deviation > 0.0 { (v - mean) / deviation } else { 0.0 })
    }

    /// The rows `take` less the mean.
    pub fn centred(&self, rows: &[f32], take: &[usize]) -> Vec<f32> {
        self.each(rows, take, |v, mean, _| v - mean)
    }

    fn each(&self, rows: &[f32], take: &[usize], of: impl Fn(f32, f32, f32) -> f32) -> Vec<f32> {
        let width = self.mean.len();
        let mut out = Vec::with_capacity(take.len() * width);
        for &row in take {
            let row = rows[row * width..][..width].iter().zip(&self.mean).zip(&self.deviation);
            out.extend(row.map(|((v, mean), deviation)| of(*v, *mean, *deviation)));
        }
        out
    }
}

/// a `[n, k]` times b `[k, m]`, row-major.
pub(super) fn product(a: &[f32], b: &[f32], n: usize, k: usize, m: usize) -> Vec<f32> {
    let mut out = vec![0.0; n * m];
    matmul(
        MatMut::from_row_major_slice_mut(&mut out, n, m),
        Accum::Replace,
        MatRef::from_row_major_slice(a, n, k),
        MatRef::from_row_major_slice(b, k, m),
        1.0,
        Par::rayon(0),
    );
    out
}

/// aᵀ b of a `[n, k]` and b `[n, m]`, added to `out` `[k, m]`.
pub(super) fn add_product(out: &mut [f64], a: &[f32], b: &[f32], n: usize, k: usize, m: usize) {
    let mut part = vec![0.0f32; k * m];
    matmul(
        MatMut::from_row_major_slice_mut(&mut part, k, m),
        Accum::Replace,
        MatRef::from_row_major_slice(a, n, k).transpose(),
        MatRef::from_row_major_slice(b, n, m),
        1.0,
        Par::rayon(0),
    );
    out.iter_mut().zip(part).for_each(|(out, part)| *out += f64::from(part));
}

/// Eigenvalues, largest first, and eigenvectors `[n, n]` (a row each) of a symmetric matrix.
pub(super) fn eigen(matrix: &[f64], n: usize) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let found = MatRef::from_row_major_slice(matrix, n, n).self_adjoint_eigen(Side::Lower);
    let found = found.map_err(|_| Problem::NotConverged("an eigenvalue decomposition of the embeddings").error())?;
    let values = found.S().column_vector();
    let vectors = found.U();
    // They come in ascending order.
    let order = (0..n).rev();
    Ok((
        order.clone().map(|i| values[i]).collect(),
        order.map(|i| (0..n).map(|row| vectors[(row, i)]).collect()).collect(),
    ))
}

/// Principal components of rows.
#[derive(Debug, Clone)]
pub(super) struct Pca {
    pub scale: Scale,
    /// Variance along each component, largest first, `[r]`.
    pub variances: Vec<f64>,
    /// Variance along all components, found or not.
    pub total: f64,
    /// `[width, r]`, row-major: a unit vector per column.
    pub axes: Vec<f32>,
}

impl Pca {
    /// The `wanted` leading components of the rows `[n, width]`; fewer where the rows have no more. Exact by the covariance up to a
    /// width of 640; beyond, by a randomised range finder with two passes (Halko 2011).
    pub fn of(rows: &[f32], width: usize, wanted: usize, seed: u64) -> Result<Self> {
        let n = rows.len() / width.max(1);
        let all: Vec<usize> = (0..n).collect();
        let scale = Scale::of(rows, width, &all);
        let total = scale.deviation.iter().map(|d| f64::from(*d).powi(2)).sum();
        let wanted = wanted.min(width).min(n.saturating_sub(1)).max(1);
        let (values, axes) = if width <= EXACT {
            let mut covariance = vec![0.0f64; width * width];
            for block in all.chunks(BLOCK) {
                let rows = scale.centred(rows, block);
                add_product(&mut covariance, &rows, &rows, block.len(), width, width);
            }
            covariance.iter_mut().for_each(|v| *v /= n as f64);
            let (values, vectors) = eigen(&covariance, width)?;
            (values, transposed(&vectors, width))
        } else {
            sketched(rows, width, &scale, wanted, seed)?
        };
        let floor = values.first().copied().unwrap_or(0.0) * 1e-6;
        let kept = values.iter().take(wanted).filter(|value| **value > floor).count().max(1);
        let stored = axes.len() / width;
        let axes = axes.chunks_exact(stored).flat_map(|row| row[..kept].to_vec()).collect();
        Ok(Self { scale, variances: values[..kept.min(values.len())].to_vec(), total, axes })
    }

    /// How many components there are.
    pub fn len(&self) -> usize {
        self.variances.len()
    }

    /// The rows `take` along the components, `[take, r]`, each over its standard deviation where `white`.
    pub fn scores(&self, rows: &[f32], take: &[usize], white: bool) -> Vec<f32> {
        let (width, r) = (self.scale.mean.len(), self.len());
        let mut scores = Vec::with_capacity(take.len() * r);
        for block in take.chunks(BLOCK) {
            let rows = self.scale.centred(rows, block);
            scores.extend(product(&rows, &self.axes, block.len(), width, r));
        }
        if white {
            for row in scores.chunks_exact_mut(r) {
                for (v, variance) in row.iter_mut().zip(&self.variances) {
                    *v = if *variance > 0.0 { (f64::from(*v) / variance.sqrt()) as f32 } else { 0.0 };
                }
            }
        }
        scores
    }
}

/// Vectors as the columns of a row-major matrix `[width, count]`.
fn transposed(vectors: &[Vec<f64>], width: usize) -> Vec<f32> {
    (0..width).flat_map(|i| vectors.iter().map(move |vector| vector[i] as f32)).collect()
}

/// Eigenvalues of the covariance and eigenvectors `[width, k]` by a random sketch of ten more directions than wanted.
fn sketched(rows: &[f32], width: usize, scale: &Scale, wanted: usize, seed: u64) -> Result<(Vec<f64>, Vec<f32>)> {
    let n = rows.len() / width;
    let all: Vec<usize> = (0..n).collect();
    let k = (wanted + 10).min(width).min(n);
    let mut random = Random::from_parts(seed, "sketch", 0);
    let mut basis: Vec<f32> = (0..width * k).map(|_| random.normal() as f32).collect();
    let mut small = vec![0.0f64; k * k];
    for pass in 0..3 {
        let mut next = vec![0.0f64; width * k];
        small.fill(0.0);
        for block in all.chunks(BLOCK) {
            let rows = scale.centred(rows, block);
            let along = product(&rows, &basis, block.len(), width, k);
            if pass == 2 {
                add_product(&mut small, &along, &along, block.len(), k, k);
            } else {
                add_product(&mut next, &rows, &along, block.len(), width, k);
            }
        }
        if pass < 2 {
            let q = MatRef::from_row_major_slice(&next, width, k).qr().compute_thin_Q();
            basis = (0..width).flat_map(|i| (0..k).map(move |j| (i, j))).map(|(i, j)| q[(i, j)] as f32).collect();
        }
    }
    small.iter_mut().for_each(|v| *v /= n as f64);
    let (values, vectors) = eigen(&small, k)?;
    let turn = transposed(&vectors, k);
    Ok((values, product(&basis, &turn, width, k, k)))
}

/// The matrix of rows in f64.
pub(super) fn wide(rows: &[f32], n: usize, width: usize) -> Mat<f64> {
    Mat::from_fn(n, width, |i, j| f64::from(rows[i * width + j]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_by_hand() {
        // Points on a line of direction (3, 4)/5 with variance 2, and a little across.
        let t = [-2.0f32, -1.0, 0.0, 1.0, 2.0];
        let rows: Vec<f32> = t.iter().flat_map(|t| [0.6 * t + 10.0, 0.8 * t - 3.0]).collect();
        let pca = Pca::of(&rows, 2, 2, 0).unwrap();
        assert_eq!(pca.len(), 1);
        assert!((pca.variances[0] - 2.0).abs() < 1e-5 && (pca.total - 2.0).abs() < 1e-4);
        assert!((pca.axes[0].abs() - 0.6).abs() < 1e-4 && (pca.axes[1].abs() - 0.8).abs() < 1e-4);
        let scores = pca.scores(&rows, &[0, 4], true);
        assert!((scores[0] + scores[1]).abs() < 1e-4 && (scores[0].abs() - 2f32.sqrt()).abs() < 1e-4);
    }

    #[test]
    fn the_sketch_agrees_with_the_covariance() {
        let (n, width) = (300, 40);
        let mut random = Random::from_parts(1, "rows", 0);
        let rows: Vec<f32> =
            (0..n * width).map(|i| random.normal() as f32 * 0.5f32.powi((i % width) as i32 / 3)).collect();
        let exact = Pca::of(&rows, width, 6, 0).unwrap();
        let all: Vec<usize> = (0..n).collect();
        let (values, _) = sketched(&rows, width, &Scale::of(&rows, width, &all), 6, 0).unwrap();
        for (a, b) in exact.variances.iter().zip(values) {
            assert!((a / b - 1.0).abs() < 0.01, "{a} {b}");
        }
    }
}
