//! A run goes on from what it saved, and from nothing else.

use std::path::Path;

use super::super::fault;
use super::super::layout::SweepDir;
use super::super::reader::RunReader;
use super::super::testing::{array, begin, fake_run, finish, folder, identity, soft, sweep_manifest};
use super::*;

/// The bytes of all files of a run but the manifest, whose times differ.
fn contents(dir: &RunDir) -> Vec<(String, Vec<u8>)> {
    let files = files::walk(dir.root()).unwrap().into_iter().filter(|path| *path != dir.manifest());
    files.map(|path| (dir.relative(&path).unwrap(), files::read(&path).unwrap())).collect()
}

fn run_in(folder: &Path) -> RunDir {
    SweepDir::new(folder).run(3)
}

#[test]
fn a_run_reads_back() {
    let folder = folder();
    let dir = run_in(folder.path());
    assert!(matches!(RunReader::open(&dir), Err(Error::RunsFailed(_))));
    finish(&dir, 1).unwrap();
    let run = RunReader::open(&dir).unwrap();
    assert_eq!(run.epochs(), [0, 2, 4]);
    assert_eq!(run.epochs_with(layout::WEIGHTS), [4]);
    assert_eq!(run.soft(2).unwrap(), soft(3, 2));
    assert_eq!(run.kernel(4).unwrap(), Some(array(3, 4)));
    assert_eq!(run.weights(0).unwrap(), None);
    assert_eq!(run.metrics().unwrap().len(), 4);
    assert!(run.soft(1).unwrap_err().to_string().contains("not recorded"));
    assert!(run.outcome().provenance.ended.is_some());
    assert!(!dir.state().exists());
    assert!(matches!(begin(&dir, 2).unwrap(), Begin::Complete));
}

#[test]
fn an_interrupted_run_goes_on_and_ends_with_the_same_bytes() {
    let folder = folder();
    let whole = SweepDir::new(&folder.path().join("whole")).run(3);
    finish(&whole, 1).unwrap();
    for stop in 1..=4 {
        let dir = SweepDir::new(&folder.path().join(stop.to_string())).run(3);
        fake_run(&dir, 1, &mut |epoch| epoch < stop).unwrap();
        match begin(&dir, 1).unwrap() {
            Begin::Start(_, why) if stop == 1 => assert_eq!(why, None),
            Begin::Resume(_, state) => assert_eq!(state.epoch, stop - 1),
            begin => panic!("stop {stop}: {begin:?}"),
        }
        finish(&dir, 2).unwrap();
        assert_eq!(contents(&dir), contents(&whole), "stop {stop}");
    }
}

#[test]
fn a_state_is_not_used_when_a_file_it_vouches_for_is_damaged() {
    let folder = folder();
    let dir = run_in(folder.path());
    fake_run(&dir, 1, &mut |epoch| epoch < 4).unwrap();
    let broken = dir.checkpoint(2).join(layout::SOFT);
    let mut bytes = files::read(&broken).unwrap();
    bytes[40] ^= 1;
    files::write(&broken, &bytes).unwrap();
    match begin(&dir, 2).unwrap() {
        Begin::Start(_, Some(why)) => assert!(why.contains("checkpoints/0002/soft.parquet"), "{why}"),
        begin => panic!("{begin:?}"),
    }
    assert!(!dir.checkpoints().exists() && !dir.state().exists());
}

#[test]
fn a_state_of_another_run_experiment_or_data_is_not_used() {
    let folder = folder();
    let dir = run_in(folder.path());
    type Change = fn(&mut RunIdentity);
    let changes: [(Change, &str); 4] = [
        (|identity| identity.training = "ff".into(), "another experiment"),
        (|identity| identity.data = "ff".into(), "other data"),
        (|identity| identity.run = 4, "is of run 3"),
        (|identity| identity.streams.clear(), "other random streams"),
    ];
    for (change, expected) in changes {
        fake_run(&dir, 1, &mut |epoch| epoch < 3).unwrap();
        let mut other = identity(3);
        change(&mut other);
        match RunWriter::begin(&dir, 2, &other).unwrap() {
            Begin::Start(_, Some(why)) => assert!(why.contains(expected), "{why}"),
            begin => panic!("{expected}: {begin:?}"),
        }
        assert!(!dir.checkpoints().exists() && !dir.state().exists());
    }
}

#[test]
fn a_complete_run_of_another_experiment_is_left_alone() {
    let folder = folder();
    let dir = run_in(folder.path());
    finish(&dir, 1).unwrap();
    let before = contents(&dir);
    let other = RunIdentity { training: "ff".into(), ..identity(3) };
    let error = RunWriter::begin(&dir, 2, &other).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("another experiment"), "{error}");
    assert_eq!(contents(&dir), before);
}

