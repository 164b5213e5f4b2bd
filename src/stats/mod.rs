//! The statistics, as pure maths: slices and plain structs in, plain structs out; no files, no Burn, no tables.
//!
//! Every definition is that of the project's design, section 4; each function's comment names its source. Soft decisions
//! come in as borrowed [`Logits`] (f32 or f64, one run's `[N, C]` with its labels) and margins as a borrowed [`Margins`]
//! (`[M, N]`); everything is computed in f64. Randomness comes from a seed that the caller gives, and results have the
//! same bytes whatever the number of threads. Runs that must not take part (non-finite logits, duplicates) are left out by the
//! caller: what is passed in counts.

pub mod alpha;
pub mod alpha_hat;
pub mod assignment;
pub mod bootstrap;
pub mod by_class;
pub mod calibrated;
pub mod calibration;
pub mod charts;
pub mod churn;
pub mod components;
pub mod descriptive;
pub mod duplicates;
pub mod ensemble;
pub mod evidence;
pub mod examples;
pub mod family;
pub mod groups;
pub mod intervals;
pub mod kendall;
pub mod logits;
pub mod margins;
pub mod matching;
pub mod noise;
pub mod outliers;
pub mod pairs;
pub mod permutation;
pub mod power;
pub mod ranking;
pub mod rashomon;
pub mod representation;
pub mod rng;
pub mod sample;
pub mod scores;
pub mod spectra;
pub mod subsets;
pub mod temperature;
pub mod trimming;
pub mod variance;
pub mod votes;
pub mod wasserstein;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod invariance;

pub use logits::Logits;
pub use margins::Margins;
pub use pairs::Pairs;
pub use ranking::Ranking;
pub use sample::Sample;
