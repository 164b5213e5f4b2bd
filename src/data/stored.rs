//! Images that stay in their files, and are read when they are asked for.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::arrays::file::{broken, invalid, shown};
use crate::error::Result;

/// Images of bytes in one open file, each as far after the one before.
#[derive(Debug)]
pub(super) struct Block {
    file: File,
    path: PathBuf,
    /// When the file was opened: its length and when it was last written, where the system says so.
    opened: (u64, Option<SystemTime>),
    images: usize,
    /// Where the first image starts.
    start: u64,
    /// Bytes from the start of one image to the start of the next.
    stride: u64,
    /// Reading takes two calls that share the file's position.
    #[cfg(not(unix))]
    turn: std::sync::Mutex<()>,
}

impl Block {
    /// `images` images in an open file, the first at `start`, the next `stride` bytes after it.
    pub(super) fn new(file: File, path: &Path, images: usize, start: u64, stride: u64) -> Result<Self> {
        let opened = state(&file).map_err(|cause| broken(&shown(path), &cause))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            opened,
            images,
            start,
            stride,
            #[cfg(not(unix))]
            turn: std::sync::Mutex::default(),
        })
    }

    fn read(&self, index: usize, image: &mut [u8]) -> Result<()> {
        self.read_at(self.start + index as u64 * self.stride, image).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => broken(&shown(&self.path), &cause),
        })
    }

    #[cfg(unix)]
    fn read_at(&self, place: u64, image: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, image, place)
    }

    #[cfg(not(unix))]
    fn read_at(&self, place: u64, image: &mut [u8]) -> io::Result<()> {
        use io::{Read, Seek};
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = &self.file;
        file.seek(io::SeekFrom::Start(place))?;
        file.read_exact(image)
    }

    fn changed(&self) -> crate::error::Error {
        invalid(&self.path, "has changed since training began; put it back as it was and start again")
    }
}

/// The images of one part of a data set, in consecutive files.
#[derive(Debug)]
pub(super) struct Stored(pub Vec<Block>);

impl Stored {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|block| block.images).sum()
    }

    /// Reads image number `index`, which has the length of `image`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid) if the file has become shorter or there is no such image,
    /// [`Error::Unexpected`](crate::error::Error::Unexpected) if it cannot be read.
    pub(super) fn read(&self, mut index: usize, image: &mut [u8]) -> Result<()> {
        for block in &self.0 {
            if index < block.images {
                return block.read(index, image);
            }
            index -= block.images;
        }
        Err(crate::error::Error::Invalid(format!(
            "the data set holds {} images, but a later one was asked for",
            self.len()
        )))
    }

    /// Hands the images at `indices` to `each`, `length` bytes each.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub(super) fn each(
        &self,
        indices: impl Iterator<Item = usize>,
        length: usize,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let mut image = vec![0; length];
        for index in indices {
            self.read(index, &mut image)?;
            each(&image);
        }
        Ok(())
    }

    /// Checks that no file was written since it was opened.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::error::Error::Invalid) if one was.
    pub(super) fn unchanged(&self) -> Result<()> {
        for block in &self.0 {
            let now = state(&block.file).map_err(|cause| broken(&shown(&block.path), &cause))?;
            if now != block.opened {
                return Err(block.changed());
            }
        }
        Ok(())
    }
}

fn state(file: &File) -> io::Result<(u64, Option<SystemTime>)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

#[cfg(test)]
mod tests {
    use crate::data::{Compact, Data, Dataset, DatasetKind, Images, load, load_compact};
    use crate::random::Random;
    use std::path::Path;

    const BATCHES: [&str; 6] = [
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ];

    /// Batches of a few records, one of them longer than what is read at once.
    fn cifar(folder: &Path) {
        let mut random = Random::from_parts(0, "test", 0);
        for (batch, name) in BATCHES.iter().enumerate() {
            let records = if batch == 4 { 300 } else { batch + 3 };
            let bytes: Vec<u8> = (0..records * 3073)
                .map(|at| if at % 3073 == 0 { (at / 3073 % 10) as u8 } else { random.uniform_below(256) as u8 })
                .collect();
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    fn mnist(folder: &Path) {
        let mut random = Random::from_parts(1, "test", 0);
        for (name, count) in [("train", 30u32), ("t10k", 20)] {
            let mut images = vec![0, 0, 8, 3];
            images.extend([count, 5, 4].iter().flat_map(|axis| axis.to_be_bytes()));
            images.extend((0..count * 20).map(|_| random.uniform_below(256) as u8));
            let mut labels = vec![0, 0, 8, 1];
            labels.extend(count.to_be_bytes());
            labels.extend((0..count).map(|at| (at % 10) as u8));
            std::fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
            std::fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
        }
    }

    fn data(dataset: DatasetKind, folder: &Path) -> Data {
        Data::whole(dataset, Some(folder.to_path_buf()))
    }

    /// The bits of all images of both parts.
    fn images<P: Images>(dataset: &Dataset<P>) -> Vec<Vec<u32>> {
        let length = dataset.shape.iter().product();
        let mut found = Vec::new();
        for part in [&dataset.train, &dataset.eval] {
            assert_eq!(part.pixels.count(length), part.labels.len());
            for index in 0..part.labels.len() {
                let mut image = vec![f32::NAN; length];
                part.pixels.write(index, &mut image).unwrap();
                found.push(image.into_iter().map(f32::to_bits).collect());
            }
        }
        found
    }

    #[test]
    fn images_in_files_are_those_in_memory() {
        for (dataset, write) in [(DatasetKind::Cifar10, cifar as fn(&Path)), (DatasetKind::Mnist, mnist)] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path());
            let whole = data(dataset, folder.path());
            let some =
                Data { classes: Some(vec![2, 5, 7]), train_limit: Some(5), eval_limit: Some(2), ..whole.clone() };
            for data in [whole, some] {
                let floats = load(&data).unwrap();
                let memory = load_compact(&data, u64::MAX).unwrap();
                let files = load_compact(&data, 0).unwrap();
                assert!(files.train.pixels.in_files() && files.eval.pixels.in_files());
                assert!(!memory.train.pixels.in_files() && !memory.eval.pixels.in_files());
                assert_eq!((&files.digest, &files.classes), (&memory.digest, &memory.classes));
                assert_eq!((&files.train.labels, &files.eval.labels), (&memory.train.labels, &memory.eval.labels));
                assert!(images(&files) == images(&memory) && images(&memory) == images(&floats));
                files.train.pixels.unchanged().unwrap();
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_or_written_later_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        cifar(folder.path());
        let files: Dataset<Compact> = load_compact(&data(DatasetKind::Cifar10, folder.path()), 0).unwrap();
        let mut image = vec![0.0; 3072];
        let last = files.eval.len() - 1;
        files.eval.pixels.write(last, &mut image).unwrap();
        let path = folder.path().join("test_batch.bin");
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        for error in
            [files.eval.pixels.write(last, &mut image).unwrap_err(), files.eval.pixels.unchanged().unwrap_err()]
        {
            assert!(matches!(error, crate::error::Error::Invalid(_)));
            assert!(error.to_string().contains("test_batch.bin has changed since training began"), "{error}");
        }
        files.train.pixels.unchanged().unwrap();
        // What was opened is still there when its name is gone.
        std::fs::remove_file(folder.path().join("data_batch_1.bin")).unwrap();
        files.train.pixels.write(0, &mut image).unwrap();
    }
}
