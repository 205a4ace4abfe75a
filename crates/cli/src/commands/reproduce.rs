use include_dir::{Dir, include_dir};
use memscope_eval::{
    Experiment, ExperimentFile,
    prompts::{PromptSource, PromptSources},
    spec::{FilePath, LoraEntry, ModelEntry, ModelProfile, ProfilePrompts, SweepAxis, TableKind, WeightsChoice},
};
use memscope_model::CheckpointWeights;

use super::{
    report,
    run::{check, check_memory, check_settings, dry_run, measure, provide},
    shard, theorem1,
};
use crate::{
    args::{Reproduce, RunOptions},
    exit_code::UserError,
    messages::note,
    output::{Tables, print},
    progress::Progress,
};

/// The experiments that come with the program.
static EXPERIMENTS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../experiments");

/// `memscope reproduce`.
pub(crate) fn run(args: &Reproduce) -> anyhow::Result<()> {
    if args.list {
        return list();
    }
    let all = args.targets.iter().any(|target| target == ALL);
    let profile = args.model.as_deref().map(|name| model_profile(name, args)).transpose()?;
    let mut names: Vec<&str> = if all { everything() } else { args.targets.iter().map(String::as_str).collect() };
    names.dedup();
    if all && profile.is_some() {
        names.retain(|name| target(name).is_ok_and(|file| ModelProfile::fits(&file)));
    }
    // All targets are checked before the first is run.
    let stages = names.iter().map(|name| Stage::new(name, profile.as_ref(), &args.lora_scale, &args.options));
    let stages = stages.collect::<anyhow::Result<Vec<_>>>()?;
    let experiments: Vec<(&str, &Experiment)> = names.iter().zip(&stages).filter_map(Stage::named_experiment).collect();
    if let Some(shard) = args.part.shard {
        return shard::run_experiments(&experiments, &args.options, shard);
    }
    if args.options.costs.dry_run {
        return dry_run(&experiments, &args.options);
    }
    if !args.options.overwrite {
        stages.iter().try_for_each(|stage| stage.check_settings(&args.options))?;
    }
    let mut progress = Progress::install()?;
    experiments.iter().try_for_each(|(_, experiment)| provide(experiment, &progress))?;
    check_memory(&experiments, &args.options)?;
    let mut tables = Tables::new(args.options.json);
    for (i, stage) in stages.iter().enumerate() {
        progress.stage(i + 1, stages.len(), names[i]);
        match stage {
            Stage::Experiment(experiment) => {
                let command = format!("memscope reproduce {}{}", names[i], model_arguments(args));
                measure(experiment, &args.options, &command, &mut progress, &mut tables)?
            }
            Stage::Theorem1 => theorem1::verify(THEOREM_INSTANCES, 0, &args.options.results, &mut tables)?,
        }
    }
    if all {
        report::one(&args.options.results, None, None)?;
        note(&format!("{} experiments and report.html written to {}", stages.len(), args.options.results.display()));
    }
    tables.finish()
}

/// The experiments of a target, with their names; what needs no network is none of them.
pub(crate) fn experiments(name: &str, options: &RunOptions) -> anyhow::Result<Vec<(String, Experiment)>> {
    let names = if name == ALL { everything() } else { vec![name] };
    let mut all = vec![];
    for name in names {
        if let Stage::Experiment(experiment) = Stage::new(name, None, &[], options)? {
            all.push((name.to_owned(), *experiment));
        }
    }
    Ok(all)
}

const ALL: &str = "all";
const THEOREM1: &str = "theorem1";
const THEOREM_INSTANCES: u32 = 10_000;

/// One target.
enum Stage {
    Experiment(Box<Experiment>),
    Theorem1,
}

impl Stage {
    fn named_experiment<'s>((name, stage): (&&'s str, &'s Self)) -> Option<(&'s str, &'s Experiment)> {
        match stage {
            Self::Experiment(experiment) => Some((name, experiment)),
            Self::Theorem1 => None,
        }
    }

    /// Refuses to replace results with other settings.
    fn check_settings(&self, options: &RunOptions) -> anyhow::Result<()> {
        match self {
            Self::Experiment(experiment) => check_settings(experiment, options),
            Self::Theorem1 => theorem1::check_settings(THEOREM_INSTANCES, 0, &options.results),
        }
    }

    fn new(
        name: &str,
        profile: Option<&ModelProfile>,
        lora_scales: &[f64],
        options: &RunOptions,
    ) -> anyhow::Result<Self> {
        let place = format!("experiments/{name}.yaml");
        let file = match (name, profile) {
            (THEOREM1, None) => return Ok(Self::Theorem1),
            (_, None) => target(name)?,
            (_, Some(profile)) => match target(name) {
                Ok(file) if ModelProfile::fits(&file) => profile.apply(file),
                Err(error) if name != THEOREM1 => return Err(error),
                _ => {
                    let message = format!(
                        "--model {}: '{name}' needs the embedded models; with --model there are: {}",
                        profile.name,
                        with_model().join(", ")
                    );
                    return Err(UserError::input(message).into());
                }
            },
        };
        let file = if lora_scales.is_empty() { file } else { at_scales(file, lora_scales) };
        let file = file.with_overrides(&place, &options.set)?;
        Ok(Self::Experiment(Box::new(check(&place, file, options)?)))
    }
}

