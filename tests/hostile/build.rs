//! Files, sound and unsound, built byte by byte.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// Which file of which format is broken; the files beside it are sound.
#[derive(Clone)]
pub enum Place {
    Npy,
    /// This array of an archive.
    Npz(&'static str),
    /// A data set in an archive.
    Dataset,
    /// A file in MNIST's folder, broken in its pixels.
    Idx(&'static str),
    /// A file in MNIST's folder, broken so that its header or labels show it.
    IdxHeader(&'static str),
    Cifar(&'static str),
    /// A path given to `harness data check`.
    Anything,
}

/// What lies there.
#[derive(Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    Nothing,
    Folder,
    Pipe,
    /// A symbolic link to itself.
    Loop,
    /// A device without an end.
    Endless,
}

/// Puts the content in its place in `folder`, with sound files around it; the path of the content.
pub fn place(folder: &Path, place: &Place, content: &Content) -> PathBuf {
    let name = match place {
        Place::Npy => "x.npy",
        Place::Npz(_) | Place::Dataset => "x.npz",
        Place::Anything => "x",
        Place::Idx(name) | Place::IdxHeader(name) => {
            for (part, count) in [("train", 5), ("t10k", 3)] {
                write(&folder.join(format!("{part}-images-idx3-ubyte")), &idx(&[count, 2, 3], 6 * count as usize));
                write(&folder.join(format!("{part}-labels-idx1-ubyte")), &idx(&[count], count as usize));
            }
            // A gzipped file takes the place of the sound one.
            let _ = std::fs::remove_file(folder.join(name.trim_end_matches(".gz")));
            name
        }
        Place::Cifar(name) => {
            for batch in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
            {
                write(&folder.join(format!("{batch}.bin")), &[1; 3073]);
            }
            std::fs::remove_file(folder.join(name)).unwrap();
            name
        }
    };
    let path = folder.join(name);
    match content {
        Content::Bytes(bytes) => write(&path, bytes),
        Content::Nothing => {}
        Content::Folder => std::fs::create_dir(&path).unwrap(),
        Content::Pipe => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
        Content::Loop => std::os::unix::fs::symlink(&path, &path).unwrap(),
        Content::Endless => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
    }
    path
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// Bytes of all files in a folder.
pub fn bytes_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .filter_map(|entry| entry.unwrap().path().metadata().ok())
        .filter(|m| m.is_file())
        .map(|m| m.len() as usize)
        .sum()
}

/// An IDX file of bytes with these axes and so many values: 0, 1, 2, 0, 1, ….
pub fn idx(axes: &[u32], values: usize) -> Vec<u8> {
    idx_of(8, axes, &(0..values).map(|v| (v % 3) as u8).collect::<Vec<_>>())
}

pub fn idx_of(kind: u8, axes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, axes.len() as u8];
    bytes.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    bytes.extend(values);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An `.npy` header of version 1.0 with this text.
pub fn npy_text(text: &str) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes
}

pub fn npy_header(descr: &str, shape: &str) -> Vec<u8> {
    npy_text(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"))
}

/// An array of zeros of this type and shape, with so many bytes of values.
pub fn npy(descr: &str, shape: &[usize], values: usize) -> Vec<u8> {
    npy_of(descr, shape, &vec![0; values])
}

pub fn npy_of(descr: &str, shape: &[usize], values: &[u8]) -> Vec<u8> {
    let axes: String = shape.iter().map(|axis| format!("{axis},")).collect();
    let mut bytes = npy_header(&format!("'{descr}'"), &format!("({axes})"));
    bytes.extend(values);
    bytes
}

/// A member of a zip archive, of which everything that is declared can be wrong.
#[derive(Clone)]
pub struct Member {
    pub name: Vec<u8>,
    pub local_name: Vec<u8>,
    pub stored: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub size: u32,
    pub compressed: u32,
    pub extra: Vec<u8>,
}

impl Member {
    pub fn stored(name: &str, content: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        Self {
            name: name.into(),
            local_name: name.into(),
            stored: content.to_vec(),
            method: 0,
            flags: 0,
            crc: crc.sum(),
            size: content.len() as u32,
            compressed: content.len() as u32,
            extra: Vec::new(),
        }
    }

    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let stored = deflate(content);
        Self { method: 8, compressed: stored.len() as u32, stored, ..Self::stored(name, content) }
    }
}

/// The end record of a zip archive.
pub struct End {
    pub members: u16,
    pub size: u32,
    pub offset: u32,
    pub comment: u16,
}

/// An archive of these members; `edit` changes its end record.
pub fn zip_with(members: &[Member], edit: impl FnOnce(&mut End)) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let offset = bytes.len() as u32;
        let mut common = vec![20, 0];
        common.extend(member.flags.to_le_bytes());
        common.extend(member.method.to_le_bytes());
        common.extend([0, 0, 0x21, 0]);
        common.extend(member.crc.to_le_bytes());
        common.extend(member.compressed.to_le_bytes());
        common.extend(member.size.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend((member.local_name.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(&member.local_name);
        bytes.extend(&member.stored);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend((member.name.len() as u16).to_le_bytes());
        directory.extend((member.extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(&member.name);
        directory.extend(&member.extra);
    }
    let mut end =
        End { members: members.len() as u16, size: directory.len() as u32, offset: bytes.len() as u32, comment: 0 };
    edit(&mut end);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend(end.members.to_le_bytes());
    bytes.extend(end.members.to_le_bytes());
    bytes.extend(end.size.to_le_bytes());
    bytes.extend(end.offset.to_le_bytes());
    bytes.extend(end.comment.to_le_bytes());
    bytes
}

pub fn zip(members: &[Member]) -> Vec<u8> {
    zip_with(members, |_| {})
}

/// The four arrays of a sound data set of six examples, with some replaced (`Some`) or left out (`None`).
pub fn dataset(changes: &[(&str, Option<Vec<u8>>)]) -> Vec<u8> {
    let labels: Vec<u8> = (0..6u64).flat_map(|label| (label % 3).to_le_bytes()).collect();
    let images: Vec<u8> = (0..24u8).flat_map(|v| f32::from(v).to_le_bytes()).collect();
    let members: Vec<Member> = ["x_train", "y_train", "x_test", "y_test"]
        .into_iter()
        .filter_map(|name| {
            let sound =
                if name.starts_with('x') { npy_of("<f4", &[6, 4], &images) } else { npy_of("<i8", &[6], &labels) };
            let change = changes.iter().find(|(changed, _)| *changed == name);
            let content = change.map_or(Some(sound), |(_, content)| content.clone())?;
            Some(Member::stored(&format!("{name}.npy"), &content))
        })
        .collect();
    zip(&members)
}
