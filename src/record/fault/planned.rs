//! The fault that the environment, or a test, asked for.

use std::io;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Operation, Verdict};

/// Names the fault; see [`super`].
const VARIABLE: &str = "HARNESS_FAULT";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Short,
    Space,
    Rename,
    Any,
    Kill,
}

/// One planned fault and the operations counted so far.
#[derive(Debug)]
struct Fault {
    kind: Kind,
    at: u64,
    onwards: bool,
    seen: AtomicU64,
}

impl FromStr for Fault {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let wrong = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{VARIABLE}={text} is not KIND:N or KIND:N+ with KIND short, space, rename, any or kill"),
            )
        };
        let (kind, at) = text.split_once(':').ok_or_else(wrong)?;
        let kind = match kind {
            "short" => Kind::Short,
            "space" => Kind::Space,
            "rename" => Kind::Rename,
            "any" => Kind::Any,
            "kill" => Kind::Kill,
            _ => return Err(wrong()),
        };
        let (at, onwards) = at.strip_suffix('+').map_or((at, false), |at| (at, true));
        let at = at.parse().ok().filter(|at| *at > 0).ok_or_else(wrong)?;
        Ok(Self { kind, at, onwards, seen: AtomicU64::new(0) })
    }
}

impl Fault {
    fn counts(&self, operation: Operation) -> bool {
        match self.kind {
            Kind::Short => operation == Operation::Write,
            Kind::Space => {
                matches!(operation, Operation::Folder | Operation::Create | Operation::Write | Operation::Sync)
            }
            Kind::Rename => operation == Operation::Rename,
            Kind::Any | Kind::Kill => true,
        }
    }

    fn judge(&self, operation: Operation) -> io::Result<Verdict> {
        if !self.counts(operation) {
            return Ok(Verdict::Proceed);
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen != self.at && !(self.onwards && seen > self.at) {
            return Ok(Verdict::Proceed);
        }
        match self.kind {
            Kind::Short => Ok(Verdict::Short),
            Kind::Space => Err(io::ErrorKind::StorageFull.into()),
            Kind::Rename => Err(io::ErrorKind::PermissionDenied.into()),
            Kind::Any => Err(io::Error::other("injected input/output error")),
            Kind::Kill if operation == Operation::Write => Ok(Verdict::ShortAbort),
            Kind::Kill => std::process::abort(),
        }
    }
}

/// Called before each operation of the write layer; an error stands for the operation's own.
pub(in crate::record) fn check(operation: Operation) -> io::Result<Verdict> {
    static PLANNED: OnceLock<Option<Result<Fault, String>>> = OnceLock::new();
    #[cfg(test)]
    if let Some(verdict) = testing::check(operation) {
        return verdict;
    }
    let planned = PLANNED.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        Some(text.parse::<Fault>().map_err(|error| error.to_string()))
    });
    match planned {
        None => Ok(Verdict::Proceed),
        Some(Ok(fault)) => fault.judge(operation),
        Some(Err(message)) => Err(io::Error::new(io::ErrorKind::InvalidInput, message.clone())),
    }
}

/// Faults for the current thread only, so that tests of one process do not disturb each other.
#[cfg(test)]
pub(crate) mod testing {
    use std::cell::RefCell;

    use super::{Fault, Operation, Verdict, io};

    thread_local! {
        static FAULT: RefCell<Option<Fault>> = const { RefCell::new(None) };
    }

    pub(super) fn check(operation: Operation) -> Option<io::Result<Verdict>> {
        FAULT.with_borrow(|fault| fault.as_ref().map(|fault| fault.judge(operation)))
    }

    /// Runs `body` under the fault `text` and says how many operations it counted.
    pub(crate) fn with<T>(text: &str, body: impl FnOnce() -> T) -> (T, u64) {
        FAULT.set(Some(text.parse().unwrap()));
        let result = body();
        let fault = FAULT.take().unwrap();
        (result, fault.seen.into_inner())
    }

    #[test]
    fn specifications_are_checked() {
        for good in ["short:1", "space:12", "rename:3+", "any:7", "kill:2"] {
            assert!(good.parse::<Fault>().is_ok(), "{good}");
        }
        for bad in ["", "short", "short:", "short:0", "short:-1", "melt:1", "short:1++", "any:x"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
