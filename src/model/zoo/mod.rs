//! The zoo: architectures as lists of layers, one file each, and the `[model]` table of an experiment.
//!
//! To add an architecture, write its file (see [`mlp`] for a small one) and its line in the list at the end of this one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use super::Plan;
use super::weights::{self, HostTensor, Names};
use crate::error::{Error, Result};
use crate::keys::node::{Node, Origin, Value};
use crate::keys::{Grammar, Keyed, Kind, Shape, keys, words};

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

/// What the key `head` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeadKey {
    /// What becomes of the last dense layer.
    Becomes(Head),
    /// The widths of a `cnn`'s hidden dense layers.
    Hidden(Vec<usize>),
}

/// One of two words, or a list of widths.
#[derive(Debug)]
struct HeadGrammar;

impl Grammar for HeadGrammar {
    fn check(&self, node: &Node, path: &str, wrong: &mut Vec<(Origin, String)>) -> Json {
        let fits = match &node.value {
            Value::Text(text) => Head::WORDS.contains(&text.as_str()),
            Value::List(items) => {
                items.iter().all(|item| matches!(item.value, Value::Whole(width) if (1..=1_000_000).contains(&width)))
            }
            _ => false,
        };
        if fits {
            return layers::plain(node);
        }
        wrong.push((node.origin.clone(), format!("{path} takes {}, but is {}", self.takes(), node.value.describe())));
        self.stand_in()
    }

    fn takes(&self) -> String {
        "\"keep\" or \"fresh\", or, for a cnn, a list of widths from 1 to 1,000,000".into()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "enum": Head::WORDS }, { "type": "array", "items": { "type": "integer", "minimum": 1 } }] })
    }

    fn stand_in(&self) -> Json {
        json!("keep")
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
        /// Whether the last dense layer is read from the file (`keep`, the default) or drawn anew (`fresh`). For a `cnn` also the
        /// widths of its hidden dense layers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<HeadKey> = None, Shape::Other(&HeadGrammar);
        /// BLAKE3 of the file, in hexadecimal: filled in when a sweep is made, and checked whenever the file is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String> = None, Shape::Text;
        /// How weights are drawn: `harness` (the default), or `torch` as PyTorch's layers do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        init: Option<Initialisation> = None, Initialisation::SHAPE;
    }
}

impl Start {
    /// The same with the digest of the file that it names.
    ///
    /// # Errors
    /// `Invalid` if the file cannot be read, or is not the one whose digest is there already.
    pub fn pinned(&self) -> Result<Self> {
        let Some(path) = &self.weights else { return Ok(self.clone()) };
        let digest = weights::digest(Path::new(path))?;
        self.expect(path, &digest)?;
        Ok(Self { digest: Some(digest), ..self.clone() })
    }

    fn expect(&self, path: &str, digest: &str) -> Result<()> {
        match &self.digest {
            Some(expected) if expected != digest => Err(Error::Invalid(format!(
                "{path} is not the file that the experiment starts from: its BLAKE3 is {digest}, not {expected}; put the file back, \
                 or make a new sweep without model.digest"
            ))),
            _ => Ok(()),
        }
    }

    /// The tensors that training starts from: those of the file, without the last dense layer's where it is drawn anew; none
    /// where no file is named.
    ///
    /// # Errors
    /// `Invalid` if the file cannot be read, is another than the experiment's, or does not fit the plan.
    pub fn tensors(&self, plan: &Plan) -> Result<Vec<HostTensor>> {
        let Some(path) = &self.weights else { return Ok(Vec::new()) };
        let names = Names::from(self.map.clone().unwrap_or_default());
        names.check(plan, "model.map")?;
        let given = weights::read(Path::new(path))?;
        self.expect(path, &given.digest)?;
        let fresh = plan.head().filter(|_| self.draws_head());
        given.fit(plan, &names, fresh.map(|head| head.name.as_str()))
    }

    /// Whether the last dense layer is drawn anew.
    #[must_use]
    pub fn draws_head(&self) -> bool {
        self.head == Some(HeadKey::Becomes(Head::Fresh))
    }

    /// A key that has no effect without the file.
    #[must_use]
    pub fn idle_key(&self) -> Option<&'static str> {
        let keys = [
            ("map", self.map.is_some()),
            ("head", matches!(self.head, Some(HeadKey::Becomes(_)))),
            ("digest", self.digest.is_some()),
        ];
        keys.into_iter().find(|(_, given)| *given && self.weights.is_none()).map(|(key, _)| key)
    }
}

/// The `[model]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Which layers.
    pub architecture: Architecture,
    /// Where training starts.
    pub start: Start,
}

impl Model {
    /// Its layers for examples `[channels, height, width]`, as they would be written in an experiment.
    ///
    /// # Errors
    /// `Invalid` where its keys do not fit together or to the examples.
    pub fn layers(&self, input: [usize; 3]) -> Result<Vec<Json>> {
        self.network().architecture.layers(input)
    }

    /// The same network without where training starts; hidden widths that stand under `head`, as they once did, are moved to `hidden`.
    #[must_use]
    pub fn network(&self) -> Self {
        let architecture = match (&self.architecture, &self.start.head) {
            (Architecture::Cnn(cnn), Some(HeadKey::Hidden(widths))) => {
                Architecture::Cnn(Cnn { hidden: Some(widths.clone()), ..cnn.clone() })
            }
            (architecture, _) => architecture.clone(),
        };
        Self { architecture, start: Start::default() }
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

/// One table: the keys of the architecture, then those of `Start`.
impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let table = |value: serde_json::Result<Json>| match value.map_err(S::Error::custom)? {
            Json::Object(table) => Ok(table),
            _ => Err(S::Error::custom("a model is a table")),
        };
        let mut all = table(serde_json::to_value(&self.architecture))?;
        let start = table(serde_json::to_value(&self.start))?;
        all.extend(start);
        all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let mut start = Map::new();
        for key in Start::KEYS {
            start.extend(table.remove(key.name).map(|value| (key.name.to_owned(), value)));
        }
        let architecture = Architecture::deserialize(Json::Object(table)).map_err(D::Error::custom)?;
        let mut start = Start::deserialize(Json::Object(start)).map_err(D::Error::custom)?;
        // What resolved experiments of a cnn used to say where there is no hidden layer.
        if matches!(&start.head, Some(HeadKey::Hidden(widths)) if widths.is_empty()) {
            start.head = None;
        }
        Ok(Self { architecture, start })
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
    /// Densely connected network: every block adds channels to all that were there before it.
    densenet::Densenet = "densenet",
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
