//! What is reported: tables over scores, and Theorem 1 on sampled instances.

pub mod figures;
pub mod tables;
pub mod theorem;

use memscope_results::export::Format;

/// The forms in which every table is written.
pub(crate) const FORMATS: &[Format] = &[Format::Markdown, Format::Csv, Format::Json, Format::Latex];
