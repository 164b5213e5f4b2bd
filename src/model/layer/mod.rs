//! Layers, one file each: what is written for it in an experiment, the shape of its output, its parameters with PyTorch's
//! names, layouts and initialisation, its forward pass with what the eNTK needs of it, its cost.
//!
//! To add a layer, write its file (see [`dropout`] for a small one, [`dense`] for one with parameters) and its line in the
//! list at the end of this one. A layer is data: its tensors are in the network, from the index on that its place says.

use burn::tensor::Tensor;
use serde_json::Value as Json;

use super::network::Pass;
use super::python::Python;
use super::shape::Shape;
use crate::error::{Error, Result};

pub mod keys;

use keys::{Item, Kind};

/// What a layer does, all in one file.
pub trait Describe: Sized {
    /// The names under which it is written down, with their keys.
    const KINDS: &'static [Kind];

    /// The layer that `item` describes, for input of the shape `builder.input`, and the shape of its output.
    ///
    /// # Errors
    /// `Invalid` where it cannot follow what is before it.
    fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)>;

    /// Its own parameters and statistics, in the order of its state.
    fn tensors(&self) -> Vec<TensorSpec> {
        Vec::new()
    }

    /// Runs it on `[n, axes…]`.
    fn forward(&self, at: &Placed, x: Tensor<4>, pass: &mut Pass) -> Tensor<4>;

    /// Multiplications and additions of one forward pass of one example, of the layer itself.
    fn operations(&self, at: &Placed) -> f64 {
        let _ = at;
        0.0
    }

    /// Numbers that one example leaves behind for the reverse pass, beside what the next layer keeps.
    fn activations(&self, at: &Placed) -> usize {
        if self.tensors().is_empty() { 0 } else { at.output.values() }
    }

    /// The lists of layers that it is made of, in the order in which their parameters stand.
    fn parts(&self) -> Vec<&[Placed]> {
        Vec::new()
    }

    /// [`Self::parts`], to be changed.
    fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
        Vec::new()
    }

    /// The same layer as a PyTorch module; empty where [`Self::python`] writes it down.
    fn torch(&self, at: &Placed) -> String {
        let _ = at;
        String::new()
    }

    /// Writes it down in Python: a module under its name and the line that calls it, where nothing else is said.
    fn python(&self, at: &Placed, code: &mut Python) {
        code.module(&at.name, &self.torch(at));
    }
}

/// A tensor that a layer holds.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Its name within the layer, as in PyTorch; empty where it is the layer itself.
    pub part: &'static str,
    /// As in PyTorch.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// How it begins, ours and PyTorch's way.
    pub initial: [Initial; 2],
}

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A parameter that weight decay shrinks.
    Weight,
    /// The same, held the other way round: `[in, out]`.
    Transposed,
    /// A parameter that weight decay spares: biases, scales, shifts, positions.
    Spared,
    /// A statistic that is not differentiated.
    Statistic,
}

/// How a tensor begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initial {
    /// The same value everywhere.
    Constant(f32),
    /// Uniform in ±√(6/fan_in) (He 2015, the bound of a uniform draw of variance 2/fan_in); in ±1/√fan_in for the layer that
    /// gives the logits.
    He(usize),
    /// Uniform in ± this.
    Uniform(f64),
    /// Normal around 0 with this standard deviation.
    Normal(f64),
}

impl Initial {
    /// PyTorch's default for weights and biases of dense layers and convolutions: uniform in ±1/√fan_in.
    #[must_use]
    pub fn torch(fan_in: usize) -> Self {
        Self::Uniform((1.0 / fan_in as f64).sqrt())
    }
}

impl TensorSpec {
    /// A weight.
    #[must_use]
    pub fn weight(part: &'static str, shape: Vec<usize>, role: Role, initial: [Initial; 2]) -> Self {
        Self { part, shape, role, initial }
    }

    /// A vector that weight decay spares.
    #[must_use]
    pub fn spared(part: &'static str, length: usize, ours: f32, torch: Initial) -> Self {
        Self { part, shape: vec![length], role: Role::Spared, initial: [Initial::Constant(ours), torch] }
    }

    /// The same everywhere, and so in PyTorch.
    #[must_use]
    pub fn constant(part: &'static str, length: usize, role: Role, value: f32) -> Self {
        Self { part, shape: vec![length], role, initial: [Initial::Constant(value); 2] }
    }

