//! What is on disk: the layout of a sweep's directory, the formats of its files, their digests, and the one way in which
//! they are written. Open formats only (TOML, JSON, Parquet, safetensors), so that every record can be read without us.
//!
//! Writing a run goes through [`RunWriter`], reading one through [`RunReader`]; [`SweepReader`] gives all complete runs of
//! a sweep and names those left out. A crash at any moment leaves whole files, whatever is not as it was written is found
//! by its digest, and whatever belongs to another experiment, other data or another run by its [`RunIdentity`].

pub mod checksum;
pub mod export;
mod fault;
pub mod files;
mod identity;
pub mod index;
pub mod layout;
pub mod manifest;
pub mod metrics;
mod nights;
pub mod provenance;
pub(crate) mod reader;
mod run;
mod soft;
mod state;
pub mod table;
mod tensors;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod verify;
mod wrong;

pub use identity::{Expected, RunIdentity};
pub use layout::{RunDir, SweepDir};
pub use manifest::{FileEntry, Outcome, RUN_SCHEMA, RunManifest, SWEEP_SCHEMA, Status, StreamSeed, SweepManifest};
pub use metrics::EpochMetrics;
pub use nights::{Accepted, NightValues};
pub use provenance::{Origin, Provenance};
pub use reader::{LeftOut, RunReader, SweepReader};
pub use run::{Begin, RunWriter, foreign, forget, record_failure, tidy};
pub use soft::SoftDecisions;
pub use state::{SavedState, StateFile};
pub use tensors::{Tensors, Values};
pub use verify::{Completeness, Problem, look_through, repair, verify};
pub use wrong::{Damage, Stranger};
