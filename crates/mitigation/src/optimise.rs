//! Optimisation of the prompt embedding under any loss (docs/spec/mitigation.md §1, §2).

use memscope_metric::{Loss, LossInput, OwnCalls};
use memscope_model::{
    Blueprint, Error as ModelError, Prediction, PromptEmbedding, Sampling,
    cost::{Pass, SamplesPerCall},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    adam::Adam,
    embedding,
    error::{Error, Result},
    method::{Changed, Ending, Mitigation, Subject},
    passes::{Traced, predict},
};

/// How the embedding is moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingSettings {
    /// AdamW's learning rate.
    pub learning_rate: f64,
    /// Steps at most.
    pub iterations: usize,
    /// The loss at which it stops, before the step.
    pub target: Option<f64>,
    /// Latents of the loss: the first ones that are drawn, all where `None`.
    pub batch: Option<usize>,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f64,
}

impl Default for EmbeddingSettings {
    /// Those of the released scripts: lr 0.05, 10 iterations, no target, all latents, weight decay 0.01.
    fn default() -> Self {
        Self { learning_rate: 0.05, iterations: 10, target: None, batch: None, weight_decay: 0.01 }
    }
}

/// AdamW on the prompt embedding. The first token, the start of the text, has no gradient, but decays like the others.
#[derive(Debug)]
pub struct EmbeddingOptimisation {
    name: &'static str,
    loss: Box<dyn Loss>,
    settings: EmbeddingSettings,
}

impl EmbeddingOptimisation {
    /// Under this loss; `name` is the method's.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(name: &'static str, loss: Box<dyn Loss>, settings: EmbeddingSettings) -> Result<Self> {
        let EmbeddingSettings { learning_rate, iterations, target, batch, weight_decay } = settings;
        let in_range = |value: f64, most: f64| value.is_finite() && (0.0..=most).contains(&value);
        let refuse = |reason: String| Err(Error::setting(name, reason));
        match () {
            () if !in_range(learning_rate, 1e3) || learning_rate == 0.0 => {
                refuse(format!("learning_rate {learning_rate} must lie above 0 and be at most 1000"))
            }
            () if !in_range(weight_decay, 1e3) => refuse(format!("weight_decay {weight_decay} must lie in 0..=1000")),
            () if !(1..=10_000).contains(&iterations) => {
                refuse(format!("iterations {iterations} must lie in 1..=10000"))
            }
            () if target.is_some_and(|target| !target.is_finite()) => refuse("target must be a number".into()),
            () if batch == Some(0) => refuse("batch must be at least 1".into()),
            () => Ok(Self { name, loss, settings }),
        }
    }

    fn batch(&self, images: usize) -> usize {
        self.settings.batch.unwrap_or(images).min(images)
    }

    /// The loss under an embedding, and its gradient unless the way is at its end; `None` where either is not finite.
    fn evaluate(
        &self,
        subject: &Subject,
        latents: &[Vec<f32>],
        unconditional: &[Vec<Prediction>],
        prompt: &PromptEmbedding,
        wanted: Wanted,
    ) -> Result<Option<(f64, Vec<f32>)>> {
        let (model, timesteps) = (subject.model, self.loss.timesteps());
        let channels = model.latent_shape().0;
        let input = |conditional, place: usize| LossInput {
            latents,
            channels,
            unconditional: &unconditional[place],
            conditional,
        };
        if wanted == Wanted::Value {
            let predictions = timesteps.iter().map(|t| predict(model, latents, *t, prompt)).collect::<Result<Vec<_>>>();
            let predictions = match predictions {
                Err(Error::Model(ModelError::NonFiniteOutput { .. })) => return Ok(None),
                other => other?,
            };
            let at: Vec<LossInput> =
                predictions.iter().enumerate().map(|(place, conditional)| input(conditional, place)).collect();
            let loss = self.loss.evaluate(&at).value;
            return Ok(loss.is_finite().then(|| (loss, vec![])));
        }
        let traced = timesteps.iter().map(|t| Traced::new(model, latents, *t, prompt)).collect::<Result<Vec<_>>>()?;
        if !traced.iter().all(Traced::is_finite) {
            return Ok(None);
        }
        let at: Vec<LossInput> =
            traced.iter().enumerate().map(|(place, traced)| input(traced.predictions(), place)).collect();
        let gradients = self.loss.evaluate(&at);
        let mut sum: Vec<f32> = vec![];
        for (traced, cotangents) in traced.into_iter().zip(&gradients.conditional) {
            let gradient = traced.context_gradient(cotangents)?;
            sum.resize(gradient.len(), 0.0);
            sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
        }
        let is_finite = gradients.value.is_finite() && sum.iter().all(|g| g.is_finite());
        Ok(is_finite.then_some((gradients.value, sum)))
    }
}

