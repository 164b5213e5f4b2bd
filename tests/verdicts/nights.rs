//! How often healthy nights are red, and how many nights it takes until a change is.

use harness::analysis::Input;
use harness::analysis::comparison::Terms;
use harness::analysis::nights::{
    Acceptance, Charted, History, Night, Observed, Rules, Standing, Values, judge, of_input,
};
use harness::stats::churn;

use super::pool::{self, Random};

/// Runs a night.
const RUNS: usize = 10;

/// Every run of the pool once measured.
struct Measured {
    of_runs: Vec<Values>,
    churn: harness::stats::Pairs,
    runs: usize,
}

impl Measured {
    fn new(pool: &Input<f32>) -> Self {
        let (values, runs) = of_input(pool, &[], &[], &[]).unwrap();
        let decisions: Vec<Vec<u32>> =
            pool.runs().iter().map(|run| churn::decisions(&pool.soft(run).unwrap())).collect();
        let of_runs = values.into_iter().filter(|held| held.metric != Charted::Churn).collect();
        Self { of_runs, churn: churn::pairwise(&decisions).unwrap(), runs }
    }

    /// The standard deviation of a night's mean.
    fn sigma(&self, metric: Charted) -> f64 {
        let values = &self.of_runs.iter().find(|held| held.metric == metric).unwrap().values;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / (values.len() - 1) as f64 / RUNS as f64).sqrt()
    }

    /// Night number `number` of the runs at `places`, each value moved by `by`.
    fn night(&self, number: usize, places: &[usize], by: impl Fn(Charted) -> f64) -> Observed {
        let mut values: Vec<Values> = self
            .of_runs
            .iter()
            .map(|held| Values {
                metric: held.metric,
                values: places.iter().map(|&place| held.values[place] + by(held.metric)).collect(),
            })
            .collect();
        let pairs = places.iter().enumerate().flat_map(|(i, &a)| places[..i].iter().map(move |&b| (a, b)));
        let churned: Vec<f64> = pairs.map(|(a, b)| self.churn.get(a, b)).collect();
        let mean = churned.iter().sum::<f64>() / churned.len() as f64;
        values.push(Values { metric: Charted::Churn, values: vec![mean + by(Charted::Churn)] });
        Observed {
            night: Night {
                name: "pool".into(),
                place: number.to_string(),
                started: jiff::Timestamp::from_second(86_400 * number as i64).unwrap(),
                experiment: None,
                runs: places.len(),
                planned: places.len(),
                changed: Vec::new(),
                origin: Vec::new(),
                accepted: None,
                standing: Standing::First,
                evidence: None,
                evidence_better: None,
                reference: 0,
                why: String::new(),
            },
            terms: Terms::default(),
            values,
            unusable: None,
            incomplete: None,
            newest: false,
            digests: Vec::new(),
        }
    }

    /// `nights` nights: the pool dealt out again and again in random order, moved by `by(night, quantity)`.
    fn sequence(&self, nights: usize, seed: u64, by: impl Fn(usize, Charted) -> f64) -> Vec<Observed> {
        let mut random = Random::new(seed);
        let mut order: Vec<usize> = Vec::new();
        (0..nights)
            .map(|night| {
                if order.len() < RUNS {
                    order = random.choose(self.runs, self.runs);
                }
                let places: Vec<usize> = order.drain(..RUNS).collect();
                self.night(night, &places, |metric| by(night, metric))
            })
            .collect()
    }
}

