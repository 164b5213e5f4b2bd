//! One network in training: an epoch at a time, with a state that can be put away and taken up again.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor, TensorData};

use super::batches::{Batch, gather};
use super::schedule::{self, Position};
use super::{device, initial, loss, optimizer};
use crate::config::{Experiment, Stream};
use crate::data::{Compact, Dataset, Images, Split};
use crate::error::{Error, Result};
use crate::model::{HostTensor, Mode, Network, Plan, Training};
use crate::ops;

/// Examples evaluated at a time: enough to keep the cores busy, few enough to stay small.
const EVALUATION_BATCH: usize = 256;

/// Mean loss, share of right decisions and the last step's learning rate of one epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochMetrics {
    /// Mean loss.
    pub loss: f64,
    /// Share of right decisions.
    pub accuracy: f64,
    /// Of the last step.
    pub learning_rate: f64,
}

/// All that training goes on from: weights and running statistics by name, and the optimiser's state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Epochs done.
    pub epoch: usize,
    /// By name.
    pub weights: Vec<HostTensor>,
    /// The optimiser's own bytes.
    pub optimizer: Vec<u8>,
}

/// One run of an experiment.
pub struct Trainer<'a> {
    experiment: &'a Experiment,
    data: &'a Dataset<Compact>,
    plan: Plan,
    device: Device,
    network: Network,
    optimizer: ModuleOptimizer,
    /// The examples that this run trains on.
    examples: Vec<usize>,
    run: u64,
    epoch: usize,
}

impl<'a> Trainer<'a> {
    /// A run before its first step.
    ///
    /// # Errors
    /// `Invalid` when the model does not fit the data or the backend is not part of this program.
    pub fn new(experiment: &'a Experiment, data: &'a Dataset<Compact>, run: u64) -> Result<Self> {
        let plan = experiment.plan(data.shape, data.classes.len())?;
        let weights = initial::for_run(experiment, &plan, run)?;
        let device = device::device(experiment.train.backend)?;
        let network = Network::new(&plan, weights, &device.clone().autodiff())?;
        let rates = experiment.train.rates.clone().unwrap_or_default();
        let optimizer = optimizer::build(&experiment.train.optimizer, experiment.train.decay, &rates, &network);
        let examples = experiment.sweep.examples(run, data.train.len(), data.groups.as_deref());
        Ok(Self { experiment, data, plan, device, network, optimizer, examples, run, epoch: 0 })
    }

    /// A run as [`Trainer::state`] left it.
    ///
    /// # Errors
    /// `Corrupt` when the state is not one of this experiment's.
    pub fn resume(experiment: &'a Experiment, data: &'a Dataset<Compact>, run: u64, state: State) -> Result<Self> {
        let corrupt = |what: &dyn std::fmt::Display| {
            Error::Corrupt(format!(
                "the saved state of run {run} cannot be resumed ({what}); forget it to train the run anew"
            ))
        };
        let mut trainer = Self::new(experiment, data, run)?;
        let device = trainer.device.clone().autodiff();
        trainer.network = Network::new(&trainer.plan, state.weights, &device).map_err(|e| corrupt(&e))?;
        trainer.optimizer = trainer
            .optimizer
            .from_bytes(Bytes::from_bytes_vec(state.optimizer))
            .map_err(|e| corrupt(&format!("{e:?}")))?;
        trainer.epoch = state.epoch;
        Ok(trainer)
    }

