//! From scores and draws to the record of an audit.

use std::collections::HashMap;

use memscope_eval::{
    MeasurementStore,
    audit::{CalibrationFile, Drawing, is_copy},
    manifest::{COMMIT, utc_now},
    score::{COPY, VERBATIM, is_copied, is_verbatim},
};
use memscope_results::audit::{
    Answer, Audit, AuditRow, CalibrationRecord, Claim, Decision, Draw, FORMAT, Share, decide,
};

use super::{SOFTWARE, input::Asked, measure::Measured};
use crate::{args, exit_code::UserError};

/// Numbers of the calibration prompts: one list for each condition, and the base's.
struct Calibrating {
    record: CalibrationRecord,
    conditions: Vec<Vec<f64>>,
    base: Option<Vec<f64>>,
}

/// Puts the record together; names of pictures are those that they will have below the audit's folder.
pub(crate) fn audit(
    args: &args::Audit,
    asked: &Asked,
    measured: &Measured,
    calibration: Option<&CalibrationFile>,
) -> anyhow::Result<Audit> {
    let statistic = asked.plan.settings.statistic;
    let audited = asked.plan.audited;
    let own = |values: &Vec<f64>| values[..audited].to_vec();
    let conditions: Vec<Vec<f64>> = measured.scores.conditions.iter().map(own).collect();
    let calibrating = calibrating(asked, measured, calibration);
    let (decisions, claim) = match &calibrating {
        Some(calibrating) => {
            let paired: Vec<_> = conditions.iter().cloned().zip(calibrating.conditions.clone()).collect();
            let (decisions, claim) = decide(&paired, args.fdr, args.guarantee)?;
            (Some(decisions), Some(claim))
        }
        None => (None, None),
    };
    let base = match (&calibrating, &measured.scores.base) {
        (Some(Calibrating { base: Some(known), .. }), Some(base)) => {
            Some(decide(&[(own(base), known.clone())], args.fdr, args.guarantee)?.0)
        }
        _ => None,
    };
    let drawn = measured.evidence.as_ref().map(drawn).unwrap_or_default();
    let first = conditions.first().ok_or_else(|| UserError::input("there is nothing to audit"))?;
    let row = |(rank, at): (usize, &usize)| {
        let (at, item) = (*at, &asked.plan.items[*at]);
        let decision = decisions.as_ref().map(|decisions| decisions[at]);
        let seen = drawn.get(&at).cloned().unwrap_or_default();
        AuditRow {
            rank: rank + 1,
            prompt: item.prompt.to_string(),
            picture: item.picture.as_ref().map(memscope_eval::tasks::TrainingPicture::label),
            score: first[at],
            second_score: conditions.get(1).map(|second| second[at]),
            decision,
            membership: match decision {
                Some(decision) if statistic.is_of_pictures() => yes_or_no(decision),
                _ => Answer::NotAsked,
            },
            copying: copying(&seen),
            base_already: base.as_ref().map_or(Answer::NotAsked, |base| yes_or_no(base[at])),
            training_file: item
                .picture
                .as_ref()
                .filter(|_| !seen.draws.is_empty())
                .map(|picture| picture_name(picture.hash())),
            draws: seen.draws,
            diversity: seen.diversity,
        }
    };
    let rows: Vec<AuditRow> = measured.scores.ranking(audited).iter().enumerate().map(row).collect();
    let copy_rule = rows.iter().any(|row| !row.draws.is_empty()).then(|| copy_rule(&rows));
    Ok(Audit {
        format: FORMAT,
        software: format!("{SOFTWARE}, commit {COMMIT}"),
        made: utc_now(),
        command: command(),
        model: measured.model.clone(),
        base: measured.base.clone(),
        subject: asked.subject.name.clone(),
        with_pictures: args.scores.pictures.is_some(),
        statistic: statistic.to_string(),
        statistic_says: statistic.says(),
        settings: asked.plan.settings.of_scores(),
        warnings: warnings(asked, calibrating.as_ref(), claim.as_ref()),
        calibration: calibrating.map(|calibrating| calibrating.record),
        claim,
        copy_rule,
        rows,
        checkpoints: vec![],
    })
}

fn yes_or_no(decision: Decision) -> Answer {
    if decision.flagged { Answer::Yes } else { Answer::No }
}

