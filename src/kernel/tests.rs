//! The kernels against their definition, and what has to hold of them whatever the network.

use rayon::prelude::*;
use serde_json::json;

use super::brute::{Case, relative};
use super::spectrum::eigenvalues;
use super::{DEFAULT_BUDGET, Draw, Jacobians, Kind, Route};
use crate::config::{Activation, Model};
use crate::error::Error;
use crate::model::Plan;

const BUDGET: usize = DEFAULT_BUDGET;

fn mlp(widths: &[usize], activation: Activation) -> Model {
    Model::parse(&format!("kind = 'mlp', widths = {widths:?}, activation = '{}', dropout = 0.5", activation.name()))
}

fn cnn(
    channels: &[usize],
    kernel: usize,
    pool: usize,
    batch_norm: bool,
    head: &[usize],
    activation: Activation,
) -> Model {
    let (channels, head) = (channels.to_vec(), head.to_vec());
    Model::parse(&format!(
        "kind = 'cnn', channels = {channels:?}, kernel = {kernel}, pool = {pool}, batch_norm = {batch_norm}, head = {head:?}, \
         activation = '{}', dropout = 0.3",
        activation.name()
    ))
}

fn zoo() -> Vec<Case> {
    vec![
        Case::new(&mlp(&[], Activation::Relu), [1, 2, 3], 4, 5, 1),
        Case::new(&mlp(&[7, 5], Activation::Relu), [2, 3, 2], 3, 6, 2),
        Case::new(&mlp(&[6], Activation::Tanh), [1, 3, 3], 2, 5, 3),
        Case::new(&mlp(&[6, 4], Activation::Gelu), [1, 3, 3], 3, 5, 4),
        Case::new(&cnn(&[3, 4], 3, 2, false, &[], Activation::Relu), [2, 9, 8], 3, 5, 5),
        Case::new(&cnn(&[3, 17], 3, 2, true, &[5], Activation::Relu), [1, 8, 8], 3, 4, 6),
        Case::new(&cnn(&[4], 5, 1, true, &[], Activation::Tanh), [3, 6, 5], 2, 5, 7),
        Case::new(&cnn(&[3, 3], 5, 2, false, &[4], Activation::Gelu), [2, 7, 9], 3, 4, 8),
        Case::new(&cnn(&[5, 18], 1, 2, false, &[], Activation::Relu), [1, 4, 4], 13, 3, 9),
        Case::new(&Model::parse("kind = 'resnet', depth = 8, width = 3"), [2, 7, 6], 3, 4, 10),
        Case::new(&Model::parse("kind = 'resnet', depth = 8, width = 2"), [1, 12, 12], 2, 4, 11),
    ]
}

fn network(case: &Case) -> Jacobians {
    with_budget(case, BUDGET)
}

fn with_budget(case: &Case, budget: usize) -> Jacobians {
    Jacobians::from_weights(&case.plan, case.weights.clone(), budget).unwrap()
}

fn taken(network: &Jacobians, pixels: &[f32], kind: Kind) -> Result<Vec<f32>, Error> {
    Ok(network.kernel(pixels, kind, &Draw::default())?.values)
}

fn trace(case: &Case, budget: usize) -> Result<Vec<f32>, Error> {
    taken(&with_budget(case, budget), &case.pixels, Kind::Trace)
}

/// `[P · C, P · C]` by definition.
fn reference(case: &Case) -> Vec<f64> {
    let gradients: Vec<Vec<f64>> = case.gradients().into_iter().flatten().collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    gradients.iter().flat_map(|a| gradients.iter().map(move |b| product(a, b))).collect()
}

