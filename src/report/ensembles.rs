//! Ensembles in words and tables: shared by `harness select` and the report.

use super::words::{count, list, range};
use crate::analysis::numbers::{fixed, or_dash, percent, thousands};
use crate::analysis::{Analysis, EnsembleSize, Ensembles, Estimate, Strategy, StrategyKind};
use crate::stats::ensemble::Combination;

/// Sizes in the table of a report, at most; more are in `ensembles.parquet`.
const SHOWN: usize = 16;

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

/// Which strategies differ from all runs together by more than chance.
fn comparison(ensembles: &Ensembles) -> Option<String> {
    let told = |kept: fn(&Estimate) -> bool| {
        let names = ensembles.strategies.iter().filter(|held| held.nll_against_all.as_ref().is_some_and(kept));
        names.map(|held| format!("`{}`", held.name.name())).collect::<Vec<String>>()
    };
    ensembles.strategy(StrategyKind::All)?;
    let (better, worse) = (
        told(|difference| difference.high.is_some_and(|high| high < 0.0)),
        told(|difference| difference.low.is_some_and(|low| low > 0.0)),
    );
    let sentence = |names: &[String], how: &str| {
        let verb = if names.len() == 1 { "is" } else { "are" };
        (!names.is_empty()).then(|| format!("{} {verb} {how} than all runs together", list(names)))
    };
    let found: Vec<String> = [sentence(&better, "better"), sentence(&worse, "worse")].into_iter().flatten().collect();
    Some(if found.is_empty() {
        "By negative log-likelihood no choice of runs differs from all of them together by more than chance.".to_owned()
    } else {
        format!(
            "By negative log-likelihood {}; the other choices do not differ by more than chance.",
            found.join(", and ")
        )
    })
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

/// `0–3, 7`: neighbours drawn together, in the order given.
fn ranges(runs: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &run in runs {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(run) => *last = run,
            _ => parts.push((run, run)),
        }
    }
    let text = |&(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}–{last}"),
    };
    parts.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The section of a report; nothing where there are no ensembles.
#[must_use]
pub fn section(analysis: &Analysis) -> String {
    let Some(ensembles) = &analysis.ensembles else { return String::new() };
    let mut text = "## Which runs to put together\n\n".to_owned();
    for paragraph in paragraphs(ensembles) {
        text.push_str(&format!("{paragraph}\n\n"));
    }
    let mut table = |header: &[&str], align: &str, rows: &mut dyn Iterator<Item = Vec<String>>| {
        let rule: Vec<&str> = align.chars().map(|side| if side == 'r' { "---:" } else { "---" }).collect();
        text.push_str(&format!("| {} |\n| {} |\n", header.join(" | "), rule.join(" | ")));
        rows.for_each(|row| text.push_str(&format!("| {} |\n", row.join(" | "))));
        text.push('\n');
    };
    table(&HEADER, "llrrrrr", &mut ensembles.strategies.iter().map(|held| row(held).to_vec()));
    let mean = |estimate: &Estimate, format: fn(f64) -> String| {
        format!("{} ± {}", format(estimate.mean), format(estimate.std.unwrap_or(0.0)))
    };
    table(
        &["K", "accuracy", "NLL", "ECE", "α̂ against all runs"],
        "rrrrr",
        &mut ensembles.sizes.iter().take(SHOWN).map(|held| {
            vec![
                held.size.to_string(),
                mean(&held.accuracy, percent),
                mean(&held.nll, |nll| fixed(nll, 4)),
                mean(&held.ece, percent),
                format!("{} ({})", percent(held.alpha_hat.mean), range(&held.alpha_hat, hundred)),
            ]
        }),
    );
    text.push_str(
        "Upper table: each strategy chose on one half of the test set and is measured on the other, with 95 % bootstrap \
         intervals over examples (`random`: the middle 95 % of random subsets). NLL against all: paired difference from the \
         ensemble of all runs; below 0 is better. Lower table: mean ± standard deviation over random subsets of K runs. \
         `harness select` chooses and exports.\n\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_drawn_together() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7]), "0–3, 7");
        assert_eq!(ranges(&[5, 6, 2]), "5, 6, 2");
        assert_eq!(ranges(&[]), "");
    }
}
