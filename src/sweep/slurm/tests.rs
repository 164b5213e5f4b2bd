//! On a real cluster of one node, started for the test by `tests/slurm/up.sh`; skipped where Slurm is not installed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::super::state::{self, RunState};
use super::super::{Definition, local, missing, open, open_or_create, progress, status, testing};
use super::*;
use crate::record::testing::finish;
use crate::record::{Origin, Provenance, verify};
use crate::sweep::Stop;

#[test]
fn runs_are_counted_within_the_limit_of_an_array() {
    assert_eq!(chunks(&[0, 1, 2], 1001), [(0, vec![0, 1, 2])]);
    assert_eq!(
        chunks(&[1000, 3, 1001, 2002, 1005], 1001),
        [(0, vec![3, 1000]), (1001, vec![1001, 1005]), (2002, vec![2002])]
    );
    assert_eq!(chunks(&[], 10), []);
    assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
    assert_eq!(ranges(&[]), "");
}

/// A cluster that goes away with the test.
struct Running {
    folder: tempfile::TempDir,
    cluster: Cluster,
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm").join(name)
}

impl Running {
    fn start() -> Option<Self> {
        let there = |program| Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        if !["sbatch", "slurmctld", "slurmd", "munged"].iter().all(|program| there(program).unwrap().status.success()) {
            println!("skipped: slurm-wlm and munge are not installed");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("slurm").tempdir().unwrap();
        let done = Command::new("bash").arg(script("up.sh")).arg(folder.path()).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        let cluster = Cluster { configuration: Some(folder.path().join("etc/slurm.conf")) };
        Some(Self { folder, cluster })
    }

    /// Lets requeued jobs start at once, which Slurm would hold back for minutes.
    fn hurry(&self, jobs: &[Job]) {
        for line in self.cluster.squeue(jobs).unwrap() {
            let fields: Vec<&str> = line.split('|').collect();
            if fields[2] == "PENDING" && fields[3] == "BeginTime" {
                let job = format!("JobId={}_{}", fields[0], fields[1]);
                // It may have started in the meantime.
                let _ = self.cluster.call("scontrol", ["update", &job, "StartTime=now"]);
            }
        }
    }

    fn wait_until_gone(&self, jobs: &[Job], seconds: u64) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while !self.cluster.squeue(jobs).unwrap().is_empty() {
            assert!(Instant::now() < deadline, "{:?}", self.cluster.squeue(jobs));
            self.hurry(jobs);
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("bash").arg(script("down.sh")).arg(self.folder.path()).output();
    }
}

/// A program that, called as `harness train-run --sweep DIR --index I`, plays a run whose epochs take so long.
fn program(folder: &Path, milliseconds: u64) -> PathBuf {
    let path = folder.join("program");
    let command = testing::command(testing::TRAIN, Path::new("SWEEP"), 0);
    let words: Vec<String> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    let variables: Vec<String> = command
        .get_envs()
        .filter_map(|(key, value)| Some((key.to_str()?, value?.to_str()?)))
        .map(|(key, value)| match value {
            "SWEEP" => format!("{key}=\"$3\""),
            "0" => format!("{key}=\"$5\""),
            value => format!("{key}={value}"),
        })
        .collect();
    let text = format!(
        "#!/bin/bash\n[ \"$1 $2 $4\" = \"train-run --sweep --index\" ] || exit 2\nexport {} {}={milliseconds}\nexec '{}' {}\n",
        variables.join(" "),
        testing::EPOCH,
        command.get_program().to_str().unwrap(),
        words.join(" ")
    );
    std::fs::write(&path, text).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&path).status().unwrap().success());
    path
}

fn sweep_of(folder: &Path, runs: usize) -> SweepDir {
    let sweep = SweepDir::new(&folder.join("my sweep"));
    let definition = Definition { name: "fake".into(), hash: "00".into(), toml: "a = 1\n".into(), runs };
    open_or_create(&sweep, &definition, Provenance::now(Origin::default()), |_, _| Ok(Vec::new())).unwrap();
    sweep
}

fn contents(sweep: &SweepDir, run: usize) -> Vec<(String, Vec<u8>)> {
    let dir = sweep.run(run);
    let stable =
        files::walk(dir.root()).unwrap().into_iter().filter(|path| *path != dir.manifest() && *path != dir.lock());
    stable.map(|path| (dir.relative(&path).unwrap(), files::read(&path).unwrap())).collect()
}

