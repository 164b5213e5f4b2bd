//! `harness kernel surrogate`: a linear model on the kernel in place of a run's network, and what its decisions rest on.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{LineStyle, Table};
use polars::prelude::Column;
use serde::Serialize;

use super::super::print;
use crate::analysis::numbers::{fixed, or_dash, percent};
use crate::config::{self, Experiment, KernelKind};
use crate::data::{self, Dataset, Split};
use crate::error::{Error, Result};
use crate::kernel::study::{Examples, Study, study};
use crate::kernel::surrogate::{FitOptions, Influence, softmax};
use crate::kernel::{DEFAULT_BUDGET, Jacobians};
use crate::model::HostTensor;
use crate::record::{RunReader, SweepReader, Values, files, layout, table};
use crate::report::surrogate::{Frame, Shown, grid};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Trace,
    Pseudo,
    Conjugate,
}

#[derive(Debug, Args)]
pub struct SurrogateArgs {
    /// The sweep's directory
    sweep: PathBuf,
    /// Which run
    #[arg(long, value_name = "I")]
    run: usize,
    /// Epoch whose weights are taken; by default the last. Others need `record.weights = true` in the experiment
    #[arg(long, value_name = "E")]
    checkpoint: Option<usize>,
    /// Training examples that the surrogate is fitted to, class-balanced, chosen by data.seed
    #[arg(long, value_name = "N", default_value_t = 500)]
    train: usize,
    /// Evaluation examples on which it is judged, chosen in the same way
    #[arg(long, value_name = "N", default_value_t = 1000)]
    test: usize,
    /// Which kernel, cosine-normalised
    #[arg(long, value_enum, default_value = "trace")]
    kernel: Kind,
    /// λ of the penalty ½λ‖W‖² of the fit
    #[arg(long, value_name = "λ", default_value_t = FitOptions::default().ridge)]
    ridge: f64,
    /// Evaluation examples to explain, by their places in the evaluation set; by default those that the network gets wrong with
    /// the most confidence, then those it is least sure of
    #[arg(long, value_name = "I,J,…", value_delimiter = ',')]
    explain: Vec<usize>,
    /// How many examples are explained where none is named
    #[arg(long, value_name = "N", default_value_t = 6)]
    rows: usize,
    /// Training examples shown for each
    #[arg(long, value_name = "K", default_value_t = 6)]
    top: usize,
    /// Print one JSON object, schema harness.surrogate/1
    #[arg(long)]
    json: bool,
    /// Write surrogate.json, attribution.parquet and attribution.svg into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    run: usize,
    epoch: usize,
    kernel: &'static str,
    /// How many training examples the surrogate was fitted to, and on how many of the evaluation set it was judged.
    train: usize,
    test: usize,
    ridge: f64,
    /// Euclidean norm of the objective's gradient where the fit ended, and the iterations that it took.
    gradient_norm: f64,
    iterations: u64,
    /// Mean cross-entropy on the training examples, in nats.
    loss: f64,
    network_accuracy: f64,
    surrogate_accuracy: f64,
    /// Accuracy of the surrogate less that of the network.
    tad: f64,
    /// Kendall's τ_b between the two probabilities of the correct class.
    tau: Option<f64>,
    /// Examples that both get wrong over those that either gets wrong.
    r_miss: Option<f64>,
    attribution: Vec<Explained>,
}

/// A test example and what the surrogate's decision about it rests on.
#[derive(Debug, Serialize)]
struct Explained {
    /// Place in the evaluation set.
    example: usize,
    label: u32,
    network: usize,
    network_probability: f64,
    surrogate: usize,
    surrogate_probability: f64,
    weighs_most: Vec<Weight>,
}

#[derive(Debug, Serialize)]
struct Weight {
    /// Place in the training set.
    example: usize,
    label: u32,
    similarity: f64,
    /// What it adds to the surrogate's logit of the class that it decides for.
    contribution: f64,
}

