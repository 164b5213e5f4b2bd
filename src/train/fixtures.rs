//! Every layer and the whole zoo against PyTorch: tests/fixtures/layers/make.py says what is computed and how.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use serde::Deserialize;

use super::{loss, optimizer};
use crate::config::{Model, Optimizer};
use crate::model::{HostTensor, Mode, Network, Plan, Training};
use crate::random::Random;

const FILE: &[u8] = include_bytes!("../../tests/fixtures/layers/cases.safetensors");
const CLASSES: usize = 3;
/// What a number may differ by, relative to the largest of its tensor.
const TOLERANCE: f32 = 1e-5;

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    model: String,
    shape: [usize; 3],
}

struct Fixtures {
    tensors: BTreeMap<String, HostTensor>,
    cases: Vec<Case>,
}

impl Fixtures {
    fn read() -> Self {
        let (_, header) = SafeTensors::read_metadata(FILE).expect("a sound file");
        let cases = &header.metadata().as_ref().expect("metadata")["cases"];
        let parsed = SafeTensors::deserialize(FILE).expect("a sound file");
        let tensors = parsed.iter().map(|(name, view)| {
            let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name.to_owned(), HostTensor::new(name, view.shape(), values))
        });
        Self { tensors: tensors.collect(), cases: serde_json::from_str(cases).expect("a list of cases") }
    }

    fn get(&self, case: &Case, name: &str) -> &HostTensor {
        &self.tensors[&format!("{}/{name}", case.name)]
    }

    /// The tensors of a network before training (`start`) or after three steps (`sgd`, `adam`).
    fn state(&self, case: &Case, when: &str) -> Vec<HostTensor> {
        let prefix = format!("{}/{when}.", case.name);
        let named = self.tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?, tensor)));
        named.map(|(name, tensor)| HostTensor::new(name, tensor.shape.clone(), tensor.values.clone())).collect()
    }
}

/// The network of a case as it stands before training, and its examples.
fn network(fixtures: &Fixtures, case: &Case) -> (Network, Tensor<4>) {
    let plan =
        Plan::new(&Model::parse(&case.model), case.shape, CLASSES).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let device = Device::flex().autodiff();
    let network =
        Network::new(&plan, fixtures.state(case, "start"), &device).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let x = fixtures.get(case, "x");
    let dims: [usize; 4] = x.shape.clone().try_into().expect("four axes");
    (network, Tensor::from_data(TensorData::new(x.values.clone(), dims), &device))
}

fn assert_close(what: &str, actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())).max(0.1);
    for (actual, expected) in actual.iter().zip(expected) {
        assert!(
            (actual - expected).abs() <= TOLERANCE * largest,
            "{what}: {actual} is not {expected} (largest {largest})"
        );
    }
}

#[test]
fn every_layer_and_architecture_gives_what_pytorch_gives() {
    let fixtures = Fixtures::read();
    assert!(fixtures.cases.len() >= 35);
    for case in &fixtures.cases {
        let (network, x) = network(&fixtures, case);
        let logits: Vec<f32> = network.forward(x, &mut Mode::Evaluate).into_data().iter().collect();
        assert_close(&case.name, &logits, &fixtures.get(case, "logits").values);
    }
}

#[test]
fn three_steps_of_training_are_pytorch_s() {
    let fixtures = Fixtures::read();
    let sgd = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-2 };
    let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-3, weight_decay: 1e-2 };
    for case in &fixtures.cases {
        for (name, config, rate) in [("sgd", &sgd, 0.05), ("adam", &adam, 0.01)] {
            let (mut network, x) = network(&fixtures, case);
            let labels = labels(&x);
            let mut optimizer = optimizer::build(config, None, &BTreeMap::new(), &network);
            for _ in 0..3 {
                let mut training =
                    Training { dropout: crate::random::ByExample::new(&[0; 32], 0), statistics: Vec::new() };
                let logits = network.forward(x.clone(), &mut Mode::Train(&mut training));
                let gradients =
                    GradientsParams::from_grads(loss::cross_entropy(logits, &labels, 0.0).backward(), &network);
                let taken = network.take();
                network = optimizer.step(rate, taken, gradients);
                network.update_statistics(training.statistics);
            }
            let expected: BTreeMap<_, _> =
                fixtures.state(case, name).into_iter().map(|t| (t.name.clone(), t)).collect();
            for tensor in network.to_host() {
                assert_close(
                    &format!("{} of {} by {name}", tensor.name, case.name),
                    &tensor.values,
                    &expected[&tensor.name].values,
                );
            }
        }
    }
}

fn labels(x: &Tensor<4>) -> Vec<u32> {
    (0..x.dims()[0] as u32).map(|i| i % CLASSES as u32).collect()
}

