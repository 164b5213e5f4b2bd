//! Opening a file that somebody else wrote, and saying in one sentence what is wrong with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result, again, exit};

/// A regular file that is open for reading and not empty.
pub(crate) struct Opened {
    pub file: File,
    /// Length in bytes when it was opened.
    pub length: u64,
}

/// Opens `path` for reading; `expected` says what should be there, as in "an .npy file".
///
/// # Errors
/// [`Error::Invalid`] if there is nothing, or a directory or a device, or the file is empty or may not be read.
pub(crate) fn open(path: &Path, expected: &str) -> Result<Opened> {
    // Before opening: to open a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(|cause| unreadable(path, expected, &cause))?;
    if metadata.is_dir() {
        return Err(invalid(path, format!("is a directory, but {expected} is expected; give the path of the file")));
    }
    if !metadata.is_file() {
        return Err(invalid(
            path,
            format!("is a pipe or a device, but {expected} is expected; copy it to a file first"),
        ));
    }
    let file = File::open(path).map_err(|cause| unreadable(path, expected, &cause))?;
    let length = file.metadata().map_err(|cause| unreadable(path, expected, &cause))?.len();
    if length == 0 {
        return Err(invalid(path, format!("is empty, but {expected} is expected; copy or download it again")));
    }
    Ok(Opened { file, length })
}

/// All bytes of `path`, which must be a regular file.
///
/// # Errors
/// As [`open`]; the file cannot be read to its end.
pub(crate) fn bytes(path: &Path, expected: &str) -> Result<Vec<u8>> {
    let mut opened = open(path, expected)?;
    let mut bytes = Vec::new();
    opened.file.read_to_end(&mut bytes).map_err(|cause| broken(&shown(path), &cause))?;
    Ok(bytes)
}

/// The error of finding or opening an input file. Whatever the cause, the path is what a user can put right.
pub(crate) fn unreadable(path: &Path, expected: &str, cause: &io::Error) -> Error {
    let what = match cause.kind() {
        io::ErrorKind::NotFound => format!("does not exist, but {expected} is expected; check the path"),
        io::ErrorKind::PermissionDenied => {
            format!("may not be read, but {expected} is expected; change its permissions")
        }
        _ => {
            let cause = clean(&cause.to_string());
            format!("cannot be opened ({cause}), but {expected} is expected; check the path")
        }
    };
    Error::caused(exit::INVALID, format!("{} {what}", shown(path)), again(cause))
}

/// The error of reading on in an open file, or in what it decompresses to.
pub(crate) fn broken(place: &str, cause: &io::Error) -> Error {
    use io::ErrorKind as Kind;
    let shown = clean(&cause.to_string());
    let (code, sentence) = match cause.kind() {
        Kind::UnexpectedEof => (exit::INVALID, format!("{place} ends too early; copy or download it again")),
        Kind::InvalidData | Kind::InvalidInput | Kind::Unsupported => {
            (exit::INVALID, format!("{place} is damaged ({shown}); copy or download it again"))
        }
        _ => (exit::UNEXPECTED, format!("cannot read {place}: {shown}")),
    };
    Error::caused(code, sentence, again(cause))
}

/// The sentence "`path` `what`" as an invalid input.
pub(crate) fn invalid(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("{} {what}", shown(path)))
}

/// A path as messages show it, on one line whatever it holds.
pub(crate) fn shown(path: &Path) -> String {
    clean(&path.display().to_string())
}

/// Text of unknown origin as messages show it: without control characters, and cut to a readable length.
pub(crate) fn clean(text: &str) -> String {
    const LONGEST: usize = 240;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            escaped.into_iter().flatten().chain((!c.is_control()).then_some(c))
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// What the first bytes of a file look like, for messages about a file of the wrong kind.
pub(crate) fn looks_like(start: &[u8]) -> &'static str {
    match start {
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "an .npy array",
        [b'P', b'K', 3..=8, ..] => "a zip archive (.npz, or PyTorch's .pt)",
        [0x1f, 0x8b, ..] => "a gzip file",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "an xz file, still packed",
        [b'B', b'Z', b'h', ..] => "a bzip2 file, still packed",
        [0x80, 2..=5, ..] => "a Python pickle",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        [b'P', b'A', b'R', b'1', ..] => "a Parquet file",
        [0x89, b'P', b'N', b'G', ..] => "a PNG image",
        [0xff, 0xd8, 0xff, ..] => "a JPEG image",
        [0, 0, 8, 1, ..] => "IDX labels",
        [0, 0, 8, 3, ..] => "IDX images",
        [b'<', b'!' | b'h' | b'H', ..] => "a web page, so a download went wrong",
        [_, _, _, _, _, _, _, _, b'{', b'"', ..] => "a safetensors file",
        [] => "nothing at all",
        bytes if bytes.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => "text",
        _ => "something else",
    }
}

/// Grows `values` for `more` further ones, but never beyond `total`.
///
/// # Errors
/// [`Error::Unexpected`] if the machine has not that much memory.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize, total: usize, place: &str) -> Result<()> {
    let spare = values.capacity() - values.len();
    if spare >= more {
        return Ok(());
    }
    let wanted = values.len().saturating_mul(2).max(values.len() + more).min(total.max(values.len() + more));
    values.try_reserve_exact(wanted - values.len()).map_err(|_| {
        let bytes = wanted.saturating_mul(size_of::<T>());
        Error::Unexpected(format!("{place} needs {bytes} bytes of memory, which this machine does not have free"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_is_one_short_line() {
        assert_eq!(clean("a\nb\u{1b}[31m\té"), "a\\nb\\u{1b}[31m\\té");
        let long = clean(&"x".repeat(1000));
        assert_eq!(long.chars().count(), 241);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn growth_stops_at_the_total() {
        let mut values: Vec<u8> = Vec::new();
        for _ in 0..10 {
            reserve(&mut values, 10, 95, "x").unwrap();
            values.extend([0; 10].iter().take(95 - values.len()));
        }
        assert!(values.len() == 95 && values.capacity() < 110, "{}", values.capacity());
        let too_much = reserve(&mut values, usize::MAX / 2, usize::MAX, "x").unwrap_err();
        assert!(matches!(too_much, Error::Unexpected(_)));
    }
}
