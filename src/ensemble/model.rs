//! `model.toml`: which network the weights are for, and what it wants its inputs to look like.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::read_limited;
use crate::config::{self, Data, DatasetKind, Experiment, Facts, Model};
use crate::data::InputScale;
use crate::error::{Error, Result};

/// Name and version of the format.
const SCHEMA: &str = "harness.model/1";
/// Name of the file.
pub const MODEL: &str = "model.toml";
/// No file is longer, in bytes.
const LONGEST: u64 = 1 << 20;
/// What a person finds at the top of the file.
const PREFACE: &str = "# A network of the zoo and what it wants its inputs to look like: (pixel - mean) / deviation, channel by channel, in
# units of the data set's files. The weights beside this file have PyTorch's names and layouts.\n\n";

/// A network without its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// `harness.model/1`
    pub schema: String,
    /// A name for each class, in the order of the logits.
    pub classes: Vec<String>,
    /// What its inputs are.
    pub input: InputLayout,
    /// As in an experiment.
    pub model: Model,
}

/// What the network's inputs are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputLayout {
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Taken from the pixels of each channel.
    pub mean: Vec<f64>,
    /// What the pixels of each channel are then divided by; positive.
    pub deviation: Vec<f64>,
}

impl ModelFile {
    /// The model of an experiment with the standardisation of its data.
    #[must_use]
    pub fn new(model: &Model, scale: &InputScale) -> Self {
        let InputScale { shape, classes, mean, deviation, .. } = scale.clone();
        Self { schema: SCHEMA.into(), classes, input: InputLayout { shape, mean, deviation }, model: model.network() }
    }

    /// As TOML.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        let body = toml::to_string(self)
            .map_err(|cause| Error::Unexpected(format!("cannot write a model file as TOML: {cause}")))?;
        Ok(format!("{PREFACE}{body}"))
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not there, not a model file of this version, or describes what cannot be built.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let invalid = |what: String| Error::Invalid(format!("{shown} is not a model file that can be read: {what}"));
        let bytes = read_limited(path, LONGEST, "a model file")?;
        let text = String::from_utf8(bytes).map_err(|_| invalid("it is not text".into()))?;
        let found: Self = toml::from_str(&text).map_err(|cause| invalid(cause.message().to_owned()))?;
        if found.schema != SCHEMA {
            return Err(invalid(format!("its schema is {:?}, and this version reads {SCHEMA:?}", found.schema)));
        }
        let InputLayout { shape, mean, deviation } = &found.input;
        if shape.contains(&0) {
            return Err(invalid(format!("its images have the shape {shape:?}, which holds nothing")));
        }
        if mean.len() != shape[0] || deviation.len() != shape[0] {
            return Err(invalid(format!(
                "it has {} means and {} deviations for {} channels",
                mean.len(),
                deviation.len(),
                shape[0]
            )));
        }
        if !mean.iter().all(|value| value.is_finite())
            || !deviation.iter().all(|value| *value > 0.0 && value.is_finite())
        {
            return Err(invalid("means must be finite, and deviations positive".into()));
        }
        found.check().map_err(|error| invalid(error.to_string()))?;
        Ok(found)
    }

    /// Whether the experiment's own rules would let such a model be trained on such inputs.
    fn check(&self) -> Result<()> {
        let data = Data::whole(DatasetKind::Npz, Some(PathBuf::from("inputs.npz")));
        let experiment = Experiment {
            name: "model".into(),
            data,
            model: self.model.clone(),
            train: config::Train::default(),
            sweep: config::Sweep::default(),
            record: config::Record::default(),
            analysis: config::Analysis::default(),
            flags: config::Flags::default(),
        };
        config::validate(&experiment)?;
        let classes = self.classes.len();
        // Every class needs an example; how many more there are is no matter here.
        let facts = Facts { shape: self.input.shape, classes, train_len: classes.max(1), eval_len: classes.max(1) };
        config::validate_against_data(&experiment, &facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale() -> InputScale {
        InputScale {
            shape: [1, 8, 8],
            classes: vec!["0".into(), "1".into()],
            mean: vec![0.1 + 0.2],
            deviation: vec![1.0 / 3.0],
            digest: String::new(),
        }
    }

    fn refused(change: impl Fn(String) -> String) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MODEL);
        let text = ModelFile::new(&Model::parse("kind = 'resnet', depth = 8, width = 4"), &scale()).to_toml().unwrap();
        std::fs::write(&path, change(text)).unwrap();
        match ModelFile::read(&path) {
            Err(error) if error.exit_code() == crate::error::exit::INVALID => error.to_string(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn every_model_reads_back_with_every_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MODEL);
        for model in [
            "kind = 'mlp', widths = [7, 5], activation = 'gelu', dropout = 0.25",
            "kind = 'cnn', channels = [3], kernel = 5, batch_norm = true, head = [4], activation = 'tanh'",
            "kind = 'resnet', depth = 8, width = 4",
            "kind = 'vit', patch = 2, width = 8, heads = 2, mlp_ratio = 1.5, epsilon = 1e-6",
            "kind = 'layers', layers = ['flatten', { residual = [{ dense = 64, bias = false }] }, { dense = 'classes', name = 'fc' }]",
        ] {
            let file = ModelFile::new(&Model::parse(model), &scale());
            std::fs::write(&path, file.to_toml().unwrap()).unwrap();
            assert_eq!(ModelFile::read(&path).unwrap(), file);
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        assert!(refused(|text| text.replace("harness.model/1", "harness.model/9")).contains("harness.model/9"));
        assert!(refused(|text| text.replace("depth = 8", "depth = 9")).contains("depth"));
        assert!(refused(|text| text.replace("width = 4", "width = 0")).contains("width"));
        assert!(refused(|text| text.replace("width = 4", "wdith = 4")).contains("wdith"));
        assert!(refused(|text| text.replace("shape = [1, 8, 8]", "shape = [2, 8, 8]")).contains("1 means"));
        assert!(refused(|text| text.replace("shape = [1, 8, 8]", "shape = [1, 0, 8]")).contains("model file"));
        assert!(refused(|text| text.replace("deviation = [0.333", "deviation = [-0.333")).contains("positive"));
        assert!(refused(|_| "not = [toml".into()).contains("is not a model file"));
        assert!(refused(|_| String::new()).contains("schema"));
    }
}
