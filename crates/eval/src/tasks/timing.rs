//! How long detectors take, over both windows of docs/spec/protocol.md §8. A unit is one detector at one number of generations.

use std::{rc::Rc, time::Instant};

use memscope_metric::{
    Detector, Generation, InitialNoise, Input, NetworkCalls, Pair, PredictionRequest, ResolvedProtocol, prefetch,
};
use memscope_model::{
    PredictionInput, PromptEmbedding, Sampling,
    cost::{Pass, SamplesPerCall, Workload},
};
use memscope_results::timing::TIMED_PROMPTS;

use crate::{
    error::{Error, Result},
    spec::{DetectorEntry, DetectorName},
    store::{Key, RecordId},
    task::{
        Calls, Execute, Measures, ModelIdentity, NoisePlan, OpenUnit, Part, Price, Session, SharedPredictions, Task,
    },
};

/// The predictions for both prompts that the released code's window asks for, per prompt and latent.
const REFERENCE_CALLS: usize = 8;

/// A detector to time.
#[derive(Clone, Copy)]
pub struct TimedDetector<'a> {
    /// As the experiment names it.
    pub entry: &'a DetectorEntry,
    /// The options in force.
    pub protocol: ResolvedProtocol,
    /// The detector.
    pub detector: &'a dyn Detector,
}

impl TimedDetector<'_> {
    /// Whether the released code's window is that of this detector.
    fn has_reference(&self) -> bool {
        self.entry.name() == DetectorName::Anisotropy && self.protocol.input == Input::Noise
    }
}

/// The times of some detectors on a model.
pub(crate) struct Timing<'a> {
    pub(crate) model: ModelIdentity,
    /// Times belong to the experiment that asks for them: they are not shared as measurements are.
    pub(crate) experiment: &'a str,
    pub(crate) detectors: Vec<TimedDetector<'a>>,
    /// Some prompts; repeated where there are fewer than [`TIMED_PROMPTS`].
    pub(crate) prompts: Vec<String>,
    pub(crate) noise: NoisePlan,
    /// Numbers of generations.
    pub(crate) generations: &'a [usize],
    /// Samples per network call.
    pub(crate) batch: usize,
}

impl Timing<'_> {
    /// The detector and the number of generations of a unit: all detectors at the first number, then at the next.
    pub(crate) fn of(&self, unit: usize) -> (&TimedDetector<'_>, usize) {
        (&self.detectors[unit % self.detectors.len()], self.generations[unit / self.detectors.len()])
    }

    /// Calls and seconds; then those of the released code's window, where it has one.
    pub(crate) fn key(&self, unit: usize) -> Key {
        let (timed, generations) = self.of(unit);
        let [generator, precision, _] = self.noise.key_parts(self.model.latent_shape);
        let quantities: Vec<String> = timed.detector.quantities().iter().map(|q| format!("{q:?}")).collect();
        Key::new(&[
            "time",
            &self.model.fingerprint,
            &self.model.arithmetic,
            self.experiment,
            &timed.entry.label(),
            &quantities.join(" "),
            &generations.to_string(),
            &generator,
            &precision,
            &self.batch.to_string(),
        ])
    }

    fn texts(&self) -> Vec<&str> {
        self.prompts.iter().map(String::as_str).cycle().take(TIMED_PROMPTS).collect()
    }
}

impl Task for Timing<'_> {
    fn units(&self) -> usize {
        self.detectors.len() * self.generations.len()
    }

    fn parts(&self, unit: usize) -> Vec<Part> {
        let count = Some(if self.of(unit).0.has_reference() { 4 } else { 2 });
        vec![Part { records: vec![RecordId::Numbers { key: self.key(unit), count }] }]
    }

    fn weight(&self, _: usize) -> usize {
        1
    }

    fn prompt_batches(&self, open: &[OpenUnit]) -> Vec<Vec<String>> {
        match open {
            [] => vec![],
            _ => vec![self.texts().into_iter().map(str::to_owned).collect()],
        }
    }

    fn price(&self, open: &OpenUnit, _: &mut SharedPredictions) -> Price {
        let (timed, n) = self.of(open.unit);
        let measures: Measures = timed.detector.measures().into_iter().collect();
        let requests = Measures::requests(measures.all());
        let empty = requests.iter().filter(|r| matches!(r, PredictionRequest::Unconditional { .. })).count();
        let mut work = Workload { batch: self.batch.clamp(1, TIMED_PROMPTS), ..Workload::default() };
        work.add(Pass::Prediction, n * empty, SamplesPerCall::Fixed(1));
        work.add(Pass::Prediction, n * TIMED_PROMPTS * (requests.len() - empty), SamplesPerCall::PerPrompt(1));
        for own in measures.all().iter().flat_map(|planned| planned.measure.own()) {
            work.add(own.pass, n * TIMED_PROMPTS * own.calls, own.samples_per_call);
        }
        if timed.has_reference() {
            work.add(Pass::Prediction, n * TIMED_PROMPTS * REFERENCE_CALLS, SamplesPerCall::Fixed(2 * n));
        }
        Price { calls: Calls { timing: work.calls(), ..Calls::default() }, work }
    }

    /// Times are compared with one another, so that they come from one machine.
    fn is_divisible(&self) -> bool {
        false
    }

    fn begin<'s>(&'s self, session: &'s Session<'s>) -> Result<Box<dyn Execute + 's>> {
        let seed = self.noise.seeds.first().copied().unwrap_or_default();
        let prompts = self.texts().into_iter().map(|text| session.embedding(text)).collect::<Result<_>>()?;
        let latents = self.noise.latents(seed, self.model.latent_shape);
        Ok(Box::new(Clock { task: self, session, empty: session.unconditional()?, prompts, latents }))
    }
}

