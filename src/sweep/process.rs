//! Which process on which machine: enough to tell a living process from one that got its number later.

use std::fs;

use serde::{Deserialize, Serialize};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::record::provenance;

/// A process for all time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub host: String,
    /// Changes whenever the machine starts; the host's name where the system does not tell.
    pub boot: String,
    /// The space that `pid` is a number of: containers on one machine count on their own.
    pub space: String,
    pub pid: u32,
    /// When the process started, in the system's own units.
    pub start: String,
}

impl Process {
    /// This process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        Self { host: provenance::host(), boot: boot(), space: space(), pid, start: start(pid).unwrap_or_default() }
    }

    /// Whether it runs or ran under the same kernel as we, since it last started.
    #[must_use]
    pub fn on_this_machine(&self) -> bool {
        self.boot == boot()
    }

    /// Whether it still runs, as far as we can see from here: `None` if we cannot.
    #[must_use]
    pub fn runs(&self) -> Option<bool> {
        let visible = self.on_this_machine() && self.space == space();
        visible.then(|| start(self.pid).is_some_and(|start| start == self.start))
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(|_| provenance::host(), |id| id.trim().to_owned())
}

fn space() -> String {
    fs::read_link("/proc/self/ns/pid").map_or_else(|_| String::new(), |link| link.display().to_string())
}

/// When process `pid` started; `None` if there is none.
fn start(pid: u32) -> Option<String> {
    if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The name, in parentheses, may hold anything; of the fields after it, state is the first and start the 20th.
        let after = status.rsplit_once(')')?.1;
        let mut fields = after.split_whitespace();
        let dead = matches!(fields.next(), Some("Z" | "X"));
        return fields.nth(18).filter(|_| !dead).map(str::to_owned);
    }
    let mut system = System::new();
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    system.process(pid).map(|process| process.start_time().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_run_and_those_before_us_with_our_number_do_not() {
        let own = Process::own();
        assert_eq!(own, Process::own());
        assert_eq!(own.runs(), Some(true));
        assert_eq!(Process { start: "0".into(), ..own.clone() }.runs(), Some(false));
        assert_eq!(Process { space: "pid:[1]".into(), ..own.clone() }.runs(), None);
        let elsewhere = Process { boot: "another".into(), ..own };
        assert!(!elsewhere.on_this_machine());
        assert_eq!(elsewhere.runs(), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_process_that_ended_does_not_run_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process { pid: child.id(), start: start(child.id()).unwrap(), ..Process::own() };
        assert_eq!(process.runs(), Some(true));
        drop(child.stdin.take());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while process.runs() == Some(true) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert_eq!(process.runs(), Some(false));
    }
}
