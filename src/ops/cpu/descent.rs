//! Steps of optimisers, each in one pass over the memory.

use super::parallel::each;

/// Values that one task works on.
const CHUNK: usize = 1 << 14;

/// Stochastic gradient descent with momentum and zero dampening, as PyTorch defines it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// The rate of the step.
    pub learning_rate: f32,
    /// Decay of the velocity.
    pub momentum: f32,
    /// Nesterov's form.
    pub nesterov: bool,
    /// Added to the gradient, times the weight.
    pub weight_decay: f32,
}

impl Sgd {
    /// `g = grad + weight_decay · value`, `velocity = momentum · velocity + g`, and
    /// `value −= learning_rate · (nesterov ? g + momentum · velocity : velocity)`.
    pub fn step(&self, grad: &[f32], velocity: &mut [f32], value: &mut [f32]) {
        let Self { learning_rate, momentum, nesterov, weight_decay } = *self;
        let chunks = grad.chunks(CHUNK).zip(velocity.chunks_mut(CHUNK)).zip(value.chunks_mut(CHUNK));
        let mut chunks: Vec<_> = chunks.collect();
        each(&mut chunks, 1, |_, chunks| {
            for ((grad, velocity), value) in chunks {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (value, (velocity, &grad)) in value.iter_mut().zip(velocity.iter_mut().zip(*grad)) {
                            let grad = grad + weight_decay * *value;
                            *velocity = momentum * *velocity + grad;
                            let direction = if nesterov { grad + momentum * *velocity } else { *velocity };
                            *value -= learning_rate * direction;
                        }
                    },
                );
            }
        });
    }
}

/// One step of Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019), as PyTorch defines them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The learning rate over `1 − beta1^steps`.
    pub rate: f32,
    /// Share of the old moments that is kept, and of the new gradient that is taken.
    pub first: [f32; 2],
    /// Decay of the second moment, and its correction.
    pub second: [f32; 2],
    /// `1 / sqrt(1 − beta2^steps)`
    pub root: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// Share of the value that is added to its gradient.
    pub decay: f32,
    /// Share of the value that is kept: less than 1 where the decay is decoupled from the gradient.
    pub kept: f32,
}

impl Adam {
    /// The step number `steps`, from 1. `decay` is that added to the gradient (Adam) and that decoupled from it (AdamW).
    #[must_use]
    pub fn new(learning_rate: f64, [beta1, beta2]: [f64; 2], epsilon: f64, decay: [f64; 2], steps: u32) -> Self {
        let unbiased = |beta: f64| 1.0 - beta.powf(f64::from(steps));
        Self {
            rate: (learning_rate / unbiased(beta1)) as f32,
            first: [beta1 as f32, (1.0 - beta1) as f32],
            second: [beta2 as f32, (1.0 - beta2) as f32],
            root: unbiased(beta2).sqrt().recip() as f32,
            epsilon: epsilon as f32,
            decay: decay[0] as f32,
            kept: (1.0 - learning_rate * decay[1]) as f32,
        }
    }

    /// `g = grad + decay · value`, `m = beta1 · m + (1 − beta1) · g`, `v = beta2 · v + (1 − beta2) · g²`, and
    /// `value = kept · value − rate · m / (root · sqrt(v) + epsilon)`.
    pub fn step(&self, grad: &[f32], [m, v]: [&mut [f32]; 2], value: &mut [f32]) {
        let Self { rate, first, second, root, epsilon, decay, kept } = *self;
        let moments = m.chunks_mut(CHUNK).zip(v.chunks_mut(CHUNK));
        let mut chunks: Vec<_> = grad.chunks(CHUNK).zip(moments).zip(value.chunks_mut(CHUNK)).collect();
        each(&mut chunks, 1, |_, chunks| {
            for ((grad, (m, v)), value) in chunks {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let moments = m.iter_mut().zip(v.iter_mut());
                        for ((value, &grad), (m, v)) in value.iter_mut().zip(*grad).zip(moments) {
                            let grad = grad + decay * *value;
                            *m = first[0] * *m + first[1] * grad;
                            *v = second[0] * *v + second[1] * grad * grad;
                            *value = kept * *value - rate * *m / (root * v.sqrt() + epsilon);
                        }
                    },
                );
            }
        });
    }
}
