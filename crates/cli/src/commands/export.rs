//! `memscope noise export` and `memscope predictions export`: what a detector in another program starts from.

use std::collections::BTreeMap;

use anyhow::Context;
use memscope_eval::{
    Error as EvalError, MeasurementStore, NamedTensor,
    plan::{ModelPlan, StoredMeasurements},
    prompts::PromptSource,
    run::{Observer, execute},
    spec::NoiseSharing,
    task::{CachePolicy, ModelIdentity, NoisePlan},
    tasks::{PREDICTION_INDEX, Predictions},
    write_tensors,
};
use memscope_model::{Blueprint, NoisePrecision, ScheduleCheck, noise::initial_latents};
use memscope_results::files::Existing;

use crate::{
    args::{NoiseExport, PredictionsExport},
    costs,
    exit_code::UserError,
    loading,
    messages::note,
    output::print,
    progress::Progress,
};

/// Values of x_T in a file at most: 4 GiB.
const MOST_VALUES: usize = 1 << 30;

/// `memscope noise export`.
pub(crate) fn noise(args: &NoiseExport) -> anyhow::Result<()> {
    let shape = match (&args.model, args.latent_shape) {
        (_, Some(shape)) => shape,
        (Some(model), None) => {
            let blueprint = Blueprint::read(model, ScheduleCheck::accepting(true));
            blueprint.with_context(|| format!("model {model}"))?.latent_shape()
        }
        (None, None) => return Err(UserError::input("give --model or --latent-shape").into()),
    };
    let (c, h, w) = shape;
    let (seeds, generations) = (unique(&args.noise.seeds, "--seed")?, usize::from(args.noise.generations));
    let values = seeds.len().saturating_mul(generations).saturating_mul(c * h * w);
    if values > MOST_VALUES {
        let message = format!("{values} values would be {} GB; export fewer seeds at a time", values / 250_000_000);
        return Err(UserError::input(message).into());
    }
    let of_seed = |seed: &u64| initial_latents(args.noise.generator, args.precision, *seed, generations, shape);
    let latents: Vec<f32> = seeds.iter().flat_map(of_seed).collect();
    let tensors = [
        NamedTensor::f32("x_T", &[seeds.len(), generations, c, h, w], &latents),
        NamedTensor::u64("seeds", seeds.iter().copied()),
    ];
    let about =
        BTreeMap::from([("generator", args.noise.generator.to_string()), ("precision", args.precision.to_string())]);
    let existing = Existing::of_flag(args.overwrite);
    write_tensors(&args.out, &tensors, &about, existing)?;
    note(&format!(
        "x_T ({}, {generations}, {c}, {h}, {w}) of {} written to {}",
        seeds.len(),
        args.noise.generator,
        args.out.display()
    ));
    Ok(())
}

/// `memscope predictions export`.
pub(crate) fn predictions(args: &PredictionsExport) -> anyhow::Result<()> {
    let mut progress = Progress::install()?;
    let prompts = read_prompts(args, &mut progress)?;
    let (seeds, timesteps) = (unique(&args.noise.seeds, "--seed")?, unique(&args.timesteps, "--timestep")?);
    let policy = if args.overwrite { CachePolicy::Replace } else { CachePolicy::Reuse };
    let mut store = MeasurementStore::in_memory();
    let task = |model: ModelIdentity| Predictions {
        model,
        noise: NoisePlan {
            generator: args.noise.generator,
            precision: NoisePrecision::F32,
            seeds: seeds.clone(),
            generations: usize::from(args.noise.generations),
            sharing: NoiseSharing::Shared,
        },
        timesteps: timesteps.clone(),
        prompts: prompts.clone(),
        batch: usize::from(args.batch),
        folder: args.out.clone(),
    };
    let execution = args.model.options().execution;
    let plan = || {
        let blueprint = loading::blueprint(&args.model, &progress)?;
        let steps = blueprint.schedule().train_steps();
        if let Some(t) = timesteps.iter().find(|t| **t >= steps) {
            return Err(UserError::input(format!("--timestep {t} must be below {steps}")).into());
        }
        let fingerprint = blueprint.known_fingerprint();
        let known = if fingerprint.is_some() { StoredMeasurements::Known } else { StoredMeasurements::Unknown };
        let task = task(ModelIdentity::planned(&blueprint, execution, fingerprint.unwrap_or_default()));
        Ok(ModelPlan::of_task(&blueprint, execution, &task, (&store, known), policy))
    };
    if args.model.costs.dry_run {
        return costs::show_one(&args.model, args.json, plan);
    }
    let model = loading::open(&args.model, &plan()?)?;
    let task = task(ModelIdentity::of(&model));
    check_index(args, &task)?;
    for prompt in &prompts {
        if let Some(cut) = model.tokenizer().encode(prompt).cut {
            tracing::warn!("the model does not read the end of a long prompt: '{cut}'");
        }
    }
    match execute(&task, &model, &mut store, policy, &mut progress) {
        Err(EvalError::Stopped) => {
            return Err(
                UserError::interrupted("stopped; the files that are written stay, the same command goes on").into()
            );
        }
        done => done?,
    };
    let index = task.write_index(&model.source().to_string(), &model.schedule().parameterization().to_string())?;
    note(&format!("{} files of {} prompts written", task.files().len(), prompts.len()));
    print(&format!("{}\n", index.display()))
}

/// The names of files in an index.
#[derive(serde::Deserialize)]
struct KnownIndex {
    files: Vec<KnownFile>,
}

#[derive(serde::Deserialize)]
struct KnownFile {
    file: String,
}

/// Bytes of an index at most.
const MOST_INDEX: u64 = 256 << 20;

/// Refuses a folder with the index of another export.
fn check_index(args: &PredictionsExport, task: &Predictions) -> anyhow::Result<()> {
    let path = args.out.join(PREDICTION_INDEX);
    if args.overwrite || path.symlink_metadata().is_err() {
        return Ok(());
    }
    let known = memscope_results::files::read_json::<KnownIndex>(&path, MOST_INDEX);
    let names = |files: &[KnownFile]| files.iter().map(|file| file.file.clone()).collect::<Vec<_>>();
    let own: Vec<String> = task.files().into_iter().map(|file| file.file).collect();
    match known {
        Ok(known) if names(&known.files) == own => Ok(()),
        _ => {
            let path = path.display();
            let message =
                format!("{path} is of another export; give --overwrite to replace it, or another --out folder");
            Err(UserError::output(message).into())
        }
    }
}

/// The prompts of all lists, each once.
fn read_prompts(args: &PredictionsExport, progress: &mut Progress) -> anyhow::Result<Vec<String>> {
    let limit = args.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut all: Vec<String> = vec![];
    let mut known = std::collections::HashSet::new();
    for given in &args.prompts {
        let list = PromptSource::of_argument(given).map_err(UserError::input)?.load(&args.model.source()?)?;
        list.warnings.iter().for_each(|warning| progress.warn(warning));
        let texts = list.texts().into_iter().take(limit);
        all.extend(texts.filter(|text| known.insert(text.clone())));
    }
    Ok(all)
}

/// The values, or an error where one comes again.
fn unique<T: Copy + PartialEq + std::fmt::Display>(given: &[T], flag: &str) -> anyhow::Result<Vec<T>> {
    match given.iter().enumerate().find(|(i, value)| given[..*i].contains(value)) {
        Some((_, value)) => Err(UserError::input(format!("{flag} {value} is given twice")).into()),
        None => Ok(given.to_vec()),
    }
}
