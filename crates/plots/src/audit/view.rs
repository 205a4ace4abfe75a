//! What the template shows.

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use memscope_results::audit::{Answer, Audit, AuditFolder, AuditRow, Share, percent, statement};

use crate::Error;

const STYLE: &str = include_str!("style.css");

/// Prompts with evidence pictures, at most: what a page can carry.
const MOST_PICTURED: usize = 40;

#[derive(Template)]
#[template(path = "audit/page.html", whitespace = "minimize")]
pub(super) struct Page<'a> {
    audit: &'a Audit,
    style: &'static str,
    verdict: String,
    found: Vec<String>,
    statement: Vec<String>,
    evidence: Vec<Evidence<'a>>,
    left_out: usize,
    rows: Vec<Row<'a>>,
    checkpoints: Vec<[String; 4]>,
    next: Vec<&'static str>,
    limits: Vec<&'static str>,
    provenance: Vec<(&'static str, String)>,
}

/// A prompt with its pictures.
struct Evidence<'a> {
    row: &'a AuditRow,
    verdict: String,
    training: Option<String>,
    draws: Vec<(String, String)>,
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
        Ok(Self {
            audit,
            style: STYLE,
            verdict: verdict(audit),
            found: found(audit),
            statement: statement(audit),
            evidence,
            left_out,
            rows: audit.rows.iter().map(Row::new).collect(),
            checkpoints: audit
                .checkpoints
                .iter()
                .map(|row| {
                    [row.name.clone(), share(&row.members), share(&row.copies), format!("{:.3}", row.mean_score)]
                })
                .collect(),
            next: next(audit),
            limits: limits(audit),
            provenance: provenance(audit),
        })
    }
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

impl<'a> Evidence<'a> {
    fn new(row: &'a AuditRow, folder: &AuditFolder) -> Result<Self, Error> {
        let source = |name: &str| -> Result<String, Error> {
            let bytes = folder.picture(name)?;
            let kind = if bytes.starts_with(&[0xff, 0xd8]) { "jpeg" } else { "png" };
            Ok(format!("data:image/{kind};base64,{}", STANDARD.encode(bytes)))
        };
        let draw = |draw: &memscope_results::audit::Draw| -> Result<(String, String), Error> {
            let mut said = match draw.copy {
                Some(true) => "copy".to_owned(),
                Some(false) => "no copy".to_owned(),
                None => String::new(),
            };
            if let Some(similarity) = draw.similarity {
                said.push_str(&format!(", similarity {similarity:.2}"));
            } else if let Some(distance) = draw.distance {
                said.push_str(&format!(", differs by {distance:.2}"));
            }
            Ok((source(&draw.file)?, said))
        };
        Ok(Self {
            row,
            verdict: words(row),
            training: row.training_file.as_deref().map(source).transpose()?,
            draws: row.draws.iter().map(draw).collect::<Result<_, _>>()?,
        })
    }
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

/// One prompt's verdict in words.
fn words(row: &AuditRow) -> String {
    let flagged = match row.decision {
        Some(decision) if decision.flagged => "flagged",
        Some(_) => "not flagged",
        None => "ranked only",
    };
    let mut parts = vec![format!("rank {}, {flagged}", row.rank)];
    if let Some(decision) = row.decision {
        parts.push(format!("p = {:.4}, q = {:.4}", decision.p, decision.q));
    }
    parts.extend(match row.membership {
        Answer::Yes => Some("the model fits this picture better than chance (member)".to_owned()),
        Answer::No => Some("no sign that it was trained on".to_owned()),
        _ => None,
    });
    parts.extend(match row.copying {
        Answer::Yes => Some("it draws the picture".to_owned()),
        Answer::Sometimes => Some("it draws the picture sometimes".to_owned()),
        Answer::No => Some("none of these draws is a copy".to_owned()),
        Answer::NotAsked => None,
    });
    if row.base_already == Answer::Yes {
        parts.push("the base model knew it already".to_owned());
    }
    parts.join("; ")
}

fn count(audit: &Audit, of: impl Fn(&AuditRow) -> bool) -> usize {
    audit.rows.iter().filter(|row| of(row)).count()
}

/// The answer in one sentence.
fn verdict(audit: &Audit) -> String {
    let flagged = count(audit, |row| row.decision.is_some_and(|decision| decision.flagged));
    let copied = count(audit, |row| row.copying == Answer::Yes);
    let tests = audit.rows.len();
    match &audit.claim {
        None => format!("A ranking of {tests} prompts; without calibration prompts no decision is made."),
        Some(claim) if claim.is_refused() => {
            format!("No decision: {} calibration prompts are too few for {tests} prompts.", claim.calibration)
        }
        Some(_) if flagged == 0 => format!("None of {tests} prompts stands out from prompts that were not trained on."),
        Some(_) => format!("{flagged} of {tests} prompts stand out; of those drawn, {copied} give copies."),
    }
}

/// What was found, a line each.
fn found(audit: &Audit) -> Vec<String> {
    let tests = audit.rows.len();
    let mut lines = vec![];
    let decided = count(audit, |row| row.decision.is_some());
    if decided > 0 {
        let flagged = count(audit, |row| row.decision.is_some_and(|decision| decision.flagged));
        lines.push(format!("Flagged: {}.", share(&Share::new(flagged, decided))));
    }
    if audit.rows.iter().any(|row| row.membership != Answer::NotAsked) {
        let members = count(audit, |row| row.membership == Answer::Yes);
        lines.push(format!(
            "Membership (the model fits prompt and picture better than chance): {members} of {tests}. It can be seen before \
             anything is reproduced, and is not by itself a copy."
        ));
    }
    let drawn = count(audit, |row| row.copying != Answer::NotAsked);
    if drawn > 0 {
        let copied = count(audit, |row| row.copying == Answer::Yes);
        let sometimes = count(audit, |row| row.copying == Answer::Sometimes);
        lines.push(format!(
            "Copying (it draws the picture): {copied} of the {drawn} prompts that were drawn, {sometimes} more in some draws."
        ));
    }
    if audit.rows.iter().any(|row| row.base_already != Answer::NotAsked) {
        let base = count(audit, |row| row.base_already == Answer::Yes);
        lines.push(format!("Base or fine-tune: {base} of {tests} pictures stand out in the base model already."));
    }
    lines
}

fn share(share: &Share) -> String {
    match share.interval {
        Some(interval) => format!(
            "{} of {} ({}; 95 % interval {} to {})",
            share.hits,
            share.of,
            percent(share.hits as f64 / share.of as f64),
            percent(interval.low),
            percent(interval.high)
        ),
        None => "not asked".to_owned(),
    }
}

/// What can be done.
fn next(audit: &Audit) -> Vec<&'static str> {
    let stands_out =
        |row: &AuditRow| row.copying == Answer::Yes || row.decision.is_some_and(|decision| decision.flagged);
    if !audit.rows.iter().any(stands_out) {
        return vec![];
    }
    let mut lines = vec![
        "Look first for pictures that occur several times in the training set: duplication causes copies. Drop or de-duplicate \
         the pictures named here, and train again.",
    ];
    if audit.model.source != audit.base.as_ref().map_or("", |base| base.source.as_str()) && audit.base.is_some() {
        lines.push(
            "An earlier checkpoint or a lower LoRA scale copies less: memscope audit --lora-scale 0.25,0.5,0.75,1 shows where \
             it ends.",
        );
    }
    lines.push("memscope mitigate draws a prompt in ways that avoid the picture.");
    lines
}

