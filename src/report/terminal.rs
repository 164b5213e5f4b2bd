//! Tables and prose for a terminal: as wide as it is, 80 columns where nobody says how wide.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ColumnConstraint, LineStyle, Table, Width};

use super::tables::columns;
use super::text::{width_of, wrapped};
use super::words;
use crate::analysis::numbers::or_dash;
use crate::analysis::{Analysis, Run};

/// Runs in a table, at most.
const SHOWN: usize = 40;
/// Prose is not wider than this, however wide the terminal is.
const PROSE: usize = 100;

/// Columns of the terminal: `COLUMNS` if it is set, else what the terminal says, else 80.
#[must_use]
pub fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|&columns| columns >= 20);
    said.or_else(|| Table::new().width().map(usize::from)).unwrap_or(80)
}

/// Paragraphs, broken at words.
#[must_use]
pub fn prose(paragraphs: &[String], width: usize) -> String {
    paragraphs.iter().map(|words| wrapped(words, width.min(PROSE)) + "\n\n").collect()
}

/// A text whose long lines are broken at words; items of lists are indented, and lines that are short enough, those of tables among
/// them, stay as they are.
#[must_use]
pub fn fitted(text: &str, width: usize) -> String {
    let line = |line: &str| {
        if width_of(line) <= width.min(PROSE) || line.starts_with(['─', '═']) {
            return line.to_owned();
        }
        let (first, indent) = if line.starts_with("- ") { ("- ", "  ") } else { ("", "") };
        wrapped(&line[first.len()..], width.min(PROSE) - indent.len())
            .lines()
            .enumerate()
            .map(|(place, part)| format!("{}{part}", if place == 0 { first } else { indent }))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
}

/// A table of at most `width` columns. Where it would be wider, words in a last column of words are broken, and then columns named
/// in `least` are dropped, the first of them first. `words` columns hold words, which stand on the left.
#[must_use]
pub fn table(heads: &[&str], rows: &[Vec<String>], words: &[usize], least: &[usize], width: usize) -> String {
    /// A last column of words may be broken down to this width.
    const NARROW: usize = 24;
    let cell = |row: &[String], place: usize| row.get(place).cloned().unwrap_or_default();
    // Two spaces around a cell, and one between cells.
    let room = |place: usize| {
        let cells = rows.iter().map(|row| width_of(&cell(row, place)));
        cells.chain([width_of(heads[place])]).max().unwrap_or(0) + 3
    };
    let mut kept: Vec<usize> = (0..heads.len()).collect();
    let over = |kept: &[usize], most: usize| {
        let last = kept.len().saturating_sub(1);
        let rooms = kept.iter().enumerate().map(|(at, &place)| {
            if at == last && words.contains(&place) { room(place).min(most + 3) } else { room(place) }
        });
        rooms.sum::<usize>().saturating_sub(width + 1)
    };
    for dropped in least {
        if over(&kept, NARROW) > 0 {
            kept.retain(|place| place != dropped);
        }
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_header(kept.iter().map(|&place| heads[place]));
    for row in rows {
        table.add_row(kept.iter().map(|&place| cell(row, place)));
    }
    for (&place, column) in kept.iter().zip(table.column_iter_mut()) {
        if !words.contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let beyond = over(&kept, usize::MAX - 3);
    if beyond > 0
        && let (Some(column), Some(&last)) = (table.column_iter_mut().last(), kept.last())
    {
        let narrow = (room(last) - 1).saturating_sub(beyond).max(12);
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(u16::try_from(narrow).unwrap_or(u16::MAX))));
        // A constraint counts only where the table arranges itself.
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// What a person reads of an analysis: findings in words, then a table of runs, then why each flagged run is.
#[must_use]
pub fn analysis(analysis: &Analysis, width: usize) -> String {
    let mut paragraphs = vec![words::headline(analysis)];
    paragraphs.extend(words::findings(analysis));
    let mut text = prose(&paragraphs, width);
    text.push_str(&runs(analysis, width));
    let flagged = analysis.runs.iter().filter(|run| run.is_flagged());
    let reasons = flagged.flat_map(|run| run.flags.iter().map(move |flag| (run.run, flag))).take(SHOWN);
    let lines = reasons
        .map(|(run, flag)| format!("run {run}, {}: {}", flag.flag.name(), flag.why))
        .chain(analysis.source.left_out.iter().map(|held| format!("run {} was left out: {}", held.run, held.why)))
        .chain(analysis.notes.iter().map(|note| format!("note: {note}")));
    let lines: Vec<String> = lines.map(|line| wrapped(&line, width.min(PROSE)) + "\n").collect();
    if !lines.is_empty() {
        text.push('\n');
        text.push_str(&lines.concat());
    }
    text
}

/// Units stand in the heads; where there is too little room the least telling columns are left out.
fn runs(analysis: &Analysis, width: usize) -> String {
    let shown: Vec<_> = columns().filter(|metric| metric.key != "wasserstein").collect();
    let keep = |run: &&Run| analysis.runs.len() <= SHOWN || run.is_flagged();
    let runs: Vec<&Run> = analysis.runs.iter().filter(keep).take(SHOWN).collect();
    let mut heads = vec!["run".to_owned()];
    let mut rows: Vec<Vec<String>> = runs.iter().map(|run| vec![run.run.to_string()]).collect();
    for column in &shown {
        let cells: Vec<String> = runs.iter().map(|run| or_dash((column.of)(run), column.write)).collect();
        let is_share = cells.iter().any(|cell| cell.ends_with(" %"));
        let name = if column.key == "alpha_relative" { "α rel." } else { column.short };
        heads.push(if is_share { format!("{name} %") } else { name.to_owned() });
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.push(cell.trim_end_matches(" %").to_owned());
        }
    }
    heads.push("flags".to_owned());
    for (row, run) in rows.iter_mut().zip(&runs) {
        row.push(run.flags.iter().map(|flag| flag.flag.name()).collect::<Vec<_>>().join(", "));
    }
    let place = |key: &str| shown.iter().position(|column| column.key == key).map(|place| place + 1);
    let least: Vec<usize> = ["alpha", "ks", "nll", "ece"].into_iter().filter_map(place).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut text = table(&heads, &rows, &[heads.len() - 1], &least, width);
    let hidden = analysis.runs.len() - runs.len();
    if hidden > 0 {
        text.push_str(&format!("{} are not shown (`--json` has all)\n", words::count(hidden, "more run")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_and_tables_do_not() {
        let text = "- a sentence of some words\nshort\n──────────────────────────\n";
        assert_eq!(fitted(text, 20), "- a sentence of some\n  words\nshort\n──────────────────────────\n");
    }

    #[test]
    fn columns_are_dropped_until_a_table_fits_and_words_break_last() {
        let heads = ["run", "accuracy %", "NLL", "flags"];
        let rows = vec![vec!["0".into(), "97.12".into(), "0.1".into(), "alpha, accuracy, churn, kernel".into()]];
        let widest = |width| {
            let text = table(&heads, &rows, &[3], &[2], width);
            (text.lines().map(width_of).max().unwrap(), text.contains("NLL"))
        };
        assert_eq!(widest(80), (57, true));
        assert!(widest(52).1 && widest(52).0 <= 52, "words break first");
        assert!(!widest(44).1 && widest(44).0 <= 44, "{}", table(&heads, &rows, &[3], &[2], 44));
    }
}
