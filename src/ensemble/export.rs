//! Writing a chosen ensemble into a folder.

use std::path::{Path, PathBuf};

use super::file::{ENSEMBLE, EnsembleFile, Member};
use super::model::{MODEL, ModelFile};
use crate::config::Experiment;
use crate::data;
use crate::error::{Error, Result};
use crate::model::python;
use crate::record::{FileEntry, SweepReader, files};

/// Name of the network's Python module.
const NETWORK: &str = "network.py";
/// What loads the ensemble into PyTorch, and its file's name.
const LOADER: (&str, &str) = ("load_ensemble.py", include_str!("load_ensemble.py"));

/// The networks of an ensemble, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    model: ModelFile,
    /// The network as a Python module.
    network: String,
    /// Name and bytes of each safetensors file, with its run.
    files: Vec<(u32, String, Vec<u8>)>,
}

impl Weights {
    /// Reads the weights of `runs` at `epoch`, and how the inputs of their experiment are standardised.
    ///
    /// # Errors
    /// [`Error::Invalid`] if weights of a run were not recorded at that epoch, or the data are not at hand or not those
    /// that the runs were trained on; [`Error::Corrupt`] for damaged records.
    pub fn read(sweep: &SweepReader, experiment: &Experiment, runs: &[u32], epoch: usize) -> Result<Self> {
        let (readers, _) = sweep.runs();
        let mut files = Vec::new();
        let mut digest = None;
        for &run in runs {
            let reader = readers
                .iter()
                .find(|reader| reader.index() as u32 == run)
                .ok_or_else(|| Error::Invalid(format!("run {run} is not among the complete runs")))?;
            let tensors = reader.weights(epoch)?.ok_or_else(|| {
                Error::Invalid(format!(
                    "the weights of run {run} at epoch {epoch} were not recorded: choose the last epoch, or train with \
                     `record.weights = true`"
                ))
            })?;
            digest = digest.or_else(|| reader.outcome().provenance.data_digest.clone());
            files.push((run, format!("run-{run:04}.safetensors"), tensors.encode()?));
        }
        let scale = data::input_scale(&experiment.data)?;
        if digest.is_some_and(|digest| digest != scale.digest) {
            return Err(Error::Invalid(
                "the data that the experiment names are not those that its runs were trained on, so their standardisation \
                 is not known"
                    .into(),
            ));
        }
        let plan = experiment.plan(scale.shape, scale.classes.len())?;
        Ok(Self { model: ModelFile::new(&experiment.model, &scale), network: python::module(&plan), files })
    }
}

/// Writes the ensemble into `folder`, with its weights, model file and loader where there are any, and returns the files
/// that were written, `ensemble.json` last. What an earlier export left of these names is replaced or removed.
///
/// # Errors
/// [`Error::Unexpected`] when the file system refuses.
pub fn export(folder: &Path, ensemble: &mut EnsembleFile, weights: Option<&Weights>) -> Result<Vec<PathBuf>> {
    files::create_folder(folder)?;
    let mut written = Vec::new();
    // Without its list, what is there belongs to no ensemble; and weights of an earlier choice must not stay behind.
    if let Ok(earlier) = EnsembleFile::read(&folder.join(ENSEMBLE)) {
        files::remove(&folder.join(ENSEMBLE))?;
        let names = earlier.members.iter().map(|member| member.file.path.as_str()).chain([MODEL, NETWORK, LOADER.0]);
        for name in names {
            files::remove(&folder.join(name))?;
        }
    }
    let mut write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        files::write(&path, bytes)?;
        written.push(path);
        Ok(FileEntry::of(name, bytes))
    };
    if let Some(Weights { model, network, files }) = weights {
        ensemble.members.clear();
        for (run, name, bytes) in files {
            ensemble.members.push(Member { run: *run, file: write(name, bytes)? });
        }
        write(NETWORK, network.as_bytes())?;
        ensemble.model_file = Some(write(MODEL, model.to_toml()?.as_bytes())?);
        write(LOADER.0, LOADER.1.as_bytes())?;
        ensemble.model = Some(MODEL.into());
    }
    write(ENSEMBLE, &ensemble.encode()?)?;
    Ok(written)
}
