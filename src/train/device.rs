//! From the experiment's backend to a Burn device.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind;

use crate::config::Backend;
use crate::error::{Error, Result};

/// A wgpu adapter: its kind, and its place among those of the kind. Written `discrete:0`, `integrated:0`, `virtual:0`, `cpu`
/// (software) or `default` (the best there is).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// A card.
    Discrete(usize),
    /// Part of the processor.
    Integrated(usize),
    /// Of a virtual machine.
    Virtual(usize),
    /// In software.
    Cpu,
    /// The best there is.
    Default,
}

impl FromStr for Adapter {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (kind, place) = text.split_once(':').unwrap_or((text, ""));
        let place = if place.is_empty() { Some(0) } else { place.parse().ok() };
        match (kind, place) {
            ("discrete", Some(place)) => Ok(Self::Discrete(place)),
            ("integrated", Some(place)) => Ok(Self::Integrated(place)),
            ("virtual", Some(place)) => Ok(Self::Virtual(place)),
            ("cpu", Some(0)) => Ok(Self::Cpu),
            ("default", Some(0)) => Ok(Self::Default),
            _ => Err(format!(
                "\"{text}\" is no adapter; known are discrete:0, discrete:1 …, integrated:0 …, virtual:0 …, cpu and default"
            )),
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(place) => write!(f, "discrete:{place}"),
            Self::Integrated(place) => write!(f, "integrated:{place}"),
            Self::Virtual(place) => write!(f, "virtual:{place}"),
            Self::Cpu => write!(f, "cpu"),
            Self::Default => write!(f, "default"),
        }
    }
}

#[cfg(feature = "wgpu")]
impl Adapter {
    fn kind(self) -> DeviceKind {
        match self {
            Self::Discrete(place) => DeviceKind::DiscreteGpu(place),
            Self::Integrated(place) => DeviceKind::IntegratedGpu(place),
            Self::Virtual(place) => DeviceKind::VirtualGpu(place),
            Self::Cpu => DeviceKind::Cpu,
            Self::Default => DeviceKind::DefaultDevice,
        }
    }
}

/// The adapters that runs are handed in turn unless the user names some: every discrete GPU, else every integrated or virtual
/// one, else whatever wgpu takes for the best. None for backends on the CPU.
///
/// # Errors
/// As [`device`].
pub fn pool(backend: Backend) -> Result<Vec<Adapter>> {
    match backend {
        Backend::Flex | Backend::Ndarray => Ok(Vec::new()),
        #[cfg(not(feature = "wgpu"))]
        Backend::Wgpu => Err(not_built("wgpu")),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => {
            let found = present();
            let kinds: [fn(&Adapter) -> bool; 3] = [
                |adapter| matches!(adapter, Adapter::Discrete(_)),
                |adapter| matches!(adapter, Adapter::Integrated(_)),
                |adapter| matches!(adapter, Adapter::Virtual(_)),
            ];
            let of_kind = |kind: fn(&Adapter) -> bool| found.iter().copied().filter(kind).collect::<Vec<_>>();
            let best = kinds.into_iter().map(of_kind).find(|adapters| !adapters.is_empty());
            Ok(best.unwrap_or_else(|| vec![Adapter::Default]))
        }
    }
}

/// The adapters of this machine.
#[cfg(feature = "wgpu")]
fn present() -> Vec<Adapter> {
    let devices = Device::enumerate(burn::tensor::DeviceType::Wgpu);
    let kinds: [fn(usize) -> Adapter; 3] = [Adapter::Discrete, Adapter::Integrated, Adapter::Virtual];
    let numbered = kinds.into_iter().flat_map(|kind| (0..devices.len()).map(kind));
    numbered.chain([Adapter::Cpu]).filter(|adapter| devices.contains(&Device::wgpu(adapter.kind()))).collect()
}

/// The adapter that the environment names for this process, if this machine has it.
#[cfg(feature = "wgpu")]
fn handed_out() -> Result<Adapter> {
    let adapter = match std::env::var(Backend::DEVICE_VARIABLE) {
        Ok(text) => text.parse().map_err(|why| Error::Invalid(format!("{}: {why}", Backend::DEVICE_VARIABLE)))?,
        Err(_) => Adapter::Default,
    };
    let present = present();
    if present.is_empty() {
        return Err(Error::Invalid(
            "train.backend is \"wgpu\", but this machine has no adapter for it; install a driver (mesa-vulkan-drivers has one \
             in software) or set train.backend to \"flex\""
                .into(),
        ));
    }
    if adapter != Adapter::Default && !present.contains(&adapter) {
        let names: Vec<String> = present.iter().map(Adapter::to_string).collect();
        return Err(Error::Invalid(format!(
            "there is no adapter {adapter} on this machine; it has {}",
            names.join(", ")
        )));
    }
    Ok(adapter)
}

/// The plain device of a backend; `.autodiff()` makes it one for training. For wgpu the one that [`Backend::DEVICE_VARIABLE`] names.
///
/// # Errors
/// `Invalid` when this program was built without the backend, saying how to build it.
pub fn device(backend: Backend) -> Result<Device> {
    match backend {
        Backend::Flex => {
            crate::ops::keep_freed();
            Ok(Device::flex())
        }
        #[cfg(feature = "ndarray")]
        #[allow(deprecated, reason = "kept on purpose, to compare with")]
        Backend::Ndarray => Ok(Device::ndarray()),
        #[cfg(not(feature = "ndarray"))]
        Backend::Ndarray => Err(not_built("ndarray")),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => Ok(Device::wgpu(handed_out()?.kind())),
        #[cfg(not(feature = "wgpu"))]
        Backend::Wgpu => Err(not_built("wgpu")),
    }
}

/// A backend as the experiment file calls it.
#[must_use]
pub fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Flex => "flex",
        Backend::Ndarray => "ndarray",
        Backend::Wgpu => "wgpu",
    }
}

/// The device of a backend as provenance names it.
///
/// # Errors
/// As [`device`].
pub fn describe(backend: Backend) -> Result<String> {
    Ok(format!("{:?}", device(backend)?))
}

#[cfg(not(all(feature = "ndarray", feature = "wgpu")))]
fn not_built(feature: &str) -> Error {
    Error::Invalid(format!(
        "train.backend is \"{feature}\", which is not part of this program; build it with `cargo build --release --features {feature}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_are_read_as_they_are_written() {
        for adapter in
            [Adapter::Discrete(1), Adapter::Integrated(0), Adapter::Virtual(2), Adapter::Cpu, Adapter::Default]
        {
            assert_eq!(adapter.to_string().parse(), Ok(adapter));
        }
        assert_eq!("discrete".parse(), Ok(Adapter::Discrete(0)));
        for wrong in ["", "gpu", "discrete:x", "discrete:-1", "cpu:1", "cuda:0"] {
            assert!(wrong.parse::<Adapter>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn backends_on_the_cpu_need_no_adapters() {
        assert_eq!(pool(Backend::Flex), Ok(Vec::new()));
    }
}
