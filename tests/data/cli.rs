//! `harness data` as users call it.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::error::exit;
use serde_json::Value;

/// Exit code, stdout and stderr.
fn data(arguments: &[&str]) -> (u8, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    let output = command.arg("data").args(arguments).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap() as u8, text(output.stdout), text(output.stderr))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn list() {
    let (code, table, _) = data(&["list"]);
    assert_eq!(code, exit::OK);
    for name in ["digits", "mnist", "fashion-mnist", "cifar10", "data/cifar-10-batches-bin", "CC BY 4.0"] {
        assert!(table.contains(name), "{name} is not in\n{table}");
    }
    let (code, json, _) = data(&["list", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json["schema"], &json["datasets"][0]["present"]),
        (exit::OK, &"harness.data.list/1".into(), &true.into())
    );
}

#[test]
fn check() {
    let folder = fixture("cifar-10-batches-bin");
    let (code, table, _) = data(&["check", folder.to_str().unwrap()]);
    assert_eq!(code, exit::OK);
    assert!(table.starts_with("CIFAR-10 binary, 3x32x32\n") && table.contains("not a published file"), "{table}");
    let (code, json, _) = data(&["--json", "check", folder.to_str().unwrap()]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["parts"][0]["examples"]), (exit::OK, &50.into()));
}

#[test]
fn wrong_input_and_wrong_usage_have_their_exit_codes() {
    let (code, out, message) = data(&["check", "no/such/file"]);
    assert_eq!((code, out.as_str()), (exit::INVALID, ""));
    assert!(message.contains("no/such/file does not exist"), "{message}");
    for wrong in [&["fetch", "imagenet"][..], &["check"], &[]] {
        assert_eq!(data(wrong).0, exit::USAGE, "{wrong:?}");
    }
}

#[test]
fn a_damaged_file_is_shown_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    // As long as the published file, gzip, sound as IDX, but not it.
    let name = "t10k-labels-idx1-ubyte.gz";
    let mut bytes = std::fs::read(fixture("fashion-mnist").join(name)).unwrap();
    // A name in the gzip header pads it.
    let padding = 5_148 - bytes.len() - 1;
    assert_eq!(bytes[3], 0);
    bytes[3] = 8;
    bytes.splice(10..10, std::iter::repeat_n(b'x', padding).chain([0]));
    let path = folder.path().join(name);
    std::fs::write(&path, &bytes).unwrap();
    let (code, table, message) = data(&["check", path.to_str().unwrap()]);
    assert_eq!(code, exit::INVALID);
    assert!(table.contains("differs from fashion-mnist as published"), "{table}");
    assert!(message.contains("differs from the published file"), "{message}");
}

#[test]
fn a_fetch_that_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let from = format!("http://{free}");
    let (code, _, message) = data(&["fetch", "cifar10", "--to", folder.path().to_str().unwrap(), "--from", &from]);
    assert_eq!(code, exit::UNEXPECTED);
    assert!(message.contains("cannot fetch cifar-10-binary.tar.gz"), "{message}");
    assert!(message.contains("put data_batch_1.bin, data_batch_2.bin"), "{message}");
}
