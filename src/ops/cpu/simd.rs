//! Which instructions a kernel runs on.

use pulp::{Arch, Scalar, Simd, WithSimd};

/// The instruction set of a kernel. Results of two sets may differ in the last bits, those of one set never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// The widest set that this processor has: AVX-512, AVX2 with FMA, NEON, or none.
    Detected,
    /// Plain Rust, on any processor.
    #[allow(dead_code, reason = "the tests compare both")]
    Portable,
    /// AVX2 with FMA: what a processor without AVX-512 would run, for tests on one that has it.
    #[cfg(all(test, target_arch = "x86_64"))]
    Avx2,
}

impl Instructions {
    /// Runs `kernel` with these instructions.
    pub fn run<K: WithSimd>(self, kernel: K) -> K::Output {
        match self {
            Self::Detected => Arch::new().dispatch(kernel),
            Self::Portable => Scalar::new().vectorize(kernel),
            #[cfg(all(test, target_arch = "x86_64"))]
            Self::Avx2 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(simd, kernel),
                None => Scalar::new().vectorize(kernel),
            },
        }
    }

    /// Number of `f32` in a vector register.
    pub fn lanes(self) -> usize {
        self.run(Lanes)
    }

    /// Number of vector registers.
    pub fn registers(self) -> usize {
        self.run(Registers)
    }
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

struct Registers;

impl WithSimd for Registers {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::REGISTER_COUNT
    }
}
