//! Sums of long slices: many partial sums side by side, as wide registers want them, joined in a fixed order.

/// Partial sums that run side by side.
const WIDE: usize = 64;

/// Sum of `values`.
pub fn sum(values: &[f32]) -> f32 {
    vectorized(
        #[inline(always)]
        || sum_of(values.as_chunks::<WIDE>(), |&x| x),
    )
}

/// Calls a closure (itself `#[inline(always)]`) compiled for the widest registers. `pulp` would call it as `FnOnce`: for a closure
/// that only reads, that is a function of its own, which the compiler leaves as it is when it is large.
pub fn vectorized<R>(work: impl Fn() -> R) -> R {
    pulp::Arch::new().dispatch(Vectorized(work))
}

struct Vectorized<F>(F);

impl<R, F: Fn() -> R> pulp::WithSimd for Vectorized<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> R {
        (self.0)()
    }
}

/// Sum of `term` over the elements.
#[inline(always)]
pub fn sum_of<T>((blocks, rest): (&[[T; WIDE]], &[T]), term: impl Fn(&T) -> f32) -> f32 {
    let mut sums = [0.0f32; WIDE];
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += term(x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += term(x);
    }
    join(sums)
}

/// Sum of `term` over the pairs of elements of two slices of the same length.
#[inline(always)]
pub fn sum_pairs<T, U>(a: &[T], b: &[U], term: impl Fn(&T, &U) -> f32) -> f32 {
    let mut sums = [0.0f32; WIDE];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDE>(), b.as_chunks::<WIDE>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..WIDE {
            sums[i] += term(&a[i], &b[i]);
        }
    }
    for (sum, (a, b)) in sums.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *sum += term(a, b);
    }
    join(sums)
}

/// Two sums over the elements of two slices of the same length.
#[inline(always)]
pub fn sums_of(a: &[f32], b: &[f32], terms: impl Fn(f32, f32) -> (f32, f32)) -> (f32, f32) {
    let mut first = [0.0f32; WIDE];
    let mut second = [0.0f32; WIDE];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDE>(), b.as_chunks::<WIDE>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..WIDE {
            let (x, y) = terms(a[i], b[i]);
            first[i] += x;
            second[i] += y;
        }
    }
    for (i, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        let (x, y) = terms(a, b);
        first[i] += x;
        second[i] += y;
    }
    (join(first), join(second))
}

#[inline(always)]
fn join(mut sums: [f32; WIDE]) -> f32 {
    let mut half = WIDE / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}
