//! Which files of a Hub repository this program reads: no safety checker, one precision, a pickle only where a network
//! has no safetensors.

use memscope_hub::{Chosen, HubModel, Selection};

use crate::{
    error::{Error, Result},
    layout::{WeightFile, find_weights, first_name, shards, variants},
    pipeline::Pipeline,
};

/// The files of a model in diffusers layout.
#[derive(Clone, Copy, Debug)]
pub struct DiffusersFiles<'a> {
    model: &'a HubModel,
}

impl<'a> DiffusersFiles<'a> {
    /// Those that loading the model would read.
    pub fn of(model: &'a HubModel) -> Self {
        Self { model }
    }
}

impl Selection for DiffusersFiles<'_> {
    type Error = Error;

    fn choose(&self, names: &[String]) -> Result<Chosen> {
        let (model, variant) = (self.model.to_string(), self.model.variant());
        let has = |file: &str| names.iter().any(|name| name == file);
        let missing = |file: &str| Error::MissingFile { model: model.clone(), file: file.to_owned() };
        let pipeline = Pipeline::of_listing(has);
        let needed = pipeline.needed();
        if let Some(file) = needed.iter().find(|file| !has(file)) {
            return Err(missing(file));
        }
        if let Some(file) = pipeline.missing_tokenizer(has) {
            return Err(missing(&file));
        }
        let small = needed.into_iter().chain(pipeline.optional().into_iter().filter(|file| has(file)));
        let mut chosen = Chosen { files: small.collect(), indices: vec![] };
        let stored = |folder: &str, stem: &str, variant| find_weights(folder, stem, variant, has);
        let some_variant = pipeline.networks().iter().any(|(folder, stem)| stored(folder, stem, variant).is_some());
        for (folder, stem) in pipeline.networks() {
            // As diffusers: a network that has not the variant is taken without one.
            let variant = variant.filter(|_| !some_variant || stored(folder, stem, variant).is_some());
            match stored(folder, stem, variant) {
                Some(WeightFile::Whole(file)) => chosen.files.push(file),
                Some(WeightFile::Index(index)) => {
                    chosen.files.push(index.clone());
                    chosen.indices.push(index);
                }
                None => {
                    let wanted = first_name(folder, stem, variant);
                    let others = variants(folder, stem, names.iter().map(String::as_str));
                    let others = others.into_iter().collect::<Vec<_>>().join(", ");
                    return Err(match others.is_empty() && variant.is_none() {
                        true => missing(&wanted),
                        false => Error::NoSuchVariant { model, file: wanted, variants: others },
                    });
                }
            }
        }
        Ok(chosen)
    }

    fn named_by(&self, index: &str, bytes: &[u8]) -> Result<Vec<String>> {
        let folder = index.rsplit_once('/').map_or("", |(folder, _)| folder);
        shards(folder, &format!("{}/{index}", self.model.id), bytes)
    }
}

#[cfg(test)]
mod tests {
    use memscope_hub::Variant;

    use super::*;

    fn select(names: &[String], variant: Option<&Variant>) -> Result<Chosen> {
        let model = HubModel { variant: variant.cloned(), .."a/b".parse()? };
        DiffusersFiles::of(&model).choose(names)
    }

    fn listing() -> Vec<String> {
        listing_of(Pipeline::StableDiffusion)
    }

    fn listing_of(pipeline: Pipeline) -> Vec<String> {
        let mut names: Vec<String> = pipeline.needed().into_iter().chain(pipeline.optional()).collect();
        for (folder, stem) in pipeline.networks() {
            for end in ["safetensors", "fp16.safetensors", "bin"] {
                let stem = if end == "bin" && *stem == "model" { "pytorch_model" } else { stem };
                names.push(format!("{folder}/{stem}.{end}"));
            }
        }
        names.extend(["safety_checker/model.safetensors", "sd-v1-4.ckpt", "README.md"].map(str::to_owned));
        names
    }

    #[test]
    fn one_precision_and_nothing_that_is_not_read() {
        let fp16: Variant = "fp16".parse().unwrap();
        let full = select(&listing(), None).unwrap();
        let small = Pipeline::StableDiffusion.needed().len() + Pipeline::StableDiffusion.optional().len();
        assert_eq!(full.files.len(), small + 3);
        assert!(
            !full.files.iter().any(|file| file.contains("fp16") || file.contains("safety") || file.contains("bin"))
        );
        let half = select(&listing(), Some(&fp16)).unwrap();
        assert_eq!(half.files.iter().filter(|file| file.ends_with(".fp16.safetensors")).count(), 3);
        assert_eq!(half.files.len(), full.files.len());
    }

    #[test]
    fn two_text_encoders_are_taken_where_there_are_two() {
        let chosen = select(&listing_of(Pipeline::StableDiffusionXl), None).unwrap().files;
        for file in ["text_encoder_2/model.safetensors", "text_encoder_2/config.json", "tokenizer_2/merges.txt"] {
            assert!(chosen.iter().any(|name| name == file), "{file}");
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let bf16: Variant = "bf16".parse().unwrap();
        let error = select(&listing(), Some(&bf16)).unwrap_err().to_string();
        assert!(error.contains("model.bf16.safetensors") && error.contains("fp16"), "{error}");
        let only_half: Vec<String> =
            listing().into_iter().filter(|n| !n.ends_with("model.safetensors") && !n.contains(".bin")).collect();
        let error = select(&only_half, None).unwrap_err().to_string();
        assert!(error.contains("--variant") && error.contains("fp16"), "{error}");
        let is_weights = |name: &str| name.ends_with(".safetensors") || name.contains(".bin");
        let none: Vec<String> = listing().into_iter().filter(|n| !is_weights(n)).collect();
        assert!(matches!(select(&none, None), Err(Error::MissingFile { .. })));
    }

    #[test]
    fn a_network_without_safetensors_is_taken_as_a_pickle() {
        let lacks = |name: &String| !(name.starts_with("text_encoder/") && name.ends_with(".safetensors"));
        let chosen = select(&listing().into_iter().filter(lacks).collect::<Vec<_>>(), None).unwrap().files;
        let weights: Vec<&str> = chosen.iter().map(String::as_str).filter(|file| file.contains("model.")).collect();
        let expected = ["text_encoder/pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors"];
        assert!(expected.iter().all(|file| weights.contains(file)) && weights.len() == 3, "{weights:?}");
    }
}
