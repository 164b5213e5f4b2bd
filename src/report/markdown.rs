//! `report.md`: what was found in words, then tables, then figures.

use super::figures::Figure;
use super::words;
use crate::analysis::numbers::{fixed, or_dash, percent, significant, thousands};
use crate::analysis::{Analysis, FlagKind, Run};
use crate::config::Reference;

/// Runs in a table, at most; more are in `runs.parquet`.
const SHOWN: usize = 60;

/// The whole text; figures are named by their files.
#[must_use]
pub fn markdown(analysis: &Analysis, figures: &[Figure]) -> String {
    let mut page = Page::default();
    page.line(&format!("# {}", plain(&analysis.source.name)));
    page.line(&format!("**{}**", plain(&words::headline(analysis))));
    for paragraph in words::findings(analysis) {
        page.line(&plain(&paragraph));
    }
    reasons(&mut page, analysis);
    summary(&mut page, analysis);
    runs(&mut page, analysis);
    for figure in figures {
        page.line(&format!("## {}", figure.title));
        page.line(&format!("![{}]({})", figure.title, figure.file));
        page.line(&plain_but_code(&figure.caption));
    }
    checkpoints(&mut page, analysis);
    pairs(&mut page, analysis);
    provenance(&mut page, analysis);
    page.text
}

/// Blocks, each followed by an empty line.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
}

impl Page {
    pub(super) fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// `align` holds `l` or `r` for each column.
    pub(super) fn table(&mut self, header: &[&str], align: &str, rows: impl Iterator<Item = Vec<String>>) {
        let rule: Vec<&str> = align.chars().map(|side| if side == 'r' { "---:" } else { "---" }).collect();
        let mut lines = vec![format!("| {} |", header.join(" | ")), format!("| {} |", rule.join(" | "))];
        lines.extend(rows.map(|row| format!("| {} |", row.join(" | "))));
        self.line(&lines.join("\n"));
    }
}

/// Text of any origin without meaning in Markdown or HTML.
pub(super) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' => {
                safe.push('\\');
                safe.push(letter);
            }
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            _ if letter.is_control() => safe.push(' '),
            _ => safe.push(letter),
        }
    }
    safe
}

/// The same, keeping words in backquotes as code.
pub(super) fn plain_but_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { format!("`{part}`") } else { plain(part) }).collect()
}

fn reasons(page: &mut Page, analysis: &Analysis) {
    let flagged: Vec<&Run> = analysis.runs.iter().filter(|run| run.is_flagged()).collect();
    if !flagged.is_empty() {
        page.line("## Why these runs");
        let rows = flagged.iter().take(SHOWN).flat_map(|run| {
            run.flags.iter().map(|flag| {
                vec![run.run.to_string(), format!("`{}`", flag.flag.name()), format!("{}.", plain(&capital(&flag.why)))]
            })
        });
        page.table(&["run", "flag", "reason"], "rll", rows);
        if flagged.len() > SHOWN {
            page.line(&format!("{} more flagged runs are in `runs.parquet`.", flagged.len() - SHOWN));
        }
    }
    if !analysis.source.left_out.is_empty() {
        page.line("## Left out");
        let rows = analysis.source.left_out.iter();
        page.table(&["run", "reason"], "rl", rows.map(|held| vec![held.run.to_string(), plain(&held.why)]));
    }
    for note in &analysis.notes {
        page.line(&format!("> {}", plain_but_code(note)));
    }
}

pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn summary(page: &mut Page, analysis: &Analysis) {
    let summary = &analysis.summary;
    page.line("## Summary");
    let quantities = [
        ("accuracy", &summary.accuracy, percent as fn(f64) -> String),
        ("negative log-likelihood (nats)", &summary.nll, significant),
        ("Brier score", &summary.brier, significant),
        ("ECE, equal width", &summary.ece, percent),
        ("ECE, equal mass", &summary.ece_adaptive, percent),
        ("churn", &summary.churn, percent),
        ("α, exact", &summary.alpha, percent),
        ("α, relative to the ensemble", &summary.alpha_relative, percent),
        ("α̂", &summary.alpha_hat, percent),
        ("KS distance", &summary.ks, significant),
        ("1-Wasserstein distance", &summary.wasserstein, significant),
    ];
    let rows = quantities.into_iter().filter_map(|(name, estimate, format)| {
        let estimate = estimate.as_ref()?;
        Some(vec![
            name.to_owned(),
            format(estimate.mean),
            or_dash(estimate.std, format),
            format!("{} to {}", format(estimate.low), format(estimate.high)),
        ])
    });
    page.table(&["over the distinct runs", "mean", "std", "95 % interval of the mean"], "lrrr", rows);
    if let Some(capacity) = &analysis.rashomon {
        page.line(&format!(
            "Rashomon capacity (how many different predictions the runs make for one example, in bits): {} in the mean, {} at the \
             99 % quantile, {} at most.",
            significant(capacity.mean),
            significant(capacity.q99),
            significant(capacity.max)
        ));
    }
}

fn runs(page: &mut Page, analysis: &Analysis) {
    page.line("## Runs");
    let header = ["run", "accuracy", "NLL", "ECE", "churn", "α", "α relative", "α̂", "KS", "W₁", "alone on", "flags"];
    let keep = |run: &&Run| analysis.runs.len() <= SHOWN || run.is_flagged();
    let shown: Vec<&Run> = analysis.runs.iter().filter(keep).take(SHOWN).collect();
    let rows = shown.iter().map(|run| {
        let alone = analysis.alone.iter().find(|held| held.run == run.run);
        let flags: Vec<String> = run.flags.iter().map(|flag| format!("`{}`", flag.flag.name())).collect();
        vec![
            run.run.to_string(),
            or_dash(run.accuracy, percent),
            or_dash(run.nll, significant),
            or_dash(run.ece, percent),
            or_dash(run.churn, percent),
            or_dash(run.alpha, percent),
            or_dash(run.alpha_relative, percent),
            hat(run),
            or_dash(run.ks, |ks| fixed(ks, 3)),
            or_dash(run.wasserstein, significant),
            alone.map_or_else(|| "–".to_owned(), |held| held.count.to_string()),
            flags.join(" "),
        ]
    });
    page.table(&header, "rrrrrrrrrrrl", rows);
    if shown.len() < analysis.runs.len() {
        let which = if shown.len() == SHOWN { "The first flagged runs are" } else { "Only flagged runs are" };
        page.line(&format!("{which} shown; all {} are in `runs.parquet`.", thousands(analysis.runs.len())));
    }
    page.line(
        "Churn: mean share of examples decided differently from another run. α, α relative, α̂: shares of a run's examples \
         to be trimmed (exact at δ, exact at the ensemble's own spread, and by the published bootstrap protocol with its \
         interval). KS and W₁: distances of the run's margins from those of the pooled others. Alone on: examples on which no \
         other run decides the same.",
    );
}

/// α̂ with its interval; a half reads "at least".
fn hat(run: &Run) -> String {
    match (run.alpha_hat, run.alpha_hat_low, run.alpha_hat_high) {
        (Some(level), Some(low), Some(high)) => {
            let sign = if level >= 0.5 { "≥ " } else { "" };
            format!("{sign}{} ({} to {})", percent(level), fixed(low * 100.0, 1), fixed(high * 100.0, 1))
        }
        _ => "–".to_owned(),
    }
}

