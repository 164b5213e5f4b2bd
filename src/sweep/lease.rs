//! The lease of a run: whoever trains it holds one, so that no two processes write one run, and a run whose process has
//! gone is known to be free.
//!
//! A lease is a lock on `lease.lock`, which the kernel drops with the process, however that ends, and a record
//! `lease.json` that says who it is, with a heartbeat every five seconds. Where the lock is refused, the run is held. Where
//! it is granted, nobody on this machine holds the run; a holder on another machine, which this lock may not reach, is
//! believed for 60 seconds after its last heartbeat. Heartbeats are timed by the clock of the file system on both sides,
//! so that clocks of machines which differ neither hold a dead run nor lose a living one. On file systems without locks the
//! holder's process is looked up instead (by number and start time, since numbers are used again), and attempts are claimed
//! by creating a file that must not exist yet.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::process::Process;
use crate::error::{Error, Result, exit};
use crate::record::{RunDir, files};

const SCHEMA: &str = "harness.lease/1";
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a record from another machine is believed without a heartbeat: the time until a dead holder's run is taken over.
const FRESH: Duration = Duration::from_secs(60);

/// `lease.json`: who trains a run, or trained it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub schema: String,
    #[serde(flatten)]
    pub process: Process,
    /// The first is 1.
    pub attempt: u32,
    pub since: Timestamp,
}

/// The right to write one run, for as long as it lives.
#[derive(Debug)]
pub struct Lease {
    attempt: u32,
    /// Locked until dropped; none where the file system knows no locks.
    _lock: Option<File>,
    heartbeat: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

/// Somebody else trains the run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run {run} is being trained{}", .holder.as_ref().map(by).unwrap_or_default())]
pub struct Held {
    /// The run's index.
    pub run: usize,
    /// Who does, where that is known.
    pub holder: Option<Holder>,
}

fn by(holder: &Holder) -> String {
    format!(" by process {} on {} since {}", holder.process.pid, holder.process.host, holder.since)
}

/// Whether somebody holds a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenure {
    /// Nobody ever did, or the run is complete.
    Free,
    /// A living process does, who is known unless its record is not written yet.
    Held(Option<Box<Holder>>),
    /// A process did that has gone.
    Abandoned(Box<Holder>),
}

impl Lease {
    /// Takes the lease of a run: at once if it is free or its holder has gone.
    ///
    /// # Errors
    /// `Interrupted` if a living process holds it; whatever the file system refuses.
    pub fn acquire(dir: &RunDir) -> Result<Self> {
        Self::acquire_with(dir, Locks::Use)
    }

    fn acquire_with(dir: &RunDir, locks: Locks) -> Result<Self> {
        dir.refuse_links()?;
        files::create_folder(dir.root())?;
        let lock = match take_lock(&dir.lock(), locks)? {
            Lock::Refused => return Err(held(dir, read(dir)?)),
            Lock::Granted(file) => Some(file),
            Lock::Unknown => None,
        };
        let before = read(dir)?;
        let mut attempt = before.as_ref().map_or(0, |holder| holder.attempt).saturating_add(1);
        if let Some(holder) = before.filter(|holder| lives(dir, holder, lock.is_some())) {
            return Err(held(dir, Some(holder)));
        }
        if lock.is_none() {
            attempt = claim(dir, attempt)?;
        }
        let holder = Holder { schema: SCHEMA.into(), process: Process::own(), attempt, since: Timestamp::now() };
        let text = serde_json::to_vec_pretty(&holder)
            .map_err(|cause| Error::Unexpected(format!("cannot write a lease as JSON: {cause}")))?;
        files::write(&dir.lease(), &text)?;
        Ok(Self { attempt, _lock: lock, heartbeat: Some(heartbeat(dir.lease())) })
    }

    /// Which attempt at the run this is; the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.heartbeat.take() {
            drop(sender);
            // A thread that failed has nothing more to do.
            let _ = thread.join();
        }
    }
}

