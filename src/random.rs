//! The one random generator: ChaCha8 (Bernstein 2008) seeded explicitly, with draws on top that give the same values on
//! every machine and with every version of our dependencies.
//!
//! A word position is the whole state of a stream: no draw keeps anything back for the next one, so a stream that is
//! set to a stored position goes on as if it had never stopped.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where uniform integers come from: lets what draws be tested on chosen draws.
pub trait UniformSource {
    /// A uniform integer of `0..n`; 0 where `n` is 0.
    fn uniform_below(&mut self, n: u64) -> u64;
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of a 256-bit key.
    #[must_use]
    pub fn from_key(key: &[u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(*key))
    }

    /// The stream whose key is the BLAKE3 hash of the root seed, the length of the name, the name, and the index
    /// (integers as 8 bytes, lowest first): streams of different names or indices have nothing in common.
    #[must_use]
    pub fn from_parts(root: u64, name: &str, index: u64) -> Self {
        Self::from_key(&Self::key(root, name, index))
    }

    /// The key of [`Random::from_parts`].
    #[must_use]
    pub fn key(root: u64, name: &str, index: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&root.to_le_bytes());
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&index.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// How many 32-bit words of the stream are used up.
    #[must_use]
    pub fn position(&self) -> u128 {
        self.0.get_word_pos()
    }

    /// Goes on at a position that [`Random::position`] returned.
    pub fn set_position(&mut self, position: u128) {
        self.0.set_word_pos(position);
    }

    /// Uniform in [0, 1): a multiple of 2⁻⁵³. Uses two words.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A uniform integer of `0..n`; 0 where `n` is 0. Uses two words, more only where a draw is rejected.
    pub fn uniform_below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // Lemire 2019, "Fast random integer generation in an interval": the high half of draw × n is uniform once the
        // 2⁶⁴ mod n smallest low halves are rejected.
        let rejected = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(n);
            if product as u64 >= rejected {
                return (product >> 64) as u64;
            }
        }
    }

    /// A standard normal value, by inversion of the distribution function: always two words, nothing kept back.
    ///
    /// The inverse is AS 241, `PPND16` (Wichura 1988), of relative error about 1e-16; the draw has 52 bits, so values lie
    /// within ±8.2. Only sums, products, quotients and square roots are used, which IEEE 754 fixes to the last bit:
    /// logarithms of the platform's library differ between machines, so the logarithm is ours too.
    pub fn normal(&mut self) -> f64 {
        let centred = (self.0.next_u64() >> 12) as f64 + 0.5;
        inverse_normal(centred * (1.0 / (1u64 << 52) as f64))
    }

    /// Shuffles in place (Fisher and Yates); every order is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.uniform_below(last as u64 + 1) as usize);
        }
    }
}

/// Draws for the examples of one epoch, keyed by the example: what befalls an example does not depend on its turn, so that
/// another order alone deals nobody other draws.
#[derive(Debug, Clone)]
pub struct ByExample {
    stream: Random,
    /// The examples of the batch.
    batch: Vec<usize>,
    /// Words of every example of the batch that are promised to somebody.
    reserved: u64,
}

impl ByExample {
    /// Words between the starts of two examples: more than one example uses in an epoch.
    const WORDS: u128 = 1 << 24;

    /// The draws of an epoch from the stream of this key.
    #[must_use]
    pub fn new(key: &[u8; 32], epoch: u64) -> Self {
        let key = blake3::keyed_hash(key, &epoch.to_le_bytes());
        Self { stream: Random::from_key(key.as_bytes()), batch: Vec::new(), reserved: 0 }
    }

    /// Goes on with these examples.
    pub fn begin(&mut self, batch: &[usize]) {
        self.batch.clear();
        self.batch.extend_from_slice(batch);
        self.reserved = 0;
    }

    /// Keeps the next `words` 32-bit words of every example of the batch for the caller: the first is at the returned offset.
    pub fn reserve(&mut self, words: u64) -> u64 {
        let offset = self.reserved;
        self.reserved += words;
        offset
    }

    /// The stream of the example at `place` in the batch, from this offset on.
    pub fn at(&mut self, place: usize, offset: u64) -> &mut Random {
        let example = self.batch.get(place).copied().unwrap_or(place);
        self.stream.set_position(example as u128 * Self::WORDS + u128::from(offset));
        &mut self.stream
    }
}

impl UniformSource for Random {
    fn uniform_below(&mut self, n: u64) -> u64 {
        Random::uniform_below(self, n)
    }
}

/// a₀ + a₁x + a₂x² + …
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, a| sum * x + a)
}

