//! Lists of layers beside each other.

use burn::tensor::Tensor;
use serde_json::Value as Json;

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::{Error, Result};
use crate::model::network::Pass;
use crate::model::python::Python;

/// Each on the same input; their outputs are added, or stand one after the other along the first axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Branches {
    /// The lists.
    pub branches: Vec<Vec<Placed>>,
    /// Whether their outputs stand one after the other; added else.
    pub concatenate: bool,
}

impl Describe for Branches {
    const KINDS: &'static [Kind] = &[Kind {
        name: "branches",
        aliases: &["parallel"],
        meaning: "Lists of layers on the same input, added or concatenated.",
        argument: Some(Key::new("branches", Takes::Branches, None, "The lists; an empty one is the input itself.")),
        keys: &[Key::new(
            "join",
            Takes::Word(&["add", "concatenate"]),
            Some("add"),
            "What happens to the outputs: added, or concatenated along the first axis (channels of images, tokens of sequences).",
        )],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let concatenate = item.word("join") == "concatenate";
        let mut branches = Vec::new();
        let mut joined: Option<Shape> = None;
        for (index, entries) in item.list("branches").iter().enumerate() {
            let entries = entries.as_array().map_or(&[] as &[Json], Vec::as_slice);
            let (layers, output) = builder.list(&index.to_string(), entries)?;
            joined = Some(match joined {
                None => output,
                Some(before) => join(before, output, concatenate).ok_or_else(|| {
                    Error::Invalid(format!(
                        "layer {} (branches) cannot {} what its branches give: {before} and, of branch {index}, {output}",
                        builder.name,
                        item.word("join")
                    ))
                })?,
            });
            branches.push(layers);
        }
        Ok((Self { branches, concatenate }, joined.unwrap_or(builder.input)))
    }

    fn forward(&self, _: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let outputs: Vec<Tensor<4>> = self.branches.iter().map(|branch| pass.list(branch, x.clone())).collect();
        match self.concatenate {
            true => Tensor::cat(outputs, 1),
            false => outputs.into_iter().reduce(|sum, output| sum + output).unwrap_or(x),
        }
    }

    fn parts(&self) -> Vec<&[Placed]> {
        self.branches.iter().map(Vec::as_slice).collect()
    }

    fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
        self.branches.iter_mut().map(Vec::as_mut_slice).collect()
    }

    fn python(&self, _: &Placed, code: &mut Python) {
        let input = code.variable();
        code.line(&format!("{input} = x"));
        let mut outputs = Vec::new();
        for branch in &self.branches {
            code.line(&format!("x = {input}"));
            code.list(branch);
            outputs.push(code.variable());
            code.line(&format!("{} = x", outputs[outputs.len() - 1]));
        }
        code.line(&match self.concatenate {
            true => format!("x = torch.cat([{}], 1)", outputs.join(", ")),
            false => format!("x = {}", outputs.join(" + ")),
        });
    }
}

fn join(a: Shape, b: Shape, concatenate: bool) -> Option<Shape> {
    if !concatenate {
        return (a == b).then_some(a);
    }
    match (a.axes(), b.axes()) {
        ([a], [b]) => Some(Shape::vector(a + b)),
        ([a, length], [b, other]) if length == other => Some(Shape::sequence(a + b, *length)),
        ([a, height, width], [b, rows, columns]) if [height, width] == [rows, columns] => Some([a + b, *height, *width].into()),
        _ => None,
    }
}
