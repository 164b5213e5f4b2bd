//! A history as people read it: `history.md`, the page `history.html`, and figures.

mod figures;
mod markdown;
pub mod words;

use std::path::Path;

use super::document::Document;
use crate::analysis::nights::History;
use crate::error::Result;

/// Everything that is said and shown; `look` is what to look at first.
#[must_use]
pub fn document(found: &History, look: &[String]) -> Document {
    markdown::document(found, look, figures::all(found))
}

/// Writes `history.md`, `history.html` and the figures into `folder`; other files there stay. The same history gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the file system refuses.
pub fn write(found: &History, look: &[String], folder: &Path) -> Result<()> {
    super::write_files(&document(found, look).files("history.md", Some("history.html"))?, folder)
}