fn count(found: &History, standing: Standing) -> usize {
    found.sweeps.iter().filter(|night| night.standing == standing).count()
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn healthy_nights_are_red_less_than_once_a_year() {
    let pool = Measured::new(&pool::read("clean_logits.npz"));
    let (mut red, mut alarms, mut undecided, mut nights) = (0, 0, 0, 0);
    for sequence in 0..40 {
        let found =
            judge(pool.sequence(200, sequence, |_, _| 0.0), &Rules { seed: sequence, ..Rules::default() }).unwrap();
        nights += found.sweeps.len();
        red += count(&found, Standing::Red);
        alarms += found.signals.len();
        // Before the reference has three nights nothing is green.
        undecided += count(&found, Standing::Undecided) - 2;
    }
    println!(
        "{nights} healthy nights of {RUNS} of {} runs: {alarms} alarms, {red} red nights, {undecided} undecided",
        pool.runs
    );
    assert!(alarms as f64 <= nights as f64 / 365.0, "more than one a year");
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn shifts_and_drifts_are_found_in_time() {
    let pool = Measured::new(&pool::read("clean_logits.npz"));
    let worse = |metric: Charted, sigmas: f64| match metric {
        Charted::Accuracy => -sigmas * pool.sigma(metric),
        Charted::Nll | Charted::Ece => sigmas * pool.sigma(metric),
        _ => 0.0,
    };
    println!("nights until the alarm (median, 9 in 10), 40 sequences; accuracy alone | accuracy, NLL and ECE");
    for before in [10, 40] {
        for (name, sigmas) in [("2", 2.0), ("3", 3.0), ("4", 4.0), ("6", 6.0), ("drift of 0.2 a night", 0.2)] {
            let nights_until = |all: bool| -> Vec<usize> {
                let mut nights: Vec<usize> = (0..40)
                    .map(|sequence| {
                        let by = |night: usize, metric| {
                            let since = (night + 1).saturating_sub(before) as f64;
                            let size = if sigmas < 1.0 { sigmas * since } else { sigmas * since.min(1.0) };
                            if all || metric == Charted::Accuracy { worse(metric, size) } else { 0.0 }
                        };
                        let observed = pool.sequence(before + 60, 1000 + sequence, by);
                        let found = judge(observed, &Rules { seed: sequence, ..Rules::default() }).unwrap();
                        let first = found.signals.iter().map(|signal| signal.sweep).find(|&sweep| sweep >= before);
                        first.map_or(usize::MAX, |sweep| sweep - before + 1)
                    })
                    .collect();
                nights.sort_unstable();
                nights
            };
            let shown = |nights: &[usize]| {
                let at = |place: usize| match nights[place] {
                    usize::MAX => "> 60".to_owned(),
                    nights => nights.to_string(),
                };
                format!("{} ({})", at(20), at(36))
            };
            let (alone, all) = (nights_until(false), nights_until(true));
            println!("reference of {before:2}, shift {name}: {} | {}", shown(&alone), shown(&all));
            if sigmas >= 6.0 {
                assert!(all[36] <= 2, "six sigmas are to be seen at once");
            }
        }
    }
}

#[test]
#[ignore = "counts on pools of runs: tests/slow.sh verdicts"]
fn after_accept_the_new_level_is_green_and_leaving_it_is_red() {
    let pool = Measured::new(&pool::read("clean_logits.npz"));
    let size = |metric: Charted| match metric {
        Charted::Accuracy => -6.0 * pool.sigma(metric),
        Charted::Nll | Charted::Ece => 6.0 * pool.sigma(metric),
        _ => 0.0,
    };
    let (mut green, mut alarms, mut at_once, mut soon, mut nights, sequences) = (0, 0, 0, 0, 0, 100);
    for sequence in 0..sequences {
        // Five nights, a change that is accepted on its first night, and four more nights of it.
        let judged = |after: f64| {
            let by = |night: usize, metric| {
                size(metric) * (f64::from(u8::from(night >= 5)) + if night >= 6 { after } else { 0.0 })
            };
            let mut observed = pool.sequence(10, 3000 + sequence, by);
            let at = jiff::Timestamp::from_second(0).unwrap();
            observed[5].night.accepted = Some(Acceptance { at, by: "me".into(), why: None });
            judge(observed, &Rules { seed: sequence, ..Rules::default() }).unwrap()
        };
        let (kept, moved) = (judged(0.0), judged(1.0));
        nights += kept.sweeps.len() - 6;
        green += count(&kept, Standing::Green) - 2;
        alarms += kept.signals.iter().filter(|signal| signal.sweep > 5).count();
        at_once += usize::from(moved.sweeps[6].standing == Standing::Red);
        soon += usize::from(moved.sweeps[8].standing == Standing::Red);
    }
    println!(
        "after a change of 6 sigmas was accepted: {green} of {nights} nights green, {alarms} false alarms; another of 6 sigmas the \
         night after is red at once in {at_once} and within three nights in {soon} of {sequences}"
    );
    assert!(alarms <= 1 && green * 100 >= nights * 98, "{green} of {nights}");
    assert!(soon * 10 >= sequences as usize * 9, "{soon}");
}
