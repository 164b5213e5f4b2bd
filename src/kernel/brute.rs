//! Kernels by definition, for the tests: a network in f64, written down as plainly as possible, differentiated with respect
//! to every parameter by central differences.

use std::collections::HashMap;

use crate::config::Model;
use crate::model::layer::Activation;
use crate::model::{HostTensor, Layer, Placed, Plan};
use crate::random::Random;

/// A model with weights, and examples for it.
pub struct Case {
    pub plan: Plan,
    pub weights: Vec<HostTensor>,
    pub pixels: Vec<f32>,
    pub examples: usize,
}

impl Case {
    /// Weights, running statistics and examples drawn from `seed`: nothing is left at 0 or 1.
    pub fn new(model: &Model, shape: [usize; 3], classes: usize, examples: usize, seed: u64) -> Self {
        Self::of_plan(Plan::new(model, shape, classes).unwrap(), examples, seed)
    }

    pub fn of_plan(plan: Plan, examples: usize, seed: u64) -> Self {
        let mut random = Random::from_parts(seed, "case", 0);
        let mut weights = plan.draw(&mut random);
        for tensor in &mut weights {
            let near = if tensor.name.ends_with("running_var") { 1.0 } else { tensor.values[0] };
            let constant = tensor.values.iter().all(|&v| v == tensor.values[0]);
            for v in tensor.values.iter_mut().filter(|_| constant) {
                *v = near + (random.uniform() as f32 - 0.5) * 0.8;
            }
        }
        let length = plan.input.values() * examples;
        let pixels = (0..length).map(|_| random.uniform() as f32 * 2.0 - 1.0).collect();
        Self { plan, weights, pixels, examples }
    }

    /// `[examples, classes, parameters]`: every gradient. Parameters in forward order; which order does not matter to a kernel.
    pub fn gradients(&self) -> Vec<Vec<Vec<f64>>> {
        let mut tensors: HashMap<String, Vec<f64>> = HashMap::new();
        for t in &self.weights {
            tensors.insert(t.name.clone(), t.values.iter().map(|&v| f64::from(v)).collect());
        }
        let examples = self.pixels.chunks_exact(self.pixels.len() / self.examples);
        examples
            .map(|pixels| {
                let pixels: Vec<f64> = pixels.iter().map(|&v| f64::from(v)).collect();
                let mut all = vec![Vec::new(); self.plan.classes];
                for tensor in self.weights.iter().filter(|t| !t.name.contains("running")) {
                    for i in 0..tensor.values.len() {
                        let step = 1e-6;
                        let mut at = |by: f64| {
                            let value = f64::from(tensor.values[i]);
                            tensors.get_mut(&tensor.name).unwrap()[i] = value + by;
                            let out = forward(&self.plan.layers, &tensors, self.plan.input.padded(), pixels.clone()).1;
                            tensors.get_mut(&tensor.name).unwrap()[i] = value;
                            out
                        };
                        let (up, down) = (at(step), at(-step));
                        for (class, row) in all.iter_mut().enumerate() {
                            row.push((up[class] - down[class]) / (2.0 * step));
                        }
                    }
                }
                all
            })
            .collect()
    }

    pub fn logits(&self) -> Vec<f64> {
        let tensors =
            self.weights.iter().map(|t| (t.name.clone(), t.values.iter().map(|&v| f64::from(v)).collect())).collect();
        let examples = self.pixels.chunks_exact(self.pixels.len() / self.examples);
        let run = |pixels: &[f32]| {
            let pixels = pixels.iter().map(|&v| f64::from(v)).collect();
            forward(&self.plan.layers, &tensors, self.plan.input.padded(), pixels).1
        };
        examples.flat_map(run).collect()
    }
}

/// ‖a − b‖ / ‖b‖ of a kernel and its reference.
pub fn relative(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: f64 = a.iter().zip(b).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum();
    (difference / b.iter().map(|b| b * b).sum::<f64>()).sqrt()
}

type Image = ([usize; 3], Vec<f64>);

