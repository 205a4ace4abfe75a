//! What the page says in words.

use memscope_results::{
    Settings,
    audit::{Answer, Audit, AuditRow, AuditedModel, Share, percent},
};

fn count(audit: &Audit, of: impl Fn(&AuditRow) -> bool) -> usize {
    audit.rows.iter().filter(|row| of(row)).count()
}

fn is_flagged(row: &AuditRow) -> bool {
    row.decision.is_some_and(|decision| decision.flagged)
}

/// The answer in one sentence.
pub(super) fn verdict(audit: &Audit) -> String {
    let flagged = count(audit, is_flagged);
    let copied = count(audit, |row| row.copying == Answer::Yes);
    let drawn = count(audit, |row| row.copying != Answer::NotAsked);
    let tests = audit.rows.len();
    let copies = match (drawn, copied) {
        (0, _) => "nothing was drawn, so that copies were not looked for".to_owned(),
        (_, 0) => format!("none of the {drawn} that were drawn is copied in half of the draws or more"),
        _ => format!("{copied} of the {drawn} that were drawn are copied in half of the draws or more"),
    };
    match &audit.claim {
        None => format!("A ranking of {tests} prompts; without calibration prompts no decision is made; {copies}."),
        Some(claim) if claim.is_refused() => {
            format!("No decision: {} calibration prompts are too few for {tests} prompts; {copies}.", claim.calibration)
        }
        Some(_) if flagged == 0 => {
            format!("None of {tests} prompts stands out from prompts that were not trained on; {copies}.")
        }
        Some(_) if audit.rows.iter().any(|row| row.membership != Answer::NotAsked) => {
            format!("The model has learned {flagged} of {tests} pictures better than chance; {copies}.")
        }
        Some(_) => format!("{flagged} of {tests} prompts stand out; {copies}."),
    }
}

/// What was found, a line each.
pub(super) fn found(audit: &Audit) -> Vec<String> {
    let tests = audit.rows.len();
    let mut lines = vec![];
    let decided = count(audit, |row| row.decision.is_some());
    if decided > 0 {
        let flagged = count(audit, is_flagged);
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
        let unflagged = count(audit, |row| row.copying == Answer::Yes && row.decision.is_some() && !is_flagged(row));
        let unflagged = match unflagged {
            0 => String::new(),
            some => format!(" {some} of them are not flagged."),
        };
        lines.push(format!(
            "Copying (it draws the picture in at least half of the draws): {copied} of the {drawn} prompts that were drawn; \
             {sometimes} more in some draws.{unflagged}"
        ));
        if drawn < tests {
            lines.push(format!(
                "{} prompts of lower rank were not drawn, so that copies of them are not known.",
                tests - drawn
            ));
        }
    }
    if audit.rows.iter().any(|row| row.base_already != Answer::NotAsked) {
        let base = count(audit, |row| row.base_already == Answer::Yes);
        lines.push(format!(
            "Base or fine-tune: {base} of {tests} pictures stand out in the base model already; what stands out beside them \
             was added by the fine-tune."
        ));
    }
    let nearest = audit.rows.iter().filter_map(|row| row.nearest.first());
    let others: Vec<f64> = nearest.filter(|near| !near.own).map(|near| near.similarity).collect();
    if let Some(most) = others.iter().copied().reduce(f64::max) {
        lines.push(format!(
            "For {} of the prompts that were drawn the nearest training picture is that of another prompt (similarity up to \
             {most:.2}): see below whether it is a copy of that one.",
            others.len()
        ));
    }
    if let Some(duplicates) = &audit.duplicates {
        let groups = duplicates.groups.len();
        let inside: usize = duplicates.groups.iter().map(Vec::len).sum();
        lines.push(match groups {
            0 => format!("Near duplicates: none among {} training pictures.", duplicates.pictures),
            _ => {
                format!("Near duplicates: {inside} of {} training pictures, in {groups} group(s).", duplicates.pictures)
            }
        });
    }
    lines
}