    /// Epochs done.
    #[must_use]
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// Steps of one epoch; the last may be of fewer examples than the others.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        self.data.train.len().div_ceil(self.experiment.train.batch_size)
    }

    /// Trains one epoch; `keep_going` is asked after each step, with the number of steps done, and may stop it.
    ///
    /// # Errors
    /// `Interrupted` when it was stopped, or those of reading images that stay in their files: the state is then that of no
    /// epoch and must not be saved.
    pub fn train_epoch(&mut self, keep_going: &mut dyn FnMut(usize) -> bool) -> Result<EpochMetrics> {
        let train = &self.experiment.train;
        let sweep = &self.experiment.sweep;
        let per_epoch = self.steps_per_epoch();
        let mut order: Vec<usize> = (0..self.examples.len()).collect();
        sweep.stream_at(Stream::Order, self.run, self.epoch).shuffle(&mut order);
        let mut rounding =
            sweep.vary.contains(&Stream::Rounding).then(|| sweep.stream_at(Stream::Rounding, self.run, self.epoch));
        let mut augment = sweep.examples_at(Stream::Augment, self.run, self.epoch);
        let dropout = sweep.examples_at(Stream::Dropout, self.run, self.epoch);
        let mut training = Training { dropout, statistics: Vec::new() };

        let (mut total_loss, mut right, mut learning_rate) = (0.0, 0, 0.0);
        for (step, places) in order.chunks_mut(train.batch_size).enumerate() {
            if let Some(rounding) = &mut rounding {
                rounding.shuffle(places);
            }
            let done = self.epoch * per_epoch + step;
            if done > 0 && sweep.bit_step == Some(done as u64) {
                let network = self.network.take();
                self.network = initial::flip_bit_of(network, sweep, self.run);
            }
            let at = Position { step: done, total: train.epochs * per_epoch, per_epoch };
            learning_rate = schedule::rate(&train.schedule, at);
            augment.begin(places);
            training.dropout.begin(places);
            let indices: Vec<usize> = places.iter().map(|&place| self.examples[place]).collect();
            let augmentation = Some((&self.experiment.data.augment, &mut augment));
            let batch = gather(&self.data.train, self.data.shape, &indices, augmentation)?;
            let (loss, correct) = self.step(batch, learning_rate, &mut training)?;
            total_loss += loss;
            right += correct;
            if !keep_going(step + 1) {
                return Err(Error::Interrupted(format!("run {} was stopped in epoch {}", self.run, self.epoch + 1)));
            }
        }
        self.data.train.pixels.unchanged()?;
        ops::free_buffers();
        self.epoch += 1;
        let n = order.len() as f64;
        Ok(EpochMetrics { loss: total_loss / n, accuracy: right as f64 / n, learning_rate })
    }

    /// One optimiser step; the summed loss and the number of right decisions before it.
    fn step(&mut self, batch: Batch, learning_rate: f64, training: &mut Training) -> Result<(f64, usize)> {
        let input = images(batch.pixels, batch.labels.len(), self.data.shape, &self.device.clone().autodiff());
        let logits = self.network.forward(input, &mut Mode::Train(training));
        let loss = loss::cross_entropy(logits.clone(), &batch.labels, self.experiment.train.label_smoothing);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        // The optimiser works in place on what nobody else holds.
        let network = self.network.take();
        self.network = self.optimizer.step(learning_rate, network, gradients);
        self.network.update_statistics(std::mem::take(&mut training.statistics));
        Ok(loss::tally(&to_host(logits.inner())?, &batch.labels))
    }

    /// Logits of every evaluation example, row-major `[N, C]`.
    ///
    /// # Errors
    /// `Unexpected` when the device does not hand them out; those of reading images that stay in their files.
    pub fn evaluate(&self) -> Result<Vec<f32>> {
        let logits = logits(&self.network.valid(), &self.data.eval, self.data.shape, &self.device)?;
        self.data.eval.pixels.unchanged()?;
        Ok(logits)
    }

    /// The network as it is trained, on the device with automatic differentiation.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The layers with names and sizes.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is needed to go on from here in another process.
    ///
    /// # Errors
    /// `Unexpected` when Burn cannot write the optimiser's state.
    pub fn state(&self) -> Result<State> {
        let optimizer = self
            .optimizer
            .into_bytes()
            .map_err(|e| Error::Unexpected(format!("cannot save the optimiser's state: {e:?}")))?;
        Ok(State { epoch: self.epoch, weights: self.network.to_host(), optimizer: optimizer.to_vec() })
    }
}

