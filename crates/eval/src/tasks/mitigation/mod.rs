//! Pictures of mitigated prompts. A unit is one method on one prompt under one seed, with all its pictures; its first part is
//! the pictures, every other one a measure of the detectors on what is drawn instead of the prompt.

mod execute;
mod judging;
mod picture_metrics;
mod truth;

use std::path::{Path, PathBuf};

use memscope_metric::{Detector, OwnCalls, PredictionRequest};
use memscope_mitigation::{Ending, Mitigation};
use memscope_model::{
    Sampling,
    cost::{Pass, SamplesPerCall, Workload},
};

pub use judging::Judging;
pub use picture_metrics::{JudgeFiles, PictureMetric, PictureMetrics, VERBATIM, is_verbatim};
pub use truth::{TrainingPicture, TrainingPictures};

use crate::{
    error::Result,
    prompts::KnownPrompt,
    store::{Key, MeasurementStore, RecordId},
    task::{
        Calls, Execute, Measures, ModelIdentity, NoisePlan, OpenUnit, Part, Price, Session, SharedPredictions, Task,
    },
};

/// A method that is compared.
#[derive(Debug)]
pub struct PlannedMethod {
    /// How tables call it.
    pub label: String,
    /// The method.
    pub method: Box<dyn Mitigation>,
}

/// How pictures are named.
#[derive(Clone, Debug)]
pub enum PictureNames {
    /// By what determines them: a picture that is there is the right one.
    ByContent(PathBuf),
    /// By prompt, method and seed, for people.
    Plain(PathBuf),
}

impl PictureNames {
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::ByContent(folder) | Self::Plain(folder) => folder,
        }
    }
}

/// Methods on prompts of one model.
pub struct Mitigations {
    /// The model.
    pub model: ModelIdentity,
    /// The noises: one generation is one picture.
    pub noise: NoisePlan,
    /// The methods.
    pub methods: Vec<PlannedMethod>,
    /// The prompts; their position counts as their row.
    pub prompts: Vec<KnownPrompt>,
    /// Steps and guidance scale.
    pub sampling: Sampling,
    /// The detectors whose scores are wanted of what is drawn.
    pub detectors: Vec<Box<dyn Detector>>,
    /// Where pictures go.
    pub names: PictureNames,
}

/// What is stored of a unit beside its pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitRecord {
    /// Network calls (samples) of the mitigation and of drawing.
    pub calls: usize,
    /// How the optimisation ended.
    pub ending: Ending,
    /// The loss before each step and after the last one.
    pub losses: Vec<f64>,
    /// Seconds of the mitigation, and of drawing.
    pub seconds: (f64, f64),
}

/// Where a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position of the prompt.
    pub prompt: usize,
    /// Position of the method.
    pub method: usize,
    /// Position of the seed.
    pub seed: usize,
}

impl Mitigations {
    /// Pictures of a unit.
    pub fn images(&self) -> usize {
        self.noise.generations
    }

    /// Units with their places: all methods of a prompt, then the next prompt.
    pub fn places(&self) -> impl Iterator<Item = (usize, Place)> {
        (0..self.units()).map(|unit| (unit, self.place(unit)))
    }

    fn place(&self, unit: usize) -> Place {
        let (seeds, methods) = (self.noise.seeds.len().max(1), self.methods.len().max(1));
        Place { prompt: unit / (seeds * methods), method: unit / seeds % methods, seed: unit % seeds }
    }

    /// The seed of a unit's noise.
    fn seed(&self, place: Place) -> u64 {
        self.noise.seed_of(self.noise.seeds[place.seed], place.prompt)
    }

    /// What determines a unit, with a word for the record.
    fn key(&self, unit: usize, record: &str) -> Key {
        let place = self.place(unit);
        let [generator, precision, _] = self.noise.key_parts(self.model.latent_shape);
        Key::new(&[
            "mitigation",
            &self.model.fingerprint,
            &self.model.arithmetic,
            &generator,
            &precision,
            &self.seed(place).to_string(),
            &self.images().to_string(),
            &format!("{}/{}", self.sampling.steps, self.sampling.guidance),
            &self.prompts[place.prompt].text,
            &self.methods[place.method].method.id(),
            record,
        ])
    }

    /// What determines the pictures of a unit.
    pub(crate) fn pictures_id(&self, unit: usize) -> String {
        self.key(unit, "pictures").to_string()
    }

    /// The pictures of a unit.
    pub fn pictures(&self, unit: usize) -> Vec<PathBuf> {
        self.pictures_as(unit, &self.names)
    }

