//! A run's network and, for every kind of kernel, the linear model that stands in for it (Engel 2024): how faithful it is, and what
//! its decisions rest on.

use std::path::PathBuf;

use serde::Serialize;

use crate::config::{self, Experiment};
use crate::data::{self, Dataset, Split};
use crate::error::{Error, Result};
use crate::kernel::study::{Examples, Study, study};
use crate::kernel::surrogate::{FitOptions, Influence, softmax};
use crate::kernel::{DEFAULT_BUDGET, Draw, Jacobians, Kind};
use crate::model::HostTensor;
use crate::record::{RunReader, SweepReader, Values, layout};

/// Dimensions of projected gradients: as many as a surrogate can use, and a quarter of what `kernel compute` takes.
const PROJECTION: usize = 1024;

/// What is fitted and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The sweep's directory.
    pub sweep: PathBuf,
    /// The run whose network is explained.
    pub run: usize,
    /// Epoch whose weights are taken; None: the last.
    pub checkpoint: Option<usize>,
    /// Training examples that surrogates are fitted to, and evaluation examples on which they are judged; both class-balanced.
    pub train: usize,
    /// How many test examples are predicted.
    pub test: usize,
    /// The kernels, cosine-normalised; the decisions of the first one's surrogate are explained.
    pub kinds: Vec<Kind>,
    /// λ of the penalty ½λ‖W‖².
    pub ridge: f64,
    /// Evaluation examples to explain, by their places; none: those that the network gets wrong with the most confidence, then those it
    /// is least sure of, `rows` of them.
    pub explain: Vec<usize>,
    /// How many test examples the attribution lists.
    pub rows: usize,
    /// Training examples shown for each.
    pub top: usize,
}

/// What was found: the numbers of the surrogate whose decisions are explained, and those of every kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Name and version of the format.
    pub schema: &'static str,
    /// The run whose network is explained.
    pub run: usize,
    /// Epochs of training at this checkpoint.
    pub epoch: usize,
    /// Kind of kernel.
    pub kernel: &'static str,
    /// How many training examples the surrogate was fitted to, and on how many of the evaluation set it was judged.
    pub train: usize,
    /// How many test examples were predicted.
    pub test: usize,
    /// Penalty of the fit.
    pub ridge: f64,
    /// Euclidean norm of the objective's gradient where the fit ended, and the iterations that it took.
    pub gradient_norm: f64,
    /// Steps that the fit took.
    pub iterations: u64,
    /// Mean cross-entropy on the training examples, in nats.
    pub loss: f64,
    /// Accuracy of the network on the test examples.
    pub network_accuracy: f64,
    /// Accuracy of the surrogate on them.
    pub surrogate_accuracy: f64,
    /// Accuracy of the surrogate less that of the network.
    pub tad: f64,
    /// Kendall's τ_b between the two log-odds of the correct class.
    pub tau: Option<f64>,
    /// Examples that both get wrong over those that either gets wrong.
    pub r_miss: Option<f64>,
    /// A row for each kind of kernel that was asked for, in that order.
    pub kinds: Vec<Fitted>,
    /// What single decisions rest on.
    pub attribution: Vec<Explained>,
}

/// The surrogate of one kind of kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fitted {
    /// Kind of kernel.
    pub kernel: &'static str,
    /// Norm of the gradient where the fit ended.
    pub gradient_norm: f64,
    /// Steps that the fit took.
    pub iterations: u64,
    /// Loss of the surrogate on the training examples, in nats.
    pub loss: f64,
    /// Accuracy of the surrogate on the test examples.
    pub surrogate_accuracy: f64,
    /// Test accuracy difference: the surrogate's accuracy minus the network's.
    pub tad: f64,
    /// Kendall's τ-b between the probabilities of the right class.
    pub tau: Option<f64>,
    /// Test examples that both get wrong over those that either gets wrong; none where neither errs.
    pub r_miss: Option<f64>,
}

