//! Where everything lies in the directory of a sweep.

use std::path::{Path, PathBuf};

use super::files::{self, Found};
use crate::error::Result;

/// Names of the files of a checkpoint.
pub const SOFT: &str = "soft.parquet";
/// The recorded kernels.
pub const KERNEL: &str = "kernel.safetensors";
/// The singular values of the weight matrices.
pub const SPECTRA: &str = "spectra.safetensors";
/// The weights.
pub const WEIGHTS: &str = "weights.safetensors";

const CLAIM: &str = ".claim";

/// The directory of one sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepDir {
    root: PathBuf,
}

impl SweepDir {
    /// Nothing is read or created.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The resolved experiment.
    #[must_use]
    pub fn experiment(&self) -> PathBuf {
        self.root.join("experiment.toml")
    }

    /// Schema version, hash, provenance.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.root.join("sweep.json")
    }

    /// Whether a sweep lies here, as far as its files' names say: `sweep.json`, or the experiment with the folder of runs.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let found = |path: &Path| files::look(path).unwrap_or(Found::Nothing);
        let file = |path: PathBuf| !matches!(found(&path), Found::Nothing | Found::Folder);
        file(self.manifest()) || (file(self.experiment()) && found(&self.runs()) != Found::Nothing)
    }

    /// Refuses folders of the sweep that are links.
    ///
    /// # Errors
    /// `Corrupt` if a folder of the sweep, or one of its own files, is a link, or no folder or file.
    pub fn refuse_links(&self) -> Result<()> {
        let folders = [self.runs(), self.analysis(), self.report(), self.slurm()];
        let own = [self.manifest(), self.experiment(), self.lock()];
        folders.iter().chain(&own).try_for_each(|path| files::refuse_links(&self.root, path))
    }

    /// Held while the sweep is created, enlarged or repaired; always empty.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("sweep.lock")
    }

    /// Who accepted the sweep as a night, if anybody did.
    #[must_use]
    pub fn accepted(&self) -> PathBuf {
        self.root.join("accepted.json")
    }

    /// The values of a night whose runs were pruned.
    #[must_use]
    pub fn night(&self) -> PathBuf {
        self.root.join("night.json")
    }

    /// Tables and verdicts.
    #[must_use]
    pub fn analysis(&self) -> PathBuf {
        self.root.join("analysis")
    }

    /// Pages and plots.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.root.join("report")
    }

    /// Batch scripts, job numbers and logs of a cluster.
    #[must_use]
    pub fn slurm(&self) -> PathBuf {
        self.root.join("slurm")
    }

    /// The folder of all runs.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The directory of run `index`.
    #[must_use]
    pub fn run(&self, index: usize) -> RunDir {
        RunDir { root: self.runs().join(number(index)), index }
    }

    /// Runs that have a directory, in order.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn indices(&self) -> Result<Vec<usize>> {
        numbered(&self.runs())
    }
}

/// The directory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    root: PathBuf,
    index: usize,
}

impl RunDir {
    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Which run this is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The directory of its sweep.
    #[must_use]
    pub fn sweep(&self) -> PathBuf {
        self.root.parent().and_then(Path::parent).map_or_else(PathBuf::new, Path::to_path_buf)
    }

