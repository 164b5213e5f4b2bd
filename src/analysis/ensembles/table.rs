//! `ensembles.parquet`: a row for each strategy and for each size of the curve.

use polars::prelude::*;

use super::Ensembles;
use crate::analysis::Estimate;

/// The columns: `kind` (a strategy's name, or `size`), `size`, `runs` (with spaces between), `temperature`, and for each of
/// `accuracy`, `nll`, `ece`, `nll_against_all` and `alpha_hat` its mean and its interval `_low`, `_high`.
#[must_use]
pub fn columns(ensembles: &Ensembles) -> Vec<Column> {
    let (strategies, sizes) = (&ensembles.strategies, &ensembles.sizes);
    let both = |of: Vec<Option<Estimate>>, then: Vec<Option<Estimate>>| of.into_iter().chain(then).collect::<Vec<_>>();
    let none = |count: usize| vec![None; count];
    let kinds = strategies.iter().map(|held| held.name.name()).chain(sizes.iter().map(|_| "size"));
    let counts = strategies.iter().map(|held| held.size).chain(sizes.iter().map(|held| held.size));
    let listed = |runs: &[u32]| runs.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let runs = strategies.iter().map(|held| listed(&held.runs)).chain(sizes.iter().map(|_| String::new()));
    let temperatures = strategies.iter().map(|held| held.temperature).chain(sizes.iter().map(|_| None));
    let mut columns = vec![
        Column::new("kind".into(), kinds.collect::<Vec<&str>>()),
        Column::new("size".into(), counts.map(|size| size as u32).collect::<Vec<u32>>()),
        Column::new("runs".into(), runs.collect::<Vec<String>>()),
        Column::new("temperature".into(), temperatures.collect::<Vec<Option<f64>>>()),
    ];
    let estimates = [
        (
            "accuracy",
            both(
                strategies.iter().map(|held| Some(held.accuracy)).collect(),
                sizes.iter().map(|held| Some(held.accuracy)).collect(),
            ),
        ),
        (
            "nll",
            both(
                strategies.iter().map(|held| Some(held.nll)).collect(),
                sizes.iter().map(|held| Some(held.nll)).collect(),
            ),
        ),
        (
            "ece",
            both(
                strategies.iter().map(|held| Some(held.ece)).collect(),
                sizes.iter().map(|held| Some(held.ece)).collect(),
            ),
        ),
        ("nll_against_all", both(strategies.iter().map(|held| held.nll_against_all).collect(), none(sizes.len()))),
        ("alpha_hat", both(none(strategies.len()), sizes.iter().map(|held| Some(held.alpha_hat)).collect())),
    ];
    for (name, rows) in estimates {
        let mut column = |suffix: &str, value: fn(&Estimate) -> Option<f64>| {
            let values: Vec<Option<f64>> = rows.iter().map(|row| row.as_ref().and_then(value)).collect();
            columns.push(Column::new(format!("{name}{suffix}").into(), values));
        };
        column("", |estimate| Some(estimate.mean));
        column("_low", |estimate| estimate.low);
        column("_high", |estimate| estimate.high);
    }
    columns
}
