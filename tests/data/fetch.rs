//! Downloads from a server of our own on 127.0.0.1: cut connections, wrong bytes, servers that cannot go on.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use harness::data::DatasetKind;
use harness::data::fetch::{Patience, Progress, download_file, fetch, unpack};
use harness::data::sets::{Download, PublishedFile};
use harness::error::Error;
use md5::{Digest, Md5};

/// How the server answers one request.
#[derive(Clone)]
enum Answer {
    /// As it should: the range that is asked for, or all.
    Well(Vec<u8>),
    /// So many bytes of what is asked for, then the connection breaks.
    Cut(Vec<u8>, usize),
    /// All of it, whatever range is asked for.
    Whole(Vec<u8>),
    /// Only a status.
    Status(u16),
    /// A range that was not asked for.
    WrongRange(Vec<u8>),
}

/// A server that gives these answers, one to each connection, and tells what it was asked: path and range.
struct Server {
    base: String,
    asked: mpsc::Receiver<(String, Option<usize>)>,
}

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                tell.send(serve(&stream, &answer)).unwrap();
            }
        });
        Self { base, asked }
    }

    /// Everything that it was asked.
    fn asked(self) -> Vec<(String, Option<usize>)> {
        self.asked.try_iter().collect()
    }
}

fn serve(mut stream: &TcpStream, answer: &Answer) -> (String, Option<usize>) {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_string();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    assert!(headers.contains(&"accept-encoding: identity".to_string()), "{headers:?}");
    let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
    let (bytes, sent, start) = match answer {
        Answer::Status(status) => {
            write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            return (path, range);
        }
        Answer::Well(bytes) => (bytes, usize::MAX, range),
        Answer::Cut(bytes, sent) => (bytes, *sent, range),
        Answer::Whole(bytes) => (bytes, usize::MAX, None),
        Answer::WrongRange(bytes) => (bytes, usize::MAX, Some(1)),
    };
    let rest = &bytes[start.unwrap_or(0)..];
    let status = if start.is_some() { "206 Partial Content" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", rest.len()).unwrap();
    if let Some(start) = start {
        write!(stream, "Content-Range: bytes {start}-{}/{}\r\n", bytes.len() - 1, bytes.len()).unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    // The client may have gone once it has seen enough.
    let _ = stream.write_all(&rest[..sent.min(rest.len())]);
    (path, range)
}

/// Remembers what it was told.
#[derive(Default)]
struct Told {
    starts: Vec<u64>,
    bytes: u64,
    notes: Vec<String>,
}

impl Progress for Told {
    fn start(&mut self, _: &str, done: u64, _: u64) {
        self.starts.push(done);
    }
    fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
    fn finish(&mut self) {}
    fn note(&mut self, line: &str) {
        self.notes.push(line.to_string());
    }
}

fn content() -> Vec<u8> {
    (0..200_000u32).map(|v| (v.wrapping_mul(v) >> 7) as u8).collect()
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that is published with this content.
fn published(name: &'static str, bytes: &[u8]) -> PublishedFile {
    PublishedFile { name, bytes: bytes.len() as u64, md5: md5(bytes).leak() }
}

const HASTY: Patience = Patience { attempts: 3, pause: Duration::from_millis(1), silence: Duration::from_secs(5) };

/// Downloads `content()` from a server with these answers: the outcome, what was asked, what was told.
fn download(folder: &Path, answers: Vec<Answer>) -> (Result<(), Error>, Vec<Option<usize>>, Told) {
    let server = Server::start(answers);
    let mut told = Told::default();
    let urls = [format!("{}/x.bin", server.base)];
    let outcome = download_file(&urls, &published("x.bin", &content()), &folder.join("x.bin"), &HASTY, &mut told);
    (outcome, server.asked().into_iter().map(|(_, range)| range).collect(), told)
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn assert_there(folder: &Path) {
    assert_eq!(files(folder), ["x.bin"]);
    assert!(std::fs::read(folder.join("x.bin")).unwrap() == content());
}

#[test]
fn a_whole_download() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, asked, told) = download(folder.path(), vec![Answer::Well(content())]);
    outcome.unwrap();
    assert_there(folder.path());
    assert_eq!((asked, told.starts, told.bytes), (vec![None], vec![0], 200_000));
}

#[test]
fn a_cut_connection_goes_on_where_it_broke() {
    let folder = tempfile::tempdir().unwrap();
    let answers = vec![Answer::Cut(content(), 70_000), Answer::Cut(content(), 50_000), Answer::Well(content())];
    let (outcome, asked, told) = download(folder.path(), answers);
    outcome.unwrap();
    assert_there(folder.path());
    assert_eq!(asked, [None, Some(70_000), Some(120_000)]);
    assert_eq!((told.starts, told.bytes), (vec![0, 70_000, 120_000], 200_000));
}

#[test]
fn a_later_call_goes_on_too() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, ..) = download(folder.path(), vec![Answer::Cut(content(), 60_000); 3]);
    let Err(Error::Unexpected(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("cannot fetch x.bin") && !message.contains('\n'), "{message}");
    assert_eq!(files(folder.path()), ["x.bin.part"]);
    let (outcome, asked, _) = download(folder.path(), vec![Answer::Well(content())]);
    outcome.unwrap();
    assert_there(folder.path());
    assert_eq!(asked, [Some(180_000)]);
}

#[test]
fn a_server_that_cannot_go_on_starts_again() {
    let wrong = || Answer::WrongRange(content());
    for second in [Answer::Whole(content()), Answer::Status(416), wrong()] {
        let folder = tempfile::tempdir().unwrap();
        let answers = vec![Answer::Cut(content(), 70_000), second, Answer::Well(content())];
        let (outcome, asked, _) = download(folder.path(), answers);
        outcome.unwrap();
        assert_there(folder.path());
        assert_eq!(asked[1], Some(70_000));
    }
}

#[test]
fn a_wrong_checksum_is_never_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = content();
    other[123] ^= 1;
    let (outcome, asked, _) = download(folder.path(), vec![Answer::Well(other.clone()); 3]);
    let Err(Error::Unexpected(message)) = outcome else { panic!("{outcome:?}") };
    let expected = format!("sends a file of MD5 {} where {} was published", md5(&other), md5(&content()));
    assert!(message.contains(&expected), "{message}");
    assert_eq!(asked.len(), 3);
    assert!(files(folder.path()).is_empty());
}

