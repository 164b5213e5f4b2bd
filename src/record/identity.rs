//! What a run belongs to: the experiment it was trained for, the data it was trained on, and its random streams. Manifests
//! and saved states carry it, so that files which were copied, mixed up or left by an earlier experiment are not taken for
//! results of this one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::manifest::{RunManifest, SweepManifest};
use super::wrong::Stranger;

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
    /// Why something of the identity `found` is not this run's; `None` if it is.
    #[must_use]
    pub fn stranger(&self, found: &Self) -> Option<Stranger> {
        experiment(Some(&found.training), Some(&self.training))
            .or_else(|| data(Some(&found.data), Some(&self.data)))
            .or_else(|| (self.run != found.run).then_some(Stranger::Run(found.run)))
            .or_else(|| (self.streams != found.streams).then_some(Stranger::Streams))
    }
}

/// A stranger, if both experiments are known and they differ.
fn experiment(found: Option<&String>, expected: Option<&String>) -> Option<Stranger> {
    let (found, expected) = (found?.clone(), expected?.clone());
    (found != expected).then_some(Stranger::Experiment { found, expected })
}

/// A stranger, if both digests of data are known and they differ.
fn data(found: Option<&String>, expected: Option<&String>) -> Option<Stranger> {
    let (found, expected) = (found?.clone(), expected?.clone());
    (found != expected).then_some(Stranger::Data { found, expected })
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
    pub fn stranger_of_state(&self, found: &RunIdentity, index: usize) -> Option<Stranger> {
        experiment(Some(&found.training), self.training.as_ref())
            .or_else(|| data(Some(&found.data), self.data.as_ref()))
            .or_else(|| (found.run != index).then_some(Stranger::Run(found.run)))
    }

    /// Why the complete run of this manifest does not belong to the sweep; `None` if it does.
    pub fn stranger(&mut self, run: &RunManifest, index: usize) -> Option<Stranger> {
        let identity = run.identity.as_ref();
        if let Some(other) =
            [Some(run.run), identity.map(|found| found.run)].into_iter().flatten().find(|run| *run != index)
        {
            return Some(Stranger::Run(other));
        }
        if identity.is_some() && self.first_version {
            return Some(Stranger::Newer);
        }
        if identity.is_none()
            && self.training.is_some()
            && !self.first_version
            && run.digest != self.older.get(&index).cloned()
        {
            return Some(Stranger::Older);
        }
        let told = run.outcome.as_ref().and_then(|outcome| outcome.provenance.data_digest.as_ref());
        if let (Some(identity), Some(told)) = (identity, told)
            && identity.data != *told
        {
            return Some(Stranger::TwoDataSets);
        }
        let told = identity.map(|found| &found.data).or(told);
        let other = experiment(identity.map(|found| &found.training), self.training.as_ref())
            .or_else(|| data(told, self.data.as_ref()));
        if other.is_some() {
            return other;
        }
        let size = run.outcome.as_ref().map(|outcome| {
            [outcome.examples as u64, outcome.classes as u64, outcome.parameters, outcome.epochs as u64]
        });
        if let (Some(found), Some(expected)) = (size, self.size)
            && found != expected
        {
            return Some(Stranger::Sizes { found, expected });
        }
        let streams = run.outcome.iter().flat_map(|outcome| &outcome.streams);
        let shared = streams.filter(|(_, stream)| !stream.varies);
        for (name, stream) in shared.clone() {
            if self.shared.get(name).is_some_and(|seed| *seed != stream.seed) {
                return Some(Stranger::Seed(name.clone()));
            }
        }
        self.shared.extend(shared.map(|(name, stream)| (name.clone(), stream.seed.clone())));
        self.training = self.training.take().or_else(|| identity.map(|found| found.training.clone()));
        self.data = self.data.take().or_else(|| told.cloned());
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
        assert_eq!(expected.stranger(&run(0, |_| {}), 0), None);
        assert_eq!(expected.stranger(&run(1, |_| {}), 1), None);
        let mut stranger = |change: fn(&mut RunManifest)| expected.stranger(&run(2, change), 2).unwrap();
        assert_eq!(stranger(|run| run.run = 1), Stranger::Run(1));
        assert_eq!(stranger(|run| run.identity.as_mut().unwrap().run = 1), Stranger::Run(1));
        let ff = || "ff".to_owned();
        assert_eq!(
            stranger(|run| run.identity.as_mut().unwrap().training = "ff".into()),
            Stranger::Experiment { found: ff(), expected: "0f".into() }
        );
        assert_eq!(
            stranger(|run| run.identity.as_mut().unwrap().data = "ff".into()),
            Stranger::Data { found: ff(), expected: "da".into() }
        );
        assert_eq!(
            stranger(|run| run.outcome.as_mut().unwrap().provenance.data_digest = Some("ff".into())),
            Stranger::TwoDataSets
        );
        let shared = |run: &mut RunManifest, seed: &str| {
            let streams = &mut run.outcome.as_mut().unwrap().streams;
            streams.insert("bit".into(), StreamSeed { seed: seed.into(), varies: false });
        };
        assert_eq!(expected.stranger(&run(0, |run| shared(run, "01")), 0), None);
        assert_eq!(expected.stranger(&run(1, |run| shared(run, "02")), 1), Some(Stranger::Seed("bit".into())));
    }

    #[test]
    fn of_an_old_sweep_the_first_run_says_what_the_others_must_be() {
        let mut expected = Expected::of(&SweepManifest { training: None, ..sweep_manifest("", 3) });
        assert_eq!(expected.stranger(&run(0, |_| {}), 0), Some(Stranger::Newer));
        let old = |index, digest: &str| {
            run(index, |run| {
                run.identity = None;
                run.outcome.as_mut().unwrap().provenance.data_digest = Some(digest.into());
            })
        };
        assert_eq!(expected.stranger(&old(0, "aa"), 0), None);
        assert_eq!(expected.stranger(&old(1, "aa"), 1), None);
        let other = Stranger::Data { found: "bb".into(), expected: "aa".into() };
        assert_eq!(expected.stranger(&old(2, "bb"), 2), Some(other));
        assert_eq!(expected.data(), Some("aa"));
        let longer = run(2, |run| {
            run.identity = None;
            run.outcome.as_mut().unwrap().epochs += 1;
        });
        assert!(matches!(expected.stranger(&longer, 2), Some(Stranger::Sizes { .. })));
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
        assert_eq!(expected.stranger(&old(1, "11"), 1), None);
        assert_eq!(expected.stranger(&old(1, "22"), 1), Some(Stranger::Older));
        assert_eq!(expected.stranger(&old(2, "11"), 2), Some(Stranger::Older));
    }

    #[test]
    fn an_identity_is_its_own_and_no_other() {
        let own = identity(3);
        assert_eq!(own.stranger(&own.clone()), None);
        let others = [
            RunIdentity { training: "x".into(), ..own.clone() },
            RunIdentity { data: "x".into(), ..own.clone() },
            RunIdentity { run: 4, ..own.clone() },
            RunIdentity { streams: BTreeMap::new(), ..own.clone() },
        ];
        for other in others {
            assert!(own.stranger(&other).is_some(), "{other:?}");
        }
    }
}
