//! What tells sets of samples apart, seen through the embeddings of a third model (Vargas 2024)?
//!
//! Every answer carries its error rate: the difference is a permutation test ([`difference`]), the classifier is judged on
//! samples that it has not seen ([`classifier`]), the share of samples that differ is a lower bound ([`bound`]), and what a
//! component explains is measured where it was not fitted ([`components`]). Memory and time grow linearly with the number of
//! samples: kernels are random features, principal components of wide embeddings come from a randomised range finder.
//!
//! Start at [`study()`], which does everything for two or more [`Sets`].

pub mod align;
pub mod bound;
pub mod classifier;
pub mod cluster;
pub mod components;
pub mod difference;
pub mod found;
mod kernels;
mod linear;
pub mod problem;
pub mod sets;
pub mod study;

pub use found::Found;
pub use sets::{Label, Sets};
pub use study::{Settings, study};
