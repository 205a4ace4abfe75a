//! What determined the numbers of a run, by the names of models and detectors: the same place means the same in two runs,
//! whatever the order in which they list them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    manifest::{Manifest, ModelRecord, PromptCounts, Weights},
    settings::{Settings, is_word, settings_of},
};

/// Settings by the name of what they belong to.
pub(crate) type Named = BTreeMap<String, Settings>;

/// What determined the numbers. Costs, times, commits, commands and warnings did not, nor what is shown of the numbers.
pub(crate) struct Determinants {
    /// Program, device and noise.
    pub(crate) run: Settings,
    /// The experiment, but for its lists of models and detectors; empty in format 0.
    pub(crate) experiment: Settings,
    /// What the experiment says about a model or detector, by `model NAME` and `detector NAME`.
    pub(crate) entries: Named,
    /// The models in force.
    pub(crate) models: Named,
    /// The options in force for the detectors of each model.
    pub(crate) detectors: BTreeMap<String, Named>,
}

/// How models are called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelNames {
    /// By where they come from.
    Sources,
    /// `model`: each run has one, and they are compared whatever they are.
    OneEach,
}

impl ModelNames {
    fn of(self, source: &str) -> &str {
        match self {
            Self::Sources => source,
            Self::OneEach => "model",
        }
    }
}

impl Determinants {
    pub(crate) fn of(manifest: &Manifest, names: ModelNames) -> Self {
        let (mut models, mut detectors) = (Named::new(), BTreeMap::new());
        for record in &manifest.models {
            let name = free(&models, names.of(&record.source));
            let mut own = Named::new();
            for detector in &record.detectors {
                own.insert(free(&own, &detector.label), settings_of(detector));
            }
            detectors.insert(name.clone(), own);
            models.insert(name, model(record));
        }
        let (mut experiment, mut entries) = (Settings::new(), Named::new());
        for (path, value) in manifest.settings.iter().filter(|(path, _)| determines(path)) {
            match entry(path, &manifest.settings, names) {
                Some((name, field)) => {
                    let fields = entries.entry(name).or_default();
                    // Their names are what they are found by.
                    if !NAMES.contains(&field) {
                        fields.insert(field.to_owned(), value.clone());
                    }
                }
                None => {
                    experiment.insert(path.clone(), value.clone());
                }
            }
        }
        Self { run: run(manifest), experiment, entries, models, detectors }
    }
}

/// `name`, with a number behind it if that is taken.
fn free(taken: &Named, name: &str) -> String {
    let mut free = name.to_owned();
    let mut count = 1_usize;
    while taken.contains_key(&free) {
        count += 1;
        free = format!("{name} ({count})");
    }
    free
}

fn model(record: &ModelRecord) -> Settings {
    #[derive(Serialize)]
    struct Model<'a> {
        source: &'a str,
        fingerprint: &'a str,
        weights: Weights,
        parameterization: &'a str,
        latent_shape: (usize, usize, usize),
        prompts: PromptCounts,
    }
    let ModelRecord { source, fingerprint, parameterization, .. } = record;
    let (weights, latent_shape, prompts) = (record.weights, record.latent_shape, record.prompts);
    settings_of(&Model { source, fingerprint, weights, parameterization, latent_shape, prompts })
}

fn run(manifest: &Manifest) -> Settings {
    #[derive(Serialize)]
    struct Run<'a> {
        version: &'a str,
        device: &'a str,
        dtype: &'a str,
        generator: &'a str,
        seeds: &'a [u64],
        generations: usize,
    }
    let Manifest { version, device, dtype, generator, seeds, generations, .. } = manifest;
    settings_of(&Run { version, device, dtype, generator, seeds, generations: *generations })
}

/// Whether a field of an experiment determines numbers: not words, nor which tables and figures are made of them.
fn determines(path: &str) -> bool {
    let shown = ["name", "report.rows"].contains(&path) || path.starts_with("tables.") || path.starts_with("figures.");
    !is_word(path) && !shown
}

/// The fields by which a model or a detector is called, the first that it has.
const NAMES: [&str; 3] = ["label", "source", "name"];

/// Of a path into one of the lists: whose it is, and the rest of the path.
fn entry<'p>(path: &'p str, settings: &Settings, names: ModelNames) -> Option<(String, &'p str)> {
    let mut parts = path.splitn(3, '.');
    let (list, index, field) = (parts.next()?, parts.next()?, parts.next()?);
    let known = |name: &&str| settings.get(&format!("{list}.{index}.{name}"));
    let name = || NAMES.iter().find_map(known).map(|name| name.trim_matches('"'));
    let whose = match list {
        "models" => format!("model {}", names.of(name()?)),
        "detectors" => format!("detector {}", name()?),
        _ => return None,
    };
    Some((whose, field))
}
