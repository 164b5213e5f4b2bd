//! `report.md`: what was found in words, then tables, then figures.

use super::figures::Figure;
use super::tables::{self, COLUMNS};
use super::{ensembles, words};
use crate::analysis::metrics::METRICS;
use crate::analysis::numbers::{fixed, or_dash, percent, thousands};
use crate::analysis::{Analysis, FlagKind, Run};

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
    page.line("[report.html](report.html) is the same as a page of linked plots, with the examples on which runs stand alone.");
    reasons(&mut page, analysis);
    summary(&mut page, analysis);
    runs(&mut page, analysis);
    for figure in figures {
        page.line(&format!("## {}", figure.title));
        page.line(&format!("![{}]({})", figure.title, figure.file));
        page.line(&plain_but_code(&figure.caption));
    }
    page.text.push_str(&ensembles::section(analysis));
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
                vec![run.run.to_string(), format!("`{}`", flag.flag.name()), plain(&words::sentence(&flag.why))]
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

fn summary(page: &mut Page, analysis: &Analysis) {
    let summary = &analysis.summary;
    page.line("## Summary");
    let rows = METRICS.iter().filter_map(|metric| {
        let estimate = (metric.estimate)(summary)?;
        Some(vec![
            metric.short.to_owned(),
            (metric.write)(estimate.mean),
            or_dash(estimate.std, metric.write),
            words::range(&estimate, metric.write),
        ])
    });
    page.table(&["over the distinct runs", "mean", "std", "95 % interval of the mean"], "lrrr", rows);
}

fn runs(page: &mut Page, analysis: &Analysis) {
    page.line("## Runs");
    let header: Vec<&str> =
        std::iter::once("run").chain(COLUMNS.iter().map(|column| column.name)).chain(["flags"]).collect();
    let keep = |run: &&Run| analysis.runs.len() <= SHOWN || run.is_flagged();
    let shown: Vec<&Run> = analysis.runs.iter().filter(keep).take(SHOWN).collect();
    let rows = shown.iter().map(|run| {
        let flags: Vec<String> = run.flags.iter().map(|flag| format!("`{}`", flag.flag.name())).collect();
        let cells = COLUMNS.iter().map(|column| (column.show)(analysis, run));
        std::iter::once(run.run.to_string()).chain(cells).chain([flags.join(" ")]).collect()
    });
    page.table(&header, &format!("{}l", "r".repeat(header.len() - 1)), rows);
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

fn checkpoints(page: &mut Page, analysis: &Analysis) {
    let rows = tables::checkpoints(analysis);
    if !rows.is_empty() {
        page.line("## Checkpoints");
        page.table(&tables::CHECKPOINT_COLUMNS, "rrrrrrrr", rows.into_iter());
    }
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
    let rows = tables::facts(analysis).into_iter().map(|fact| fact.iter().map(|text| plain(text)).collect());
    page.table(&["", ""], "ll", rows);
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
