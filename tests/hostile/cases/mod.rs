//! The table of hostile inputs.

mod arrays;
mod images;

use crate::build::{Content, Place, npy};

pub struct Case {
    pub name: &'static str,
    /// Part of what the message must say.
    pub says: &'static str,
    pub place: Place,
    pub content: Content,
    /// Bytes that the file does unpack to, where that is much more than its length.
    pub unpacks_to: usize,
}

fn case(place: &Place, name: &'static str, says: &'static str, bytes: Vec<u8>) -> Case {
    Case { name, says, place: place.clone(), content: Content::Bytes(bytes), unpacks_to: 0 }
}

pub fn cases() -> Vec<Case> {
    [
        no_files(),
        arrays::npy_cases(),
        arrays::npz_cases(),
        arrays::dataset_cases(),
        images::idx_cases(),
        images::cifar_cases(),
        other_cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Things that are no file at all, in each place.
fn no_files() -> Vec<Case> {
    let places = [
        Place::Npy,
        Place::Npz("x"),
        Place::Dataset,
        Place::IdxHeader("train-images-idx3-ubyte"),
        Place::IdxHeader("t10k-labels-idx1-ubyte.gz"),
        Place::Cifar("data_batch_5.bin"),
        Place::Cifar("test_batch.bin"),
    ];
    let contents = [
        ("missing", "does not exist, but", Content::Nothing),
        ("a folder", "is a directory, but", Content::Folder),
        ("empty", "is empty, but", Content::Bytes(Vec::new())),
        ("a pipe", "is a pipe or a device", Content::Pipe),
        ("a link to itself", "cannot be opened (", Content::Loop),
        ("a device without an end", "is a pipe or a device", Content::Endless),
    ];
    let mut cases = Vec::new();
    for place in places {
        for (name, says, content) in &contents {
            let says = match (&place, content) {
                // A folder given to `check` is rightly taken for one of data.
                (Place::Dataset, Content::Folder) => "x.npz",
                (Place::IdxHeader(_), Content::Nothing) => "has neither",
                _ => says,
            };
            cases.push(Case { name, says, place: place.clone(), content: content.clone(), unpacks_to: 0 });
        }
    }
    cases
}

fn other_cases() -> Vec<Case> {
    let place = Place::Anything;
    let folder = Case {
        name: "an empty folder",
        says: "holds neither",
        place: place.clone(),
        content: Content::Folder,
        unpacks_to: 0,
    };
    vec![
        folder,
        case(&place, "text for a data set", "looks like text", b"label,pixel\n".to_vec()),
        case(&place, "a Parquet file", "looks like a Parquet file", b"PAR1\x15\x04\x15\x00PAR1".to_vec()),
        case(&place, "an .npy array for a data set", "looks like an .npy array", npy("<f4", &[2, 2], 16)),
        case(&place, "an xz file", "looks like an xz file", b"\xfd7zXZ\x00\x00\x04\xe6\xd6".to_vec()),
        case(&place, "one zero", "looks like something else", vec![0]),
    ]
}

/// Bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut random = harness::random::Random::from_parts(0, "noise", 0);
    (0..count).map(|_| random.uniform_below(256) as u8).collect()
}
