//! What is on disk: the layout of a sweep's directory, the formats of its files, their digests, and the one way in which
//! they are written. Open formats only (TOML, JSON, Parquet, safetensors), so that every record can be read without us.
//!
//! Writing a run goes through [`RunWriter`], reading one through [`RunReader`]; [`SweepReader`] gives all complete runs of
//! a sweep and names those left out. A crash at any moment leaves whole files, and whatever is not as it was written is
//! found by its digest.

pub mod export;
pub mod fault;
pub mod files;
pub mod index;
pub mod layout;
pub mod manifest;
pub mod metrics;
mod nights;
pub mod provenance;
mod reader;
mod run;
pub mod sealed;
mod soft;
mod state;
pub mod table;
mod tensors;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

pub use layout::{RunDir, SweepDir};
pub use manifest::{FileEntry, Outcome, RunManifest, Status, StreamSeed, SweepManifest};
pub use metrics::EpochMetrics;
pub use nights::{Accepted, NightValues};
pub use provenance::{Origin, Provenance};
pub use reader::{LeftOut, RunReader, SweepReader};
pub use run::{Begin, RunWriter, record_failure, tidy};
pub use soft::SoftDecisions;
pub use state::State;
pub use tensors::{Tensors, Values};
pub use verify::{Problem, repair, verify};