/// Fits, judges, explains and prints; writes files where `--out` says.
///
/// # Errors
/// [`Error::Invalid`] where the sweep, the run or the weights are not there, [`Error::RunsFailed`] for a run that is not complete.
pub fn run(args: &SurrogateArgs) -> Result<()> {
    for (option, count) in [("--train", args.train), ("--test", args.test), ("--top", args.top)] {
        if count == 0 {
            return Err(Error::Usage(format!("`{option}` is 0, but at least 1 is needed")));
        }
    }
    let reader = SweepReader::open(&args.sweep)?;
    let experiment = config::from_stored(&reader.manifest().experiment, &reader.dir().manifest())?;
    if args.run >= reader.manifest().runs {
        return Err(Error::Invalid(format!(
            "there is no run {} in {}: its runs are 0 to {}",
            args.run,
            args.sweep.display(),
            reader.manifest().runs.saturating_sub(1)
        )));
    }
    let run = reader.run(args.run)?;
    let (epoch, weights) = weights(args, &run)?;
    let data = data_of(&experiment, &run)?;
    let plan = experiment.plan(data.shape, data.classes.len())?;
    let network = Jacobians::from_weights(&plan, weights, DEFAULT_BUDGET)?;
    let (kind, kernel) = match args.kernel {
        Kind::Trace => (KernelKind::Trace, "trace"),
        Kind::Pseudo => (KernelKind::Pseudo, "pseudo"),
        Kind::Conjugate => (KernelKind::Conjugate, "conjugate"),
    };
    let chosen = Chosen::new(args, &data, experiment.data.seed)?;
    let (train, test) = (taken(&data, &data.train, &chosen.train), taken(&data, &data.eval, &chosen.test));
    let options = FitOptions { ridge: args.ridge, ..FitOptions::default() };
    let study = study(
        &network,
        Examples { pixels: &train.pixels, labels: &train.labels },
        Examples { pixels: &test.pixels, labels: &test.labels },
        kind,
        &options,
    )?;
    let attribution = explain(args, &chosen, &study, &train.labels, &test.labels)?;
    let (fit, fidelity) = (&study.surrogate, study.fidelity);
    let report = Report {
        schema: "harness.surrogate/1",
        run: args.run,
        epoch,
        kernel,
        train: train.len(),
        test: test.len(),
        ridge: args.ridge,
        gradient_norm: fit.gradient_norm,
        iterations: fit.iterations,
        loss: fit.loss,
        network_accuracy: fidelity.network_accuracy,
        surrogate_accuracy: fidelity.surrogate_accuracy,
        tad: fidelity.tad,
        tau: fidelity.tau,
        r_miss: fidelity.shared_misses,
        attribution,
    };
    let json = serde_json::to_string_pretty(&report)
        .map_err(|cause| Error::Unexpected(format!("cannot write the surrogate as JSON: {cause}")))?;
    if let Some(folder) = &args.out {
        files::create_folder(folder)?;
        files::write(&folder.join("surrogate.json"), format!("{json}\n").as_bytes())?;
        files::write(&folder.join("attribution.parquet"), &table::encode(columns(&report))?)?;
        files::write(&folder.join("attribution.svg"), picture(&report, &data)?.as_bytes())?;
    }
    print(&if args.json { format!("{json}\n") } else { text(&report, &data.classes) })
}

