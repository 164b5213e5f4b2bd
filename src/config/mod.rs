//! The experiment: one TOML file that says which data, which model, how it is trained, what differs between runs, what is
//! recorded and how runs are judged.
//!
//! [`load`] makes it from four layers, each over the one before: defaults, the file, environment variables
//! (`HARNESS_TRAIN__EPOCHS=5`), `--set train.epochs=5`. Values of overrides are TOML; what is not TOML is text; nothing at
//! all (`--set data.classes=`) takes the key out, so that its default holds. Tables are merged key by key, with one
//! exception: a layer that changes the `kind` of a table (`--set model.kind=mlp`) drops what the layers below say in that
//! table, since the keys of one kind mean nothing to another.
//!
//! [`Experiment`] and the tables below it declare the keys (see `crate::keys`); tables of other rooms are declared there:
//! [`Data`] in `data`. `layers` reads environment and arguments, `rules` and `facts` judge combinations, `text` writes an
//! experiment and compares two.

use std::io::Read;
use std::path::Path;

mod experiment;
mod facts;
mod layers;
mod rules;
#[cfg(test)]
mod tests;
mod text;
mod train;

use crate::error::{Error, Result};
use crate::keys::node::{self, Node};
use crate::keys::problem::{self, Problem};
use crate::keys::{self, KeyDoc, Keyed, Shape, check};

pub use crate::data::{Augment, Data, DatasetKind};
pub use crate::model::zoo::{Activation, Model};
pub use experiment::{
    Analysis, Checkpoints, Experiment, Flags, Kernel, KernelKind, Levels, Record, Reference, Stream, Sweep,
};
pub use facts::Facts;
pub use layers::{PREFIX, environment};
pub use text::{KeyDiff, diff};
pub use train::{Anneal, Backend, Decay, Optimizer, Schedule, Train};

/// What a whole file may say.
static EXPERIMENT: Shape = Experiment::SHAPE;

/// No experiment file is longer, in bytes.
const LONGEST_FILE: u64 = 1 << 18;

/// Reads an experiment: defaults, file, environment, `--set` arguments, then [`validate`].
///
/// `env` gives names and values of environment variables ([`environment`] for those of this process); those that concern no
/// experiment are passed over. `sets` are the arguments of `--set`, `key=value` each.
///
/// # Errors
/// [`Error::Invalid`] with a line for everything that is wrong, its file and line, variable or argument first;
/// [`Error::Usage`] where an argument is not `key=value`.
pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>, sets: &[String]) -> Result<Experiment> {
    let file = read(path)?;
    let mut problems = Vec::new();
    let environment = layers::from_environment(env, &mut problems);
    let arguments = layers::from_arguments(sets, &mut problems)?;
    let shape = Some(&EXPERIMENT);
    let tree = node::overlay(node::overlay(file, environment, shape), arguments, shape);
    resolve(&tree, problems, Backends::Built, Some(path))
}

/// Reads the resolved `experiment.toml` of a sweep back, which no override reaches. The backend need not be part of this
/// program: results can be looked at where they were not made.
///
/// # Errors
/// [`Error::Corrupt`] where the file is there but is not what [`Experiment::to_toml`] writes, [`Error::Invalid`] where it is
/// not there or cannot be read.
pub fn read_back(path: &Path) -> Result<Experiment> {
    from_stored(&read_text(path)?, path)
}

/// Reads the text of a resolved experiment that a sweep keeps; `path` names it in messages.
///
/// # Errors
/// [`Error::Corrupt`] where it is not what [`Experiment::to_toml`] writes.
pub fn from_stored(text: &str, path: &Path) -> Result<Experiment> {
    let damaged = |error: Error| Error::Corrupt(format!("the experiment of a sweep is damaged: {error}"));
    let mut tree = parse(path, text).map_err(damaged)?;
    forget_former_default(&mut tree);
    resolve(&tree, Vec::new(), Backends::Any, Some(path)).map_err(damaged)
}

