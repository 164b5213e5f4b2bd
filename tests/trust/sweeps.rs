//! Runs, sweeps, nights and folders that are not what they seem.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::kit::{
    self, SMALL, call, command, copy, counted, expect, finished, flip, fresh, originals, recorded, sealed, text, tree,
};

/// Point 1.
#[test]
fn what_belongs_to_another_experiment_or_to_other_data_is_in_no_number() {
    let (folder, sweep) = fresh("base");
    let run = sweep.join("runs/0001");
    fs::remove_dir_all(&run).unwrap();
    copy(&originals().join("seed/runs/0001"), &run);
    assert!(expect(6, &["verify", text(&sweep)]).out.contains("run 1: runs/0001/run.json"));
    let said = expect(6, &["analyze", text(&sweep), "--json"]);
    assert_eq!(counted(&said), [0, 2]);
    assert!(said.err.contains("run 1"), "{}", said.err);
    expect(6, &["select", text(&sweep)]);
    // sweep.json of another sweep takes none of the runs.
    let (_other, sweep) = fresh("base");
    for name in ["sweep.json", "experiment.toml"] {
        fs::copy(originals().join("seed").join(name), sweep.join(name)).unwrap();
    }
    expect(6, &["verify", text(&sweep)]);
    assert!(expect(6, &["analyze", text(&sweep), "--json"]).out.is_empty());
    // Data that changed.
    let data = folder.path().join("data.npz");
    let file = folder.path().join("own.toml");
    let write = |shift: f32| {
        let labels: Vec<i64> = (0..90).map(|place| place % 3).collect();
        let pixels: Vec<f32> =
            (0..90 * 16).map(|place| ((place * 7 % 11) as f32) + shift * (place % 5) as f32).collect();
        super::arrays::data(&data, &pixels, &labels);
    };
    write(0.0);
    let rest = "[model]\nkind = \"mlp\"\nwidths = [4]\n[train]\nepochs = 1\n";
    fs::write(&file, format!("name = \"own\"\n[data]\ndataset = \"npz\"\npath = {:?}\n{rest}", text(&data))).unwrap();
    let own = folder.path().join("own");
    expect(0, &["run", text(&file), "--runs", "2", "--quiet", "--out", text(&own)]);
    let before = recorded(&own);
    write(1.0);
    for arguments in [
        vec!["run", text(&file), "--runs", "3", "--quiet", "--out", text(&own)],
        vec!["train-run", "--sweep", text(&own), "--index", "1"],
    ] {
        if arguments[0] == "train-run" {
            fs::remove_dir_all(own.join("runs/0001")).unwrap();
        }
        assert!(expect(3, &arguments).err.contains("data"), "{arguments:?}");
    }
    assert!(recorded(&own).iter().all(|(path, bytes)| before[path] == *bytes));
}

/// Point 2.
#[test]
fn a_gate_without_evidence_is_not_green() {
    let folder = tempfile::tempdir().unwrap();
    let nights = folder.path().join("nights");
    let night = |name: &str, seed: &str| {
        let root = nights.join(name);
        let mut arguments = vec!["run", "configs/digits.toml", "--runs", "3", "--quiet", "--out", text(&root)];
        let against = ["--against", text(&nights)];
        for set in SMALL.iter().chain([&seed]) {
            arguments.extend(["--set", set]);
        }
        if name != "1" {
            arguments.extend(against);
        }
        call(&arguments)
    };
    assert_eq!(night("1", "sweep.seed=1").code, 0);
    // One night is no reference, nor are two.
    for (name, seed) in [("2", "sweep.seed=2"), ("3", "sweep.seed=3")] {
        let said = night(name, seed);
        assert_eq!(said.code, 8, "{said:?}");
        assert!(said.out.contains("undecided"), "{}", said.out);
    }
    // What is taken from a finished night is made anew by the command that made it.
    let root = nights.join("3");
    let before: Vec<_> = tree(&root).into_keys().collect();
    for gone in ["report/nightly.md", "report/report.md", "report/report.html"] {
        fs::remove_file(root.join(gone)).unwrap();
    }
    fs::remove_dir_all(root.join("report/history")).unwrap();
    assert_eq!(night("3", "sweep.seed=3").code, 8);
    assert_eq!(tree(&root).into_keys().collect::<Vec<_>>(), before);
    expect(0, &["verify", text(&root)]);
    // Damaged nights are none either: what is left is one.
    for name in ["1", "2"] {
        for run in 0..3 {
            flip(&nights.join(name).join(format!("runs/000{run}/checkpoints/0002/soft.parquet")));
        }
    }
    let said = night("4", "sweep.seed=4");
    assert_eq!(said.code, 8, "{said:?}");
}