/// Once for every scale of the LoRA file, into one table.
fn at_scales(mut file: ExperimentFile, scales: &[f64]) -> ExperimentFile {
    let values = scales.iter().map(|scale| (*scale).into()).collect();
    file.sweep = vec![SweepAxis { field: "models.0.lora.0.scale".into(), values }];
    file.tables = vec![TableKind::Detection];
    file.name.push_str("-scales");
    file
}

/// The model's part of the command that a results folder records.
fn model_arguments(args: &Reproduce) -> String {
    let word = |text: &str| match text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@,=".contains(c)) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    };
    let mut given = vec![];
    let mut add = |name: &str, value: Option<String>| {
        given.extend(value.map(|value| format!(" --{name} {}", word(&value))));
    };
    add("model", args.model.clone());
    add("memorized", args.memorized.clone());
    add("non-memorized", args.non_memorized.clone());
    add("variant", args.variant.as_ref().map(ToString::to_string));
    args.loras.iter().for_each(|lora| add("lora", Some(lora.to_string())));
    let scales: Vec<String> = args.lora_scale.iter().map(ToString::to_string).collect();
    add("lora-scale", (!scales.is_empty()).then(|| scales.join(",")));
    let file = args.file.options();
    add("vae", file.vae.map(|path| path.display().to_string()));
    add("config", file.config.map(|path| path.display().to_string()));
    add("prediction-type", file.prediction.map(|prediction| prediction.to_string()));
    let sizes = args.sizes.conditions();
    add("original-size", sizes.original_size.map(|size| size.to_string()));
    add("crops", sizes.crops_coords_top_left.map(|size| size.to_string()));
    add("target-size", sizes.target_size.map(|size| size.to_string()));
    if file.weights == CheckpointWeights::Averaged {
        given.push(" --ema".to_owned());
    }
    given.concat()
}

/// Every target once; what others reuse comes first.
fn everything() -> Vec<&'static str> {
    let first = "table1";
    let others = targets().into_iter().filter(|name| *name != first && *name != ALL);
    std::iter::once(first).chain(others).collect()
}

fn targets() -> Vec<&'static str> {
    let mut names: Vec<_> =
        EXPERIMENTS.files().filter_map(|file| file.path().to_str()?.strip_suffix(".yaml")).collect();
    names.extend([ALL, THEOREM1]);
    names.sort_unstable();
    names
}

/// The targets that `--model` can be given with.
fn with_model() -> Vec<&'static str> {
    everything().into_iter().filter(|name| target(name).is_ok_and(|file| ModelProfile::fits(&file))).collect()
}

fn target(name: &str) -> anyhow::Result<ExperimentFile> {
    let file = EXPERIMENTS.get_file(format!("{name}.yaml"));
    let Some(yaml) = file.and_then(include_dir::File::contents_utf8) else {
        let message = format!("there is no target '{name}'; there are: {}", targets().join(", "));
        return Err(UserError::input(message).into());
    };
    Ok(ExperimentFile::parse(&format!("experiments/{name}.yaml"), yaml)?)
}

/// The models of the paper, as they take the place of the embedded ones.
fn profiles() -> anyhow::Result<Vec<ModelProfile>> {
    let files = EXPERIMENTS.get_dir("models").into_iter().flat_map(Dir::files);
    let parse = |file: &include_dir::File| {
        let yaml = file.contents_utf8().unwrap_or_default();
        Ok(ModelProfile::parse(&format!("experiments/{}", file.path().display()), yaml)?)
    };
    files.map(parse).collect()
}

