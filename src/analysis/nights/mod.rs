//! Nights: sweeps of one experiment, trained again and again, and when the procedure has moved.
//!
//! Every night's runs are held against the runs of all accepted nights before it. For each quantity a permutation test gives
//! a p-value, the p-value a factor ([`crate::stats::evidence`]), and the factors gather to evidence. There is an alarm when the
//! weighted mean of the evidence over quantities reaches 1/`false_alarm`.
//!
//! What is guaranteed: while every night comes from one procedure, the expected number of nights until a false alarm is at
//! least 1/`false_alarm` (365 by default). It rests on three things. The reference is *all* nights accepted since the
//! reference began, never a window: then the p-value of a night depends on what came before only through the unordered runs,
//! and p-values of successive nights are independent (Vovk, Gammerman & Shafer 2005). Each factor has a mean of at most 1, so
//! that the evidence of a quantity, the largest of products that begin at each night, is at most the sum of so many martingales, and
//! the mean over quantities, however dependent they are, has that bound too (Shin, Ramdas & Rinaldo 2022). And only a night
//! under alarm is kept out of the reference: leaving out nights for looking bad would make the others look worse. After an
//! alarm has ended the count begins anew.
//!
//! Start reading at [`judge()`]; `schema` is what comes out, `quantity` what is charted.

mod judge;
mod quantity;
mod schema;

pub use judge::{Rules, judge};
pub use quantity::{Charted, Values, of_input};
pub use schema::*;
