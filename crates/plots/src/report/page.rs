//! The template and what surrounds the content: styles, script, security policy.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::view::{BlockView, FindingsView, Ids, SectionView};
use super::{Report, ReportError};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Ids the template itself uses.
const RESERVED: [&str; 9] =
    ["contents", "main", "differences", "provenance", "findings", "prompts", "glossary", "show-spread", "show-detail"];

#[derive(Template)]
#[template(path = "report/page.html", whitespace = "minimize")]
struct Page<'a> {
    report: &'a Report,
    findings: Vec<FindingsView<'a>>,
    sections: Vec<SectionView<'a>>,
    /// The prompts as JSON that cannot end a script element.
    prompts: Option<String>,
    style: &'static str,
    script: &'static str,
    /// Base64 of the script's SHA-256: the policy lets this script run and no other.
    script_hash: String,
}

pub(super) fn render(report: &Report) -> Result<String, ReportError> {
    let mut ids = Ids::reserve(&RESERVED);
    let sections: Vec<SectionView> =
        report.sections.iter().map(|section| SectionView::new(section, &mut ids)).collect::<Result<_, _>>()?;
    let findings = FindingsView::groups(&report.findings, &sections);
    let prompts = report.prompts.as_ref().map(|browser| Ok(escaped(&serde_json::to_string(&browser.models)?)));
    let prompts = prompts.transpose().map_err(ReportError::Prompts)?;
    let script_hash = STANDARD.encode(Sha256::digest(SCRIPT));
    Ok(Page { report, findings, sections, prompts, style: STYLE, script: SCRIPT, script_hash }.render()?)
}

impl Page<'_> {
    fn title(&self) -> &str {
        if self.report.title.trim().is_empty() { "Report" } else { &self.report.title }
    }
}

/// JSON in which no text can be taken for the end of the script element around it.
fn escaped(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
