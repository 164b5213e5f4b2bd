//! What belongs to a sweep: which run is whose, and whether the directory is still the one that a process began in.

use jiff::Timestamp;
use rayon::prelude::*;

use crate::config::{Experiment, Stream};
use crate::error::{Error, Result, exit};
use crate::record::files::Anchor;
use crate::record::{
    Damage, Expected, RunIdentity, RunManifest, Status, Stranger, StreamSeed, SweepDir, SweepManifest, files,
};

/// What run `run` of the sweep belongs to, trained on the data of the digest `data`.
#[must_use]
pub fn identity(manifest: &SweepManifest, experiment: &Experiment, data: &str, run: usize) -> RunIdentity {
    let seed = |stream: &Stream| (stream.name().to_owned(), experiment.sweep.stream_seed(*stream, run as u64));
    RunIdentity {
        training: manifest.training.clone().unwrap_or_else(|| experiment.training_hash()),
        data: data.to_owned(),
        run,
        streams: Stream::ALL.iter().map(seed).collect(),
    }
}

/// A complete run that cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A file of it is not as it was written: it can be trained again.
    Damaged { run: usize, file: String, damage: Damage },
    /// It belongs to another experiment, other data, another run or other seeds: it is not ours to remove.
    Foreign { run: usize, stranger: Stranger },
}

/// Reads every file of every complete run of the sweep and says which runs cannot be relied on, in order.
///
/// # Errors
/// A run lies behind a link; its files cannot be read.
pub fn inspect(sweep: &SweepDir, manifest: &SweepManifest, experiment: &Experiment) -> Result<Vec<Finding>> {
    let mut complete = Vec::new();
    for run in 0..manifest.runs {
        match RunManifest::read(&sweep.run(run)) {
            Ok(Some(found)) if found.status == Status::Complete => complete.push(found),
            Err(error) if !is_unusable(&error) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    let mut expected = Expected::of(manifest);
    let strangers: Vec<Option<Stranger>> = complete
        .iter()
        .map(|found| {
            if let Some(stranger) = expected.stranger(found, found.run) {
                return Some(stranger);
            }
            let own = identity(manifest, experiment, expected.data().unwrap_or_default(), found.run);
            match (&found.identity, &found.outcome) {
                (Some(identity), _) => own.stranger(identity),
                (None, Some(outcome)) => {
                    let drawn = |(name, stream): (&String, &StreamSeed)| own.streams.get(name) == Some(&stream.seed);
                    let (found, expected) = (outcome.epochs, experiment.train.epochs);
                    match outcome.streams.iter().all(drawn) {
                        false => Some(Stranger::Streams),
                        true => (found != expected).then_some(Stranger::Epochs { found, expected }),
                    }
                }
                (None, None) => None,
            }
        })
        .collect();
    let judged = complete.par_iter().zip(strangers).filter_map(|(found, stranger)| {
        let (run, dir) = (found.run, sweep.run(found.run));
        if let Some(stranger) = stranger {
            return Some(Finding::Foreign { run, stranger });
        }
        found.files.iter().find_map(|entry| {
            let path = dir.root().join(&entry.path);
            let damage = match files::refuse_links(sweep.root(), &path) {
                Err(error) => Damage::Unreadable(error),
                Ok(()) => entry.damage_at(&path)?,
            };
            Some(Finding::Damaged { run, file: path.display().to_string(), damage })
        })
    });
    Ok(judged.collect())
}

/// Whether a manifest cannot be used because of what it says, rather than because it cannot be read.
pub(super) fn is_unusable(error: &Error) -> bool {
    [exit::CORRUPT, exit::INVALID].contains(&error.exit_code())
}

/// Notices when the directory of a sweep is no longer the one that a process began in, or holds another sweep.
#[derive(Debug)]
pub struct Guard {
    sweep: SweepDir,
    anchor: Anchor,
    began: Option<(Option<String>, Timestamp)>,
}

impl Guard {
    /// The sweep as it is now.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn new(sweep: &SweepDir) -> Result<Self> {
        let anchor = Anchor::new(sweep.root())?;
        let began =
            SweepManifest::read(sweep).ok().flatten().map(|manifest| (manifest.training, manifest.provenance.started));
        Ok(Self { sweep: sweep.clone(), anchor, began })
    }

    /// # Errors
    /// `Invalid` if another sweep, or none, is there now.
    pub fn check(&self) -> Result<()> {
        self.anchor.check()?;
        // One that is damaged or lost can be written again, and says nothing.
        let Ok(Some(now)) = SweepManifest::read(&self.sweep) else { return Ok(()) };
        let same = self.began.as_ref().is_none_or(|(training, started)| {
            *started == now.provenance.started && (training.is_none() || *training == now.training)
        });
        if same {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "{} holds another sweep than this process began with, and nothing more is written there",
            self.sweep.root().display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::{finish, folder, sweep_manifest};

    #[test]
    fn a_directory_that_became_another_sweep_is_noticed() {
        let folder = folder();
        let sweep = SweepDir::new(&folder.path().join("sweep"));
        files::create_folder(&sweep.runs()).unwrap();
        let first = SweepManifest { training: None, ..sweep_manifest("a = 1\n", 2) };
        first.write(&sweep).unwrap();
        let guard = Guard::new(&sweep).unwrap();
        guard.check().unwrap();
        // It may be enlarged, and learn what an older version did not write.
        SweepManifest { runs: 5, training: Some("aa".into()), ..first.clone() }.write(&sweep).unwrap();
        guard.check().unwrap();
        let mut other = first;
        other.provenance.started = Timestamp::UNIX_EPOCH;
        other.write(&sweep).unwrap();
        assert!(matches!(guard.check(), Err(Error::Invalid(_))));
        std::fs::remove_dir_all(sweep.root()).unwrap();
        assert!(matches!(guard.check(), Err(Error::Invalid(_))));
    }

    #[test]
    fn damage_is_told_from_strangers() {
        let folder = folder();
        let sweep = SweepDir::new(folder.path());
        let experiment = crate::config::from_stored(
            "name = \"x\"\ndata = { dataset = \"digits\" }\nmodel = { kind = \"mlp\", widths = [4] }\n",
            folder.path(),
        );
        let experiment = experiment.unwrap();
        let manifest = SweepManifest { training: Some("0f".into()), ..sweep_manifest("", 3) };
        for run in 0..3 {
            finish(&sweep.run(run), 1).unwrap();
            let mut found = RunManifest::read(&sweep.run(run)).unwrap().unwrap();
            found.identity = Some(identity(&manifest, &experiment, "da", run));
            found.write(&sweep.run(run)).unwrap();
        }
        assert_eq!(inspect(&sweep, &manifest, &experiment).unwrap(), []);
        std::fs::write(sweep.run(1).checkpoint(2).join("soft.parquet"), b"PAR1").unwrap();
        let mut found = RunManifest::read(&sweep.run(2)).unwrap().unwrap();
        found.identity = Some(identity(&manifest, &experiment, "da", 1));
        found.identity.as_mut().unwrap().run = 2;
        found.write(&sweep.run(2)).unwrap();
        let found = inspect(&sweep, &manifest, &experiment).unwrap();
        assert!(
            matches!(&found[0], Finding::Damaged { run: 1, damage: Damage::Size { found: 4, .. }, .. }),
            "{found:?}"
        );
        assert_eq!(found[1], Finding::Foreign { run: 2, stranger: Stranger::Streams });
    }
}