/// Whether somebody holds the run, without taking it.
///
/// # Errors
/// The lease cannot be read.
pub fn tenure(dir: &RunDir) -> Result<Tenure> {
    let locked = files::is_locked(&dir.lock());
    Ok(match read(dir)? {
        holder if locked => Tenure::Held(holder.map(Box::new)),
        None => Tenure::Free,
        Some(holder) if lives(dir, &holder, locks_work(&dir.lock())) => Tenure::Held(Some(Box::new(holder))),
        Some(holder) => Tenure::Abandoned(Box::new(holder)),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Locks {
    Use,
    /// As if the file system knew none.
    #[cfg(test)]
    Ignore,
}

enum Lock {
    Granted(File),
    Refused,
    /// The file system knows no locks.
    Unknown,
}

fn take_lock(path: &Path, locks: Locks) -> Result<Lock> {
    #[cfg(test)]
    if locks == Locks::Ignore {
        return Ok(Lock::Unknown);
    }
    let _ = locks;
    let file = files::open_lock(path)?;
    // Someone who only asks whether the run is held locks for an instant too.
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Ok(Lock::Granted(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(_)) => return Ok(Lock::Unknown),
        }
    }
    Ok(Lock::Refused)
}

fn locks_work(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| !matches!(file.try_lock_shared(), Err(TryLockError::Error(_))))
}

/// Whether the process that `holder` names still trains the run, given that nobody on this machine holds its lock, or
/// that there are no locks to go by.
fn lives(dir: &RunDir, holder: &Holder, lock_is_free: bool) -> bool {
    match holder.process.on_this_machine() {
        true if lock_is_free => false,
        true => holder.process.runs().unwrap_or_else(|| fresh(&dir.lease())),
        false => fresh(&dir.lease()),
    }
}

/// Whether `path` was written within [`FRESH`], by the clock of its file system. A time that lies further ahead than that is
/// nobody's heartbeat.
fn fresh(path: &Path) -> bool {
    let Ok(touched) = std::fs::metadata(path).and_then(|found| found.modified()) else { return false };
    let now = files::file_system_time(path.parent().unwrap_or(Path::new(".")));
    now.duration_since(touched).unwrap_or_else(|ahead| ahead.duration()) < FRESH
}

/// The record of the run's lease. One that cannot be understood tells nothing but that there was an attempt.
fn read(dir: &RunDir) -> Result<Option<Holder>> {
    let bytes = files::read_if_there(&dir.lease())?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn held(dir: &RunDir, holder: Option<Holder>) -> Error {
    let held = Held { run: dir.index(), holder };
    Error::caused(exit::INTERRUPTED, format!("{held}: wait for it, or stop it"), held)
}

/// Whether the process that made a claim is known to have gone.
fn is_dead(claim: &Path) -> bool {
    let claimant = files::read_if_there(claim).ok().flatten();
    let claimant = claimant.and_then(|bytes| serde_json::from_slice::<Process>(&bytes).ok());
    claimant.is_some_and(|process| process.runs() == Some(false))
}

/// Claims an attempt where there are no locks: the first to create its file has it.
fn claim(dir: &RunDir, mut attempt: u32) -> Result<u32> {
    loop {
        let path = dir.claim(attempt);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                // Who claims it, so that a claim of one that died before it wrote its record holds nobody up.
                let own = serde_json::to_vec(&Process::own()).unwrap_or_default();
                file.write_all(&own).map_err(|cause| Error::io("claim the run in", &path, &cause))?;
                return Ok(attempt);
            }
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists && is_dead(&path) => {
                attempt = attempt.saturating_add(1)
            }
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists && fresh(&path) => return Err(held(dir, None)),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => attempt = attempt.saturating_add(1),
            Err(cause) => return Err(Error::io("claim the run by creating", &path, &cause)),
        }
    }
}

/// Touches the record until the sender is dropped.
fn heartbeat(path: PathBuf) -> (mpsc::Sender<()>, JoinHandle<()>) {
    let (sender, stopped) = mpsc::channel();
    let own = std::fs::read(&path).unwrap_or_default();
    let thread = std::thread::spawn(move || {
        while stopped.recv_timeout(HEARTBEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
            // One that is missed is made good by the next; a complete run has no record any more.
            let _ = touch(&path, &own);
        }
    });
    (sender, thread)
}