/// The quantile of the standard normal distribution at `p` in (0, 1), AS 241 `PPND16`.
fn inverse_normal(p: f64) -> f64 {
    const CENTRE: [[f64; 8]; 2] = [
        [
            3.387_132_872_796_366_5,
            133.141_667_891_784_38,
            1_971.590_950_306_551_3,
            13_731.693_765_509_46,
            45_921.953_931_549_87,
            67_265.770_927_008_7,
            33_430.575_583_588_13,
            2_509.080_928_730_122_7,
        ],
        [
            1.0,
            42.313_330_701_600_91,
            687.187_007_492_057_9,
            5_394.196_021_424_751,
            21_213.794_301_586_597,
            39_307.895_800_092_71,
            28_729.085_735_721_943,
            5_226.495_278_852_545,
        ],
    ];
    const SHOULDER: [[f64; 8]; 2] = [
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            0.241_780_725_177_450_6,
            0.022_723_844_989_269_184,
            7.745_450_142_783_414e-4,
        ],
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ],
    ];
    const TAIL: [[f64; 8]; 2] = [
        [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            0.296_560_571_828_504_87,
            0.026_532_189_526_576_124,
            0.001_242_660_947_388_078_4,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ],
        [
            1.0,
            0.599_832_206_555_888,
            0.136_929_880_922_735_8,
            0.014_875_361_290_850_615,
            7.868_691_311_456_133e-4,
            1.846_318_317_510_054_7e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_8e-15,
        ],
    ];
    let ratio = |[numerator, denominator]: [[f64; 8]; 2], x| polynomial(&numerator, x) / polynomial(&denominator, x);
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(CENTRE, 0.180_625 - q * q);
    }
    let r = (-logarithm(if q < 0.0 { p } else { 1.0 - p })).sqrt();
    let size = if r <= 5.0 { ratio(SHOULDER, r - 1.6) } else { ratio(TAIL, r - 5.0) };
    size.copysign(q)
}

