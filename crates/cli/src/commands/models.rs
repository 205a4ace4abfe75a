use memscope_hub::{Hub, NAMED_MODELS};
use memscope_model::{LatentDiffusion, ModelSource, ModelSummary, memory::size};
use serde::Serialize;

use crate::{
    args::{Models, ModelsAction},
    downloads,
    exit_code::UserError,
    output::{print, print_json},
    progress::Progress,
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
        Some(ModelsAction::Fetch { model, variant }) => fetch(&model.clone().with_variant(variant.clone())?),
        Some(ModelsAction::Inspect { model, variant, loras, file, json }) => {
            let source = model.clone().with_variant(variant.clone())?.with_file_options(file.options())?;
            inspect(&source.with_loras(loras.clone()), *json)
        }
    }
}

fn fetch(source: &ModelSource) -> anyhow::Result<()> {
    let ModelSource::Hub(model) = source else {
        let message = format!("{source} is there already; give a Hub id such as owner/name to download a model");
        return Err(UserError::input(message).into());
    };
    let plan = downloads::fetch(&Hub::from_env(), model, &Progress::install()?)?;
    eprintln!("{model} is complete ({}, commit {})", size(plan.total()), plan.commit);
    print(&format!("{}\n", plan.folder.display()))
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
    text.push_str("Any other Hub id and any folder in diffusers layout can be given as well.\n");
    print(&text)
}