fn checkpoints(page: &mut Page, analysis: &Analysis) {
    if analysis.checkpoints.len() < 2 {
        return;
    }
    page.line("## Checkpoints");
    let rows = analysis.checkpoints.iter().map(|held| {
        let kernel = analysis.kernels.iter().find(|kernel| kernel.epoch == held.epoch);
        vec![
            held.epoch.to_string(),
            or_dash(held.accuracy.as_ref().map(|e| e.mean), percent),
            or_dash(held.accuracy.as_ref().and_then(|e| e.std), percent),
            or_dash(held.nll.as_ref().map(|e| e.mean), significant),
            or_dash(held.ece.as_ref().map(|e| e.mean), percent),
            or_dash(held.mean_churn, percent),
            or_dash(held.ambiguity, percent),
            or_dash(kernel.and_then(|kernel| kernel.mean_cka), |cka| fixed(cka, 3)),
        ]
    });
    let header = ["epoch", "accuracy", "std", "NLL", "ECE", "churn", "ambiguity", "CKA of kernels"];
    page.table(&header, "rrrrrrrr", rows);
}

fn pairs(page: &mut Page, analysis: &Analysis) {
    let judged = |run: u32| {
        analysis.runs.iter().any(|held| held.run == run && held.accuracy.is_some() && !held.has(FlagKind::Duplicate))
    };
    let mut pairs: Vec<_> = analysis.pairs.iter().filter(|pair| judged(pair.a) && judged(pair.b)).collect();
    if pairs.len() < 3 {
        return;
    }
    pairs.sort_by(|x, y| x.churn.total_cmp(&y.churn));
    page.line("## Closest and farthest pairs");
    let ends = if pairs.len() > 6 { [&pairs[..3], &pairs[pairs.len() - 3..]].concat() } else { pairs };
    let rows = ends.iter().map(|pair| {
        vec![
            format!("{} and {}", pair.a, pair.b),
            percent(pair.churn),
            percent(pair.soft_churn),
            percent(pair.win),
            percent(pair.loss),
            or_dash(pair.cka, |cka| fixed(cka, 3)),
        ]
    });
    let header = ["runs", "churn", "soft churn", "wrong → right", "right → wrong", "CKA"];
    page.table(&header, "lrrrrr", rows);
}

fn provenance(page: &mut Page, analysis: &Analysis) {
    page.line("## How this was made");
    let settings = &analysis.settings.analysis;
    let mut rows: Vec<[String; 2]> =
        analysis.source.facts.iter().map(|fact| [plain(&fact.name), plain(&fact.value)]).collect();
    let mut fact = |name: &str, value: String| rows.push([name.to_owned(), value]);
    if let Some(hash) = &analysis.source.experiment {
        fact("experiment (BLAKE3)", format!("`{hash}`"));
    }
    if let Some(epoch) = analysis.source.epoch {
        fact("judged at epoch", epoch.to_string());
    }
    fact("test examples N, classes C", format!("{}, {}", thousands(analysis.examples), analysis.classes));
    fact("ε, δ", format!("{}, {}", analysis.epsilon, fixed(analysis.delta, 5)));
    if let Some(relative) = analysis.delta_relative {
        fact("δ relative to the ensemble", fixed(relative, 5));
    }
    let reference = match settings.reference {
        Reference::LeaveOneOut => "all other runs (leave-one-out)",
        Reference::SplitHalf => "the other half of the runs (split-half); exact α leaves one out",
    };
    fact("reference of α̂", reference.to_owned());
    fact("bootstraps of α̂, seed", format!("{}, {}", settings.bootstraps, settings.seed));
    if let Some(clip) = settings.clip {
        fact("margins clipped at", significant(clip));
    }
    let flags = &analysis.settings.flags;
    fact("limits of flags", format!("α relative {}, modified z-score {}", percent(flags.alpha), flags.outlier));
    page.table(&["", ""], "ll", rows.into_iter().map(Vec::from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_stay_text() {
        assert_eq!(plain("a|b_<i>*\n"), "a\\|b\\_&lt;i&gt;\\* ");
        assert_eq!(plain_but_code("flag `alpha_x` of a_b"), "flag `alpha_x` of a\\_b");
    }
}
