//! Every kind of damage is found, named, and mended as far as it can be made again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::testing::{fake_run, finish, folder, sweep_manifest};
use super::super::{files, index, layout};
use super::*;

const EXPERIMENT: &str = "name = \"fake\"\n";
const RUNS: usize = 3;

fn finished() -> (tempfile::TempDir, SweepDir) {
    let folder = folder();
    let sweep = SweepDir::new(&folder.path().join("fake"));
    files::create_folder(&sweep.runs()).unwrap();
    sweep_manifest(EXPERIMENT, RUNS).write(&sweep).unwrap();
    files::write(&sweep.experiment(), EXPERIMENT.as_bytes()).unwrap();
    files::write(&sweep.lock(), b"").unwrap();
    for run in 0..RUNS {
        finish(&sweep.run(run), 1).unwrap();
        files::write(&sweep.run(run).lock(), b"").unwrap();
    }
    files::create_folder(&sweep.analysis()).unwrap();
    files::write(&sweep.analysis().join("summary.json"), b"{}").unwrap();
    index::write(&sweep, &sweep.analysis(), &BTreeMap::new()).unwrap();
    (folder, sweep)
}

/// Repairs, trains what is missing, and expects everything to be well.
fn recover(sweep: &SweepDir) -> Vec<String> {
    let (done, _) = repair(sweep).unwrap();
    for run in 0..RUNS {
        finish(&sweep.run(run), 2).unwrap();
    }
    done
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_repaired() {
    let (_folder, sweep) = finished();
    assert_eq!(verify(&sweep).unwrap(), []);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for round in 0..500 {
        let all: Vec<(PathBuf, Vec<u8>)> = files::walk(sweep.root())
            .unwrap()
            .into_iter()
            .map(|path| (path.clone(), files::read(&path).unwrap()))
            .collect();
        let bits: u64 = all.iter().map(|(_, bytes)| bytes.len() as u64 * 8).sum();
        let mut bit = random.next_u64() % bits;
        let (path, mut bytes) = all
            .into_iter()
            .find(|(_, bytes)| {
                let size = bytes.len() as u64 * 8;
                let here = bit < size;
                bit = if here { bit } else { bit - size };
                here
            })
            .unwrap();
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let problems = verify(&sweep).unwrap();
        let name = layout::relative(sweep.root(), &path).unwrap();
        assert!(problems.iter().any(|problem| problem.file == name), "round {round}: {name}: {problems:?}");
        let run = path.strip_prefix(sweep.runs()).ok().and_then(|path| path.components().next());
        let run = run.and_then(|part| layout::parse_number(part.as_os_str().to_str().unwrap()));
        assert!(problems.iter().all(|problem| problem.run == run), "round {round}: {problems:?}");
        // One that is shared by all runs cannot be made again from within.
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        if path == sweep.manifest() {
            fs::write(&path, &bytes).unwrap();
        } else if round % 25 == 0 {
            recover(&sweep);
            let after = verify(&sweep).unwrap();
            if path.file_name().is_some_and(|name| name == "files.json") {
                // The list is made again; what only the old one vouched for goes, and the next analysis writes it.
                assert_eq!(after, [], "round {round}: {name}");
                files::write(&sweep.analysis().join("summary.json"), b"{}").unwrap();
                fs::write(&path, &bytes).unwrap();
                continue;
            }
            assert_eq!(after, [], "round {round}: {name}");
            if path.starts_with(sweep.runs()) && path.file_name().unwrap() != "run.json" {
                assert_eq!(files::read(&path).unwrap(), bytes, "{name}");
            }
        } else {
            fs::write(&path, &bytes).unwrap();
        }
    }
}

#[test]
fn missing_truncated_and_stray_files_are_named() {
    let (_folder, sweep) = finished();
    let run = sweep.run(1);
    fs::remove_file(run.checkpoint(2).join(layout::KERNEL)).unwrap();
    fs::write(run.checkpoint(0).join(layout::SOFT), b"PAR1").unwrap();
    fs::write(run.root().join("notes.txt"), b"mine").unwrap();
    fs::write(run.root().join(".state.1-2.tmp"), b"half").unwrap();
    fs::write(run.state(), b"old").unwrap();
    fs::write(run.lock(), b"x").unwrap();
    fs::remove_file(sweep.run(2).manifest()).unwrap();
    fs::write(sweep.experiment(), b"name = \"other\"").unwrap();
    fs::write(sweep.analysis().join("more.json"), b"{}").unwrap();
    fs::create_dir(sweep.runs().join("0003")).unwrap();
    fs::write(sweep.root().join("plan.txt"), b"").unwrap();
    let problems = verify(&sweep).unwrap();
    let text: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let expected = [
        "analysis/more.json does not belong",
        "experiment.toml differs",
        "plan.txt does not belong",
        "runs/0003 does not belong",
        "run 1: runs/0001/.state.1-2.tmp was left",
        "run 1: runs/0001/checkpoints/0000/soft.parquet holds 4 bytes",
        "run 1: runs/0001/checkpoints/0002/kernel.safetensors is missing",
        "run 1: runs/0001/lease.lock is a lock",
        "run 1: runs/0001/notes.txt does not belong",
        "run 1: runs/0001/state was left",
        "run 2: runs/0002/run.json is missing",
    ];
    assert_eq!(text.len(), expected.len(), "{text:#?}");
    for (text, expected) in text.iter().zip(expected) {
        assert!(text.starts_with(expected), "{text} / {expected}");
    }
    recover(&sweep);
    let left: Vec<String> = verify(&sweep).unwrap().into_iter().map(|problem| problem.file).collect();
    assert_eq!(left, ["analysis/more.json", "plan.txt", "runs/0003", "runs/0001/notes.txt"]);
}

#[test]
fn an_unfinished_run_is_checked_as_far_as_its_state_vouches() {
    let (_folder, sweep) = finished();
    let run = sweep.run(0);
    files::remove_folder(run.root()).unwrap();
    fake_run(&run, 1, &mut |epoch| epoch < 4).unwrap();
    assert_eq!(verify(&sweep).unwrap(), []);
    let soft = run.checkpoint(0).join(layout::SOFT);
    let mut bytes = files::read(&soft).unwrap();
    bytes[9] ^= 4;
    fs::write(&soft, bytes).unwrap();
    let problems = verify(&sweep).unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(recover(&sweep).len(), 1);
    assert_eq!(verify(&sweep).unwrap(), []);
}

#[test]
fn what_is_no_sweep_is_refused() {
    let folder = folder();
    assert!(matches!(verify(&SweepDir::new(folder.path())), Err(Error::Invalid(_))));
}