/// The epoch and its weights.
fn weights(args: &SurrogateArgs, run: &RunReader) -> Result<(usize, Vec<HostTensor>)> {
    let kept = run.epochs_with(layout::WEIGHTS);
    let epoch = args.checkpoint.or(kept.last().copied());
    let tensors = epoch.map(|epoch| run.weights(epoch)).transpose()?.flatten();
    let (Some(epoch), Some(tensors)) = (epoch, tensors) else {
        return Err(Error::Invalid(format!(
            "run {} of {} keeps the weights of {} only: set record.weights = true in the experiment to keep them at every checkpoint",
            run.index(),
            args.sweep.display(),
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
fn data_of(experiment: &Experiment, run: &RunReader) -> Result<Dataset> {
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
    fn new(args: &SurrogateArgs, data: &Dataset, seed: u64) -> Result<Self> {
        let classes = data.classes.len();
        if let Some(place) = args.explain.iter().find(|&&place| place >= data.eval.len()) {
            return Err(Error::Invalid(format!(
                "there is no evaluation example {place} to explain: they are 0 to {}",
                data.eval.len().saturating_sub(1)
            )));
        }
        let train = data::subset(&data.train, classes, args.train, seed);
        let mut test = data::subset(&data.eval, classes, args.test, seed);
        test.extend(&args.explain);
        test.sort_unstable();
        test.dedup();
        Ok(Self { train, test })
    }
}

/// The examples at these places.
fn taken(data: &Dataset, split: &Split, places: &[usize]) -> Split {
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

fn explain(
    args: &SurrogateArgs,
    chosen: &Chosen,
    study: &Study,
    train: &[u32],
    test: &[u32],
) -> Result<Vec<Explained>> {
    let classes = study.surrogate.classes;
    let network: Vec<(usize, Vec<f64>)> = study.network_logits.chunks_exact(classes).map(decision).collect();
    let places: Vec<usize> = if args.explain.is_empty() {
        let mut places: Vec<usize> = (0..test.len()).collect();
        // Wrong and sure first, right and sure last.
        let rank = |&place: &usize| {
            let (top, probabilities) = &network[place];
            if *top != test[place] as usize { 1.0 + probabilities[*top] } else { -probabilities[*top] }
        };
        places.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        places.truncate(args.rows);
        places
    } else {
        args.explain.iter().filter_map(|place| chosen.test.binary_search(place).ok()).collect()
    };
    let explained = places.into_iter().map(|place| {
        let (surrogate, probabilities) = decision(&study.surrogate_logits[place * classes..][..classes]);
        let (top, sure) = &network[place];
        let row = &study.rows[place * train.len()..][..train.len()];
        let influences = study.surrogate.attribute(row, surrogate, args.top)?;
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

/// A row for each training example that is shown.
fn columns(report: &Report) -> Vec<Column> {
    let rows: Vec<(&Explained, usize, &Weight)> = report
        .attribution
        .iter()
        .flat_map(|row| row.weighs_most.iter().enumerate().map(move |(rank, weight)| (row, rank, weight)))
        .collect();
    let whole = |name: &str, value: &dyn Fn(&(&Explained, usize, &Weight)) -> usize| {
        Column::new(name.into(), rows.iter().map(|row| value(row) as u32).collect::<Vec<u32>>())
    };
    let number = |name: &str, value: &dyn Fn(&(&Explained, usize, &Weight)) -> f64| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<f64>>())
    };
    vec![
        whole("test_example", &|row| row.0.example),
        whole("test_label", &|row| row.0.label as usize),
        whole("network", &|row| row.0.network),
        whole("surrogate", &|row| row.0.surrogate),
        whole("rank", &|row| row.1),
        whole("train_example", &|row| row.2.example),
        whole("train_label", &|row| row.2.label as usize),
        number("similarity", &|row| row.2.similarity),
        number("contribution", &|row| row.2.contribution),
    ]
}

fn class(names: &[String], class: usize) -> String {
    names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", fixed(value, 2)) } else { fixed(value, 2) }
}

fn picture(report: &Report, data: &Dataset) -> Result<String> {
    let length: usize = data.shape.iter().product();
    let pixels = |split: &'_ Split, place: usize| -> Vec<f32> { split.pixels[place * length..][..length].to_vec() };
    let held: Vec<(Vec<f32>, Vec<Vec<f32>>)> = report
        .attribution
        .iter()
        .map(|row| {
            let training = row.weighs_most.iter().map(|weight| pixels(&data.train, weight.example)).collect();
            (pixels(&data.eval, row.example), training)
        })
        .collect();
    let rows: Vec<Vec<Shown>> = report
        .attribution
        .iter()
        .zip(&held)
        .map(|(row, (test, training))| {
            let first = Shown {
                pixels: test,
                lines: [
                    format!("{} (example {})", class(&data.classes, row.label as usize), row.example),
                    format!("network: {} {}", class(&data.classes, row.network), percent(row.network_probability)),
                    format!("surrogate: {}", class(&data.classes, row.surrogate)),
                ],
                frame: if row.network == row.label as usize { Frame::Plain } else { Frame::Wrong },
            };
            let others = row.weighs_most.iter().zip(training).map(|(weight, pixels)| Shown {
                pixels,
                lines: [
                    class(&data.classes, weight.label as usize),
                    format!("{} to the logit", signed(weight.contribution)),
                    format!("cosine {}", fixed(weight.similarity, 2)),
                ],
                frame: if weight.contribution > 0.0 { Frame::For } else { Frame::Against },
            });
            std::iter::once(first).chain(others).collect()
        })
        .collect();
    let title = format!("What the decisions of run {} rest on", report.run);
    let subtitle = format!(
        "kernel surrogate at epoch {}, {} training examples; a thick black frame: the network is wrong",
        report.epoch, report.train
    );
    grid(&title, &subtitle, data.shape, &rows)?.svg()
}

fn text(report: &Report, names: &[String]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_header([
        "test example",
        "label",
        "network",
        "surrogate",
        "training examples that weigh most: label, contribution",
    ]);
    for row in &report.attribution {
        let weights: Vec<String> = row
            .weighs_most
            .iter()
            .map(|weight| {
                let label = class(names, weight.label as usize);
                format!("{}: {label}, {}", weight.example, signed(weight.contribution))
            })
            .collect();
        table.add_row([
            row.example.to_string(),
            class(names, row.label as usize),
            format!("{} {}", class(names, row.network), percent(row.network_probability)),
            format!("{} {}", class(names, row.surrogate), percent(row.surrogate_probability)),
            weights.join("; "),
        ]);
    }
    format!(
        "Run {} at epoch {}: multinomial logistic regression on the rows of its {} kernel with {} training examples,\n\
         fitted in {} iterations to a gradient norm of {:.1e}; its loss there is {} nats.\n\n\
         On {} evaluation examples the network is right about {}, the surrogate about {}:\n\
         TAD {}, Kendall's τ_b of the correct class {}, shared misses R_miss {}.\n\n{table}\n",
        report.run,
        report.epoch,
        report.kernel,
        report.train,
        report.iterations,
        report.gradient_norm,
        fixed(report.loss, 4),
        report.test,
        percent(report.network_accuracy),
        percent(report.surrogate_accuracy),
        percent(report.tad),
        or_dash(report.tau, |tau| fixed(tau, 3)),
        or_dash(report.r_miss, percent),
    )
}
