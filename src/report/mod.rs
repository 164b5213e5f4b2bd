//! What people read: Markdown and figures, drawn from the structs of `analysis` and computing nothing.

mod axis;
mod canvas;
pub mod figures;
mod panel;
pub mod style;