/// Point 4.
#[test]
fn verify_says_what_is_missing_and_goes_on() {
    let (_folder, sweep) = fresh("base");
    fs::remove_dir_all(sweep.join("runs/0001")).unwrap();
    let said = expect(6, &["verify", text(&sweep)]);
    assert!(said.out.contains("2 of 3 runs are complete; not complete: 1"), "{}", said.out);
    assert!(said.out.contains("run 1: runs/0001 is gone"), "{}", said.out);
    // Past what cannot be read.
    std::os::unix::fs::symlink("figures", sweep.join("report/loop")).unwrap();
    fs::remove_file(sweep.join("runs/0000/run.json")).unwrap();
    fs::create_dir(sweep.join("runs/0000/run.json")).unwrap();
    flip(&sweep.join("runs/0002/metrics.parquet"));
    fs::create_dir(sweep.join("slurm")).unwrap();
    fs::write(sweep.join("slurm/jobs.json"), "{\"schema\": \"harness.slurm/1.1\", \"jobs\": []}").unwrap();
    let said = expect(6, &["verify", text(&sweep)]);
    for name in ["runs/0000/run.json", "runs/0002/metrics.parquet", "report/loop", "slurm/jobs.json"] {
        assert!(said.out.contains(name), "{name}: {}", said.out);
    }
    fs::remove_dir_all(sweep.join("runs")).unwrap();
    assert!(expect(6, &["verify", text(&sweep)]).out.contains("0 of 3 runs are complete"));
}

/// Point 5.
#[test]
fn a_repair_removes_only_what_is_made_again() {
    let (_folder, sweep) = fresh("base");
    let before = tree(&sweep);
    fs::write(sweep.join("report/notes.txt"), "mine").unwrap();
    let figure = before.keys().find(|path| path.extension().is_some_and(|end| end == "svg")).unwrap();
    flip(figure);
    expect(6, &["verify", text(&sweep), "--repair"]);
    let after = tree(&sweep);
    let gone: Vec<_> = before.keys().filter(|path| !after.contains_key(*path)).collect();
    assert_eq!(gone, [figure]);
    expect(0, &["report", text(&sweep)]);
    assert!(tree(&sweep).contains_key(figure));
    assert_eq!(fs::read(sweep.join("report/notes.txt")).unwrap(), b"mine");
    // A damaged list is mended, not a reason to remove what it lists.
    flip(&sweep.join("report/files.json"));
    call(&["verify", text(&sweep), "--repair"]);
    assert_eq!(fs::read(sweep.join("report/notes.txt")).unwrap(), b"mine");
    assert!(before.keys().filter(|path| path.ends_with("report.md")).all(|path| path.exists()));
}

/// Point 6.
#[test]
fn no_link_leads_out_of_the_tree() {
    for linked in ["runs/0001", "runs", "report", "analysis", "runs/0001/checkpoints"] {
        let (folder, sweep) = fresh("base");
        let outside = folder.path().join("outside");
        copy(&originals().join("seed"), &outside);
        let target = outside.join(linked);
        fs::write(target.join("state"), "somebody's state").unwrap();
        fs::write(target.join(".state.1-1.tmp"), "half of it").unwrap();
        let before = tree(&outside);
        fs::remove_dir_all(sweep.join(linked)).unwrap();
        std::os::unix::fs::symlink(&target, sweep.join(linked)).unwrap();
        expect(6, &["verify", text(&sweep)]);
        for arguments in [
            vec!["resume", text(&sweep), "--quiet"],
            vec!["verify", text(&sweep), "--repair"],
            vec!["report", text(&sweep)],
            vec!["train-run", "--sweep", text(&sweep), "--index", "1"],
        ] {
            call(&arguments);
            assert!(tree(&outside) == before, "{linked}: {arguments:?} changed what lies outside");
        }
    }
    // Nothing but plain files is opened.
    let (_folder, sweep) = fresh("base");
    let pipe = sweep.join("runs/0001/run.json");
    fs::remove_file(&pipe).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    expect(6, &["verify", text(&sweep)]);
    assert_eq!(counted(&expect(6, &["analyze", text(&sweep), "--json"])), [0, 2]);
    // Nor what a manifest lists outside its run.
    let (_folder, sweep) = fresh("base");
    sealed(&sweep.join("runs/0001/run.json"), |value| value["files"][0]["path"] = "../0000/metrics.parquet".into());
    assert_eq!(counted(&expect(6, &["analyze", text(&sweep), "--json"])), [0, 2]);
}

