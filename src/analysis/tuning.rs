//! What fine-tuning changed: of runs that started from weights of a file, the last checkpoint against epoch 0.

use serde::{Deserialize, Serialize};

use super::sweep::index;
use crate::error::Result;
use crate::kernel::alignment;
use crate::record::{RunReader, SoftDecisions, SweepReader, Tensors, Values};

/// All runs at their last checkpoint against the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The file, as the experiment names it.
    pub weights: String,
    /// BLAKE3 of the file.
    pub digest: Option<String>,
    /// The epoch that is compared with epoch 0.
    pub epoch: usize,
    /// By name.
    pub layers: Vec<TunedLayer>,
    /// In order.
    pub runs: Vec<TunedRun>,
    /// Runs that could not be compared, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How far a layer moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunedLayer {
    /// Its name.
    pub layer: String,
    /// ‖w − w₀‖ / ‖w₀‖ over all of its parameters: run and value, in order; none where w₀ is 0.
    pub change: Vec<(u32, Option<f64>)>,
}

/// What became of a run's decisions and kernels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunedRun {
    /// Its index.
    pub run: u32,
    /// Share of examples that are decided differently from the start.
    pub churn: Option<f64>,
    /// Share of examples that the start decided right and the run decides wrong (Yan 2021).
    pub negative_flips: Option<f64>,
    /// Centred alignment of the conjugate kernel (the Gram matrix of the last hidden activations) with the start's.
    pub features: Option<f64>,
    /// Centred alignment of the trace kernel with the start's.
    pub kernel: Option<f64>,
}

/// Where the runs started.
#[derive(Debug, Clone, PartialEq)]
pub struct StartedFrom {
    /// The file, as the experiment names it.
    pub weights: String,
    /// BLAKE3 of the file.
    pub digest: Option<String>,
    /// Whether the last dense layer was drawn anew: what it decided at the start means nothing then.
    pub fresh_head: bool,
}

/// What changed from epoch 0 to `epoch`; a run whose files cannot be used is left out with a note. None where nothing is left.
#[must_use]
pub fn read(from: &StartedFrom, sweep: &SweepReader, epoch: usize) -> Option<Tuning> {
    let mut tuning = Tuning {
        weights: from.weights.clone(),
        digest: from.digest.clone(),
        epoch,
        layers: Vec::new(),
        runs: Vec::new(),
        notes: Vec::new(),
    };
    let (runs, _) = sweep.runs();
    for run in runs.iter().filter(|run| epoch > 0 && run.epochs().contains(&0)) {
        match of_run(run, epoch, from.fresh_head) {
            Ok((tuned, layers)) => {
                for (layer, change) in layers {
                    match tuning.layers.iter_mut().find(|known| known.layer == layer) {
                        Some(known) => known.change.push((tuned.run, change)),
                        None => tuning.layers.push(TunedLayer { layer, change: vec![(tuned.run, change)] }),
                    }
                }
                tuning.runs.push(tuned);
            }
            Err(error) => {
                tuning.notes.push(format!("What fine-tuning changed in run {} cannot be told: {error}.", run.index()));
            }
        }
    }
    (!tuning.runs.is_empty() || !tuning.notes.is_empty()).then_some(tuning)
}

type Changes = Vec<(String, Option<f64>)>;

fn of_run(run: &RunReader, epoch: usize, fresh_head: bool) -> Result<(TunedRun, Changes)> {
    let [start, end] = [run.soft(0)?, run.soft(epoch)?];
    let (churn, negative_flips) = flips(&start, &end);
    let kernels = match (run.kernel(0)?, run.kernel(epoch)?) {
        (Some(start), Some(end)) => Some((start, end)),
        _ => None,
    };
    let aligned = |kind: &str| -> Result<Option<f64>> {
        let Some((start, end)) = &kernels else { return Ok(None) };
        match (start.get(kind), end.get(kind)) {
            (Some((_, Values::F32(start))), Some((_, Values::F32(end)))) => alignment::cka(start, end),
            _ => Ok(None),
        }
    };
    let tuned = TunedRun {
        run: index(run),
        churn: (!fresh_head).then_some(churn),
        negative_flips: (!fresh_head).then_some(negative_flips),
        features: aligned("conjugate")?,
        kernel: aligned("trace")?,
    };
    let changes = match (run.weights(0)?, run.weights(epoch)?) {
        (Some(start), Some(end)) => changes(&start, &end),
        _ => Vec::new(),
    };
    Ok((tuned, changes))
}

