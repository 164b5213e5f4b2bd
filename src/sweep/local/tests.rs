use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::lease::Lease;
use super::super::progress::Silent;
use super::super::{Definition, open_or_create, testing};
use super::*;
use crate::record::testing::{finish, folder};
use crate::record::{Origin, Provenance, files, verify};

/// Keeps what it is told.
#[derive(Default)]
struct Diary(Vec<String>);

impl Observer for Diary {
    fn begin(&mut self, runs: usize) {
        self.0.push(format!("begin {runs}"));
    }
    fn started(&mut self, run: usize, attempt: u32) {
        self.0.push(format!("{run} started {attempt}"));
    }
    fn progress(&mut self, run: usize, progress: &ProgressLine) {
        self.0.push(format!("{run} at {}", progress.epoch));
    }
    fn message(&mut self, run: usize, text: &str) {
        self.0.push(format!("{run} says {text}"));
    }
    fn ended(&mut self, run: usize, how: Ended<'_>) {
        self.0.push(format!("{run} {how:?}"));
    }
    fn end(&mut self) {
        self.0.push("end".into());
    }
}

fn options(jobs: usize, retries: u32) -> Options {
    Options { threads: vec![1; jobs], devices: Vec::new(), retries, stall: None }
}

fn sweep_in(folder: &Path) -> SweepDir {
    let sweep = SweepDir::new(&folder.join("sweep"));
    files::create_folder(&sweep.runs()).unwrap();
    sweep
}

fn create(sweep: &SweepDir, runs: usize) {
    let toml = "a = 1\n".to_owned();
    let hash = blake3::hash(toml.as_bytes()).to_hex().to_string();
    let definition = Definition { name: "fake".into(), hash, training: "0f".into(), toml, runs };
    open_or_create(sweep, &definition, Provenance::now(Origin::default()), |_, _| Ok(Vec::new())).unwrap();
}

fn train(part: &'static str, sweep: &SweepDir, milliseconds: u64) -> impl Fn(usize) -> Command {
    let root = sweep.root().to_path_buf();
    move |run| {
        let mut command = testing::command(part, &root, run);
        command.env(testing::EPOCH, milliseconds.to_string());
        command
    }
}

/// The bytes of what must not depend on how a run came about.
fn contents(sweep: &SweepDir, run: usize) -> Vec<(String, Vec<u8>)> {
    let dir = sweep.run(run);
    let all = files::walk(dir.root()).unwrap().into_iter();
    let stable = all.filter(|path| *path != dir.manifest());
    stable.map(|path| (dir.relative(&path).unwrap(), files::read(&path).unwrap())).collect()
}

#[test]
fn every_run_is_trained_once_side_by_side() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    finish(&sweep.run(2), 1).unwrap();
    let mut diary = Diary::default();
    let runs = [0, 1, 2, 3, 4];
    let summary = execute(&sweep, &runs, train(testing::TRAIN, &sweep, 1), &options(2, 0), &Stop::new(), &mut diary);
    let summary = summary.unwrap();
    assert_eq!(summary.complete, runs);
    summary.check().unwrap();
    let mut begun = testing::begun(&sweep);
    begun.sort_unstable();
    assert_eq!(begun, [0, 1, 3, 4]);
    for run in runs {
        let expected = sweep_in(&folder.path().join("other"));
        finish(&expected.run(run), 1).unwrap();
        let mut contents = contents(&sweep, run);
        contents.retain(|(path, _)| path != "lease.lock");
        assert_eq!(contents, self::contents(&expected, run));
    }
    let diary = diary.0.join("\n");
    assert!(diary.starts_with("begin 5\n0 started 1\n1 started 1\n") && diary.ends_with("end"), "{diary}");
    assert!(diary.contains("2 Complete") && diary.contains("3 at 1"), "{diary}");
}

#[test]
fn a_failed_run_is_named_and_stops_nobody() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let good = train(testing::TRAIN, &sweep, 0);
    let bad = train(testing::FAIL, &sweep, 0);
    let shell = |run| {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such thing >&2; exit 3"]);
        if run == 2 { command } else { Command::new("/nonexistent/program") }
    };
    let command = |run: usize| match run {
        1 => bad(run),
        2 | 3 => shell(run),
        _ => good(run),
    };
    let summary = execute(&sweep, &[0, 1, 2, 3, 4], command, &options(3, 0), &Stop::new(), &mut Silent);
    let summary = summary.unwrap();
    assert_eq!(summary.complete, [0, 4]);
    let last: Vec<&str> = summary.failed.iter().map(|failure| failure.errors.last().unwrap().as_str()).collect();
    assert!(last[0].contains("run 1 was told to fail"), "{last:?}");
    assert_eq!(last[1], "no such thing");
    assert!(summary.failed[1].errors[0].contains("exit code 3"), "{summary:?}");
    assert!(last[2].contains("/nonexistent/program"), "{last:?}");
    let error = summary.check().unwrap_err();
    assert_eq!(error.exit_code(), exit::RUNS_FAILED);
    assert!(error.to_string().contains("run 1: run 1 was told to fail"), "{error}");
    assert_eq!(state::of(&sweep.run(2)).unwrap().state, RunState::Failed);
    assert_eq!(state::of(&sweep.run(2)).unwrap().errors.last().unwrap(), "no such thing");
}

