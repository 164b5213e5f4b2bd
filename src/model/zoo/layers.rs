//! Layers that are written down in the experiment.

use serde_json::{Map, Value as Json, json};

use super::Layout;
use crate::error::Result;
use crate::keys::node::{Node, Origin, Value};
use crate::keys::{Grammar, Shape, keys};
use crate::model::layer::keys::{Item, Takes};
use crate::model::layer::kinds;

/// What a list of layers takes.
const LIST: Shape = Shape::Other(&List);

keys! {
    /// Layers that are written down here, as in torch.nn.Sequential.
    pub struct Layers {
        /// The layers, one after the other: `"relu"`, `{ conv = 32, kernel = 3, padding = 1 }`, …; `harness model list` shows all.
        layers: Vec<Json>, LIST;
    }
}

impl Layout for Layers {
    fn layers(&self, _: [usize; 3]) -> Result<Vec<Json>> {
        Ok(self.layers.clone())
    }
}

/// The grammar of a list of layers.
#[derive(Debug)]
struct List;

impl Grammar for List {
    fn check(&self, node: &Node, path: &str, wrong: &mut Vec<(Origin, String)>) -> Json {
        let Value::List(items) = &node.value else {
            wrong.push((node.origin.clone(), format!("{path} takes {}, but is {}", self.takes(), node.value.describe())));
            return self.stand_in();
        };
        if items.is_empty() {
            wrong.push((node.origin.clone(), format!("{path} is empty; end with {{ dense = \"classes\" }}")));
        }
        check(items, path, wrong);
        plain(node)
    }

    fn takes(&self) -> String {
        "a list of layers such as [\"flatten\", { dense = 100 }, \"relu\", { dense = \"classes\" }]".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "array", "minItems": 1, "items": { "anyOf": [{ "type": "string" }, { "type": "object" }] } })
    }

    fn stand_in(&self) -> Json {
        json!(["flatten", { "dense": "classes" }])
    }
}

/// Holds each layer against what layers there are, and the lists within it too.
fn check(items: &[Node], path: &str, wrong: &mut Vec<(Origin, String)>) {
    let kinds = kinds();
    for (index, item) in items.iter().enumerate() {
        let here = format!("{path}, layer {index}");
        match Item::read(&plain(item), &kinds) {
            Err(what) => wrong.push((item.origin.clone(), format!("{here}: {what}"))),
            Ok(read) => {
                let Value::Table(table) = &item.value else { continue };
                for key in read.kind.argument.iter().chain(read.kind.keys) {
                    let word = if read.kind.argument.as_ref().is_some_and(|own| own.name == key.name) { None } else { Some(key.name) };
                    let found = table.iter().find(|(name, _)| word.map_or_else(|| read.is_own_word(name), |word| word == name.as_str()));
                    let Some((name, value)) = found else { continue };
                    match (&key.takes, &value.value) {
                        (Takes::Layers | Takes::LayersOrWord(_), Value::List(items)) => check(items, &format!("{here}, {name}"), wrong),
                        (Takes::Branches, Value::List(branches)) => {
                            for (branch, items) in branches.iter().enumerate() {
                                if let Value::List(items) = &items.value {
                                    check(items, &format!("{here}, branch {branch}"), wrong);
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

/// A value without its origins.
pub(super) fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Flag(flag) => json!(flag),
        Value::Whole(number) => i64::try_from(*number).map_or(Json::Null, |number| json!(number)),
        Value::Real(number) => json!(number),
        Value::Text(text) | Value::Other(text) => json!(text),
        Value::List(items) => Json::Array(items.iter().map(plain).collect()),
        Value::Table(table) => Json::Object(table.iter().map(|(key, value)| (key.clone(), plain(value))).collect::<Map<_, _>>()),
        Value::Unset => Json::Null,
    }
}