struct Clock<'s> {
    task: &'s Timing<'s>,
    session: &'s Session<'s>,
    empty: &'s PromptEmbedding,
    prompts: Vec<Rc<PromptEmbedding>>,
    /// x_T of every generation, flattened (C, H, W).
    latents: Vec<Vec<f32>>,
}

impl Execute for Clock<'_> {
    fn execute(&mut self, open: &OpenUnit, calls: &mut Calls) -> Result<Vec<(Key, Vec<f64>)>> {
        let asked = self.session.samples();
        let (timed, n) = self.task.of(open.unit);
        let seconds = self.metric_window(timed.detector, n)?;
        let window_calls = self.session.samples() - asked;
        let mut values = vec![window_calls as f64, seconds];
        if timed.has_reference() {
            let asked = self.session.samples();
            let seconds = self.reference_window(&timed.protocol, n)?;
            values.extend([(self.session.samples() - asked) as f64, seconds]);
        }
        calls.timing += self.session.samples() - asked;
        Ok(vec![(self.task.key(open.unit), values)])
    }
}

impl Clock<'_> {
    /// Seconds from the first prediction to the last score.
    fn metric_window(&self, detector: &dyn Detector, n: usize) -> Result<f64> {
        let model = self.session.model();
        let measures: Measures = detector.measures().into_iter().collect();
        let requests = Measures::requests(measures.all());
        let missing = || Error::NotMeasured { detector: detector.name().into(), prompt: "any prompt".into() };
        let places = measures.locate(&detector.quantities()).ok_or_else(missing)?;
        let calls = NetworkCalls::default();

        let clock = Instant::now();
        let mut generations = vec![vec![]; self.prompts.len()];
        for x in &self.latents[..n] {
            let noise = InitialNoise::new(model, self.empty, x.clone(), &calls);
            let at_noise: Vec<Generation> = self.prompts.iter().map(|prompt| noise.generation(prompt)).collect();
            prefetch(model, &at_noise, &requests, self.task.batch)?;
            let values = measures.all().iter().map(|planned| planned.measure.measure(&at_noise));
            let values = values.collect::<memscope_model::Result<Vec<_>>>()?;
            for (i, generations) in generations.iter_mut().enumerate() {
                generations.push(places.iter().map(|at| values[at.measure][i][at.value]).collect::<Vec<f64>>());
            }
        }
        for values in &generations {
            std::hint::black_box(detector.score(values));
        }
        Ok(clock.elapsed().as_secs_f64())
    }

    /// Seconds of the released loop: per prompt both timesteps with the empty prompt beside it, the metric, one denoising
    /// step, and the network calls of the next step, whose predictions nobody reads.
    fn reference_window(&self, protocol: &ResolvedProtocol, n: usize) -> Result<f64> {
        let model = self.session.model();
        let sampling = Sampling::default();
        let stride = model.schedule().train_steps() / sampling.steps;
        let next = protocol.t_norm.saturating_sub(stride).max(1);
        let clock = Instant::now();
        for prompt in &self.prompts {
            let prompt = prompt.as_ref();
            let predict = |latents: &[Vec<f32>], t| {
                let of = |prompt| latents.iter().map(move |x| PredictionInput { x, t, prompt });
                let inputs: Vec<PredictionInput> = of(self.empty).chain(of(prompt)).collect();
                model.predict_batch(&inputs)
            };
            let mut latents = self.latents[..n].to_vec();
            let first = predict(&latents, protocol.t_norm)?;
            let second = predict(&latents, protocol.t_cos)?;
            let channels = model.latent_shape().0;
            for (i, x) in latents.iter().enumerate() {
                let at_norm = Pair { x, channels, unconditional: &first[i], conditional: &first[n + i] };
                let at_cos = Pair { x, channels, unconditional: &second[i], conditional: &second[n + i] };
                let p = protocol;
                std::hint::black_box((
                    at_norm.norm(p.norm_space, p.norm_normalization()),
                    at_cos.cosine(p.cos_mode, p.cos_reduction, p.cos_space, p.normalization),
                ));
            }
            for (i, x) in latents.iter_mut().enumerate() {
                sampling.step(model.schedule(), x, &first[i], &first[n + i], protocol.t_norm)?;
            }
            std::hint::black_box((predict(&latents, next)?, predict(&latents, protocol.t_cos)?));
        }
        Ok(clock.elapsed().as_secs_f64())
    }
}
