//! `harness data` as the command line parses it.

use std::path::Path;

use clap::Parser;
use harness::cli::data::{DataArgs, run};
use harness::error::{Error, Result, exit};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    data: DataArgs,
}

fn data(arguments: &[&str]) -> Result<()> {
    let line =
        Line::try_parse_from([&["data"], arguments].concat()).map_err(|error| Error::Usage(error.to_string()))?;
    run(&line.data, true)?;
    run(&line.data, false)
}

#[test]
fn verbs() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    data(&["list"]).unwrap();
    data(&["check", fixtures.join("fashion-mnist").to_str().unwrap()]).unwrap();
    assert_eq!(data(&["check", "no/such/file"]).unwrap_err().exit_code(), exit::INVALID);
    assert!(matches!(data(&["fetch", "imagenet"]), Err(Error::Usage(_))));
    assert!(matches!(data(&["check"]), Err(Error::Usage(_))));
}

#[test]
fn a_damaged_file_is_shown_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    // As long as the published file, gzip, sound as IDX, but not it.
    let name = "t10k-labels-idx1-ubyte.gz";
    let mut bytes =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fashion-mnist").join(name)).unwrap();
    // A comment in the gzip header pads it.
    let comment = 5_148 - bytes.len() - 1;
    bytes[3] |= 16;
    bytes.splice(10..10, std::iter::repeat_n(b'x', comment).chain([0]));
    let path = folder.path().join(name);
    std::fs::write(&path, &bytes).unwrap();
    let Err(Error::Invalid(message)) = data(&["check", path.to_str().unwrap()]) else { panic!("accepted") };
    assert!(message.contains("differs from the published file"), "{message}");
}

#[test]
fn a_fetch_that_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let from = format!("http://{free}");
    let outcome = data(&["fetch", "cifar10", "--to", folder.path().to_str().unwrap(), "--from", &from]);
    let Err(Error::Unexpected(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("cannot fetch cifar-10-binary.tar.gz"), "{message}");
    assert!(message.contains("put data_batch_1.bin, data_batch_2.bin"), "{message}");
}
