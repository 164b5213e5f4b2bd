//! Every layer and the whole zoo: the three routes against each other and against `torch.func` in f64
//! (tests/fixtures/kernels/layers.py), on networks whose weights come from PyTorch (tests/fixtures/layers/make.py).

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use serde::Deserialize;

use super::brute::relative;
use super::spectrum::eigenvalues;
use super::{DEFAULT_BUDGET, Draw, Jacobians, Kind, Route};
use crate::config::Model;
use crate::model::{HostTensor, Plan};

const CASES: &[u8] = include_bytes!("../../tests/fixtures/layers/cases.safetensors");
const KERNELS: &[u8] = include_bytes!("../../tests/fixtures/kernels/layers.safetensors");
const CLASSES: usize = 3;

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    model: String,
    shape: [usize; 3],
}

fn tensors(file: &[u8]) -> BTreeMap<String, HostTensor> {
    let parsed = SafeTensors::deserialize(file).unwrap();
    let tensors = parsed.iter().map(|(name, view)| {
        let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (name.to_owned(), HostTensor::new(name, view.shape(), values))
    });
    tensors.collect()
}

/// Name, plan, weights and examples of every case.
fn cases() -> Vec<(String, Plan, Vec<HostTensor>, Vec<f32>)> {
    let (_, header) = SafeTensors::read_metadata(CASES).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&header.metadata().as_ref().unwrap()["cases"]).unwrap();
    let tensors = tensors(CASES);
    let case = |case: Case| {
        let plan = Plan::new(&Model::parse(&case.model), case.shape, CLASSES).unwrap();
        let prefix = format!("{}/start.", case.name);
        let named = tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?, tensor)));
        let weights = named.map(|(name, t)| HostTensor::new(name, t.shape.clone(), t.values.clone())).collect();
        let x = tensors[&format!("{}/x", case.name)].values.clone();
        (case.name, plan, weights, x)
    };
    cases.into_iter().map(case).collect()
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// `[P, P]`: for each pair of examples the sum over those pairs of outputs that count.
fn contract(full: &[f64], counts: impl Fn(usize, usize) -> bool) -> Vec<f64> {
    let side = full.len().isqrt();
    let p = side / CLASSES;
    let mut out = vec![0.0; p * p];
    for (at, v) in full.iter().enumerate().filter(|(at, _)| counts(at / side % CLASSES, at % side % CLASSES)) {
        out[at / side / CLASSES * p + at % side / CLASSES] += v;
    }
    out
}

#[test]
fn every_layer_has_the_kernel_that_pytorch_finds() {
    let exact = tensors(KERNELS);
    let cases = cases();
    assert_eq!(cases.len(), exact.len());
    let mut served = 0;
    for (name, plan, weights, x) in cases {
        let full = widened(&exact[&name].values);
        let jacobians = || Jacobians::from_weights(&plan, weights.clone(), DEFAULT_BUDGET).unwrap();
        let routes = [Route::Host, Route::Leaves, Route::Examples];
        for route in routes {
            let Ok(jacobians) = jacobians().with_route(route) else { continue };
            served += 1;
            let take = |kind| {
                let kernel = jacobians.kernel(&x, kind, &Draw::default()).unwrap();
                assert_eq!(kernel.route, Some(route));
                kernel.values
            };
            let trace = take(Kind::Trace);
            let errors = [
                relative(&trace, &contract(&full, |c, d| c == d)),
                relative(&take(Kind::Pseudo), &contract(&full, |_, _| true)),
                relative(&take(Kind::Full), &full),
            ];
            println!("{name}, {route:?}: {:.1e} {:.1e} {:.1e}", errors[0], errors[1], errors[2]);
            assert!(errors.iter().all(|error| *error < 1e-5), "{name}, {route:?}: {errors:?}");
            let p = trace.len().isqrt();
            assert!((0..p * p).all(|ij| trace[ij].to_bits() == trace[ij % p * p + ij / p].to_bits()), "{name}");
            let values = eigenvalues(&widened(&trace), p).unwrap();
            assert!(values[p - 1] > -1e-5 * values[0], "{name}: {values:?}");
        }
    }
    println!("{served} pairs of network and route");
    assert!(served >= 2 * exact.len() + 6, "{served}");
}

#[test]
fn small_memory_changes_no_more_than_rounding_through_leaves() {
    for (name, plan, weights, x) in cases() {
        let take = |budget: usize| {
            let jacobians = Jacobians::from_weights(&plan, weights.clone(), budget).unwrap();
            jacobians.with_route(Route::Leaves).unwrap().kernel(&x, Kind::Trace, &Draw::default())
        };
        let plenty = widened(&take(DEFAULT_BUDGET).unwrap().values);
        let fitted = (9..24).filter_map(|shift| take(1 << shift).ok());
        let errors: Vec<f64> = fitted.map(|kernel| relative(&kernel.values, &plenty)).collect();
        assert!(errors.len() >= 3 && errors.iter().all(|error| *error < 1e-5), "{name}: {errors:?}");
    }
}

#[test]
fn projections_of_any_network_estimate_its_trace_kernel() {
    for (name, plan, weights, x) in cases() {
        let jacobians = Jacobians::from_weights(&plan, weights, DEFAULT_BUDGET).unwrap();
        let take = |jacobians: &Jacobians, kind, seed| {
            let draw = Draw { dimensions: 2048, samples: 16, seed };
            jacobians.kernel(&x, kind, &draw).unwrap().values
        };
        let exact = widened(&take(&jacobians, Kind::Trace, 0));
        let projected = relative(&take(&jacobians, Kind::Projected, 1), &exact);
        assert!(projected < 0.15, "{name}: {projected}");
        for kind in [Kind::Conjugate, Kind::Embedding] {
            match jacobians.kernel(&x, kind, &Draw::default()) {
                Ok(kernel) => assert!(kernel.route.is_none() && kernel.values.iter().any(|v| *v != 0.0), "{name}"),
                Err(why) => panic!("{name}, {kind:?}: {why}"),
            }
        }
    }
}
