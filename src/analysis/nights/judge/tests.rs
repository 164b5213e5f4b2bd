//! Made nights and what is said of them.

use super::super::quantity::Values;
use super::super::schema::Acceptance;
use super::*;
use crate::stats::rng::Stream;

fn normal(stream: &mut Stream) -> f64 {
    (0..12).map(|_| stream.uniform()).sum::<f64>() - 6.0
}

/// A night of `runs` runs whose accuracies have mean `centre` and standard deviation 0.005.
fn night(number: i64, runs: usize, centre: f64) -> Observed {
    let mut stream = Stream::new(number as u64, 11);
    let accuracy: Vec<f64> = (0..runs).map(|_| centre + 0.005 * normal(&mut stream)).collect();
    let nll: Vec<f64> = accuracy.iter().map(|value| 2.0 - 1.9 * value + 0.002 * normal(&mut stream)).collect();
    Observed {
        night: Night {
            name: "made".into(),
            place: format!("night-{number}"),
            started: jiff::Timestamp::from_second(86_400 * number).unwrap(),
            experiment: None,
            runs,
            planned: runs,
            changed: Vec::new(),
            origin: Vec::new(),
            accepted: None,
            standing: Standing::First,
            evidence: None,
            evidence_better: None,
            reference: 0,
            why: String::new(),
        },
        terms: Terms::default().and("test examples N", "500".into()),
        values: vec![
            Values { metric: Charted::Accuracy, values: accuracy },
            Values { metric: Charted::Nll, values: nll },
        ],
        unusable: None,
        incomplete: None,
        newest: false,
        digests: vec![format!("{number}")],
    }
}

fn standings(observed: Vec<Observed>) -> Vec<Standing> {
    judge(observed, &Rules::default()).unwrap().sweeps.into_iter().map(|night| night.standing).collect()
}

#[test]
fn the_alarm_stands_until_the_procedure_is_back() {
    use Standing::{First, Green, Red, Undecided};
    let mut nights: Vec<Observed> = (1..=5).map(|number| night(number, 10, 0.97)).collect();
    nights.extend((6..=8).map(|number| night(number, 10, 0.94)));
    nights.extend((9..=10).map(|number| night(number, 10, 0.97)));
    let found = judge(nights.clone(), &Rules::default()).unwrap();
    let seen: Vec<Standing> = found.sweeps.iter().map(|night| night.standing).collect();
    assert_eq!(seen, [First, Undecided, Undecided, Green, Green, Red, Red, Red, Green, Green]);
    assert_eq!((found.signals.len(), found.signals[0].sweep, found.red), (1, 5, false));
    assert_eq!(found.reference, [0, 1, 2, 3, 4, 8, 9]);
    // Until it is back it is red, with the night of the change named.
    let found = judge(nights[..8].to_vec(), &Rules::default()).unwrap();
    let alarm = found.alarm.unwrap();
    assert!(found.red && alarm.since == 5 && alarm.raised == 5 && alarm.worse);
}

#[test]
fn a_wanted_change_is_green_once_accepted() {
    use Standing::{Accepted, First, Green, Red, Undecided};
    let mut nights: Vec<Observed> = (1..=4).map(|number| night(number, 10, 0.97)).collect();
    nights.extend((5..=8).map(|number| night(number, 10, 0.94)));
    nights[5].night.accepted =
        Some(Acceptance { at: jiff::Timestamp::from_second(0).unwrap(), by: "me".into(), why: None });
    assert_eq!(standings(nights.clone()), [First, Undecided, Undecided, Green, Red, Accepted, Green, Green]);
    nights[5].night.accepted = None;
    assert_eq!(standings(nights)[4..], [Red; 4], "taken back");
}

