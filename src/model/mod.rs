//! The zoo. `plan` turns the experiment's `[model]` into a list of layers with names and sizes, without a tensor in sight;
//! `init` draws the initial weights for a plan on the host; `network` is the Burn module built from a plan and weights,
//! and runs it; `weights` carries parameters between networks and files, under PyTorch's names and layouts.

pub mod init;
pub mod layers;
pub mod network;
pub mod plan;
pub mod tap;
pub mod weights;

pub use network::{BatchStatistics, Mode, Network, Training};
pub use plan::{LayerPlan, Plan};
pub use weights::HostTensor;
