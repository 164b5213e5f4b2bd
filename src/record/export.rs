//! All runs of a sweep at one checkpoint as plain arrays, for whoever reads them elsewhere.

use super::reader::{LeftOut, RunReader, SweepReader};
use super::soft::SoftDecisions;
use super::tensors::Values;
use crate::error::{Error, Result};

/// What every complete run recorded at one checkpoint, stacked in order of the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Epochs of training.
    pub epoch: usize,
    /// Index of each run, `[M]`, increasing.
    pub runs: Vec<usize>,
    /// `[M, N, C]`, row-major.
    pub logits: Vec<f32>,
    /// M, N, C.
    pub shape: [usize; 3],
    /// `[N]`
    pub labels: Vec<u32>,
    /// The kernels that every run has, by name, in order of the first run's.
    pub kernels: Vec<StackedKernel>,
    /// Runs that are not part of it, and why.
    pub left_out: Vec<LeftOut>,
}

/// One tensor of every run's kernel file.
#[derive(Debug, Clone, PartialEq)]
pub struct StackedKernel {
    /// As in `kernel.safetensors`: `trace`, `eigenvalues` …
    pub name: String,
    /// M, then the shape in each run.
    pub shape: Vec<usize>,
    /// Row-major, `[M, P, P]`.
    pub values: Vec<f32>,
}

/// Stacks what the complete runs recorded after `epoch` epochs, or at the last checkpoint that all of them have.
///
/// # Errors
/// `Invalid` if no run is complete or one of them has no such checkpoint; `Corrupt` if labels differ between runs. A run whose
/// files are broken is left out instead.
pub fn stack(reader: &SweepReader, epoch: Option<usize>) -> Result<Stack> {
    let (runs, mut left_out) = reader.runs();
    let epoch = common_epoch(&runs, epoch)?;
    let mut stack = Stack {
        epoch,
        runs: Vec::new(),
        logits: Vec::new(),
        shape: [0; 3],
        labels: Vec::new(),
        kernels: Vec::new(),
        left_out: Vec::new(),
    };
    for run in &runs {
        match read(run, epoch) {
            Ok((soft, kernels)) => stack.push(run.index(), soft, kernels)?,
            Err(error) => left_out.push(LeftOut { run: run.index(), why: error }),
        }
    }
    if stack.runs.is_empty() {
        return Err(Error::Corrupt("no run can be read; `harness verify` names the files".into()));
    }
    left_out.sort_by_key(|run| run.run);
    let count = stack.runs.len();
    stack.kernels.retain(|kernel| kernel.shape.first() == Some(&count));
    Ok(Stack { left_out, ..stack })
}

fn common_epoch(runs: &[RunReader], asked: Option<usize>) -> Result<usize> {
    let Some(first) = runs.first() else {
        return Err(Error::Invalid("there is no complete run to export; `harness resume` the sweep first".into()));
    };
    let all: Vec<Vec<usize>> = runs.iter().map(RunReader::epochs).collect();
    let mut common = first.epochs();
    common.retain(|epoch| all.iter().all(|epochs| epochs.contains(epoch)));
    match asked {
        Some(epoch) if common.contains(&epoch) => Ok(epoch),
        Some(epoch) => {
            Err(Error::Invalid(format!("epoch {epoch} is not recorded for every run; recorded are {common:?}")))
        }
        None => common
            .last()
            .copied()
            .ok_or_else(|| Error::Invalid("the runs have no checkpoint in common; name one with `--epoch`".into())),
    }
}

type Kernels = Vec<(String, Vec<usize>, Vec<f32>)>;

fn read(run: &RunReader, epoch: usize) -> Result<(SoftDecisions, Kernels)> {
    let soft = run.soft(epoch)?;
    let kernels = match run.kernel(epoch)? {
        Some(tensors) => {
            // Names and shapes of other types are bookkeeping, not kernels.
            let names = tensors.iter().filter(|(_, _, values)| matches!(values, Values::F32(_)));
            let names: Vec<String> = names.map(|(name, _, _)| name.to_owned()).collect();
            // A kernel's name becomes that of a file.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if let Some(name) = names.iter().find(|name| !name.chars().all(plain)) {
                return Err(Error::Corrupt(format!("it holds a kernel called {name:?}, which is no name for a file")));
            }
            let kernel = |name: String| {
                tensors.f32(&name).map(|(shape, values)| (name.clone(), shape.to_vec(), values.to_vec()))
            };
            names.into_iter().map(kernel).collect::<Result<_>>()?
        }
        None => Vec::new(),
    };
    Ok((soft, kernels))
}

impl Stack {
    fn push(&mut self, run: usize, soft: SoftDecisions, kernels: Kernels) -> Result<()> {
        if !self.runs.is_empty() && (self.labels != soft.labels || self.shape[2] != soft.classes) {
            return Err(Error::Corrupt(format!("run {run} was judged on other labels than the others")));
        }
        let before = self.runs.len();
        self.runs.push(run);
        self.shape = [before + 1, soft.examples, soft.classes];
        self.logits.extend(soft.logits);
        self.labels = soft.labels;
        for (name, shape, values) in kernels {
            let known = self.kernels.iter_mut().find(|kernel| kernel.name == name);
            match known {
                // One that a run lacked stays short, and is dropped at the end.
                Some(kernel) if kernel.shape[0] == before && kernel.shape[1..] == shape => {
                    kernel.shape[0] += 1;
                    kernel.values.extend(values);
                }
                None if before == 0 => {
                    let shape = [vec![1], shape].concat();
                    self.kernels.push(StackedKernel { name, shape, values });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soft(labels: &[u32], first: f32) -> SoftDecisions {
        let logits = (0..labels.len() * 2).map(|i| first + i as f32).collect();
        SoftDecisions { examples: labels.len(), classes: 2, labels: labels.to_vec(), logits }
    }

    fn empty() -> Stack {
        Stack {
            epoch: 1,
            runs: Vec::new(),
            logits: Vec::new(),
            shape: [0; 3],
            labels: Vec::new(),
            kernels: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn runs_are_stacked_in_order_and_a_kernel_that_one_lacks_stays_short() {
        let kernel = |name: &str, value: f32| (name.to_owned(), vec![1, 2], vec![value; 2]);
        let mut stack = empty();
        stack.push(0, soft(&[0, 1], 0.0), vec![kernel("trace", 1.0), kernel("pseudo", 5.0)]).unwrap();
        stack.push(3, soft(&[0, 1], 10.0), vec![kernel("trace", 2.0)]).unwrap();
        assert_eq!((stack.shape, stack.runs.as_slice()), ([2, 2, 2], [0, 3].as_slice()));
        assert_eq!(stack.logits, [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]);
        assert_eq!(
            (stack.kernels[0].shape.as_slice(), stack.kernels[0].values.as_slice()),
            ([2, 1, 2].as_slice(), [1.0, 1.0, 2.0, 2.0].as_slice())
        );
        assert_eq!(stack.kernels[1].shape[0], 1, "a run lacks it");
        assert!(matches!(stack.push(4, soft(&[1, 1], 0.0), vec![]), Err(Error::Corrupt(_))));
    }
}
