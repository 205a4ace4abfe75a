//! What the template shows.

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use memscope_results::audit::{
    Answer, Audit, AuditFolder, AuditRow, DuplicatePicture, SplitSays, acceptable_says, percent, splits_say, statement,
};

use super::{checks::split_figure, evidence::Evidence, says};
use crate::{Error, Figure as _, Theme};

const STYLE: &str = include_str!("style.css");

/// Prompts with evidence pictures, at most: what a page can carry.
const MOST_PICTURED: usize = 40;
/// Groups of near duplicates, at most.
const MOST_GROUPS: usize = 50;

#[derive(Template)]
#[template(path = "audit/page.html", whitespace = "minimize")]
pub(super) struct Page<'a> {
    audit: &'a Audit,
    style: &'static str,
    verdict: String,
    found: Vec<String>,
    statement: Vec<String>,
    checks: Vec<SplitSays>,
    check_rows: Vec<[String; 5]>,
    check_figure: Option<String>,
    evidence: Vec<Evidence<'a>>,
    left_out: usize,
    /// Number of the group, picture, similarity.
    groups: Vec<(usize, &'a DuplicatePicture, String)>,
    groups_left_out: usize,
    rows: Vec<Row<'a>>,
    checkpoints: Vec<[String; 4]>,
    acceptable: Option<String>,
    next: Vec<String>,
    limits: Vec<String>,
    glossary: Vec<(&'static str, String)>,
    provenance: Vec<(&'static str, String)>,
}

/// A line of the table of all prompts.
struct Row<'a> {
    row: &'a AuditRow,
    cells: [String; 4],
}

impl<'a> Page<'a> {
    pub(super) fn new(audit: &'a Audit, folder: &AuditFolder) -> Result<Self, Error> {
        let is_shown = |row: &&AuditRow| !row.draws.is_empty() && is_of_interest(audit, row);
        let mut pictured: Vec<&AuditRow> = audit.rows.iter().filter(is_shown).collect();
        let left_out = pictured.len().saturating_sub(MOST_PICTURED);
        pictured.truncate(MOST_PICTURED);
        let evidence = pictured.into_iter().map(|row| Evidence::new(row, folder)).collect::<Result<_, _>>()?;
        let figure = split_figure(audit).map(|figure| figure.svg(Theme::Light)).transpose()?;
        let groups = audit.duplicates.as_ref().map_or(&[][..], |duplicates| &duplicates.groups);
        let shown = groups.len().min(MOST_GROUPS);
        Ok(Self {
            audit,
            style: STYLE,
            verdict: says::verdict(audit),
            found: says::found(audit),
            statement: statement(audit),
            checks: splits_say(audit),
            check_rows: check_rows(audit),
            check_figure: figure.map(|svg| format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg))),
            evidence,
            left_out,
            groups: pictures_of(&groups[..shown]),
            groups_left_out: groups.len() - shown,
            rows: audit.rows.iter().map(Row::new).collect(),
            checkpoints: audit
                .checkpoints
                .iter()
                .map(|row| {
                    let [members, copies] = [says::share(&row.members), says::share(&row.copies)];
                    [row.name.clone(), members, copies, format!("{:.3}", row.mean_score)]
                })
                .collect(),
            acceptable: audit.acceptable.as_ref().map(acceptable_says),
            next: says::next(audit),
            limits: says::limits(audit),
            glossary: says::glossary(audit),
            provenance: says::provenance(audit),
        })
    }
}

fn pictures_of(groups: &[Vec<DuplicatePicture>]) -> Vec<(usize, &DuplicatePicture, String)> {
    let numbered = groups.iter().enumerate().flat_map(|(i, group)| group.iter().map(move |picture| (i + 1, picture)));
    numbered.map(|(group, picture)| (group, picture, format!("{:.2}", picture.similarity))).collect()
}

/// Flagged and borderline prompts, and copies; without calibration prompts the highest ranks.
fn is_of_interest(audit: &Audit, row: &AuditRow) -> bool {
    const FIRST: usize = 10;
    match (&audit.claim, row.decision) {
        (Some(claim), Some(decision)) => {
            decision.q <= 2.0 * claim.fdr || matches!(row.copying, Answer::Yes | Answer::Sometimes) || row.rank <= 3
        }
        _ => row.rank <= FIRST || row.copying == Answer::Yes,
    }
}

/// Calibration, promised rate, share of false flags, share of audited prompts that are flagged, whether the promise was
/// kept.
fn check_rows(audit: &Audit) -> Vec<[String; 5]> {
    let fdr = audit.claim.as_ref().map(|claim| claim.fdr);
    let is_shown = |rate: f64| [0.05, 0.1, 0.2].contains(&rate) || Some(rate) == fdr;
    let mut rows = vec![];
    for check in &audit.splits {
        for level in check.levels.iter().filter(|level| is_shown(level.fdr)) {
            rows.push([
                format!("{} ({} prompts)", check.calibration, check.calibrating),
                percent(level.fdr),
                format!("{} ± {}", percent(level.false_share.mean), percent(level.false_share.error)),
                format!("{} ± {}", percent(level.power.mean), percent(level.power.error)),
                if level.is_broken() { "no" } else { "yes" }.to_owned(),
            ]);
        }
    }
    rows
}

impl<'a> Row<'a> {
    fn new(row: &'a AuditRow) -> Self {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
        let flagged = row.decision.map_or("–", |decision| if decision.flagged { "yes" } else { "no" });
        let decision = row.decision;
        Self {
            row,
            cells: [
                format!("{:.4}", row.score),
                number(decision.map(|decision| decision.p)),
                number(decision.map(|decision| decision.q)),
                flagged.to_owned(),
            ],
        }
    }
}
