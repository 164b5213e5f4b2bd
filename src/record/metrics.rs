//! `metrics.parquet`: how training went, a row per epoch. The seconds differ from one execution to the next, so this file,
//! unlike soft decisions, kernels and weights, is not the same for the same seed; its other columns are.

use polars::prelude::*;

use super::table;
use super::tensors::Tensors;
use crate::error::{Error, Result};

/// One epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochMetrics {
    /// 1 for the first.
    pub epoch: usize,
    /// Mean loss over the training examples as they were met.
    pub loss: f64,
    /// Share of the training examples that were classified correctly as they were met.
    pub accuracy: f64,
    /// At the last step.
    pub learning_rate: f64,
    /// Wall time of the training itself.
    pub seconds: f64,
}

const COLUMNS: [&str; 4] = ["loss", "accuracy", "learning_rate", "seconds"];

impl EpochMetrics {
    fn values(&self) -> [f64; 4] {
        [self.loss, self.accuracy, self.learning_rate, self.seconds]
    }

    fn from_values(epoch: usize, values: [f64; 4]) -> Self {
        let [loss, accuracy, learning_rate, seconds] = values;
        Self { epoch, loss, accuracy, learning_rate, seconds }
    }
}

/// The bytes of `metrics.parquet`: `epoch` (u32), then `loss`, `accuracy`, `learning_rate` and `seconds` (f64).
///
/// # Errors
/// `Unexpected` if an epoch is beyond u32 or Polars refuses.
pub fn encode(metrics: &[EpochMetrics]) -> Result<Vec<u8>> {
    let mut columns = vec![Column::new("epoch".into(), epochs(metrics)?)];
    for (place, name) in COLUMNS.iter().enumerate() {
        let values: Vec<f64> = metrics.iter().filter_map(|row| row.values().get(place).copied()).collect();
        columns.push(Column::new((*name).into(), values));
    }
    table::encode(columns)
}

/// Reads `metrics.parquet`; `what` names it in messages.
///
/// # Errors
/// `Invalid` for a file that is not Parquet or lacks a column.
pub fn decode(bytes: &[u8], what: &str) -> Result<Vec<EpochMetrics>> {
    let table = table::decode(bytes, what)?;
    let epochs = table::u32s(&table, "epoch", what)?;
    let [loss, accuracy, learning_rate, seconds] = COLUMNS.map(|name| table::f64s(&table, name, what));
    let values = loss?.into_iter().zip(accuracy?).zip(learning_rate?).zip(seconds?);
    Ok(epochs
        .into_iter()
        .zip(values)
        .map(|(epoch, (((loss, accuracy), rate), seconds))| {
            EpochMetrics::from_values(epoch as usize, [loss, accuracy, rate, seconds])
        })
        .collect())
}

const EPOCHS: &str = "harness.metrics.epoch";
const VALUES: &str = "harness.metrics.values";

/// Puts metrics among the arrays of a saved state, where every bit of them is kept.
pub(super) fn store(metrics: &[EpochMetrics], tensors: &mut Tensors) -> Result<()> {
    let values: Vec<f64> = metrics.iter().flat_map(EpochMetrics::values).collect();
    tensors.insert(EPOCHS, &[metrics.len()], epochs(metrics)?)?;
    tensors.insert(VALUES, &[metrics.len(), COLUMNS.len()], values)
}

/// Takes them out again.
pub(super) fn restore(tensors: &mut Tensors) -> Result<Vec<EpochMetrics>> {
    let (_, values) = tensors.f64(VALUES)?;
    let (_, epochs) = tensors.u32(EPOCHS)?;
    let metrics = epochs
        .iter()
        .zip(values.as_chunks().0)
        .map(|(epoch, values)| EpochMetrics::from_values(*epoch as usize, *values))
        .collect();
    tensors.remove(VALUES);
    tensors.remove(EPOCHS);
    Ok(metrics)
}

fn epochs(metrics: &[EpochMetrics]) -> Result<Vec<u32>> {
    metrics
        .iter()
        .map(|row| {
            u32::try_from(row.epoch).map_err(|_| Error::Unexpected(format!("epoch {} cannot be recorded", row.epoch)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<EpochMetrics> {
        let row = |epoch: usize| EpochMetrics::from_values(epoch, [1.0 / epoch as f64, 0.1 + 0.2, 1e-300, f64::MAX]);
        (1..=5).map(row).collect()
    }

    #[test]
    fn metrics_read_back() {
        assert_eq!(decode(&encode(&example()).unwrap(), "metrics").unwrap(), example());
        assert_eq!(decode(&encode(&[]).unwrap(), "metrics").unwrap(), []);
        let lacking = table::encode(vec![Column::new("epoch".into(), [1_u32])]).unwrap();
        assert!(decode(&lacking, "m.parquet").unwrap_err().to_string().contains("\"loss\""));
    }

    #[test]
    fn a_diverged_loss_reads_back() {
        let metrics = [EpochMetrics { loss: f64::NAN, ..example()[0] }];
        assert!(decode(&encode(&metrics).unwrap(), "metrics").unwrap()[0].loss.is_nan());
    }

    #[test]
    fn metrics_travel_in_a_state() {
        let mut tensors = Tensors::new();
        tensors.insert("w", &[1], vec![1.0_f32]).unwrap();
        store(&example(), &mut tensors).unwrap();
        let mut read = Tensors::decode(&tensors.encode().unwrap(), "state").unwrap();
        assert_eq!(restore(&mut read).unwrap(), example());
        assert_eq!(read.len(), 1);
        assert!(restore(&mut read).is_err());
    }
}
