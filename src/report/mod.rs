//! What people read: Markdown, figures and a page, drawn from the structs of `analysis` and computing nothing.

pub mod attribution;
mod axis;
mod canvas;
pub mod comparison;
pub mod ensembles;
pub mod figures;
pub mod history;
pub mod junit;
pub mod lineage;
mod markdown;
pub mod nightly;
mod page;
mod panel;
mod png;
mod style;
pub mod surrogate;
mod tables;
pub mod words;

use std::path::Path;

use crate::analysis::{Analysis, Images};
use crate::error::Result;
use crate::record::files;

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// File name.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Every file of the report: `report.md`, its figures, and `report.html` with the `images` that are at hand. The same
/// analysis gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when a figure cannot be drawn.
pub fn pages(analysis: &Analysis, images: Option<&Images>) -> Result<Vec<Page>> {
    let figures = figures::all(analysis)?;
    let text = markdown::markdown(analysis, &figures);
    let page = page::page(analysis, images, &figures)?;
    let mut pages = vec![
        Page { name: "report.md".to_owned(), bytes: text.into_bytes() },
        Page { name: "report.html".to_owned(), bytes: page.into_bytes() },
    ];
    pages.extend(
        figures.into_iter().map(|figure| Page { name: figure.file.to_owned(), bytes: figure.svg.into_bytes() }),
    );
    Ok(pages)
}

/// Writes the report into `folder`; other files there stay, but figures of an earlier report that this one lacks go.
///
/// # Errors
/// As [`pages`], and [`crate::error::Error::Unexpected`] when the file system refuses.
pub fn write(analysis: &Analysis, images: Option<&Images>, folder: &Path) -> Result<()> {
    let pages = pages(analysis, images)?;
    files::create_folder(folder)?;
    for page in &pages {
        files::write(&folder.join(&page.name), &page.bytes)?;
    }
    for name in figures::FILES.iter().filter(|name| !pages.iter().any(|page| page.name == **name)) {
        files::remove(&folder.join(name))?;
    }
    Ok(())
}
