//! The initial weights of one run.

use crate::config::{Stream, Sweep};
use crate::model::{HostTensor, Plan};
use crate::random::Random;

/// The initial weights of one run: the `init` stream, then the `bit` stream's flip.
#[must_use]
pub fn for_run(sweep: &Sweep, plan: &Plan, run: u64) -> Vec<HostTensor> {
    let mut weights = plan.draw(&mut sweep.stream(Stream::Init, run));
    if sweep.vary.contains(&Stream::Bit) && run > 0 {
        flip_bit(&mut weights, sweep.seed, run);
    }
    weights
}

/// Flips the lowest mantissa bit of one weight (the smallest possible change, Summers & Dinneen 2021).
///
/// The weights that can be chosen are those of the output layer, since a weight of the first layer may see a pixel that
/// is always dark, and the change would then be none. The first position is drawn, every later run takes the next one,
/// so that no two runs flip the same.
fn flip_bit(weights: &mut [HostTensor], seed: u64, run: u64) {
    if let Some(output) = weights.iter_mut().find(|tensor| tensor.name == "fc.weight") {
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

    fn plan() -> Plan {
        Plan::new(&Model::parse("kind = 'mlp', widths = [5]"), [1, 2, 3], 4).unwrap()
    }

    fn differing_bits(a: &[HostTensor], b: &[HostTensor]) -> u32 {
        let bits = |t: &[HostTensor]| t.iter().flat_map(|t| t.values.iter().map(|v| v.to_bits())).collect::<Vec<_>>();
        bits(a).iter().zip(bits(b)).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn bit_changes_one_bit_of_every_run_but_the_first() {
        let sweep = Sweep { vary: vec![Stream::Bit], ..Sweep::default() };
        let base = for_run(&Sweep { vary: vec![], ..Sweep::default() }, &plan(), 0);
        assert_eq!(differing_bits(&base, &for_run(&sweep, &plan(), 0)), 0);
        let runs: Vec<_> = (1..6).map(|run| for_run(&sweep, &plan(), run)).collect();
        for (i, run) in runs.iter().enumerate() {
            assert_eq!(differing_bits(&base, run), 1);
            assert!(runs[..i].iter().all(|other| other != run));
        }
    }

    #[test]
    fn only_varied_streams_differ_between_runs() {
        let varied = Sweep { vary: vec![Stream::Init], ..Sweep::default() };
        let shared = Sweep { vary: vec![Stream::Order], ..Sweep::default() };
        assert_ne!(for_run(&varied, &plan(), 0), for_run(&varied, &plan(), 1));
        assert_eq!(for_run(&shared, &plan(), 0), for_run(&shared, &plan(), 1));
    }
}
