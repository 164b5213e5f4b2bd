//! Burn's optimisers as the experiment asks for them: weight decay spares biases and norms, momentum is not dampened.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};

use crate::config::Optimizer;
use crate::model::Network;

/// The optimiser of a network, with no state yet.
#[must_use]
pub fn build(config: &Optimizer, network: &Network) -> ModuleOptimizer {
    let spared = ParamGroup::from_ids(network.undecayed());
    match *config {
        Optimizer::Sgd { momentum, nesterov, weight_decay } => {
            let sgd = |decay: f64| {
                let momentum = (momentum > 0.0)
                    .then(|| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0).with_nesterov(nesterov));
                SgdConfig::new().with_momentum(momentum).with_weight_decay(l2(decay)).build()
            };
            ModuleOptimizer::from(sgd(weight_decay)).with_group(spared, sgd(0.0), None)
        }
        Optimizer::Adam { beta1, beta2, epsilon, weight_decay } => {
            let adam = |decay: f64| {
                AdamConfig::new()
                    .with_beta_1(beta1 as f32)
                    .with_beta_2(beta2 as f32)
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(l2(decay))
                    .build()
            };
            ModuleOptimizer::from(adam(weight_decay)).with_group(spared, adam(0.0), None)
        }
        Optimizer::Adamw { beta1, beta2, epsilon, weight_decay } => {
            let adamw = |decay: f64| {
                AdamWConfig::new()
                    .with_beta_1(beta1 as f32)
                    .with_beta_2(beta2 as f32)
                    .with_epsilon(epsilon as f32)
                    .with_weight_decay(decay as f32)
                    .build()
            };
            ModuleOptimizer::from(adamw(weight_decay)).with_group(spared, adamw(0.0), None)
        }
    }
}

/// Weight decay added to the gradient, none at all where it is 0.
fn l2(penalty: f64) -> Option<WeightDecayConfig> {
    (penalty > 0.0).then(|| WeightDecayConfig::new(penalty as f32))
}
