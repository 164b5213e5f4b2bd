//! A network as its weight matrices: what can be read off named tensors without knowing the architecture.

use super::axes::{Axis, arrange};

/// One dense or convolutional layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The tensor's name without `.weight`.
    pub name: String,
    /// Units (output channels).
    pub units: usize,
    /// Inputs (input channels).
    pub inputs: usize,
    /// Positions of the kernel; 1 for a dense layer.
    pub positions: usize,
    /// `[units, inputs, positions]`, row-major.
    pub values: Vec<f32>,
    /// Which axis of units it reads.
    pub from: Axis,
    /// Which axis of units it writes.
    pub to: Axis,
}

impl Layer {
    /// A dense (`[out, in]`) or convolutional (`[out, in, …]`) weight; None for tensors of another kind: vectors, and the
    /// depthwise convolutions and embeddings in which nothing can be matched.
    #[must_use]
    pub fn of(name: &str, shape: &[usize], values: Vec<f32>) -> Option<Self> {
        let (&units, rest) = shape.split_first()?;
        let (&inputs, positions) = rest.split_first()?;
        let positions: usize = positions.iter().product();
        let whole = units > 0 && inputs > 0 && positions > 0 && units * inputs * positions == values.len();
        if !whole || (positions > 1 && inputs == 1 && units > 1 && name.contains("depthwise")) {
            return None;
        }
        let name = name.strip_suffix(".weight").unwrap_or(name).to_owned();
        Some(Self { name, units, inputs, positions, values, from: Axis::Unknown, to: Axis::Unknown })
    }

    /// Numbers in the row of one unit.
    #[must_use]
    pub fn row(&self) -> usize {
        self.inputs * self.positions
    }
}

/// The weights of one network, its layers in forward order where that could be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// How it is called.
    pub name: String,
    /// Its layers, inputs first.
    pub layers: Vec<Layer>,
    /// Whether the axes of all layers are known: a chain of layers, or residual blocks.
    pub known: bool,
}

impl Weights {
    /// From named layers in any order.
    #[must_use]
    pub fn new(name: impl Into<String>, layers: Vec<Layer>) -> Self {
        let (layers, known) = arrange(layers);
        Self { name: name.into(), layers, known }
    }

    /// How many units an axis has.
    #[must_use]
    pub fn width(&self, axis: Axis) -> Option<usize> {
        self.layers.iter().find(|layer| layer.to == axis).map(|layer| layer.units)
    }

    /// The hidden axes in forward order.
    #[must_use]
    pub fn hidden(&self) -> Vec<Axis> {
        let mut axes = Vec::new();
        for layer in &self.layers {
            if matches!(layer.to, Axis::Hidden(_)) && !axes.contains(&layer.to) {
                axes.push(layer.to);
            }
        }
        axes
    }

    /// All weights as they lie.
    pub fn values(&self) -> impl Iterator<Item = f32> + '_ {
        self.layers.iter().flat_map(|layer| layer.values.iter().copied())
    }
}

/// The layers of two networks that correspond: of the same name, else (where no name is common) of the same place.
#[must_use]
pub fn common<'a>(a: &'a Weights, b: &'a Weights) -> Vec<(&'a Layer, &'a Layer)> {
    let named: Vec<(&Layer, &Layer)> = a
        .layers
        .iter()
        .filter_map(|layer| Some((layer, b.layers.iter().find(|other| other.name == layer.name)?)))
        .collect();
    if !named.is_empty() {
        return named;
    }
    if a.known && b.known && a.layers.len() == b.layers.len() {
        return a.layers.iter().zip(&b.layers).collect();
    }
    Vec::new()
}
