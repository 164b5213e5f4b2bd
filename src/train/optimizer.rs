//! The optimisers as an experiment asks for them: each step is one pass over the memory of a parameter (`ops::sgd_step`,
//! `ops::adam_step`), weight decay spares biases and norms, and the state can be saved and taken up again.

use std::collections::BTreeMap;

use burn::module::ParamGroup;
use burn::optim::{LearningRate, ModuleOptimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};

use crate::config::{Decay, Optimizer};
use crate::model::layer::Role;
use crate::model::{Network, Placed};
use crate::ops;

/// The optimiser of a network, with no state yet. `rates` are factors of the learning rate by layer; the longest name that a layer
/// is within counts. Biases and norms do not decay unless `decay` says all.
#[must_use]
pub fn build(
    config: &Optimizer,
    decay: Option<Decay>,
    rates: &BTreeMap<String, f64>,
    network: &Network,
) -> ModuleOptimizer {
    let decayed = |spared: bool, decays: f64| if spared && decay != Some(Decay::All) { 0.0 } else { decays };
    match *config {
        Optimizer::Sgd { momentum, nesterov, weight_decay } => grouped(rates, network, |spared, factor| Sgd {
            momentum,
            nesterov,
            weight_decay: decayed(spared, weight_decay),
            factor,
        }),
        Optimizer::Adam { beta1, beta2, epsilon, weight_decay }
        | Optimizer::Adamw { beta1, beta2, epsilon, weight_decay } => grouped(rates, network, |spared, factor| Adam {
            betas: [beta1, beta2],
            epsilon,
            weight_decay: decayed(spared, weight_decay),
            decoupled: matches!(config, Optimizer::Adamw { .. }),
            factor,
        }),
    }
}

/// An optimiser for all parameters, and one for each other combination of weight decay (`spared` or not) and factor of the rate.
fn grouped<O: burn::optim::Optimizer + 'static>(
    rates: &BTreeMap<String, f64>,
    network: &Network,
    make: impl Fn(bool, f64) -> O,
) -> ModuleOptimizer {
    let factor = |place: &Placed| {
        let fitting = rates.iter().filter(|(name, _)| place.is_within(name));
        fitting.max_by_key(|(name, _)| name.len()).map_or(1.0, |(_, factor)| *factor)
    };
    let mut factors: Vec<f64> = rates.values().copied().chain([1.0]).collect();
    factors.sort_by(f64::total_cmp);
    factors.dedup();
    let mut optimizer = ModuleOptimizer::from(make(false, 1.0));
    for chosen in factors {
        for spared in [false, true].into_iter().filter(|spared| *spared || chosen != 1.0) {
            let ids =
                network.identities(|place, spec| (spec.role == Role::Spared) == spared && factor(place) == chosen);
            optimizer = optimizer.with_group(ParamGroup::from_ids(ids), make(spared, chosen), None);
        }
    }
    optimizer
}

/// Stochastic gradient descent with momentum that is not dampened.
#[derive(Debug, Clone, Copy)]
struct Sgd {
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    /// Of the learning rate.
    factor: f64,
}

/// What [`Sgd`] keeps for a parameter.
#[derive(Debug, Clone)]
struct Velocity<const D: usize>(Tensor<D>);

impl burn::optim::Optimizer for Sgd {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        value: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let velocity = state.map_or_else(|| value.zeros_like(), |Velocity(velocity)| velocity);
        let sgd = ops::Sgd {
            learning_rate: (rate * self.factor) as f32,
            momentum: self.momentum as f32,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay as f32,
        };
        let (value, velocity) = ops::sgd_step(value, grad, velocity, sgd);
        (value, Some(Velocity(velocity)))
    }

    fn to_device<const D: usize>(Velocity(velocity): Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity(velocity.to_device(device))
    }
}

/// Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019) where the decay is decoupled.
#[derive(Debug, Clone, Copy)]
struct Adam {
    betas: [f64; 2],
    epsilon: f64,
    weight_decay: f64,
    decoupled: bool,
    /// Of the learning rate.
    factor: f64,
}

/// What [`Adam`] keeps for a parameter.
#[derive(Debug, Clone)]
struct Moments<const D: usize> {
    steps: u32,
    first: Tensor<D>,
    second: Tensor<D>,
}

impl burn::optim::Optimizer for Adam {
    type State<const D: usize> = Moments<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        value: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Moments<D>>,
    ) -> (Tensor<D>, Option<Moments<D>>) {
        let Moments { steps, first, second } =
            state.unwrap_or_else(|| Moments { steps: 0, first: value.zeros_like(), second: value.zeros_like() });
        let steps = steps + 1;
        let decay = if self.decoupled { [0.0, self.weight_decay] } else { [self.weight_decay, 0.0] };
        let adam = ops::Adam::new(rate * self.factor, self.betas, self.epsilon, decay, steps);
        let (value, [first, second]) = ops::adam_step(value, grad, [first, second], adam);
        (value, Some(Moments { steps, first, second }))
    }

    fn to_device<const D: usize>(state: Moments<D>, device: &Device) -> Moments<D> {
        let [first, second] = [state.first, state.second].map(|moment| moment.to_device(device));
        Moments { steps: state.steps, first, second }
    }
}

impl<const D: usize> RecordState for Velocity<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "velocity", self.0.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        take(prefix, "velocity", src, device).map(Self)
    }
}

impl<const D: usize> RecordState for Moments<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "steps", self.steps.into());
        out.push_tensor(prefix, "first", self.first.to_data());
        out.push_tensor(prefix, "second", self.second.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let steps = src.take_scalar(prefix, "steps")?.try_into().ok()?;
        let (first, second) = (take(prefix, "first", src, device)?, take(prefix, "second", src, device)?);
        Some(Self { steps, first, second })
    }
}

fn take<const D: usize>(prefix: &str, name: &str, src: &mut StateSource, device: &Device) -> Option<Tensor<D>> {
    let data: TensorData = src.take_tensor(prefix, name)?;
    (data.rank() == D).then(|| Tensor::from_data(data, device))
}
