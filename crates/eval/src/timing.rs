//! How long detectors take, over both windows of docs/spec/protocol.md §8.

use std::time::Instant;

use memscope_metric::{Ask, Detector, Input, NetworkCalls, Pair, Probe, ResolvedProtocol, Start, prefetch};
use memscope_model::{
    LatentDiffusion, PredictionInput, PromptEmbedding, Sampling,
    cost::{Pass, SamplesPerCall, Workload},
};
pub use memscope_results::timing::{DetectorTiming, TIMED_PROMPTS, Window};

use crate::{
    error::{Error, Result},
    measures::Measures,
    registry::{DetectorEntry, DetectorName},
    run::Watch,
};

/// The predictions for both prompts that [`Timed::reference_window`] asks for, per prompt and latent.
const REFERENCE_CALLS: usize = 8;

/// Whether the released code's window is that of a detector.
fn has_reference(entry: &DetectorEntry, protocol: &ResolvedProtocol) -> bool {
    entry.name == DetectorName::Anisotropy && protocol.input == Input::Noise
}

/// What timing some detectors at some numbers of generations asks of the network.
pub(crate) fn workload(
    detectors: &[(&DetectorEntry, ResolvedProtocol, &dyn Detector)],
    generations: &[usize],
    batch: usize,
) -> Workload {
    let batch = batch.clamp(1, TIMED_PROMPTS);
    let mut work = Workload { prompts: TIMED_PROMPTS + 1, batch, ..Workload::default() };
    for &n in generations {
        for (entry, protocol, detector) in detectors {
            let measures: Measures = detector.measures().into_iter().collect();
            let asks = Measures::asks(measures.all());
            let empty = asks.iter().filter(|ask| matches!(ask, Ask::Unconditional { .. })).count();
            let each = SamplesPerCall::PerPrompt(1);
            work.add(Pass::Prediction, n * empty, SamplesPerCall::Fixed(1));
            work.add(Pass::Prediction, n * TIMED_PROMPTS * (asks.len() - empty), each);
            for own in measures.all().iter().flat_map(|planned| planned.measure.own()) {
                work.add(own.pass, n * TIMED_PROMPTS * own.calls, own.samples_per_call);
            }
            if has_reference(entry, protocol) {
                work.add(Pass::Prediction, n * TIMED_PROMPTS * REFERENCE_CALLS, SamplesPerCall::Fixed(2 * n));
            }
        }
    }
    work
}

/// Detectors to time on a model.
pub struct Timed<'a> {
    /// The model.
    pub model: &'a LatentDiffusion,
    /// Entry, options and detector.
    pub detectors: Vec<(&'a DetectorEntry, ResolvedProtocol, &'a dyn Detector)>,
    /// Some prompts; repeated where there are fewer than [`TIMED_PROMPTS`].
    pub prompts: &'a [String],
    /// x_T of every generation, flattened (C, H, W).
    pub latents: Vec<Vec<f32>>,
    /// Numbers of generations.
    pub generations: &'a [usize],
    /// Samples per network call.
    pub batch: usize,
}

impl Timed<'_> {
    /// Times every detector once for every number of generations.
    pub fn run(&self, watch: &dyn Watch) -> Result<Vec<DetectorTiming>> {
        let texts: Vec<&str> = self.prompts.iter().map(String::as_str).cycle().take(TIMED_PROMPTS).collect();
        let empty = self.model.encode_prompts(&[""])?.remove(0);
        let prompts = self.model.encode_prompts(&texts)?;
        self.model.release_text_encoder();
        let mut timings = vec![];
        for &n in self.generations {
            for (entry, protocol, detector) in &self.detectors {
                if watch.stop_requested() {
                    return Err(Error::Stopped);
                }
                let window = self.metric_window(*detector, &empty, &prompts, n)?;
                let in_code = has_reference(entry, protocol);
                let reference = in_code.then(|| self.reference_window(protocol, &empty, &prompts, n)).transpose()?;
                timings.push(DetectorTiming {
                    label: entry.label(),
                    generations: n,
                    calls: window.calls,
                    seconds: window.seconds,
                    reference,
                    paper: entry.paper_row(),
                });
            }
        }
        Ok(timings)
    }

    fn metric_window(
        &self,
        detector: &dyn Detector,
        empty: &PromptEmbedding,
        prompts: &[PromptEmbedding],
        n: usize,
    ) -> Result<Window> {
        let measures: Measures = detector.measures().into_iter().collect();
        let asks = Measures::asks(measures.all());
        let missing = || Error::NotMeasured { detector: detector.name().into(), prompt: "any prompt".into() };
        let places = measures.locate(&detector.quantities()).ok_or_else(missing)?;
        let calls = NetworkCalls::default();
        let mut own_calls = 0;

        let clock = Instant::now();
        let mut generations = vec![vec![]; prompts.len()];
        for x in &self.latents[..n] {
            let start = Start::new(self.model, empty, x.clone(), &calls);
            let probes: Vec<Probe> = prompts.iter().map(|prompt| start.probe(prompt)).collect();
            prefetch(self.model, &probes, &asks, self.batch)?;
            let mut values = vec![];
            for planned in measures.all() {
                values.push(planned.measure.measure(&probes)?);
                own_calls += probes.len() * planned.measure.own_calls();
            }
            for (i, generations) in generations.iter_mut().enumerate() {
                generations.push(places.iter().map(|at| values[at.measure][i][at.value]).collect::<Vec<f64>>());
            }
        }
        for values in &generations {
            std::hint::black_box(detector.score(values));
        }
        let seconds = clock.elapsed().as_secs_f64();
        Ok(Window { calls: calls.unconditional() + calls.conditional() + own_calls, seconds })
    }

    /// The released loop: per prompt both timesteps with the empty prompt beside it, the metric, one denoising step,
    /// and the network calls of the next step, whose answers nobody reads.
    fn reference_window(
        &self,
        protocol: &ResolvedProtocol,
        empty: &PromptEmbedding,
        prompts: &[PromptEmbedding],
        n: usize,
    ) -> Result<Window> {
        let sampling = Sampling::default();
        let stride = self.model.schedule().train_steps() / sampling.steps;
        let next = protocol.t_norm.saturating_sub(stride).max(1);
        let mut calls = 0;
        let clock = Instant::now();
        for prompt in prompts {
            let mut ask = |latents: &[Vec<f32>], t| {
                let of = |prompt| latents.iter().map(move |x| PredictionInput { x, t, prompt });
                let inputs: Vec<PredictionInput> = of(empty).chain(of(prompt)).collect();
                calls += inputs.len();
                self.model.predict_batch(&inputs)
            };
            let mut latents = self.latents[..n].to_vec();
            let first = ask(&latents, protocol.t_norm)?;
            let second = ask(&latents, protocol.t_cos)?;
            let channels = self.model.latent_shape().0;
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
                sampling.step(self.model.schedule(), x, &first[i], &first[n + i], protocol.t_norm)?;
            }
            std::hint::black_box((ask(&latents, next)?, ask(&latents, protocol.t_cos)?));
        }
        Ok(Window { calls, seconds: clock.elapsed().as_secs_f64() })
    }
}