fn limits(audit: &Audit) -> Vec<&'static str> {
    let mut lines = vec![
        "A prompt that is not flagged is not shown to be safe: other prompts, seeds and settings can bring a picture out.",
        "The promise is about shares of many flags, not about a single one.",
    ];
    if audit.calibration.is_some() {
        lines.push(
            "The promise ends where the calibration prompts are of another kind than the audited ones, or were trained on.",
        );
    }
    if !audit.with_pictures {
        lines.push("No training pictures were given: what is drawn cannot be compared with them.");
    }
    if audit.base.is_none() {
        lines.push("No base model was asked: what it knew already cannot be told from what fine-tuning added.");
    }
    lines
}

fn provenance(audit: &Audit) -> Vec<(&'static str, String)> {
    let model = |model: &memscope_results::audit::AuditedModel| {
        format!("{}, sha256 {}, {}", model.source, model.fingerprint, model.arithmetic)
    };
    let mut facts = vec![("Model", model(&audit.model))];
    facts.extend(audit.base.as_ref().map(|base| ("Base", model(base))));
    facts.push(("Audited", format!("{} ({} prompts)", audit.subject, audit.rows.len())));
    facts.extend(
        audit
            .calibration
            .as_ref()
            .map(|calibration| ("Calibration", format!("{} ({} prompts)", calibration.source, calibration.prompts))),
    );
    facts.push(("Statistic", audit.statistic.clone()));
    let settings: Vec<String> = audit.settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
    facts.push(("Settings", settings.join("; ")));
    facts.extend(audit.claim.as_ref().map(|claim| {
        ("Decision", format!("false discovery rate {}, p-values {}", percent(claim.fdr), claim.guarantee))
    }));
    facts.push(("Program", audit.software.clone()));
    facts.push(("Made", audit.made.clone()));
    facts
}