/// Point 7.
#[test]
fn nothing_is_believed_without_its_digest() {
    let (folder, sweep) = fresh("base");
    let others: Vec<_> = (0..2).map(|_| originals().join("seed")).collect();
    let history = || {
        let said = call(&["history", text(&sweep), text(&others[0]), text(&others[1]), "--json"]);
        (said.code, said.out)
    };
    let before = history();
    let summary = sweep.join("analysis/summary.json");
    let changed = fs::read_to_string(&summary).unwrap().replacen("\"accuracy\": 0.", "\"accuracy\": 0.0", 1);
    fs::write(&summary, changed).unwrap();
    assert_eq!(history(), before, "the chart is of the runs, not of a table that was changed");
    let ensemble = folder.path().join("ensemble");
    expect(0, &["select", text(&originals().join("base")), "--strategy", "all", "--out", text(&ensemble)]);
    let inputs = folder.path().join("x.npy");
    super::arrays::images(&inputs, 5);
    let file = ensemble.join("ensemble.json");
    let predict = ["predict", "--ensemble", text(&file), "--inputs", text(&inputs)];
    expect(0, &predict);
    for name in ["model.toml", "ensemble.json"] {
        let path = ensemble.join(name);
        let kept = fs::read_to_string(&path).unwrap();
        let place = kept.rfind(|letter: char| letter.is_ascii_digit()).unwrap();
        let digit = if kept[place..].starts_with('1') { "2" } else { "1" };
        fs::write(&path, format!("{}{digit}{}", &kept[..place], &kept[place + 1..])).unwrap();
        let said = expect(6, &predict);
        assert!(said.out.is_empty(), "{name}: {}", said.out);
        fs::write(&path, kept).unwrap();
    }
}

/// Point 8.
#[test]
fn damaged_runs_end_with_6_and_are_trained_again() {
    let (folder, sweep) = fresh("base");
    let whole = recorded(&sweep);
    flip(&sweep.join("runs/0001/checkpoints/0002/soft.parquet"));
    let (root, other) = (text(&sweep), originals().join("seed"));
    let to = |name: &str| text(&folder.path().join(name)).to_owned();
    for arguments in [
        vec!["analyze", root],
        vec!["report", root, "--report", &to("report")],
        vec!["export", root, "--to", &to("export")],
        vec!["select", root],
        vec!["compare", text(&other), root],
        vec!["compare", root, text(&other)],
    ] {
        let said = expect(6, &arguments);
        assert!(said.err.contains("run 1") && said.err.contains("soft.parquet"), "{arguments:?}: {}", said.err);
        let allowed = call(&[&arguments[..], &["--allow-damaged"]].concat());
        // What was compared may be a difference, or too little for a verdict.
        let fine = if arguments[0] == "compare" { vec![0, 5, 7, 8] } else { vec![0] };
        assert!(fine.contains(&allowed.code), "{arguments:?}: {allowed:?}");
    }
    let same = call(&["compare", root, root, "--allow-damaged"]);
    assert_ne!(same.code, 6, "{same:?}");
    for arguments in [vec!["power", root], vec!["embed", root, "--out", &to("e.npy")], vec!["lineage", root]] {
        expect(6, &arguments);
    }
    fs::write(sweep.join("runs/0002/checkpoints/0002/soft.parquet"), "short").unwrap();
    let status = expect(0, &["status", root]).out;
    assert!(status.contains("2 complete") && status.contains("damaged"), "{status}");
    expect(0, &["resume", root, "--quiet"]);
    assert!(recorded(&sweep) == whole, "trained again, the runs have other bytes");
    expect(0, &["analyze", root]);
    // A sweep.json that is lost holds nobody up who has the experiment.
    for lost in [true, false] {
        if lost { fs::remove_file(sweep.join("sweep.json")) } else { fs::write(sweep.join("sweep.json"), "") }.unwrap();
        assert!(expect(6, &["analyze", root]).err.contains("harness verify"));
        expect(0, &["resume", root, "--quiet"]);
        expect(0, &["verify", root]);
    }
}

