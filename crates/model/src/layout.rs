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

/// Where a network's weights are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WeightFile {
    /// All in one file.
    Whole(String),
    /// In the files that an index names.
    Index(String),
}

/// The kinds of weight files, best first, as diffusers prefers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Safetensors,
    /// torch.save's.
    Pickle,
}

impl Format {
    const ALL: [Self; 2] = [Self::Safetensors, Self::Pickle];

    fn extension(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Pickle => "bin",
        }
    }

    /// The stem of the file: transformers has another one for PyTorch's.
    fn stem(self, stem: &str) -> &str {
        match (self, stem) {
            (Self::Pickle, "model") => "pytorch_model",
            (_, stem) => stem,
        }
    }

    fn whole(self, folder: &str, stem: &str, variant: Option<&Variant>) -> String {
        let (stem, extension) = (self.stem(stem), self.extension());
        match variant {
            None => format!("{folder}/{stem}.{extension}"),
            Some(variant) => format!("{folder}/{stem}.{variant}.{extension}"),
        }
    }

    fn indices(self, folder: &str, stem: &str, variant: Option<&Variant>) -> Vec<String> {
        let (stem, extension) = (self.stem(stem), self.extension());
        match variant {
            None => vec![format!("{folder}/{stem}.{extension}.index.json")],
            // transformers and the versions of diffusers put the variant in different places of the index's name.
            Some(variant) => vec![
                format!("{folder}/{stem}.{extension}.index.{variant}.json"),
                format!("{folder}/{stem}.{variant}.{extension}.index.json"),
                format!("{folder}/{stem}.{extension}.{variant}.index.json"),
            ],
        }
    }
}

/// The name under which a network's weights are looked for first, for messages.
pub(crate) fn first_name(folder: &str, stem: &str, variant: Option<&Variant>) -> String {
    Format::Safetensors.whole(folder, stem, variant)
}

/// The file or the index of a network's weights among the files that are there.
pub(crate) fn find_weights(
    folder: &str,
    stem: &str,
    variant: Option<&Variant>,
    has: impl Fn(&str) -> bool,
) -> Option<WeightFile> {
    Format::ALL.iter().find_map(|format| {
        let whole = format.whole(folder, stem, variant);
        if has(&whole) {
            return Some(WeightFile::Whole(whole));
        }
        format.indices(folder, stem, variant).into_iter().find(|index| has(index)).map(WeightFile::Index)
    })
}

/// The variants among file names of a folder; "without variant" is not one.
pub(crate) fn variants<'a>(folder: &str, stem: &str, names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let variant = |name: &str| {
        Format::ALL.iter().find_map(|format| {
            let rest = name.strip_prefix(&format!("{folder}/{}.", format.stem(stem)))?;
            rest.strip_suffix(&format!(".{}", format.extension())).map(str::to_owned)
        })
    };
    names.filter_map(variant).filter(|variant| variant.parse::<Variant>().is_ok()).collect()
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
    let wanted = first_name(folder, stem, files.variant());
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
    find_weights(folder, stem, files.variant(), |file| files.exists(file)).is_some()
}

/// The files of a network in one variant, `None` where there are none.
fn stored_as(files: &ModelFiles, folder: &str, stem: &str, variant: Option<&Variant>) -> Result<Option<Vec<String>>> {
    match find_weights(folder, stem, variant, |file| files.exists(file)) {
        Some(WeightFile::Whole(file)) => Ok(Some(vec![file])),
        Some(WeightFile::Index(index)) => shards(folder, &files.label(&index), &files.read(&index)?).map(Some),
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
        Err(_) => Some(first_name(folder, stem, files.variant())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_seen_in_file_names() {
        let names = ["unet/m.safetensors", "unet/m.fp16.safetensors", "unet/m.non_ema.safetensors", "unet/m.half.bin"];
        let found: Vec<String> = variants("unet", "m", names.into_iter()).into_iter().collect();
        assert_eq!(found, ["fp16", "half", "non_ema"]);
        assert!("fp16".parse::<Variant>().is_ok() && "../x".parse::<Variant>().is_err());
    }

    #[test]
    fn safetensors_come_before_pickles() {
        let find = |there: &[&str], variant: Option<&Variant>| {
            find_weights("text_encoder", "model", variant, |file| there.contains(&file))
        };
        let (whole, pickle) = ("text_encoder/model.safetensors", "text_encoder/pytorch_model.bin");
        assert_eq!(find(&[whole, pickle], None), Some(WeightFile::Whole(whole.into())));
        assert_eq!(find(&[pickle], None), Some(WeightFile::Whole(pickle.into())));
        let index = "text_encoder/pytorch_model.bin.index.fp16.json";
        assert_eq!(find(&[pickle, index], Some(&"fp16".parse().unwrap())), Some(WeightFile::Index(index.into())));
        assert_eq!(find(&["text_encoder/model.bin"], None), None);
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
