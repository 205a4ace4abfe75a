//! Looking at pictures that are there. A unit is a unit of the mitigations; a part is one look at it. No network of the
//! diffusion model is asked.

use std::rc::Rc;

use memscope_judges::Picture;

use super::{
    Mitigations, TrainingPicture, TrainingPictures,
    looks::{JudgeFiles, Look, LookPlan, Looks},
};
use crate::{
    error::Result,
    store::{Key, MeasurementStore, RecordId},
    task::{Calls, Execute, OpenUnit, Part, Price, Session, SharedPredictions, Task},
};

/// What is said about the pictures of some mitigations.
pub struct Judging {
    mitigations: Rc<Mitigations>,
    training: TrainingPictures,
    looks: Vec<LookPlan>,
}

impl Judging {
    /// By pixels, and by judges if there are some.
    pub fn new(mitigations: Rc<Mitigations>, training: TrainingPictures, judges: Option<JudgeFiles>) -> Self {
        let looks = std::iter::once(LookPlan::Pixels).chain(judges.map(LookPlan::Judges)).collect();
        Self { mitigations, training, looks }
    }

    /// The training pictures.
    pub fn training(&self) -> &TrainingPictures {
        &self.training
    }

    /// The names of the judges; none by pixels alone.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn judges(&self) -> Result<Vec<String>> {
        Ok(self.files().map(JudgeFiles::names).collect::<Result<Vec<_>>>()?.concat())
    }

    /// Copy similarity above which a picture counts as a copy; `None` where no descriptor looks.
    pub fn copy_threshold(&self) -> Option<f64> {
        self.files().find_map(JudgeFiles::copy_threshold)
    }

    fn files(&self) -> impl Iterator<Item = &JudgeFiles> {
        self.looks.iter().filter_map(|look| match look {
            LookPlan::Judges(files) => Some(files),
            LookPlan::Pixels => None,
        })
    }

    fn key(&self, unit: usize, look: &LookPlan) -> Key {
        let prompt = self.mitigations.place(unit).prompt;
        self.mitigations.key(unit, &format!("{} of {}", look.id(), self.training.id(prompt)))
    }

    /// What was seen on the pictures of a unit; `None` where nobody has looked.
    pub fn read(&self, unit: usize, store: &MeasurementStore) -> Option<Looks> {
        let mut looks = Looks::default();
        for look in &self.looks {
            look.read(&store.get(&self.key(unit, look))?, self.mitigations.images(), &mut looks);
        }
        Some(looks)
    }
}

impl Task for Judging {
    fn units(&self) -> usize {
        self.mitigations.units()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let part = |look: &LookPlan| {
            let count = Some(look.numbers(self.mitigations.images()));
            Part { records: vec![RecordId::Numbers { key: self.key(unit, look), count }] }
        };
        self.looks.iter().map(part).collect()
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn prompt_batches(&self, _: &[OpenUnit]) -> Vec<Vec<String>> {
        vec![]
    }

    fn price(&self, _: &OpenUnit, _: &mut SharedPredictions) -> Price {
        Price::default()
    }

    fn follows(&self) -> bool {
        true
    }

    fn begin<'s>(&'s self, _: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        Ok(Box::new(Looking { task: self, opened: self.looks.iter().map(|_| None).collect() }))
    }
}

struct Looking<'s> {
    task: &'s Judging,
    /// The looks, opened when they are first needed.
    opened: Vec<Option<Box<dyn Look>>>,
}

impl Execute for Looking<'_> {
    fn execute(&mut self, open: &OpenUnit, _: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let task = self.task;
        let prompt = task.mitigations.place(open.unit).prompt;
        let paths = task.mitigations.pictures(open.unit);
        let pictures = paths.iter().map(|path| Picture::open(path)).collect::<memscope_judges::Result<Vec<_>>>()?;
        let training = task.training.of(prompt).iter().map(TrainingPicture::open).collect::<Result<Vec<_>>>()?;
        let text = &task.mitigations.prompts[prompt].text;
        let mut records = vec![];
        for &part in &open.parts {
            let plan = &task.looks[part];
            let look = match self.opened[part].take() {
                Some(look) => look,
                None => plan.open()?,
            };
            records.push((task.key(open.unit, plan), look.look(&pictures, &training, text)?));
            self.opened[part] = Some(look);
        }
        Ok(records)
    }
}
