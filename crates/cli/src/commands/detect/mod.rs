//! `memscope detect`.

mod output;

use std::path::Path;

use memscope_eval::{
    plan::ModelPlan,
    prompts::{self, PromptFile, PromptTexts},
    run::{Observer, execute},
    score::DetectionResult,
    shard::{ShardPlan, SingleTask, Work},
    spec::{DetectorEntry, DetectorName, NoiseSharing, noise_precision},
    task::{CachePolicy, ModelIdentity, NoisePlan},
    tasks::Detection,
};
use memscope_frames::{MOST_BYTES, OutputFormat};
use memscope_metric::{Protocol, ResolvedProtocol};
use memscope_model::Blueprint;
use memscope_results::{Settings, shards::ShardChoice};

pub(crate) use self::output::free_name;
use self::output::{Measured, MeasuredModel, show_json, show_table, write_scores};
use super::{run::policy, shard};
use crate::{
    allocator,
    args::{Detect, ScaledModel},
    cached,
    costs::{self, Item},
    exit_code::UserError,
    input, loading,
    messages::note,
    progress::Progress,
    targets::{check_writable, is_same_file},
};

/// `memscope detect`.
pub(crate) fn run(args: &Detect) -> anyhow::Result<()> {
    if let Some(path) = &args.out {
        OutputFormat::of(path)?;
        check_writable(path)?;
        if is_same_file(path, &args.prompts) {
            let message = format!("--out {} would replace the prompts; choose another name", path.display());
            return Err(UserError::output(message).into());
        }
    }
    let models = args.model.at_scales(&args.lora_scale)?;
    let PromptFile { texts, table: input, rows, warnings } = read_prompts(args)?;
    allocator::prepare_for_list(texts.len());
    // Only the output needs the other columns.
    let input = args.out.as_deref().map(|path| (path, input, rows));
    let mut progress = Progress::install()?;
    warnings.iter().for_each(|warning| progress.warn(warning));
    if let Some(choice) = args.part.shard {
        return run_shard(args, &models, choice, &texts, &mut progress);
    }
    let store_folder = cached::folder(args.results.as_deref())?;
    let asking = Asking { args, texts: &texts, stored: (&*store_folder, policy(args.fresh)) };
    if args.model.costs.dry_run {
        return asking.show_costs(&models, &progress);
    }
    let measured = models.iter().map(|model| asking.measure(model, &mut progress));
    let measured = measured.collect::<anyhow::Result<Vec<_>>>()?;
    // The models cut the same prompts alike.
    measured.iter().take(1).flat_map(|one| &one.result.warnings).for_each(|warning| progress.warn(warning));
    if let Some((path, table, rows)) = &input {
        write_scores(path, table, rows, &measured)?;
        note(&format!("written to {}", path.display()));
    }
    if args.json {
        show_json(args, &measured)
    } else if args.out.is_none() {
        show_table(args, &measured)
    } else {
        Ok(())
    }
}

/// What is asked, and where measurements are kept.
struct Asking<'a> {
    args: &'a Detect,
    texts: &'a PromptTexts,
    stored: (&'a Path, CachePolicy),
}

