//! One UNet forward at a time, on request: the Rust side of `scripts/bench_vs_torch`.
//!
//! `unet_time FOLDER` loads the model, prints `{"ready": …}`, and for every line on standard input runs one forward
//! (batch 1, t = 981, the empty prompt, a fixed latent) and prints `{"seconds": …}`. It stays loaded in between, so that
//! another program can be timed in turn. `RAYON_NUM_THREADS` sets the threads. `LINE` may hold a batch size.

use std::{
    error::Error,
    io::{BufRead, Write, stdin, stdout},
    time::Instant,
};

use candle_core::Tensor;
use memscope_model::{LatentDiffusion, ModelSource, NoiseGenerator, NoisePrecision, noise::initial_latents};

// As the program does: allocation is a large part of a forward.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let source: ModelSource = std::env::args().nth(1).ok_or("usage: unet_time FOLDER")?.parse()?;
    let start = Instant::now();
    let model = LatentDiffusion::load(&source)?;
    let prompt = model.encode_prompts(&[""])?.remove(0).embedding;
    answer(&serde_json::json!({
        "ready": start.elapsed().as_secs_f64(),
        "threads": rayon::current_num_threads(),
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
    }))?;
    for line in stdin().lock().lines() {
        let line = line?;
        let batch: usize = if line.trim().is_empty() { 1 } else { line.trim().parse()? };
        let (channels, height, width) = model.latent_shape();
        let noise = initial_latents(NoiseGenerator::A6000, NoisePrecision::F32, 42, batch, (channels, height, width));
        let x = Tensor::from_vec(noise, (batch, channels, height, width), prompt.device())?;
        let context = Tensor::stack(&vec![&prompt; batch], 0)?;
        let start = Instant::now();
        let output = model.predict(&x, &vec![981; batch], &context, None)?;
        let seconds = start.elapsed().as_secs_f64();
        let norm = output.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt();
        answer(&serde_json::json!({ "seconds": seconds, "norm": norm }))?;
    }
    Ok(())
}

fn answer(value: &serde_json::Value) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}