/// `[P, P]`: for each pair of examples, the sum over those pairs of classes that count.
fn contract(full: &[f64], classes: usize, counts: impl Fn(usize, usize) -> bool) -> Vec<f64> {
    let side = full.len().isqrt();
    let p = side / classes;
    let mut out = vec![0.0; p * p];
    for (i, row) in full.chunks_exact(side).enumerate() {
        for (j, v) in row.iter().enumerate().filter(|&(j, _)| counts(i % classes, j % classes)) {
            out[i / classes * p + j / classes] += v;
        }
    }
    out
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn every_layer_agrees_with_the_definition() {
    zoo().par_iter().enumerate().for_each(|(index, case)| {
        let exact = reference(case);
        let classes = case.plan.classes;
        for route in [Route::Host, Route::Leaves, Route::Examples] {
            let network = network(case).with_route(route).unwrap();
            let kernel = |kind| {
                let computed = network.kernel(&case.pixels, kind, &Draw::default()).unwrap();
                assert_eq!(computed.route, Some(route));
                computed.values
            };
            let logits = network.logits(&case.pixels).unwrap();
            assert!(relative(&logits, &case.logits()) < 1e-5, "logits of case {index}");
            let trace = relative(&kernel(Kind::Trace), &contract(&exact, classes, |c, d| c == d));
            let pseudo = relative(&kernel(Kind::Pseudo), &contract(&exact, classes, |_, _| true));
            let all = relative(&kernel(Kind::Full), &exact);
            println!("case {index}, {route:?}: trace {trace:.1e} pseudo {pseudo:.1e} full {all:.1e}");
            assert!(
                trace < 1e-5 && pseudo < 1e-5 && all < 1e-5,
                "case {index}, {route:?}: {trace:e} {pseudo:e} {all:e}"
            );
        }
    });
}

#[test]
fn kernels_are_gram_matrices() {
    for (index, case) in zoo().iter().enumerate() {
        let network = network(case);
        for kind in Kind::ALL {
            let draw = Draw { dimensions: 64, ..Draw::default() };
            let kernel = network.kernel(&case.pixels, kind, &draw).unwrap().values;
            let p = kernel.len().isqrt();
            let symmetric = (0..p * p).all(|ij| kernel[ij].to_bits() == kernel[ij % p * p + ij / p].to_bits());
            assert!(symmetric, "case {index}, {kind:?}");
            let values = eigenvalues(&widened(&kernel), p).unwrap();
            assert!(values[p - 1] > -1e-5 * values[0], "case {index}, {kind:?}: {values:?}");
        }
    }
}

#[test]
fn with_one_output_trace_and_pseudo_kernel_are_one() {
    for model in [mlp(&[5], Activation::Tanh), cnn(&[3, 4], 3, 2, true, &[], Activation::Relu)] {
        let case = Case::new(&model, [2, 6, 6], 1, 6, 3);
        let [trace, pseudo, all] =
            [Kind::Trace, Kind::Pseudo, Kind::Full].map(|kind| taken(&network(&case), &case.pixels, kind).unwrap());
        assert_eq!(trace, pseudo);
        assert!(relative(&all, &widened(&trace)) < 1e-6);
    }
}

#[test]
fn the_conjugate_kernel_is_the_gram_matrix_of_the_last_hidden_layer() {
    // Without a hidden layer that is the Gram matrix of the examples.
    let case = Case::new(&mlp(&[], Activation::Relu), [1, 2, 2], 3, 4, 12);
    let kernel = taken(&network(&case), &case.pixels, Kind::Conjugate).unwrap();
    let x = widened(&case.pixels);
    let rows = || x.chunks_exact(4);
    let exact: Vec<f64> = rows().flat_map(|a| rows().map(move |b| a.iter().zip(b).map(|(x, y)| x * y).sum())).collect();
    assert!(relative(&kernel, &exact) < 1e-6);
}

#[test]
fn a_smaller_budget_changes_no_more_than_rounding() {
    let cases = [
        Case::new(&mlp(&[40, 30], Activation::Relu), [1, 8, 8], 5, 12, 21),
        Case::new(&cnn(&[6, 8], 3, 2, true, &[9], Activation::Relu), [2, 12, 12], 4, 12, 22),
        Case::new(&Model::parse("kind = 'resnet', depth = 14, width = 4"), [3, 10, 10], 4, 12, 23),
    ];
    for (index, case) in cases.iter().enumerate() {
        let plenty = widened(&trace(case, BUDGET).unwrap());
        let blocks = widened(&taken(&network(case), &case.pixels, Kind::Full).unwrap());
        let (mut fitted, mut refused) = (0, 0);
        for shift in 10..28 {
            match (trace(case, 1 << shift), taken(&with_budget(case, 1 << shift), &case.pixels, Kind::Full)) {
                (Ok(kernel), all) => {
                    fitted += 1;
                    let error = relative(&kernel, &plenty);
                    assert!(error < 1e-5, "case {index}, 2^{shift} bytes: {error:e}");
                    if let Ok(all) = all {
                        assert!(relative(&all, &blocks) < 1e-5, "case {index}, 2^{shift} bytes");
                    }
                }
                (Err(why), _) => {
                    refused += 1;
                    assert!(matches!(&why, Error::Invalid(text) if text.contains("memory budget")), "{why}");
                }
            }
        }
        assert!(fitted >= 8 && refused >= 1, "case {index}: {fitted} budgets fit, {refused} do not");
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new(&Model::parse("kind = 'resnet', depth = 8, width = 5"), [3, 9, 9], 3, 10, 31);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trace(&case, BUDGET).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

#[test]
fn projections_converge_as_the_root_of_their_dimensions() {
    let case = Case::new(&cnn(&[4, 5], 3, 2, true, &[], Activation::Relu), [2, 8, 8], 3, 6, 41);
    let network = network(&case);
    let exact = widened(&trace(&case, BUDGET).unwrap());
    let mean_square = |dimensions: usize| {
        let one = |seed| {
            let draw = Draw { seed, dimensions, ..Draw::default() };
            let kernel = network.kernel(&case.pixels, Kind::Projected, &draw).unwrap().values;
            relative(&kernel, &exact).powi(2)
        };
        (0..24).map(one).sum::<f64>() / 24.0
    };
    let (few, many) = (mean_square(32).sqrt(), mean_square(2048).sqrt());
    // √(2048 / 32) = 8, and 24 repeats know each of the two to about a sixth.
    assert!((5.0..12.0).contains(&(few / many)), "{few} {many}");
    assert!(many < 0.1, "{many}");
    let none = Draw { dimensions: 0, ..Draw::default() };
    assert!(network.kernel(&case.pixels, Kind::Projected, &none).is_err());
}

#[test]
fn random_signs_estimate_the_trace_kernel_and_their_error() {
    let case = Case::new(&mlp(&[12], Activation::Relu), [1, 4, 4], 10, 8, 51);
    let network = network(&case);
    let exact = widened(&trace(&case, BUDGET).unwrap());
    let (mut sum, mut actual, mut claimed) = (vec![0.0; exact.len()], 0.0, 0.0);
    let repeats = 60;
    for seed in 0..repeats {
        let draw = Draw { samples: 8, seed, ..Draw::default() };
        let estimate = network.kernel(&case.pixels, Kind::Estimate, &draw).unwrap();
        sum.iter_mut().zip(&estimate.values).for_each(|(s, v)| *s += v / repeats as f32);
        actual += relative(&estimate.values, &exact).powi(2) / repeats as f64;
        claimed += estimate.error.unwrap().powi(2) / repeats as f64;
    }
    // Unbiased: the mean of 60 estimates is much nearer than one of them.
    assert!(relative(&sum, &exact) < 0.3 * actual.sqrt(), "{} {actual}", relative(&sum, &exact));
    assert!((0.6..1.6).contains(&(claimed / actual).sqrt()), "claimed {claimed}, actual {actual}");
    let one = Draw { samples: 1, ..Draw::default() };
    assert!(network.kernel(&case.pixels, Kind::Estimate, &one).unwrap_err().to_string().contains("at least 2"));
}

#[test]
fn what_has_no_kernel_is_refused() {
    let case = Case::new(&mlp(&[3], Activation::Relu), [1, 2, 2], 2, 3, 61);
    let refusal = |pixels: &[f32]| taken(&network(&case), pixels, Kind::Trace).unwrap_err().to_string();
    assert!(refusal(&[]).contains("0 values are not examples"));
    assert!(refusal(&[0.0; 5]).contains("5 values are not examples of shape [1, 2, 2]"));
    assert!(
        refusal(&[0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0]).contains("example 1 of the probes holds the value NaN")
    );
    assert!(refusal(&[f32::MAX; 4]).contains("diverged"));
}

#[test]
fn networks_that_the_host_does_not_serve_go_through_leaves() {
    let entries = [json!("flatten"), json!({ "dense": 2 }), json!("flatten")];
    let plan = Plan::of_layers(&entries, [1, 2, 2], 2).unwrap();
    let case = Case::of_plan(plan, 3, 1);
    assert!(network(&case).with_route(Route::Host).is_err_and(|why| why.to_string().contains("host route serves")));
    assert_eq!(network(&case).route(3, 2), Route::Leaves);
    let exact = contract(&reference(&case), 2, |c, d| c == d);
    assert!(relative(&trace(&case, BUDGET).unwrap(), &exact) < 1e-5);
}

/// Of a network of which only some layers are trained: its trace kernel counts their parameters only, which add up over layers;
/// kernels of activations do not change.
#[test]
fn frozen_layers_count_for_activations_only() {
    let networks = [
        ("kind = 'mlp', widths = [5, 4]", [1, 2, 3], vec!["fc1", "fc2", "fc"]),
        ("kind = 'cnn', channels = [3], batch_norm = true", [2, 6, 6], vec!["c1", "b1", "fc"]),
        (
            "kind = 'vit', patch = 2, width = 4, depth = 1, heads = 2",
            [1, 4, 4],
            vec!["patch_embed", "cls_token", "pos_embed", "blocks.0", "norm", "head"],
        ),
    ];
    for (model, input, layers) in networks {
        let case = Case::new(&Model::parse(model), input, 3, 5, 71);
        let take = |without: &[&str], kind| {
            let mut plan = case.plan.clone();
            assert!(without.iter().all(|layer| plan.freeze(layer)));
            let network = Jacobians::from_weights(&plan, case.weights.clone(), BUDGET).unwrap();
            widened(&taken(&network, &case.pixels, kind).unwrap())
        };
        let mut sum = vec![0.0; 25];
        for layer in &layers {
            let others: Vec<&str> = layers.iter().copied().filter(|other| other != layer).collect();
            let alone = take(&others, Kind::Trace);
            assert!(alone.iter().any(|value| *value != 0.0), "{layer} of {model}");
            sum.iter_mut().zip(alone).for_each(|(sum, value)| *sum += value);
        }
        let all: Vec<f32> = take(&[], Kind::Trace).into_iter().map(|value| value as f32).collect();
        assert!(relative(&all, &sum) < 1e-5, "{model}");
        for kind in [Kind::Conjugate, Kind::Embedding] {
            assert_eq!(take(&[], kind), take(&[layers[layers.len() - 1]], kind), "{kind:?} of {model}");
            assert_eq!(take(&[], kind), take(&layers[..1], kind), "{kind:?} of {model}");
        }
    }
}