/// A test example and what the surrogate's decision about it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Place in the evaluation set.
    pub example: usize,
    /// Index of the true class.
    pub label: u32,
    /// Class that the network decides for.
    pub network: usize,
    /// Its probability there.
    pub network_probability: f64,
    /// Class that the surrogate decides for.
    pub surrogate: usize,
    /// Its probability there.
    pub surrogate_probability: f64,
    /// The training examples that weigh most for the decision (a positive contribution) or against it, the heaviest first.
    pub weighs_most: Vec<Weight>,
}

/// A training example and what it adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weight {
    /// Place in the training set.
    pub example: usize,
    /// Index of its true class.
    pub label: u32,
    /// Kernel between the two examples, normalised to at most 1.
    pub similarity: f64,
    /// What it adds to the surrogate's logit of the class that it decides for.
    pub contribution: f64,
}

/// Fits, judges and explains. Also returns the data, in which the places of the report are.
///
/// # Errors
/// [`Error::Invalid`] where the sweep, the run or the weights are not there, or no kind of kernel is named;
/// [`Error::RunsFailed`] for a run that is not complete.
pub fn surrogate(request: &Request) -> Result<(Report, Dataset)> {
    let reader = SweepReader::open(&request.sweep)?;
    let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
    if request.run >= reader.manifest().runs {
        return Err(Error::Invalid(format!(
            "there is no run {} in {}: its runs are 0 to {}",
            request.run,
            request.sweep.display(),
            reader.manifest().runs.saturating_sub(1)
        )));
    }
    let run = reader.run(request.run)?;
    let (epoch, weights) = weights(request, &run)?;
    let data = data_of(&experiment, &run)?;
    let plan = experiment.plan(data.shape, data.classes.len())?;
    let network = Jacobians::from_weights(&plan, weights, DEFAULT_BUDGET)?;
    let chosen = Chosen::new(request, &data, experiment.data.seed)?;
    let (train, test) = (taken(&data, &data.train, &chosen.train), taken(&data, &data.eval, &chosen.test));
    let options = FitOptions { ridge: request.ridge, ..FitOptions::default() };
    let mut studies = Vec::with_capacity(request.kinds.len());
    for &kind in &request.kinds {
        studies.push(study(
            &network,
            Examples { pixels: &train.pixels, labels: &train.labels },
            Examples { pixels: &test.pixels, labels: &test.labels },
            kind,
            &Draw { dimensions: PROJECTION, ..Draw::default() },
            &options,
        )?);
    }
    let first =
        studies.first().ok_or_else(|| Error::Invalid("no kind of kernel is named to fit a surrogate to".into()))?;
    let attribution = explain(request, &chosen, first, &train.labels, &test.labels)?;
    let fitted = |(kind, study): (&Kind, &Study)| Fitted {
        kernel: kind.name(),
        gradient_norm: study.surrogate.gradient_norm,
        iterations: study.surrogate.iterations,
        loss: study.surrogate.loss,
        surrogate_accuracy: study.fidelity.surrogate_accuracy,
        tad: study.fidelity.tad,
        tau: study.fidelity.tau,
        r_miss: study.fidelity.shared_misses,
    };
    let kinds: Vec<Fitted> = request.kinds.iter().zip(&studies).map(fitted).collect();
    let report = Report {
        schema: "harness.surrogate/1",
        run: request.run,
        epoch,
        kernel: kinds[0].kernel,
        train: train.len(),
        test: test.len(),
        ridge: request.ridge,
        gradient_norm: kinds[0].gradient_norm,
        iterations: kinds[0].iterations,
        loss: kinds[0].loss,
        network_accuracy: first.fidelity.network_accuracy,
        surrogate_accuracy: kinds[0].surrogate_accuracy,
        tad: kinds[0].tad,
        tau: kinds[0].tau,
        r_miss: kinds[0].r_miss,
        kinds,
        attribution,
    };
    Ok((report, data))
}

