//! Random projections of gradients: inner products in K dimensions in place of as many as there are parameters.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::matrix::view;

/// Parameters of one product.
const BLOCK: usize = 512;
/// Rows of gradients of one task.
const TASK: usize = 64;

/// A matrix of random signs over √K, a row of K for each parameter, never held whole: row r is words r·⌈K/32⌉ and on of the
/// ChaCha8 stream of the seed. The same one serves all outputs (Engel 2024), so that projected kernels keep E[K̃] = K, with a
/// standard deviation per entry of order √(K_ii K_jj / K).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    seed: u64,
    dimensions: usize,
}

impl Signs {
    /// The sign matrix of `dimensions` columns.
    #[must_use]
    pub fn new(seed: u64, dimensions: usize) -> Self {
        Self { seed, dimensions }
    }

    /// Columns K.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Rows `first..first + count`, `[count, K]`, each value ±1/√K.
    #[must_use]
    pub fn rows(&self, first: usize, count: usize) -> Vec<f32> {
        let words = self.dimensions.div_ceil(32);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_word_pos(first as u128 * words as u128);
        let size = (self.dimensions as f32).sqrt().recip();
        let mut out = Vec::with_capacity(count * self.dimensions);
        for _ in 0..count {
            let mut left = self.dimensions;
            for _ in 0..words {
                let word = random.next_u32();
                out.extend((0..left.min(32)).map(|bit| if word >> bit & 1 == 1 { size } else { -size }));
                left -= left.min(32);
            }
        }
        out
    }

    /// Adds gradients `[n, length]` of the parameters from `offset` on, times their rows, to `out` `[n, K]`.
    pub(super) fn add_product(&self, gradients: &[f32], length: usize, offset: usize, out: &mut [f32]) {
        let k = self.dimensions;
        for start in (0..length).step_by(BLOCK) {
            let count = BLOCK.min(length - start);
            let signs = self.rows(offset + start, count);
            let tasks = out.par_chunks_mut(TASK * k).zip(gradients.par_chunks(TASK * length));
            tasks.for_each(|(out, gradients)| {
                let n = out.len() / k;
                let target = MatMut::from_row_major_slice_mut(out, n, k);
                let columns = view(gradients, n, length).subcols(start, count);
                matmul(target, Accum::Add, columns, view(&signs, count, k), 1.0, Par::Seq);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_depend_on_where_one_starts() {
        let signs = Signs::new(7, 40);
        let all = signs.rows(0, 9);
        assert_eq!(signs.rows(5, 4), all[5 * 40..]);
        assert!(all.iter().all(|v| v.abs() == 40f32.sqrt().recip()));
        assert_ne!(signs.rows(0, 1), Signs::new(8, 40).rows(0, 1));
        let plus = signs.rows(0, 1000).iter().filter(|&&v| v > 0.0).count();
        assert!((19_500..20_500).contains(&plus), "{plus} of 40,000 signs are positive");
    }

    #[test]
    fn products_are_those_of_the_whole_matrix() {
        let signs = Signs::new(1, 33);
        let gradients: Vec<f32> = (0..3 * 700).map(|i| (i % 13) as f32 - 6.0).collect();
        let mut out = vec![0.0; 3 * 33];
        signs.add_product(&gradients, 700, 11, &mut out);
        let matrix = signs.rows(11, 700);
        for (n, row) in gradients.chunks_exact(700).enumerate() {
            for column in 0..33 {
                let sum: f32 = row.iter().enumerate().map(|(i, g)| g * matrix[i * 33 + column]).sum();
                assert!((out[n * 33 + column] - sum).abs() < 1e-3, "{} {sum}", out[n * 33 + column]);
            }
        }
    }
}
