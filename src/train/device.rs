//! From the experiment's backend to a Burn device.

use burn::tensor::Device;

use crate::config::Backend;
use crate::error::{Error, Result};

/// The plain device of a backend; `.autodiff()` makes it one for training.
///
/// # Errors
/// `Invalid` when this program was built without the backend, saying how to build it.
pub fn device(backend: Backend) -> Result<Device> {
    match backend {
        Backend::Flex => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated, reason = "kept on purpose, to compare with")]
        Backend::Ndarray => Ok(Device::ndarray()),
        #[cfg(not(feature = "ndarray"))]
        Backend::Ndarray => Err(not_built("ndarray")),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
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
