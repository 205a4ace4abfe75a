use std::path::Path;

use memscope_baselines::token_significance;
use memscope_eval::{
    Error as EvalError,
    run::Watch,
    table::{Cell, Column, ColumnKind, ResultTable},
};
use memscope_model::{
    LatentDiffusion, NoisePrecision,
    cost::{Pass, SamplesPerCall, Workload},
    noise::initial_latents,
};
use memscope_plots::{Figure, Meta, Theme, results::token_strip};
use serde::Serialize;

use crate::{
    args::Tokens,
    costs,
    exit_code::UserError,
    loading,
    output::{print_json, print_table},
    progress::Progress,
};

/// One token of a prompt.
#[derive(Serialize)]
struct Significance {
    token: String,
    gradient_norm: f64,
}

/// One prompt.
#[derive(Serialize)]
struct Report {
    prompt: String,
    tokens: Vec<Significance>,
}

/// `memscope tokens`.
pub(crate) fn run(args: &Tokens) -> anyhow::Result<()> {
    let progress = Progress::install()?;
    let plan = || loading::of_work(&args.model, workload(args), &progress);
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, plan);
    }
    let model = loading::open(&args.model, &plan()?)?;
    let shape = model.latent_shape();
    let generations = usize::from(args.generations);
    let noise = initial_latents(args.generator, NoisePrecision::F32, args.seed, generations, shape);
    let latents: Vec<&[f32]> = noise.chunks(shape.0 * shape.1 * shape.2).collect();
    let empty = model.encode_prompts(&[""])?.remove(0);
    let prompts = args.prompts.iter().map(|text| model.encode_prompts(&[text]));
    let prompts = prompts.collect::<memscope_model::Result<Vec<_>>>()?.concat();
    model.release_text_encoder();
    let mut reports = vec![];
    for (text, prompt) in args.prompts.iter().zip(&prompts) {
        if let Some(cut) = &prompt.tokens.cut {
            tracing::warn!("the model does not read the end of the prompt: '{cut}'");
        }
        let mut sums = vec![0.0; prompt.tokens.length];
        for x in &latents {
            if progress.stop_requested() {
                return Err(EvalError::Stopped.into());
            }
            let norms = token_significance(&model, prompt, &empty, x)?;
            sums.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm);
        }
        let token = |(token, sum): (String, f64)| Significance { token, gradient_norm: sum / generations as f64 };
        let texts = model.tokenizer().token_texts(&prompt.tokens);
        let tokens = texts.into_iter().zip(sums).map(token).collect();
        reports.push(Report { prompt: text.clone(), tokens });
    }
    if let Some(path) = &args.figure {
        draw(args, &model, &reports, path)?;
    }
    if args.json {
        return print_json(&reports);
    }
    reports.iter().try_for_each(|report| print_table(&table(args, &model, report)?))
}

/// Per prompt and noise a prediction, and one with its gradient.
fn workload(args: &Tokens) -> Workload {
    let mut work = Workload { prompts: args.prompts.len() + 1, batch: 1, ..Workload::default() };
    let calls = args.prompts.len() * usize::from(args.generations);
    work.add(Pass::Prediction, calls, SamplesPerCall::Fixed(1));
    work.add(Pass::CheckpointedVjp, calls, SamplesPerCall::Fixed(1));
    work
}

/// Writes the strip as SVG or PNG, by the file's extension.
fn draw(args: &Tokens, model: &LatentDiffusion, reports: &[Report], path: &Path) -> anyhow::Result<()> {
    let caption = format!(
        "{}, {}. t = 981, noise {}, seed {}, {} generation(s).",
        model.source(),
        model.weights_label(),
        args.generator,
        args.seed,
        args.generations
    );
    let meta =
        Meta { name: "tokens".into(), alt: "Tokens shaded by their significance.".into(), caption: vec![caption] };
    let tokens = |report: &Report| report.tokens.iter().map(|t| (t.token.clone(), t.gradient_norm)).collect();
    let rows = reports.iter().map(|report| (report.prompt.clone(), tokens(report))).collect();
    let strip = token_strip(meta, "Gradient norm of ‖c − u‖ by token", rows);
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => strip.svg(Theme::Light)?.into_bytes(),
        Some("png") => strip.png(Theme::Light, 2)?,
        _ => return Err(UserError::input(format!("{}: the file name must end in .svg or .png", path.display())).into()),
    };
    std::fs::write(path, bytes).map_err(|source| EvalError::Write { path: path.to_owned(), source })?;
    eprintln!("written to {}", path.display());
    Ok(())
}

fn table(args: &Tokens, model: &LatentDiffusion, report: &Report) -> anyhow::Result<ResultTable> {
    const WIDTH: f64 = 30.0;
    let columns = vec![
        Column::new("token", "Token", ColumnKind::Text),
        Column::new("gradient_norm", "Gradient norm", ColumnKind::Number),
        Column::new("strip", "", ColumnKind::Text),
    ];
    let title = format!("Token significance: {}", report.prompt);
    let mut table = ResultTable::new("tokens", title, columns)?;
    let largest = report.tokens.iter().map(|token| token.gradient_norm).fold(f64::MIN_POSITIVE, f64::max);
    for token in &report.tokens {
        let bar = "█".repeat((WIDTH * token.gradient_norm / largest).round() as usize);
        table.push_row(vec![Cell::text(&token.token), Cell::number(token.gradient_norm, 4), Cell::text(bar)])?;
    }
    table.set_provenance("model", format!("{}, {}", model.source(), model.weights_label()));
    table.set_provenance("quantity", "gradient of the norm of c - u at t = 981 by the token's embedding, L2 norm");
    table
        .set_provenance("noise", format!("{}, seed {}, {} generation(s)", args.generator, args.seed, args.generations));
    Ok(table)
}
