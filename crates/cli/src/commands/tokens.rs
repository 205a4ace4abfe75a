use std::path::Path;

use anyhow::Context;
use memscope_eval::{
    report::figures::token_strip,
    run::execute,
    spec::NoiseSharing,
    task::{ModelIdentity, NoisePlan},
    tasks::{TokenGradients, TokenNorm},
};
use memscope_model::{LatentDiffusion, NoisePrecision};
use memscope_plots::{Figure, Meta, Theme};
use memscope_results::{
    ResultTable,
    files::write_file,
    table::{Cell, Column, ColumnKind},
};
use serde::Serialize;

use super::run::policy;
use crate::{
    args::Tokens,
    cached, costs,
    exit_code::UserError,
    loading,
    messages::note,
    output::{print_json, print_table},
    progress::Progress,
    targets,
};

/// One token of a prompt.
#[derive(Serialize)]
struct Significance {
    token: String,
    /// The word that it is a part of, or is.
    word: String,
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
    if let Some(path) = &args.figure {
        format_of(path)?;
        targets::check_writable(path)?;
    }
    let mut progress = Progress::install()?;
    let (policy, folder) = (policy(args.fresh), cached::folder(None)?);
    let plan = || {
        let blueprint = loading::blueprint(&args.model, &progress)?;
        cached::plan(&args.model, &blueprint, (&folder, policy), |model| task(args, model))
    };
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, plan);
    }
    let model = loading::open(&args.model, &plan()?)?;
    let task = task(args, ModelIdentity::of(&model));
    let mut store = cached::open(&model, &folder)?;
    execute(&task, &model, &mut store, policy, &mut progress)?;
    let mut reports = vec![];
    for (text, gradients) in args.prompts.iter().zip(task.read(&store)) {
        let tokens = model.tokenizer().encode(text);
        if let Some(cut) = &tokens.cut {
            tracing::warn!("the model does not read the end of the prompt: '{cut}'");
        }
        let texts = model.tokenizer().token_texts(&tokens);
        let gradients = gradients.filter(|gradients| gradients.len() == texts.len());
        let gradients = gradients.context("a stored record has not one number for each token; run with --fresh")?;
        let words = model.tokenizer().token_words(&tokens);
        let token = |((token, word), gradient_norm)| Significance { token, word, gradient_norm };
        let tokens = texts.into_iter().zip(words).zip(gradients).map(token).collect();
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

fn task(args: &Tokens, model: ModelIdentity) -> TokenGradients {
    let noise = NoisePlan {
        generator: args.generator,
        precision: NoisePrecision::F32,
        seeds: vec![args.seed],
        generations: usize::from(args.generations),
        sharing: NoiseSharing::Shared,
    };
    let norm = if args.one_norm { TokenNorm::OverAllNoises } else { TokenNorm::OfEachNoise };
    TokenGradients::new(model, args.prompts.clone(), noise, norm)
}

/// A format of the strip.
#[derive(Clone, Copy)]
enum StripFormat {
    Svg,
    Png,
}

fn format_of(path: &Path) -> anyhow::Result<StripFormat> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(StripFormat::Svg),
        Some("png") => Ok(StripFormat::Png),
        _ => Err(UserError::input(format!("{}: the file name must end in .svg or .png", path.display())).into()),
    }
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
    let bytes = match format_of(path)? {
        StripFormat::Svg => strip.svg(Theme::Light)?.into_bytes(),
        StripFormat::Png => strip.png(Theme::Light, 2)?,
    };
    write_file(path, &bytes)?;
    note(&format!("written to {}", path.display()));
    Ok(())
}

fn table(args: &Tokens, model: &LatentDiffusion, report: &Report) -> anyhow::Result<ResultTable> {
    const WIDTH: f64 = 30.0;
    let columns = vec![
        Column::new("token", "Token", ColumnKind::Text),
        Column::new("word", "Word", ColumnKind::Text),
        Column::new("gradient_norm", "Gradient norm", ColumnKind::Number),
        Column::new("strip", "", ColumnKind::Text),
    ];
    let title = format!("Token significance: {}", report.prompt);
    let mut table = ResultTable::new("tokens", title, columns)?;
    let largest = report.tokens.iter().map(|token| token.gradient_norm).fold(f64::MIN_POSITIVE, f64::max);
    for token in &report.tokens {
        let bar = "█".repeat((WIDTH * token.gradient_norm / largest).round() as usize);
        table.push_row(vec![
            Cell::text(&token.token),
            Cell::text(&token.word),
            Cell::number(token.gradient_norm, 4),
            Cell::text(bar),
        ])?;
    }
    table.set_provenance("model", format!("{}, {}", model.source(), model.weights_label()));
    let several = match (args.generations, args.one_norm) {
        (1, _) => "",
        (_, false) => "; mean over noises",
        (_, true) => "; one norm over all noises",
    };
    let quantity = format!("gradient of the norm of c - u at t = 981 by the token's embedding, L2 norm{several}");
    table.set_provenance("quantity", quantity);
    table
        .set_provenance("noise", format!("{}, seed {}, {} generation(s)", args.generator, args.seed, args.generations));
    Ok(table)
}