#[test]
fn what_an_earlier_download_left_of_another_file_does_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    for left in [vec![9; 70_000], vec![9; 200_000], vec![9; 300_000]] {
        std::fs::write(folder.path().join("x.bin.part"), left).unwrap();
        let (outcome, ..) = download(folder.path(), vec![Answer::Well(content()); 2]);
        outcome.unwrap();
        assert_there(folder.path());
    }
}

#[test]
fn statuses_and_wrong_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, asked, _) = download(folder.path(), vec![Answer::Status(404)]);
    assert!(outcome.unwrap_err().to_string().contains("answers with status 404"));
    assert_eq!(asked.len(), 1, "what is not there is not asked for again");
    let (outcome, asked, _) = download(folder.path(), vec![Answer::Status(503), Answer::Well(content())]);
    outcome.unwrap();
    assert_eq!(asked.len(), 2);
    let (outcome, ..) = download(folder.path(), vec![Answer::Well(content().repeat(2))]);
    assert!(outcome.unwrap_err().to_string().contains("sends more than the 200000 bytes"));
    let (outcome, ..) = download(folder.path(), vec![Answer::Well(content()[..100].to_vec()); 3]);
    assert!(outcome.unwrap_err().to_string().contains("ends 199900 bytes too early"));
}

#[test]
fn the_second_address_helps_out() {
    let folder = tempfile::tempdir().unwrap();
    let (gone, there) = (Server::start(vec![Answer::Status(403)]), Server::start(vec![Answer::Well(content())]));
    let urls = [format!("{}/x.bin", gone.base), format!("{}/y/x.bin", there.base)];
    let target = folder.path().join("x.bin");
    download_file(&urls, &published("x.bin", &content()), &target, &HASTY, &mut Told::default()).unwrap();
    assert_there(folder.path());
    assert_eq!(there.asked()[0].0, "/y/x.bin");
}

