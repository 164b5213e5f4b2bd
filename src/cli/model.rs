//! `harness model`: the layers and architectures that there are, and the network of an experiment.

use std::fmt::Write;

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table};
use serde_json::{Value as Json, json};

use super::print;
use super::show::ExperimentArgs;
use crate::data;
use crate::error::Result;
use crate::keys::Shape;
use crate::model::{Plan, layer, python, zoo};

/// What is asked.
#[derive(Debug, Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    verb: ModelVerb,
}

#[derive(Debug, Subcommand)]
enum ModelVerb {
    /// All architectures and all layers, with their keys
    List {
        /// Print one JSON object, schema harness.models/1
        #[arg(long)]
        json: bool,
    },
    /// The layers of an experiment's network: names, shapes, parameters, operations
    Show {
        #[command(flatten)]
        experiment: ExperimentArgs,
        /// Print the same network as a Python module whose names load
        #[arg(long)]
        torch: bool,
        /// Print one JSON object, schema harness.model-layers/1
        #[arg(long, conflicts_with = "torch")]
        json: bool,
    },
}

/// Runs the verb.
///
/// # Errors
/// `Invalid` for a wrong experiment, or data whose shape is not known.
pub fn run(args: &ModelArgs) -> Result<()> {
    match &args.verb {
        ModelVerb::List { json: true } => print(&format!("{:#}\n", all())),
        ModelVerb::List { json: false } => print(&listed()),
        ModelVerb::Show { experiment, torch, json } => {
            let plan = plan(experiment)?;
            match (torch, json) {
                (true, _) => print(&python::module(&plan)),
                (_, true) => print(&format!("{:#}\n", described(&plan))),
                _ => print(&table(&plan)),
            }
        }
    }
}

/// The network of an experiment: for a published data set its files need not be there.
fn plan(args: &ExperimentArgs) -> Result<Plan> {
    let experiment = args.load()?;
    let set = experiment.data.dataset.set();
    let (shape, classes) = match set.shape {
        Some(shape) => (shape, experiment.data.classes.as_ref().map_or(set.classes.len(), Vec::len)),
        None => {
            let facts = data::facts(&experiment.data)?;
            (facts.shape, facts.classes.len())
        }
    };
    experiment.plan(shape, classes)
}

fn all() -> Json {
    let keys = |keys: &[crate::keys::Key]| {
        let one = |key: &crate::keys::Key| json!({ "key": key.name, "takes": crate::keys::check::takes(&key.shape), "default": key.fallback.value(), "meaning": key.meaning() });
        keys.iter().map(one).collect::<Vec<_>>()
    };
    let own = |key: &layer::keys::Key| json!({ "key": key.name, "takes": layer::keys::takes(&key.takes), "default": key.default.map(layer::keys::default), "meaning": key.meaning });
    let layers: Vec<Json> = (layer::kinds().into_iter())
        .map(|kind| {
            json!({
                "layer": kind.name, "aliases": kind.aliases, "meaning": kind.meaning,
                "argument": kind.argument.as_ref().map(own), "keys": kind.keys.iter().map(own).collect::<Vec<_>>()
            })
        })
        .collect();
    let zoo: Vec<Json> = (zoo::KINDS.iter())
        .map(|kind| json!({ "kind": kind.name, "meaning": kind.meaning(), "keys": keys(kind.keys) }))
        .collect();
    json!({ "schema": "harness.models/1", "architectures": zoo, "layers": layers })
}

/// Architectures and layers with their keys, for people.
fn listed() -> String {
    let mut text = String::from("Architectures: [model] kind = …\n\n");
    let line = |text: &mut String, name: &str, takes: &str, default: &Json, meaning: &str| {
        let default = if default.is_null() { String::new() } else { format!(" (default {default})") };
        let _ = writeln!(text, "      {name}: {takes}{default}. {meaning}");
    };
    for kind in zoo::KINDS {
        let _ = writeln!(text, "  {}  {}", kind.name, one_line(kind.meaning()));
        for key in kind.keys {
            let takes = match key.shape {
                Shape::Other(grammar) => grammar.takes(),
                _ => crate::keys::check::takes(&key.shape),
            };
            line(&mut text, key.name, &takes, &key.fallback.value().unwrap_or_default(), &one_line(key.meaning()));
        }
    }
    text += "\nLayers: in [model] kind = \"layers\", layers = [ … ]; each may have a name = \"…\" too\n\n";
    for kind in layer::kinds() {
        let also = if kind.aliases.is_empty() { String::new() } else { format!(" (also {})", kind.aliases.join(", ")) };
        let written = match &kind.argument {
            Some(key) if key.default.is_none() => format!("{{ {} = … }}", kind.name),
            _ => format!("\"{}\"", kind.name),
        };
        let _ = writeln!(text, "  {written}  {}{also}", kind.meaning);
        let own = kind.argument.iter().map(|key| (kind.name, key));
        for (name, key) in own.chain(kind.keys.iter().map(|key| (key.name, key))) {
            let default = key.default.map_or(Json::Null, layer::keys::default);
            line(&mut text, name, &layer::keys::takes(&key.takes), &default, key.meaning);
        }
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A row for each layer, and the sums.
fn table(plan: &Plan) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["layer", "kind", "output", "parameters", "operations"]);
    for column in 3..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    plan.visit(&mut |place| {
        let frozen = if place.frozen && place.parameters() > 0 { " (frozen)" } else { "" };
        table.add_row([
            format!("{}{frozen}", place.name),
            place.kind.to_owned(),
            place.output.to_string(),
            count(place.parameters() as f64),
            count(place.operations()),
        ]);
    });
    format!(
        "input {}, {} classes\n\n{table}\n\n{} parameters, {} of them trained; {} operations for an example\n",
        plan.input,
        plan.classes,
        count(plan.parameters() as f64),
        count(plan.trained_parameters() as f64),
        count(plan.flops())
    )
}

/// A whole number with commas; nothing for 0.
fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if text == "0" { "–".into() } else { text }
}

fn described(plan: &Plan) -> Json {
    let mut layers = Vec::new();
    plan.visit(&mut |place| {
        layers.push(json!({
            "name": place.name, "kind": place.kind, "input": place.input.axes(), "output": place.output.axes(),
            "parameters": place.parameters(), "operations": place.operations(), "frozen": place.frozen
        }));
    });
    json!({
        "schema": "harness.model-layers/1", "input": plan.input.axes(), "classes": plan.classes, "layers": layers,
        "parameters": plan.parameters(), "trained_parameters": plan.trained_parameters(), "operations": plan.flops()
    })
}
