//! A history as people read it: `history.md` and its figures.

mod figures;
mod markdown;
pub mod words;

use std::path::Path;

use super::Page;
use crate::analysis::nights::History;
use crate::error::Result;
use crate::record::files;

/// Every file: the text, with what to `look` at first, and its figures. The same history gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when a figure cannot be drawn.
pub fn pages(found: &History, look: &[String]) -> Result<Vec<Page>> {
    let figures = figures::all(found)?;
    let text = markdown::markdown(found, look, &figures);
    let mut pages = vec![Page { name: "history.md".to_owned(), bytes: text.into_bytes() }];
    pages.extend(
        figures.into_iter().map(|figure| Page { name: figure.file.to_owned(), bytes: figure.svg.into_bytes() }),
    );
    Ok(pages)
}

/// Writes all of it into `folder`; other files there stay.
///
/// # Errors
/// As [`pages`], and [`crate::error::Error::Unexpected`] when the file system refuses.
pub fn write(found: &History, look: &[String], folder: &Path) -> Result<()> {
    let pages = pages(found, look)?;
    files::create_folder(folder)?;
    pages.iter().try_for_each(|page| files::write(&folder.join(&page.name), &page.bytes))
}