#[test]
fn without_a_network_the_way_by_hand_is_told() {
    // A port that was free a moment ago: nobody listens there.
    let base = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new/mnist");
    let outcome = fetch(DatasetKind::Mnist.set(), &target, Some(&base), &HASTY, &mut Told::default());
    let Err(Error::Unexpected(message)) = outcome else { panic!("{outcome:?}") };
    let by_hand = format!(
        "or get {base}/train-images-idx3-ubyte.gz by hand, put it and the other files of MNIST into {}",
        target.display()
    );
    assert!(message.contains(&by_hand) && !message.contains('\n'), "{message}");
    assert!(matches!(
        fetch(DatasetKind::Digits.set(), &target, None, &HASTY, &mut Told::default()),
        Err(Error::Usage(_))
    ));
}

/// A `.tar.gz` of these files.
fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn an_archive_is_fetched_unpacked_and_not_fetched_again() {
    let (one, two) = (content(), vec![7; 5000]);
    let archive = tar_gz(&[("set/one.bin", &one), ("set/readme.html", b"hello"), ("set/two.bin", &two)]);
    let files_in: &'static [PublishedFile] = vec![published("one.bin", &one), published("two.bin", &two)].leak();
    let downloads = vec![Download { file: published("set.tar.gz", &archive), bases: &[], archive: true }].leak();
    let mut set = *DatasetKind::FashionMnist.set();
    (set.files, set.downloads) = (files_in, downloads);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Answer::Cut(archive.clone(), 1000), Answer::Well(archive)]);
    fetch(&set, folder.path(), Some(&server.base), &HASTY, &mut Told::default()).unwrap();
    assert_eq!(files(folder.path()), ["one.bin", "two.bin"]);
    assert!(std::fs::read(folder.path().join("one.bin")).unwrap() == one);
    let mut told = Told::default();
    fetch(&set, folder.path(), Some(&server.base), &HASTY, &mut told).unwrap();
    assert_eq!(server.asked().len(), 2);
    assert!(told.notes[0].ends_with("is there already"), "{:?}", told.notes);
}

#[test]
fn hostile_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar.gz");
    let good = content();
    let wanted = [published("one.bin", &good)];
    let sound = tar_gz(&[("set/one.bin", &good)]);
    for (archive, says) in [
        (b"no archive".to_vec(), "is damaged"),
        (sound[..sound.len() / 2].to_vec(), "is damaged"),
        (tar_gz(&[]), "lacks one.bin"),
        (tar_gz(&[("set/other.bin", &good)]), "lacks one.bin"),
        (tar_gz(&[("set/one.bin", &good[..100])]), "holds another one.bin than was published"),
        (tar_gz(&[("set/one.bin", &[&good[..], &vec![0; 1 << 20]].concat())]), "holds another one.bin"),
    ] {
        std::fs::write(&path, archive).unwrap();
        let Err(Error::Invalid(message)) = unpack(&path, folder.path(), &wanted) else { panic!("{says}") };
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
        assert_eq!(files(folder.path()), ["x.tar.gz"]);
    }
}

/// Fashion-MNIST in full, from where it lies beside the repository, as a user would fetch it.
#[test]
fn fashion_mnist_from_a_mirror() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fashion-mnist");
    if !shared.is_dir() {
        eprintln!("skipped: {} is absent", shared.display());
        return;
    }
    let set = DatasetKind::FashionMnist.set();
    let answers =
        set.downloads.iter().map(|d| Answer::Well(std::fs::read(shared.join(d.file.name)).unwrap())).collect();
    let server = Server::start(answers);
    let folder = tempfile::tempdir().unwrap();
    fetch(set, folder.path(), Some(&server.base), &HASTY, &mut Told::default()).unwrap();
    let report = harness::data::check::check(folder.path()).unwrap();
    assert_eq!(report.published(), Some("fashion-mnist"));
}
