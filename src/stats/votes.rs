//! How the plurality votes of two groups of runs differ, and how much they would if the groups were drawn at random.

use super::rng::Stream;
use crate::error::{Error, Result};

/// Where two groups vote differently.
#[derive(Debug, Clone, PartialEq)]
pub struct VoteChanges {
    /// Examples whose plurality votes differ, ascending.
    pub changed: Vec<VoteChange>,
    /// How many differ in the mean over random divisions of all runs into groups of the same sizes.
    pub expected: f64,
    /// (1 + divisions with at least as many)/(1 + divisions), in (0, 1].
    pub p: f64,
}

/// One example, on which the groups vote for different classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoteChange {
    /// Index of the test example.
    pub example: usize,
    /// The class that most runs of the first group choose; ties go to the lowest class.
    pub first: u32,
    /// Class with the most votes of the second side.
    pub second: u32,
    /// The share of its group that this class has, in (0, 1].
    pub first_share: f64,
    /// Its share of the votes.
    pub second_share: f64,
}

/// Changes of the plurality vote from runs 0..`first` to the rest, from the decisions `[N]` of every run, each below
/// `classes`; against `divisions` random ones.
///
/// # Errors
/// [`Error::Invalid`] if a group is empty, lengths differ or are 0, or a decision is out of range.
pub fn changes(
    decisions: &[Vec<u32>],
    first: usize,
    classes: usize,
    divisions: usize,
    seed: u64,
) -> Result<VoteChanges> {
    let examples = decisions.first().map_or(0, Vec::len);
    let sound = |row: &Vec<u32>| row.len() == examples && row.iter().all(|&class| (class as usize) < classes);
    if examples == 0 || first == 0 || first >= decisions.len() || !decisions.iter().all(sound) {
        return Err(Error::Invalid(format!(
            "the votes of {first} of {} runs: both groups need a run, and every run a decision below {classes} on the same examples",
            decisions.len()
        )));
    }
    // Where all runs agree, no division changes the vote.
    let contested: Vec<usize> =
        (0..examples).filter(|&i| decisions.iter().any(|row| row[i] != decisions[0][i])).collect();
    let ballots = Ballots::new(decisions, &contested, classes);
    let all: Vec<usize> = (0..decisions.len()).collect();
    let changed: Vec<VoteChange> = ballots
        .changes(&all[..first], &all[first..])
        .into_iter()
        .map(|(place, (first_class, first_votes), (second_class, second_votes))| VoteChange {
            example: contested[place],
            first: first_class,
            second: second_class,
            first_share: f64::from(first_votes) / first as f64,
            second_share: f64::from(second_votes) / (decisions.len() - first) as f64,
        })
        .collect();
    let (mut sum, mut as_many) = (0, 0);
    for division in 0..divisions {
        let mut order = all.clone();
        Stream::new(seed, division as u64).shuffle(&mut order);
        let count = ballots.changes(&order[..first], &order[first..]).len();
        sum += count;
        as_many += usize::from(count >= changed.len());
    }
    Ok(VoteChanges {
        expected: sum as f64 / divisions.max(1) as f64,
        p: (1 + as_many) as f64 / (1 + divisions) as f64,
        changed,
    })
}

/// Class and number of its votes.
type Winner = (u32, u32);

/// The decisions on the contested examples, renumbered: each row of examples, for one run.
struct Ballots {
    rows: Vec<Vec<u32>>,
    classes: usize,
}

impl Ballots {
    fn new(decisions: &[Vec<u32>], contested: &[usize], classes: usize) -> Self {
        let rows = decisions.iter().map(|row| contested.iter().map(|&i| row[i]).collect()).collect();
        Self { rows, classes }
    }

    /// Places where the winners of two groups differ, with both.
    fn changes(&self, first: &[usize], second: &[usize]) -> Vec<(usize, Winner, Winner)> {
        let (a, b) = (self.winners(first), self.winners(second));
        let pairs = a.into_iter().zip(b).enumerate();
        pairs.filter(|(_, (a, b))| a.0 != b.0).map(|(place, (a, b))| (place, a, b)).collect()
    }

    fn winners(&self, of: &[usize]) -> Vec<Winner> {
        let places = self.rows.first().map_or(0, Vec::len);
        let mut votes = vec![0u32; self.classes];
        (0..places)
            .map(|place| {
                votes.fill(0);
                for &run in of {
                    votes[self.rows[run][place] as usize] += 1;
                }
                let lead = |best: Winner, (class, &count): (usize, &u32)| {
                    if count > best.1 { (class as u32, count) } else { best }
                };
                votes.iter().enumerate().fold((0, 0), lead)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Votes of three and two runs on four examples: agreed; 1 1 0 | 2 2; a tie 0 1 2 | 1 1; 3 3 3 | 3 0 (tie to 0).
        let decisions = [[0, 1, 0, 3], [0, 1, 1, 3], [0, 0, 2, 3], [0, 2, 1, 3], [0, 2, 1, 0]].map(Vec::from).to_vec();
        let found = changes(&decisions, 3, 4, 50, 1).unwrap();
        let seen: Vec<(usize, u32, u32)> = found.changed.iter().map(|c| (c.example, c.first, c.second)).collect();
        assert_eq!(seen, [(1, 1, 2), (2, 0, 1), (3, 3, 0)]);
        assert!((found.changed[0].first_share - 2.0 / 3.0).abs() < 1e-15 && found.changed[0].second_share == 1.0);
        assert!(found.p > 0.0 && found.p <= 1.0 && found.expected > 0.0);
    }

    #[test]
    fn groups_that_vote_apart_stand_out_and_halves_of_one_do_not() {
        let mut stream = Stream::new(4, 0);
        let mut runs: Vec<Vec<u32>> =
            (0..16).map(|_| (0..300).map(|_| u32::from(stream.uniform() < 0.4)).collect()).collect();
        let halves = changes(&runs, 8, 2, 200, 1).unwrap();
        assert!(halves.p > 0.01 && (halves.changed.len() as f64 - halves.expected).abs() < 30.0, "{}", halves.expected);
        // On a third of the examples one side votes 1 four times out of five, the other once.
        for (run, row) in runs.iter_mut().enumerate() {
            let often = if run < 8 { 0.2 } else { 0.8 };
            row[..100].fill_with(|| u32::from(stream.uniform() < often));
        }
        let apart = changes(&runs, 8, 2, 200, 1).unwrap();
        assert!(apart.p < 0.01 && apart.changed.len() as f64 > apart.expected + 30.0, "{}", apart.expected);
    }

    #[test]
    fn no_contest_and_no_sense() {
        let agreed = changes(&[vec![1, 2], vec![1, 2]], 1, 3, 10, 1).unwrap();
        assert_eq!((agreed.changed.len(), agreed.expected, agreed.p), (0, 0.0, 1.0));
        assert!(changes(&[vec![1]], 1, 3, 10, 1).is_err() && changes(&[vec![3], vec![1]], 1, 3, 10, 1).is_err());
        assert!(changes(&[vec![1], vec![1, 2]], 1, 3, 10, 1).is_err() && changes(&[], 0, 3, 10, 1).is_err());
    }
}