    /// The same under other names.
    pub fn pictures_as(&self, unit: usize, names: &PictureNames) -> Vec<PathBuf> {
        let place = self.place(unit);
        let stem = match names {
            PictureNames::ByContent(_) => {
                let model = &self.model.fingerprint[..self.model.fingerprint.len().min(8)];
                format!("{model}-{}", &self.key(unit, "pictures").to_string()[..20])
            }
            PictureNames::Plain(_) => {
                let label = &self.methods[place.method].label;
                let plain: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
                let method = plain.trim_matches('-').to_ascii_lowercase();
                format!("{:03}-{method}-seed{}", place.prompt + 1, self.seed(place))
            }
        };
        (0..self.images()).map(|image| names.folder().join(format!("{stem}-{image:02}.png"))).collect()
    }

    /// The stored record of a unit; `None` where it is not there or not of this version.
    pub fn read(&self, unit: usize, store: &MeasurementStore) -> Option<UnitRecord> {
        let values = store.get(&self.key(unit, "losses"))?;
        let seconds = store.get(&self.key(unit, "seconds"))?;
        let (&[calls, ending], losses) = values.split_first_chunk()?;
        Some(UnitRecord {
            calls: calls as usize,
            ending: Ending::of_code(ending)?,
            losses: losses.to_vec(),
            seconds: (*seconds.first()?, *seconds.get(1)?),
        })
    }

    /// The measures of the detectors, each once.
    fn measures(&self) -> Measures {
        self.detectors.iter().flat_map(|detector| detector.measures()).collect()
    }

    /// The scores of the detectors on what a unit draws; `None` where they were not measured.
    pub fn scores(&self, unit: usize, store: &MeasurementStore) -> Option<Vec<f64>> {
        let (measures, images) = (self.measures(), self.images());
        let score = |detector: &dyn Detector| {
            let places = measures.locate(&detector.quantities())?;
            let mut generations = vec![vec![]; images];
            for at in places {
                let planned = &measures.all()[at.measure];
                let values = store.get(&self.key(unit, &planned.id))?;
                for (image, generation) in generations.iter_mut().enumerate() {
                    generation.push(*values.get(image * planned.names.len() + at.value)?);
                }
            }
            Some(detector.score(&generations).value)
        };
        self.detectors.iter().map(|detector| score(detector.as_ref())).collect()
    }

    /// Network calls of a unit's mitigation, at most.
    fn own(&self, unit: usize) -> Vec<OwnCalls> {
        self.methods[self.place(unit).method].method.cost(self.images(), self.sampling)
    }

    /// Whether a unit's price is what it asks for, not only a bound.
    pub fn is_exact(&self, unit: usize) -> bool {
        self.methods[self.place(unit).method].method.is_exact()
    }
}

impl Task for Mitigations {
    fn units(&self) -> usize {
        self.prompts.len() * self.methods.len() * self.noise.seeds.len()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let numbers = |record: &str, count| RecordId::Numbers { key: self.key(unit, record), count };
        let mut pictures = vec![numbers("losses", None), numbers("seconds", Some(2))];
        pictures.extend(self.pictures(unit).into_iter().map(RecordId::Picture));
        let measures = self.measures();
        let measured = measures
            .all()
            .iter()
            .map(|planned| Part { records: vec![numbers(&planned.id, Some(self.images() * planned.names.len()))] });
        std::iter::once(Part { records: pictures }).chain(measured).collect()
    }

    fn weight(&self, _: usize) -> usize {
        self.images()
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        let mut prompts: Vec<usize> = open.iter().map(|open| self.place(open.unit).prompt).collect();
        prompts.dedup();
        prompts.into_iter().map(|prompt| vec![self.prompts[prompt].text.to_string()]).collect()
    }

    fn price(&self, open: &OpenUnit, _: &mut SharedPredictions) -> Price {
        let images = self.images();
        let mut work = Workload { batch: 1, ..Workload::default() };
        for own in self.own(open.unit) {
            work.add(own.pass, own.calls, own.samples_per_call);
        }
        if open.parts.contains(&0) {
            work.images = images;
            work.add(Pass::Prediction, 2 * self.sampling.steps * images, SamplesPerCall::PerPrompt(2 * images));
        }
        let measures = self.measures();
        let wanted = measures.all().iter().enumerate().filter(|(i, _)| open.parts.contains(&(i + 1)));
        let wanted: Vec<_> = wanted.map(|(_, planned)| planned).collect();
        let requests: Vec<PredictionRequest> = Measures::requests(wanted.iter().copied());
        work.add(Pass::Prediction, requests.len() * images, SamplesPerCall::PerPrompt(images));
        for own in wanted.iter().flat_map(|planned| planned.measure.own()) {
            work.add(own.pass, own.calls * images, own.samples_per_call);
        }
        Price { calls: Calls { drawing: work.calls(), ..Calls::default() }, work }
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        execute::begin(self, session)
    }
}
