//! One step of an optimisation at a time, on request: the Rust side of `scripts/bench_vs_torch`, part `step`.
//!
//! `step_time FOLDER STEPS` loads the model and begins to lower M of a prompt (docs/spec/mitigation.md §2) from one latent,
//! prints `{"ready": …}`, and answers each line on standard input by making one step and printing `{"seconds": …}`: both
//! passes with gradient, and the optimiser. After the last step it prints the losses before every step and after the last.

use std::{
    cell::Cell,
    error::Error,
    io::{Write, stdin, stdout},
    time::Instant,
};

use memscope_metric::{Gammas, Protocol};
use memscope_mitigation::{EmbeddingSettings, Mitigation, Subject, anisotropy};
use memscope_model::{LatentDiffusion, ModelSource, NoiseGenerator, NoisePrecision, Sampling, noise::initial_latents};

// As the program does: allocation is a large part of a forward.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROMPT: &str = "Mothers influence on her young hippo";
const SEED: u64 = 42;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: step_time FOLDER STEPS";
    let source: ModelSource = arguments.next().ok_or(usage)?.parse()?;
    let iterations: usize = arguments.next().ok_or(usage)?.parse()?;
    let start = Instant::now();
    let model = LatentDiffusion::load(&source)?;
    let embedding = model.encode_prompts(&[PROMPT])?.remove(0);
    let empty = model.encode_unconditional()?;
    model.release_text_encoders();
    let parameterization = model.schedule().parameterization();
    let protocol = Protocol::default().resolve(parameterization)?;
    let settings = EmbeddingSettings { iterations, ..EmbeddingSettings::default() };
    let method = anisotropy(protocol, Gammas::of_table5(parameterization), settings)?;

    let (channels, height, width) = model.latent_shape();
    let noise = |seed, count| {
        let shape = (channels, height, width);
        let all = initial_latents(NoiseGenerator::A6000, NoisePrecision::F32, seed, count, shape);
        all.chunks(channels * height * width).map(<[f32]>::to_vec).collect()
    };
    let clock: Cell<Option<Instant>> = Cell::new(None);
    // Asked before every step, and once more before the loss that stands at the end.
    let stop = || {
        match clock.take() {
            Some(clock) => say(&serde_json::json!({ "seconds": clock.elapsed().as_secs_f64() })),
            None => say(&serde_json::json!({
                "ready": start.elapsed().as_secs_f64(),
                "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
                "weights": model.weights_label(),
            })),
        }
        let mut line = String::new();
        let ended = stdin().read_line(&mut line).is_ok_and(|bytes| bytes == 0);
        clock.set(Some(Instant::now()));
        ended
    };
    let changed = method.apply(&Subject {
        model: &model,
        prompt: PROMPT,
        embedding: &embedding,
        empty: &empty,
        seed: SEED,
        images: 1,
        noise: &noise,
        sampling: Sampling::default(),
        stop: &stop,
    })?;
    say(&serde_json::json!({ "losses": changed.losses }));
    Ok(())
}

/// Prints one line at once.
fn say(value: &serde_json::Value) {
    println!("{value}");
    // Who asks may have gone; the next line then ends the optimisation.
    let _ = stdout().flush();
}