    /// The manifest, written last.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// A row per epoch.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.parquet")
    }

    /// What an unfinished run needs to go on; gone once it is complete.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Who trains or last trained the run; gone once it is complete.
    #[must_use]
    pub fn lease(&self) -> PathBuf {
        self.root.join("lease.json")
    }

    /// Locked by who trains the run; always empty.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join("lease.lock")
    }

    /// Created by who begins attempt number `attempt` where the file system knows no locks; says which process that is.
    #[must_use]
    pub fn claim(&self, attempt: u32) -> PathBuf {
        self.root.join(format!("lease-{attempt:04}{CLAIM}"))
    }

    /// Whether `path` is a [`RunDir::claim`] of this run.
    #[must_use]
    pub fn is_claim(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.parent() == Some(self.root()) && name.starts_with("lease-") && name.ends_with(CLAIM)
    }

    /// The folder of all checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The folder of the checkpoint after `epoch` epochs.
    #[must_use]
    pub fn checkpoint(&self, epoch: usize) -> PathBuf {
        self.checkpoints().join(number(epoch))
    }

    /// Refuses a run that lies behind a link, or parts of which do, also its own files: nothing there may be written.
    ///
    /// # Errors
    /// `Corrupt` if a folder on the way is a link.
    pub fn refuse_links(&self) -> Result<()> {
        files::refuse_links(&self.sweep(), &self.root)?;
        let own = [self.manifest(), self.metrics(), self.state(), self.lease(), self.lock(), self.checkpoints()];
        // The kinds of the entries come with the list of a folder: nothing else is asked of the file system.
        for folder in [&self.root, &self.checkpoints()] {
            for entry in files::entries(folder)? {
                let path = entry.path();
                let ours = folder != &self.root || own.contains(&path);
                if ours && entry.file_type().is_ok_and(|kind| !kind.is_dir() && !kind.is_file()) {
                    files::refuse_links(&self.sweep(), &path)?;
                }
            }
        }
        Ok(())
    }

    /// The path of `file` relative to the run, with `/` between its parts on every system; `None` if it lies elsewhere
    /// or its name is not text.
    #[must_use]
    pub fn relative(&self, file: &Path) -> Option<String> {
        relative(&self.root, file)
    }
}

/// `checkpoints/0010/soft.parquet` and the like, as manifests name it.
#[must_use]
pub fn checkpoint_file(epoch: usize, name: &str) -> String {
    format!("checkpoints/{}/{name}", number(epoch))
}

/// The epoch and the file's name of `checkpoints/0010/soft.parquet`.
#[must_use]
pub fn parse_checkpoint_file(path: &str) -> Option<(usize, &str)> {
    let (epoch, name) = path.strip_prefix("checkpoints/")?.split_once('/')?;
    Some((parse_number(epoch)?, name))
}

/// `file` relative to `root` with `/` between its parts.
pub(super) fn relative(root: &Path, file: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        file.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

fn number(index: usize) -> String {
    format!("{index:04}")
}

/// The index that `name` stands for: only what [`number`] writes.
pub(super) fn parse_number(name: &str) -> Option<usize> {
    let index = name.parse().ok()?;
    (number(index) == name).then_some(index)
}

fn numbered(folder: &Path) -> Result<Vec<usize>> {
    if files::look(folder)? != Found::Folder {
        return Ok(Vec::new());
    }
    let mut found: Vec<usize> = files::entries(folder)?
        .into_iter()
        // A link is not followed.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| parse_number(entry.file_name().to_str()?))
        .collect();
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_design() {
        let sweep = SweepDir::new(Path::new("sweeps/cifar"));
        let run = sweep.run(7);
        assert_eq!(run.manifest(), Path::new("sweeps/cifar/runs/0007/run.json"));
        assert_eq!(run.checkpoint(10).join(SOFT), Path::new("sweeps/cifar/runs/0007/checkpoints/0010/soft.parquet"));
        assert_eq!(run.relative(&run.checkpoint(10).join(SOFT)).unwrap(), checkpoint_file(10, SOFT));
        assert_eq!(parse_checkpoint_file("checkpoints/0010/soft.parquet"), Some((10, "soft.parquet")));
        assert_eq!(run.relative(Path::new("elsewhere/soft.parquet")), None);
    }

    #[test]
    fn numbers_read_back_and_look_alikes_do_not() {
        for index in [0, 7, 9999, 10_000, 123_456] {
            assert_eq!(parse_number(&number(index)), Some(index));
        }
        for other in ["", "7", "00007", "+007", "-001", "000a", "0x10", "99999999999999999999999"] {
            assert_eq!(parse_number(other), None, "{other}");
        }
    }
}
