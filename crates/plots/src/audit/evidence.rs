//! What the page shows of one prompt.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memscope_results::audit::{Alternative, Answer, AuditFolder, AuditRow, Draw, NearPicture, WordShare, percent};

use crate::Error;

/// A prompt with its pictures.
pub(super) struct Evidence<'a> {
    pub(super) row: &'a AuditRow,
    pub(super) verdict: String,
    pub(super) training: Option<String>,
    pub(super) draws: Vec<Captioned>,
    pub(super) agreement: Option<String>,
    pub(super) nearest: Vec<Captioned>,
    pub(super) map: Option<String>,
    pub(super) words: Vec<Word<'a>>,
    pub(super) alternative: Option<Instead>,
}

/// A picture with what is said below it.
pub(super) struct Captioned {
    pub(super) source: String,
    pub(super) said: String,
}

/// A word with its share in percent, and the opacity of its mark.
pub(super) struct Word<'a> {
    pub(super) word: &'a str,
    pub(super) share: String,
    pub(super) strength: String,
}

/// What a mitigation draws.
pub(super) struct Instead {
    pub(super) said: String,
    pub(super) draws: Vec<Captioned>,
}

/// A picture of the folder as a source of an image; the small version where there is one.
fn source(folder: &AuditFolder, name: &str) -> Result<String, Error> {
    let bytes = folder.shown_picture(name)?;
    let kind = if bytes.starts_with(&[0xff, 0xd8]) { "jpeg" } else { "png" };
    Ok(format!("data:image/{kind};base64,{}", STANDARD.encode(bytes)))
}

fn captioned(folder: &AuditFolder, draw: &Draw) -> Result<Captioned, Error> {
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
    Ok(Captioned { source: source(folder, &draw.file)?, said })
}

impl<'a> Evidence<'a> {
    pub(super) fn new(row: &'a AuditRow, folder: &AuditFolder) -> Result<Self, Error> {
        let near = |near: &NearPicture| -> Result<Captioned, Error> {
            let own = if near.own { ", its own" } else { "" };
            let said = format!("{}{own}: similarity {:.2}", near.picture, near.similarity);
            Ok(Captioned { source: source(folder, &near.file)?, said })
        };
        let map = row.nearest.first().and_then(|near| near.map.as_deref());
        Ok(Self {
            row,
            verdict: verdict(row),
            training: row.training_file.as_deref().map(|name| source(folder, name)).transpose()?,
            draws: row.draws.iter().map(|draw| captioned(folder, draw)).collect::<Result<_, _>>()?,
            agreement: agreement(row),
            nearest: row.nearest.iter().map(near).collect::<Result<_, _>>()?,
            map: map.map(|name| source(folder, name)).transpose()?,
            words: words(&row.words),
            alternative: row.alternative.as_ref().map(|other| instead(row, other, folder)).transpose()?,
        })
    }
}

/// One prompt's verdict in words.
fn verdict(row: &AuditRow) -> String {
    let flagged = match row.decision {
        Some(decision) if decision.flagged => "flagged",
        Some(_) => "not flagged",
        None => "ranked only",
    };
    let mut parts = vec![format!("Rank {}, {flagged}", row.rank)];
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
    parts.extend(match row.base_already {
        Answer::Yes => Some("the base model knew it already".to_owned()),
        Answer::No => Some("the base model did not know it".to_owned()),
        _ => None,
    });
    parts.join("; ")
}

/// Whether the draws are one picture.
fn agreement(row: &AuditRow) -> Option<String> {
    let diversity = row.diversity?;
    Some(format!(
        "Agreement of the {} draws: they differ from one another by {diversity:.2} on average (0: one and the same picture, \
         whatever the noise).",
        row.draws.len()
    ))
}

fn words(shares: &[WordShare]) -> Vec<Word<'_>> {
    /// How strongly the word that does the most is marked.
    const STRONGEST: f64 = 0.35;
    let most = shares.iter().map(|word| word.share).fold(f64::MIN_POSITIVE, f64::max);
    let mut words = vec![];
    for WordShare { word, share } in shares {
        let strength = format!("{:.2}", STRONGEST * share / most);
        words.push(Word { word, share: percent((100.0 * share).round() / 100.0), strength });
    }
    words
}

/// How many of some draws are copies, in words; nothing where that is not known.
fn copies(draws: &[Draw]) -> Option<String> {
    let known: Vec<bool> = draws.iter().filter_map(|draw| draw.copy).collect();
    let count = known.iter().filter(|copy| **copy).count();
    (!known.is_empty()).then(|| format!("{count} of {}", known.len()))
}

fn mean(draws: &[Draw], of: fn(&Draw) -> Option<f64>) -> Option<f64> {
    let known: Vec<f64> = draws.iter().filter_map(of).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

type NumberOf = fn(&Draw) -> Option<f64>;

fn instead(row: &AuditRow, other: &Alternative, folder: &AuditFolder) -> Result<Instead, Error> {
    let mut said = vec![];
    if let (Some(before), Some(after)) = (copies(&row.draws), copies(&other.draws)) {
        said.push(format!("copies {after} (before: {before})"));
    }
    let numbers: [(&str, NumberOf); 2] =
        [("similarity", |draw| draw.similarity), ("difference to the training picture", |draw| draw.distance)];
    for (name, of) in numbers {
        if let (Some(before), Some(after)) = (mean(&row.draws, of), mean(&other.draws, of)) {
            said.push(format!("mean {name} {after:.2} ({before:.2})"));
        }
    }
    if let Some([before, after]) = other.alignment {
        said.push(format!("alignment with the prompt {after:.2} ({before:.2})"));
    }
    if let Some(score) = other.score {
        said.push(format!("score {score:.4} ({:.4})", row.score));
    }
    let draws = other.draws.iter().map(|draw| captioned(folder, draw)).collect::<Result<_, _>>()?;
    Ok(Instead { said: said.join("; "), draws })
}
