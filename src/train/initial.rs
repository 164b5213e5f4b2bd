//! The initial weights of one run.

use crate::config::{Experiment, Stream};
use crate::error::Result;
use crate::model::{HostTensor, Plan};
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
    if sweep.vary.contains(&Stream::Bit) && run > 0 {
        let head = plan.head().map_or(String::new(), |head| format!("{}.weight", head.name));
        flip_bit(&mut weights, &head, sweep.seed, run);
    }
    Ok(weights)
}

/// Flips the lowest mantissa bit of one weight (the smallest possible change, Summers & Dinneen 2021).
///
/// The weights that can be chosen are those of the output layer, since a weight of the first layer may see a pixel that
/// is always dark, and the change would then be none. The first position is drawn, every later run takes the next one,
/// so that no two runs flip the same.
fn flip_bit(weights: &mut [HostTensor], head: &str, seed: u64, run: u64) {
    if let Some(output) = weights.iter_mut().find(|tensor| tensor.name == head) {
        let count = output.values.len() as u64;
        let start = Random::from_parts(seed, "bit", 0).uniform_below(count);
        let chosen = ((start + run) % count) as usize;
        output.values[chosen] = f32::from_bits(output.values[chosen].to_bits() ^ 1);
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
