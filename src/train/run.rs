//! One run from wherever it stands to its end: trains, records each checkpoint, saves a state after every epoch.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;

use super::batches::gather;
use super::trainer::{State, Trainer};
use crate::config::{self, Experiment, Stream};
use crate::data::{self, Compact, Dataset};
use crate::error::{Error, Result};
use crate::kernel::{self, Jacobians};
use crate::model::HostTensor;
use crate::record;
use crate::record::{
    Begin, EpochMetrics, Origin, Outcome, Provenance, RunWriter, SoftDecisions, StreamSeed, Tensors, Values,
};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Epochs done, and in all.
    pub epoch: usize,
    /// In all.
    pub epochs: usize,
    /// Steps done of the epoch under way, and in each.
    pub step: usize,
    /// In each epoch.
    pub steps: usize,
    /// Mean loss over the training examples in the last epoch that is done, and the share that was classified correctly.
    pub trained: Option<(f64, f64)>,
}

/// Prefix of the weights among the tensors of a saved state.
const WEIGHTS: &str = "weights/";
/// Name of the microseconds by phase among the counters there.
const SPENT: &str = "microseconds";
/// Name of the optimiser's bytes there.
const OPTIMIZER: &str = "optimizer";

/// One run to do.
pub struct Job<'a> {
    /// What is trained.
    pub experiment: &'a Experiment,
    /// On what.
    pub data: &'a Dataset<Compact>,
    /// Its index.
    pub run: usize,
    /// Threads that this process computes with, for the record.
    pub threads: usize,
}

/// Seconds by phase.
#[derive(Default)]
struct Clock(BTreeMap<String, f64>);

impl Clock {
    /// What earlier attempts spent.
    fn of(saved: &record::SavedState) -> Self {
        let spent = saved.counters.get(SPENT).and_then(serde_json::Value::as_object);
        let phases = spent.into_iter().flatten();
        Self(phases.filter_map(|(phase, spent)| Some((phase.clone(), spent.as_u64()? as f64 / 1e6))).collect())
    }

    fn time<T>(&mut self, phase: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = work();
        *self.0.entry(phase.into()).or_default() += start.elapsed().as_secs_f64();
        out
    }
}

/// Trains and records a run to its end, or until `stop` says so.
///
/// # Errors
/// `Interrupted` when it was stopped: everything up to the last finished epoch is saved. Otherwise whatever data, model
/// or file system refuse.
pub fn execute(job: &Job, begun: Begin, stop: &dyn Fn() -> bool, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let mut clock = Clock::default();
    let (writer, trainer, metrics) = match begun {
        Begin::Complete => return Ok(()),
        Begin::Start(writer, _) => (writer, Trainer::new(job.experiment, job.data, job.run as u64)?, Vec::new()),
        Begin::Resume(writer, saved) => {
            let metrics = saved.metrics.clone();
            clock = Clock::of(&saved);
            let state = unpack(*saved)?;
            (writer, Trainer::resume(job.experiment, job.data, job.run as u64, state)?, metrics)
        }
    };
    Recording { job, writer, trainer, metrics, clock }.run(stop, progress)
}

struct Recording<'a> {
    job: &'a Job<'a>,
    writer: RunWriter,
    trainer: Trainer<'a>,
    metrics: Vec<EpochMetrics>,
    clock: Clock,
}

