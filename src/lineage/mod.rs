//! Do two networks share an ancestor, which of them is the other's parent, and what is the tree of many?
//!
//! The idea (Zhu 2025): hidden units have no order of their own. Initialisation draws them alike and training treats them
//! alike, so whatever two independently trained networks have in common, unit 7 of the one is no more like unit 7 of the other
//! than like unit 8. Matching the units of one layer of both networks by the cosine of their incoming weights therefore gives a
//! uniformly random permutation, and its likeness with the identity has an exact p-value ([`crate::stats::matching`]). A copy
//! keeps the order, however long it is trained on.
//!
//! Start at [`network`] (what is read off named tensors), then [`axes`] (which layers share units), [`ancestry`] (the test),
//! [`permuted`] (when units were renumbered), [`direction`], [`way`] and [`tree`].

pub mod ancestry;
pub mod axes;
pub mod direction;
pub mod found;
pub mod network;
pub mod permuted;
pub mod rank;
pub mod tree;
pub mod units;
pub mod way;

pub use ancestry::{Evidence, LayerEvidence};
pub use network::{Layer, Weights};
