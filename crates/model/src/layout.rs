//! What a model folder in diffusers layout holds, as far as this program reads it.

use std::collections::BTreeSet;

use memscope_hub::Variant;
use serde::Deserialize;

use crate::{
    error::{Error, Result},
    file_names::{INDEX, SCHEDULER, TOKENIZER_JSON, VOCABULARY},
    files::ModelFiles,
    pipeline::Pipeline,
};

/// The files of a tokenizer, which are read where a model has them.
const TOKENIZER: [&str; 6] =
    ["added_tokens.json", "merges.txt", "special_tokens_map.json", TOKENIZER_JSON, "tokenizer_config.json", VOCABULARY];

impl Pipeline {
    /// Small files that every model of the kind needs.
    pub(crate) fn needed(self) -> Vec<String> {
        let networks = self.networks().iter().map(|(folder, _)| format!("{folder}/config.json"));
        let others = [INDEX, SCHEDULER].map(str::to_owned);
        others.into_iter().chain(networks).collect()
    }

    /// Small files that are read where a model has them.
    pub(crate) fn optional(self) -> Vec<String> {
        let folders = self.text_parts().iter().map(|part| part.tokenizer);
        folders.flat_map(|folder| TOKENIZER.map(|file| format!("{folder}/{file}"))).collect()
    }

    /// The first tokenizer that has neither a vocabulary nor a file that holds one: the name of the file that is missing.
    pub(crate) fn missing_tokenizer(self, has: impl Fn(&str) -> bool) -> Option<String> {
        let vocabulary = |folder: &str| format!("{folder}/{VOCABULARY}");
        let lacks = |folder: &&str| !has(&vocabulary(folder)) && !has(&format!("{folder}/{TOKENIZER_JSON}"));
        self.text_parts().iter().map(|part| part.tokenizer).find(lacks).map(vocabulary)
    }
}

/// The names under which a network's weights may be stored, best first: in one file, or in shards with an index.
pub(crate) struct WeightNames {
    /// The single file.
    pub(crate) whole: String,
    /// The index of shards.
    pub(crate) indices: Vec<String>,
}

impl WeightNames {
    pub(crate) fn new(folder: &str, stem: &str, variant: Option<&Variant>) -> Self {
        match variant {
            None => Self {
                whole: format!("{folder}/{stem}.safetensors"),
                indices: vec![format!("{folder}/{stem}.safetensors.index.json")],
            },
            // transformers and the versions of diffusers put the variant in different places of the index's name.
            Some(variant) => Self {
                whole: format!("{folder}/{stem}.{variant}.safetensors"),
                indices: vec![
                    format!("{folder}/{stem}.safetensors.index.{variant}.json"),
                    format!("{folder}/{stem}.{variant}.safetensors.index.json"),
                    format!("{folder}/{stem}.safetensors.{variant}.index.json"),
                ],
            },
        }
    }
}

/// The variants among file names of a folder; "without variant" is not one.
pub(crate) fn variants<'a>(folder: &str, stem: &str, names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let prefix = format!("{folder}/{stem}.");
    names
        .filter_map(|name| name.strip_prefix(&prefix)?.strip_suffix(".safetensors"))
        .filter(|variant| variant.parse::<Variant>().is_ok())
        .map(str::to_owned)
        .collect()
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// The shards that an index names, relative to the model; `label` names the index in messages.
pub(crate) fn shards(folder: &str, label: &str, index: &[u8]) -> Result<Vec<String>> {
    let fail = |reason: String| Error::Config { file: label.to_owned(), reason };
    let parsed: ShardIndex = serde_json::from_slice(index).map_err(|e| fail(e.to_string()))?;
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(fail("weight_map names no file".into()));
    }
    if let Some(elsewhere) = names.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(fail(format!("weight_map names '{elsewhere}', which is not in the same folder")));
    }
    Ok(names.into_iter().map(|name| format!("{folder}/{name}")).collect())
}

/// The files that hold a network's tensors, relative to the model. A network that is not stored in the variant asked
/// for is read without one, as diffusers does, if another network of the model has the variant.
pub(crate) fn weight_files(files: &ModelFiles, folder: &str, stem: &str) -> Result<Vec<String>> {
    if let Some(found) = stored_as(files, folder, stem, files.variant())? {
        return Ok(found);
    }
    let wanted = WeightNames::new(folder, stem, files.variant()).whole;
    let networks = Pipeline::read(files).unwrap_or_default().networks();
    if files.variant().is_some() && networks.iter().any(|(folder, stem)| has_variant(files, folder, stem)) {
        if let Some(found) = stored_as(files, folder, stem, None)? {
            return Ok(found);
        }
        return Err(Error::MissingFile { model: files.name(), file: wanted });
    }
    let listed = files.list(folder);
    let others = variants(folder, stem, listed.iter().map(String::as_str));
    if others.is_empty() && files.variant().is_none() {
        return Err(Error::MissingFile { model: files.name(), file: wanted });
    }
    Err(Error::NoSuchVariant {
        model: files.name(),
        file: wanted,
        variants: others.into_iter().collect::<Vec<_>>().join(", "),
    })
}

fn has_variant(files: &ModelFiles, folder: &str, stem: &str) -> bool {
    let names = WeightNames::new(folder, stem, files.variant());
    files.exists(&names.whole) || names.indices.iter().any(|index| files.exists(index))
}

/// The files of a network in one variant, `None` where there are none.
fn stored_as(files: &ModelFiles, folder: &str, stem: &str, variant: Option<&Variant>) -> Result<Option<Vec<String>>> {
    let names = WeightNames::new(folder, stem, variant);
    if files.exists(&names.whole) {
        return Ok(Some(vec![names.whole]));
    }
    match names.indices.iter().find(|index| files.exists(index)) {
        Some(index) => shards(folder, &files.label(index), &files.read(index)?).map(Some),
        None => Ok(None),
    }
}

/// The first file that a model on disk lacks to be loaded.
pub(crate) fn missing(files: &ModelFiles) -> Option<String> {
    let pipeline = Pipeline::read(files).unwrap_or_default();
    if let Some(file) = pipeline.needed().into_iter().find(|file| !files.exists(file)) {
        return Some(file);
    }
    if let Some(file) = pipeline.missing_tokenizer(|file| files.exists(file)) {
        return Some(file);
    }
    pipeline.networks().iter().find_map(|(folder, stem)| match weight_files(files, folder, stem) {
        Ok(names) => names.into_iter().find(|name| !files.exists(name)),
        Err(_) => Some(WeightNames::new(folder, stem, files.variant()).whole),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_seen_in_file_names() {
        let names = ["unet/m.safetensors", "unet/m.fp16.safetensors", "unet/m.non_ema.safetensors", "unet/m.fp16.bin"];
        let found: Vec<String> = variants("unet", "m", names.into_iter()).into_iter().collect();
        assert_eq!(found, ["fp16", "non_ema"]);
        assert!("fp16".parse::<Variant>().is_ok() && "../x".parse::<Variant>().is_err());
    }

    #[test]
    fn shards_stay_in_their_folder() {
        let index = |file: &str| format!(r#"{{"weight_map": {{"a": "{file}", "b": "{file}"}}}}"#);
        assert_eq!(shards("unet", "i", index("m-1.safetensors").as_bytes()).unwrap(), ["unet/m-1.safetensors"]);
        for wrong in ["../m.safetensors", "/etc/passwd", r"..\\m"] {
            assert!(shards("unet", "i", index(wrong).as_bytes()).is_err(), "{wrong}");
        }
        assert!(shards("unet", "i", br#"{"weight_map": {}}"#).is_err());
    }
}