/// The epoch and its weights.
fn weights(request: &Request, run: &RunReader) -> Result<(usize, Vec<HostTensor>)> {
    let kept = run.epochs_with(layout::WEIGHTS);
    let epoch = request.checkpoint.or(kept.last().copied());
    let tensors = epoch.map(|epoch| run.weights(epoch)).transpose()?.flatten();
    let (Some(epoch), Some(tensors)) = (epoch, tensors) else {
        return Err(Error::Invalid(format!(
            "run {} of {} keeps the weights of {} only: set record.weights = true in the experiment to keep them at every checkpoint",
            run.index(),
            request.sweep.display(),
            match kept.as_slice() {
                [] => "no epoch".to_owned(),
                kept => format!("epoch {}", kept.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
            }
        )));
    };
    let weights = tensors.iter().filter_map(|(name, shape, values)| match values {
        Values::F32(values) => Some(HostTensor::new(name, shape, values.clone())),
        _ => None,
    });
    Ok((epoch, weights.collect()))
}

/// The data that the run was trained on.
pub(super) fn data_of(experiment: &Experiment, run: &RunReader) -> Result<Dataset> {
    let data = data::load(&experiment.data)?;
    match &run.outcome().provenance.data_digest {
        Some(digest) if *digest != data.digest => Err(Error::Invalid(format!(
            "the data of {} are not those that run {} was trained on: their digest is {}, not {digest}",
            experiment.data.dataset.name(),
            run.index(),
            data.digest
        ))),
        _ => Ok(data),
    }
}

/// Places in the training and the evaluation set.
struct Chosen {
    train: Vec<usize>,
    test: Vec<usize>,
}

impl Chosen {
    fn new(request: &Request, data: &Dataset, seed: u64) -> Result<Self> {
        let classes = data.classes.len();
        if let Some(place) = request.explain.iter().find(|&&place| place >= data.eval.len()) {
            return Err(Error::Invalid(format!(
                "there is no evaluation example {place} to explain: they are 0 to {}",
                data.eval.len().saturating_sub(1)
            )));
        }
        let train = data::subset(&data.train, classes, request.train, seed);
        let mut test = data::subset(&data.eval, classes, request.test, seed);
        test.extend(&request.explain);
        test.sort_unstable();
        test.dedup();
        Ok(Self { train, test })
    }
}

/// The examples at these places.
pub(super) fn taken(data: &Dataset, split: &Split, places: &[usize]) -> Split {
    let length: usize = data.shape.iter().product();
    Split {
        pixels: places.iter().flat_map(|&i| &split.pixels[i * length..(i + 1) * length]).copied().collect(),
        labels: places.iter().map(|&i| split.labels[i]).collect(),
    }
}

/// Largest class of a row of logits, and the probabilities.
fn decision(logits: &[f64]) -> (usize, Vec<f64>) {
    let top = (1..logits.len()).fold(0, |top, class| if logits[class] > logits[top] { class } else { top });
    let mut probabilities = logits.to_vec();
    softmax(&mut probabilities);
    (top, probabilities)
}

fn explain(request: &Request, chosen: &Chosen, study: &Study, train: &[u32], test: &[u32]) -> Result<Vec<Explained>> {
    let classes = study.surrogate.classes;
    let network: Vec<(usize, Vec<f64>)> = study.network_logits.chunks_exact(classes).map(decision).collect();
    let places: Vec<usize> = if request.explain.is_empty() {
        let mut places: Vec<usize> = (0..test.len()).collect();
        // Wrong and sure first, right and sure last.
        let rank = |&place: &usize| {
            let (top, probabilities) = &network[place];
            if *top != test[place] as usize { 1.0 + probabilities[*top] } else { -probabilities[*top] }
        };
        places.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        places.truncate(request.rows);
        places
    } else {
        request.explain.iter().filter_map(|place| chosen.test.binary_search(place).ok()).collect()
    };
    let explained = places.into_iter().map(|place| {
        let (surrogate, probabilities) = decision(&study.surrogate_logits[place * classes..][..classes]);
        let (top, sure) = &network[place];
        let row = &study.rows[place * train.len()..][..train.len()];
        let influences = study.surrogate.attribute(row, surrogate, request.top)?;
        let weight = |influence: &Influence| Weight {
            example: chosen.train[influence.example],
            label: train[influence.example],
            similarity: influence.similarity,
            contribution: influence.contribution,
        };
        Ok(Explained {
            example: chosen.test[place],
            label: test[place],
            network: *top,
            network_probability: sure[*top],
            surrogate,
            surrogate_probability: probabilities[surrogate],
            weighs_most: influences.iter().map(weight).collect(),
        })
    });
    explained.collect()
}
