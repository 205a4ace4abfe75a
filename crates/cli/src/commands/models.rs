use memscope_hub::{FileState, Hub, NAMED_MODELS, Network, Verification};
use memscope_judges::{JudgeSet, PUBLISHED_JUDGES};
use memscope_model::{LatentDiffusion, ModelSource, ModelSummary, memory::size};
use serde::Serialize;

use crate::{
    args::{FetchTarget, Models, ModelsAction},
    downloads::{self, Bar},
    exit_code::UserError,
    messages::note,
    output::{print, print_data, print_json},
    progress::{Progress, stop_requested},
};

#[derive(Serialize)]
struct Entry {
    source: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// `memscope models`.
pub(crate) fn run(args: &Models) -> anyhow::Result<()> {
    match &args.action {
        None => list(args.json),
        Some(ModelsAction::Fetch { model: FetchTarget::Judges, judges, variant: None }) => fetch_judges(judges),
        Some(ModelsAction::Fetch { model: FetchTarget::Judges, .. }) => {
            Err(UserError::input("judges have no variants; leave --variant away").into())
        }
        Some(ModelsAction::Fetch { model: FetchTarget::Model(model), judges, variant }) => match judges.as_slice() {
            [] => fetch(&model.clone().with_variant(variant.clone())?),
            _ => Err(UserError::input("--judge belongs to `memscope models fetch judges`").into()),
        },
        Some(ModelsAction::Inspect { model, variant, loras, file, sizes, json }) => {
            let source = model.clone().with_variant(variant.clone())?.with_file_options(file.options())?;
            inspect(&source.with_loras(loras.clone()).with_sizes(sizes.conditions()), *json)
        }
        Some(ModelsAction::Verify { model, json }) => verify(model.as_ref(), *json),
    }
}

fn verify(source: Option<&ModelSource>, json: bool) -> anyhow::Result<()> {
    let hub = Hub::from_env();
    let models = match source {
        Some(ModelSource::Hub(model)) => vec![model.clone()],
        Some(other) => {
            let message = format!("{other} was not downloaded; give a Hub id such as owner/name to check the cache");
            return Err(UserError::input(message).into());
        }
        None => hub.recorded()?,
    };
    // Installs the handler of Ctrl-C.
    let _progress = Progress::install()?;
    let bar = Bar::new()?;
    let found = models.iter().map(|model| hub.verify(model, &bar)).collect::<Result<Vec<_>, _>>();
    bar.clear();
    let found = found?;
    if json {
        print_json(&found)?;
    } else {
        print(&found.iter().map(summary).collect::<String>())?;
    }
    let bad: Vec<&str> = found.iter().filter(|model| !model.is_good()).map(|model| model.id.as_str()).collect();
    if bad.is_empty() {
        return Ok(());
    }
    let names = bad.join(", ");
    Err(UserError::model(format!("{names}: files are damaged or missing; run `memscope models fetch {}`", bad[0]))
        .into())
}

/// A line for the model, and one for every file that is not good.
fn summary(model: &Verification) -> String {
    let count = |state: FileState| model.files.iter().filter(|file| file.state == state).count();
    let mut text =
        format!("{} {}: {} of {} files are right\n", model.id, model.commit, count(FileState::Good), model.files.len());
    for file in &model.files {
        let state = match file.state {
            FileState::Good => continue,
            FileState::Damaged => "damaged",
            FileState::Missing => "missing",
            FileState::Unknown => "not known to the Hub's record",
        };
        text.push_str(&format!("  {state}: {}\n", model.folder.join(&file.path).display()));
    }
    text
}

fn fetch(source: &ModelSource) -> anyhow::Result<()> {
    let ModelSource::Hub(model) = source else {
        let message = format!("{source} is there already; give a Hub id such as owner/name to download a model");
        return Err(UserError::input(message).into());
    };
    let plan = downloads::fetch(&Hub::from_env(), model, &Progress::install()?)?;
    note(&format!("{model} is complete ({}, commit {})", size(plan.total()), plan.commit));
    print_data(format!("{}\n", plan.folder.display()).as_bytes())
}

fn fetch_judges(names: &[String]) -> anyhow::Result<()> {
    let (set, hub) = (JudgeSet::new(names)?, Hub::from_env());
    let folder = set.folder()?;
    if hub.network() == Network::Offline && set.is_there()? {
        note(&format!("{} are in the cache; HF_HUB_OFFLINE forbids to check them", set.name()));
        return print_data(format!("{}\n", folder.display()).as_bytes());
    }
    // Installs the handler of Ctrl-C.
    let _progress = Progress::install()?;
    let plan = set.plan(hub, &stop_requested)?;
    if plan.missing() > 0 {
        note(&format!("downloading {} of {} to {}", size(plan.missing()), set.name(), folder.display()));
    }
    let bar = Bar::new()?;
    let fetched = plan.fetch(&bar)?;
    bar.clear();
    for arrived in &fetched.plain {
        let known = if arrived.pinned { "as published" } else { "no hash is published: compare it with another copy" };
        note(&format!("{}: SHA-256 {}, {known}", arrived.url, arrived.sha256));
    }
    for (repository, commit) in &fetched.repositories {
        note(&format!("{repository}: commit {commit}"));
    }
    print_data(format!("{}\n", fetched.folder.display()).as_bytes())
}

/// Reads headers and configurations; a model that cannot be run is an error that says why.
fn inspect(source: &ModelSource, json: bool) -> anyhow::Result<()> {
    let summary = ModelSummary::of(source)?;
    if json { print_json(&summary) } else { print(&summary.to_string()) }
}

fn list(json: bool) -> anyhow::Result<()> {
    let mut entries = vec![];
    for name in ModelSource::embedded_names() {
        let source = ModelSource::Embedded(name);
        let model = LatentDiffusion::load(&source)?;
        let (channels, height, width) = model.latent_shape();
        let description = format!("{}, latents {channels}x{height}x{width}", model.schedule().parameterization());
        let fingerprint = Some(model.fingerprint().to_owned());
        entries.push(Entry { source: source.to_string(), description, fingerprint });
    }
    entries.extend(NAMED_MODELS.iter().map(|named| Entry {
        source: named.name.to_owned(),
        description: format!("{}: {}", named.place(), named.description),
        fingerprint: None,
    }));
    if json {
        return print_json(&entries);
    }
    let mut text = String::new();
    for entry in &entries {
        let fingerprint = entry.fingerprint.as_deref().map_or(String::new(), |f| format!(", sha256 {}", &f[..16]));
        text.push_str(&format!("{:26} {}{fingerprint}\n", entry.source, entry.description));
    }
    let judges: Vec<&str> = PUBLISHED_JUDGES.iter().map(|judge| judge.name).collect();
    text.push_str(&format!("{:26} {}\n", "judges", judges.join(", ")));
    text.push_str(
        "Any other Hub id, folder in diffusers layout or checkpoint file (.safetensors, .ckpt) can be given as well.\n",
    );
    print(&text)
}
