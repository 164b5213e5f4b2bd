//! A comparison as people read it: `compare.md`, the page `compare.html`, and figures.

mod figures;
mod markdown;
pub mod words;

use std::path::Path;

use super::document::Document;
use crate::analysis::comparison::Comparison;
use crate::error::Result;

/// Everything that is said and shown.
#[must_use]
pub fn document(found: &Comparison) -> Document {
    markdown::document(found, figures::all(found))
}

/// Writes `compare.md`, `compare.html` and the figures into `folder`; other files there stay. The same comparison gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the file system refuses.
pub fn write(found: &Comparison, folder: &Path) -> Result<()> {
    super::write_files(&document(found).files("compare.md", Some("compare.html"))?, folder)
}
