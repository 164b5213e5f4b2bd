//! The command line: one file per verb, each of which parses, calls the library, prints and returns.
//!
//! Data goes to stdout, progress and messages to stderr. An error is one sentence on stderr and an exit code of
//! [`crate::error::exit`].

mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Result, exit};

const EXIT_CODES: &str = "Exit codes: 0 fine; 1 unexpected; 2 usage; 3 invalid experiment or input; 4 some runs failed; \
5 regression found; 6 corrupt artefacts; 7 not comparable; 75 interrupted, can be resumed";

/// Measures how reproducible a training procedure is.
#[derive(Debug, Parser)]
#[command(name = "harness", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print an experiment with every default, override and environment variable filled in
    Show(show::ShowArgs),
}

/// Runs the program on the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Show(args) => show::run(&args),
    };
    finish(outcome)
}

/// Writes data to stdout. A reader that has gone away, as `head` does, is no error.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(crate::error::Error::Unexpected(format!("cannot write to stdout: {cause}")))
        }
        _ => Ok(()),
    }
}

fn finish(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
