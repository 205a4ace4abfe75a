//! One piece of the UNet's work at a time, on request: the Rust side of `scripts/bench_vs_torch`.
//!
//! `unet_time FOLDER` loads the model, prints `{"ready": …}`, and answers every line on standard input by doing the work
//! it names and printing `{"seconds": …}` with a few norms. It stays loaded in between, so that another program can be
//! timed in turn. `RAYON_NUM_THREADS` sets the threads. All work is at t = 981 on a fixed latent.
//!
//! * a number: one forward of that batch size, with the empty prompt;
//! * `gradient`: ‖c − u‖₂ of a prompt and the empty one, its gradient in the prompt embedding and in the latent, step by
//!   step; `gradient-plain`: the same by candle's reverse mode over both networks;
//! * `gradient-prompt`: the gradient in the prompt embedding alone, step by step.

use std::{
    error::Error,
    io::{BufRead, Write, stdin, stdout},
    time::Instant,
};

use candle_core::{Device, Tensor, Var};
use memscope_model::{
    LatentDiffusion, ModelSource, NoiseGenerator, NoisePrecision, noise::initial_latents, unet::Gradients,
};

// As the program does: allocation is a large part of a forward.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const T: usize = 981;
const PROMPT: &str = "Mothers influence on her young hippo";

fn main() -> Result<(), Box<dyn Error>> {
    let source: ModelSource = std::env::args().nth(1).ok_or("usage: unet_time FOLDER")?.parse()?;
    let start = Instant::now();
    let model = LatentDiffusion::load(&source)?;
    let prompts = model.encode_prompts(&[PROMPT, ""])?;
    let [prompt, empty] = [0, 1].map(|i| prompts[i].embedding.unsqueeze(0));
    let bench = Bench { prompt: prompt?, empty: empty?, model };
    answer(&serde_json::json!({
        "ready": start.elapsed().as_secs_f64(),
        "threads": rayon::current_num_threads(),
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
        "weights": bench.model.weights_label(),
    }))?;
    for line in stdin().lock().lines() {
        answer(&match line?.trim() {
            "gradient" => bench.gradient()?,
            "gradient-plain" => bench.plain_gradient()?,
            "gradient-prompt" => bench.prompt_gradient()?,
            "" => bench.forward(1)?,
            batch => bench.forward(batch.parse()?)?,
        })?;
    }
    Ok(())
}

struct Bench {
    model: LatentDiffusion,
    prompt: Tensor,
    empty: Tensor,
}

type Answer = Result<serde_json::Value, Box<dyn Error>>;

impl Bench {
    fn latents(&self, batch: usize) -> candle_core::Result<Tensor> {
        let (channels, height, width) = self.model.latent_shape();
        let noise = initial_latents(NoiseGenerator::A6000, NoisePrecision::F32, 42, batch, (channels, height, width));
        Tensor::from_vec(noise, (batch, channels, height, width), &Device::Cpu)
    }

    fn forward(&self, batch: usize) -> Answer {
        let (x, context) = (self.latents(batch)?, self.empty.repeat((batch, 1, 1))?);
        let start = Instant::now();
        let output = self.model.predict(&x, &vec![T; batch], &context, None)?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(serde_json::json!({ "seconds": seconds, "norm": norm(&output)? }))
    }

    fn gradient(&self) -> Answer {
        let x = self.latents(1)?;
        let start = Instant::now();
        let conditional = self.model.trace(&x, &[T], &self.prompt)?;
        let unconditional = self.model.trace(&x, &[T], &self.empty)?;
        let difference = (conditional.output() - unconditional.output())?;
        let loss = norm(&difference)?;
        let cotangent = (difference / loss)?;
        let Gradients { x, context } = conditional.vjp(&cotangent)?;
        let x = (x + unconditional.vjp(&cotangent.neg()?)?.x)?;
        gradient_answer(start, loss, &context, Some(&x))
    }

    fn prompt_gradient(&self) -> Answer {
        let x = self.latents(1)?;
        let start = Instant::now();
        let unconditional = self.model.predict(&x, &[T], &self.empty, None)?;
        let conditional = self.model.trace(&x, &[T], &self.prompt)?;
        let difference = (conditional.output() - unconditional)?;
        let loss = norm(&difference)?;
        let context = conditional.vjp_context(&(difference / loss)?)?;
        gradient_answer(start, loss, &context, None)
    }

    fn plain_gradient(&self) -> Answer {
        let (x, prompt) = (Var::from_tensor(&self.latents(1)?)?, Var::from_tensor(&self.prompt)?);
        let start = Instant::now();
        let conditional = self.model.predict(x.as_tensor(), &[T], prompt.as_tensor(), None)?;
        let unconditional = self.model.predict(x.as_tensor(), &[T], &self.empty, None)?;
        let loss = (conditional - unconditional)?.sqr()?.sum_all()?.sqrt()?;
        let gradients = loss.backward()?;
        let of = |var| gradients.get(var).ok_or("the loss does not depend on its inputs");
        gradient_answer(start, loss.to_scalar::<f32>()?.into(), of(&prompt)?, Some(of(&x)?))
    }
}

fn gradient_answer(start: Instant, loss: f64, context: &Tensor, x: Option<&Tensor>) -> Answer {
    let seconds = start.elapsed().as_secs_f64();
    let x = x.map(norm).transpose()?;
    Ok(serde_json::json!({ "seconds": seconds, "norm": loss, "gradient.context": norm(context)?, "gradient.x": x }))
}

fn norm(x: &Tensor) -> candle_core::Result<f64> {
    Ok(f64::from(x.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt()))
}

fn answer(value: &serde_json::Value) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}
