//! Images for one prompt. All images of the prompt are one unit: they are drawn together.

use std::{fs, path::PathBuf};

use memscope_model::{
    NoiseGenerator, NoisePrecision, Sampling,
    cost::{Pass, SamplesPerCall, Workload},
    noise::initial_latents,
};

use super::picture;
use crate::{
    error::{Error, Result},
    plan::{Calls, Execute, Key, OpenUnit, Part, Price, RecordId, SharedPredictions, Task},
    run::Session,
};

/// The images of a prompt.
#[derive(Clone, Debug)]
pub struct Generate {
    /// The prompt.
    pub prompt: String,
    /// Generator of the noise.
    pub generator: NoiseGenerator,
    /// Seed of the noise.
    pub seed: u64,
    /// How many images.
    pub count: usize,
    /// Steps and guidance scale.
    pub sampling: Sampling,
    /// Folder for the PNG files.
    pub folder: PathBuf,
}

impl Generate {
    /// The files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        (0..self.count).map(|i| self.folder.join(format!("seed{}-{i:02}.png", self.seed))).collect()
    }
}

impl Task for Generate {
    fn units(&self) -> usize {
        1
    }

    fn parts(&self, _: usize) -> Vec<Part> {
        vec![Part { records: self.paths().into_iter().map(RecordId::Picture).collect() }]
    }

    fn weight(&self, _: usize) -> usize {
        self.sampling.steps
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        if open.is_empty() { vec![] } else { vec![vec![self.prompt.clone()]] }
    }

    /// Both predictions of every step, for all images at once.
    fn price(&self, _: &OpenUnit, _: &mut SharedPredictions) -> Price {
        let calls = 2 * self.count * self.sampling.steps;
        let mut work = Workload { images: self.count, batch: self.count, ..Workload::default() };
        work.add(Pass::Prediction, calls, SamplesPerCall::PerPrompt(2));
        Price { calls: Calls { drawing: calls, ..Calls::default() }, work }
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        fs::create_dir_all(&self.folder).map_err(Error::write(&self.folder))?;
        Ok(Box::new(Drawing { task: self, session }))
    }
}

struct Drawing<'s> {
    task: &'s Generate,
    session: &'s Session<'s>,
}

impl Execute for Drawing<'_> {
    fn execute(&mut self, _: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let (task, session) = (self.task, self.session);
        let (asked, shape) = (session.samples(), session.model().latent_shape());
        let noise = initial_latents(task.generator, NoisePrecision::F32, task.seed, task.count, shape);
        let latents = noise.chunks(shape.0 * shape.1 * shape.2).map(<[f32]>::to_vec).collect();
        let steps = |done| session.advance(done);
        picture::draw(session, &task.prompt, latents, task.sampling, &task.paths(), steps)?;
        calls.drawing += session.samples() - asked;
        Ok(vec![])
    }
}