#[test]
fn odd_crashed_and_repeated_nights_harm_nobody() {
    let mut nights: Vec<Observed> = (1..=5).map(|number| night(number, 10, 0.97)).collect();
    let mut odd = night(6, 10, 0.97);
    odd.terms = Terms::default().and("test examples N", "200".into());
    let mut crashed = night(7, 3, 0.97);
    crashed.incomplete = Some("3 of 10 runs are complete".into());
    let mut damaged = night(8, 0, 0.97);
    damaged.unusable = Some("run 3 is damaged".into());
    let mut repeated = night(9, 10, 0.97);
    repeated.digests = vec!["4".into()];
    nights.extend([odd, crashed, damaged, repeated, night(10, 10, 0.97)]);
    let found = judge(nights.clone(), &Rules::default()).unwrap();
    let seen: Vec<Standing> = found.sweeps.iter().map(|night| night.standing).collect();
    use Standing::{Green, LeftOut};
    assert_eq!(seen[5..], [LeftOut, Green, LeftOut, LeftOut, Green]);
    assert_eq!(found.reference, [0, 1, 2, 3, 4, 9]);
    assert_eq!(found.notes.len(), 4, "{:?}", found.notes);
    assert!(found.notes[0].contains("test examples N (200 against 500)"));
    // The newest of them is not comparable; the odd one first does not leave out the rest.
    assert_eq!(*standings(nights[..6].to_vec()).last().unwrap(), LeftOut);
    nights[5].night.started = jiff::Timestamp::from_second(0).unwrap();
    assert_eq!(standings(nights)[..2], [LeftOut, Standing::First]);
}

#[test]
fn better_is_not_red_and_enters_no_reference() {
    let mut nights: Vec<Observed> = (1..=5).map(|number| night(number, 10, 0.94)).collect();
    nights.extend((6..=7).map(|number| night(number, 10, 0.97)));
    nights.push(night(8, 10, 0.90));
    let found = judge(nights, &Rules::default()).unwrap();
    let seen: Vec<Standing> = found.sweeps.iter().map(|night| night.standing).collect();
    assert_eq!(seen[5..], [Standing::Better, Standing::Better, Standing::Red]);
    assert_eq!(found.reference, [0, 1, 2, 3, 4]);
}

#[test]
fn so_few_runs_are_never_called_green_on_a_collapse() {
    let mut nights: Vec<Observed> = (1..=7).map(|number| night(number, 3, 0.97)).collect();
    nights.extend((8..=12).map(|number| night(number, 3, 0.6)));
    let seen = standings(nights);
    assert_eq!((seen[3], seen[6]), (Standing::Undecided, Standing::Green), "{seen:?}");
    assert_eq!(seen[7], Standing::Undecided, "{seen:?}");
    assert_eq!(*seen.last().unwrap(), Standing::Red, "{seen:?}");
    let two: Vec<Observed> = (1..=6).map(|number| night(number, 1, 0.97)).collect();
    assert!(!standings(two).contains(&Standing::Green), "one run a night can show nothing within a week");
}

#[test]
fn nights_that_vary_by_themselves_are_their_own_unit() {
    let mut stream = Stream::new(5, 5);
    let nights: Vec<Observed> = (1..=20).map(|n| night(n, 10, 0.97 + 0.01 * normal(&mut stream))).collect();
    let found = judge(nights, &Rules::default()).unwrap();
    assert!(found.charts[0].by_night && found.signals.is_empty(), "{:?}", found.signals);
    assert!(found.notes.iter().any(|note| note.contains("the night is the unit")));
}

#[test]
fn a_drift_is_found_and_a_frozen_reference_stays() {
    // A fifth of a night's standard deviation (0.005/√10) every night.
    let nights: Vec<Observed> = (1..=60).map(|n| night(n, 10, 0.97 - (n - 20).max(0) as f64 * 0.2 * 0.00158)).collect();
    let found = judge(nights.clone(), &Rules::default()).unwrap();
    assert!(found.red && found.signals[0].sweep < 50, "{:?}", found.signals);
    let frozen = judge(nights, &Rules { baseline: Some(10), ..Rules::default() }).unwrap();
    assert!(frozen.red && frozen.baseline == 10, "{:?}", frozen.signals);
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(judge(Vec::new(), &Rules::default()).is_err());
    assert!(judge(vec![night(1, 3, 0.9)], &Rules { between: 1.0, ..Rules::default() }).is_err());
}
