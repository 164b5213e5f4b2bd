//! A document as one HTML file that opens from disk, with nothing fetched from anywhere. All of it is in the file as it is read:
//! the script only highlights, picks, sorts and filters. Whatever a name holds, [`markup`] makes it text.

use std::fmt::Write;

use super::document::{Block, Detail, Document, Row, Table};
use super::figures::{Figure, swatch};
use super::text::{markup, with_code};
use crate::error::Result;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Live tables of more rows print their marked rows only.
const MANY: usize = 100;

/// The page. The same document gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] if a picture is not of its size.
pub fn page(document: &Document) -> Result<String> {
    let title = markup(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src \
         'unsafe-inline'; img-src data:\">\n<title>{title} · harness</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1><button id=\"theme\" type=\"button\" aria-label=\"colours: as the system\">◐</button></header>\n\
         <main>\n<p class=\"headline\">{}</p>\n",
        inline(&document.headline)
    );
    for block in &document.blocks {
        // Writing to a string cannot fail; so everywhere here.
        let _ = match block {
            Block::Heading(words) => writeln!(out, "<h2>{}</h2>", inline(words)),
            Block::Text(words) => writeln!(out, "<p>{}</p>", inline(words)),
            Block::Note(words) => writeln!(out, "<p class=\"note quiet\">{}</p>", inline(words)),
            Block::List(items) => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>", inline(item))).collect();
                writeln!(out, "<ul>{items}</ul>")
            }
            Block::Table(table) if table.live => {
                live(&mut out, table);
                details(&mut out, &document.details)?;
                Ok(())
            }
            Block::Table(table) => writeln!(out, "<div class=\"wide\"><table>{}</table></div>", rows_of(table)),
            Block::Figure(shown) => {
                figure(&mut out, shown)?;
                Ok(())
            }
            Block::Drawing(_, title, scene) => {
                let width = scene.width.ceil();
                writeln!(
                    out,
                    "<section class=\"figure\"><div class=\"panels\"><div style=\"--width:{width}px\">{}</div></div></section>",
                    scene.inline(title, "")?
                )
            }
        };
    }
    if !document.glossary.is_empty() {
        out.push_str("<h2 id=\"glossary\">Words</h2>\n<dl class=\"glossary\">\n");
        for (word, meaning) in &document.glossary {
            let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", inline(word), inline(meaning));
        }
        out.push_str("</dl>\n");
    }
    let _ = write!(
        out,
        "<div id=\"bar\" hidden><span id=\"picked\" role=\"status\"></span><button type=\"button\" id=\"before\" \
         aria-label=\"row before\">‹</button><button type=\"button\" id=\"after\" aria-label=\"row after\">›</button>\
         <button type=\"button\" id=\"details\">details</button><button type=\"button\" id=\"clear\">let go</button></div>\n\
         </main>\n<div id=\"tip\" hidden></div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
    Ok(out)
}

/// A text of the document.
fn inline(text: &str) -> String {
    // A number keeps its unit.
    let text = text.replace(" %", "\u{a0}%");
    match text.strip_prefix("**").and_then(|text| text.strip_suffix("**")) {
        Some(bold) => format!("<b>{}</b>", markup(bold)),
        None => with_code(&text, markup, |code| format!("<code>{}</code>", markup(code))),
    }
}

/// A table that can be sorted, filtered and picked from.
fn live(out: &mut String, table: &Table) {
    let many = if table.rows.len() > MANY { " many" } else { "" };
    let _ = writeln!(
        out,
        "<div class=\"tools\"><input id=\"find\" type=\"search\" placeholder=\"3-7  accuracy&lt;97  alpha\" aria-label=\"show only rows \
         for which all of this holds: numbers, flags, comparisons\" autocomplete=\"off\" spellcheck=\"false\">\
         <label><input id=\"flagged\" type=\"checkbox\"> flagged only</label><span id=\"count\" class=\"quiet\" role=\"status\">\
         </span></div>\n<p id=\"trouble\" class=\"note\" role=\"alert\" hidden></p>\n<div class=\"scroll\"><table class=\"runs{many}\">{}</table></div>\n\
         <p class=\"quiet hint\">Click a head to sort. Conditions are joined by “and”; numbers mean what the table shows \
         (<code>accuracy&lt;97</code> is 97 %). Pick a row, a curve or a point and see it everywhere; arrow keys move, Enter picks, \
         Escape lets go.</p>",
        rows_of(table)
    );
}

