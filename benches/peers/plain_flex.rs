//! The reference networks on Burn's CPU backend as it comes: the same step as `harness run` takes, without our kernels.

use std::time::{Duration, Instant};

use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, activation, module};

use super::{BATCH, CLASSES, REPEATS, SHAPE};

/// All parameters of a network, flat, in the order in which its forward pass asks for them; made at the first asking.
struct Parameters {
    values: Vec<Tensor<1>>,
    velocities: Vec<Tensor<1>>,
    /// What this step's gradients are taken of.
    leaves: Vec<Tensor<1>>,
    asked: usize,
}

impl Parameters {
    fn next(&mut self, values: impl FnOnce() -> Vec<f32>) -> Tensor<1> {
        if self.asked == self.values.len() {
            let values = Tensor::from_floats(values().as_slice(), &Device::flex());
            self.velocities.push(values.zeros_like());
            self.values.push(values);
        }
        let leaf = self.values[self.asked].clone().autodiff().require_grad();
        self.leaves.push(leaf.clone());
        self.asked += 1;
        leaf
    }

    fn constant(&mut self, len: usize, value: f32) -> Tensor<1> {
        self.next(|| vec![value; len])
    }

    fn weight(&mut self, len: usize, inputs: usize) -> Tensor<1> {
        let width = (6.0 / inputs as f32).sqrt();
        self.next(|| (0..len).map(|i| ((i * 7919 % 10007) as f32 / 5003.5 - 1.0) * width).collect())
    }

    fn dense(&mut self, x: Tensor<2>, outputs: usize) -> Tensor<2> {
        let inputs = x.dims()[1];
        let weight = self.weight(inputs * outputs, inputs).reshape([inputs, outputs]);
        module::linear(x, weight, Some(self.constant(outputs, 0.0)))
    }

    fn conv(&mut self, x: Tensor<4>, outputs: usize, kernel: usize, stride: usize, bias: bool) -> Tensor<4> {
        let inputs = x.dims()[1];
        let weight = self.weight(outputs * inputs * kernel * kernel, inputs * kernel * kernel);
        let bias = bias.then(|| self.constant(outputs, 0.0));
        let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
        module::conv2d(x, weight.reshape([outputs, inputs, kernel, kernel]), bias, options)
    }

    fn batch_norm(&mut self, x: Tensor<4>) -> Tensor<4> {
        let channels = x.dims()[1];
        let mean_of = |x: Tensor<4>| x.mean_dim(0).mean_dim(2).mean_dim(3);
        let centred = x.clone() - mean_of(x);
        let deviation = (mean_of(centred.clone() * centred.clone()) + 1e-5).sqrt();
        let gamma = self.constant(channels, 1.0).reshape([1, channels, 1, 1]);
        let beta = self.constant(channels, 0.0).reshape([1, channels, 1, 1]);
        centred / deviation * gamma + beta
    }

    fn logits(&mut self, name: &str, x: Tensor<4>) -> Tensor<2> {
        match name {
            "mlp" => {
                let x = activation::relu(self.dense(x.flatten::<2>(1, 3), 512));
                let x = activation::relu(self.dense(x, 512));
                self.dense(x, CLASSES)
            }
            "cnn" => {
                let pool = || MaxPoolOptions::new([2, 2]).with_stride([2, 2]);
                let x = module::max_pool2d(activation::relu(self.conv(x, 32, 3, 1, true)), pool());
                let x = module::max_pool2d(activation::relu(self.conv(x, 64, 3, 1, true)), pool());
                self.dense(x.flatten::<2>(1, 3), CLASSES)
            }
            _ => {
                let x = self.conv(x, 16, 3, 1, false);
                let mut x = activation::relu(self.batch_norm(x));
                for width in [16, 16, 16, 32, 32, 32, 64, 64, 64] {
                    let stride = if x.dims()[1] == width { 1 } else { 2 };
                    let y = self.conv(x.clone(), width, 3, stride, false);
                    let y = activation::relu(self.batch_norm(y));
                    let y = self.conv(y, width, 3, 1, false);
                    let y = self.batch_norm(y);
                    let kept = if stride == 1 { x } else { self.conv(x, width, 1, 2, false) };
                    x = activation::relu(y + kept);
                }
                let pooled = x.mean_dim(3).mean_dim(2).flatten::<2>(1, 3);
                self.dense(pooled, CLASSES)
            }
        }
    }

    /// One step of SGD with Nesterov momentum; the loss before it.
    fn step(&mut self, name: &str, pixels: &[f32], target: &Tensor<2>) -> f32 {
        (self.asked, self.leaves) = (0, Vec::new());
        let shape = [BATCH, SHAPE[0], SHAPE[1], SHAPE[2]];
        let x = Tensor::<4>::from_data(TensorData::new(pixels.to_vec(), shape), &Device::flex().autodiff());
        let likely = activation::log_softmax(self.logits(name, x), 1);
        let loss = (likely * target.clone()).sum().mul_scalar(-1.0 / BATCH as f64);
        let gradients = loss.backward();
        for ((value, velocity), leaf) in self.values.iter_mut().zip(&mut self.velocities).zip(&self.leaves) {
            let gradient = leaf.grad(&gradients).expect("every parameter is used") + value.clone() * 5e-4;
            *velocity = velocity.clone() * 0.9 + gradient.clone();
            *value = value.clone() - (gradient + velocity.clone() * 0.9) * 0.01;
        }
        loss.into_scalar()
    }
}

/// What it knows.
pub const NETWORKS: [&str; 3] = ["mlp", "cnn", "resnet20"];

/// Images per second, the best of the repeats, and the last loss.
pub fn measure(name: &str, steps: usize, pixels: &[f32], labels: &[u32]) -> (f64, f32) {
    let mut hot = vec![0.0f32; BATCH * CLASSES];
    labels.iter().take(BATCH).enumerate().for_each(|(i, &label)| hot[i * CLASSES + label as usize] = 1.0);
    let target = Tensor::<2>::from_data(TensorData::new(hot, [BATCH, CLASSES]), &Device::flex()).autodiff();
    let mut parameters = Parameters { values: Vec::new(), velocities: Vec::new(), leaves: Vec::new(), asked: 0 };
    let (mut best, mut loss) = (Duration::MAX, 0.0);
    for repeat in 0..=REPEATS {
        let start = Instant::now();
        for _ in 0..steps {
            loss = parameters.step(name, &pixels[..BATCH * SHAPE.iter().product::<usize>()], &target);
        }
        if repeat > 0 {
            best = best.min(start.elapsed());
        }
    }
    ((steps * BATCH) as f64 / best.as_secs_f64(), loss)
}