#[test]
fn a_writer_whose_folder_was_replaced_writes_no_more() {
    let folder = folder();
    let dir = run_in(folder.path());
    fake_run(&dir, 1, &mut |epoch| epoch < 2).unwrap();
    let Begin::Resume(mut writer, state) = begin(&dir, 2).unwrap() else { panic!("there is a state") };
    std::fs::remove_dir_all(dir.root()).unwrap();
    std::fs::create_dir(dir.root()).unwrap();
    assert!(matches!(writer.soft(2, &soft(3, 2)), Err(Error::Invalid(_))));
    assert!(matches!(writer.save_state(&state), Err(Error::Invalid(_))));
    assert!(matches!(writer.fail(vec!["late".into()]), Err(Error::Invalid(_))));
    assert_eq!(files::walk(dir.root()).unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_writer_in_a_sweep_that_became_another_writes_no_more() {
    let folder = folder();
    let dir = run_in(folder.path());
    let sweep = SweepDir::new(folder.path());
    let own = SweepManifest { training: Some(identity(3).training), ..sweep_manifest("a = 1\n", 4) };
    own.write(&sweep).unwrap();
    fake_run(&dir, 1, &mut |epoch| epoch < 2).unwrap();
    let Begin::Resume(mut writer, state) = begin(&dir, 2).unwrap() else { panic!("there is a state") };
    writer.save_state(&state).unwrap();
    SweepManifest { training: Some("ff".into()), ..own }.write(&sweep).unwrap();
    assert!(matches!(writer.save_state(&state), Err(Error::Invalid(text)) if text.contains("another experiment")));
}

#[test]
#[cfg(unix)]
fn a_linked_run_is_neither_entered_nor_cleaned() {
    let folder = folder();
    let dir = run_in(folder.path());
    let other = SweepDir::new(&folder.path().join("other")).run(3);
    finish(&other, 1).unwrap();
    let before = contents(&other);
    files::create_folder(dir.root().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(other.root(), dir.root()).unwrap();
    assert!(matches!(begin(&dir, 1), Err(Error::Corrupt(text)) if text.contains("a link")));
    assert!(forget(&dir).is_err() && tidy(&dir).is_err() && RunReader::open(&dir).is_err());
    std::fs::remove_file(dir.root()).unwrap();
    files::create_folder(dir.root()).unwrap();
    std::os::unix::fs::symlink(other.checkpoints(), dir.checkpoints()).unwrap();
    assert!(begin(&dir, 1).is_err() && forget(&dir).is_err());
    assert_eq!(contents(&other), before);
}

#[test]
fn a_failed_run_keeps_its_state_and_is_tried_again() {
    let folder = folder();
    let dir = run_in(folder.path());
    fake_run(&dir, 1, &mut |epoch| epoch < 3).unwrap();
    match begin(&dir, 1).unwrap() {
        Begin::Resume(writer, _) => writer.fail(vec!["out of luck".into()]).unwrap(),
        begin => panic!("{begin:?}"),
    }
    let error = RunReader::open(&dir).unwrap_err();
    assert!(matches!(&error, Error::RunsFailed(text) if text.contains("out of luck")), "{error}");
    assert!(matches!(begin(&dir, 2).unwrap(), Begin::Resume(_, state) if state.epoch == 2));
    assert!(!dir.manifest().exists());
    finish(&dir, 2).unwrap();
    record_failure(&dir, 3, vec!["too late".into()]).unwrap();
    RunReader::open(&dir).unwrap();
}

#[test]
fn a_failure_at_any_operation_is_made_good_by_another_attempt() {
    let folder = folder();
    let whole = SweepDir::new(&folder.path().join("whole")).run(3);
    finish(&whole, 1).unwrap();
    for kind in ["short", "space", "rename", "any"] {
        let mut at = 1;
        loop {
            let dir = SweepDir::new(&folder.path().join(format!("{kind}-{at}"))).run(3);
            let (result, seen) = fault::testing::with(&format!("{kind}:{at}"), || finish(&dir, 1));
            assert_eq!(result.is_err(), seen >= at, "{kind}:{at}");
            if seen < at {
                break;
            }
            finish(&dir, 2).unwrap();
            assert_eq!(contents(&dir), contents(&whole), "{kind}:{at}");
            at += 1;
        }
        assert!(at > 10, "{kind} met only {} operations", at - 1);
    }
}

#[test]
fn a_process_that_lost_its_run_to_a_later_attempt_writes_nothing_more() {
    let folder = folder();
    let dir = SweepDir::new(folder.path()).run(0);
    let Begin::Start(mut writer, _) = begin(&dir, 2).unwrap() else { panic!("it is new") };
    files::write(&dir.lease(), br#"{"attempt": 2}"#).unwrap();
    writer.soft(0, &soft(0, 0)).unwrap();
    files::write(&dir.lease(), br#"{"attempt": 3}"#).unwrap();
    let error = writer.soft(1, &soft(0, 1)).unwrap_err();
    assert!(matches!(&error, Error::Interrupted(text) if text.contains("attempt 3")), "{error}");
    assert!(!dir.checkpoint(1).exists());
    finish(&dir, 3).unwrap();
    assert!(matches!(writer.soft(1, &soft(0, 1)), Err(Error::Interrupted(text)) if text.contains("finished")));
}
