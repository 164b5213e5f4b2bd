//! A body of layers whose output is added to its input (He 2016).

use burn::tensor::Tensor;
use serde_json::{Value as Json, json};

use super::keys::{Item, Key, Kind, Takes};
use super::{Builder, Describe, Placed, Shape};
use crate::error::{Error, Result};
use crate::model::network::Pass;
use crate::model::python::Python;

/// The body's output plus what the shortcut makes of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual {
    /// Empty: the input itself.
    pub shortcut: Vec<Placed>,
    /// The layers.
    pub body: Vec<Placed>,
    /// The input is sub-sampled by this stride and filled up with channels of zeros: He 2016's option A.
    pub padded: Option<[usize; 2]>,
}

impl Describe for Residual {
    const KINDS: &'static [Kind] = &[Kind {
        name: "residual",
        aliases: &[],
        meaning: "Layers whose output is added to their input.",
        argument: Some(Key::new("body", Takes::Layers, None, "The layers.")),
        keys: &[Key::new(
            "shortcut",
            Takes::LayersOrWord(&["identity", "conv", "conv-norm", "pad"]),
            Some("identity"),
            "What the input passes through: nothing; where the shapes differ, a 1x1 convolution, one with a batch norm, or every \
             so many-th pixel and channels of zeros; or layers of your own.",
        )],
    }];

    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
        let input = builder.input;
        // The shortcut's tensors come first, but a word for it needs the shape of the body's output.
        let word = item.word("shortcut").to_owned();
        let entries: Vec<Json> = match word.as_str() {
            "" => item.list("shortcut").to_vec(),
            "identity" => Vec::new(),
            word => {
                let (_, output) = builder.trial("body", item.list("body"))?;
                match (input == output, word) {
                    (true, _) | (_, "pad") => Vec::new(),
                    (false, word) => {
                        let mut entries = vec![projection(builder, output)?];
                        entries[0]["bias"] = json!(false);
                        entries.extend((word == "conv-norm").then(|| json!("batch-norm")));
                        entries
                    }
                }
            }
        };
        let (shortcut, kept) = builder.list("shortcut", &entries)?;
        let (body, output) = builder.list("body", item.list("body"))?;
        let padded = match word == "pad" && kept != output {
            true => Some(sub_sampling(builder, output)?),
            false if kept == output => None,
            false => {
                let advice = match shortcut.last() {
                    Some(last) => format!("its shortcut ends with layer {} ({}), which gives {kept}", last.name, last.kind),
                    None => "give it shortcut = \"conv\", \"conv-norm\" or \"pad\"".to_owned(),
                };
                let last = body.last().map_or("nothing".to_owned(), |last| format!("layer {} ({})", last.name, last.kind));
                return Err(builder.misfit(&format!("{output}, which is what the end of its body, {last}, gives"), &advice));
            }
        };
        Ok((Self { shortcut, body, padded }, output))
    }

    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let kept = self.kept(at, x.clone(), pass);
        pass.list(&self.body, x) + kept
    }

    fn parts(&self) -> Vec<&[Placed]> {
        vec![&self.shortcut, &self.body]
    }

    fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
        vec![&mut self.shortcut, &mut self.body]
    }

    fn python(&self, at: &Placed, code: &mut Python) {
        let (input, kept) = (code.variable(), code.variable());
        code.line(&format!("{input} = x"));
        code.list(&self.shortcut);
        if let Some([rows, columns]) = self.padded {
            let more = at.output.axes()[0] - at.input.axes()[0];
            code.line(&format!("x = F.pad(x[:, :, ::{rows}, ::{columns}], (0, 0, 0, 0, {}, {}))", more / 2, more - more / 2));
        }
        code.line(&format!("{kept} = x"));
        code.line(&format!("x = {input}"));
        code.list(&self.body);
        code.line(&format!("x = x + {kept}"));
    }
}

impl Residual {
    /// What is added to the body's output.
    pub fn kept(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let Some([rows, columns]) = self.padded else { return pass.list(&self.shortcut, x) };
        let [n, channels, height, width] = x.dims();
        let [more, to_height, to_width] = at.output.padded();
        let more = more - channels;
        // Every rows-th row and columns-th column: the first of each group, of which the last may not be whole.
        let fill = |x: Tensor<4>, axis: usize, length: usize| {
            let mut shape = x.dims();
            shape[axis] = length - shape[axis];
            if shape[axis] == 0 { x } else { Tensor::cat(vec![x.clone(), Tensor::zeros(shape, &x.device())], axis) }
        };
        let x = fill(fill(x, 2, to_height * rows), 3, to_width * columns);
        debug_assert!(height <= to_height * rows && width <= to_width * columns);
        let x = x.reshape([n * channels, to_height, rows, to_width * columns]).narrow(2, 0, 1);
        let x = x.reshape([n * channels, to_height, to_width, columns]).narrow(3, 0, 1);
        let x = x.reshape([n, channels, to_height, to_width]);
        let zeros = |channels: usize| Tensor::zeros([n, channels, to_height, to_width], &x.device());
        let (before, after) = (more / 2, more - more / 2);
        let mut all = Vec::new();
        all.extend((before > 0).then(|| zeros(before)));
        all.extend([x.clone()]);
        all.extend((after > 0).then(|| zeros(after)));
        Tensor::cat(all, 1)
    }
}

/// A 1x1 convolution from the input to the body's output.
fn projection(builder: &Builder, output: Shape) -> Result<Json> {
    let stride = strides(builder, output)?;
    let stride = if output.axes().len() == 2 { json!(stride[0]) } else { json!(stride) };
    Ok(json!({ "conv": output.axes()[0], "kernel": 1, "stride": stride }))
}

fn sub_sampling(builder: &Builder, output: Shape) -> Result<[usize; 2]> {
    match (builder.input.axes().len(), builder.input.axes()[0] <= output.axes()[0]) {
        (3, true) => strides(builder, output),
        _ => Err(Error::Invalid(format!(
            "layer {} (residual) has shortcut = \"pad\", which makes images of as many or more channels, but its body makes {output} of {}",
            builder.name, builder.input
        ))),
    }
}

/// The strides that lead from the sides of the input to those of the output.
fn strides(builder: &Builder, output: Shape) -> Result<[usize; 2]> {
    let ([_, height, width], [_, to_height, to_width]) = (builder.input.padded(), output.padded());
    let stride = [height.div_ceil(to_height.max(1)), width.div_ceil(to_width.max(1))];
    let same_axes = builder.input.axes().len() == output.axes().len() && output.axes().len() > 1;
    if same_axes && height.div_ceil(stride[0]) == to_height && width.div_ceil(stride[1]) == to_width {
        return Ok(stride);
    }
    Err(Error::Invalid(format!(
        "layer {} (residual) makes {output} of {}, and no stride leads from one to the other; give the shortcut as a list of layers",
        builder.name, builder.input
    )))
}
