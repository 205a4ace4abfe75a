//! From scores and draws to the record of an audit.

use memscope_eval::{
    audit::CalibrationFile,
    manifest::{COMMIT, utc_now},
    score::is_copied,
    tasks::{VERBATIM, is_verbatim},
};
use memscope_results::{
    Settings,
    audit::{Answer, Audit, AuditRow, CalibrationRecord, Claim, Decision, FORMAT, Share},
};

use super::{
    SOFTWARE,
    decisions::{Decided, splits},
    input::Asked,
    measure::Measured,
    shown::{FurtherEvidence, JudgedDraws, duplicates, judged_draws, picture_name},
};
use crate::{args, exit_code::UserError};

/// Puts the record together; names of pictures are those that they will have below the audit's folder.
pub(crate) fn audit(
    args: &args::Audit,
    asked: &Asked,
    measured: &Measured,
    calibration: Option<&CalibrationFile>,
) -> anyhow::Result<Audit> {
    let statistic = asked.plan.settings.statistic;
    let Decided { decisions, claim, base, calibration: compared } =
        Decided::new(args, asked, &measured.scores, calibration)?;
    let splits = splits(args, asked, &measured.scores, calibration)?;
    let conditions = &measured.scores.conditions;
    let drawn = measured.evidence.as_ref().map(|(drawing, store)| judged_draws(drawing, store)).unwrap_or_default();
    let beside = FurtherEvidence::new(asked, measured)?;
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
            nearest: beside.nearest(asked, at, &seen.draws),
            words: measured.extras.words.get(&at).cloned().unwrap_or_default(),
            alternative: beside.alternatives.get(&at).map(|alternative| alternative.beside(&seen)),
            draws: seen.draws,
            diversity: seen.diversity,
        }
    };
    let rows: Vec<AuditRow> = measured.scores.ranking(asked.plan.audited).iter().enumerate().map(row).collect();
    let threshold = measured.evidence.as_ref().and_then(|(drawing, _)| drawing.judging.copy_threshold());
    let copy_rule = rows.iter().any(|row| !row.draws.is_empty()).then(|| copy_rule(&rows, threshold));
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
        drawing: drawing(args, asked, measured)?,
        warnings: warnings(asked, compared.as_ref(), claim.as_ref()),
        calibration: compared,
        claim,
        splits,
        copy_rule,
        duplicates: duplicates(asked, measured, &rows),
        mitigation: measured.extras.alternatives.as_ref().map(|drawing| drawing.draws.methods[0].label.clone()),
        rows,
        checkpoints: vec![],
        acceptable: None,
    })
}

/// How the evidence was drawn and looked at.
fn drawing(args: &args::Audit, asked: &Asked, measured: &Measured) -> anyhow::Result<Settings> {
    let mut settings = Settings::new();
    let Some((drawing, _)) = &measured.evidence else { return Ok(settings) };
    let of = &asked.plan.settings;
    let mut put = |key: &str, value: String| settings.insert(key.to_owned(), value);
    put("draws", of.draws.to_string());
    put("DDIM steps", of.sampling.steps.to_string());
    put("guidance", of.sampling.guidance.to_string());
    put("noise", format!("{}, seed {}", of.generator, of.seed()));
    if !measured.extras.words.is_empty() {
        put("noises for words", args.words.to_string());
    }
    let judges = drawing.judging.judges()?;
    if !judges.is_empty() {
        put("judges", format!("{} ({})", args.judges.as_deref().unwrap_or_default(), judges.join(", ")));
    }
    Ok(settings)
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

/// Whether the picture is drawn; without pictures to compare with, whether all draws are one picture.
fn copying(seen: &JudgedDraws) -> Answer {
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

fn copy_rule(rows: &[AuditRow], threshold: Option<f64>) -> String {
    let draws = || rows.iter().flat_map(|row| &row.draws);
    if let Some(threshold) = threshold.filter(|_| draws().any(|draw| draw.similarity.is_some())) {
        format!(
            "A draw is a copy where its similarity to the training picture, by a copy descriptor, is above {threshold}. “Yes” \
             are prompts of which at least half of the draws are copies."
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

fn warnings(asked: &Asked, compared: Option<&CalibrationRecord>, claim: Option<&Claim>) -> Vec<String> {
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
    if compared.is_some_and(|compared| compared.source.contains("ordinary")) {
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
