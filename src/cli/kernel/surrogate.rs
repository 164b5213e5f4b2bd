//! `harness kernel surrogate`: a linear model on the kernel in place of a run's network, and what its decisions rest on.

use std::path::PathBuf;

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table};
use polars::prelude::Column;

use super::super::print;
use crate::analysis::numbers::{fixed, or_dash, percent};
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::kernel::Kind;
use crate::kernel::surrogate::FitOptions;
use crate::record::{files, table};
use crate::report::surrogate::{Frame, Shown, grid};
use crate::workflow::surrogate::{Explained, Report, Request, Weight, surrogate};

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
    /// The kernel whose surrogate's decisions are explained, cosine-normalised
    #[arg(long, value_enum, default_value = "trace")]
    kernel: Kind,
    /// Kernels whose surrogates are compared, separated by commas; every kind but `full` by default
    #[arg(long, value_enum, value_delimiter = ',')]
    kinds: Vec<Kind>,
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

/// Fits, judges, explains and prints; writes files where `--out` says.
///
/// # Errors
/// As [`surrogate`].
pub fn run(args: &SurrogateArgs) -> Result<()> {
    for (option, count) in [("--train", args.train), ("--test", args.test), ("--top", args.top)] {
        if count == 0 {
            return Err(Error::Usage(format!("`{option}` is 0, but at least 1 is needed")));
        }
    }
    // The explained one first.
    let others = match args.kinds.as_slice() {
        [] => Kind::ALL.into_iter().filter(|&kind| kind != Kind::Full).collect(),
        kinds => kinds.to_vec(),
    };
    let mut kinds = vec![args.kernel];
    for kind in others {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let request = Request {
        sweep: args.sweep.clone(),
        run: args.run,
        checkpoint: args.checkpoint,
        train: args.train,
        test: args.test,
        kinds,
        ridge: args.ridge,
        explain: args.explain.clone(),
        rows: args.rows,
        top: args.top,
    };
    let (report, data) = surrogate(&request)?;
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
        "training examples that weigh most: label, contribution (+ for the decision, − against)",
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
    let mut kinds = Table::new();
    kinds.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    kinds.set_header(["kernel", "right", "TAD", "τ_b", "R_miss", "loss"]);
    for row in &report.kinds {
        kinds.add_row([
            row.kernel.to_owned(),
            percent(row.surrogate_accuracy),
            percent(row.tad),
            or_dash(row.tau, |tau| fixed(tau, 3)),
            or_dash(row.r_miss, percent),
            fixed(row.loss, 4),
        ]);
    }
    kinds.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    format!(
        "Run {} at epoch {}: multinomial logistic regression on the rows of each kernel with {} training examples.\n\
         On {} evaluation examples the network is right about {}. TAD: accuracy of the surrogate less the network's;\n\
         τ_b: Kendall's, between their log-odds of the correct class; R_miss: misses of both over misses of either.\n\
         \n{kinds}\n\nWhat the decisions of the {} kernel's surrogate rest on:\n\n{table}\n",
        report.run,
        report.epoch,
        report.train,
        report.test,
        percent(report.network_accuracy),
        report.kernel,
    )
}