    /// How many values it has.
    #[must_use]
    pub fn values(&self) -> usize {
        self.shape.iter().fold(1, |product, length| product.saturating_mul(*length))
    }

    /// Whether it is trained (unless it is frozen).
    #[must_use]
    pub fn is_parameter(&self) -> bool {
        self.role != Role::Statistic
    }
}

/// A layer in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Stable name, such as `blocks.0.c1`: what the same module is called in PyTorch.
    pub name: String,
    /// What it is called in a list of layers.
    pub kind: &'static str,
    /// What it does.
    pub layer: Layer,
    /// What it gets.
    pub input: Shape,
    /// What it gives.
    pub output: Shape,
    /// Index of the first of its tensors among those of the network.
    pub first: usize,
    /// Whether training leaves it as it is.
    pub frozen: bool,
}

impl Placed {
    /// The names and sizes of its own tensors.
    #[must_use]
    pub fn named_tensors(&self) -> Vec<(String, TensorSpec)> {
        let name = |part: &str| if part.is_empty() { self.name.clone() } else { format!("{}.{part}", self.name) };
        self.layer.tensors().into_iter().map(|spec| (name(spec.part), spec)).collect()
    }

    /// Whether it has this name, or is part of a layer that has.
    #[must_use]
    pub fn is_within(&self, name: &str) -> bool {
        self.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Trainable parameters of the layer itself.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let trained = self.layer.tensors().into_iter().filter(TensorSpec::is_parameter);
        trained.fold(0, |sum, spec| sum.saturating_add(spec.values()))
    }
}

/// What builds layers one after the other.
pub struct Builder<'a> {
    /// The shape of what the next layer gets.
    pub input: Shape,
    /// The stable name of the layer that is being built.
    pub name: String,
    /// What it is called in a list of layers.
    pub kind: &'static str,
    /// How many logits there are to be.
    pub classes: usize,
    /// What the next layer gets its input from, in words.
    before: String,
    /// Tensors so far.
    tensors: &'a mut usize,
}

impl<'a> Builder<'a> {
    /// Before the first layer; `tensors` counts.
    pub(super) fn new(input: Shape, classes: usize, tensors: &'a mut usize) -> Self {
        Self { input, name: String::new(), kind: "", classes, before: "the data set".into(), tensors }
    }

    /// A list of layers, each on what the one before it gives, and the shape of what the last one gives. `part` names the list
    /// within the layer that it belongs to; a layer without a name of its own is called after its place in the list.
    ///
    /// # Errors
    /// `Invalid` where a layer is not known or does not fit.
    pub fn list(&mut self, part: &str, entries: &[Json]) -> Result<(Vec<Placed>, Shape)> {
        let (input, before, owner, kind) = (self.input, self.before.clone(), self.name.clone(), self.kind);
        let kinds = kinds();
        let mut layers = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let here = join(&join(&owner, part), &index.to_string());
            let item = Item::read(entry, &kinds).map_err(|what| Error::Invalid(format!("layer {here}: {what}")))?;
            self.name = item.name.as_ref().map_or(here, |name| join(&owner, name));
            self.kind = item.kind.name;
            let (layer, output) = Layer::build(&item, self)?;
            let place = self.part("", item.kind.name, layer, self.input, output);
            self.before = format!("layer {} ({})", place.name, place.kind);
            self.input = output;
            layers.push(place);
        }
        let output = self.input;
        (self.input, self.before, self.name, self.kind) = (input, before, owner, kind);
        Ok((layers, output))
    }

    /// [`Self::list`] for its shape alone: nothing is placed.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn trial(&mut self, part: &str, entries: &[Json]) -> Result<(Vec<Placed>, Shape)> {
        let tensors = *self.tensors;
        let tried = self.list(part, entries);
        *self.tensors = tensors;
        tried
    }

    /// A part of the layer that is being built, under a name of its own within it.
    pub fn part(
        &mut self,
        name: &str,
        kind: &'static str,
        layer: impl Into<Layer>,
        input: Shape,
        output: Shape,
    ) -> Placed {
        let place = Placed {
            name: join(&self.name, name),
            kind,
            layer: layer.into(),
            input,
            output,
            first: *self.tensors,
            frozen: false,
        };
        *self.tensors += place.layer.tensors().len();
        place
    }

    /// That the layer cannot follow the one before it: what it takes instead, and what to do.
    #[must_use]
    pub fn misfit(&self, takes: &str, advice: &str) -> Error {
        let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
        Error::Invalid(format!(
            "layer {} ({}) takes {takes}, but {} gives {}{advice}",
            self.name, self.kind, self.before, self.input
        ))
    }

    /// `[channels, height, width]` of the input.
    ///
    /// # Errors
    /// `Invalid` if it is not an image.
    pub fn image(&self) -> Result<[usize; 3]> {
        match self.input.axes() {
            [channels, height, width] => Ok([*channels, *height, *width]),
            _ => Err(self.misfit("images [channels, height, width]", "")),
        }
    }

    /// `[tokens, width]` of the input.
    ///
    /// # Errors
    /// `Invalid` if it is not a sequence.
    pub fn sequence(&self) -> Result<[usize; 2]> {
        match self.input.axes() {
            [tokens, width] => Ok([*tokens, *width]),
            _ => Err(self.misfit("tokens [tokens, width]", "")),
        }
    }
}