/// Logits of a whole split in evaluation mode, row-major `[N, C]`.
///
/// # Errors
/// `Unexpected` when the device does not hand them out; those of reading images that stay in their files.
pub fn logits<P: Images>(network: &Network, split: &Split<P>, shape: [usize; 3], device: &Device) -> Result<Vec<f32>> {
    let length: usize = shape.iter().product();
    let (mut out, count) = (Vec::new(), split.pixels.count(length));
    for first in (0..count).step_by(EVALUATION_BATCH) {
        let batch = first..count.min(first + EVALUATION_BATCH);
        let mut pixels = vec![0.0; batch.len() * length];
        for (image, index) in pixels.chunks_exact_mut(length).zip(batch.clone()) {
            split.pixels.write(index, image)?;
        }
        let input = images(pixels, batch.len(), shape, device);
        out.extend(to_host(network.forward(input, &mut Mode::Evaluate))?);
    }
    Ok(out)
}

fn images(pixels: Vec<f32>, n: usize, [channels, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(pixels, [n, channels, height, width]), device)
}

fn to_host(logits: Tensor<2>) -> Result<Vec<f32>> {
    logits
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|e| Error::Unexpected(format!("cannot read logits from the device: {e:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::random::Random;

    const SGD: &str = r#"{ kind = "sgd", momentum = 0.9, nesterov = true, weight_decay = 1e-2 }"#;
    const ADAM: &str = r#"{ kind = "adam", weight_decay = 1e-2 }"#;
    const ADAMW: &str = r#"{ kind = "adamw", weight_decay = 1e-2 }"#;

    fn cases() -> [(&'static str, &'static str); 5] {
        let cnn = r#"{ kind = "cnn", channels = [6, 20], kernel = 3, pool = 2, batch_norm = false, head = [300] }"#;
        [
            (r#"{ kind = "mlp", widths = [600, 500], dropout = 0.2 }"#, SGD),
            (cnn, ADAM),
            (r#"{ kind = "cnn", channels = [5, 6], kernel = 5, pool = 2, batch_norm = true, head = [] }"#, SGD),
            (r#"{ kind = "resnet", depth = 8, width = 5 }"#, SGD),
            (r#"{ kind = "resnet", depth = 8, width = 5 }"#, ADAMW),
        ]
    }

    fn experiment(model: &str, optimizer: &str) -> Experiment {
        let text = format!(
            r#"
            name = "test"
            data = {{ dataset = "npz", path = "unused" }}
            model = {model}
            train = {{ epochs = 2, batch_size = 40, optimizer = {optimizer}, schedule = {{ kind = "constant", rate = 0.01 }} }}
            "#
        );
        config::from_stored(&text, std::path::Path::new("test.toml")).expect("a valid experiment")
    }

    fn data() -> Dataset<Compact> {
        let mut random = Random::from_parts(0, "test", 0);
        let mut split = |len: usize| Split {
            pixels: (0..len * 3 * 12 * 12).map(|_| random.normal() as f32).collect::<Vec<_>>().into(),
            labels: (0..len).map(|i| (i % 3) as u32).collect(),
        };
        let (train, eval) = (split(100), split(30));
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        Dataset { shape: [3, 12, 12], classes, train, eval, groups: None, digest: String::new() }
    }

    fn bits(state: &State) -> Vec<u32> {
        state.weights.iter().flat_map(|tensor| tensor.values.iter().map(|x| x.to_bits())).collect()
    }

    #[test]
    fn any_number_of_threads_trains_the_same_bits() {
        let data = data();
        for (model, optimizer) in cases() {
            let experiment = experiment(model, optimizer);
            let trained = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                pool.install(|| {
                    let mut trainer = Trainer::new(&experiment, &data, 0).expect("a network for the data");
                    trainer.train_epoch(&mut |_| true).expect("nobody stops it");
                    let logits: Vec<u32> = trainer.evaluate().expect("logits").into_iter().map(f32::to_bits).collect();
                    (bits(&trainer.state().expect("a state")), logits)
                })
            };
            let one = trained(1);
            assert!(one == trained(2) && one == trained(4), "{model} with {optimizer}");
        }
    }

    #[test]
    fn a_resumed_run_trains_the_same_bits() {
        let data = data();
        for (model, optimizer) in cases() {
            let experiment = experiment(model, optimizer);
            let mut trainer = Trainer::new(&experiment, &data, 0).expect("a network for the data");
            trainer.train_epoch(&mut |_| true).expect("nobody stops it");
            let state = trainer.state().expect("a state");
            let mut resumed = Trainer::resume(&experiment, &data, 0, state).expect("a state of this experiment");
            let (whole, parts) = (trainer.train_epoch(&mut |_| true), resumed.train_epoch(&mut |_| true));
            assert_eq!(whole.expect("nobody stops it"), parts.expect("nobody stops it"), "{model} with {optimizer}");
            let [whole, parts] = [trainer, resumed].map(|trainer| trainer.state().expect("a state"));
            assert!(bits(&whole) == bits(&parts), "{model} with {optimizer}");
        }
    }

    /// The tensors before and after one epoch, with further keys of `[train]`.
    fn epoch(more: &str, batch_size: usize) -> Vec<(HostTensor, HostTensor)> {
        let model = r#"{ kind = "cnn", channels = [4, 5], batch_norm = true }"#;
        let text = format!(
            r#"
            name = "test"
            data = {{ dataset = "npz", path = "unused" }}
            model = {model}
            train = {{ epochs = 2, batch_size = {batch_size}, optimizer = {{ kind = "sgd", momentum = 0.0, weight_decay = 1e-2 }},
                       schedule = {{ kind = "constant", rate = 0.01 }}, {more} }}
            "#
        );
        let experiment = config::from_stored(&text, std::path::Path::new("test.toml")).expect("a valid experiment");
        let data = data();
        let mut trainer = Trainer::new(&experiment, &data, 0).expect("a network for the data");
        let before = trainer.network().to_host();
        trainer.train_epoch(&mut |_| true).expect("nobody stops it");
        before.into_iter().zip(trainer.network().to_host()).collect()
    }

    #[test]
    fn frozen_layers_stay_as_they_are() {
        for (before, after) in epoch("freeze = ['c1', 'b1']", 40) {
            let frozen = before.name.starts_with("c1.") || before.name.starts_with("b1.");
            assert_eq!(before == after, frozen, "{}", before.name);
        }
    }

    #[test]
    fn rates_multiply_the_steps_of_their_layers() {
        // One step of all examples, so that the gradients are the same.
        let (plain, with) = (epoch("", 100), epoch("rates = { fc = 10.0, c2 = 0.5 }", 100));
        let step = |(before, after): &(HostTensor, HostTensor)| -> Vec<f32> {
            before.values.iter().zip(&after.values).map(|(before, after)| after - before).collect()
        };
        for (plain, with) in plain.iter().zip(&with) {
            let name = &plain.0.name;
            let factor = match name.split('.').next() {
                _ if name.contains("running") => 1.0,
                Some("fc") => 10.0,
                Some("c2") => 0.5,
                _ => 1.0,
            };
            let (plain, with) = (step(plain), step(with));
            let largest = plain.iter().fold(0.0_f32, |largest, v| largest.max(v.abs()));
            assert!(largest > 0.0, "{name}");
            let close = |(plain, with): (&f32, &f32)| (plain * factor - with).abs() < 1e-3 * factor * largest;
            assert!(plain.iter().zip(&with).all(close), "{name}");
        }
    }

    #[test]
    fn decay_spares_biases_and_norms_unless_it_is_for_all() {
        let (spared, all) = (epoch("", 100), epoch("decay = 'all'", 100));
        for ((before, spared), (_, all)) in spared.iter().zip(&all) {
            let decays = before.name.starts_with('b') && before.name.ends_with("weight");
            // Scales are 1 at the start, so a step at rate 0.01 shrinks them by 0.01 · 0.01; biases are 0.
            let extra: Vec<f32> = spared.values.iter().zip(&all.values).map(|(spared, all)| spared - all).collect();
            let expected = if decays { 1e-4 } else { 0.0 };
            assert!(extra.iter().all(|extra| (extra - expected).abs() < 1e-6), "{}: {extra:?}", before.name);
        }
    }
}