#[test]
fn retries_are_counted() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let mut diary = Diary::default();
    let command = train(testing::FAIL_ONCE, &sweep, 0);
    let summary = execute(&sweep, &[0], command, &options(1, 1), &Stop::new(), &mut diary).unwrap();
    assert_eq!(summary.complete, [0]);
    assert!(diary.0.iter().any(|line| line == "0 started 2"), "{:?}", diary.0);
    let command = train(testing::FAIL, &sweep, 0);
    let summary = execute(&sweep, &[1], command, &options(1, 2), &Stop::new(), &mut diary).unwrap();
    assert_eq!(summary.failed.len(), 1);
    assert_eq!(testing::begun(&sweep), [0, 0, 1, 1, 1]);
}

#[test]
fn asked_to_stop_runs_save_their_state_and_go_on_later() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let stop = Stop::new();
    let asker = stop.clone();
    let saved = sweep.run(0).state();
    let thread = std::thread::spawn(move || {
        testing::wait_for(|| saved.exists());
        asker.ask();
    });
    let mut silent = Silent;
    let command = train(testing::TRAIN, &sweep, 300);
    let summary = execute(&sweep, &[0, 1, 2], command, &options(2, 0), &stop, &mut silent).unwrap();
    thread.join().unwrap();
    assert_eq!(summary.interrupted, [0, 1, 2]);
    assert_eq!(summary.check().unwrap_err().exit_code(), exit::INTERRUPTED);
    assert_eq!(state::of(&sweep.run(0)).unwrap().state, RunState::Interrupted);
    assert_eq!(state::of(&sweep.run(2)).unwrap().state, RunState::Pending);
    let command = train(testing::TRAIN, &sweep, 0);
    let summary = execute(&sweep, &[0, 1, 2], command, &options(2, 0), &Stop::new(), &mut silent).unwrap();
    assert_eq!(summary.complete, [0, 1, 2]);
}

#[test]
fn two_engines_at_once_train_each_run_once() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let runs: Vec<usize> = (0..8).collect();
    let summaries: Vec<Summary> = std::thread::scope(|scope| {
        let engine = || {
            let command = train(testing::TRAIN, &sweep, 20);
            execute(&sweep, &runs, command, &options(3, 0), &Stop::new(), &mut Silent)
        };
        let all: Vec<_> = (0..2).map(|_| scope.spawn(engine)).collect();
        all.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
    });
    for summary in summaries {
        assert_eq!(summary.complete, runs);
    }
    let mut begun = testing::begun(&sweep);
    begun.sort_unstable();
    assert_eq!(begun, runs);
}

#[test]
fn a_run_of_somebody_else_is_taken_over_when_that_one_dies() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let mut other = testing::command(testing::HOLD, sweep.root(), 0).spawn().unwrap();
    testing::wait_for(|| state::of(&sweep.run(0)).unwrap().state == RunState::Running);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        other.kill().unwrap();
        other.wait().unwrap();
    });
    let mut diary = Diary::default();
    let command = train(testing::TRAIN, &sweep, 0);
    let summary = execute(&sweep, &[0, 1], command, &options(1, 0), &Stop::new(), &mut diary).unwrap();
    killer.join().unwrap();
    assert_eq!(summary.complete, [0, 1]);
    assert!(diary.0.iter().any(|line| line == "0 Elsewhere"), "{:?}", diary.0);
    assert_eq!(testing::begun(&sweep), [1, 0]);
}

#[test]
fn a_killed_process_leaves_an_interrupted_run_that_is_tried_again() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let command = |_: usize| {
        let mut command = Command::new("sh");
        command.args(["-c", "kill -9 $$"]);
        command
    };
    let mut diary = Diary::default();
    let lease = Lease::acquire(&sweep.run(0)).unwrap();
    drop(lease);
    let summary = execute(&sweep, &[0], command, &options(1, 2), &Stop::new(), &mut diary).unwrap();
    assert!(summary.failed[0].errors[0].contains("signal 9"), "{summary:?}");
    assert_eq!(diary.0.iter().filter(|line| line.contains("started")).count(), 3);
    assert_eq!(state::of(&sweep.run(0)).unwrap().state, RunState::Interrupted);
}

