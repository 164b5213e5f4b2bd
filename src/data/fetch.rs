//! Downloading the published data sets: resumed where it was cut off, verified, and renamed into place once complete.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use ureq::Agent;
use ureq::http::Response;

use super::check::md5_of;
use super::sets::{PublishedFile, Set};
use crate::arrays::file::{clean, shown};
use crate::error::{Error, Result};

/// What hears how far a download is.
pub trait Progress {
    /// A file starts: `done` of `total` bytes are there from an earlier attempt.
    fn start(&mut self, name: &str, done: u64, total: u64);
    /// So many more bytes have come.
    fn advance(&mut self, bytes: u64);
    /// The file that was started is complete, or an attempt has ended.
    fn finish(&mut self);
    /// A line for the user.
    fn note(&mut self, line: &str);
}

/// How patient a download is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts for each address.
    pub attempts: u32,
    /// Wait before the second attempt; doubled before each further one.
    pub pause: Duration,
    /// How long a connection may stay silent.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 3, pause: Duration::from_secs(1), silence: Duration::from_secs(30) }
    }
}

/// Downloads what is missing of a data set into `folder`, and unpacks it. With `base`, files come from that address instead of
/// the publisher's.
///
/// # Errors
/// [`Error::Usage`] if the data set is not one to download; [`Error::Unexpected`] if no address delivers (the sentence says
/// which files to put where by hand), or the disk fails.
pub fn fetch(
    set: &Set,
    folder: &Path,
    base: Option<&str>,
    patience: &Patience,
    progress: &mut dyn Progress,
) -> Result<()> {
    if set.downloads.is_empty() {
        return Err(Error::Usage(format!("{} is embedded in the program, so there is nothing to fetch", set.name)));
    }
    std::fs::create_dir_all(folder).map_err(|cause| Error::io("create", folder, &cause))?;
    for download in set.downloads {
        let wanted: &[PublishedFile] = if download.archive { set.files } else { std::slice::from_ref(&download.file) };
        if is_complete(folder, wanted)? {
            progress.note(&format!("{} is there already", shown(folder)));
            continue;
        }
        let target = folder.join(download.file.name);
        let custom = [base.unwrap_or_default()];
        let bases = if base.is_some() { &custom[..] } else { download.bases };
        let urls: Vec<String> =
            bases.iter().map(|base| format!("{}/{}", base.trim_end_matches('/'), download.file.name)).collect();
        download_file(&urls, &download.file, &target, patience, progress)
            .map_err(|cause| by_hand(&cause, &urls, folder, set))?;
        if download.archive {
            unpack(&target, folder, set.files)?;
            std::fs::remove_file(&target).map_err(|cause| Error::io("remove", &target, &cause))?;
        }
    }
    Ok(())
}

fn is_complete(folder: &Path, files: &[PublishedFile]) -> Result<bool> {
    for file in files {
        let path = folder.join(file.name);
        let right_length = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.bytes);
        if !right_length || md5_of(&path)?.1 != file.md5 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn by_hand(cause: &Error, urls: &[String], folder: &Path, set: &Set) -> Error {
    let remedy = if set.downloads.iter().any(|download| download.archive) {
        let names: Vec<&str> = set.files.iter().map(|file| file.name).collect();
        format!("unpack it elsewhere and put {} into {}", names.join(", "), shown(folder))
    } else {
        format!("put it and the other files of {} into {}", set.title, shown(folder))
    };
    Error::Unexpected(format!(
        "{cause}; run this again later to go on from there, or get {} by hand, {remedy}",
        urls.join(" or ")
    ))
}

/// Downloads one file to `target` from the first address that delivers it. What has come is kept in `target.part` and the
/// next attempt, of this call or a later one, goes on from there.
///
/// # Errors
/// [`Error::Unexpected`] if no address delivers the bytes with the expected checksum, or the disk fails.
pub fn download_file(
    urls: &[String],
    expected: &PublishedFile,
    target: &Path,
    patience: &Patience,
    progress: &mut dyn Progress,
) -> Result<()> {
    let part = with_suffix(target, ".part");
    let agent = agent(patience);
    let mut failures = Vec::new();
    for url in urls {
        let mut pause = patience.pause;
        for attempt in 1..=patience.attempts {
            progress.start(expected.name, length_of(&part), expected.bytes);
            let outcome = attempt_download(&agent, url, expected, &part, progress);
            progress.finish();
            match outcome {
                Ok(()) => match verify(&part, expected) {
                    Ok(()) => {
                        return std::fs::rename(&part, target).map_err(|cause| Error::io("create", target, &cause));
                    }
                    // What an earlier attempt left may have been of another file: begin anew.
                    Err(why) => {
                        std::fs::remove_file(&part).map_err(|cause| Error::io("remove", &part, &cause))?;
                        failures.push(format!("{url} {why}"));
                    }
                },
                Err(Failure::Disk(error)) => return Err(error),
                Err(Failure::Final(why)) => {
                    failures.push(format!("{url} {why}"));
                    break;
                }
                Err(Failure::Cut(why)) => failures.push(format!("{url} {why}")),
            }
            if attempt < patience.attempts {
                if let Some(why) = failures.last() {
                    let (next, of) = (attempt + 1, patience.attempts);
                    let seconds = pause.as_secs_f64();
                    progress.note(&format!("{why}; attempt {next} of {of} follows in {seconds:.1} s"));
                }
                std::thread::sleep(pause);
                pause *= 2;
            }
        }
    }
    failures.dedup();
    Err(Error::Unexpected(format!("cannot fetch {}: {}", expected.name, failures.join(", and "))))
}

/// Why an attempt failed.
enum Failure {
    /// It may succeed when tried again.
    Cut(String),
    /// This address will not do.
    Final(String),
    /// The fault is ours.
    Disk(Error),
}

fn agent(patience: &Patience) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        // The bytes as they lie on the server: a range of an encoded body is of no use.
        .accept_encoding("identity")
        .timeout_connect(Some(patience.silence))
        .timeout_recv_response(Some(patience.silence))
        .timeout_per_read(Some(patience.silence))
        .build()
        .new_agent()
}

