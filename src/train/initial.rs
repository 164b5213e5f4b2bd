//! The initial weights of one run.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::config::{Experiment, Stream, Sweep};
use crate::error::Result;
use crate::model::{HostTensor, Network, Plan};
use crate::random::Random;

/// The initial weights of one run: the `init` stream, then those of the file that training starts from, then the `bit` stream's
/// flip.
///
/// # Errors
/// `Invalid` if the file cannot be read, is another than the experiment's, or does not fit the plan.
pub fn for_run(experiment: &Experiment, plan: &Plan, run: u64) -> Result<Vec<HostTensor>> {
    let sweep = &experiment.sweep;
    let mut weights = plan.draw(&mut sweep.stream(Stream::Init, run));
    for given in experiment.model.start.tensors(plan)? {
        if let Some(drawn) = weights.iter_mut().find(|drawn| drawn.name == given.name) {
            *drawn = given;
        }
    }
    if sweep.bit_step.unwrap_or(0) == 0 {
        flip_bit(&mut weights, sweep, run);
    }
    Ok(weights)
}

/// Flips the lowest mantissa bit of one weight (the smallest possible change, Summers & Dinneen 2021).
///
/// The weights that can be chosen are those of the output layer, the last matrix, since a weight of the first layer may see a pixel
/// that is always dark, and the change would then be none. The first position is drawn, every later level of the stream takes
/// the next one, so that no two levels flip the same; level 0 flips nothing.
fn flip_bit(weights: &mut [HostTensor], sweep: &Sweep, run: u64) {
    if let Some(output) = weights.iter_mut().rev().find(|tensor| tensor.shape.len() == 2)
        && let Some(chosen) = flipped(sweep, run, output.values.len())
    {
        output.values[chosen] = f32::from_bits(output.values[chosen].to_bits() ^ 1);
    }
}

/// Which of so many weights has its bit flipped, if any.
fn flipped(sweep: &Sweep, run: u64, count: usize) -> Option<usize> {
    let level = sweep.level(Stream::Bit, run);
    let start = Random::from_parts(sweep.seed, Stream::Bit.name(), 0).uniform_below(count as u64);
    (level > 0 && count > 0).then(|| ((start + level) % count as u64) as usize)
}

/// The same flip in a network that is being trained, whose optimiser goes on with the weight.
pub fn flip_bit_of(network: Network, sweep: &Sweep, run: u64) -> Network {
    let mut matrices = Matrices(0);
    network.visit(&mut matrices);
    network.map(&mut Flip { before: matrices.0.saturating_sub(1), sweep, run })
}

/// Counts parameters of two axes.
struct Matrices(usize);

impl ModuleVisitor for Matrices {
    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        self.0 += usize::from(D == 2);
    }
}

/// Flips a bit of the matrix that comes after `before` others.
struct Flip<'a> {
    before: usize,
    sweep: &'a Sweep,
    run: u64,
}

impl ModuleMapper for Flip<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 {
            return param;
        }
        let Some(before) = self.before.checked_sub(1) else {
            self.before = usize::MAX;
            return param.map(|tensor| self.flip(tensor));
        };
        self.before = before;
        param
    }
}

impl Flip<'_> {
    fn flip<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        let (device, active) = (tensor.device(), tensor.is_require_grad());
        let mut data = tensor.to_data();
        if let Ok(values) = data.as_mut_slice::<f32>()
            && let Some(chosen) = flipped(self.sweep, self.run, values.len())
        {
            values[chosen] = f32::from_bits(values[chosen].to_bits() ^ 1);
        }
        Tensor::from_data(data, &device).set_require_grad(active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Model;
    use crate::config::Sweep;

    fn plan() -> Plan {
        Plan::new(&Model::parse("kind = 'mlp', widths = [5]"), [1, 2, 3], 4).unwrap()
    }

    fn drawn(sweep: &Sweep, run: u64) -> Vec<HostTensor> {
        let text = "name = 'x'\ndata = { dataset = 'digits' }\nmodel = { kind = 'mlp' }";
        let mut experiment: Experiment = crate::config::from_stored(text, std::path::Path::new("x.toml")).unwrap();
        experiment.sweep = sweep.clone();
        for_run(&experiment, &plan(), run).unwrap()
    }

    fn differing_bits(a: &[HostTensor], b: &[HostTensor]) -> u32 {
        let bits = |t: &[HostTensor]| t.iter().flat_map(|t| t.values.iter().map(|v| v.to_bits())).collect::<Vec<_>>();
        bits(a).iter().zip(bits(b)).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn bit_changes_one_bit_of_every_run_but_the_first() {
        let sweep = Sweep { vary: vec![Stream::Bit], ..Sweep::default() };
        let base = drawn(&Sweep { vary: vec![], ..Sweep::default() }, 0);
        assert_eq!(differing_bits(&base, &drawn(&sweep, 0)), 0);
        let runs: Vec<_> = (1..6).map(|run| drawn(&sweep, run)).collect();
        for (i, run) in runs.iter().enumerate() {
            assert_eq!(differing_bits(&base, run), 1);
            assert!(runs[..i].iter().all(|other| other != run));
        }
    }

    #[test]
    fn only_varied_streams_differ_between_runs() {
        let varied = Sweep { vary: vec![Stream::Init], ..Sweep::default() };
        let shared = Sweep { vary: vec![Stream::Order], ..Sweep::default() };
        assert_ne!(drawn(&varied, 0), drawn(&varied, 1));
        assert_eq!(drawn(&shared, 0), drawn(&shared, 1));
    }
}
