//! Pictures of what an embedded model draws, beside what it was trained on. A unit is one prompt with its pictures.

use std::{
    fs,
    path::{Path, PathBuf},
};

use memscope_model::{
    ModelSource, NoisePrecision, Sampling,
    cost::{Pass, SamplesPerCall, Workload},
};
use memscope_results::{
    files::{Existing, write_file},
    gallery::GalleryRow,
};

use super::picture;
use crate::{
    error::{Error, Result},
    prompts::KnownPrompt,
    spec::{ExperimentFile, GallerySettings, NoiseSharing},
    store::{Key, RecordId},
    task::{Calls, Execute, ModelIdentity, NoisePlan, OpenUnit, Part, Price, Session, SharedPredictions, Task},
};

/// The pictures of one model.
pub(crate) struct Gallery {
    model: ModelIdentity,
    noise: NoisePlan,
    /// Whether it is memorized, and the prompt.
    prompts: Vec<(bool, KnownPrompt)>,
    images: usize,
    folder: PathBuf,
}

/// Prompts of a class: where the truth is known, spread evenly from those that are always reproduced to those that never
/// are, first and last included; else spread evenly over the list.
fn spread(memorized: bool, count: usize, list: &[KnownPrompt]) -> impl Iterator<Item = (bool, KnownPrompt)> {
    let mut sorted: Vec<&KnownPrompt> = list.iter().collect();
    let graded = list.iter().any(|prompt| rate(prompt).is_some());
    if graded {
        let key = |prompt: &KnownPrompt| (rate(prompt).unwrap_or(0.0), prompt.weight.unwrap_or(0.0));
        sorted.sort_by(|a, b| {
            let ((rate_a, weight_a), (rate_b, weight_b)) = (key(a), key(b));
            rate_b.total_cmp(&rate_a).then(weight_b.total_cmp(&weight_a))
        });
    }
    let count = count.min(sorted.len());
    let position = |i: usize| match graded && count > 1 {
        true => i * (sorted.len() - 1) / (count - 1),
        false => i * sorted.len() / count,
    };
    let chosen: Vec<_> = (0..count).map(|i| (memorized, sorted[position(i)].clone())).collect();
    chosen.into_iter()
}

/// How often the model reproduces the training picture, as far as it is known.
fn rate(prompt: &KnownPrompt) -> Option<f64> {
    let verified = || prompt.verified.map(|verified| f64::from(u8::from(verified)));
    prompt.reproduction.as_ref().map(|reproduction| reproduction.rate).or_else(verified)
}

/// What is known about a prompt, in words.
fn label(memorized: bool, prompt: &KnownPrompt) -> String {
    let mut parts = vec![];
    match (&prompt.reproduction, prompt.verified) {
        (Some(reproduction), _) => parts.push(format!("reproduction rate {:.2}", reproduction.rate)),
        (None, Some(true)) => parts.push("reproduced in every checked draw".to_owned()),
        (None, Some(false)) => parts.push("not reproduced in every checked draw".to_owned()),
        (None, None) => parts.push(class_name(memorized).to_owned()),
    }
    parts.push(prompt.set.to_string());
    parts.extend(prompt.weight.map(|weight| format!("weight {weight}")));
    parts.join(", ")
}

impl Gallery {
    /// The pictures of a model into `folder`.
    pub(crate) fn new(
        file: &ExperimentFile,
        (memorized, non_memorized): (&[KnownPrompt], &[KnownPrompt]),
        model: ModelIdentity,
        settings: GallerySettings,
        folder: &Path,
    ) -> Self {
        let classes = [(true, memorized), (false, non_memorized)];
        let prompts = classes.iter().flat_map(|(class, list)| spread(*class, settings.prompts, list)).collect();
        let noise = NoisePlan {
            generator: file.noise.generator,
            precision: NoisePrecision::F32,
            seeds: file.noise.seeds.first().copied().into_iter().collect(),
            generations: settings.images,
            sharing: NoiseSharing::Shared,
        };
        Self { model, noise, prompts, images: settings.images, folder: folder.to_owned() }
    }

