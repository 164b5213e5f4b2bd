//! Being asked to stop: by a signal, or by the death of the process that started us.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Error, Result, exit};

/// How long after the first signal another one is taken for the same wish.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Set for a process that was started with its standard input held open by its parent: end of input means that the parent
/// is gone.
pub const PARENT_VARIABLE: &str = "HARNESS_PARENT";

/// Whether to stop; copies share the answer.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    insisted: Arc<AtomicBool>,
    /// Whether somebody heeds a second wish, so that the process need not end by itself.
    heeded: Arc<AtomicBool>,
}

impl Stop {
    /// Not asked yet, and only [`Stop::ask`] can.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asked by Ctrl-C and by a request to terminate; another one after `PATIENCE` ends the process at once with exit
    /// code 75, or, where an engine heeds it ([`Stop::heed`]), the processes of its runs; the third ends it in any case. Also asked by the death of the parent, if [`PARENT_VARIABLE`] says that there is one that watches over us.
    ///
    /// # Errors
    /// `Unexpected` if signals cannot be caught.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::new();
        let mut signals = Signals::new([SIGINT, SIGTERM])
            .map_err(|cause| Error::Unexpected(format!("cannot catch signals: {cause}")))?;
        let asked = stop.clone();
        std::thread::spawn(move || {
            let mut last: Option<Instant> = None;
            for _ in signals.forever() {
                // A terminal and a parent may both pass on the same wish.
                if last.is_some_and(|at| at.elapsed() <= PATIENCE) {
                    continue;
                }
                if last.is_some() && (asked.insisted() || !asked.heeded.load(Ordering::Relaxed)) {
                    std::process::exit(i32::from(exit::INTERRUPTED));
                }
                asked.insisted.store(last.is_some(), Ordering::Relaxed);
                last = Some(Instant::now());
                asked.ask();
            }
        });
        if std::env::var_os(PARENT_VARIABLE).is_some() {
            let asked = stop.clone();
            std::thread::spawn(move || {
                let mut input = std::io::stdin().lock();
                let mut byte = [0];
                while !matches!(input.read(&mut byte), Ok(0) | Err(_)) {}
                asked.ask();
            });
        }
        Ok(stop)
    }

    /// Asks to stop.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// From now on a second wish is an engine's to fulfil.
    pub fn heed(&self) {
        self.heeded.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked twice: not to wait for anything any more.
    #[must_use]
    pub fn insisted(&self) -> bool {
        self.insisted.load(Ordering::Relaxed)
    }

    /// Asks as one who does not want to wait.
    pub fn insist(&self) {
        self.ask();
        self.insisted.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