/// Point 9.
#[test]
fn a_lease_is_timed_by_the_file_system() {
    let (_folder, sweep) = fresh("base");
    fs::remove_dir_all(sweep.join("runs/0001")).unwrap();
    fs::create_dir(sweep.join("runs/0001")).unwrap();
    let lease = sweep.join("runs/0001/lease.json");
    let holder = serde_json::json!({
        "schema": "harness.lease/1", "host": "elsewhere", "boot": "another", "space": "pid:[1]", "pid": 1, "start": "1",
        "attempt": 1, "since": "2026-01-01T00:00:00Z",
    });
    fs::write(&lease, holder.to_string()).unwrap();
    let unit = ["train-run", "--sweep", text(&sweep), "--index", "1"];
    assert!(expect(75, &unit).err.contains("elsewhere"));
    // Its machine's clock was an hour ahead when it died.
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    fs::File::options().write(true).open(&lease).unwrap().set_modified(ahead).unwrap();
    expect(0, &unit);
}

/// Point 10.
#[test]
fn a_process_that_hangs_is_ended_and_named_and_sizes_are_believed_within_limits() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = folder.path().join("sweep");
    let mut arguments = vec!["run", "configs/digits.toml", "--runs", "1", "--out", text(&sweep)];
    for set in SMALL.iter().chain(&["train.epochs=2000", "train.stall=2"]) {
        arguments.extend(["--set", set]);
    }
    let engine =
        command(&arguments).stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let lease = sweep.join("runs/0000/lease.json");
    let begun = Instant::now();
    while !sweep.join("runs/0000/state").exists() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no state was saved");
        std::thread::sleep(Duration::from_millis(5));
    }
    let holder: serde_json::Value = serde_json::from_slice(&fs::read(&lease).unwrap()).unwrap();
    let stopped = std::process::Command::new("kill").arg("-STOP").arg(holder["pid"].to_string()).status().unwrap();
    assert!(stopped.success());
    let output = engine.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(4) && said.contains("run 0"), "{output:?}");
    assert!(said.contains("no step"), "{said}");
    let (_folder, sweep) = fresh("base");
    for count in [1_u64 << 60, 100_001] {
        sealed(&sweep.join("sweep.json"), |value| value["runs"] = count.into());
        for verb in ["status", "analyze"] {
            assert_eq!(call(&[verb, text(&sweep)]).code, 6, "{verb} of {count} runs");
        }
        // What the experiment says is written again.
        expect(0, &["resume", text(&sweep), "--quiet"]);
        assert!(expect(0, &["status", text(&sweep)]).out.contains("3 complete"));
    }
}

