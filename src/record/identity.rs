//! What a run belongs to: the experiment it was trained for, the data it was trained on, and its random streams. Manifests
//! and saved states carry it, so that files which were copied, mixed up or left by an earlier experiment are not taken for
//! results of this one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::manifest::{RunManifest, SweepManifest};

/// Hex digits of a digest that messages show.
const SHOWN: usize = 12;

/// What a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunIdentity {
    /// As `training` of its sweep: BLAKE3 of what determines the bytes of a run, in hex.
    pub training: String,
    /// BLAKE3 of the data that it was trained on, in hex.
    pub data: String,
    /// Its index.
    pub run: usize,
    /// The seed of each random stream, in hex, by name.
    pub streams: BTreeMap<String, String>,
}

impl RunIdentity {
    /// Why something of the identity `found` is not this run's, to be read after its name; `None` if it is.
    #[must_use]
    pub fn complaint(&self, found: &Self) -> Option<String> {
        if self.training != found.training {
            return Some(other_experiment(&found.training, &self.training));
        }
        if self.data != found.data {
            return Some(other_data(&found.data, &self.data));
        }
        if self.run != found.run {
            return Some(format!("is of run {}", found.run));
        }
        (self.streams != found.streams).then(|| "was drawn from other random streams".into())
    }
}

fn other_experiment(found: &str, expected: &str) -> String {
    format!("belongs to another experiment ({}, and this sweep trains {})", short(found), short(expected))
}

fn other_data(found: &str, expected: &str) -> String {
    format!("was trained on other data ({}, and this sweep is of {})", short(found), short(expected))
}

fn short(digest: &str) -> &str {
    digest.get(..SHOWN).unwrap_or(digest)
}

/// What every run of a sweep must agree with. What the sweep itself does not say, because an older version made it, is
/// learnt from its first complete run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    training: Option<String>,
    data: Option<String>,
    /// Seeds of the streams that do not vary.
    shared: BTreeMap<String, String>,
    /// Examples, classes, parameters and epochs of every run.
    size: Option<[u64; 4]>,
    /// Whether `sweep.json` is of version 1: then its runs are too, since a newer version that goes on with the sweep writes
    /// it again first.
    first_version: bool,
    /// Runs of an older version that belong to the sweep, by the digest of their manifests.
    older: BTreeMap<usize, String>,
}

impl Expected {
    /// What `sweep.json` says.
    #[must_use]
    pub fn of(manifest: &SweepManifest) -> Self {
        Self {
            training: manifest.training.clone(),
            data: manifest.data().map(str::to_owned),
            older: manifest.older.clone(),
            first_version: manifest.training.is_none(),
            ..Self::default()
        }
    }

