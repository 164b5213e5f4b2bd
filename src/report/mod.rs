//! What people read: Markdown, figures and a page, drawn from the structs of `analysis` and computing nothing.
//!
//! A report is a [`document::Document`] (sentences, tables and figures as data), which is written as Markdown, as a page, and as tables
//! and figures for a paper. Start with `sweep.rs`, then `figures/mod.rs` for how to add a figure.

pub mod attribution;
mod axis;
pub mod comparison;
pub mod document;
pub mod ensembles;
pub mod figures;
pub mod history;
pub mod junit;
pub mod nightly;
mod page;
mod pdf;
mod scene;
mod style;
pub mod surrogate;
mod sweep;
mod tables;
pub mod text;
mod tuning;
pub mod words;

use std::path::Path;

use crate::analysis::{Analysis, Images};
use crate::error::Result;
use crate::record::files;

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Every file of the report: `report.md`, its figures, and `report.html` with the `images` that are at hand. The same
/// analysis gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when a figure cannot be drawn.
pub fn files_of(analysis: &Analysis, images: Option<&Images>) -> Result<Vec<File>> {
    sweep::document(analysis, images).files("report.md", Some("report.html"))
}

/// Writes the report into `folder`; other files there stay, but figures of an earlier report that this one lacks go.
///
/// # Errors
/// As [`files_of`], and [`crate::error::Error::Unexpected`] when the file system refuses.
pub fn write(analysis: &Analysis, images: Option<&Images>, folder: &Path) -> Result<()> {
    let written = files_of(analysis, images)?;
    write_files(&written, folder)?;
    for (id, _) in figures::sweep::FIGURES {
        let name = format!("{id}.svg");
        if !written.iter().any(|file| file.name == name) {
            files::remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Writes files into `folder`, which is made if it is not there; other files there stay.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when the file system refuses.
pub fn write_files(written: &[File], folder: &Path) -> Result<()> {
    files::create_folder(folder)?;
    written.iter().try_for_each(|file| files::write(&folder.join(&file.name), &file.bytes))
}