    fn seed(&self) -> u64 {
        self.noise.seeds.first().copied().unwrap_or_default()
    }

    /// The file names of a prompt's pictures; they hold a hash of all that determines them.
    fn names(&self, unit: usize) -> Vec<String> {
        let (memorized, known) = &self.prompts[unit];
        let [generator, precision, _] = self.noise.key_parts(self.model.latent_shape);
        let (seed, images, sampling) = (self.seed(), self.images.to_string(), Sampling::default());
        let key = Key::new(&[
            "picture",
            &self.model.fingerprint,
            &self.model.arithmetic,
            &generator,
            &precision,
            &seed.to_string(),
            &images,
            &format!("{}/{}", sampling.steps, sampling.guidance),
            &known.text,
        ]);
        let model = &self.model.fingerprint[..self.model.fingerprint.len().min(8)];
        let start = format!("{model}-{seed}-{}-{}", class_name(*memorized), &key.to_string()[..12]);
        (0..self.images).map(|g| format!("{start}-{g}.png")).collect()
    }

    fn paths(&self, unit: usize) -> Vec<PathBuf> {
        self.names(unit).iter().map(|name| self.folder.join(name)).collect()
    }

    /// The rows of the index; training pictures are copied beside it.
    pub(crate) fn rows(&self, source: &ModelSource) -> Result<Vec<GalleryRow>> {
        let row = |unit: usize| {
            let (memorized, known) = &self.prompts[unit];
            Ok(GalleryRow {
                model: source.to_string(),
                prompt: known.text.to_string(),
                label: label(*memorized, known),
                truth: truth(known, &self.folder)?,
                drawn: self.names(unit),
                labels: vec![],
            })
        };
        (0..self.prompts.len()).map(row).collect()
    }
}

fn class_name(memorized: bool) -> &'static str {
    if memorized { "memorized" } else { "non-memorized" }
}

/// Copies the planted picture beside the index.
fn truth(known: &KnownPrompt, folder: &Path) -> Result<Option<String>> {
    let Some(bytes) = known.image.as_deref().and_then(memscope_embedded::shared_file) else { return Ok(None) };
    let name = known.image.as_deref().and_then(|path| Path::new(path).file_name()?.to_str()).unwrap_or("truth.png");
    let path: PathBuf = folder.join(name);
    write_file(&path, bytes)?;
    Ok(Some(name.to_owned()))
}

impl Task for Gallery {
    fn units(&self) -> usize {
        self.prompts.len()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        vec![Part { records: self.paths(unit).into_iter().map(RecordId::Picture).collect() }]
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        open.iter().map(|open| vec![self.prompts[open.unit].1.text.to_string()]).collect()
    }

    fn price(&self, _: &OpenUnit, _: &mut SharedPredictions) -> Price {
        let calls = 2 * Sampling::default().steps * self.images;
        let mut work = Workload { images: self.images, batch: 1, ..Workload::default() };
        work.add(Pass::Prediction, calls, SamplesPerCall::Fixed(2 * self.images));
        Price { calls: Calls { drawing: calls, ..Calls::default() }, work }
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        fs::create_dir_all(&self.folder).map_err(Error::write(&self.folder))?;
        let latents = self.noise.latents(self.seed(), self.model.latent_shape);
        Ok(Box::new(Drawing { gallery: self, session, latents }))
    }
}

struct Drawing<'s> {
    gallery: &'s Gallery,
    session: &'s Session<'s>,
    latents: Vec<Vec<f32>>,
}

impl Execute for Drawing<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let asked = self.session.samples();
        let (prompt, paths) = (&self.gallery.prompts[open.unit].1.text, self.gallery.paths(open.unit));
        let from = (self.latents.clone(), Sampling::default());
        picture::draw(self.session, prompt, from, (&paths, Existing::Replace), |_| ())?;
        calls.drawing += self.session.samples() - asked;
        Ok(vec![])
    }
}