/// Shares of the examples that are decided differently, and that were right and are wrong.
fn flips(start: &SoftDecisions, end: &SoftDecisions) -> (f64, f64) {
    let decisions = |soft: &SoftDecisions| -> Vec<usize> {
        let decide =
            |row: &[f32]| (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        soft.logits.chunks_exact(soft.classes.max(1)).map(decide).collect()
    };
    let (before, after) = (decisions(start), decisions(end));
    let all = before.iter().zip(&after).zip(&start.labels);
    let share = |count: usize| count as f64 / before.len().max(1) as f64;
    let changed = all.clone().filter(|((before, after), _)| before != after).count();
    let spoilt = all.filter(|((before, after), label)| **before == **label as usize && before != after).count();
    (share(changed), share(spoilt))
}

/// ‖w − w₀‖ / ‖w₀‖ of each layer; running statistics are no parameters.
fn changes(start: &Tensors, end: &Tensors) -> Changes {
    // Sums of squares of the difference and of the start, by layer.
    let mut sums: Vec<(String, [f64; 2])> = Vec::new();
    for (name, _, values) in start.iter() {
        let (Values::F32(start), Some((_, Values::F32(end)))) = (values, end.get(name)) else { continue };
        if name.ends_with("running_mean") || name.ends_with("running_var") {
            continue;
        }
        let (layer, part) = name.rsplit_once('.').unwrap_or((name, ""));
        // A parameter that is a layer itself, such as a class token.
        let layer = if matches!(part, "weight" | "bias") { layer } else { name };
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
        let moved = square(&mut start.iter().zip(end).map(|(a, b)| f64::from(b - a)));
        let size = square(&mut start.iter().map(|a| f64::from(*a)));
        match sums.iter_mut().find(|(known, _)| known == layer) {
            Some((_, sums)) => *sums = [sums[0] + moved, sums[1] + size],
            None => sums.push((layer.to_owned(), [moved, size])),
        }
    }
    sums.into_iter().map(|(layer, [moved, size])| (layer, (size > 0.0).then(|| (moved / size).sqrt()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_by_hand() {
        let soft = |logits: &[f32]| SoftDecisions::new(2, vec![0, 1, 1, 0], logits.to_vec()).unwrap();
        // Decides 0, 1, 0, 0: the third is wrong.
        let start = soft(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
        // Decides 1, 1, 1, 0: the first was right, the third is right now.
        let end = soft(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
        assert_eq!(flips(&start, &end), (0.5, 0.25));
        assert_eq!(flips(&start, &start), (0.0, 0.0));
    }

    #[test]
    fn changes_by_hand() {
        let tensors = |weight: [f32; 2], bias: f32, mean: f32| {
            let mut all = Tensors::new();
            all.insert("a.weight", &[2], weight.to_vec()).unwrap();
            all.insert("a.bias", &[1], vec![bias]).unwrap();
            all.insert("a.running_mean", &[1], vec![mean]).unwrap();
            all.insert("token", &[1], vec![0.0_f32]).unwrap();
            all
        };
        // √(0 + 4 + 5²) over √(3² + 4² + 0).
        let found = changes(&tensors([3.0, 4.0], 0.0, 1.0), &tensors([3.0, 2.0], 5.0, 9.0));
        assert_eq!(found, [("a".to_owned(), Some((29.0_f64 / 25.0).sqrt())), ("token".to_owned(), None)]);
    }
}
