//! A report as data: headings, sentences, tables and figures, written once and given out as Markdown, as a page (`page`), and as
//! tables for a spreadsheet or a paper. Reports of sweeps, comparisons, histories and attributions are all made of it.

use super::figures::{Figure, Look};
use super::scene::{Pixels, Scene};
use super::text::{latex, markdown, with_code};
use super::{File, page};
use crate::error::Result;

/// Rows of a table in Markdown, at most; the page has all of them.
const SHOWN: usize = 60;

/// A report. Texts may hold words in backquotes, which are shown as code; whatever else they hold is text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    pub title: String,
    /// The verdict in a sentence or two.
    pub headline: String,
    pub blocks: Vec<Block>,
    /// What the page shows of a run that is picked.
    pub details: Vec<Detail>,
    /// Words and their meanings, at the end of the page.
    pub glossary: Vec<(String, String)>,
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Heading(String),
    Text(String),
    List(Vec<String>),
    /// What a reader should know before trusting a number.
    Note(String),
    Table(Table),
    Figure(Figure),
    /// A picture without axes: the name of its file, what it shows, and the picture.
    Drawing(&'static str, String, Scene),
}

/// A table; every row has a cell for each head.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Name of its files, and its anchor on the page.
    pub id: &'static str,
    pub heads: Vec<Head>,
    pub rows: Vec<Row>,
    /// Rows below all others, such as means.
    pub feet: Vec<Vec<String>>,
    /// Whether the page sorts and filters it and picks its rows.
    pub live: bool,
}

/// The head of a column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    pub name: String,
    /// What it means.
    pub title: String,
    /// Another name by which a filter may call it.
    pub key: String,
    /// Whether it holds words rather than numbers.
    pub words: bool,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    pub cells: Vec<String>,
    /// What figures know it by.
    pub key: String,
    /// The key in whose place figures show it, where that is another.
    pub drawn: Option<String>,
    pub look: Option<Look>,
    /// Whether it stays where there is room for a part of the rows only.
    pub marked: bool,
}

/// What a page shows of something that is picked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detail {
    pub key: String,
    pub title: String,
    pub paragraphs: Vec<String>,
    /// What the examples below show, and the examples.
    pub about: String,
    pub examples: Vec<Example>,
}

/// An example with its picture if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub pixels: Option<Pixels>,
    /// Whether it was decided rightly.
    pub right: bool,
    /// The first line is the decision.
    pub lines: Vec<String>,
}

impl Table {
    /// A table of plain rows; the columns named in `words` (counted from 0) hold words.
    #[must_use]
    pub fn new(id: &'static str, heads: &[&str], words: &[usize], rows: Vec<Vec<String>>) -> Self {
        let head = |(place, name): (usize, &&str)| Head {
            name: (*name).to_owned(),
            words: words.contains(&place),
            ..Head::default()
        };
        let rows = rows.into_iter().map(|cells| Row { cells, ..Row::default() }).collect();
        Self { id, heads: heads.iter().enumerate().map(head).collect(), rows, ..Self::default() }
    }

    fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        let mut lines = vec![
            line(&mut self.heads.iter().map(|head| markdown(&head.name))),
            line(&mut self.heads.iter().map(|head| if head.words { "---" } else { "---:" }.to_owned())),
        ];
        let brief = self.rows.len() > SHOWN;
        let any = self.rows.iter().any(|row| row.marked);
        let kept = self.rows.iter().filter(|row| !brief || !any || row.marked).take(SHOWN);
        lines.extend(kept.map(|row| line(&mut row.cells.iter().map(|cell| inline(cell)))));
        let shown = lines.len() - 2;
        lines.extend(self.feet.iter().map(|row| line(&mut row.iter().map(|cell| inline(cell)))));
        let mut text = lines.join("\n");
        if brief {
            text.push_str(&format!("\n\n{shown} of {} rows are shown; the page has all of them.", self.rows.len()));
        }
        text
    }

    /// Comma-separated values (RFC 4180) as the table shows them, with ASCII minus signs.
    #[must_use]
    pub fn csv(&self) -> String {
        let cell = |text: &str| {
            let text = text.replace('`', "").replace('−', "-").replace("**", "");
            if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
        };
        let line =
            |cells: &mut dyn Iterator<Item = &str>| format!("{}\r\n", cells.map(cell).collect::<Vec<_>>().join(","));
        let mut text = line(&mut self.heads.iter().map(|head| head.name.as_str()));
        for row in self.rows.iter().map(|row| &row.cells).chain(&self.feet) {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
        }
        text
    }

    /// A `tabular` with the rules of `booktabs`, to be taken in with `\input`.
    #[must_use]
    pub fn tex(&self) -> String {
        let cell = |text: &str| match text.strip_prefix("**").and_then(|text| text.strip_suffix("**")) {
            Some(bold) => format!("\\textbf{{{}}}", latex(bold)),
            None => with_code(text, latex, |code| format!("\\texttt{{{}}}", latex(code))),
        };
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            format!("{} \\\\\n", cells.map(cell).collect::<Vec<_>>().join(" & "))
        };
        let align: String = self.heads.iter().map(|head| if head.words { 'l' } else { 'r' }).collect();
        let mut text = format!("% needs \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{align}}}\n\\toprule\n");
        text.push_str(&line(&mut self.heads.iter().map(|head| head.name.as_str())));
        text.push_str("\\midrule\n");
        for row in &self.rows {
            text.push_str(&line(&mut row.cells.iter().map(String::as_str)));
        }
        if !self.feet.is_empty() {
            text.push_str("\\midrule\n");
        }
        for row in &self.feet {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n");
        text
    }
}

