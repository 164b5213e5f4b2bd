//! What is watched from night to night.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::analysis::comparison::{Quantity, of_classes};
use crate::analysis::evidence::Evidence;
use crate::analysis::independence::{Standing, standings};
use crate::analysis::input::Input;
use crate::analysis::kernels::Snapshot;
use crate::analysis::metrics::{Better, Metric};
use crate::error::Result;
use crate::kernel::alignment::label_alignment;
use crate::stats::calibration::{BINS, calibration};
use crate::stats::churn;
use crate::stats::evidence::Tail;
use crate::stats::logits::Real;
use crate::stats::scores::scores;

/// A quantity that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Charted {
    /// Mean accuracy of the runs.
    Accuracy,
    /// Mean negative log-likelihood, in nats.
    Nll,
    /// Mean calibration error.
    Ece,
    /// Mean churn of two runs of the night: one value a night.
    Churn,
    /// Centred alignment of the last kernel with the labels.
    KernelAlignment,
    /// 1 for a run with logits that are not finite, 0 for another.
    Diverged,
    /// Accuracy on the examples of one class.
    ClassAccuracy(u32),
}

impl Charted {
    /// All but those of classes, in the order of pages.
    pub const ALL: [Self; 6] =
        [Self::Accuracy, Self::Nll, Self::Ece, Self::Churn, Self::KernelAlignment, Self::Diverged];

    /// As in JSON.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Accuracy => "accuracy".into(),
            Self::Nll => "nll".into(),
            Self::Ece => "ece".into(),
            Self::Churn => "churn".into(),
            Self::KernelAlignment => "kernel_alignment".into(),
            Self::Diverged => "diverged".into(),
            Self::ClassAccuracy(class) => Quantity::ClassAccuracy(class).name(),
        }
    }

    /// In which direction it gets worse; an alignment of kernels has neither.
    #[must_use]
    pub fn worse(self) -> Tail {
        let better = match self {
            // No row of the table: no run has it.
            Self::Diverged => Better::Lower,
            Self::ClassAccuracy(_) => Better::Higher,
            _ => Metric::by_key(&self.name()).map_or(Better::Neither, |metric| metric.better),
        };
        match better {
            Better::Higher => Tail::Lower,
            Better::Lower => Tail::Higher,
            Better::Neither => Tail::Either,
        }
    }

    /// Whether a run has a value of its own, rather than a night.
    #[must_use]
    pub fn is_of_runs(self) -> bool {
        self != Self::Churn
    }

    /// Its place in tables.
    #[must_use]
    pub fn order(self) -> (usize, u32) {
        match self {
            Self::ClassAccuracy(class) => (Self::ALL.len(), class),
            _ => (Self::ALL.iter().position(|other| *other == self).unwrap_or_default(), 0),
        }
    }
}

impl From<Charted> for String {
    fn from(charted: Charted) -> Self {
        charted.name().into_owned()
    }
}

impl TryFrom<String> for Charted {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        match (Self::ALL.into_iter().find(|charted| charted.name() == name), name.parse()) {
            (Some(charted), _) => Ok(charted),
            (None, Ok(Quantity::ClassAccuracy(class))) => Ok(Self::ClassAccuracy(class)),
            _ => Err(format!("`{name}` is not watched from night to night")),
        }
    }
}

/// The values of one quantity: one for each run, or one for the night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// Which quantity.
    pub metric: Charted,
    /// The values, one for each run or night.
    pub values: Vec<f64>,
}

/// Every quantity of the distinct finite runs of a night, and how many these are. `probes` are the labels of the examples that
/// the kernels are of, `weights` the digests that tell repeated runs.
///
/// # Errors
/// [`crate::error::Error::Invalid`] for kernels that are not square.
pub fn of_input<T: Real>(
    input: &Input<T>,
    weights: &[(u32, String)],
    kernels: &[Snapshot],
    probes: &[u32],
) -> Result<(Vec<Values>, usize)> {
    let evidence = Evidence { weights: weights.to_vec(), ..Evidence::default() };
    let standings = standings(input, &evidence);
    let among = |kind: fn(&Standing) -> bool| {
        input.runs().iter().zip(&standings).filter(move |(_, standing)| kind(standing)).map(|(run, _)| run)
    };
    let distinct: Vec<_> = among(|standing| *standing == Standing::Distinct).collect();
    let diverged = among(|standing| matches!(standing, Standing::Diverged(_))).count();
    let soft = distinct.iter().map(|run| input.soft(run)).collect::<Result<Vec<_>>>()?;
    let of = |metric, values: Vec<f64>| Values { metric, values };
    let mut found = vec![of(Charted::Diverged, [vec![0.0; distinct.len()], vec![1.0; diverged]].concat())];
    if distinct.is_empty() {
        return Ok((found, 0));
    }
    let scored: Vec<_> = soft.iter().map(scores).collect();
    found.extend([
        of(Charted::Accuracy, scored.iter().map(|held| held.accuracy).collect()),
        of(Charted::Nll, scored.iter().map(|held| held.nll).collect()),
        of(Charted::Ece, soft.iter().map(|soft| calibration(soft, BINS).ece).collect()),
    ]);
    let decisions: Vec<Vec<u32>> = soft.iter().map(churn::decisions).collect();
    if decisions.len() > 1 {
        found.push(of(Charted::Churn, vec![churn::pairwise(&decisions)?.mean()]));
    }
    let alignments: Option<Vec<f64>> = distinct
        .iter()
        .map(|run| {
            let kernel = &kernels.iter().find(|held| held.run == run.index)?.kernel;
            label_alignment(kernel, probes).ok()?
        })
        .collect();
    found.extend(alignments.filter(|held| !held.is_empty()).map(|values| of(Charted::KernelAlignment, values)));
    for held in of_classes(&decisions, input.labels(), input.classes()) {
        if let Quantity::ClassAccuracy(class) = held.quantity {
            found.push(of(Charted::ClassAccuracy(class), held.of_runs));
        }
    }
    Ok((found, distinct.len()))
}
