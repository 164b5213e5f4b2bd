//! The layers that lie over the file: environment variables and `--set` arguments.

use std::collections::BTreeMap;

use super::EXPERIMENT;
use crate::error::{Error, Result};
use crate::keys::Shape;
use crate::keys::node::{Node, Origin, SyntaxError, Value, child, overlay, parse_value, shorten};
use crate::keys::problem::Problem;

/// What the names of our environment variables begin with.
pub const PREFIX: &str = "HARNESS_";

/// The environment variables that can concern an experiment, from this process. What is not Unicode in a value is
/// replaced by U+FFFD.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
}

/// The layer of the environment. `HARNESS_TRAIN__EPOCHS=5` sets `train.epochs`. A variable that has no double underscore
/// belongs to the command line, except `HARNESS_NAME`, and is left alone.
pub(super) fn from_environment(variables: impl Iterator<Item = (String, String)>, problems: &mut Vec<Problem>) -> Node {
    // Sorted, so that the outcome does not depend on the order in which the system lists them.
    let variables: BTreeMap<String, String> = variables.collect();
    let mut layer = empty();
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if !rest.contains("__") && rest != "NAME" {
            continue;
        }
        let origin = Origin::Variable(name.clone());
        let keys: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        if keys.iter().any(String::is_empty) {
            let message =
                "the name has an empty key; write one double underscore between keys, as in HARNESS_TRAIN__EPOCHS";
            problems.push(Problem::at(origin, Vec::new(), message.to_owned()));
            continue;
        }
        add(&mut layer, &keys, &text, origin, problems);
    }
    layer
}

/// The layer of the `--set key=value` arguments, later ones over earlier ones.
///
/// # Errors
/// [`Error::Usage`] where an argument has no equals sign or no proper key.
pub(super) fn from_arguments(arguments: &[String], problems: &mut Vec<Problem>) -> Result<Node> {
    let mut layer = empty();
    for (position, argument) in arguments.iter().enumerate() {
        let usage = |what: &str| {
            Error::Usage(format!(
                "--set {}: {what}; write --set key=value, as in --set train.epochs=5",
                shorten(argument)
            ))
        };
        let (key, text) = argument.split_once('=').ok_or_else(|| usage("there is no equals sign"))?;
        let keys: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
        let bare =
            |part: &String| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !keys.iter().all(bare) {
            return Err(usage("the part before the equals sign is not a key"));
        }
        add(&mut layer, &keys, text, Origin::Argument(position, argument.clone()), problems);
    }
    Ok(layer)
}

fn empty() -> Node {
    Node { origin: Origin::Nowhere, value: Value::Table(BTreeMap::new()) }
}

fn add(layer: &mut Node, keys: &[String], text: &str, origin: Origin, problems: &mut Vec<Problem>) {
    match read(text, &origin, takes_text(keys)) {
        Ok(value) => {
            let nested = keys.iter().rev().fold(value, |node, key| Node {
                origin: origin.clone(),
                value: Value::Table(BTreeMap::from([(key.clone(), node)])),
            });
            let below = std::mem::replace(layer, empty());
            // Without the shape: the order of overrides of one layer does not matter to a `kind`.
            *layer = overlay(below, nested, None);
        }
        Err(error) => {
            let message = format!("this is not a TOML value: {}", error.message);
            problems.push(Problem::at(origin, vec![keys.join(".")], message));
        }
    }
}

/// Whether a key takes any text, so that `name=10` is the text `10` and not the number.
fn takes_text(keys: &[String]) -> bool {
    let shape = keys.iter().try_fold(&EXPERIMENT, |shape, key| child(shape, key));
    matches!(shape, Some(Shape::Name | Shape::File | Shape::Text))
}

/// A TOML value, or else plain text; nothing at all unsets the key.
fn read(text: &str, origin: &Origin, plain: bool) -> std::result::Result<Node, SyntaxError> {
    let text = text.trim();
    let node = |value| Node { origin: origin.clone(), value };
    if text.is_empty() {
        return Ok(node(Value::Unset));
    }
    let quoted = text.starts_with(['"', '\'']);
    if plain && !quoted {
        return Ok(node(Value::Text(text.to_owned())));
    }
    parse_value(text, origin).or_else(|error| {
        // What begins like a list, a table or a quoted string was meant to be one.
        if quoted || text.starts_with(['[', '{']) { Err(error) } else { Ok(node(Value::Text(text.to_owned()))) }
    })
}