/// The program with its arguments, quoted where a shell needs it.
fn command() -> String {
    let plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c));
    let quoted = |text: String| if plain(&text) { text } else { format!("'{}'", text.replace('\'', r"'\''")) };
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(argument.to_string_lossy().into_owned()));
    std::iter::once("memscope".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn calibrating(asked: &Asked, measured: &Measured, file: Option<&CalibrationFile>) -> Option<Calibrating> {
    let audited = asked.plan.audited;
    if let Some(held_out) = &asked.held_out {
        let own = |values: &Vec<f64>| values[audited..].to_vec();
        let prompts = held_out.items.len();
        return Some(Calibrating {
            record: CalibrationRecord { source: held_out.name.clone(), prompts, held_out: true },
            conditions: measured.scores.conditions.iter().map(own).collect(),
            base: measured.scores.base.as_ref().map(own),
        });
    }
    let file = file?;
    let conditions = file.scores.first().map_or(0, |score| score.conditions.len());
    let column = |i: usize| file.scores.iter().map(|score| score.conditions[i]).collect();
    Some(Calibrating {
        record: CalibrationRecord { source: file.source.clone(), prompts: file.scores.len(), held_out: false },
        conditions: (0..conditions).map(column).collect(),
        base: file.scores.iter().map(|score| score.base).collect(),
    })
}

/// What was drawn for a prompt.
#[derive(Clone, Default)]
struct Seen {
    draws: Vec<Draw>,
    diversity: Option<f64>,
}

/// The name of a picture below an audit's folder.
pub(crate) fn picture_name(hash: &str) -> String {
    format!("training-{}.png", &hash[..hash.len().min(16)])
}

fn drawn((drawing, store): &(Drawing, MeasurementStore)) -> HashMap<usize, Seen> {
    let mut all = HashMap::new();
    for (unit, item) in drawing.items.iter().enumerate() {
        let looks = drawing.judging.read(unit, store).unwrap_or_default();
        let of = |column: &Option<Vec<f64>>, i: usize| column.as_ref().and_then(|column| column.get(i).copied());
        let draw = |(i, path): (usize, std::path::PathBuf)| {
            let (distance, similarity) = (of(&looks.distance, i), of(&looks.similarity, i));
            let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            Draw { file, distance, similarity, copy: is_copy(distance, similarity) }
        };
        let draws = drawing.draws.pictures(unit).into_iter().enumerate().map(draw).collect();
        all.insert(*item, Seen { draws, diversity: looks.diversity });
    }
    all
}

/// Whether the picture is drawn; without pictures to compare with, whether all draws are one picture.
fn copying(seen: &Seen) -> Answer {
    let known: Vec<bool> = seen.draws.iter().filter_map(|draw| draw.copy).collect();
    let copies = known.iter().filter(|copy| **copy).count();
    match (known.len(), seen.diversity) {
        (0, Some(diversity)) if is_verbatim(diversity) => Answer::Yes,
        (0, Some(_)) => Answer::No,
        (0, None) => Answer::NotAsked,
        _ if copies == 0 => Answer::No,
        (all, _) if is_copied(copies as f64 / all as f64) => Answer::Yes,
        _ => Answer::Sometimes,
    }
}

fn copy_rule(rows: &[AuditRow]) -> String {
    let draws = || rows.iter().flat_map(|row| &row.draws);
    if draws().any(|draw| draw.similarity.is_some()) {
        format!(
            "A draw is a copy where its similarity to the training picture, by a copy descriptor, is above {COPY}. “Yes” are \
             prompts of which at least half of the draws are copies."
        )
    } else if draws().any(|draw| draw.distance.is_some()) {
        format!(
            "A draw is a copy where it differs from the training picture by at most {VERBATIM} (root mean square over \
             pixels, 0 to 1). “Yes” are prompts of which at least half of the draws are copies. This rule is made for \
             pictures of some tens of pixels; for larger ones give --judges."
        )
    } else {
        format!(
            "There is no training picture to compare with: “yes” are prompts whose draws all are one picture (mean difference \
             of at most {VERBATIM}), which ordinary prompts do not have."
        )
    }
}

fn warnings(asked: &Asked, calibrating: Option<&Calibrating>, claim: Option<&Claim>) -> Vec<String> {
    let subjects = std::iter::once(&asked.subject).chain(&asked.held_out);
    let mut warnings: Vec<String> = subjects.flat_map(|subject| subject.warnings.clone()).collect();
    if let Some(held_out) = &asked.held_out {
        let known: std::collections::HashSet<&str> = asked.subject.items.iter().map(|item| &*item.prompt).collect();
        let pairs: std::collections::HashSet<&str> = asked
            .subject
            .items
            .iter()
            .filter_map(|item| item.picture.as_ref().map(memscope_eval::tasks::TrainingPicture::hash))
            .collect();
        let is_both = |item: &memscope_eval::audit::SubjectItem| match &item.picture {
            Some(picture) if !pairs.is_empty() => pairs.contains(picture.hash()),
            _ => known.contains(&*item.prompt),
        };
        let both = held_out.items.iter().filter(|item| is_both(item)).count();
        if both > 0 {
            warnings.push(format!(
                "{both} of the held-out prompts or pictures are audited, too; they were trained on, or are no test"
            ));
        }
    }
    if calibrating.is_some_and(|calibrating| calibrating.record.source.contains("ordinary")) {
        warnings
            .push("The ordinary captions of memscope calibrate no style: they say little about a fine-tune.".into());
    }
    if claim.is_some_and(Claim::is_refused) {
        warnings.push("The calibration prompts are too few for what was asked.".into());
    }
    warnings
}

/// Prompts that were flagged.
pub(crate) fn members(audit: &Audit) -> Share {
    let flagged = audit.rows.iter().filter(|row| row.decision.is_some_and(|decision| decision.flagged)).count();
    Share::new(flagged, audit.rows.iter().filter(|row| row.decision.is_some()).count())
}

/// Prompts that are copied in at least half of their draws.
pub(crate) fn copies(audit: &Audit) -> Share {
    let asked = audit.rows.iter().filter(|row| row.copying != Answer::NotAsked).count();
    Share::new(audit.rows.iter().filter(|row| row.copying == Answer::Yes).count(), asked)
}
