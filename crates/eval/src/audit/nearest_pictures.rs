//! Which training pictures the draws are like, and which of them are nearly the same, by a copy descriptor.

use std::collections::HashMap;

use memscope_judges::{Closeness, Embedding, Watching, groups};

use super::{AuditPlan, Describing, Drawing};
use crate::{
    error::{Error, Result},
    store::MeasurementStore,
    tasks::{JudgeFiles, LossPicture, TrainingPicture},
};

/// Training pictures that are named beside a prompt.
const NAMED: usize = 3;

/// The descriptors of the training pictures and of what was drawn for some prompts.
pub struct NearestPictures {
    /// The descriptors, as a task: first the training pictures, then the draws.
    pub describing: Describing,
    /// Items with a training picture, in the order of their descriptors.
    training: Vec<usize>,
    /// The item of each draw, in the order of their descriptors.
    drawn: Vec<usize>,
    /// The draws of an item.
    draws: usize,
}

/// A training picture that draws are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearestPicture {
    /// The item that the picture belongs to.
    pub item: usize,
    /// The largest similarity of a draw to it.
    pub similarity: f64,
    /// Which of the draws.
    pub draw: usize,
}

/// Training pictures that are nearly the same: item, and similarity to the nearest of them.
pub type NearDuplicates = Vec<Vec<(usize, f64)>>;

impl NearestPictures {
    /// Of what is drawn for `items`, which are some of the drawing's; `None` where there are no training pictures.
    pub fn new(plan: &AuditPlan, drawing: &Drawing, items: &[usize], judges: JudgeFiles) -> Option<Self> {
        let mut training = vec![];
        let mut pictures = vec![];
        for (at, item) in plan.items[..plan.audited].iter().enumerate() {
            let Some(picture) = &item.picture else { continue };
            training.push(at);
            pictures.push(LossPicture::Given(picture.clone()));
        }
        if training.is_empty() {
            return None;
        }
        let mut drawn = vec![];
        for (unit, item) in drawing.items.iter().enumerate().filter(|(_, item)| items.contains(item)) {
            let id = drawing.draws.pictures_id(unit);
            for (i, path) in drawing.draws.pictures(unit).into_iter().enumerate() {
                pictures.push(LossPicture::Drawn(path, format!("{id}/{i}")));
                drawn.push(*item);
            }
        }
        let draws = drawing.draws.images();
        Some(Self { describing: Describing::new(judges, pictures), training, drawn, draws })
    }

    fn read(&self, store: &MeasurementStore) -> Result<(Vec<Embedding>, Vec<Embedding>)> {
        let all = self.describing.read(store)?;
        let mut training = all.ok_or_else(|| Error::internal("a picture was not described"))?;
        let drawn = training.split_off(self.training.len());
        Ok((training, drawn))
    }

    /// For each prompt that was drawn the training pictures that its draws are most like, the most similar first.
    ///
    /// # Errors
    /// When something was not described.
    pub fn nearest(&self, plan: &AuditPlan, store: &MeasurementStore) -> Result<HashMap<usize, Vec<NearestPicture>>> {
        let (training, drawn) = self.read(store)?;
        let hash = |item: usize| plan.items[item].picture.as_ref().map(TrainingPicture::hash);
        let mut all = HashMap::new();
        for (first, draws) in drawn.chunks(self.draws.max(1)).enumerate() {
            let own = self.drawn[first * self.draws.max(1)];
            let mut nearest = vec![];
            for (known, item) in training.iter().zip(&self.training) {
                let mut best = NearestPicture { item: *item, similarity: f64::NEG_INFINITY, draw: 0 };
                for (draw, descriptor) in draws.iter().enumerate() {
                    let similarity = descriptor.cosine(known)?;
                    if similarity > best.similarity {
                        best = NearestPicture { similarity, draw, ..best };
                    }
                }
                nearest.push(best);
            }
            // The prompt's own picture comes first among equal ones, so that the same file elsewhere is not named for it.
            nearest.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then((a.item != own).cmp(&(b.item != own))));
            let mut named: Vec<NearestPicture> = vec![];
            for like in nearest {
                if named.iter().all(|known| hash(known.item) != hash(like.item)) {
                    named.push(like);
                }
                if named.len() == NAMED {
                    break;
                }
            }
            all.insert(own, named);
        }
        Ok(all)
    }

    /// Groups of training pictures that are nearly the same, the largest first; `None` where the watcher ends it.
    ///
    /// # Errors
    /// When something was not described.
    pub fn duplicates(
        &self,
        store: &MeasurementStore,
        cosine: f64,
        watching: &mut dyn Watching,
    ) -> Result<Option<NearDuplicates>> {
        let (training, _) = self.read(store)?;
        let vectors: Vec<Vec<f32>> = training.iter().map(|descriptor| descriptor.values().to_vec()).collect();
        let found = groups(&vectors, Closeness::Cosine(cosine), watching);
        let group = |members: Vec<memscope_judges::Member>| {
            members.iter().map(|member| (self.training[member.place], member.nearest.1)).collect()
        };
        Ok(found.map(|found| found.into_iter().map(group).collect()))
    }
}
