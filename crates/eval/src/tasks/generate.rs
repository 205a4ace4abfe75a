//! Images for one prompt. All images of the prompt are one unit: they are drawn together.

use std::{fs, path::PathBuf};

use memscope_model::{
    NoiseGenerator, NoisePrecision, Sampling,
    cost::{Pass, SamplesPerCall, Workload},
    noise::initial_latents,
};
use memscope_results::files::Existing;

use super::picture;
use crate::{
    error::{Error, Result},
    store::{Key, RecordId},
    task::{Calls, Execute, OpenUnit, Part, Price, Session, SharedPredictions, Task},
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
    /// The model, as it is named on the command line, and its number format.
    pub model: String,
    /// Folder for the PNG files.
    pub folder: PathBuf,
    /// What happens to files of the same names.
    pub existing: Existing,
}

/// Characters of the prompt in a file's name.
const PROMPT_IN_NAME: usize = 40;

impl Generate {
    /// The files, in order. Their names hold the prompt, a hash of all that the command says about the picture, the seed and
    /// the number: `red-apple-1f3a9c02-seed42-00.png`.
    pub fn paths(&self) -> Vec<PathBuf> {
        let Sampling { steps, guidance } = self.sampling;
        let (generator, seed, count) = (self.generator.to_string(), self.seed.to_string(), self.count.to_string());
        let settings = format!("{steps}/{guidance}");
        let key = Key::new(&["image", &self.model, &generator, &seed, &count, &settings, &self.prompt]).to_string();
        let start = format!("{}{}-seed{seed}", words(&self.prompt), &key[..8]);
        (0..self.count).map(|i| self.folder.join(format!("{start}-{i:02}.png"))).collect()
    }
}

/// The beginning of a prompt as a part of a file's name: letters and digits of ASCII, `-` for everything else.
fn words(prompt: &str) -> String {
    let mut name = String::new();
    for c in prompt.chars() {
        if name.len() >= PROMPT_IN_NAME {
            break;
        }
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    if !name.is_empty() && !name.ends_with('-') {
        name.push('-');
    }
    name
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
        picture::draw(session, &task.prompt, (latents, task.sampling), (&task.paths(), task.existing), steps)?;
        calls.drawing += session.samples() - asked;
        Ok(vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_pictures_apart() {
        let task = Generate {
            prompt: "A red apple, on ../grass!".into(),
            generator: NoiseGenerator::A6000,
            seed: 42,
            count: 2,
            sampling: Sampling::default(),
            model: "embedded:emoji-eps f32".into(),
            folder: "out".into(),
            existing: Existing::Refuse,
        };
        let names = |task: &Generate| task.paths().iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let first = names(&task);
        assert!(first[0].starts_with("out/a-red-apple-on-grass-") && first[0].ends_with("-seed42-00.png"), "{first:?}");
        assert_ne!(first[0], first[1]);
        for other in [
            Generate { prompt: "A red apple, on ..grass!".into(), ..task.clone() },
            Generate { sampling: Sampling { guidance: 1.0, ..Sampling::default() }, ..task.clone() },
            Generate { model: "embedded:emoji-v f32".into(), ..task.clone() },
        ] {
            assert_ne!(names(&other)[0], first[0]);
        }
        assert!(names(&Generate { prompt: "犬".repeat(1_000), ..task })[0].len() < 40);
    }
}