impl Asking<'_> {
    fn plan(&self, model: &ScaledModel, blueprint: &Blueprint) -> anyhow::Result<ModelPlan> {
        let detection = detection(self.args, blueprint)?.0;
        cached::plan(&model.model, blueprint, self.stored, |identity| detection.task(identity, self.texts))
    }

    fn show_costs(&self, models: &[ScaledModel], progress: &Progress) -> anyhow::Result<()> {
        let item = |model: &ScaledModel| -> anyhow::Result<(String, Item)> {
            let plan = || self.plan(model, &loading::blueprint(&model.model, progress)?);
            Ok((String::new(), Item::of(&model.model, plan)?))
        };
        let items = models.iter().map(item).collect::<anyhow::Result<Vec<_>>>()?;
        costs::show(&items, self.args.json, self.args.model.costs)
    }

    /// Measures what is not stored and reads the scores; the model is in memory no longer then.
    fn measure(&self, scaled: &ScaledModel, progress: &mut Progress) -> anyhow::Result<Measured> {
        progress.model(&scaled.model.source()?);
        let blueprint = loading::blueprint(&scaled.model, progress)?;
        let (detection, protocol) = detection(self.args, &blueprint)?;
        let model = loading::open(&scaled.model, &self.plan(scaled, &blueprint)?)?;
        let mut store = cached::open(&model, self.stored.0)?;
        let task = detection.task(ModelIdentity::of(&model), self.texts);
        execute(&task, &model, &mut store, self.stored.1, progress)?;
        let result = DetectionResult::read(&detection, &model, self.texts, &store)?;
        Ok(Measured { lora_scale: scaled.lora_scale, model: MeasuredModel::of(&model), protocol, result })
    }
}

/// Runs a part of it into the shards of the results folder.
fn run_shard<'a>(
    args: &Detect,
    models: &[ScaledModel],
    choice: ShardChoice,
    texts: &'a PromptTexts,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let (shard, results) = (shard::resolve(choice)?, shard::results(args.results.as_deref())?);
    let work = |scaled: &ScaledModel| -> anyhow::Result<Box<dyn Work + 'a>> {
        let blueprint = loading::blueprint(&scaled.model, progress)?;
        let (detection, _) = detection(args, &blueprint)?;
        let execution = scaled.model.options().execution;
        Ok(Box::new(SingleTask { blueprint, execution, task: move |model| detection.task(model, texts) }))
    };
    let works = models.iter().map(work).collect::<anyhow::Result<Vec<_>>>()?;
    let plan = ShardPlan::new(works, Settings::new())?;
    if args.model.costs.dry_run {
        return shard::show_costs(&plan, shard, &results, ("detect", args.json, args.model.costs));
    }
    costs::check(&plan.costs(shard, &results)?, args.model.costs)?;
    let place = shard::Place { results: &results, name: "detect", command: &shard::own_command() };
    shard::run(&plan, &place, shard, args.json, progress)
}

/// The detectors and noises that the arguments ask for, and the options in force.
fn detection(args: &Detect, blueprint: &Blueprint) -> anyhow::Result<(Detection, ResolvedProtocol)> {
    let protocol = Protocol { numerics: Some(args.numerics), ..args.protocol.into() }
        .resolve(blueprint.schedule().parameterization())
        .map_err(|e| UserError::input(e.to_string()))?;
    // The columns norm, cosine and score are always there; --detector adds others.
    let mut names = [args.detectors.clone(), vec![DetectorName::Anisotropy]].concat();
    names.sort_unstable_by_key(|name| name.as_str());
    names.dedup();
    let build = |name: &DetectorName| Ok((*name, DetectorEntry::from(*name).build(protocol, blueprint)?));
    let detectors = names.iter().map(build).collect::<memscope_eval::Result<_>>()?;
    let detection = Detection {
        detectors,
        noise: NoisePlan {
            generator: args.generator,
            precision: noise_precision(args.numerics),
            seeds: args.seeds.clone(),
            generations: usize::from(args.generations),
            sharing: NoiseSharing::Shared,
        },
        batch: usize::from(args.batch),
    };
    Ok((detection, protocol))
}

fn read_prompts(args: &Detect) -> anyhow::Result<PromptFile> {
    let (path, column) = (&args.prompts, args.column.as_deref());
    if path == Path::new("-") {
        if column.is_some() {
            return Err(UserError::input("--column needs a table; standard input is one prompt a line").into());
        }
        return Ok(prompts::parse("standard input", &input::read_stdin(MOST_BYTES)?)?);
    }
    match path.to_str().and_then(|text| text.strip_prefix("paper:")) {
        Some(list) => Ok(prompts::published(list.parse().map_err(|e: String| UserError::input(e))?, column)?),
        None => Ok(prompts::read_file(path, column)?),
    }
}
