//! Metrics of pictures that are there. A unit is a unit of the mitigations; a part is one metric. No network of the
//! diffusion model is asked.

use std::rc::Rc;

use memscope_judges::Picture;

use super::{
    Mitigations, TrainingPicture, TrainingPictures,
    picture_metrics::{JudgeFiles, PictureMetric, PictureMetricPlan, PictureMetrics},
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
    metrics: Vec<PictureMetricPlan>,
}

impl Judging {
    /// By pixels, and by judges if there are some.
    pub fn new(mitigations: Rc<Mitigations>, training: TrainingPictures, judges: Option<JudgeFiles>) -> Self {
        let metrics = std::iter::once(PictureMetricPlan::Pixels).chain(judges.map(PictureMetricPlan::Judges)).collect();
        Self { mitigations, training, metrics }
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

    /// Copy similarity above which a picture counts as a copy; `None` where there is no descriptor.
    pub fn copy_threshold(&self) -> Option<f64> {
        self.files().find_map(JudgeFiles::copy_threshold)
    }

    fn files(&self) -> impl Iterator<Item = &JudgeFiles> {
        self.metrics.iter().filter_map(|metric| match metric {
            PictureMetricPlan::Judges(files) => Some(files),
            PictureMetricPlan::Pixels => None,
        })
    }

    fn key(&self, unit: usize, metric: &PictureMetricPlan) -> Key {
        let prompt = self.mitigations.place(unit).prompt;
        self.mitigations.key(unit, &format!("{} of {}", metric.id(), self.training.id(prompt)))
    }

    /// What was seen on the pictures of a unit; `None` where they were not measured.
    pub fn read(&self, unit: usize, store: &MeasurementStore) -> Option<PictureMetrics> {
        let mut metrics = PictureMetrics::default();
        for metric in &self.metrics {
            metric.read(&store.get(&self.key(unit, metric))?, self.mitigations.images(), &mut metrics);
        }
        Some(metrics)
    }
}

impl Task for Judging {
    fn units(&self) -> usize {
        self.mitigations.units()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let part = |metric: &PictureMetricPlan| {
            let count = Some(metric.numbers(self.mitigations.images()));
            Part { records: vec![RecordId::Numbers { key: self.key(unit, metric), count }] }
        };
        self.metrics.iter().map(part).collect()
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
        Ok(Box::new(MeasuringPictures { task: self, opened: self.metrics.iter().map(|_| None).collect() }))
    }
}

struct MeasuringPictures<'s> {
    task: &'s Judging,
    /// The metrics, opened when they are first needed.
    opened: Vec<Option<Box<dyn PictureMetric>>>,
}

impl Execute for MeasuringPictures<'_> {
    fn execute(&mut self, open: &OpenUnit, _: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let task = self.task;
        let prompt = task.mitigations.place(open.unit).prompt;
        let paths = task.mitigations.pictures(open.unit);
        let pictures = paths.iter().map(|path| Picture::open(path)).collect::<memscope_judges::Result<Vec<_>>>()?;
        let training = task.training.of(prompt).iter().map(TrainingPicture::open).collect::<Result<Vec<_>>>()?;
        let text = &task.mitigations.prompts[prompt].text;
        let mut records = vec![];
        for &part in &open.parts {
            let plan = &task.metrics[part];
            let metric = match self.opened[part].take() {
                Some(metric) => metric,
                None => plan.open()?,
            };
            records.push((task.key(open.unit, plan), metric.measure(&pictures, &training, text)?));
            self.opened[part] = Some(metric);
        }
        Ok(records)
    }
}