/// The paper's model of that name, or the user's own model with the user's own prompts; both with what the arguments say
/// about the model.
fn model_profile(name: &str, args: &Reproduce) -> anyhow::Result<ModelProfile> {
    let list = |given: &String| -> anyhow::Result<PromptSources> {
        Ok(PromptSources(vec![PromptSource::of_argument(given).map_err(UserError::input)?]))
    };
    let prompts = match (&args.memorized, &args.non_memorized) {
        (Some(memorized), Some(non_memorized)) => {
            Some(ProfilePrompts { memorized: list(memorized)?, non_memorized: list(non_memorized)? })
        }
        _ => None,
    };
    let mut profile = match (profile(name), prompts) {
        (Some(profile), None) => profile,
        (Some(profile), Some(prompts)) => ModelProfile { prompts, ..profile },
        (None, Some(prompts)) => ModelProfile::own(ModelEntry::of(name)?, prompts),
        (None, None) => {
            let names = profiles()?.iter().map(|profile| profile.name.clone()).collect::<Vec<_>>().join(", ");
            let message = format!(
                "--model {name}: there is no such model of the paper; there are: {names}; for any other model give prompt \
                 lists with --memorized FILE --non-memorized FILE"
            );
            return Err(UserError::input(message).into());
        }
    };
    let options = args.file.options();
    for entry in &mut profile.models {
        entry.variant = args.variant.clone().or(entry.variant.take());
        entry.lora =
            args.loras.iter().map(|lora| LoraEntry { file: FilePath(lora.file.clone()), scale: lora.scale }).collect();
        entry.vae = options.vae.clone().map(FilePath);
        entry.config = options.config.clone().map(FilePath);
        entry.prediction_type = options.prediction;
        if options.weights == CheckpointWeights::Averaged {
            entry.weights = WeightsChoice::Ema;
        }
        entry.sizes = args.sizes.conditions().into();
    }
    Ok(profile)
}

fn profile(name: &str) -> Option<ModelProfile> {
    profiles().ok()?.into_iter().find(|profile| profile.name == name)
}

fn list() -> anyhow::Result<()> {
    let mut text = String::new();
    text.push_str(&format!("{ALL:12} Everything below, then report.html\n"));
    for name in targets().into_iter().filter(|name| *name != ALL) {
        let title = match name {
            THEOREM1 => format!("Theorem 1 on {THEOREM_INSTANCES} sampled instances"),
            _ => target(name)?.title,
        };
        text.push_str(&format!("{name:12} {title}\n"));
    }
    text.push_str(&format!("\nOn a real model, with the paper's prompts: {}\n", with_model().join(", ")));
    for profile in profiles()? {
        let prompts = &profile.prompts;
        text.push_str(&format!(
            "--model {:4} {}: {} against {}\n",
            profile.name, profile.title, prompts.memorized, prompts.non_memorized
        ));
    }
    print(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::CostArgs;

    fn options(set: &[&str]) -> RunOptions {
        let set = set.iter().map(ToString::to_string).collect();
        RunOptions {
            results: "results".into(),
            answers: None,
            set,
            accept_schedule: false,
            dtype: None,
            device: None,
            fresh: false,
            overwrite: false,
            json: false,
            costs: CostArgs::default(),
        }
    }

    #[test]
    fn every_target_is_a_valid_experiment() {
        for name in everything() {
            let stage = Stage::new(name, None, &[], &options(&[]));
            assert!(stage.is_ok(), "{name}: {:?}", stage.err());
        }
        assert_eq!(everything()[0], "table1");
    }

    #[test]
    fn every_protocol_is_a_valid_experiment() {
        let files: Vec<_> = EXPERIMENTS.get_dir("protocols").unwrap().files().collect();
        assert!(!files.is_empty());
        for file in files {
            let yaml = file.contents_utf8().unwrap();
            ExperimentFile::parse("protocol", yaml).unwrap().check("protocol").unwrap();
        }
    }

    #[test]
    fn every_model_of_the_paper_fits_the_targets_with_detection() {
        let profiles = profiles().unwrap();
        assert_eq!(profiles.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["rv51", "sd14", "sd20"]);
        assert!(with_model().contains(&"table1") && !with_model().contains(&"groups"));
        for (profile, name) in profiles.iter().flat_map(|p| with_model().into_iter().map(move |name| (p, name))) {
            let Ok(Stage::Experiment(experiment)) = Stage::new(name, Some(profile), &[], &options(&[])) else {
                panic!("{name} with {}", profile.name)
            };
            let file = experiment.file();
            assert_eq!(file.name, format!("{name}-{}", profile.name));
            assert!(!file.prompts.memorized.to_string().contains("embedded"));
            assert_eq!(file.models[0].source.as_str(), profile.name);
        }
    }

    #[test]
    fn overrides_come_after_the_model() {
        let profile = profile("sd14").unwrap();
        let set = options(&["models.0.source=embedded:emoji-eps", "noise.seeds=[42]"]);
        let Ok(Stage::Experiment(experiment)) = Stage::new("table1", Some(&profile), &[], &set) else {
            panic!("no stage")
        };
        assert_eq!(experiment.file().models[0].source.as_str(), "embedded:emoji-eps");
        assert_eq!(experiment.file().noise.seeds, [42]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert!(profile("sd15").is_none());
        let sd14 = profile("sd14").unwrap();
        for name in ["groups", THEOREM1] {
            let message = Stage::new(name, Some(&sd14), &[], &options(&[])).err().unwrap().to_string();
            assert!(message.contains(name) && message.contains("table1"), "{message}");
        }
    }
}
