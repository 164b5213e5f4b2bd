//! What the process of a run says while it runs, and how it ended.

use std::io::{BufRead, BufReader, Read};
use std::process::ExitStatus;
use std::sync::mpsc::Sender;

use super::News;

/// Sends every line of `stream` on, and then that it closed.
pub(super) fn listen(
    stream: impl Read + Send + 'static,
    news: fn(String) -> News,
    token: u64,
    sender: Sender<(u64, News)>,
) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            // Nobody listens once the executor has returned.
            if !text.is_empty() && sender.send((token, news(text))).is_err() {
                return;
            }
        }
        let _ = sender.send((token, News::Closed));
    });
}

pub(super) fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("its process was ended by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("its process ended with exit code {code} before the run was complete"),
        None => "its process was ended from outside".into(),
    }
}
