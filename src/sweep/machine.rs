//! How many runs train side by side, and with how many threads each.

use std::num::NonZeroUsize;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// What there is to share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Threads that may run at once.
    pub cores: usize,
    /// Bytes of memory that are free, as far as is known.
    pub memory: Option<u64>,
}

impl Machine {
    /// This machine, or the part of it that the process may use.
    #[must_use]
    pub fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let system =
            System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
        let free = system.available_memory();
        let memory = system.cgroup_limits().map_or(free, |limits| free.min(limits.free_memory));
        Self { cores, memory: Some(memory).filter(|bytes| *bytes > 0) }
    }

    /// How many runs to train side by side: as many as there are cores, runs, and room in memory (of which at most `cap`
    /// bytes are used) for `per_run` bytes each; at least one. Runs side by side are faster than threads in one run.
    #[must_use]
    pub fn jobs(&self, runs: usize, per_run: u64, cap: Option<u64>) -> usize {
        let room = match (self.memory, cap) {
            (Some(free), Some(cap)) => Some(free.min(cap)),
            (free, cap) => free.or(cap),
        };
        let fit = room.map_or(usize::MAX, |room| usize::try_from(room / per_run.max(1)).unwrap_or(usize::MAX));
        self.cores.min(runs).min(fit).max(1)
    }

    /// Threads for each of `jobs` places, which together are as many as there are cores where there are enough.
    #[must_use]
    pub fn threads(&self, jobs: usize) -> Vec<usize> {
        let jobs = jobs.max(1);
        (0..jobs).map(|place| (self.cores / jobs + usize::from(place < self.cores % jobs)).max(1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cores_runs_and_memory_bound_the_jobs() {
        let machine = Machine { cores: 8, memory: Some(10_000) };
        assert_eq!(machine.jobs(100, 1000, None), 8);
        assert_eq!(machine.jobs(3, 1000, None), 3);
        assert_eq!(machine.jobs(100, 2000, None), 5);
        assert_eq!(machine.jobs(100, 1000, Some(2500)), 2);
        assert_eq!(machine.jobs(100, 20_000, None), 1);
        assert_eq!(machine.jobs(0, 0, None), 1);
        assert_eq!(Machine { cores: 8, memory: None }.jobs(100, 1000, Some(4000)), 4);
        assert_eq!(machine.threads(3), [3, 3, 2]);
        assert_eq!(machine.threads(16), [1; 16]);
        let here = Machine::detect();
        assert!(here.cores > 0 && here.memory.is_some_and(|bytes| bytes > 1 << 20));
    }

    proptest! {
        #[test]
        fn threads_add_up_to_the_cores(cores in 1..200_usize, jobs in 1..200_usize) {
            let threads = Machine { cores, memory: None }.threads(jobs);
            prop_assert_eq!(threads.len(), jobs);
            prop_assert_eq!(threads.iter().sum::<usize>(), cores.max(jobs));
        }
    }
}
