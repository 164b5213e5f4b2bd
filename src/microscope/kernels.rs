//! Random features of kernels (Rahimi & Recht 2007), so that a kernel test costs time linear in the number of samples.

use crate::random::Random;

use super::linear::product;

/// Frequencies of each family of kernels.
const FREQUENCIES: usize = 128;
/// Bandwidths of each family.
const BANDWIDTHS: usize = 5;
/// Pairs of samples that bandwidths and norms are read off.
const PAIRS: usize = 1000;

/// Gaussian kernels exp(−‖x − y‖²/2σ²) and Laplace kernels exp(−‖x − y‖₁/σ), each at five bandwidths from half the 5 % point of the
/// distances to twice the 95 % point (Biggs 2023), as random features: cos and sin of 128 projections.
pub(super) struct Kernels {
    width: usize,
    /// Of each family: projections `[width, FREQUENCIES]`, drawn for bandwidth 1.
    families: Vec<Vec<f32>>,
    /// Each kernel: its family, bandwidth, and √ of the mean square of its values.
    pub kernels: Vec<(usize, f64, f64)>,
}

impl Kernels {
    /// For standardised rows `[n, width]`.
    pub fn new(rows: &[f32], width: usize, seed: u64) -> Self {
        let n = rows.len() / width.max(1);
        let mut random = Random::from_parts(seed, "kernels", 0);
        let mut distances: Vec<Vec<f64>> = vec![Vec::new(); 2];
        for _ in 0..PAIRS {
            let (a, b) = (random.uniform_below(n as u64) as usize, random.uniform_below(n as u64) as usize);
            if a != b {
                let both = rows[a * width..][..width].iter().zip(&rows[b * width..][..width]);
                let (square, sum) = both.fold((0.0f64, 0.0f64), |(square, sum), (a, b)| {
                    let apart = f64::from(a - b);
                    (square + apart * apart, sum + apart.abs())
                });
                distances[0].push(square.sqrt());
                distances[1].push(sum);
            }
        }
        let normal: Vec<f32> = (0..width * FREQUENCIES).map(|_| random.normal() as f32).collect();
        // A Cauchy variable is a ratio of two normal ones.
        let cauchy: Vec<f32> = (0..width * FREQUENCIES)
            .map(|_| {
                let (a, b) = (random.normal(), random.normal());
                (a / if b == 0.0 { f64::MIN_POSITIVE } else { b }).clamp(-1e6, 1e6) as f32
            })
            .collect();
        let mut kernels = Vec::new();
        for (family, distances) in distances.iter_mut().enumerate() {
            distances.sort_by(f64::total_cmp);
            let point =
                |q: f64| distances.get(((distances.len() as f64 - 1.0) * q).max(0.0) as usize).copied().unwrap_or(1.0);
            let (low, high) = (point(0.05) / 2.0, point(0.95) * 2.0);
            for step in 0..BANDWIDTHS {
                let bandwidth = (low + (high - low) * step as f64 / (BANDWIDTHS - 1) as f64).max(1e-9);
                let value = |distance: &f64| match family {
                    0 => (-(distance / bandwidth).powi(2) / 2.0).exp(),
                    _ => (-distance / bandwidth).exp(),
                };
                let square = distances.iter().map(|d| value(d).powi(2)).sum::<f64>() / distances.len().max(1) as f64;
                kernels.push((family, bandwidth, square.sqrt().max(1e-12)));
            }
        }
        Self { width, families: vec![normal, cauchy], kernels }
    }

    /// Features of each kernel, side by side.
    pub const EACH: usize = 2 * FREQUENCIES;

    /// The features `[n, kernels × EACH]` of standardised rows; ⟨φ(x), φ(y)⟩ ≈ k(x, y).
    pub fn features(&self, rows: &[f32]) -> Vec<f32> {
        let n = rows.len() / self.width.max(1);
        let along: Vec<Vec<f32>> =
            self.families.iter().map(|family| product(rows, family, n, self.width, FREQUENCIES)).collect();
        let scale = (1.0 / FREQUENCIES as f32).sqrt();
        let mut features = Vec::with_capacity(n * self.kernels.len() * Self::EACH);
        for row in 0..n {
            for &(family, bandwidth, _) in &self.kernels {
                let angles = &along[family][row * FREQUENCIES..][..FREQUENCIES];
                let factor = 1.0 / bandwidth as f32;
                features.extend(angles.iter().map(|angle| (angle * factor).cos() * scale));
                features.extend(angles.iter().map(|angle| (angle * factor).sin() * scale));
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_multiply_to_the_kernel() {
        let width = 6;
        let mut random = Random::from_parts(2, "x", 0);
        let rows: Vec<f32> = (0..40 * width).map(|_| random.normal() as f32).collect();
        let kernels = Kernels::new(&rows, width, 3);
        let features = kernels.features(&rows[..2 * width]);
        let length = kernels.kernels.len() * Kernels::EACH;
        for (i, &(family, bandwidth, _)) in kernels.kernels.iter().enumerate() {
            let at = |row: usize| &features[row * length + i * Kernels::EACH..][..Kernels::EACH];
            let found: f64 = at(0).iter().zip(at(1)).map(|(a, b)| f64::from(a * b)).sum();
            let apart: Vec<f64> = (0..width).map(|j| f64::from(rows[j] - rows[width + j])).collect();
            let exact = match family {
                0 => (-apart.iter().map(|v| v * v).sum::<f64>() / (2.0 * bandwidth * bandwidth)).exp(),
                _ => (-apart.iter().map(|v| v.abs()).sum::<f64>() / bandwidth).exp(),
            };
            // Standard error of 128 frequencies: 1/√256 at most.
            assert!((found - exact).abs() < 0.25, "kernel {i}: {found} for {exact}");
        }
    }
}
