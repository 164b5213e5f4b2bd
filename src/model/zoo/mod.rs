//! The zoo: architectures as lists of layers, one file each, and the `[model]` table of an experiment.
//!
//! To add an architecture, write its file (see [`mlp`] for a small one) and its line in the list at the end of this one.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};

use crate::error::Result;
use crate::keys::{Keyed, Kind, Shape, keys, words};

/// What an architecture is made of.
pub trait Layout {
    /// Its layers for examples `[channels, height, width]`, as they would be written in an experiment.
    ///
    /// # Errors
    /// `Invalid` where its keys do not fit together or to the examples.
    fn layers(&self, input: [usize; 3]) -> Result<Vec<Json>>;
}

words! {
    /// How weights are drawn that come from no file.
    pub enum Initialisation {
        /// Ours: uniform, of the variance 2/fan_in, 1/(3 fan_in) for the layer that gives the logits; biases 0.
        Harness = "harness",
        /// As PyTorch's layers draw them: weights and biases uniform in ±1/√fan_in.
        Torch = "torch",
    }
}

words! {
    /// What becomes of the last dense layer where weights are read from a file.
    pub enum Head {
        /// It is read too.
        Keep = "keep",
        /// It is drawn anew from the stream `init`, for other classes than those of the file.
        Fresh = "fresh",
    }
}

keys! {
    /// Where training starts.
    pub struct Start {
        /// A safetensors or PyTorch file whose weights training starts from, under PyTorch's names and layouts; its digest is
        /// part of the experiment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<String> = None, Shape::File;
        /// Names in that file of layers or tensors whose names here differ; `"*"` goes before all others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        map: Option<BTreeMap<String, String>> = None, Shape::Map(&Shape::Text);
        /// Whether the last dense layer is read from the file (`keep`, the default) or drawn anew (`fresh`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<Head> = None, Head::SHAPE;
        /// How weights are drawn: `harness` (the default), or `torch` as PyTorch's layers do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        init: Option<Initialisation> = None, Initialisation::SHAPE;
    }
}

/// The `[model]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub architecture: Architecture,
    pub start: Start,
}

impl Model {
    /// Its layers for examples `[channels, height, width]`, as they would be written in an experiment.
    ///
    /// # Errors
    /// `Invalid` where its keys do not fit together or to the examples.
    pub fn layers(&self, input: [usize; 3]) -> Result<Vec<Json>> {
        self.architecture.layers(input)
    }

    /// Whether anything in it is dropped while training.
    #[must_use]
    pub fn drops(&self) -> bool {
        // The sizes do not matter to that.
        self.layers([1, 1 << 30, 1 << 30]).is_ok_and(|layers| Json::Array(layers).to_string().contains("\"dropout\""))
    }

    /// A model from TOML such as `kind = "mlp"`, for tests.
    #[cfg(test)]
    #[must_use]
    pub fn parse(text: &str) -> Self {
        use crate::config;
        let text = format!("name = 'test'\ndata = {{ dataset = 'npz', path = 'none' }}\nmodel = {{ {text} }}");
        config::from_stored(&text, std::path::Path::new("test.toml")).expect("a valid experiment").model
    }
}

impl Keyed for Model {
    const SHAPE: Shape = Shape::Kinds { default: None, kinds: KINDS, common: Start::KEYS };
}

/// One table: the keys of the architecture, then those of [`Start`].
impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Both<'a> {
            #[serde(flatten)]
            architecture: &'a Architecture,
            #[serde(flatten)]
            start: &'a Start,
        }
        Both { architecture: &self.architecture, start: &self.start }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let mut start = Map::new();
        for key in Start::KEYS {
            start.extend(table.remove(key.name).map(|value| (key.name.to_owned(), value)));
        }
        Ok(Self {
            architecture: Architecture::deserialize(Json::Object(table)).map_err(D::Error::custom)?,
            start: Start::deserialize(Json::Object(start)).map_err(D::Error::custom)?,
        })
    }
}

macro_rules! zoo {
    ($($(#[doc = $doc:literal])+ $file:ident::$name:ident = $word:literal,)*) => {
        $(pub mod $file; pub use $file::$name;)*

        /// An architecture with its keys.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Architecture {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $name($name),)*
        }

        /// All architectures in the order in which they are listed.
        pub const KINDS: &[Kind] = &[$(Kind { name: $word, doc: concat!($($doc),+), keys: $name::KEYS },)*];

        impl Architecture {
            fn layers(&self, input: [usize; 3]) -> Result<Vec<Json>> {
                match self { $(Self::$name(keys) => keys.layers(input),)* }
            }

            /// Its name in an experiment.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $word,)* }
            }
        }
    };
}

zoo! {
    /// Dense layers.
    mlp::Mlp = "mlp",
    /// Blocks of convolution, optional batch norm, activation and max pooling; then dense layers.
    cnn::Cnn = "cnn",
    /// Residual network with batch norm, for small images or as torchvision has them.
    resnet::Resnet = "resnet",
    /// Vision transformer for small images: patches, class token, attention.
    vit::Vit = "vit",
    /// MLP-Mixer for small images: dense layers over patches and over channels in turn.
    mlp_mixer::MlpMixer = "mlp-mixer",
    /// Inverted residuals with depthwise convolutions: MobileNetV2, EfficientNet-Lite.
    mobilenet::Mobilenet = "mobilenet",
    /// Tokens: embedding, mean or attention pooling, dense layers.
    text::Text = "text",
    /// Layers that are written down here, as in torch.nn.Sequential.
    layers::Layers = "layers",
}

pub use mlp::Activation;