    /// The digest of the data, where it is known.
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        self.data.as_deref()
    }

    /// Why a saved state of the identity `found` is not that of run `index` of the sweep; `None` if it may be.
    #[must_use]
    pub fn complaint_of_state(&self, found: &RunIdentity, index: usize) -> Option<String> {
        let differs =
            |expected: &Option<String>, found: &str| expected.as_ref().filter(|known| *known != found).cloned();
        if let Some(expected) = differs(&self.training, &found.training) {
            return Some(other_experiment(&found.training, &expected));
        }
        if let Some(expected) = differs(&self.data, &found.data) {
            return Some(other_data(&found.data, &expected));
        }
        (found.run != index).then(|| format!("is of run {}", found.run))
    }

    /// Why the complete run of this manifest does not belong to the sweep, to be read after its name; `None` if it does.
    pub fn complaint(&mut self, run: &RunManifest, index: usize) -> Option<String> {
        if run.run != index || run.identity.as_ref().is_some_and(|found| found.run != index) {
            return Some(format!("is run {} of its sweep", run.run));
        }
        let identity = run.identity.as_ref();
        if identity.is_some() && self.first_version {
            return Some(
                "was trained by a newer version of harness than its sweep.json says: that belongs to another sweep"
                    .into(),
            );
        }
        if identity.is_none()
            && self.training.is_some()
            && !self.first_version
            && run.digest != self.older.get(&index).cloned()
        {
            return Some(
                "does not say to which experiment it belongs, as runs of an older version of harness do not".into(),
            );
        }
        let data = run.outcome.as_ref().and_then(|outcome| outcome.provenance.data_digest.as_deref());
        if let (Some(identity), Some(data)) = (identity, data)
            && identity.data != data
        {
            return Some("names two data sets, so that nobody knows which it was trained on".into());
        }
        if let (Some(found), Some(expected)) = (identity.map(|found| &found.training), &self.training)
            && found != expected
        {
            return Some(other_experiment(found, expected));
        }
        let data = identity.map(|found| found.data.as_str()).or(data);
        if let (Some(found), Some(expected)) = (data, &self.data)
            && found != expected
        {
            return Some(other_data(found, expected));
        }
        let size = run.outcome.as_ref().map(|outcome| {
            [outcome.examples as u64, outcome.classes as u64, outcome.parameters, outcome.epochs as u64]
        });
        if let (Some(found), Some(expected)) = (size, self.size)
            && found != expected
        {
            return Some(format!(
                "belongs to another experiment: its examples, classes, parameters and epochs are {found:?}, those of the other runs {expected:?}"
            ));
        }
        let streams = run.outcome.iter().flat_map(|outcome| &outcome.streams);
        let shared = streams.filter(|(_, stream)| !stream.varies);
        for (name, stream) in shared.clone() {
            if self.shared.get(name).is_some_and(|seed| *seed != stream.seed) {
                return Some(format!("was drawn from another seed: its stream `{name}` is not that of the other runs"));
            }
        }
        self.shared.extend(shared.map(|(name, stream)| (name.clone(), stream.seed.clone())));
        self.training = self.training.take().or_else(|| identity.map(|found| found.training.clone()));
        self.data = self.data.take().or_else(|| data.map(str::to_owned));
        self.size = self.size.or(size);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{identity, outcome, sweep_manifest};
    use super::super::{RUN_SCHEMA, Status, StreamSeed};
    use super::*;

    fn run(index: usize, change: impl FnOnce(&mut RunManifest)) -> RunManifest {
        let mut manifest = RunManifest {
            schema: RUN_SCHEMA.name(),
            run: index,
            identity: Some(identity(index)),
            status: Status::Complete,
            attempt: 1,
            outcome: Some(outcome()),
            errors: Vec::new(),
            files: Vec::new(),
            digest: None,
        };
        change(&mut manifest);
        manifest
    }

    #[test]
    fn strangers_are_told_by_experiment_data_index_and_seed() {
        let sweep = SweepManifest { training: Some(identity(0).training), ..sweep_manifest("", 3) };
        let mut expected = Expected::of(&sweep);
        assert_eq!(expected.complaint(&run(0, |_| {}), 0), None);
        assert_eq!(expected.complaint(&run(1, |_| {}), 1), None);
        let mut stranger = |change: fn(&mut RunManifest)| expected.complaint(&run(2, change), 2).unwrap();
        assert!(stranger(|run| run.run = 1).contains("run 1 of its sweep"));
        assert!(stranger(|run| run.identity.as_mut().unwrap().run = 1).contains("of its sweep"));
        assert!(stranger(|run| run.identity.as_mut().unwrap().training = "ff".into()).contains("another experiment"));
        assert!(stranger(|run| run.identity.as_mut().unwrap().data = "ff".into()).contains("other data"));
        assert!(
            stranger(|run| {
                run.identity.as_mut().unwrap().data = "ff".into();
                run.outcome.as_mut().unwrap().provenance.data_digest = Some("ff".into());
            })
            .contains("other data")
        );
        let shared = |run: &mut RunManifest, seed: &str| {
            let streams = &mut run.outcome.as_mut().unwrap().streams;
            streams.insert("bit".into(), StreamSeed { seed: seed.into(), varies: false });
        };
        assert_eq!(expected.complaint(&run(0, |run| shared(run, "01")), 0), None);
        let complaint = expected.complaint(&run(1, |run| shared(run, "02")), 1).unwrap();
        assert!(complaint.contains("another seed"), "{complaint}");
    }

    #[test]
    fn of_an_old_sweep_the_first_run_says_what_the_others_must_be() {
        let mut expected = Expected::of(&SweepManifest { training: None, ..sweep_manifest("", 3) });
        assert!(expected.complaint(&run(0, |_| {}), 0).unwrap().contains("newer version"));
        let old = |index, digest: &str| {
            run(index, |run| {
                run.identity = None;
                run.outcome.as_mut().unwrap().provenance.data_digest = Some(digest.into());
            })
        };
        assert_eq!(expected.complaint(&old(0, "aa"), 0), None);
        assert_eq!(expected.complaint(&old(1, "aa"), 1), None);
        assert!(expected.complaint(&old(2, "bb"), 2).unwrap().contains("other data"));
        assert_eq!(expected.data(), Some("aa"));
        let longer = run(2, |run| {
            run.identity = None;
            run.outcome.as_mut().unwrap().epochs += 1;
        });
        assert!(expected.complaint(&longer, 2).unwrap().contains("epochs"));
    }

    #[test]
    fn a_run_of_an_older_version_belongs_only_where_it_was_when_the_sweep_was_gone_on_with() {
        let older = BTreeMap::from([(1, "11".to_owned())]);
        let sweep = SweepManifest { training: Some("0f".into()), older, ..sweep_manifest("", 3) };
        let mut expected = Expected::of(&sweep);
        let old = |index, digest: &str| {
            run(index, |run| {
                run.identity = None;
                run.digest = Some(digest.into());
            })
        };
        assert_eq!(expected.complaint(&old(1, "11"), 1), None);
        assert!(expected.complaint(&old(1, "22"), 1).unwrap().contains("older version"));
        assert!(expected.complaint(&old(2, "11"), 2).unwrap().contains("older version"));
    }

    #[test]
    fn an_identity_is_its_own_and_no_other() {
        let own = identity(3);
        assert_eq!(own.complaint(&own.clone()), None);
        let others = [
            RunIdentity { training: "x".into(), ..own.clone() },
            RunIdentity { data: "x".into(), ..own.clone() },
            RunIdentity { run: 4, ..own.clone() },
            RunIdentity { streams: BTreeMap::new(), ..own.clone() },
        ];
        for other in others {
            assert!(own.complaint(&other).is_some(), "{other:?}");
        }
    }
}
