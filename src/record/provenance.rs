//! Where results come from: program, source tree, data, machine.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

/// What has to be known to make the same results again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of harness.
    pub version: String,
    /// Commit of the source tree that the program was built from; none if it was built without git.
    pub git_commit: Option<String>,
    /// Whether that tree had changes which were not committed.
    pub git_dirty: Option<bool>,
    /// BLAKE3 of the data actually read, in hex; none where no data was read.
    pub data_digest: Option<String>,
    /// `flex`, `ndarray` or `wgpu`.
    pub backend: String,
    /// Which device of the backend.
    pub device: String,
    /// Threads that the process may compute with.
    pub threads: usize,
    /// Name of the machine.
    pub host: String,
    /// Operating system and architecture, `linux x86_64`.
    pub system: String,
    /// Model of the processor, as it calls itself.
    pub cpu: String,
    /// Instruction sets found at run time: libraries choose their inner loops by them, so rounding may depend on them.
    pub cpu_features: Vec<String>,
    /// Instruction sets that the program was compiled for.
    pub target_features: Vec<String>,
    /// When the process began.
    pub started: Timestamp,
    /// None while it lasts.
    pub ended: Option<Timestamp>,
}

/// What [`Provenance::now`] cannot find out by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// BLAKE3 digest of the data, where data was read.
    pub data_digest: Option<String>,
    /// Name of the backend.
    pub backend: String,
    /// The device, in words.
    pub device: String,
    /// Threads that the process computes with.
    pub threads: usize,
}

impl Provenance {
    /// The program and the machine as they are, started at this moment.
    #[must_use]
    pub fn now(origin: Origin) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: option_env!("HARNESS_GIT_COMMIT").map(str::to_owned),
            git_dirty: option_env!("HARNESS_GIT_DIRTY").map(|dirty| dirty == "true"),
            data_digest: origin.data_digest,
            backend: origin.backend,
            device: origin.device,
            threads: origin.threads,
            host: host(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: processor(),
            cpu_features: found_features(),
            target_features: option_env!("HARNESS_TARGET_FEATURES")
                .unwrap_or_default()
                .split(',')
                .filter(|feature| !feature.is_empty())
                .map(str::to_owned)
                .collect(),
            started: Timestamp::now(),
            ended: None,
        }
    }
}

/// Name of this machine, `unknown` if it has none.
#[must_use]
pub fn host() -> String {
    System::host_name().unwrap_or_else(|| "unknown".into())
}

fn processor() -> String {
    let machine = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let brand = machine.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
    brand.filter(|brand| !brand.is_empty()).unwrap_or_else(|| "unknown".into())
}

#[cfg(target_arch = "x86_64")]
fn found_features() -> Vec<String> {
    let found = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ];
    found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(target_arch = "aarch64")]
fn found_features() -> Vec<String> {
    let found = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
        ("sve", std::arch::is_aarch64_feature_detected!("sve")),
    ];
    found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn found_features() -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_program_and_machine_and_reads_back() {
        let origin =
            Origin { data_digest: Some("00ff".into()), backend: "flex".into(), device: "cpu".into(), threads: 2 };
        let provenance = Provenance::now(origin);
        assert_eq!(provenance.version, env!("CARGO_PKG_VERSION"));
        assert!(!provenance.host.is_empty());
        // Who builds may name the commit, in whatever words.
        let named = option_env!("HARNESS_COMMIT").is_some();
        assert!(named || provenance.git_commit.as_ref().is_none_or(|commit| commit.len() == 40), "{provenance:?}");
        #[cfg(target_arch = "x86_64")]
        assert!(provenance.target_features.iter().any(|feature| feature == "sse2"), "{provenance:?}");
        let text = serde_json::to_string(&provenance).unwrap();
        assert_eq!(serde_json::from_str::<Provenance>(&text).unwrap(), provenance);
    }
}