/// One test for everything, since a cluster takes the machine for itself.
#[test]
fn a_sweep_on_a_cluster_of_one_node() {
    let Some(running) = Running::start() else { return };
    let folder = running.folder.path();
    let sweep = sweep_of(folder, 9);
    let done = folder.join("analysis ran");
    let options = Options { time: Some("10".into()), max_concurrent: Some(2), ..Options::default() };
    let mut what = Submission {
        name: "fake".into(),
        program: program(folder, 300),
        runs: (0..9).collect(),
        analysis: vec![vec!["touch".into(), done.to_str().unwrap().into()]],
        options: options.clone(),
    };

    // A run that Slurm refuses says so.
    let refused = Submission { options: Options { partition: Some("none".into()), ..options.clone() }, ..what.clone() };
    let error = running.cluster.submit(&sweep, &refused).unwrap_err();
    assert!(error.to_string().contains("partition"), "{error}");
    assert!(!was_used(&sweep));

    // The whole sweep, with a task killed and one that gets the signal of a time limit.
    let jobs = running.cluster.submit(&sweep, &what).unwrap();
    assert_eq!((jobs.len(), jobs[0].runs.len()), (2, 9));
    testing::wait_for(|| state::of(&sweep.run(0)).unwrap().state == RunState::Running);
    let queue = running.cluster.queue(&sweep).unwrap();
    assert!(queue[&0].starts_with("RUNNING") && queue[&8].starts_with("PENDING"), "{queue:?}");
    let manifest = open(sweep.root(), |_, _| Ok(Vec::new())).unwrap().1;
    let mut shown = status(&sweep, &manifest).unwrap();
    running.cluster.merge(&sweep, &mut shown).unwrap();
    assert!(shown.runs[8].queue.as_ref().unwrap().starts_with("PENDING"), "{shown:?}");
    let first = state::of(&sweep.run(0)).unwrap().holder.unwrap();
    Command::new("kill").args(["-9", &first.process.pid.to_string()]).status().unwrap();
    testing::wait_for(|| sweep.run(2).state().exists());
    // Sent to the shell of the task, as Slurm does it; through `scancel` it would take seconds.
    let holder = state::of(&sweep.run(2)).unwrap().holder.unwrap();
    let shell = Command::new("ps").args(["-o", "ppid=", "-p", &holder.process.pid.to_string()]).output().unwrap();
    let shell = String::from_utf8(shell.stdout).unwrap();
    assert!(Command::new("kill").args(["-USR1", shell.trim()]).status().unwrap().success());
    testing::wait_for(|| state::of(&sweep.run(2)).unwrap().state == RunState::Interrupted);
    running.wait_until_gone(&jobs, 120);
    assert!(done.exists());
    assert_eq!(missing(&sweep, 9).unwrap(), [0]);
    assert_eq!(state::of(&sweep.run(2)).unwrap().attempt, 2);

    // What is missing, and only that; more than Slurm remembers.
    what.runs = missing(&sweep, 9).unwrap();
    what.analysis.clear();
    let again = running.cluster.submit(&sweep, &what).unwrap();
    assert_eq!(again.iter().map(|job| job.runs.as_slice()).collect::<Vec<_>>(), [[0]]);
    running.wait_until_gone(&again, 60);
    assert!(missing(&sweep, 9).unwrap().is_empty());
    assert_eq!(verify(&sweep).unwrap(), []);
    let expected = SweepDir::new(&folder.join("in-peace"));
    for run in 0..9 {
        finish(&expected.run(run), 1).unwrap();
        assert_eq!(contents(&sweep, run), contents(&expected, run), "run {run}");
    }

    // Runs beyond the limit of an array, cancelled while they train.
    let far = sweep_of(&folder.join("far"), 1003);
    what.runs = vec![1000, 1002];
    what.program = program(&folder.join("far"), 20_000);
    what.options.max_concurrent = None;
    let jobs = running.cluster.submit(&far, &what).unwrap();
    assert_eq!(jobs.iter().map(|job| job.offset).collect::<Vec<_>>(), [0, 1001]);
    testing::wait_for(|| [1000, 1002].iter().all(|run| state::of(&far.run(*run)).unwrap().state == RunState::Running));
    assert_eq!(running.cluster.cancel(&far).unwrap(), jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    running.wait_until_gone(&jobs, 60);
    assert!([1000, 1002].iter().all(|run| state::of(&far.run(*run)).unwrap().state == RunState::Interrupted));
    assert!(running.cluster.cancel(&far).unwrap().is_empty());
    let quick = program(&folder.join("far"), 0);
    let command = |run| {
        let mut command = Command::new(&quick);
        command.arg("train-run").arg("--sweep").arg(far.root()).arg("--index").arg(usize::to_string(&run));
        command
    };
    let options = local::Options { threads: vec![1; 2], devices: Vec::new(), retries: 0 };
    let summary = local::execute(&far, &[1000, 1002], command, &options, &Stop::new(), &mut progress::Silent).unwrap();
    assert_eq!(summary.complete, [1000, 1002]);
}
