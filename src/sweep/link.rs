//! Taking over a run that another sweep has already trained, where both would train it to the same bytes.

use super::lease::Lease;
use super::state::{self, RunState};
use crate::error::Result;
use crate::record::layout::{KERNEL, SPECTRA, WEIGHTS};
use crate::record::{Begin, Outcome, RunIdentity, RunReader, RunWriter, SweepDir};

/// Copies the complete run `from` into `to` under its own index as the run `identity` of that sweep, with `change` made to
/// what it says of itself; nothing is done where the run is complete there. That both sweeps train this run alike is the
/// caller's to know. Says whether anything was copied.
///
/// # Errors
/// Records of `from` that are damaged; the run is being trained in `to`; whatever the file system refuses.
pub fn link(
    from: &RunReader,
    to: &SweepDir,
    identity: &RunIdentity,
    change: impl FnOnce(&mut Outcome),
) -> Result<bool> {
    let dir = to.run(from.index());
    if state::of(&dir)?.state == RunState::Complete {
        return Ok(false);
    }
    let lease = Lease::acquire(&dir)?;
    let mut writer = match RunWriter::begin(&dir, lease.attempt(), identity)? {
        Begin::Complete => return Ok(false),
        Begin::Start(writer, _) | Begin::Resume(writer, _) => writer,
    };
    for epoch in from.epochs() {
        writer.soft(epoch, &from.soft(epoch)?)?;
    }
    for epoch in from.epochs_with(KERNEL) {
        if let Some(kernel) = from.kernel(epoch)? {
            writer.kernel(epoch, &kernel)?;
        }
    }
    for epoch in from.epochs_with(SPECTRA) {
        if let Some(spectra) = from.spectra(epoch)? {
            writer.spectra(epoch, &spectra)?;
        }
    }
    for epoch in from.epochs_with(WEIGHTS) {
        if let Some(weights) = from.weights(epoch)? {
            writer.weights(epoch, &weights)?;
        }
    }
    let mut outcome = from.outcome().clone();
    change(&mut outcome);
    writer.finish(&from.metrics()?, outcome)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::{array, begin, finish, identity, outcome, soft};

    #[test]
    fn a_run_is_copied_once_and_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (SweepDir::new(&folder.path().join("one")), SweepDir::new(&folder.path().join("other")));
        finish(&one.run(0), 1).unwrap();
        let from = RunReader::open(&one.run(0)).unwrap();
        let change = |outcome: &mut Outcome| outcome.epochs += 100;
        let own = RunIdentity { training: "other".into(), ..identity(0) };
        assert!(link(&from, &other, &own, change).unwrap());
        let copy = RunReader::open(&other.run(0)).unwrap();
        assert_eq!(copy.files(), from.files());
        assert_eq!(copy.outcome().epochs, from.outcome().epochs + 100);
        assert_eq!(state::of(&other.run(0)).unwrap().state, RunState::Complete);
        assert!(!link(&from, &other, &own, |_| panic!("nothing is to be changed")).unwrap());
    }

    #[test]
    fn spectra_are_copied_too() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (SweepDir::new(&folder.path().join("one")), SweepDir::new(&folder.path().join("other")));
        let Begin::Start(mut writer, _) = begin(&one.run(0), 1).unwrap() else { panic!("nothing is there") };
        writer.soft(4, &soft(0, 4)).unwrap();
        writer.spectra(4, &array(1, 4)).unwrap();
        writer.finish(&[], outcome()).unwrap();
        let from = RunReader::open(&one.run(0)).unwrap();
        link(&from, &other, &identity(0), |_| {}).unwrap();
        assert_eq!(RunReader::open(&other.run(0)).unwrap().spectra(4).unwrap(), Some(array(1, 4)));
    }
}