/// What is asked of the loss.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Value,
    Gradient,
}

impl Mitigation for EmbeddingOptimisation {
    fn name(&self) -> &'static str {
        self.name
    }

    fn id(&self) -> String {
        let EmbeddingSettings { learning_rate, iterations, target, batch, weight_decay } = self.settings;
        let target = target.map_or_else(|| "none".to_owned(), |target| target.to_string());
        let batch = batch.map_or_else(|| "all".to_owned(), |batch| batch.to_string());
        format!(
            "embedding/{}/lr={learning_rate}/iterations={iterations}/target={target}/batch={batch}/decay={weight_decay}",
            self.loss.id()
        )
    }

    /// The empty prompt's predictions once, a pass with gradient in every step, and the loss after the last one.
    fn cost(&self, images: usize, _: Sampling) -> Vec<OwnCalls> {
        let (batch, timesteps) = (self.batch(images), self.loss.timesteps().len());
        let samples_per_call = SamplesPerCall::Fixed(batch);
        vec![
            OwnCalls { pass: Pass::Prediction, calls: 2 * timesteps * batch, samples_per_call },
            // The loss needs the predictions of all timesteps before any is differentiated.
            OwnCalls {
                pass: Pass::Vjp,
                calls: self.settings.iterations * timesteps * batch,
                samples_per_call: SamplesPerCall::Fixed(timesteps * batch),
            },
        ]
    }

    fn is_exact(&self) -> bool {
        self.settings.target.is_none()
    }

    fn check(&self, model: &Blueprint) -> Result<()> {
        let steps = model.schedule().train_steps();
        match self.loss.timesteps().iter().find(|t| **t >= steps) {
            Some(t) => Err(Error::setting(self.name, format!("t = {t} is not below the schedule's {steps} steps"))),
            None => Ok(()),
        }
    }

    fn apply(&self, subject: &Subject) -> Result<Changed> {
        let mut changed = subject.unchanged();
        let latents = changed.latents[..self.batch(subject.images)].to_vec();
        let timesteps = self.loss.timesteps();
        let unconditional = timesteps.iter().map(|t| predict(subject.model, &latents, *t, subject.empty));
        let unconditional = unconditional.collect::<Result<Vec<_>>>()?;
        let settings = &self.settings;
        let mut numbers = embedding::numbers(subject.embedding)?;
        let start = embedding::width(subject.embedding)?;
        let mut adam = Adam::new(numbers.len(), settings.learning_rate, settings.weight_decay);
        changed.ending = if settings.target.is_some() { Ending::NotReached } else { Ending::Done };
        for step in 0..=settings.iterations {
            if (subject.stop)() {
                return Err(Error::Stopped);
            }
            let candidate = embedding::with_numbers(subject.embedding, &numbers)?;
            let wanted = if step == settings.iterations { Wanted::Value } else { Wanted::Gradient };
            let evaluated = self.evaluate(subject, &latents, &unconditional, &candidate, wanted)?;
            let Some((loss, mut gradient)) = evaluated else {
                changed.ending = Ending::NonFinite;
                break;
            };
            changed.losses.push(loss);
            changed.embedding = candidate;
            if settings.target.is_some_and(|target| loss <= target) {
                changed.ending = Ending::Reached;
                break;
            }
            if wanted == Wanted::Gradient {
                gradient[..start].fill(0.0);
                adam.step(&mut numbers, &gradient);
            }
        }
        Ok(changed)
    }
}
