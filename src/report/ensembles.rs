//! Ensembles in words and tables: shared by `harness select` and the report.

use super::document::{Block, Document, Table};
use super::figures::Figure;
use super::text::{list, ranges};
use super::words::{count, range};
use crate::analysis::numbers::{fixed, or_dash, percent, thousands};
use crate::analysis::{Analysis, EnsembleSize, Ensembles, Estimate, Strategy, StrategyKind};
use crate::stats::ensemble::Combination;

/// What was found, as paragraphs: how it was measured, the recommended size, the strategies.
#[must_use]
pub fn paragraphs(ensembles: &Ensembles) -> Vec<String> {
    let mut texts = vec![basis(ensembles), recommendation(ensembles)];
    texts.extend(comparison(ensembles));
    texts.extend(ensembles.notes.iter().cloned());
    texts
}

fn basis(ensembles: &Ensembles) -> String {
    let what = match ensembles.combination {
        Combination::Probabilities => "probabilities",
        Combination::Logits => "logits",
    };
    format!(
        "Ensembles are means of {what}. {} test examples chose, and the numbers are measured on the other {}.",
        thousands(ensembles.selection),
        thousands(ensembles.held_out)
    )
}

fn recommendation(ensembles: &Ensembles) -> String {
    let regret = ensembles.by_regret.map_or_else(String::new, |size| {
        format!(
            " Any ensemble of {size} costs less negative log-likelihood against all runs together than this test set can tell (one \
             standard error)."
        )
    });
    by_levels(ensembles) + &regret
}

fn by_levels(ensembles: &Ensembles) -> String {
    let limit = percent(ensembles.limit);
    let largest = ensembles.sizes.last().map_or(0, |held| held.size);
    let size = ensembles.recommended.and_then(|size| ensembles.sizes.iter().find(|held| held.size == size));
    match size {
        Some(EnsembleSize { size, alpha_hat, .. }) => format!(
            "Recommended size: {} of {largest}, the smallest whose interval of α̂ against the ensemble of all runs stays under \
             {limit} (it goes from {}), whichever runs are taken.",
            count(*size, "run"),
            range(alpha_hat, percent)
        ),
        None => format!(
            "No size is recommended: even the interval of α̂ of all {} reaches {limit}. Train more runs, or raise \
             `flags.alpha`.",
            count(largest, "run")
        ),
    }
}

/// Which strategies differ from all runs together by more than chance, over several halvings where there are any.
fn comparison(ensembles: &Ensembles) -> Option<String> {
    ensembles.strategy(StrategyKind::All)?;
    let Some(repeated) = &ensembles.repeated else { return Some(by_one_halving(ensembles)) };
    let mut found: Vec<String> = Vec::new();
    for held in repeated.strategies.iter().filter(|held| held.p <= 0.05) {
        let (how, count) =
            if held.difference < 0.0 { ("better", held.better) } else { ("worse", repeated.halvings - held.better) };
        found.push(format!(
            "`{}` is {how} than all runs together by {} ± {} nats ({count} of {} halvings)",
            held.name.name(),
            fixed(held.difference.abs(), 4),
            fixed(held.error, 4),
            repeated.halvings
        ));
    }
    let by = format!("By negative log-likelihood, over {} halvings of the test examples,", repeated.halvings);
    let mut text = if found.is_empty() {
        format!("{by} no choice of runs differs from all of them together by more than chance.")
    } else {
        format!("{by} {}; the other choices do not differ by more than chance.", found.join(", and "))
    };
    let sure: Vec<u32> = repeated.greedy.iter().filter(|held| held.1 >= 0.9).map(|held| held.0).collect();
    let taken = repeated.greedy.len();
    text.push_str(&match sure.len() {
        0 => format!(" `greedy` takes other runs in other halvings: {taken} in all, none of them in nine of ten."),
        _ => format!(" `greedy` takes {taken} runs in all, in nine of ten halvings and more: {}.", ranges(&sure)),
    });
    Some(text)
}

