//! The template and what surrounds the content: styles, script, security policy.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::view::{BlockView, Ids, SectionView};
use super::{Report, ReportError};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Ids the template itself uses.
const RESERVED: [&str; 4] = ["contents", "main", "differences", "provenance"];

#[derive(Template)]
#[template(path = "report/page.html", whitespace = "minimize")]
struct Page<'a> {
    report: &'a Report,
    sections: Vec<SectionView<'a>>,
    style: &'static str,
    script: &'static str,
    /// Base64 of the script's SHA-256: the policy lets this script run and no other.
    script_hash: String,
}

pub(super) fn render(report: &Report) -> Result<String, ReportError> {
    let mut ids = Ids::reserve(&RESERVED);
    let sections =
        report.sections.iter().map(|section| SectionView::new(section, &mut ids)).collect::<Result<_, _>>()?;
    let script_hash = STANDARD.encode(Sha256::digest(SCRIPT));
    Ok(Page { report, sections, style: STYLE, script: SCRIPT, script_hash }.render()?)
}

impl Page<'_> {
    fn title(&self) -> &str {
        if self.report.title.trim().is_empty() { "Report" } else { &self.report.title }
    }
}