#[test]
fn threads_and_devices_are_handed_out() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let command = |_: usize| {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 0.2; echo $RAYON_NUM_THREADS $HARNESS_DEVICE"]);
        command
    };
    let options =
        Options { threads: vec![3, 2], devices: vec!["gpu:0".into(), "gpu:1".into()], retries: 0, stall: None };
    let mut diary = Diary::default();
    execute(&sweep, &[0, 1], command, &options, &Stop::new(), &mut diary).unwrap();
    let said: Vec<&String> = diary.0.iter().filter(|line| line.contains("says")).collect();
    assert!(said.contains(&&"0 says 3 gpu:0".to_owned()) && said.contains(&&"1 says 2 gpu:1".to_owned()), "{said:?}");
}

#[test]
fn verify_finds_nothing_amiss_after_an_engine() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let toml = "a = 1\n".to_owned();
    let hash = blake3::hash(toml.as_bytes()).to_hex().to_string();
    let definition = Definition { name: "fake".into(), hash, training: "0f".into(), toml, runs: 2 };
    let provenance = crate::record::Provenance::now(crate::record::Origin::default());
    open_or_create(&sweep, &definition, provenance, |_, _| Ok(Vec::new())).unwrap();
    let command = train(testing::TRAIN, &sweep, 0);
    execute(&sweep, &[0, 1], command, &options(2, 0), &Stop::new(), &mut Silent).unwrap();
    assert_eq!(verify(&sweep).unwrap(), []);
}

#[test]
fn what_a_process_left_that_died_right_after_its_run_is_tidied_up() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    create(&sweep, 2);
    let lease = Lease::acquire(&sweep.run(0)).unwrap();
    let record = files::read(&sweep.run(0).lease()).unwrap();
    finish(&sweep.run(0), 1).unwrap();
    drop(lease);
    files::write(&sweep.run(0).lease(), &record).unwrap();
    files::write(&sweep.run(0).state(), b"old").unwrap();
    assert_eq!(verify(&sweep).unwrap().len(), 2);
    let command = train(testing::TRAIN, &sweep, 0);
    execute(&sweep, &[1], command, &options(1, 0), &Stop::new(), &mut Silent).unwrap();
    assert_eq!(verify(&sweep).unwrap(), []);
}

/// The bytes of the complete runs, made in peace.
fn expected(folder: &Path, runs: usize) -> Vec<Vec<(String, Vec<u8>)>> {
    let sweep = sweep_in(&folder.join("in-peace"));
    (0..runs)
        .map(|run| {
            finish(&sweep.run(run), 1).unwrap();
            contents(&sweep, run)
        })
        .collect()
}

fn assert_as_expected(sweep: &SweepDir, expected: &[Vec<(String, Vec<u8>)>], when: &str) {
    assert_eq!(verify(sweep).unwrap(), [], "{when}");
    for (run, expected) in expected.iter().enumerate() {
        let mut contents = contents(sweep, run);
        contents.retain(|(path, _)| path != "lease.lock");
        assert_eq!(&contents, expected, "{when}, run {run}");
    }
}

#[test]
fn killed_at_any_moment_the_sweep_goes_on_to_the_same_bytes() {
    const RUNS: usize = 4;
    let folder = folder();
    let expected = expected(folder.path(), RUNS);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for round in 0..12 {
        let sweep = sweep_in(&folder.path().join(round.to_string()));
        create(&sweep, RUNS);
        let mut engine = testing::engine(&sweep, RUNS, 10).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + u64::from(random.next_u32() % 120)));
        // Who is killed: a run, the engine, or first one and then the other.
        if round % 3 != 1 {
            let holders = (0..RUNS).filter_map(|run| state::of(&sweep.run(run)).unwrap().holder);
            for holder in holders.take(1 + round % 2) {
                let _ = Command::new("kill")
                    .args(["-9", &holder.process.pid.to_string()])
                    .stderr(Stdio::null())
                    .status()
                    .unwrap();
            }
        }
        if round % 3 != 0 {
            engine.kill().unwrap();
        }
        engine.wait().unwrap();
        let runs: Vec<usize> = (0..RUNS).collect();
        let command = train(testing::TRAIN, &sweep, 0);
        let summary = execute(&sweep, &runs, command, &options(2, 0), &Stop::new(), &mut Silent).unwrap();
        assert_eq!(summary.complete, runs, "round {round}: {summary:?}");
        assert_as_expected(&sweep, &expected, &format!("round {round}"));
    }
}