/// Heads, rows and feet.
fn rows_of(table: &Table) -> String {
    let mut out = String::new();
    let class = |words: bool| if words { " class=\"words\"" } else { "" };
    if table.heads.iter().any(|head| !head.name.is_empty()) {
        out.push_str("<thead><tr>");
        for (place, head) in table.heads.iter().enumerate() {
            let (name, title) = (markup(&head.name), markup(&head.title));
            let words = class(head.words);
            let _ = if table.live {
                let sorted = if place == 0 { "ascending" } else { "none" };
                let key = markup(&head.key);
                write!(
                    out,
                    "<th scope=\"col\" aria-sort=\"{sorted}\" title=\"{title}\" data-key=\"{key}\"{words}>\
                     <button type=\"button\">{name}</button></th>"
                )
            } else {
                write!(out, "<th scope=\"col\" title=\"{title}\"{words}>{name}</th>")
            };
        }
        out.push_str("</tr></thead>");
    }
    let row = |out: &mut String, cells: &[String], lead: &str| {
        for (place, (cell, head)) in cells.iter().zip(&table.heads).enumerate() {
            let text = inline(cell);
            let words = class(head.words);
            let _ = if place == 0 && table.live {
                write!(out, "<th scope=\"row\">{lead}{text}</th>")
            } else {
                write!(out, "<td{words}>{text}</td>")
            };
        }
    };
    out.push_str("\n<tbody>\n");
    for Row { cells, key, drawn, look, marked } in &table.rows {
        let mut lead = String::new();
        if !key.is_empty() {
            let paint = look.map_or("typical", |look| look.paint.class());
            let void = if drawn.is_some() { " void" } else { "" };
            lead = format!("<i class=\"key {paint}{void}\"></i>");
            let drawn = drawn.as_ref().map_or_else(String::new, |drawn| format!(" data-as=\"{}\"", markup(drawn)));
            let marked = if *marked { " class=\"flagged\"" } else { "" };
            let _ = write!(out, "<tr data-run=\"{}\"{drawn}{marked}>", markup(key));
        } else {
            out.push_str("<tr>");
        }
        row(&mut out, cells, &lead);
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>");
    if !table.feet.is_empty() {
        out.push_str("<tfoot>");
        for cells in &table.feet {
            out.push_str("<tr>");
            row(&mut out, cells, "");
            out.push_str("</tr>");
        }
        out.push_str("</tfoot>");
    }
    out
}

/// A section for each thing that can be picked; the script shows one at a time.
fn details(out: &mut String, details: &[Detail]) -> Result<()> {
    out.push_str("<div id=\"chosen\">\n");
    for detail in details {
        let _ = write!(out, "<section data-of=\"{}\"><h3>{}</h3>", markup(&detail.key), inline(&detail.title));
        for words in &detail.paragraphs {
            let _ = write!(out, "<p>{}</p>", inline(words));
        }
        if !detail.about.is_empty() {
            let _ = write!(out, "<p>{}</p><div class=\"examples\">", inline(&detail.about));
            for example in &detail.examples {
                out.push_str("<figure>");
                if let Some(pixels) = &example.pixels {
                    let _ = write!(out, "<img alt=\"\" src=\"{}\">", pixels.address()?);
                }
                let (class, sign) = if example.right { ("right", '✓') } else { ("wrong", '✗') };
                out.push_str("<figcaption>");
                for (place, line) in example.lines.iter().enumerate() {
                    let _ = match place {
                        0 => write!(out, "<b class=\"{class}\">{sign} {}</b>", markup(line)),
                        _ => write!(out, "<br>{}", markup(line)),
                    };
                }
                out.push_str("</figcaption></figure>");
            }
            out.push_str("</div>");
        }
        out.push_str("</section>\n");
    }
    out.push_str("</div>\n");
    Ok(())
}

/// Panels side by side as there is room, the legend, and the caption.
fn figure(out: &mut String, figure: &Figure) -> Result<()> {
    let id = figure.id;
    let _ = writeln!(
        out,
        "<section class=\"figure\" id=\"{id}\">\n<h2>{}</h2>\n<div class=\"panels\">",
        inline(&figure.title)
    );
    for panel in &figure.panels {
        let _ = writeln!(out, "<div style=\"--width:{}px\">{}</div>", panel.size.0, panel.inline()?);
    }
    out.push_str("</div>\n");
    if !figure.legend.is_empty() {
        out.push_str("<p class=\"keys\">");
        for entry in &figure.legend {
            let (drawn, text) = (swatch(entry.swatch)?, markup(&entry.text));
            let _ = if entry.key.is_empty() {
                write!(out, "<span>{drawn}{text}</span>")
            } else {
                let key = markup(&entry.key);
                write!(out, "<button type=\"button\" data-pick=\"{key}\" aria-pressed=\"false\">{drawn}{text}</button>")
            };
        }
        out.push_str("</p>\n");
    }
    let _ = writeln!(out, "<p class=\"caption\">{}</p>\n</section>", inline(&figure.caption));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{Example, Table};

    #[test]
    fn hostile_names_stay_text() {
        let hostile = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'";
        let mut document = Document { title: hostile.into(), headline: hostile.into(), ..Document::default() };
        document.heading(hostile);
        document.text(format!("`{hostile}`"));
        let rows = vec![Row { cells: vec![hostile.into()], key: hostile.into(), ..Row::default() }];
        document.table(Table { live: true, rows, ..Table::new("x", &[hostile], &[], Vec::new()) });
        let examples = vec![Example { pixels: None, right: false, lines: vec![hostile.into(); 2] }];
        document.details.push(Detail { title: hostile.into(), about: hostile.into(), examples, ..Detail::default() });
        document.glossary.push((hostile.into(), hostile.into()));
        let text = page(&document).unwrap();
        assert!(!text.contains("<img src=x") && !text.contains("<script>alert"), "markup got through");
        assert_eq!(text.matches("</script>").count(), 1);
        assert!(!text.contains("data-run=\"<"));
    }

    #[test]
    fn a_page_fetches_nothing() {
        let text = page(&Document::default()).unwrap();
        for sign in [" src=\"http", " href=", "url(http", "@import", "fetch(", "XMLHttpRequest"] {
            assert!(!text.contains(sign), "{sign}");
        }
        assert!(text.contains("default-src 'none'"));
    }
}
