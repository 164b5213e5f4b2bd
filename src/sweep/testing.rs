//! The process of a run without training, for tests: this test program, started again with its part in the environment.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::lease::Lease;
use super::local;
use super::progress::Silent;
use super::stop::Stop;
use super::unit::{ProgressLine, Reporter};
use crate::error::{Error, exit};
use crate::record::testing::fake_run;
use crate::record::{SweepDir, record_failure};

/// Holds the lease until it is killed.
pub(super) const HOLD: &str = "hold";
/// Trains as `train-run` does, noting each run that it begins in a log beside the sweep.
pub(super) const TRAIN: &str = "train";
/// Fails every time.
pub(super) const FAIL: &str = "fail";
/// Is an engine that makes the runs 0 to `run` - 1 complete, two at a time.
const ENGINE: &str = "engine";
/// Fails in the first attempt.
pub(super) const FAIL_ONCE: &str = "fail-once";

const PART: &str = "HARNESS_TEST_PART";
const SWEEP: &str = "HARNESS_TEST_SWEEP";
const RUN: &str = "HARNESS_TEST_RUN";
/// Milliseconds that an epoch takes.
pub(super) const EPOCH: &str = "HARNESS_TEST_EPOCH";

pub(super) fn command(part: &str, sweep: &Path, run: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "sweep::testing::child", "--nocapture", "-q"]);
    command.env(PART, part).env(SWEEP, sweep).env(RUN, run.to_string());
    command
}

/// An engine for `runs` runs of `sweep`, whose epochs take so many milliseconds.
pub(super) fn engine(sweep: &SweepDir, runs: usize, milliseconds: u64) -> Command {
    let mut command = command(ENGINE, sweep.root(), runs);
    command.env(EPOCH, milliseconds.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits until `done`, at most half a minute.
pub(super) fn wait_for(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What [`command`] runs; does nothing when run as a test.
#[test]
fn child() {
    let Ok(part) = std::env::var(PART) else { return };
    let sweep = SweepDir::new(Path::new(&std::env::var(SWEEP).unwrap()));
    let run = std::env::var(RUN).unwrap().parse().unwrap();
    let code = match play(&part, &sweep, run) {
        Ok(true) => exit::OK,
        Ok(false) => exit::INTERRUPTED,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    };
    std::process::exit(i32::from(code));
}

fn play(part: &str, sweep: &SweepDir, run: usize) -> crate::error::Result<bool> {
    let stop = Stop::on_signals()?;
    if part == ENGINE {
        let runs: Vec<usize> = (0..run).collect();
        let options = local::Options { threads: vec![1; 2], devices: Vec::new(), retries: 0, stall: None };
        let train = |run| command(TRAIN, sweep.root(), run);
        let summary = local::execute(sweep, &runs, train, &options, &stop, &mut Silent)?;
        return summary.check().map(|()| true);
    }
    let dir = sweep.run(run);
    let lease = Lease::acquire(&dir)?;
    if part == HOLD {
        std::thread::sleep(Duration::from_secs(60));
        return Ok(false);
    }
    if part == FAIL || (part == FAIL_ONCE && lease.attempt() == 1) {
        note(sweep, run);
        let error = Error::Unexpected(format!("run {run} was told to fail"));
        record_failure(&dir, lease.attempt(), vec![error.to_string()])?;
        return Err(error);
    }
    let pause =
        std::env::var(EPOCH).ok().and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_millis);
    let mut reporter = Reporter::new();
    let mut trains = false;
    fake_run(&dir, lease.attempt(), &mut |epoch| {
        // A run that another process has just completed is not begun again.
        if !std::mem::replace(&mut trains, true) {
            note(sweep, run);
        }
        reporter.report(
            ProgressLine { epoch: epoch - 1, epochs: 4, steps: 1, ..ProgressLine::default() },
            &mut std::io::stdout(),
        );
        let end = Instant::now() + pause;
        while Instant::now() < end && !stop.asked() {
            std::thread::sleep(Duration::from_millis(1));
        }
        !stop.asked()
    })
}

fn note(sweep: &SweepDir, run: usize) {
    let log = sweep.root().with_extension("log");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    // One write, so that the lines of several processes do not mix.
    file.write_all(format!("{run}\n").as_bytes()).unwrap();
}

/// The runs that were begun, in order.
pub(super) fn begun(sweep: &SweepDir) -> Vec<usize> {
    let text = std::fs::read_to_string(sweep.root().with_extension("log")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}