fn forward(layers: &[Placed], tensors: &HashMap<String, Vec<f64>>, shape: [usize; 3], values: Vec<f64>) -> Image {
    layers.iter().fold((shape, values), |image, layer| run(layer, tensors, image))
}

fn run(place: &Placed, tensors: &HashMap<String, Vec<f64>>, (shape, values): Image) -> Image {
    let [c, h, w] = shape;
    let name = &place.name;
    let output = place.output.padded();
    match &place.layer {
        Layer::Conv(conv) => {
            let (stride, padding) = conv.plain().expect("a plain convolution");
            let (k, bias) = (&conv.window.kernel[0], &conv.bias);
            let weight = &tensors[&format!("{name}.weight")];
            let mut out = Vec::new();
            for o in 0..output[0] {
                for y in 0..output[1] {
                    for x in 0..output[2] {
                        let mut sum = if *bias { tensors[&format!("{name}.bias")][o] } else { 0.0 };
                        for i in 0..c {
                            for dy in 0..*k {
                                for dx in 0..*k {
                                    let at = |p: usize, d: usize, n: usize| {
                                        (p * stride + d).checked_sub(padding).filter(|&v| v < n)
                                    };
                                    if let (Some(v), Some(u)) = (at(y, dy, h), at(x, dx, w)) {
                                        sum += weight[((o * c + i) * k + dy) * k + dx] * values[(i * h + v) * w + u];
                                    }
                                }
                            }
                        }
                        out.push(sum);
                    }
                }
            }
            (output, out)
        }
        Layer::BatchNorm(_) => {
            let part = |part: &str, i: usize| tensors[&format!("{name}.{part}")][i / (h * w)];
            let one = |(i, v): (usize, &f64)| {
                let deviation = (part("running_var", i) + 1e-5).sqrt();
                (v - part("running_mean", i)) / deviation * part("weight", i) + part("bias", i)
            };
            (shape, values.iter().enumerate().map(one).collect())
        }
        Layer::Activation(kind) => {
            let one = |x: f64| match kind {
                Activation::Relu => x.max(0.0),
                Activation::Tanh => x.tanh(),
                Activation::Gelu => 0.5 * x * (1.0 + statrs::function::erf::erf(x / 2f64.sqrt())),
                other => panic!("{other:?} has no brute force"),
            };
            (shape, values.into_iter().map(one).collect())
        }
        Layer::MaxPool(pool) => {
            let size = pool.plain().expect("windows side by side");
            let to = [c, h / size, w / size];
            let one = |i: usize| {
                let (channel, y, x) = (i / (to[1] * to[2]), i / to[2] % to[1], i % to[2]);
                let cells =
                    (0..size * size).map(|j| values[(channel * h + y * size + j / size) * w + x * size + j % size]);
                cells.fold(f64::NEG_INFINITY, f64::max)
            };
            (to, (0..to.iter().product()).map(one).collect())
        }
        Layer::GlobalMean(_) => {
            ([c, 1, 1], values.chunks_exact(h * w).map(|v| v.iter().sum::<f64>() / (h * w) as f64).collect())
        }
        Layer::Flatten(_) => ([c * h * w, 1, 1], values),
        Layer::Dropout(_) => (shape, values),
        Layer::Dense(dense) => {
            let (inputs, outputs) = (&dense.inputs, &dense.outputs);
            let (weight, bias) = (&tensors[&format!("{name}.weight")], &tensors[&format!("{name}.bias")]);
            let one = |o: usize| {
                bias[o] + weight[o * inputs..][..*inputs].iter().zip(&values).map(|(w, x)| w * x).sum::<f64>()
            };
            ([*outputs, 1, 1], (0..*outputs).map(one).collect())
        }
        Layer::Residual(residual) => {
            let kept = forward(&residual.shortcut, tensors, shape, values.clone()).1;
            let body = &residual.body;
            let (to, out) = forward(body, tensors, shape, values);
            (to, out.iter().zip(kept).map(|(a, b)| a + b).collect())
        }
        other => panic!("{other:?} has no brute force"),
    }
}
