//! Training throughput of the three reference networks: images per second of a full step (forward, backward, SGD with Nesterov
//! momentum 0.9 and weight decay 5e-4) at batch 128 of 3x32x32 and ten classes, on one thread unless `--threads N` says otherwise.
//!
//! `cargo bench --bench train -- [--threads N] [mlp] [cnn] [resnet20]`; the best of five repeats of each.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Int, Tensor, TensorData, activation, module};
use harness::ops;

const BATCH: usize = 128;
const CLASSES: usize = 10;

/// The parameters, each as a vector, in the order in which the forward pass takes them.
struct Parameters {
    device: Device,
    state: u64,
    created: Vec<Parameter>,
}

struct Parameter {
    shape: Vec<usize>,
    value: Tensor<1>,
    velocity: Tensor<1>,
}

impl Parameters {
    fn uniform(&mut self, len: usize, fan_in: usize) -> Vec<f32> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut next = || {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * bound
        };
        (0..len).map(|_| next()).collect()
    }

    fn add(&mut self, shape: &[usize], values: Vec<f32>) {
        let len = values.len();
        let value = Tensor::from_data(TensorData::new(values, [len]), &self.device);
        let velocity = Tensor::zeros([len], &self.device.clone().inner());
        self.created.push(Parameter { shape: shape.to_vec(), value, velocity });
    }

    fn dense(&mut self, inputs: usize, outputs: usize) {
        let weight = self.uniform(inputs * outputs, inputs);
        self.add(&[inputs, outputs], weight);
        let bias = self.uniform(outputs, inputs);
        self.add(&[outputs], bias);
    }

    fn convolution(&mut self, inputs: usize, outputs: usize, kernel: usize, bias: bool) {
        let fan_in = inputs * kernel * kernel;
        let weight = self.uniform(outputs * fan_in, fan_in);
        self.add(&[outputs, inputs, kernel, kernel], weight);
        if bias {
            let bias = self.uniform(outputs, fan_in);
            self.add(&[outputs], bias);
        }
    }

    fn norm(&mut self, channels: usize) {
        self.add(&[channels], vec![1.0; channels]);
        self.add(&[channels], vec![0.0; channels]);
    }
}

/// Hands out the parameters one after the other.
struct Cursor<'a>(std::slice::Iter<'a, Parameter>);

impl Cursor<'_> {
    fn next<const D: usize>(&mut self) -> Tensor<D> {
        let parameter = self.0.next().expect("as many parameters as were created");
        let shape: [usize; D] = parameter.shape.as_slice().try_into().expect("in the order in which they were created");
        parameter.value.clone().reshape(shape)
    }

    fn dense(&mut self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.next(), self.next());
        module::linear(x, weight, Some(bias))
    }

    fn block(&mut self, x: Tensor<4>, residual: Option<Tensor<4>>, stride: usize, relu: bool) -> Tensor<4> {
        let (weight, gamma, beta) = (self.next(), self.next(), self.next());
        let options = ops::ConvNorm { stride, padding: 1, epsilon: 1e-5, relu };
        ops::conv2d_batch_norm(x, weight, gamma, beta, residual, options).output
    }
}

struct Network {
    name: &'static str,
    build: fn(&mut Parameters),
    forward: fn(&mut Cursor, Tensor<4>) -> Tensor<2>,
    /// Steps of one repeat.
    steps: usize,
}

/// linear(3072,512) relu linear(512,512) relu linear(512,10)
const MLP: Network = Network {
    name: "mlp",
    build: |p| {
        p.dense(3072, 512);
        p.dense(512, 512);
        p.dense(512, CLASSES);
    },
    forward: |p, x| {
        let x = ops::relu(p.dense(x.flatten(1, 3)));
        let x = ops::relu(p.dense(x));
        p.dense(x)
    },
    steps: 30,
};

/// conv3x3(3,32) relu pool2 conv3x3(32,64) relu pool2 linear(4096,10)
const CNN: Network = Network {
    name: "cnn",
    build: |p| {
        p.convolution(3, 32, 3, true);
        p.convolution(32, 64, 3, true);
        p.dense(4096, CLASSES);
    },
    forward: |p, x| {
        let x = ops::conv2d(x, p.next(), Some(p.next()), 1, 1);
        let x = ops::max_pool2d(ops::relu(x), 2);
        let x = ops::conv2d(x, p.next(), Some(p.next()), 1, 1);
        let x = ops::max_pool2d(ops::relu(x), 2);
        p.dense(x.flatten(1, 3))
    },
    steps: 8,
};