/// A text of the document in Markdown.
fn inline(text: &str) -> String {
    match text.strip_prefix("**").and_then(|text| text.strip_suffix("**")) {
        Some(bold) => format!("**{}**", markdown(bold)),
        None => with_code(text, markdown, |code| format!("`{}`", code.replace('|', "\\|"))),
    }
}

impl Document {
    /// Adds a heading.
    pub fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    /// Every table.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.blocks.iter().filter_map(|block| if let Block::Table(table) = block { Some(table) } else { None })
    }

    /// Every figure.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.blocks.iter().filter_map(|block| if let Block::Figure(figure) = block { Some(figure) } else { None })
    }

    /// The whole text; figures are named by their files, and so is the page if it stands beside them.
    #[must_use]
    pub fn markdown(&self, page: Option<&str>) -> String {
        let mut text = format!("# {}\n\n**{}**\n\n", markdown(&self.title), inline(&self.headline));
        if let Some(page) = page {
            text.push_str(&format!(
                "[{page}]({page}) is the same as a page: pick a run, and see it in every figure.\n\n"
            ));
        }
        for block in &self.blocks {
            let part = match block {
                Block::Heading(title) => format!("## {}", markdown(title)),
                Block::Text(words) => inline(words),
                Block::List(items) => {
                    items.iter().map(|item| format!("- {}", inline(item))).collect::<Vec<_>>().join("\n")
                }
                Block::Note(words) => format!("> {}", inline(words)),
                Block::Table(table) => table.markdown(),
                Block::Figure(figure) => {
                    let title = markdown(&figure.title);
                    format!("## {title}\n\n![{title}]({})\n\n{}", figure.file(), inline(&figure.caption))
                }
                Block::Drawing(file, title, _) => format!("![{}]({file})", markdown(title)),
            };
            text.push_str(&part);
            text.push_str("\n\n");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// The text as `NAME.md`, the page as `page` if it is to be made, and the figures. The same document gives the same bytes.
    ///
    /// # Errors
    /// [`crate::error::Error::Unexpected`] if a picture is not of its size.
    pub fn files(&self, text: &str, page: Option<&str>) -> Result<Vec<File>> {
        let mut files = vec![File { name: text.to_owned(), bytes: self.markdown(page).into_bytes() }];
        if let Some(name) = page {
            files.push(File { name: name.to_owned(), bytes: page::page(self)?.into_bytes() });
        }
        for figure in self.figures() {
            files.push(File { name: figure.file(), bytes: figure.svg()?.into_bytes() });
        }
        for block in &self.blocks {
            if let Block::Drawing(file, title, scene) = block {
                files.push(File { name: (*file).to_owned(), bytes: scene.svg(title)?.into_bytes() });
            }
        }
        Ok(files)
    }

    /// Each table as `NAME.csv` and `NAME.tex`.
    #[must_use]
    pub fn table_files(&self) -> Vec<File> {
        let both = |table: &Table| {
            [("csv", table.csv()), ("tex", table.tex())]
                .map(|(end, text)| File { name: format!("{}.{end}", table.id), bytes: text.into_bytes() })
        };
        self.tables().filter(|table| !table.id.is_empty()).flat_map(both).collect()
    }

    /// Each figure as `NAME.pdf`, at a paper's column width.
    #[must_use]
    pub fn figure_files(&self) -> Vec<File> {
        self.figures().map(|figure| File { name: format!("{}.pdf", figure.id), bytes: figure.pdf() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Document {
        let mut document = Document { title: "a_b".into(), headline: "One run.".into(), ..Document::default() };
        document.text("Flag `alpha_x` of a_b.");
        let rows = vec![vec!["**0**".into(), "97.1 %, a|b".into()], vec!["−1".into(), "`alpha`".into()]];
        document.table(Table::new("runs", &["run", "words"], &[1], rows));
        document
    }

    #[test]
    fn markdown_keeps_what_is_meant_and_escapes_the_rest() {
        let text = sample().markdown(None);
        assert!(text.starts_with("# a\\_b\n\n**One run.**\n\nFlag `alpha_x` of a\\_b.\n\n"), "{text}");
        assert!(
            text.contains("| run | words |\n| ---: | --- |\n| **0** | 97.1 %, a\\|b |\n| −1 | `alpha` |\n"),
            "{text}"
        );
    }

    #[test]
    fn tables_are_read_by_spreadsheets_and_papers() {
        let document = sample();
        let table = document.tables().next().unwrap();
        assert_eq!(table.csv(), "run,words\r\n0,\"97.1 %, a|b\"\r\n-1,alpha\r\n");
        let tex = table.tex();
        assert!(
            tex.contains("\\begin{tabular}{rl}\n\\toprule\nrun & words \\\\\n\\midrule\n\\textbf{0} & 97.1 \\%"),
            "{tex}"
        );
        assert!(tex.contains("$-$1 & \\texttt{alpha} \\\\\n\\bottomrule"), "{tex}");
    }

    #[test]
    fn long_tables_keep_their_marked_rows_in_markdown() {
        let rows =
            (0..100).map(|run| Row { cells: vec![run.to_string()], marked: run == 77, ..Row::default() }).collect();
        let table = Table { rows, ..Table::new("runs", &["run"], &[], Vec::new()) };
        let text = table.markdown();
        assert!(text.contains("| 77 |") && !text.contains("| 1 |") && text.contains("1 of 100 rows"), "{text}");
    }
}
