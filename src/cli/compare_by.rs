//! `harness compare --by`: two sweeps by something else than what they decide. Nothing is judged, so nothing is red.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{embed, print};
use crate::error::{Error, Result};
use crate::workflow::attribution_of::{Attributions, attributions};
use crate::workflow::embed::{What, alike};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// What runs decide
    Decisions,
    /// What the last dense layer reads: CKA, neighbours, Procrustes
    Representation,
    /// The training examples that decisions rest on
    Attribution,
}

/// Compares the two sweeps `sides` and prints.
///
/// # Errors
/// [`Error::Usage`] for more than two sides; as [`alike`] and [`attributions`].
pub fn run(by: By, sides: &[PathBuf], epoch: Option<usize>, examples: usize, json: bool) -> Result<()> {
    let [first, second] = sides else {
        return Err(Error::Usage(format!("with `--by` two sweeps are compared, and here are {}", sides.len())));
    };
    let text = match by {
        By::Attribution => by_attribution(&attributions(first, second, examples)?, json)?,
        By::Decisions | By::Representation => {
            embed::shown(&alike(first, Some(second), What { epoch, ..What::default() }, PERMUTATIONS)?, json)?
        }
    };
    print(&text)
}

/// Permutations behind the null of each representation distance.
const PERMUTATIONS: usize = 99;

fn by_attribution(found: &Attributions, json: bool) -> Result<String> {
    if json {
        return serde_json::to_string(found)
            .map(|text| text + "\n")
            .map_err(|cause| Error::Unexpected(format!("cannot write attributions as JSON: {cause}")));
    }
    let mut text = format!(
        "What decisions rest on: surrogates of the {} kernel on {} training examples, {} decisions\n\n{:<18} {:>6} {:>9} {:>10} {:>10}\n",
        found.kernel, found.train, found.test, "pairs", "count", "overlap", "fidelity", "agreement"
    );
    let rows = [("within the first", found.within_first), ("within the second", found.within_second)];
    for (of, mean) in rows.into_iter().chain([("between", Some(found.between))]) {
        if let Some(mean) = mean {
            text += &format!(
                "{of:<18} {:>6} {:>9.3} {:>10.3} {:>10.3}\n",
                mean.pairs, mean.overlap, mean.fidelity, mean.agreement
            );
        }
    }
    text += &format!(
        "\noverlap: Jaccard of the {} most telling training examples. fidelity, agreement: the surrogate of one run against the \
         decisions of the other, as Kendall's τ of log-odds and as a share.\n",
        found.telling
    );
    let own = |side: char| {
        let tau: Vec<f64> =
            found.runs.iter().filter(|run| run.run.starts_with(side)).filter_map(|run| run.tau).collect();
        tau.iter().sum::<f64>() / tau.len().max(1) as f64
    };
    text += &format!("Surrogates against their own runs: τ {:.3} and {:.3}.\n", own('a'), own('b'));
    if let Some(p) = found.p_between {
        let verdict = if p <= 0.05 {
            "The two decide by other examples than runs of one of them do"
        } else {
            "No difference beyond that among runs of one sweep is found"
        };
        text += &format!("{verdict} (p = {p:.4}, permutation of runs).\n");
    }
    Ok(text)
}
