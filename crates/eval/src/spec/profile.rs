//! A real model's part of an experiment: the models and prompts that take the place of the embedded ones.

use serde::Deserialize;

use super::{DetectorEntry, ExperimentFile, JudgeSource, ModelEntry, TableKind};
use crate::{
    error::{Error, Result},
    prompts::PromptSources,
};

/// What `reproduce TARGET --model NAME` changes in a target, as written in YAML.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelProfile {
    /// The short name of the model; part of the results folder's name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What is particular to it, for the report.
    pub about: String,
    /// The models in place of the target's.
    pub models: Vec<ModelEntry>,
    /// The prompts in place of the target's.
    pub prompts: ProfilePrompts,
    /// Detectors in place of those of the same name that the target has without options of their own.
    #[serde(default)]
    pub detectors: Vec<DetectorEntry>,
    /// Samples per network call, at most; these networks are larger than the embedded ones.
    pub batch: usize,
}

/// The two classes of prompts; a target's limit stays.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfilePrompts {
    /// Prompts whose training image the model reproduces.
    pub memorized: PromptSources,
    /// Prompts that lead to new images.
    pub non_memorized: PromptSources,
}

impl ModelProfile {
    /// Reads YAML; `file` names it in messages.
    ///
    /// # Errors
    /// The text is no valid profile; the message has line and column.
    pub fn parse(file: &str, yaml: &str) -> Result<Self> {
        serde_yaml::from_str(yaml).map_err(|e| Error::Experiment { file: file.to_owned(), reason: e.to_string() })
    }

    /// A model of the user's own, with prompts of the user's own; the paper has no numbers for it.
    pub fn own(entry: ModelEntry, prompts: ProfilePrompts) -> Self {
        let source = entry.source.to_string();
        let stem = source.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
        let extension = [".safetensors", ".ckpt"].into_iter().find_map(|extension| stem.strip_suffix(extension));
        let stem = extension.unwrap_or(stem);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = stem.chars().map(plain).take(40).collect();
        Self {
            name: if name.is_empty() { "own".to_owned() } else { name },
            about: format!("{source} on lists of the user's own. The paper gives no numbers for this model."),
            title: source,
            models: vec![entry],
            prompts,
            detectors: vec![],
            batch: 4,
        }
    }

    /// Whether a target asks nothing that only the embedded models can answer, such as duplication weights.
    pub fn fits(target: &ExperimentFile) -> bool {
        let is_embedded = target.gallery.is_some();
        (target.tables.contains(&TableKind::Detection) || target.mitigation.is_some()) && !is_embedded
    }

    /// The target with this model; its results are kept apart.
    pub fn apply(&self, mut target: ExperimentFile) -> ExperimentFile {
        target.name = format!("{}-{}", target.name, self.name);
        target.title = format!("{}, {}", target.title, self.title);
        target.about.clone_from(&self.about);
        target.models.clone_from(&self.models);
        target.prompts.memorized.clone_from(&self.prompts.memorized);
        target.prompts.non_memorized.clone_from(&self.prompts.non_memorized);
        // Nobody knows how often another model reproduces its training pictures.
        target.prompts.graded = None;
        target.tables.retain(|kind| !kind.needs_graded());
        target.batch = target.batch.min(self.batch);
        // Judges of the embedded models' pictures cannot judge those of real ones.
        if let Some(mitigation) = &mut target.mitigation {
            mitigation.judges.take_if(|judges| *judges == JudgeSource::Embedded);
        }
        for own in &self.detectors {
            for entry in &mut target.detectors {
                let seeds = entry.seeds().map(<[u64]>::to_vec);
                if *entry == DetectorEntry::from(own.name()).with_seeds(seeds.clone()) {
                    *entry = own.clone().with_seeds(seeds);
                }
            }
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "\
name: t
title: Target
tables: [detection]
models: [{source: 'embedded:emoji-eps'}, {source: 'embedded:emoji-v'}]
prompts: {memorized: embedded:verified, non_memorized: embedded:general, limit: 3}
protocol: {preset: release}
detectors: [{name: wen}, {name: anisotropy, seeds: [42]}, {name: anisotropy, label: other, gammas: {cosine: 1, norm: 1}}]
";
    const PROFILE: &str = "\
name: rv51
title: RV
about: About it.
models: [{source: rv51, paper: rv51}]
prompts: {memorized: paper:rv_mem, non_memorized: paper:rv_nmem}
detectors: [{name: anisotropy, gammas: {cosine: 1, norm: 2}, protocol: {norm_space: x0_formula}, paper: table8}]
batch: 4
";

    #[test]
    fn a_profile_replaces_models_prompts_and_plain_detectors() {
        let target = ExperimentFile::parse("t", TARGET).unwrap();
        let file = ModelProfile::parse("rv51", PROFILE).unwrap().apply(target.clone());
        assert_eq!((file.name.as_str(), file.title.as_str(), file.batch), ("t-rv51", "Target, RV", 4));
        assert_eq!(file.models.len(), 1);
        assert_eq!(file.prompts.memorized.to_string(), "paper:rv_mem");
        assert_eq!(file.prompts.limit, Some(3));
        assert_eq!(file.protocol, target.protocol);
        assert_eq!(file.detectors[0], target.detectors[0]);
        let anisotropy = &file.detectors[1];
        assert_eq!((anisotropy.own_gammas().map(|g| g.norm), anisotropy.seeds()), (Some(2.0), Some(&[42][..])));
        assert_eq!(file.detectors[2], target.detectors[2]);
        file.check("t").unwrap();
    }

    #[test]
    fn an_own_model_has_own_prompts_and_no_paper() {
        let entry = ModelEntry::of("embedded:emoji-eps").unwrap();
        let prompts = ProfilePrompts {
            memorized: PromptSources(vec!["embedded:verified".parse().unwrap()]),
            non_memorized: PromptSources(vec!["embedded:general".parse().unwrap()]),
        };
        let file = ModelProfile::own(entry, prompts).apply(ExperimentFile::parse("t", TARGET).unwrap());
        assert_eq!(file.name, "t-embedded-emoji-eps");
        assert_eq!(file.models[0].paper, None);
        assert!(file.about.contains("no numbers"));
        file.check("t").unwrap();
    }
}