/// Point 11.
#[test]
fn a_repair_beside_a_report_loses_nothing() {
    let (_folder, sweep) = fresh("base");
    let before: Vec<_> = tree(&sweep).into_keys().collect();
    let figure = before.iter().find(|path| path.extension().is_some_and(|end| end == "svg")).unwrap();
    for round in 0..4 {
        flip(figure);
        let mut report = command(&["report", text(&sweep)]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(40 * round));
        let repair = call(&["verify", text(&sweep), "--repair"]);
        assert_eq!(repair.code, 0, "{repair:?}");
        assert!(report.wait().unwrap().success());
        expect(0, &["verify", text(&sweep)]);
        assert_eq!(tree(&sweep).into_keys().collect::<Vec<_>>(), before, "round {round}");
    }
    // While somebody writes the derived files, a repair waits.
    flip(figure);
    let held = fs::File::open(&sweep).unwrap();
    held.lock().unwrap();
    let mut repair = command(&["verify", text(&sweep), "--repair"]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert!(repair.try_wait().unwrap().is_none() && figure.exists(), "a repair took files from under a report");
    drop(held);
    assert!(repair.wait().unwrap().success() && !figure.exists());
}

/// Point 12.
#[test]
fn a_copied_sweep_cancels_no_jobs_of_the_original() {
    let (folder, sweep) = fresh("base");
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let asked = folder.path().join("asked");
    for tool in ["squeue", "scancel", "sbatch"] {
        let path = tools.join(tool);
        let line = match tool {
            "squeue" => "echo '17|1|PENDING|Resources'",
            "sbatch" => "echo 17",
            _ => "true",
        };
        fs::write(&path, format!("#!/bin/sh\necho {tool} \"$@\" >> {}\n{line}\n", text(&asked))).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let with_tools = |arguments: &[&str]| {
        let path = format!("{}:{}", text(&tools), std::env::var("PATH").unwrap_or_default());
        finished(command(arguments).env("PATH", path))
    };
    let asked_for = |tool: &str| fs::read_to_string(&asked).unwrap_or_default().contains(tool);
    fs::remove_dir_all(sweep.join("runs/0001")).unwrap();
    let said = with_tools(&["resume", text(&sweep), "--executor", "slurm"]);
    assert!(said.code == 0 && asked_for("sbatch"), "{said:?}");
    fs::remove_file(&asked).unwrap();
    let copied = folder.path().join("copied");
    copy(&sweep, &copied);
    with_tools(&["cancel", text(&copied)]);
    assert!(!asked_for("scancel"), "{:?}", fs::read_to_string(&asked));
    // What still waits is not submitted again.
    let said = with_tools(&["resume", text(&sweep), "--executor", "slurm"]);
    assert!(!asked_for("sbatch"), "{said:?} {:?}", fs::read_to_string(&asked));
    with_tools(&["cancel", text(&sweep)]);
    assert!(asked_for("scancel"), "{:?}", fs::read_to_string(&asked));
}

/// Point 13.
#[test]
fn names_in_files_do_nothing_to_a_terminal_nor_to_a_path() {
    let (_folder, sweep) = fresh("base");
    let evil = "\u{1b}]0;evil\u{7} \u{202e}\u{9b}";
    fs::write(sweep.join(format!("runs/0001/{evil}")), "x").unwrap();
    sealed(&sweep.join("sweep.json"), |value| value["name"] = evil.into());
    for arguments in
        [vec!["verify", text(&sweep)], vec!["status", text(&sweep)], vec!["status", text(&sweep), "--json"]]
    {
        let said = call(&arguments);
        let shown = said.out + &said.err;
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']), "{arguments:?}: {shown:?}");
    }
    let usage = expect(2, &["train-run", "--sweep", text(&sweep), "--index", "1", "--offset", &usize::MAX.to_string()]);
    assert!(usage.err.contains("no run's number"), "{}", usage.err);
    // A kernel whose name is a path.
    let (folder, sweep) = fresh("base");
    let path = sweep.join("runs/0001/checkpoints/0002/kernel.safetensors");
    for run in 0..3 {
        let header = r#"{"/../../x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let path = sweep.join(format!("runs/000{run}/checkpoints/0002/kernel.safetensors"));
        fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()).unwrap();
        let entry = harness::record::FileEntry::of("checkpoints/0002/kernel.safetensors", &fs::read(&path).unwrap());
        sealed(&sweep.join(format!("runs/000{run}/run.json")), |value| {
            let files = value["files"].as_array_mut().unwrap();
            let old = files.iter_mut().find(|file| file["path"] == entry.path.as_str()).unwrap();
            *old = serde_json::to_value(&entry).unwrap();
        });
    }
    assert!(path.exists());
    let to = folder.path().join("a/b/c");
    fs::create_dir_all(&to).unwrap();
    let said = call(&["export", text(&sweep), "--to", text(&to), "--allow-damaged"]);
    let all = tree(&folder.path().join("a"));
    assert!(all.keys().all(|path| path.starts_with(&to)), "{said:?}: {:?}", all.keys());
    // An output that is full is an error, and no panic.
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = command(&["status", text(&sweep)]).stderr(full.try_clone().unwrap()).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1), "nothing could be said");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = command(&["verify", text(Path::new("nowhere"))]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(3), "the exit code says it");
}

/// Point 13.
#[test]
fn a_colleagues_sweep_can_be_looked_at() {
    use std::os::unix::process::CommandExt;
    let (folder, sweep) = fresh("base");
    // As nobody where root runs the tests, since permissions do not bind root.
    let mode =
        |path: &Path, mode: u32| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    let program = folder.path().join("harness");
    fs::copy(kit::program(), &program).unwrap();
    let mut open = vec![sweep.clone()];
    while let Some(path) = open.pop() {
        open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
        mode(&path, 0o555);
    }
    mode(folder.path(), 0o755);
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    mode(&elsewhere, 0o777);
    let is_root = fs::File::create(sweep.join("probe")).is_ok_and(|_| fs::remove_file(sweep.join("probe")).is_ok());
    let before = tree(&sweep);
    for arguments in [
        vec!["analyze", text(&sweep), "--json"],
        vec!["report", text(&sweep), "--report", text(&elsewhere)],
        vec!["verify", text(&sweep)],
        vec!["status", text(&sweep)],
        vec!["select", text(&sweep)],
    ] {
        let mut command = std::process::Command::new(&program);
        command.args(&arguments).env("NO_COLOR", "1").current_dir("/");
        if is_root {
            command.uid(65_534);
        }
        let said = finished(&mut command);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
    }
    assert!(tree(&sweep) == before);
    assert!(elsewhere.join("report.md").exists());
    let mut open = vec![sweep];
    while let Some(path) = open.pop() {
        mode(&path, 0o755);
        open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    }
}
