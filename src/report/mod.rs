//! What people read: Markdown, figures and a page, drawn from the structs of `analysis` and computing nothing.
//!
//! A report is a [`document::Document`] (sentences, tables and figures as data), which is written as Markdown, as a page, and as tables
//! and figures for a paper. Start with `sweep.rs`, then `figures/mod.rs` for how to add a figure.

pub mod attribution;
mod axis;
pub mod certificate;
pub mod comparison;
pub mod document;
pub mod ensembles;
pub mod figures;
pub mod history;
pub mod junit;
pub mod lineage;
pub mod microscope;
pub mod nightly;
mod page;
mod pdf;
pub mod power;
mod representations;
mod scene;
mod style;
pub mod surrogate;
mod sweep;
mod tables;
pub mod terminal;
pub mod text;
mod tuning;
pub mod words;

use std::path::Path;

use crate::analysis::representations::Represented;
use crate::analysis::{Analysis, Fact, Images};
use crate::error::Result;
use crate::record::files;
use document::Document;

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What a report of a sweep shows besides its analysis.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Examples on which runs stand alone, where they are at hand.
    pub images: Option<Images>,
    /// How alike the representations of the runs are, where embeddings are at hand.
    pub represented: Option<Represented>,
    /// When, by what and from which files it was made.
    pub facts: Vec<Fact>,
}

/// The report of a sweep as a document: sentences, tables and figures as data.
#[must_use]
pub fn document(analysis: &Analysis, extras: &Extras) -> Document {
    sweep::document(analysis, extras)
}

/// Writes `report.md`, its figures and `report.html` into `folder`; other files there stay, but figures of an earlier report
/// that this one lacks go. The same analysis with the same extras gives the same bytes.
///
/// # Errors
/// [`crate::error::Error::Unexpected`] when a picture is not of its size or the file system refuses.
pub fn write(analysis: &Analysis, extras: &Extras, folder: &Path) -> Result<()> {
    let written = document(analysis, extras).files("report.md", Some("report.html"))?;
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