#[test]
fn a_process_that_dies_at_its_nth_operation_is_followed_by_one_that_finishes() {
    let folder = folder();
    let expected = expected(folder.path(), 1);
    for kind in ["kill", "any", "space"] {
        let mut at = 1;
        loop {
            let when = format!("{kind}:{at}");
            let sweep = sweep_in(&folder.path().join(&when));
            create(&sweep, 1);
            let good = train(testing::TRAIN, &sweep, 0);
            let bad = |run| {
                let mut command = good(run);
                command.env("HARNESS_FAULT", &when);
                command
            };
            let summary = execute(&sweep, &[0], bad, &options(1, 0), &Stop::new(), &mut Silent).unwrap();
            if summary.check().is_ok() && testing::begun(&sweep) == [0] && !sweep.run(0).state().exists() && at > 20 {
                break;
            }
            // The last operations only tidy up; when they fail, the run is complete all the same.
            if summary.complete.is_empty() {
                assert_eq!(summary.failed.len(), 1, "{when}");
                let summary = execute(&sweep, &[0], &good, &options(1, 0), &Stop::new(), &mut Silent).unwrap();
                summary.check().unwrap();
            }
            assert_as_expected(&sweep, &expected, &when);
            at += 4;
        }
        assert!(at > 30, "{kind} met only {at} operations");
    }
}

#[test]
fn the_processes_of_an_engine_that_was_killed_stop_by_themselves() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let mut engine = testing::engine(&sweep, 2, 20_000).spawn().unwrap();
    let all_are = |wanted: RunState| (0..2).all(|run| state::of(&sweep.run(run)).unwrap().state == wanted);
    testing::wait_for(|| all_are(RunState::Running));
    engine.kill().unwrap();
    engine.wait().unwrap();
    testing::wait_for(|| all_are(RunState::Interrupted));
}

#[test]
#[cfg(unix)]
fn an_engine_passes_a_request_to_terminate_on() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let mut engine = testing::engine(&sweep, 2, 20_000).spawn().unwrap();
    testing::wait_for(|| (0..2).all(|run| state::of(&sweep.run(run)).unwrap().state == RunState::Running));
    assert!(Command::new("kill").arg(engine.id().to_string()).status().unwrap().success());
    assert_eq!(engine.wait().unwrap().code(), Some(i32::from(exit::INTERRUPTED)));
    assert!((0..2).all(|run| state::of(&sweep.run(run)).unwrap().state == RunState::Interrupted));
}

/// A process that makes one step of training, then none for a minute.
fn stuck(_run: usize) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "echo '{\"epoch\":0,\"epochs\":2,\"step\":1,\"steps\":5}'; exec sleep 60"]);
    command
}

#[test]
#[cfg(unix)]
fn a_process_that_makes_no_step_is_ended_and_named() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let begun = Instant::now();
    let patient = Options { stall: Some(Duration::from_secs(1)), ..options(1, 1) };
    let summary = execute(&sweep, &[0], stuck, &patient, &Stop::new(), &mut Silent).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(summary.failed[0].errors[0].contains("no step for 1 s (train.stall)"), "{summary:?}");
    assert_eq!(state::of(&sweep.run(0)).unwrap().state, RunState::Failed);
}

#[test]
#[cfg(unix)]
fn asked_twice_no_process_is_left_and_what_never_began_is_counted() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    let stop = Stop::new();
    let asker = stop.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        asker.insist();
    });
    let deaf = |_| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' TERM; while :; do sleep 0.1; done"]);
        shell
    };
    let begun = Instant::now();
    let summary = execute(&sweep, &[0, 1, 2], deaf, &options(1, 0), &stop, &mut Silent).unwrap();
    thread.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(
        (summary.interrupted.as_slice(), summary.not_begun.as_slice()),
        ([0, 1, 2].as_slice(), [1, 2].as_slice())
    );
    let text = summary.check().unwrap_err().to_string();
    assert!(text.starts_with("1 run was stopped, 2 runs never began: `harness resume "), "{text}");
}

#[test]
fn an_engine_whose_directory_became_another_sweep_stops() {
    let folder = folder();
    let sweep = sweep_in(folder.path());
    create(&sweep, 2);
    let root = sweep.root().to_path_buf();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        std::fs::rename(&root, root.with_extension("moved")).unwrap();
        files::create_folder(&root).unwrap();
    });
    let error = execute(&sweep, &[0], stuck, &options(1, 0), &Stop::new(), &mut Silent).unwrap_err();
    thread.join().unwrap();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("no longer the folder")), "{error}");
    assert_eq!(files::walk(sweep.root()).unwrap(), Vec::<std::path::PathBuf>::new());
}