/// The gradient of the cross-entropy with respect to every tensor; 0 for statistics.
fn gradients(network: Network, x: &Tensor<4>, mode: &mut Mode) -> Vec<HostTensor> {
    // A step of plain gradient descent moves every parameter by its gradient; a large one, so that no digits are lost.
    const RATE: f32 = 65_536.0;
    let plain = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let mut optimizer = optimizer::build(&plain, None, &BTreeMap::new(), &network);
    let start = network.to_host();
    let loss = loss::cross_entropy(network.forward(x.clone(), mode), &labels(x), 0.0);
    let found = GradientsParams::from_grads(loss.backward(), &network);
    let stepped = optimizer.step(f64::from(RATE), network, found).to_host();
    let moved = |(before, after): (HostTensor, HostTensor)| {
        let values = before.values.iter().zip(&after.values).map(|(before, after)| (before - after) / RATE);
        HostTensor::new(before.name, before.shape, values.collect())
    };
    start.into_iter().zip(stepped).map(moved).collect()
}

/// Every layer, kinks and all: each tensor's gradient against the one that PyTorch finds in f64.
#[test]
fn gradients_are_those_of_double_precision() {
    let fixtures = Fixtures::read();
    for case in &fixtures.cases {
        let (network, x) = network(&fixtures, case);
        let exact: BTreeMap<_, _> = fixtures.state(case, "grad").into_iter().map(|t| (t.name.clone(), t)).collect();
        let largest = |tensor: &HostTensor| tensor.values.iter().fold(0.0_f32, |largest, v| largest.max(v.abs()));
        let of_all = exact.values().map(largest).fold(0.0, f32::max);
        let mut training = Training { dropout: crate::random::ByExample::new(&[0; 32], 0), statistics: Vec::new() };
        let mut seen = 0;
        for found in gradients(network, &x, &mut Mode::Train(&mut training)) {
            let Some(exact) = exact.get(&found.name) else { continue };
            seen += 1;
            // What is 0 in truth, such as the gradient of a bias before a batch norm, is rounding of the others.
            let scale = largest(exact).max(0.1 * of_all);
            for (found_value, exact_value) in found.values.iter().zip(&exact.values) {
                let apart = (found_value - exact_value).abs() / scale;
                assert!(
                    apart <= TOLERANCE,
                    "{} of {}: {found_value} is not {exact_value} ({apart:e})",
                    found.name,
                    case.name
                );
            }
        }
        assert_eq!(seen, exact.len(), "{}", case.name);
    }
}

/// Gradients against central differences of the loss, all on the same f32 network: a second opinion that knows nothing of PyTorch. Of smooth
/// networks: where a step crosses the kinks of relu or of a maximum, a difference in f32 is off by several per cent, and PyTorch's steps
/// are the judge.
#[test]
fn gradients_are_those_of_finite_differences() {
    let fixtures = Fixtures::read();
    let mut random = Random::from_parts(1, "differences", 0);
    let mut smooth = 0;
    for case in &fixtures.cases {
        let (network, x) = network(&fixtures, case);
        let labels = labels(&x);
        let plan = network.plan().clone();
        let layers = format!("{plan:?}");
        if ["Relu", "MaxPool", "HardSwish"].iter().any(|kink| layers.contains(kink)) {
            continue;
        }
        smooth += 1;
        let start = network.to_host();
        let evaluate = |weights: Vec<HostTensor>| {
            let network = Network::new(&plan, weights, &x.device()).expect("the same shapes");
            loss::cross_entropy(network.forward(x.clone(), &mut Mode::Evaluate), &labels, 0.0)
        };
        // A direction in the space of all parameters: one number tells whether any gradient is wrong.
        let trained: Vec<bool> = plan.named_tensors().iter().map(|(_, _, spec)| spec.is_parameter()).collect();
        let direction: Vec<Vec<f32>> =
            start.iter().map(|tensor| tensor.values.iter().map(|_| random.normal() as f32).collect()).collect();
        let moved = |by: f32| {
            let mut weights = start.clone();
            for ((tensor, direction), trained) in weights.iter_mut().zip(&direction).zip(&trained) {
                if *trained {
                    tensor.values.iter_mut().zip(direction).for_each(|(value, d)| *value += by * d);
                }
            }
            f64::from(evaluate(weights).into_scalar::<f32>())
        };
        // Long steps have curvature in them, short ones drown in the rounding of f32: the best of three counts.
        let by_differences = [2e-3, 5e-4, 2e-4].map(|step| (moved(step) - moved(-step)) / f64::from(2.0 * step));
        let found = gradients(network, &x, &mut Mode::Evaluate);
        let by_gradient: f64 = (found.iter().zip(&direction))
            .map(|(tensor, direction)| tensor.values.iter().zip(direction).map(|(g, d)| f64::from(g * d)).sum::<f64>())
            .sum();
        let scale = by_gradient.abs().max(0.1);
        let close = |by_difference: &f64| (by_difference - by_gradient).abs() < 2e-2 * scale;
        assert!(
            by_differences.iter().any(close),
            "{}: {by_differences:?} by differences, {by_gradient} by gradients",
            case.name
        );
    }
    assert!(smooth >= 5, "only {smooth} networks are smooth");
}