/// The natural logarithm of a positive normal number, to within two units in the last place.
///
/// x = m·2ᵏ with m in [√½, √2); ln m = 2 artanh(s) with s = (m−1)/(m+1), |s| < 0.172, by its series: twelve terms leave
/// less than 2⁻⁶⁰.
fn logarithm(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as f64 - 1023.0;
    let mut m = f64::from_bits((bits & MANTISSA) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1.0;
    }
    let s = (m - 1.0) / (m + 1.0);
    let series = (0..12).rev().fold(0.0, |sum, i| sum * (s * s) + 1.0 / f64::from(2 * i + 1));
    exponent * std::f64::consts::LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn draws_by_example_do_not_depend_on_the_order() {
        let draws = |batch: &[usize], epoch: u64| {
            let mut stream = ByExample::new(&[7; 32], epoch);
            stream.begin(batch);
            let (first, second) = (stream.reserve(4), stream.reserve(2));
            let draw = |place: usize, stream: &mut ByExample| {
                (stream.at(place, first).uniform(), stream.at(place, second).uniform())
            };
            (0..batch.len()).map(|place| (batch[place], draw(place, &mut stream))).collect::<Vec<_>>()
        };
        let (mut one, mut other) = (draws(&[5, 0, 9], 3), draws(&[9, 5, 0], 3));
        one.sort_by_key(|held| held.0);
        other.sort_by_key(|held| held.0);
        assert_eq!(one, other);
        assert_ne!(one[0].1, one[1].1);
        assert_ne!(one[0].1.0, one[0].1.1);
        assert_ne!(draws(&[5], 3), draws(&[5], 4));
    }

    #[test]
    fn stream_is_chacha8_of_the_key() {
        // First words of ChaCha8 for the zero key and nonce, as in "Test vectors for the stream cipher ChaCha" (Strombergson).
        let mut random = Random::from_key(&[0; 32]);
        let expected = u64::from_le_bytes([0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6]);
        assert_eq!(random.uniform(), (expected >> 11) as f64 / (1u64 << 53) as f64);
    }

    #[test]
    fn values_never_change() {
        // From a program of its own: ChaCha8 from its specification, the quantile -1.096153479891897333 at 30 digits (ours is
        // one unit in the last place away, which is to stay). What is stored in sweeps
        // depends on these bits: a difference breaks the resumption of every sweep.
        let mut random = Random::from_parts(7, "order", 3);
        let drawn: Vec<u64> = (0..4).map(|_| random.uniform_below(1000)).collect();
        assert_eq!(drawn, [639, 264, 478, 29]);
        assert_eq!(random.normal().to_bits(), 0xbff1_89d8_3b38_8446);
        let mut items: Vec<u32> = (0..10).collect();
        random.shuffle(&mut items);
        assert_eq!(items, [6, 7, 8, 9, 3, 5, 1, 0, 4, 2]);
        assert_eq!(random.position(), 28);
    }

    #[test]
    fn parts_are_told_apart() {
        let first = |root, name, index| Random::from_parts(root, name, index).uniform();
        let values = [first(0, "a", 0), first(1, "a", 0), first(0, "b", 0), first(0, "a", 1), first(0, "ab", 0)];
        for (i, a) in values.iter().enumerate() {
            assert!(values[i + 1..].iter().all(|b| a != b), "{values:?}");
        }
    }

    #[test]
    fn normal_quantiles_agree_with_an_independent_inverse() {
        use statrs::distribution::{ContinuousCDF, Normal};
        // mpmath at 30 digits.
        let known = [
            (0.975, 1.959_963_984_540_053_9),
            (0.3, -0.524_400_512_708_040_8),
            (1e-4, -3.719_016_485_455_680_6),
            (1e-10, -6.361_340_902_404_056),
            (1e-15, -7.941_345_326_170_997),
        ];
        for (p, z) in known {
            assert!((inverse_normal(p) - z).abs() <= 1e-15 * z.abs(), "{p}: {} against {z}", inverse_normal(p));
        }
        let normal = Normal::standard();
        for i in 1..20_000 {
            let z = -8.2 + 16.4 * f64::from(i) / 20_000.0;
            let p = normal.cdf(-z.abs());
            let back = inverse_normal(p);
            assert!((back + z.abs()).abs() < 2e-9 * z.abs().max(1e-3), "{z}: {back}");
        }
        assert_eq!(inverse_normal(0.5), 0.0);
    }

    #[test]
    fn normal_has_the_moments_of_a_normal() {
        let mut random = Random::from_parts(0, "moments", 0);
        let n = 200_000;
        let draws: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let moment = |k: i32| draws.iter().map(|z| z.powi(k)).sum::<f64>() / f64::from(n);
        // Standard errors of the first four moments: 1, √2, √15, √96 over √n; bounds at 4 of them.
        let root = f64::from(n).sqrt();
        for (k, expected, error) in
            [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (3, 0.0, 15f64.sqrt()), (4, 3.0, 96f64.sqrt())]
        {
            assert!((moment(k) - expected).abs() < 4.0 * error / root, "moment {k}: {}", moment(k));
        }
    }

    #[test]
    fn integers_are_uniform() {
        let mut random = Random::from_parts(0, "uniform", 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[random.uniform_below(7) as usize] += 1;
        }
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi < 22.46, "chi-squared {chi} of 6 degrees, 0.1 % point 22.46: {counts:?}");
        assert_eq!((random.uniform_below(0), random.uniform_below(1)), (0, 0));
    }

    #[test]
    fn every_order_is_equally_likely() {
        let mut random = Random::from_parts(0, "orders", 0);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            random.shuffle(&mut items);
            *counts.entry(items).or_insert(0u32) += 1;
        }
        let chi: f64 = counts.values().map(|&c| (f64::from(c) - 1000.0).powi(2) / 1000.0).sum();
        assert_eq!(counts.len(), 24);
        assert!(chi < 49.73, "chi-squared {chi} of 23 degrees, 0.1 % point 49.73");
    }

    proptest! {
        #[test]
        fn logarithm_is_the_logarithm(x in 1e-300f64..1e300) {
            let (ours, theirs) = (logarithm(x), x.ln());
            prop_assert!((ours - theirs).abs() <= 4.0 * f64::EPSILON * theirs.abs().max(0.01), "{ours} against {theirs}");
        }

        #[test]
        fn a_stored_position_goes_on(root: u64, before in 0usize..200, n in 1u64..) {
            let mut random = Random::from_parts(root, "position", 0);
            for i in 0..before {
                if i % 3 == 0 { random.normal(); } else { random.uniform_below(n); }
            }
            let mut resumed = Random::from_parts(root, "position", 0);
            resumed.set_position(random.position());
            for _ in 0..70 {
                prop_assert_eq!(random.uniform().to_bits(), resumed.uniform().to_bits());
            }
            prop_assert_eq!(random.position(), resumed.position());
        }

        #[test]
        fn draws_lie_in_their_range(root: u64, n in 1u64..) {
            let mut random = Random::from_parts(root, "range", 0);
            for _ in 0..50 {
                prop_assert!(random.uniform_below(n) < n);
                prop_assert!((0.0..1.0).contains(&random.uniform()));
                prop_assert!(random.normal().abs() < 8.3);
            }
        }
    }
}
