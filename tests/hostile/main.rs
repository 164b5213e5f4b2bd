//! Inputs that are broken in every way we could think of: each gives one sentence that says so and exit code 3, none makes
//! us panic or allocate more than the file justifies.

#[allow(unsafe_code)]
mod allocations;
mod build;
mod cases;

use std::path::Path;

use harness::arrays::{open_npz, read_npy, read_npy_f32};
use harness::config::{Data, DatasetKind};
use harness::data::{check, facts, load};
use harness::error::{Error, exit};

use build::{Content, Place};
use cases::{Case, cases};

#[global_allocator]
static COUNTED: allocations::Counted = allocations::Counted;

/// What may be allocated beyond the file: buffers of fixed size, and the working memory of the decompressor.
const CONSTANT: usize = 1 << 20;
/// And for each byte of the file, where the file is not at fault about how much it holds.
const MULTIPLE: usize = 10;

fn data(dataset: DatasetKind, path: &Path) -> Data {
    let path = Some(path.to_path_buf());
    Data::whole(dataset, path)
}

/// Everything that reads a file of this kind, which all must refuse it alike.
fn readers(place: &Place, path: &Path) -> Vec<(&'static str, Result<(), Error>)> {
    let folder = path.parent().unwrap_or(path);
    match place {
        Place::Npy => vec![("read_npy", read_npy(path).map(drop)), ("read_npy_f32", read_npy_f32(path).map(drop))],
        Place::Npz(name) => vec![
            ("get", open_npz(path).and_then(|npz| npz.get(name)).map(drop)),
            ("get_f32", open_npz(path).and_then(|npz| npz.get_f32(name)).map(drop)),
        ],
        Place::Dataset => {
            vec![("load", load(&data(DatasetKind::Npz, path)).map(drop)), ("check", check::check(path).map(drop))]
        }
        Place::Idx(_) => vec![
            ("load", load(&data(DatasetKind::FashionMnist, folder)).map(drop)),
            ("check", check::check(folder).map(drop)),
        ],
        Place::IdxHeader(_) => vec![
            ("load", load(&data(DatasetKind::FashionMnist, folder)).map(drop)),
            ("facts", facts(&data(DatasetKind::FashionMnist, folder)).map(drop)),
            ("check", check::check(folder).map(drop)),
        ],
        Place::Cifar(_) => vec![
            ("load", load(&data(DatasetKind::Cifar10, folder)).map(drop)),
            ("facts", facts(&data(DatasetKind::Cifar10, folder)).map(drop)),
            ("check", check::check(folder).map(drop)),
        ],
        Place::Anything => vec![("check", check::check(path).map(drop))],
    }
}

/// What is wrong with the answer to an input that must be refused; `None` if nothing is.
fn complaint(case: &str, reader: &str, says: &str, outcome: Result<(), Error>) -> Option<String> {
    let message = match outcome {
        Ok(()) => return Some(format!("{case}: {reader} accepted it")),
        Err(error) if error.exit_code() == exit::INVALID => error.to_string(),
        Err(other) => return Some(format!("{case}: {reader} gave {other:?}")),
    };
    let one_sentence = !message.contains(['\n', '\r']) && !message.contains(". ") && !message.ends_with('.');
    if !one_sentence || message.len() > 700 {
        return Some(format!("{case}: {reader} says more than a sentence: {message}"));
    }
    (!message.contains(says)).then(|| format!("{case}: {reader} does not say \"{says}\": {message}"))
}

#[test]
fn every_hostile_input_is_refused_in_a_sentence_and_within_its_means() {
    assert_eq!(Error::Invalid(String::new()).exit_code(), exit::INVALID);
    let all = cases();
    assert!(all.len() >= 100, "{} cases", all.len());
    let mut complaints = Vec::new();
    for Case { name, says, place, content, unpacks_to } in &all {
        let folder = tempfile::tempdir().unwrap();
        let path = build::place(folder.path(), place, content);
        let bytes = build::bytes_in(folder.path());
        let limit = CONSTANT + MULTIPLE * (bytes + unpacks_to);
        allocations::restart();
        let outcomes = readers(place, &path);
        let peak = allocations::peak();
        if peak > limit {
            complaints.push(format!("{name}: {peak} bytes were allocated at once for {bytes} bytes of files"));
        }
        complaints.extend(outcomes.into_iter().filter_map(|(reader, outcome)| complaint(name, reader, says, outcome)));
    }
    complaints.extend(a_file_that_may_not_be_read());
    assert!(complaints.is_empty(), "of {} cases:\n{}", all.len(), complaints.join("\n"));
}

/// Permissions do not bind root, so root checks as nobody: this test again, in a process of that user.
fn a_file_that_may_not_be_read() -> Vec<String> {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let places = [
        Place::Npy,
        Place::Npz("x"),
        Place::Dataset,
        Place::Idx("train-images-idx3-ubyte"),
        Place::Cifar("data_batch_2.bin"),
        Place::Anything,
    ];
    let mut paths = Vec::new();
    mode(folder.path(), 0o755);
    for (number, place) in places.iter().enumerate() {
        let inside = folder.path().join(number.to_string());
        std::fs::create_dir(&inside).unwrap();
        let path = build::place(&inside, place, &Content::Bytes(build::npy("<f4", &[1], 4)));
        mode(&path, 0);
        paths.push(path);
    }
    if std::fs::File::open(&paths[0]).is_err() {
        let outcomes = places.iter().zip(&paths).flat_map(|(place, path)| readers(place, path));
        return outcomes
            .filter_map(|(reader, outcome)| complaint("no permission", reader, "may not be read", outcome))
            .collect();
    }
    assert!(std::env::var_os(AS_NOBODY).is_none(), "nobody may read a file of mode 000");
    let ours = folder.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &ours).unwrap();
    mode(&ours, 0o755);
    let mut again = std::process::Command::new(&ours);
    std::os::unix::process::CommandExt::uid(&mut again, 65_534);
    let output = again.arg("files_of_others").arg("--ignored").env(AS_NOBODY, "1").current_dir("/").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && text.contains("1 passed");
    (!passed).then(|| text.into_owned()).into_iter().collect()
}

const AS_NOBODY: &str = "HARNESS_TEST_AS_NOBODY";

#[test]
#[ignore = "started by the other test, as another user, where that runs as root"]
fn files_of_others() {
    let complaints = a_file_that_may_not_be_read();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
