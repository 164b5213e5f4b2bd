//! A run without training, for tests: the same files in the same order as a real one.

use std::collections::BTreeMap;

use super::{
    Begin, EpochMetrics, Origin, Outcome, Provenance, RunDir, RunIdentity, RunWriter, SWEEP_SCHEMA, SavedState,
    SoftDecisions, StreamSeed, SweepManifest, Tensors,
};
use crate::error::Result;

const EPOCHS: usize = 4;

/// A folder for a test that writes much: in memory where that is possible, since there a sync costs nothing.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn soft(run: usize, epoch: usize) -> SoftDecisions {
    let logits = (0..40).map(|place| (place * (run + 1) + epoch) as f32 / 7.0).collect();
    SoftDecisions::new(2, (0..20).map(|example| example % 2).collect(), logits).unwrap()
}

pub(crate) fn array(run: usize, epoch: usize) -> Tensors {
    let mut tensors = Tensors::new();
    tensors.insert("trace", &[4, 4], (0..16).map(|place| (place * run + epoch) as f64).collect::<Vec<_>>()).unwrap();
    tensors
}

pub(crate) fn outcome() -> Outcome {
    Outcome {
        examples: 20,
        classes: 2,
        parameters: 10,
        epochs: EPOCHS,
        diverged: None,
        streams: BTreeMap::from([("init".into(), StreamSeed { seed: "00".into(), varies: true })]),
        timings: BTreeMap::from([("train".into(), 1.5)]),
        provenance: Provenance::now(Origin { backend: "flex".into(), ..Origin::default() }),
    }
}

/// What the fake run `run` belongs to.
pub(crate) fn identity(run: usize) -> RunIdentity {
    RunIdentity {
        training: "0f".into(),
        data: "da".into(),
        run,
        streams: BTreeMap::from([("init".into(), "00".into())]),
    }
}

/// The manifest of a sweep of `runs` fake runs.
pub(crate) fn sweep_manifest(experiment: &str, runs: usize) -> SweepManifest {
    SweepManifest {
        schema: SWEEP_SCHEMA.name(),
        name: "fake".into(),
        hash: blake3::hash(experiment.as_bytes()).to_hex().to_string(),
        training: Some(identity(0).training),
        older: BTreeMap::new(),
        runs,
        experiment: experiment.into(),
        provenance: Provenance::now(Origin::default()),
    }
}

/// Begins an attempt at a fake run.
pub(crate) fn begin(dir: &RunDir, attempt: u32) -> Result<Begin> {
    RunWriter::begin(dir, attempt, &identity(dir.index()))
}

pub(crate) fn state(epoch: usize) -> SavedState {
    let mut tensors = Tensors::new();
    tensors.insert("weights.0", &[2, 2], vec![0.1_f32, -2.0, 3.5, epoch as f32]).unwrap();
    tensors.insert("velocity.0", &[2, 2], vec![1e-9_f32, 0.0, -0.0, 1.0]).unwrap();
    let row = |epoch| EpochMetrics {
        epoch,
        loss: 0.1 + 0.2 / epoch as f64,
        accuracy: 1.0 / 3.0,
        learning_rate: 0.1,
        seconds: 0.5,
    };
    let metrics = (1..=epoch).map(row).collect();
    SavedState { epoch, metrics, counters: serde_json::json!({"step": 18_446_744_073_709_551_615_u64}), tensors }
}

/// Four epochs with checkpoints at 0, 2 and 4, and weights at the end; `go_on` is asked before each epoch. Says whether
/// the run is complete.
pub(crate) fn fake_run(dir: &RunDir, attempt: u32, go_on: &mut dyn FnMut(usize) -> bool) -> Result<bool> {
    let (mut writer, mut now) = match begin(dir, attempt)? {
        Begin::Complete => return Ok(true),
        Begin::Start(writer, _) => (writer, SavedState::default()),
        Begin::Resume(writer, state) => (writer, *state),
    };
    let checkpoint = |writer: &mut RunWriter, epoch: usize| -> Result<()> {
        writer.soft(epoch, &soft(dir.index(), epoch))?;
        writer.kernel(epoch, &array(dir.index(), epoch))
    };
    if now.epoch == 0 {
        checkpoint(&mut writer, 0)?;
    }
    for epoch in now.epoch + 1..=EPOCHS {
        if !go_on(epoch) {
            return Ok(false);
        }
        now = state(epoch);
        if epoch % 2 == 0 {
            checkpoint(&mut writer, epoch)?;
        }
        writer.save_state(&now)?;
    }
    writer.weights(EPOCHS, &array(dir.index(), EPOCHS))?;
    writer.finish(&now.metrics, outcome())?;
    Ok(true)
}

pub(crate) fn finish(dir: &RunDir, attempt: u32) -> Result<bool> {
    fake_run(dir, attempt, &mut |_| true)
}
