//! The pictures of examples on which runs stand alone, as bytes that a page can show.

use std::collections::{BTreeMap, BTreeSet};

use super::schema::Analysis;

/// Some examples of the evaluation set as pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// Channels, height, width of one picture.
    pub shape: [usize; 3],
    /// By the number of the example: `[channels, height, width]`, 0 is black.
    pub pixels: BTreeMap<usize, Vec<u8>>,
}

/// The examples to show, at most `count`: first the surest of each run, then the next ones, lower runs before higher.
#[must_use]
pub fn wanted(analysis: &Analysis, count: usize) -> BTreeSet<usize> {
    let mut chosen = BTreeSet::new();
    let longest = analysis.alone.iter().map(|held| held.examples.len()).max().unwrap_or(0);
    for rank in 0..longest {
        for example in analysis.alone.iter().filter_map(|held| held.examples.get(rank)) {
            if chosen.len() == count {
                return chosen;
            }
            chosen.insert(example.example);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Evidence, Input, RunLogits, Settings, analyze};

    #[test]
    fn every_run_has_its_surest_example_before_any_has_its_second() {
        // Three runs of one-hot decisions: run 0 stands alone on examples 0 and 1, run 1 on example 2, run 2 on example 3,
        // and where one stands alone the other two agree.
        let decisions = [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]];
        let runs = decisions.iter().zip(0..).map(|(row, index)| {
            let logits = row.iter().enumerate().flat_map(|(example, &class)| {
                // Example 0 is decided most surely.
                let size = if example == 0 { 5.0 } else { 1.0 };
                if class == 0 { [size, 0.0] } else { [0.0, size] }
            });
            RunLogits { index, logits: logits.collect() }
        });
        let input = Input::new(vec![0, 1, 0, 1], 2, runs.collect()).unwrap();
        let analysis = analyze(&input, Evidence::default(), Settings::default()).unwrap();
        let of = |count| wanted(&analysis, count).into_iter().collect::<Vec<_>>();
        assert_eq!(of(3), [0, 2, 3]);
        assert_eq!(of(10), [0, 1, 2, 3]);
        assert!(of(0).is_empty());
    }
}