fn length_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Asks for what is missing of `part` and appends it.
fn attempt_download(
    agent: &Agent,
    url: &str,
    expected: &PublishedFile,
    part: &Path,
    progress: &mut dyn Progress,
) -> std::result::Result<(), Failure> {
    let disk = |verb: &str, cause: &io::Error| Failure::Disk(Error::io(verb, part, cause));
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(|cause| disk("write", &cause))?;
    let mut done = length_of(part);
    if done == expected.bytes {
        return Ok(());
    }
    if done > expected.bytes {
        file.set_len(0).map_err(|cause| disk("write", &cause))?;
        done = 0;
    }
    let mut request = agent.get(url);
    if done > 0 {
        request = request.header("Range", format!("bytes={done}-"));
    }
    let mut response = request.call().map_err(|cause| Failure::Cut(format!("fails ({})", one_line(&cause))))?;
    match response.status().as_u16() {
        206 if starts_at(&response, done) => {}
        200 => file.set_len(0).map_err(|cause| disk("write", &cause))?,
        // A range that the server cannot give: begin anew.
        206 | 416 => {
            file.set_len(0).map_err(|cause| disk("write", &cause))?;
            return Err(Failure::Cut("does not go on where it was cut off".to_string()));
        }
        status @ (408 | 429 | 500..) => return Err(Failure::Cut(format!("answers with status {status}"))),
        status => return Err(Failure::Final(format!("answers with status {status}"))),
    }
    let mut left = expected.bytes - length_of(part);
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read =
            body.read(&mut buffer).map_err(|cause| Failure::Cut(format!("breaks off ({})", one_line(&cause))))?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { break };
        let Some(rest) = left.checked_sub(chunk.len() as u64) else {
            file.set_len(0).map_err(|cause| disk("write", &cause))?;
            return Err(Failure::Final(format!("sends more than the {} bytes that were published", expected.bytes)));
        };
        left = rest;
        file.write_all(chunk).map_err(|cause| disk("write", &cause))?;
        progress.advance(chunk.len() as u64);
    }
    if left > 0 {
        return Err(Failure::Cut(format!("ends {left} bytes too early")));
    }
    file.sync_all().map_err(|cause| disk("write", &cause))
}

fn one_line(cause: &impl std::fmt::Display) -> String {
    clean(&cause.to_string())
}

/// Whether a partial answer goes on at `start`.
fn starts_at(response: &Response<ureq::Body>, start: u64) -> bool {
    let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// Checks a complete file; otherwise says what it is instead.
fn verify(path: &Path, expected: &PublishedFile) -> std::result::Result<(), String> {
    let (_, found) = md5_of(path).map_err(|error| error.to_string())?;
    if found == expected.md5 {
        return Ok(());
    }
    Err(format!("sends a file of MD5 {found} where {} was published", expected.md5))
}

/// Unpacks the wanted files of a `.tar.gz` into `folder`, whatever folder they lie in there, each renamed into place once it
/// is complete and verified. Nothing else is unpacked.
///
/// # Errors
/// [`Error::Invalid`] if the archive is damaged, or lacks a wanted file or has another version of it; [`Error::Unexpected`]
/// if the disk fails.
pub fn unpack(archive: &Path, folder: &Path, wanted: &[PublishedFile]) -> Result<()> {
    let damaged = |cause: &io::Error| {
        Error::Invalid(format!("{} is damaged ({}); remove it and fetch it again", shown(archive), one_line(cause)))
    };
    let file = File::open(archive).map_err(|cause| Error::io("read", archive, &cause))?;
    let mut tar = tar::Archive::new(GzDecoder::new(io::BufReader::new(file)));
    let mut missing: Vec<&PublishedFile> = wanted.iter().collect();
    for entry in tar.entries().map_err(|cause| damaged(&cause))? {
        let mut entry = entry.map_err(|cause| damaged(&cause))?;
        let path = entry.path().map_err(|cause| damaged(&cause))?.into_owned();
        let Some(place) = missing.iter().position(|file| path.file_name().is_some_and(|name| name == file.name)) else {
            continue;
        };
        let file = missing.remove(place);
        let mut unpacked =
            tempfile::NamedTempFile::new_in(folder).map_err(|cause| Error::io("write in", folder, &cause))?;
        let copied = io::copy(&mut (&mut entry).take(file.bytes + 1), unpacked.as_file_mut())
            .map_err(|cause| damaged(&cause))?;
        let (_, found) = md5_of(unpacked.path())?;
        if copied != file.bytes || found != file.md5 {
            return Err(Error::Invalid(format!(
                "{} holds another {} than was published (MD5 {found}, expected {}); remove it and fetch it again",
                shown(archive),
                file.name,
                file.md5
            )));
        }
        let target = folder.join(file.name);
        let synced = unpacked.as_file().sync_all().and_then(|()| unpacked.persist(&target).map_err(|e| e.error));
        synced.map_err(|cause| Error::io("write", &target, &cause))?;
    }
    match missing.first() {
        None => Ok(()),
        Some(file) => {
            Err(Error::Invalid(format!("{} lacks {}; remove it and fetch it again", shown(archive), file.name)))
        }
    }
}
