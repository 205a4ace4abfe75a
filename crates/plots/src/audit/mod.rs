//! The page of an audit, for somebody who is no researcher: what was asked, what was found, how sure, evidence, limits,
//! provenance. It is made from the audit's folder alone, holds its pictures, and prints on paper.

mod checks;
mod evidence;
mod says;
mod view;

use askama::Template;
use memscope_results::{
    audit::{Audit, AuditFolder},
    files::write_file,
};

pub use self::checks::split_figure;
use self::view::Page;
use crate::{Error, Figure as _, Theme, report::ReportError};

/// The page as HTML.
///
/// # Errors
/// When a picture of the folder cannot be read, or the page not be made.
pub fn page(audit: &Audit, folder: &AuditFolder) -> Result<String, Error> {
    let page = Page::new(audit, folder)?;
    Ok(page.render().map_err(ReportError::from)?)
}

/// Writes the page of a folder and the figure of its splits into it, in place of those that are there.
///
/// # Errors
/// As [`page`], and when the record cannot be read or the page not be written.
pub fn write(folder: &AuditFolder) -> Result<(), Error> {
    let audit = folder.read()?;
    if let Some(figure) = split_figure(&audit) {
        write_file(&folder.splits(), figure.svg(Theme::Light)?.as_bytes())?;
    }
    Ok(write_file(&folder.page(), page(&audit, folder)?.as_bytes())?)
}
