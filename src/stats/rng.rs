//! Seeded random numbers that stay the same across versions and threads: ChaCha8, one stream per purpose and index.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream number `index` of `seed`; streams of one seed are independent of each other.
    #[must_use]
    pub fn new(seed: u64, index: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index);
        Self(rng)
    }

    /// A whole number uniform in 0..n, without bias (Lemire 2019, arXiv 1805.10941).
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "an empty range has no element to draw");
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u64::from(self.0.next_u32()) * u64::from(n);
            if wide as u32 >= threshold {
                return (wide >> 32) as u32;
            }
        }
    }

    /// An index uniform in 0..n.
    ///
    /// # Panics
    /// If `n` is 0 or above 2³² − 1.
    pub fn index(&mut self, n: usize) -> usize {
        self.below(u32::try_from(n).expect("ranges here have fewer than 2^32 elements")) as usize
    }

    /// A number uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A standard normal number (Box & Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Puts `items` into a random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.index(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, index| {
            let mut s = Stream::new(seed, index);
            (0..8).map(|_| s.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn draws_are_uniform() {
        let mut s = Stream::new(7, 0);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[s.index(6)] += 1;
        }
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 < 20.5, "chi-square {chi2} is beyond the 99.9 % point of 5 degrees of freedom");
        let mean = (0..10_000).map(|_| s.uniform()).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn a_shuffle_keeps_the_items() {
        let mut v: Vec<u32> = (0..50).collect();
        Stream::new(3, 0).shuffle(&mut v);
        assert!(!v.is_sorted());
        v.sort_unstable();
        assert!(v.into_iter().eq(0..50));
    }
}