/// conv3x3(3,16) bn relu, three stages of three blocks (16, 32, 64), 1x1 convolution shortcuts, global mean, linear(64,10)
const RESNET: Network = Network {
    name: "resnet20",
    build: |p| {
        p.convolution(3, 16, 3, false);
        p.norm(16);
        let mut channels = 16;
        for stage in 0..3 {
            for block in 0..3 {
                let width = 16 << stage;
                if block == 0 && stage > 0 {
                    p.convolution(channels, width, 1, false);
                }
                p.convolution(channels, width, 3, false);
                p.norm(width);
                p.convolution(width, width, 3, false);
                p.norm(width);
                channels = width;
            }
        }
        p.dense(64, CLASSES);
    },
    forward: |p, x| {
        let mut x = p.block(x, None, 1, true);
        for stage in 0..3 {
            for block in 0..3 {
                let halve = block == 0 && stage > 0;
                let shortcut = if halve { ops::conv2d(x.clone(), p.next(), None, 2, 0) } else { x.clone() };
                let y = p.block(x, None, if halve { 2 } else { 1 }, true);
                x = p.block(y, Some(shortcut), 1, true);
            }
        }
        p.dense(ops::global_mean_pool(x))
    },
    steps: 3,
};

/// One step; returns the loss.
fn step(network: &Network, parameters: &mut Parameters, images: &Tensor<4>, labels: &Tensor<2, Int>) -> Tensor<1> {
    for parameter in &mut parameters.created {
        parameter.value = parameter.value.clone().require_grad();
    }
    let logits = (network.forward)(&mut Cursor(parameters.created.iter()), images.clone());
    let loss = activation::log_softmax(logits, 1).gather(1, labels.clone()).mean().neg();
    let mut grads = loss.backward();
    let sgd = ops::Sgd { learning_rate: 0.01, momentum: 0.9, nesterov: true, weight_decay: 5e-4 };
    let used = std::mem::take(&mut parameters.created);
    parameters.created = used
        .into_iter()
        .map(|Parameter { shape, value, velocity }| {
            let grad = value.grad_remove(&mut grads).expect("every parameter takes part");
            let (value, velocity) = ops::sgd_step(value.inner(), grad, velocity, sgd);
            Parameter { shape, value: Tensor::from_inner(value), velocity }
        })
        .collect();
    loss.inner()
}

fn measure(network: &Network) {
    let device = Device::flex().autodiff();
    let mut parameters = Parameters { device: device.clone(), state: 1, created: Vec::new() };
    (network.build)(&mut parameters);
    let pixels: Vec<f32> = parameters.uniform(BATCH * 3 * 32 * 32, 1);
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [BATCH, 3, 32, 32]), &device);
    let labels: Vec<i64> = (0..BATCH).map(|i| ((i * 7 + 3) % CLASSES) as i64).collect();
    let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [BATCH, 1]), &device);
    let mut best = Duration::MAX;
    let mut loss = None;
    for repeat in 0..6 {
        let start = Instant::now();
        for _ in 0..network.steps {
            loss = Some(step(network, &mut parameters, &images, &labels));
        }
        if repeat > 0 {
            best = best.min(start.elapsed());
        }
    }
    let images = (network.steps * BATCH) as f64 / best.as_secs_f64();
    let loss = loss.map_or(f32::NAN, |loss| loss.into_scalar::<f32>());
    println!("harness {} threads={} {images:.1} (loss {loss:.6})", network.name, rayon::current_num_threads());
}

fn main() {
    let mut threads = 1;
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => threads = arguments.next().and_then(|n| n.parse().ok()).expect("--threads takes a number"),
            "--bench" => {}
            _ => names.push(argument),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the pool is built once");
    for network in [MLP, CNN, RESNET] {
        if names.is_empty() || names.iter().any(|name| name == network.name) {
            measure(&network);
        }
    }
}