/// Writes the first byte of the record `own` again, so that the file system notes the time by its own clock. A record of
/// somebody else is left alone.
fn touch(path: &Path, own: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut found = Vec::new();
    file.read_to_end(&mut found)?;
    if found != own {
        return Ok(());
    }
    file.rewind()?;
    file.write_all(own.get(..1).unwrap_or_default())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::testing;
    use super::*;
    use crate::record::SweepDir;

    fn run() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = SweepDir::new(folder.path()).run(3);
        (folder, dir)
    }

    fn write(dir: &RunDir, change: impl FnOnce(&mut Process)) {
        files::create_folder(dir.root()).unwrap();
        let mut process = Process::own();
        change(&mut process);
        let holder = Holder { schema: SCHEMA.into(), process, attempt: 4, since: Timestamp::now() };
        files::write(&dir.lease(), &serde_json::to_vec(&holder).unwrap()).unwrap();
    }

    fn age(path: &Path, seconds: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn a_heartbeat_is_timed_by_the_file_system_and_touches_only_its_own_record() {
        let (_folder, dir) = run();
        write(&dir, |process| process.boot = "another".into());
        let own = files::read(&dir.lease()).unwrap();
        // As a machine whose clock is an hour ahead left it.
        let ahead = SystemTime::now() + Duration::from_secs(3600);
        File::options().write(true).open(dir.lease()).unwrap().set_modified(ahead).unwrap();
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Abandoned(_)), "a dead run is not held by a clock");
        touch(&dir.lease(), &own).unwrap();
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Held(_)));
        assert_eq!(files::read(&dir.lease()).unwrap(), own);
        age(&dir.lease(), FRESH.as_secs() + 1);
        touch(&dir.lease(), b"somebody else's").unwrap();
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Abandoned(_)));
    }

    #[test]
    fn a_second_holder_is_refused_and_the_next_counts_on() {
        let (_folder, dir) = run();
        assert_eq!(tenure(&dir).unwrap(), Tenure::Free);
        let first = Lease::acquire(&dir).unwrap();
        assert_eq!(first.attempt(), 1);
        let error = Lease::acquire(&dir).unwrap_err();
        assert_eq!(error.exit_code(), crate::error::exit::INTERRUPTED);
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Held(Some(holder)) if holder.attempt == 1));
        drop(first);
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Abandoned(holder) if holder.attempt == 1));
        assert_eq!(Lease::acquire(&dir).unwrap().attempt(), 2);
    }

    #[test]
    fn of_many_at_once_one_gets_it() {
        for locks in [Locks::Use, Locks::Ignore] {
            let (_folder, dir) = run();
            let barrier = std::sync::Barrier::new(8);
            let leases: Vec<_> = std::thread::scope(|scope| {
                let all: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            Lease::acquire_with(&dir, locks)
                        })
                    })
                    .collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(leases.iter().filter(|lease| lease.is_ok()).count(), 1, "{locks:?}: {leases:?}");
        }
    }

    #[test]
    fn a_holder_on_another_machine_is_believed_while_it_beats() {
        let (_folder, dir) = run();
        write(&dir, |process| {
            process.host = "elsewhere".into();
            process.boot = "another".into();
        });
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Held(Some(_))));
        let error = Lease::acquire(&dir).unwrap_err();
        assert!(error.to_string().contains("elsewhere"), "{error}");
        age(&dir.lease(), FRESH.as_secs() + 1);
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Abandoned(_)));
        assert_eq!(Lease::acquire(&dir).unwrap().attempt(), 5);
    }

    #[test]
    fn a_lock_that_is_free_outweighs_a_record_that_looks_alive() {
        // As after the number of a dead holder was given to another process: ourselves.
        let (_folder, dir) = run();
        write(&dir, |_| {});
        File::create(dir.lock()).unwrap();
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Abandoned(_)));
        assert_eq!(Lease::acquire(&dir).unwrap().attempt(), 5);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn without_locks_the_process_is_looked_up_by_number_and_start() {
        let (_folder, dir) = run();
        write(&dir, |_| {});
        assert!(Lease::acquire_with(&dir, Locks::Ignore).is_err());
        write(&dir, |process| process.start = "1".into());
        assert_eq!(Lease::acquire_with(&dir, Locks::Ignore).unwrap().attempt(), 5);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        write(&dir, |process| process.pid = child.id());
        assert_eq!(Lease::acquire_with(&dir, Locks::Ignore).unwrap_err().exit_code(), exit::INTERRUPTED);
        age(&dir.claim(5), FRESH.as_secs() + 1);
        assert_eq!(Lease::acquire_with(&dir, Locks::Ignore).unwrap().attempt(), 6);
        // As after a process that died between its claim and its record.
        std::fs::remove_file(dir.lease()).unwrap();
        let dead = Process { pid: child.id(), ..Process::own() };
        std::fs::write(dir.claim(1), serde_json::to_vec(&dead).unwrap()).unwrap();
        assert_eq!(Lease::acquire_with(&dir, Locks::Ignore).unwrap().attempt(), 2);
    }

    #[test]
    fn a_damaged_record_counts_as_none() {
        let (_folder, dir) = run();
        files::create_folder(dir.root()).unwrap();
        std::fs::write(dir.lease(), b"{\"schema\"").unwrap();
        assert_eq!(Lease::acquire(&dir).unwrap().attempt(), 1);
    }

    #[test]
    fn the_lease_goes_with_a_killed_process() {
        let (folder, dir) = run();
        let mut child = testing::command(testing::HOLD, folder.path(), 3).spawn().unwrap();
        testing::wait_for(|| matches!(tenure(&dir).unwrap(), Tenure::Held(Some(_))));
        assert_eq!(Lease::acquire(&dir).unwrap_err().exit_code(), exit::INTERRUPTED);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(matches!(tenure(&dir).unwrap(), Tenure::Abandoned(_)));
        assert_eq!(Lease::acquire(&dir).unwrap().attempt(), 2);
    }
}
