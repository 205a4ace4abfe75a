//! What an audit shows of a prompt beside its score, and what follows from it.

use serde::{Deserialize, Serialize};

/// Answers to a question of yes and no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes.
    Yes,
    /// In some draws.
    Sometimes,
    /// No sign of it.
    No,
    /// It was not looked at, or could not be.
    NotAsked,
}

impl Answer {
    /// As it stands in a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Sometimes => "sometimes",
            Self::No => "no",
            Self::NotAsked => "not asked",
        }
    }
}

/// A picture that the model drew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Its file, below the audit's folder.
    pub file: String,
    /// Pixel RMS to the training picture, 0..=1, where both have one size.
    pub distance: Option<f64>,
    /// Copy similarity to the training picture by a judge.
    pub similarity: Option<f64>,
    /// Whether it counts as a copy; `None` where that cannot be told.
    pub copy: Option<bool>,
}

/// A training picture that a draw is like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearPicture {
    /// Its name.
    pub picture: String,
    /// Its file, below the audit's folder.
    pub file: String,
    /// Whether it is the prompt's own.
    pub own: bool,
    /// Largest copy similarity of a draw to it.
    pub similarity: f64,
    /// The file of that draw.
    pub draw: String,
    /// File with both pictures, reddened where the similarity comes from; the nearest one alone has it.
    pub map: Option<String>,
}

/// A word of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordShare {
    /// The word.
    pub word: String,
    /// Its share of the gradient norms of all words: how much of what the prompt does to the drawing it does.
    pub share: f64,
}

/// What a mitigation draws for a prompt instead, from the same noises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// What it draws.
    pub draws: Vec<Draw>,
    /// Mean pixel RMS between two of them, 0..=1.
    pub diversity: Option<f64>,
    /// Mean alignment of picture and prompt by a judge, before and after.
    pub alignment: Option<[f64; 2]>,
    /// The detector's score of what is drawn instead, where a detector decides.
    pub score: Option<f64>,
}

/// Training pictures that are nearly the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicates {
    /// What counts as nearly the same, in one sentence.
    pub rule: String,
    /// Pictures that were compared.
    pub pictures: usize,
    /// Groups, the largest first.
    pub groups: Vec<Vec<DuplicatePicture>>,
}

/// A picture of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuplicatePicture {
    /// Its name.
    pub picture: String,
    /// Its prompt.
    pub prompt: String,
    /// Rank of the prompt.
    pub rank: usize,
    /// Similarity to the nearest of the group.
    pub similarity: f64,
    /// Whether the prompt is flagged.
    pub flagged: bool,
    /// Whether the prompt draws its picture.
    pub copying: Answer,
    /// Whether it may stay where one picture of a group is kept: the first of them.
    pub keep: bool,
}

/// Which checkpoint may be used, by a limit that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptableCheckpoint {
    /// The limit, such as `copied<0.1`.
    pub limit: String,
    /// The last checkpoint in the order given whose share is below the limit.
    pub last: Option<String>,
    /// The last one of which the whole 95 % interval is.
    pub surely: Option<String>,
}
