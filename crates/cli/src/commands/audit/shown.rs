//! What was drawn, what it is like, and what can be drawn instead, as the record has it.

use std::collections::HashMap;

use memscope_eval::{
    MeasurementStore,
    audit::{Drawing, NearestPicture},
    tasks::TrainingPicture,
};
use memscope_judges::Judge as _;
use memscope_results::audit::{Alternative, AuditRow, Draw, DuplicatePicture, Duplicates, NearPicture};

use super::{input::Asked, measure::Measured};
use crate::commands::pictures::COSINE;

/// What was drawn for a prompt.
#[derive(Clone, Default)]
pub(crate) struct JudgedDraws {
    pub(crate) draws: Vec<Draw>,
    pub(crate) diversity: Option<f64>,
    alignment: Option<f64>,
    score: Option<f64>,
}

impl JudgedDraws {
    /// As an alternative to what was drawn before.
    pub(crate) fn beside(&self, before: &Self) -> Alternative {
        Alternative {
            draws: self.draws.clone(),
            diversity: self.diversity,
            alignment: before.alignment.zip(self.alignment).map(|(before, after)| [before, after]),
            score: self.score,
        }
    }
}

/// The name of a training picture below an audit's folder.
pub(crate) fn picture_name(hash: &str) -> String {
    format!("training-{}.png", &hash[..hash.len().min(16)])
}

fn of<T: Copy>(column: Option<&Vec<T>>, i: usize) -> Option<T> {
    column.and_then(|column| column.get(i).copied())
}

/// What was drawn for each item, with what the judges say of it.
pub(crate) fn judged_draws(drawing: &Drawing, store: &MeasurementStore) -> HashMap<usize, JudgedDraws> {
    let mut all = HashMap::new();
    for (unit, item) in drawing.items.iter().enumerate() {
        let metrics = drawing.judging.read(unit, store).unwrap_or_default();
        let draw = |(i, path): (usize, std::path::PathBuf)| {
            let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let (distance, similarity, copy) =
                (of(metrics.distance.as_ref(), i), of(metrics.similarity.as_ref(), i), of(metrics.copies.as_ref(), i));
            Draw { file, distance, similarity, copy }
        };
        let draws = drawing.draws.pictures(unit).into_iter().enumerate().map(draw).collect();
        let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let alignment = metrics.alignment.as_ref().map(mean);
        let score = drawing.draws.scores(unit, store).and_then(|scores| scores.first().copied());
        all.insert(*item, JudgedDraws { draws, diversity: metrics.diversity, alignment, score });
    }
    all
}

/// What is shown beside the draws.
pub(crate) struct FurtherEvidence {
    /// What a mitigation draws for an item.
    pub(crate) alternatives: HashMap<usize, JudgedDraws>,
    nearest: HashMap<usize, Vec<NearestPicture>>,
}

impl FurtherEvidence {
    pub(crate) fn new(asked: &Asked, measured: &Measured) -> anyhow::Result<Self> {
        let Some((_, store)) = &measured.evidence else {
            return Ok(Self { alternatives: HashMap::new(), nearest: HashMap::new() });
        };
        let extras = &measured.extras;
        let alternatives = extras.alternatives.as_ref().map(|drawing| judged_draws(drawing, store)).unwrap_or_default();
        let nearest = extras
            .nearest_pictures
            .as_ref()
            .map(|(nearest_pictures, _)| nearest_pictures.nearest(&asked.plan, store))
            .transpose()?;
        Ok(Self { alternatives, nearest: nearest.unwrap_or_default() })
    }

    /// The training pictures that the draws of an item are most like.
    pub(crate) fn nearest(&self, asked: &Asked, at: usize, draws: &[Draw]) -> Vec<NearPicture> {
        let own = asked.plan.items[at].picture.as_ref().map(TrainingPicture::hash);
        let near = |(place, like): (usize, &NearestPicture)| {
            let picture = asked.plan.items[like.item].picture.as_ref()?;
            let draw = draws.get(like.draw)?.file.clone();
            Some(NearPicture {
                picture: picture.label(),
                file: picture_name(picture.hash()),
                own: own == Some(picture.hash()),
                similarity: like.similarity,
                map: (place == 0).then(|| format!("map-{draw}")),
                draw,
            })
        };
        self.nearest.get(&at).into_iter().flatten().enumerate().filter_map(near).collect()
    }
}

/// Near duplicates among the training pictures, with what is known of their prompts.
pub(crate) fn duplicates(asked: &Asked, measured: &Measured, rows: &[AuditRow]) -> Option<Duplicates> {
    let (Some((_, sscd)), Some(groups)) = (&measured.extras.nearest_pictures, &measured.extras.duplicates) else {
        return None;
    };
    let ranking = measured.scores.ranking(asked.plan.audited);
    let row_of: HashMap<usize, &AuditRow> = ranking.into_iter().zip(rows).collect();
    let picture = |(place, (item, similarity)): (usize, &(usize, f64))| {
        let (picture, row) = (asked.plan.items[*item].picture.as_ref()?, row_of.get(item)?);
        Some(DuplicatePicture {
            picture: picture.label(),
            prompt: row.prompt.clone(),
            rank: row.rank,
            similarity: *similarity,
            flagged: row.decision.is_some_and(|decision| decision.flagged),
            copying: row.copying,
            keep: place == 0,
        })
    };
    let groups = groups.iter().map(|group| group.iter().enumerate().filter_map(picture).collect()).collect();
    let pictures = asked.plan.items[..asked.plan.audited].iter().filter(|item| item.picture.is_some()).count();
    let rule = format!(
        "Pictures are nearly the same where the cosine of their descriptors ({}, {}) is at least {COSINE}.",
        sscd.name(),
        sscd.preprocessing().label()
    );
    Some(Duplicates { rule, pictures, groups })
}