/// Sweeps from before `flags.false_alarm` hold the constant 3.5 as `flags.outlier` although nobody set it: it does not count.
fn forget_former_default(tree: &mut Node) {
    let node::Value::Table(experiment) = &mut tree.value else { return };
    if let Some(node::Value::Table(flags)) = experiment.get_mut("flags").map(|flags| &mut flags.value)
        && !flags.contains_key("false_alarm")
        && flags.get("outlier").is_some_and(|limit| limit.value == node::Value::Real(3.5))
    {
        flags.remove("outlier");
    }
}

/// Reads the model of a file that holds a `[model]` table: one of its own, or a whole experiment, which no override reaches.
///
/// # Errors
/// [`Error::Invalid`] with a line for everything that is wrong.
pub fn read_model(path: &Path) -> Result<Model> {
    let mut file = read(path)?;
    // What an experiment needs besides.
    let stand_in = parse(path, "name = 'model'\ndata = { dataset = 'npz', path = 'none' }")?;
    if let (node::Value::Table(keys), node::Value::Table(others)) = (&mut file.value, stand_in.value) {
        others.into_iter().for_each(|(key, value)| {
            keys.entry(key).or_insert(value);
        });
    }
    resolve(&file, Vec::new(), Backends::Any, Some(path)).map(|experiment| experiment.model)
}

/// Checks everything that can be said before the data are read: ranges, combinations, and what is known of published data.
///
/// # Errors
/// [`Error::Invalid`] with a line for each problem.
pub fn validate(experiment: &Experiment) -> Result<()> {
    resolve(&Node::from_json(&experiment.json()), Vec::new(), Backends::Built, None).map(|_| ())
}

/// Checks a valid experiment against its data: classes, limits and probes that the data lack, images that crops, cutouts or
/// pooling do not fit, models too large for any machine.
///
/// # Errors
/// [`Error::Invalid`] with a line for each problem.
pub fn validate_against_data(experiment: &Experiment, facts: &Facts) -> Result<()> {
    problem::verdict(facts::problems(experiment, &(*facts).into()), None)
}

/// All keys in the order of the file, for people.
#[must_use]
pub fn docs() -> Vec<KeyDoc> {
    keys::schema::docs(&EXPERIMENT)
}

/// The reference of all keys as a Markdown table.
#[must_use]
pub fn reference() -> String {
    keys::schema::reference(&EXPERIMENT)
}

/// A JSON Schema (draft 7) of experiment files, for editors that complete and check TOML by one.
#[must_use]
pub fn schema() -> serde_json::Value {
    keys::schema::schema("harness experiment", &EXPERIMENT)
}

/// Which backends an experiment may name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backends {
    /// Those that this program was built with.
    Built,
    Any,
}

/// Turns merged layers into an experiment, or into everything that is wrong with them.
fn resolve(tree: &Node, earlier: Vec<Problem>, backends: Backends, path: Option<&Path>) -> Result<Experiment> {
    let mut checked = check::check(tree, &EXPERIMENT);
    checked.precede(earlier);
    let experiment: Experiment = match serde_json::from_value(checked.json.take()) {
        Ok(experiment) => experiment,
        Err(error) => {
            problem::verdict(checked.problems, path)?;
            return Err(Error::Unexpected(format!("an experiment passed all checks but cannot be read: {error}")));
        }
    };
    let mut later = rules::problems(&experiment);
    later.extend(facts::problems(&experiment, &facts::published(&experiment)));
    if backends == Backends::Built {
        later.extend(rules::backend(&experiment));
    }
    checked.add(later);
    problem::verdict(checked.problems, path)?;
    Ok(experiment)
}

fn read(path: &Path) -> Result<Node> {
    parse(path, &read_text(path)?)
}

fn parse(path: &Path, text: &str) -> Result<Node> {
    node::parse_file(text).map_err(|error| {
        Error::Invalid(format!("{}:{}: this is not TOML: {}", path.display(), error.line, error.message))
    })
}

fn read_text(path: &Path) -> Result<String> {
    let shown = path.display();
    let invalid = |error: std::io::Error| Error::Invalid(format!("cannot read the experiment {shown}: {error}"));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(invalid)?;
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(invalid)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(Error::Invalid(format!(
            "{shown} is longer than {} KiB: not an experiment file",
            LONGEST_FILE >> 10
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Error::Invalid(format!("{shown}:{line}: an experiment file is UTF-8 text, and this is not"))
    })
}
