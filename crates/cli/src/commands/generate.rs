use memscope_model::{
    NoisePrecision, Sampling,
    cost::{Pass, SamplesPerCall, Workload},
    noise::initial_latents,
};

use crate::{args::Generate, costs, exit_code::UserError, loading, progress::Progress};
use memscope_eval::{Error as EvalError, run::Watch};

/// `memscope generate`.
pub(crate) fn run(args: &Generate) -> anyhow::Result<()> {
    if !args.guidance.is_finite() {
        return Err(UserError::input(format!("--guidance {} is not a number", args.guidance)).into());
    }
    let mut progress = Progress::install()?;
    let plan = || loading::of_work(&args.model, workload(args), &progress);
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, plan);
    }
    std::fs::create_dir_all(&args.out).map_err(|source| EvalError::Write { path: args.out.clone(), source })?;
    let model = loading::open(&args.model, &plan()?)?;
    let embeddings = model.encode_prompts(&["", args.prompt.as_str()])?;
    model.release_text_encoder();
    let [empty, prompt] = embeddings.as_slice() else {
        anyhow::bail!("two prompts gave {} embeddings", embeddings.len())
    };
    if let Some(cut) = &prompt.tokens.cut {
        tracing::warn!("the model does not read the end of the prompt: '{cut}'");
    }
    let shape = model.latent_shape();
    let count = usize::from(args.count);
    let noise = initial_latents(args.generator, NoisePrecision::F32, args.seed, count, shape);
    let latents = noise.chunks(shape.0 * shape.1 * shape.2).map(<[f32]>::to_vec).collect();
    let sampling = Sampling { steps: usize::from(args.steps), guidance: args.guidance };
    let mut stopped = false;
    let sampled = model.sample(latents, prompt, empty, sampling, |step| {
        progress.progress(step.index, sampling.steps);
        stopped |= progress.stop_requested();
        if stopped { Err(memscope_model::Error::Argument("stopped".into())) } else { Ok(()) }
    });
    if stopped {
        return Err(EvalError::Stopped.into());
    }
    progress.progress(sampling.steps, sampling.steps);
    for (i, latent) in sampled?.iter().enumerate() {
        let path = args.out.join(format!("seed{}-{i:02}.png", args.seed));
        model.decode_image(latent)?.save_png(&path)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Both predictions of every step, for all images at once.
fn workload(args: &Generate) -> Workload {
    let images = usize::from(args.count);
    let mut work = Workload { prompts: 2, images, batch: images, ..Workload::default() };
    work.add(Pass::Prediction, 2 * images * usize::from(args.steps), SamplesPerCall::PerPrompt(2));
    work
}