/// A count with its share and interval.
pub(super) fn share(share: &Share) -> String {
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

/// Pictures that are named in a sentence.
const NAMED: usize = 20;

/// What can be done.
pub(super) fn next(audit: &Audit) -> Vec<String> {
    let stands_out = |row: &AuditRow| row.copying == Answer::Yes || is_flagged(row);
    if !audit.rows.iter().any(stands_out) {
        return vec![];
    }
    let copied = audit.rows.iter().filter(|row| matches!(row.copying, Answer::Yes | Answer::Sometimes));
    let copied: Vec<&str> = copied.filter_map(|row| row.picture.as_deref()).collect();
    let mut lines = vec![];
    if !copied.is_empty() {
        let more = copied.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more (audit.csv, column copying)") } else { String::new() };
        let named = copied[..copied.len().min(NAMED)].join(", ");
        lines.push(format!(
            "Train again without the pictures that are copied, or show them less often than others: {named}{more}."
        ));
    }
    lines.push(match &audit.duplicates {
        Some(duplicates) if duplicates.groups.is_empty() => {
            "No picture has a near duplicate in the training set, so that repeats (epochs, repeat counts) are what is left to \
             lower."
                .to_owned()
        }
        Some(_) => "Drop the near duplicates below: pictures that occur several times are copied first.".to_owned(),
        None => "Look for pictures that occur several times in the training set, which are copied first: give --judges here, \
                 or memscope duplicates."
            .to_owned(),
    });
    if audit.base.is_some() && audit.checkpoints.is_empty() {
        lines.push(
            "An earlier checkpoint or a lower LoRA scale copies less: --lora-scale 0.25,0.5,0.75,1 shows where it ends, and \
             --acceptable 'copied<10%' names the last that will do."
                .to_owned(),
        );
    }
    lines.push(match &audit.mitigation {
        Some(method) => format!(
            "For a model that is in use already: the pictures “instead” below are drawn by the mitigation {method} from the \
             same noises. memscope mitigate has it and others."
        ),
        None => "For a model that is in use already, memscope mitigate draws a prompt in ways that avoid the picture.".to_owned(),
    });
    lines
}

/// What this audit does not say.
pub(super) fn limits(audit: &Audit) -> Vec<String> {
    let mut lines = vec![
        "A prompt that is not flagged is not shown to be safe: other prompts, seeds and settings can bring a picture out.",
        "The promise is about shares of many flags, not about a single one.",
        "“The model has learned a picture” is a statement about numbers, not about rights; what a copy is in law is not \
         decided here.",
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
    lines.into_iter().map(str::to_owned).collect()
}

/// The words of the page.
pub(super) fn glossary(audit: &Audit) -> Vec<(&'static str, String)> {
    let mut words =
        vec![("Score", format!("the number that decides ({}); higher means more learned by heart.", audit.statistic))];
    if let Some(claim) = &audit.claim {
        words.extend([
            (
                "p",
                "how often a prompt that was not trained on would score at least as high, estimated with the calibration \
                 prompts."
                    .to_owned(),
            ),
            (
                "q, flagged",
                format!(
                    "q is the smallest false discovery rate at which the prompt would be flagged; it is flagged where q is at \
                     most {}.",
                    percent(claim.fdr)
                ),
            ),
            (
                "False discovery rate",
                "the expected share of prompts among the flagged ones that were flagged by chance.".to_owned(),
            ),
            (
                "Calibration prompts",
                "prompts that the model was not trained on; they show how an ordinary prompt scores.".to_owned(),
            ),
        ]);
    }
    words.push(("Membership", "the model fits prompt and picture better than it fits others of the kind.".to_owned()));
    words.push(("Copying", "what the model draws for the prompt is the training picture.".to_owned()));
    if audit.rows.iter().any(|row| row.draws.iter().any(|draw| draw.similarity.is_some())) {
        words.push((
            "Similarity",
            "the cosine of two pictures' copy descriptors: 1 for the same picture, near 0 for unrelated ones."
                .to_owned(),
        ));
    }
    words
}

/// Where it comes from.
pub(super) fn provenance(audit: &Audit) -> Vec<(&'static str, String)> {
    let model = |model: &AuditedModel| format!("{}, sha256 {}, {}", model.source, model.fingerprint, model.arithmetic);
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
    let listed = |settings: &Settings| {
        settings.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join("; ")
    };
    facts.push(("Scores", listed(&audit.settings)));
    if !audit.drawing.is_empty() {
        facts.push(("Drawn", listed(&audit.drawing)));
    }
    facts.extend(audit.claim.as_ref().map(|claim| {
        ("Decision", format!("false discovery rate {}, p-values {}", percent(claim.fdr), claim.guarantee))
    }));
    facts.extend(audit.copy_rule.clone().map(|rule| ("Copies", rule)));
    facts.push(("Files", "audit.csv (all prompts), audit.json (everything on this page), pictures/".to_owned()));
    facts.push(("Program", audit.software.clone()));
    facts.push(("Made", audit.made.clone()));
    facts
}
