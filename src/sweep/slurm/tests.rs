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
    let toml = "a = 1\n".to_owned();
    let hash = blake3::hash(toml.as_bytes()).to_hex().to_string();
    let definition = Definition { name: "fake".into(), hash, training: "0f".into(), toml, runs };
    open_or_create(&sweep, &definition, Provenance::now(Origin::default()), |_, _| Ok(Vec::new())).unwrap();
    sweep
}

fn contents(sweep: &SweepDir, run: usize) -> Vec<(String, Vec<u8>)> {
    let dir = sweep.run(run);
    let stable =
        files::walk(dir.root()).unwrap().into_iter().filter(|path| *path != dir.manifest() && *path != dir.lock());
    stable.map(|path| (dir.relative(&path).unwrap(), files::read(&path).unwrap())).collect()
}

/// One test for everything, since a cluster takes the machine for itself: 50 runs, of which three are killed and one gets
/// the signal of its time limit, while the daemon of the node is restarted; then what is missing, in a second go.
#[test]
fn a_sweep_on_a_cluster_of_one_node() {
    const RUNS: usize = 50;
    let Some(running) = Running::start() else { return };
    let folder = running.folder.path();
    let sweep = sweep_of(folder, RUNS);
    let done = folder.join("analysis ran");
    let options = Options { time: Some("10".into()), max_concurrent: Some(2), ..Options::default() };
    let mut what = Submission {
        name: "fake".into(),
        program: program(folder, 100),
        runs: (0..RUNS).collect(),
        analysis: vec![vec!["touch".into(), done.to_str().unwrap().into()]],
        options: options.clone(),
    };

    // What Slurm refuses it says, and nothing is remembered.
    let refused = Submission { options: Options { partition: Some("none".into()), ..options }, ..what.clone() };
    let error = running.cluster.submit(&sweep, &refused).unwrap_err();
    assert!(error.to_string().contains("partition"), "{error}");
    assert!(!was_used(&sweep));

    let jobs = running.cluster.submit(&sweep, &what).unwrap();
    assert_eq!((jobs.len(), jobs[0].runs.len()), (2, RUNS));
    let holder = |run: usize| state::of(&sweep.run(run)).unwrap().holder;
    testing::wait_for(|| holder(0).is_some());
    let queue = running.cluster.queue(&sweep).unwrap();
    assert!(queue[&0].starts_with("RUNNING") && queue[&(RUNS - 1)].starts_with("PENDING"), "{queue:?}");
    let manifest = open(sweep.root(), |_, _| Ok(Vec::new())).unwrap().1;
    let mut shown = status(&sweep, &manifest).unwrap();
    running.cluster.merge(&sweep, &mut shown).unwrap();
    assert!(shown.runs[RUNS - 1].queue.as_ref().unwrap().starts_with("PENDING"), "{shown:?}");

    let kill = |signal: &str, pid: &str| assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    let mut killed = Vec::new();
    while killed.len() < 3 {
        let victim = (0..RUNS).find_map(|run| Some((run, holder(run)?)).filter(|(run, _)| !killed.contains(run)));
        if let Some((run, victim)) = victim {
            // One that was just about to finish is no victim.
            let _ = Command::new("kill")
                .args(["-9", &victim.process.pid.to_string()])
                .stderr(Stdio::null())
                .status()
                .unwrap();
            testing::wait_for(|| state::of(&sweep.run(run)).unwrap().state != RunState::Running);
            if state::of(&sweep.run(run)).unwrap().state == RunState::Interrupted {
                killed.push(run);
            }
        }
    }
    let mut limited = None;
    while limited.is_none() {
        let saved = |run: &usize| holder(*run).is_some() && sweep.run(*run).state().exists() && !killed.contains(run);
        let Some((run, process)) = (0..RUNS).find(saved).and_then(|run| Some((run, holder(run)?))) else { continue };
        // Sent to the shell of the task, as Slurm does it; `scancel` would take seconds.
        let shell = Command::new("ps").args(["-o", "ppid=", "-p", &process.process.pid.to_string()]).output().unwrap();
        let shell = String::from_utf8(shell.stdout).unwrap();
        let sent = Command::new("kill").args(["-USR1", shell.trim()]).stderr(Stdio::null()).status().unwrap();
        testing::wait_for(|| holder(run).is_none());
        if sent.success() && state::of(&sweep.run(run)).unwrap().state == RunState::Interrupted {
            limited = Some(run);
        }
    }
    // The task's shell asks to be queued again after its run has ended; a daemon that dies before that loses the task.
    testing::wait_for(|| {
        running.cluster.queue(&sweep).unwrap().get(&limited.unwrap()).is_some_and(|s| s.starts_with("PENDING"))
    });
    kill("-9", std::fs::read_to_string(folder.join("run/slurmd.pid")).unwrap().trim());
    let configuration = folder.join("etc/slurm.conf");
    assert!(Command::new("slurmd").arg("-c").arg("-f").arg(&configuration).status().unwrap().success());

    running.wait_until_gone(&jobs, 300);
    assert!(done.exists());
    let left = missing(&sweep, RUNS).unwrap();
    assert!(killed.iter().all(|run| left.contains(run)), "{killed:?} {left:?}");
    assert!(!left.contains(&limited.unwrap()), "{limited:?} {left:?}");

    // What is missing, and only that.
    what.runs.clone_from(&left);
    what.analysis.clear();
    let again = running.cluster.submit(&sweep, &what).unwrap();
    assert_eq!(again.iter().flat_map(|job| job.runs.clone()).collect::<Vec<_>>(), left);
    running.wait_until_gone(&again, 60);
    assert!(missing(&sweep, RUNS).unwrap().is_empty());
    local::tidy_complete(&sweep).unwrap();
    assert_eq!(verify(&sweep).unwrap(), []);
    let expected = SweepDir::new(&folder.join("in-peace"));
    for run in 0..RUNS {
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
    let options = local::Options { threads: vec![1; 2], devices: Vec::new(), retries: 0, stall: None };
    let summary = local::execute(&far, &[1000, 1002], command, &options, &Stop::new(), &mut progress::Silent).unwrap();
    assert_eq!(summary.complete, [1000, 1002]);
}
