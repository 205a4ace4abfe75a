//! Descriptors of pictures by a copy descriptor, kept so that nothing is described twice. No network of the diffusion model
//! is asked.

use memscope_judges::{Embedding, Similarity as _, Sscd};

use crate::{
    error::{Error, Result},
    store::{Key, MeasurementStore, RecordId},
    task::{Calls, Execute, OpenUnit, Part, Price, Session, SharedPredictions, Task},
    tasks::{JudgeFiles, LossPicture},
};

/// Pictures that are described. A unit is one of them.
pub struct Describing {
    judges: JudgeFiles,
    pictures: Vec<LossPicture>,
}

impl Describing {
    /// Training pictures and what was drawn, by the copy descriptor of some judges.
    pub fn new(judges: JudgeFiles, pictures: Vec<LossPicture>) -> Self {
        Self { judges, pictures }
    }

    /// The pictures.
    pub fn pictures(&self) -> &[LossPicture] {
        &self.pictures
    }

    fn key(&self, unit: usize) -> Key {
        Key::new(&["copy-descriptor", self.judges.id(), self.pictures[unit].id()])
    }

    /// The descriptors of all pictures; `None` where one was not described.
    ///
    /// # Errors
    /// When a stored one is no direction.
    pub fn read(&self, store: &MeasurementStore) -> Result<Option<Vec<Embedding>>> {
        let stored: Option<Vec<_>> = (0..self.pictures.len()).map(|unit| store.get(&self.key(unit))).collect();
        let Some(stored) = stored else { return Ok(None) };
        let embedding = |values: &[f64]| -> Result<Embedding> {
            Ok(Embedding::new(values.iter().map(|value| *value as f32).collect(), "the stored descriptor")?)
        };
        stored.iter().map(|values| embedding(values)).collect::<Result<_>>().map(Some)
    }

    /// The copy descriptor.
    ///
    /// # Errors
    /// When the judges cannot be opened or have none.
    pub fn open(&self) -> Result<Sscd> {
        let sscd = self.judges.open()?.similarity;
        sscd.ok_or_else(|| Error::internal("the judges have no copy descriptor"))
    }
}

impl Task for Describing {
    fn units(&self) -> usize {
        self.pictures.len()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        vec![Part { records: vec![RecordId::Numbers { key: self.key(unit), count: None }] }]
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

    fn begin<'s>(&'s self, _: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        Ok(Box::new(MeasuringPictures { task: self, sscd: self.open()? }))
    }
}

struct MeasuringPictures<'s> {
    task: &'s Describing,
    sscd: Sscd,
}

impl Execute for MeasuringPictures<'_> {
    fn execute(&mut self, open: &OpenUnit, _: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let picture = self.task.pictures[open.unit].open()?;
        let described = self.sscd.describe(std::slice::from_ref(&picture))?;
        let values = described.first().map(|d| d.values().iter().map(|value| f64::from(*value)).collect());
        let values = values.ok_or_else(|| Error::internal("a picture has no descriptor"))?;
        Ok(vec![(self.task.key(open.unit), values)])
    }
}