/// `a` and `b` to `a.b`; an empty part is left out.
pub(super) fn join(before: &str, name: &str) -> String {
    match (before, name) {
        ("", name) => name.to_owned(),
        (before, "") => before.to_owned(),
        (before, name) => format!("{before}.{name}"),
    }
}

macro_rules! layers {
    ($($file:ident::$layer:ident),* $(,)?) => {
        $(pub mod $file; pub use $file::$layer;)*

        /// Any layer.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Layer { $($layer($layer),)* }

        $(impl From<$layer> for Layer {
            fn from(layer: $layer) -> Self { Self::$layer(layer) }
        })*

        /// All names of layers, with their keys.
        #[must_use]
        pub fn kinds() -> Vec<&'static Kind> {
            let all: [&'static [Kind]; _] = [$($layer::KINDS,)*];
            all.into_iter().flatten().collect()
        }

        impl Layer {
            fn build(item: &Item, builder: &mut Builder) -> Result<(Self, Shape)> {
                $(if $layer::KINDS.iter().any(|kind| kind.name == item.kind.name) {
                    let (layer, output) = $layer::build(item, builder)?;
                    return Ok((Self::$layer(layer), output));
                })*
                Err(Error::Unexpected(format!("no layer builds {}", item.kind.name)))
            }

            /// See [`Describe::tensors`].
            #[must_use]
            pub fn tensors(&self) -> Vec<TensorSpec> {
                match self { $(Self::$layer(layer) => layer.tensors(),)* }
            }

            /// See [`Describe::parts`].
            #[must_use]
            pub fn parts(&self) -> Vec<&[Placed]> {
                match self { $(Self::$layer(layer) => layer.parts(),)* }
            }

            pub(super) fn parts_mut(&mut self) -> Vec<&mut [Placed]> {
                match self { $(Self::$layer(layer) => layer.parts_mut(),)* }
            }
        }

        impl Placed {
            /// See [`Describe::forward`].
            #[must_use]
            pub fn forward(&self, x: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
                match &self.layer { $(Layer::$layer(layer) => layer.forward(self, x, pass),)* }
            }

            /// See [`Describe::operations`].
            #[must_use]
            pub fn operations(&self) -> f64 {
                match &self.layer { $(Layer::$layer(layer) => layer.operations(self),)* }
            }

            /// See [`Describe::activations`].
            #[must_use]
            pub fn activations(&self) -> usize {
                match &self.layer { $(Layer::$layer(layer) => layer.activations(self),)* }
            }

            /// See [`Describe::python`].
            pub fn python(&self, code: &mut Python) {
                match &self.layer { $(Layer::$layer(layer) => layer.python(self, code),)* }
            }
        }
    };
}

layers! {
    dense::Dense,
    conv::Conv,
    embedding::Embedding,
    positions::Positions,
    class_token::ClassToken,
    patches::Patches,
    batch_norm::BatchNorm,
    group_norm::GroupNorm,
    layer_norm::LayerNorm,
    rms_norm::RmsNorm,
    attention::Attention,
    attention_pool::AttentionPool,
    activation::Activation,
    max_pool::MaxPool,
    average_pool::AveragePool,
    global_mean::GlobalMean,
    token_mean::TokenMean,
    take_token::TakeToken,
    flatten::Flatten,
    transpose::Transpose,
    dropout::Dropout,
    zero_pad::ZeroPad,
    residual::Residual,
    branches::Branches,
    squeeze_excite::SqueezeExcite,
}
