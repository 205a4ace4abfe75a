//! Which files of a repository this program reads: no pickles, no safety checker, one precision.

use crate::{
    error::{Error, Result},
    layout::{NEEDED, NETWORKS, OPTIONAL, WeightNames, variants},
    variant::Variant,
};

/// What to download of a repository.
#[derive(Debug, PartialEq)]
pub(super) struct Selection {
    /// Files, relative to the repository.
    pub(super) files: Vec<String>,
    /// Indices of shards among them, with their folder: what they name is needed too.
    pub(super) indices: Vec<(&'static str, String)>,
}

/// Chooses among the file names of a repository; `model` names it in messages.
pub(super) fn select(model: &str, names: &[String], variant: Option<&Variant>) -> Result<Selection> {
    let has = |file: &str| names.iter().any(|name| name == file);
    let missing = |file: &str| Error::MissingFile { model: model.to_owned(), file: file.to_owned() };
    if let Some(file) = NEEDED.iter().find(|file| !has(file)) {
        return Err(missing(file));
    }
    let small = NEEDED.iter().chain(OPTIONAL.iter().filter(|file| has(file)));
    let mut selection = Selection { files: small.map(|file| (*file).to_owned()).collect(), indices: vec![] };
    for (folder, stem) in NETWORKS {
        let wanted = WeightNames::new(folder, stem, variant);
        if has(&wanted.whole) {
            selection.files.push(wanted.whole);
        } else if let Some(index) = wanted.indices.iter().find(|index| has(index)) {
            selection.files.push(index.clone());
            selection.indices.push((folder, index.clone()));
        } else {
            let others = variants(folder, stem, names.iter().map(String::as_str));
            let others = others.into_iter().collect::<Vec<_>>().join(", ");
            return Err(match others.is_empty() && variant.is_none() {
                true => missing(&wanted.whole),
                false => Error::NoSuchVariant { model: model.to_owned(), file: wanted.whole, variants: others },
            });
        }
    }
    Ok(selection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Vec<String> {
        let mut names: Vec<String> = NEEDED.iter().chain(OPTIONAL).map(|name| (*name).to_owned()).collect();
        for (folder, stem) in NETWORKS {
            for end in ["safetensors", "fp16.safetensors", "bin"] {
                names.push(format!("{folder}/{stem}.{end}"));
            }
        }
        names.extend(["safety_checker/model.safetensors", "sd-v1-4.ckpt", "README.md"].map(str::to_owned));
        names
    }

    #[test]
    fn one_precision_and_nothing_that_is_not_read() {
        let fp16: Variant = "fp16".parse().unwrap();
        let full = select("m", &listing(), None).unwrap();
        assert_eq!(full.files.len(), NEEDED.len() + OPTIONAL.len() + 3);
        assert!(
            !full.files.iter().any(|file| file.contains("fp16") || file.contains("safety") || file.contains("bin"))
        );
        let half = select("m", &listing(), Some(&fp16)).unwrap();
        assert_eq!(half.files.iter().filter(|file| file.ends_with(".fp16.safetensors")).count(), 3);
        assert_eq!(half.files.len(), full.files.len());
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let bf16: Variant = "bf16".parse().unwrap();
        let error = select("m", &listing(), Some(&bf16)).unwrap_err().to_string();
        assert!(error.contains("model.bf16.safetensors") && error.contains("fp16"), "{error}");
        let only_half: Vec<String> = listing().into_iter().filter(|n| !n.ends_with("model.safetensors")).collect();
        let error = select("m", &only_half, None).unwrap_err().to_string();
        assert!(error.contains("--variant") && error.contains("fp16"), "{error}");
        let none: Vec<String> = listing().into_iter().filter(|n| !n.ends_with(".safetensors")).collect();
        assert!(matches!(select("m", &none, None), Err(Error::MissingFile { .. })));
    }
}