/// What one halving says of the strategies.
fn by_one_halving(ensembles: &Ensembles) -> String {
    let told = |kept: fn(&Estimate) -> bool| {
        let names = ensembles.strategies.iter().filter(|held| held.nll_against_all.as_ref().is_some_and(kept));
        names.map(|held| format!("`{}`", held.name.name())).collect::<Vec<String>>()
    };
    let (better, worse) = (
        told(|difference| difference.high.is_some_and(|high| high < 0.0)),
        told(|difference| difference.low.is_some_and(|low| low > 0.0)),
    );
    let sentence = |names: &[String], how: &str| {
        let verb = if names.len() == 1 { "is" } else { "are" };
        (!names.is_empty()).then(|| format!("{} {verb} {how} than all runs together", list(names)))
    };
    let found: Vec<String> = [sentence(&better, "better"), sentence(&worse, "worse")].into_iter().flatten().collect();
    if found.is_empty() {
        "By negative log-likelihood no choice of runs differs from all of them together by more than chance.".to_owned()
    } else {
        format!(
            "By negative log-likelihood, on this one halving, {}; another may say otherwise (`harness select` compares over \
             20).",
            found.join(", and ")
        )
    }
}

/// The head of [`row`].
pub const HEADER: [&str; 7] = ["strategy", "runs", "K", "accuracy", "NLL", "ECE", "NLL against all"];

/// One strategy as a row: name, members, size, and each number with its interval.
#[must_use]
pub fn row(strategy: &Strategy) -> [String; 7] {
    let share = |estimate: &Estimate| format!("{} ({})", percent(estimate.mean), range(estimate, hundred));
    let nats =
        |estimate: &Estimate| format!("{} ({})", fixed(estimate.mean, 4), range(estimate, |nats| fixed(nats, 4)));
    [
        strategy.name.name().to_owned(),
        if strategy.runs.is_empty() { "any".to_owned() } else { ranges(&strategy.runs) },
        strategy.size.to_string(),
        share(&strategy.accuracy),
        nats(&strategy.nll),
        share(&strategy.ece),
        or_dash(strategy.nll_against_all.as_ref(), nats),
    ]
}

fn hundred(share: f64) -> String {
    fixed(share * 100.0, 2)
}

/// The section of a report; nothing where there are no ensembles.
pub fn section(document: &mut Document, analysis: &Analysis, figures: Vec<Figure>) {
    let Some(ensembles) = &analysis.ensembles else { return };
    document.heading("Which runs to put together");
    paragraphs(ensembles).into_iter().for_each(|words| document.text(words));
    let rows = ensembles.strategies.iter().map(|held| row(held).to_vec()).collect();
    document.table(Table::new("strategies", &HEADER, &[0, 1], rows));
    document.blocks.extend(figures.into_iter().map(Block::Figure));
    let mean = |estimate: &Estimate, format: fn(f64) -> String| {
        format!("{} ± {}", format(estimate.mean), format(estimate.std.unwrap_or(0.0)))
    };
    let rows = ensembles.sizes.iter().map(|held| {
        vec![
            held.size.to_string(),
            mean(&held.accuracy, percent),
            mean(&held.nll, |nll| fixed(nll, 4)),
            mean(&held.ece, percent),
            format!("{} ({})", percent(held.alpha_hat.mean), range(&held.alpha_hat, hundred)),
        ]
    });
    let heads = ["K", "accuracy", "NLL", "ECE", "α̂ against all runs"];
    document.table(Table::new("ensemble-sizes", &heads, &[], rows.collect()));
    document.text(
        "Upper table: each strategy chose on one half of the test set and is measured on the other, with 95 % bootstrap \
         intervals over examples (`random`: the middle 95 % of random subsets). NLL against all: paired difference from the \
         ensemble of all runs; below 0 is better. Lower table: mean ± standard deviation over random subsets of K runs. \
         `harness select` chooses and exports.",
    );
}
