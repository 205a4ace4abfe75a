//! Mitigating, drawing and measuring under way.

use std::{fs, time::Instant};

use memscope_metric::{Generation, InitialNoise, prefetch};
use memscope_mitigation::{Changed, Subject, sample};
use memscope_model::PromptEmbedding;

use super::{Mitigations, Place};
use crate::{
    error::{Error, Result},
    store::Key,
    task::{Calls, Execute, Measures, NoisePlan, OpenUnit, PlannedMeasure, Session},
};

pub(super) fn begin<'s>(task: &'s Mitigations, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
    let folder = task.names.folder();
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    Ok(Box::new(Mitigating { task, session }))
}

struct Mitigating<'s> {
    task: &'s Mitigations,
    session: &'s Session<'s>,
}

impl Mitigating<'_> {
    fn change(&self, place: Place) -> Result<Changed> {
        let (task, session) = (self.task, self.session);
        let prompt = &task.prompts[place.prompt].text;
        let noise = |seed, count| {
            let plan = NoisePlan { generations: count, ..task.noise.clone() };
            plan.latents(seed, task.model.latent_shape)
        };
        let embedding = session.embedding(prompt)?;
        let subject = Subject {
            model: session.model(),
            prompt,
            embedding: &embedding,
            empty: session.unconditional()?,
            seed: task.seed(place),
            images: task.images(),
            noise: &noise,
            sampling: task.sampling,
            stop: &|| session.stop_requested(),
        };
        Ok(task.methods[place.method].method.apply(&subject)?)
    }

    /// Draws the pictures of a unit, each whole or not at all.
    fn draw(&self, unit: usize, place: Place, changed: &Changed) -> Result<()> {
        let (task, session) = (self.task, self.session);
        let (model, sampling, images) = (session.model(), task.sampling, task.images());
        let watch = |step: usize| {
            session.advance(step * images / sampling.steps);
            session.stop_requested()
        };
        let latents = sample(model, changed, session.unconditional()?, sampling, watch)?;
        let method = &task.methods[place.method];
        let drawn = model.decode_images(&latents)?;
        for (image, (picture, path)) in drawn.iter().zip(task.pictures(unit)).enumerate() {
            let texts = [
                ("Prompt", task.prompts[place.prompt].text.to_string()),
                ("Drawn prompt", changed.prompt.clone().unwrap_or_else(|| task.prompts[place.prompt].text.to_string())),
                ("Mitigation", format!("{}: {}", method.label, method.method.id())),
                ("Seed", format!("{}, picture {} of {images}", task.seed(place), image + 1)),
                ("Model", format!("{}, sha256 {}", model.source(), model.fingerprint())),
                (
                    "Settings",
                    format!(
                        "{} DDIM steps, guidance {}, noise {}, {}",
                        sampling.steps, sampling.guidance, task.noise.generator, task.model.arithmetic
                    ),
                ),
                ("Software", concat!("memscope ", env!("CARGO_PKG_VERSION")).to_owned()),
            ];
            memscope_results::files::write_file(&path, &picture.png(&texts)?)?;
        }
        Ok(())
    }

    /// The values of measures on what is drawn, image by image.
    fn measure(&self, place: Place, changed: &Changed, measures: &[&PlannedMeasure]) -> Result<Vec<Vec<f64>>> {
        let (session, task) = (self.session, self.task);
        let original = session.embedding(&task.prompts[place.prompt].text)?;
        // Detectors see the embedding, not attention; with tokens masked out it is the prompt's own.
        let is_whole = changed.embedding.embedding.dims() == original.embedding.dims();
        let embedding: &PromptEmbedding = if is_whole { &changed.embedding } else { &original };
        let empty = session.unconditional()?;
        let noise = |x: &Vec<f32>| InitialNoise::new(session.model(), empty, x.clone(), session.calls());
        let noises: Vec<InitialNoise> = changed.latents.iter().map(noise).collect();
        let generations: Vec<Generation> = noises.iter().map(|noise| noise.generation(embedding)).collect();
        let requests = Measures::requests(measures.iter().copied());
        prefetch(session.model(), &generations, &requests, task.images())?;
        let values = |planned: &&PlannedMeasure| {
            let values = planned.measure.measure(&generations)?.concat();
            match values.iter().all(|value| value.is_finite()) {
                true => Ok(values),
                false => Err(Error::NonFinite {
                    quantity: format!("{} after {}", planned.id, task.methods[place.method].label),
                    prompt: task.prompts[place.prompt].text.to_string(),
                }),
            }
        };
        measures.iter().map(values).collect()
    }
}

impl Execute for Mitigating<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let (task, unit) = (self.task, open.unit);
        let (place, asked) = (task.place(unit), self.session.samples());
        let clock = Instant::now();
        let changed = self.change(place)?;
        let mitigating = clock.elapsed().as_secs_f64();
        let mut records = vec![];
        if open.parts.contains(&0) {
            let clock = Instant::now();
            self.draw(unit, place, &changed)?;
            let seconds = vec![mitigating, clock.elapsed().as_secs_f64()];
            let mut values = vec![(self.session.samples() - asked) as f64, changed.ending.code()];
            values.extend(&changed.losses);
            records.push((task.key(unit, "losses"), values));
            records.push((task.key(unit, "seconds"), seconds));
        }
        let measures = task.measures();
        let wanted = measures.all().iter().enumerate().filter(|(i, _)| open.parts.contains(&(i + 1)));
        let wanted: Vec<&PlannedMeasure> = wanted.map(|(_, planned)| planned).collect();
        if !wanted.is_empty() {
            let values = self.measure(place, &changed, &wanted)?;
            let keyed = wanted.iter().zip(values).map(|(planned, values)| (task.key(unit, &planned.id), values));
            records.extend(keyed);
        }
        calls.drawing += self.session.samples() - asked;
        Ok(records)
    }
}