impl Recording<'_> {
    fn run(mut self, stop: &dyn Fn() -> bool, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let experiment = self.job.experiment;
        let provenance = Provenance::now(Origin {
            data_digest: Some(self.job.data.digest.clone()),
            backend: super::device::name(experiment.train.backend).into(),
            device: super::device::describe(experiment.train.backend)?,
            threads: self.job.threads,
        });
        let checkpoints = experiment.checkpoint_epochs();
        let epochs = experiment.train.epochs;
        let per_epoch = self.trainer.steps_per_epoch();
        if self.trainer.epoch() == 0 && checkpoints.contains(&0) {
            self.record()?;
        }
        while self.trainer.epoch() < epochs {
            let epoch = self.trainer.epoch();
            let last = self.metrics.last().map(|metrics| (metrics.loss, metrics.accuracy));
            let mut on_step = |step: usize| {
                progress(Progress { epoch, epochs, step, steps: per_epoch, trained: last });
                !stop()
            };
            let start = Instant::now();
            let trained = self.clock.time("train", || self.trainer.train_epoch(&mut on_step))?;
            self.metrics.push(EpochMetrics {
                epoch: epoch + 1,
                loss: trained.loss,
                accuracy: trained.accuracy,
                learning_rate: trained.learning_rate,
                seconds: start.elapsed().as_secs_f64(),
            });
            if checkpoints.contains(&self.trainer.epoch()) {
                self.record()?;
            }
            self.save()?;
        }
        let outcome = self.outcome(provenance);
        self.writer.finish(&self.metrics, outcome)
    }

    /// Records the checkpoint at which the run stands.
    fn record(&mut self) -> Result<()> {
        let Job { experiment, data, .. } = self.job;
        let epoch = self.trainer.epoch();
        let logits = self.clock.time("evaluate", || self.trainer.evaluate())?;
        let finite = logits.iter().all(|z| z.is_finite());
        let soft = SoftDecisions::new(data.classes.len(), data.eval.labels.clone(), logits)?;
        self.clock.time("write", || self.writer.soft(epoch, &soft))?;
        // A network whose logits are not finite has no kernel; its soft decisions say so.
        if let Some(kernel) = &experiment.record.kernel
            && finite
        {
            let kernel =
                self.clock.time("kernel", || kernel_snapshot(&self.trainer, data, kernel, experiment.data.seed))?;
            self.clock.time("write", || self.writer.kernel(epoch, &kernel))?;
        }
        if experiment.record.spectra {
            let weights = self.trainer.network().to_host();
            // Nor has a matrix that is not finite singular values.
            if weights.iter().all(|tensor| tensor.values.iter().all(|value| value.is_finite())) {
                let spectra = self.clock.time("spectra", || spectra(&weights))?;
                self.clock.time("write", || self.writer.spectra(epoch, &spectra))?;
            }
        }
        // What training starts from is needed to tell what it changed.
        let start = epoch == 0 && (experiment.model.start.weights.is_some() || experiment.record.spectra);
        if experiment.record.weights || start || epoch == experiment.train.epochs {
            let mut weights = Tensors::new();
            insert(&mut weights, "", self.trainer.network().to_host())?;
            self.clock.time("write", || self.writer.weights(epoch, &weights))?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let State { epoch, weights, optimizer } = self.trainer.state()?;
        let mut tensors = Tensors::new();
        insert(&mut tensors, WEIGHTS, weights)?;
        tensors.insert(OPTIMIZER, &[optimizer.len()], optimizer)?;
        // In whole microseconds: a fraction would not keep every bit.
        let spent: BTreeMap<&str, u64> =
            self.clock.0.iter().map(|(phase, seconds)| (phase.as_str(), (seconds * 1e6) as u64)).collect();
        let counters = json!({ (SPENT): spent });
        let state = record::SavedState { epoch, metrics: self.metrics.clone(), counters, tensors };
        self.clock.time("write", || self.writer.save_state(&state))
    }

    fn outcome(&mut self, provenance: Provenance) -> Outcome {
        let Job { experiment, data, run, .. } = self.job;
        let streams = Stream::ALL
            .iter()
            .copied()
            .map(|stream| {
                let varies = experiment.sweep.vary.contains(&stream);
                let seed = experiment.sweep.stream_seed(stream, *run as u64);
                (stream.name().to_owned(), StreamSeed { seed, varies })
            })
            .collect();
        Outcome {
            examples: data.eval.len(),
            classes: data.classes.len(),
            parameters: self.trainer.plan().parameters() as u64,
            epochs: experiment.train.epochs,
            diverged: self.metrics.iter().find(|epoch| !epoch.loss.is_finite()).map(|epoch| epoch.epoch),
            streams,
            timings: std::mem::take(&mut self.clock.0),
            provenance,
        }
    }
}

/// The kernels of the network as it stands, each `[P, P]` under the name of its kind, with the probes' places in the
/// evaluation set (`probes`) and their labels (`labels`), both `[P]`.
fn kernel_snapshot(trainer: &Trainer, data: &Dataset<Compact>, config: &config::Kernel, seed: u64) -> Result<Tensors> {
    let probes = data::probe_set(data, config.probes, seed);
    let pixels = gather(&data.eval, data.shape, &probes, None)?.pixels;
    let jacobians = Jacobians::new(trainer.plan(), trainer.network().clone(), kernel::DEFAULT_BUDGET)?;
    let mut tensors = Tensors::new();
    let mut routes = serde_json::Map::new();
    let count = probes.len();
    for &kind in &config.kinds {
        let kernel = jacobians.kernel(&pixels, kind.into(), &kernel::Draw::default())?;
        tensors.insert(kind.name(), &[count, count], kernel.values)?;
        if let Some(route) = kernel.route {
            routes.insert(kind.name().into(), route.name().into());
        }
    }
    tensors.set_note(json!({ "routes": routes }).to_string());
    let labels: Vec<u32> = probes.iter().map(|&i| data.eval.labels[i]).collect();
    tensors.insert("labels", &[count], labels)?;
    tensors.insert("probes", &[count], probes.iter().map(|&i| i as u32).collect::<Vec<u32>>())?;
    Ok(tensors)
}

/// The singular values of every layer's matrix `[k]` under the layer's name; the note lists the layers in forward order.
fn spectra(weights: &[HostTensor]) -> Result<Tensors> {
    let layers = kernel::spectrum::weight_spectra(weights)?;
    let mut tensors = Tensors::new();
    tensors.set_note(json!(layers.iter().map(|(layer, _)| layer.as_str()).collect::<Vec<_>>()).to_string());
    for (layer, values) in layers {
        tensors.insert(layer, &[values.len()], values)?;
    }
    Ok(tensors)
}

fn insert(tensors: &mut Tensors, prefix: &str, weights: Vec<HostTensor>) -> Result<()> {
    for HostTensor { name, shape, values } in weights {
        tensors.insert(format!("{prefix}{name}"), &shape, values)?;
    }
    Ok(())
}

/// Turns a saved state's tensors back into weights and the optimiser's bytes.
fn unpack(saved: record::SavedState) -> Result<State> {
    let mut weights = Vec::new();
    let mut optimizer = None;
    for (name, shape, values) in saved.tensors.iter() {
        match (name.strip_prefix(WEIGHTS), values) {
            (Some(name), Values::F32(values)) => weights.push(HostTensor::new(name, shape, values.clone())),
            (None, Values::U8(bytes)) if name == OPTIMIZER => optimizer = Some(bytes.clone()),
            _ => {}
        }
    }
    let optimizer = optimizer.ok_or_else(|| {
        Error::Corrupt("the saved state of a run holds no optimiser; forget it to train the run anew".into())
    })?;
    Ok(State { epoch: saved.epoch, weights, optimizer })
}
