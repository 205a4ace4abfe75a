//! Pictures of what an embedded model draws, beside what it was trained on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use memscope_model::{
    LatentDiffusion, ModelSource, NoisePrecision, Sampling,
    cost::{Pass, SamplesPerCall, Workload},
    noise::initial_latents,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    experiment::Experiment,
    manifest::write_json,
    prompts::KnownPrompt,
    run::Watch,
};

pub use memscope_results::gallery::{GalleryRow, INDEX};

/// How many prompts are drawn from each class, and from how many noises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GallerySettings {
    /// Prompts of each class, spread evenly over the list.
    pub prompts: usize,
    /// Images per prompt, from the first seed's latents.
    pub images: usize,
}

fn class_name(memorized: bool) -> &'static str {
    if memorized { "memorized" } else { "other" }
}

/// The pictures of one prompt, which stands at `i` of the gallery.
fn names(fingerprint: &str, seed: u64, memorized: bool, i: usize, images: usize) -> Vec<String> {
    let (model, class) = (&fingerprint[..fingerprint.len().min(8)], class_name(memorized));
    (0..images).map(|g| format!("{model}-{seed}-{class}-{i:02}-{g}.png")).collect()
}

fn are_drawn(names: &[String], folder: &Path) -> bool {
    names.iter().all(|name| folder.join(name).is_file())
}

/// What drawing those pictures would ask of a model that are not there yet; `classes` says of each prompt whether it is
/// memorized, and an unknown model has no pictures.
pub(crate) fn workload(
    experiment: &Experiment,
    fingerprint: Option<&str>,
    classes: &[bool],
    images: usize,
    folder: &Path,
) -> Workload {
    let seed = experiment.file().noise.seeds.first().copied().unwrap_or_default();
    let drawn = |(i, memorized): &(usize, &bool)| {
        fingerprint.is_some_and(|fingerprint| are_drawn(&names(fingerprint, seed, **memorized, *i, images), folder))
    };
    let prompts = classes.iter().enumerate().filter(|prompt| !drawn(prompt)).count();
    let mut work = Workload { prompts, images: prompts * images, batch: 1, ..Workload::default() };
    let calls = 2 * Sampling::default().steps * images * prompts;
    work.add(Pass::Prediction, calls, SamplesPerCall::Fixed(2 * images));
    work
}

/// The positions that a gallery of `count` prompts takes from a list of `len`, evenly spread.
pub(crate) fn spread(count: usize, len: usize) -> impl Iterator<Item = usize> {
    let count = count.min(len);
    (0..count).map(move |i| i * len / count)
}

/// Draws the gallery of one model into `folder`; what is there already is kept.
pub(crate) fn draw(
    experiment: &Experiment,
    (source, model): (&ModelSource, &LatentDiffusion),
    prompts: &[(bool, &KnownPrompt)],
    images: usize,
    folder: &Path,
    watch: &mut dyn Watch,
) -> Result<Vec<GalleryRow>> {
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let seed = experiment.file().noise.seeds.first().copied().unwrap_or_default();
    let shape = model.latent_shape();
    let noise = initial_latents(experiment.generator(), NoisePrecision::F32, seed, images, shape);
    let latents: Vec<Vec<f32>> = noise.chunks(shape.0 * shape.1 * shape.2).map(<[f32]>::to_vec).collect();
    let encode = |text: &str| Ok::<_, Error>(model.encode_prompts(&[text])?.remove(0));
    let pictures = prompts.iter().enumerate().map(|(i, (memorized, known))| {
        let names = names(model.fingerprint(), seed, *memorized, i, images);
        let undrawn = if are_drawn(&names, folder) { None } else { Some(encode(&known.text)?) };
        Ok((names, undrawn))
    });
    let pictures = pictures.collect::<Result<Vec<_>>>()?;
    let empty = if pictures.iter().any(|(_, undrawn)| undrawn.is_some()) { Some(encode("")?) } else { None };
    model.release_text_encoder();
    let mut rows = vec![];
    for (i, ((memorized, known), (names, undrawn))) in prompts.iter().zip(pictures).enumerate() {
        if watch.stop_requested() {
            return Err(Error::Stopped);
        }
        watch.progress(i, prompts.len());
        let class = class_name(*memorized);
        if let (Some(prompt), Some(empty)) = (&undrawn, &empty) {
            let drawn = model.sample(latents.clone(), prompt, empty, Sampling::default(), |_| Ok(()))?;
            for (name, latent) in names.iter().zip(&drawn) {
                model.decode_image(latent)?.save_png(&folder.join(name))?;
            }
        }
        rows.push(GalleryRow {
            model: source.to_string(),
            prompt: known.text.clone(),
            label: label(class, known),
            truth: truth(known, folder)?,
            drawn: names,
        });
    }
    watch.progress(prompts.len(), prompts.len());
    Ok(rows)
}

fn label(class: &str, known: &KnownPrompt) -> String {
    let weight = known.weight.map_or_else(String::new, |weight| format!(", weight {weight}"));
    format!("{class}, {}{weight}", known.set)
}

/// Copies the planted picture beside the index.
fn truth(known: &KnownPrompt, folder: &Path) -> Result<Option<String>> {
    let Some(bytes) = known.image.as_deref().and_then(memscope_embedded::shared_file) else { return Ok(None) };
    let name = known.image.as_deref().and_then(|path| Path::new(path).file_name()?.to_str()).unwrap_or("truth.png");
    let path: PathBuf = folder.join(name);
    fs::write(&path, bytes).map_err(Error::write(&path))?;
    Ok(Some(name.to_owned()))
}

/// Writes the list of all pictures.
pub(crate) fn write_index(folder: &Path, rows: &[GalleryRow]) -> Result<PathBuf> {
    let path = folder.join(INDEX);
    write_json(&path, &rows)?;
    Ok(path)
}
