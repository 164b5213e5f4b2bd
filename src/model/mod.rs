//! Networks. A network is a list of layers ([`layer`], one file each); the architectures of [`zoo`] are such lists, and so is what
//! a user writes down. [`Plan`] gives the layers their names and sizes without a tensor in sight and draws the initial weights;
//! [`Network`] is the Burn module that runs them; `weights` carries parameters between networks and files, under PyTorch's names
//! and layouts. Start reading at [`layer::Describe`].

pub mod layer;
pub mod network;
pub mod plan;
pub mod python;
pub mod shape;
pub mod tap;
pub mod weights;
pub mod zoo;

pub use layer::{Layer, Placed};
pub use network::{Mode, Network, Training};
pub use plan::Plan;
pub use weights::HostTensor;
pub use zoo::Model;
