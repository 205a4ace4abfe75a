//! Where a model comes from.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use memscope_hub::{Absence, Hub, HubModel, NamedModel, Variant};

use crate::{
    error::{Error, Result},
    files::ModelFiles,
    layout,
};

/// `embedded:NAME`, a local folder in diffusers layout, or a model of the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// Part of the program.
    Embedded(String),
    /// A folder on disk.
    Folder {
        /// The folder.
        path: PathBuf,
        /// The variant of its weight files.
        variant: Option<Variant>,
    },
    /// A repository of the Hugging Face Hub.
    Hub(HubModel),
}

impl FromStr for ModelSource {
    type Err = Error;

    /// `embedded:NAME`, a short name (`sd14`, `sd20`, `rv51`), an existing folder, or `owner/name[@revision]`.
    fn from_str(given: &str) -> Result<Self> {
        if let Some(name) = given.strip_prefix("embedded:") {
            return match memscope_embedded::model(name) {
                Some(model) => Ok(Self::Embedded(model.name().to_owned())),
                None => Err(Error::UnknownEmbedded { name: name.to_owned(), available: Self::embedded_names() }),
            };
        }
        match NamedModel::find(given) {
            Some(named) => Self::folder_or_hub(&named.place()),
            None => Self::folder_or_hub(given),
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Embedded(name) => write!(f, "embedded:{name}"),
            Self::Folder { path, variant: None } => write!(f, "{}", path.display()),
            Self::Folder { path, variant: Some(variant) } => write!(f, "{} ({variant})", path.display()),
            Self::Hub(model) => model.fmt(f),
        }
    }
}

impl ModelSource {
    /// Whether it can be loaded without the network.
    pub fn is_there(&self, hub: &Hub) -> bool {
        match self {
            Self::Hub(model) => cached(model, hub).is_ok(),
            Self::Embedded(_) | Self::Folder { .. } => true,
        }
    }
}

/// The files of a model in the Hub cache, where they are all there.
fn cached(model: &HubModel, hub: &Hub) -> Result<ModelFiles> {
    let Some(path) = hub.snapshot(model) else { return Err(hub.not_there(model, Absence::NotDownloaded).into()) };
    let files = ModelFiles::Folder { path, variant: model.variant.clone() };
    match layout::missing(&files) {
        None => Ok(files),
        Some(file) => Err(hub.not_there(model, Absence::Incomplete { file }).into()),
    }
}

impl ModelSource {
    /// The names of the embedded models.
    pub fn embedded_names() -> Vec<String> {
        memscope_embedded::models().iter().map(|model| model.name().to_owned()).collect()
    }

    /// A local folder, with the weights that have no variant in their name.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self::Folder { path: path.into(), variant: None }
    }

    fn folder_or_hub(given: &str) -> Result<Self> {
        if Path::new(given).is_dir() {
            return Ok(Self::folder(given));
        }
        given.parse().map(Self::Hub).map_err(|_| Error::UnknownSource { given: given.to_owned() })
    }

    /// The same model with the weight files of a variant, where one is given.
    pub fn with_variant(self, variant: Option<Variant>) -> Result<Self> {
        match (self, variant) {
            (source, None) => Ok(source),
            (Self::Folder { path, .. }, variant) => Ok(Self::Folder { path, variant }),
            (Self::Hub(model), variant) => Ok(Self::Hub(HubModel { variant, ..model })),
            (Self::Embedded(name), Some(variant)) => {
                Err(Error::Argument(format!("embedded:{name} has no variant '{variant}'; leave it out")))
            }
        }
    }

    /// Its files; what is not on disk is not downloaded.
    pub(crate) fn files(&self) -> Result<ModelFiles> {
        match self {
            Self::Embedded(name) => match memscope_embedded::model(name) {
                Some(model) => Ok(ModelFiles::Embedded(model)),
                None => Err(Error::UnknownSource { given: self.to_string() }),
            },
            Self::Folder { path, variant } => Ok(ModelFiles::Folder { path: path.clone(), variant: variant.clone() }),
            Self::Hub(model) => cached(model, &Hub::from_env()),
        }
    }
}

#[cfg(test)]
mod tests {
    use memscope_hub::NAMED_MODELS;

    use super::*;

    fn hub(id: &str, revision: &str) -> ModelSource {
        ModelSource::Hub(HubModel { id: id.into(), revision: revision.into(), variant: None })
    }

    #[test]
    fn sources_are_told_apart() {
        let parse = |given: &str| given.parse::<ModelSource>();
        assert_eq!(parse("CompVis/stable-diffusion-v1-4").unwrap(), hub("CompVis/stable-diffusion-v1-4", "main"));
        assert_eq!(parse("a/b@refs/pr/1").unwrap(), hub("a/b", "refs/pr/1"));
        let folder = std::env::temp_dir();
        assert_eq!(parse(folder.to_str().unwrap()).unwrap(), ModelSource::folder(folder));
        assert!(matches!(parse("embedded:nothing"), Err(Error::UnknownEmbedded { .. })));
        for wrong in ["", "no-such-folder", "/no/such/folder", "a/b/c", "../x", "a/b@", "a/b@../../c", "a/b@/c"] {
            assert!(matches!(parse(wrong), Err(Error::UnknownSource { .. })), "{wrong}");
        }
    }

    #[test]
    fn short_names_stand_for_full_ids() {
        let sd14: ModelSource = "sd14".parse().unwrap();
        assert_eq!(sd14.to_string(), "CompVis/stable-diffusion-v1-4@133a221b8aa7");
        let ModelSource::Hub(model) = &sd14 else { panic!("{sd14:?}") };
        assert_eq!((model.revision.len(), model.argument()), (40, "sd14".to_owned()));
        let half = sd14.with_variant(Some("fp16".parse().unwrap())).unwrap();
        assert_eq!(half.to_string(), "CompVis/stable-diffusion-v1-4@133a221b8aa7 (fp16)");
        let ModelSource::Hub(model) = &half else { panic!("{half:?}") };
        assert_eq!(model.argument(), "sd14 --variant fp16");
        for named in NAMED_MODELS {
            assert!(matches!(named.name.parse().unwrap(), ModelSource::Hub(_)), "{named}");
        }
    }

    #[test]
    fn embedded_models_have_no_variants() {
        let source: ModelSource = "embedded:emoji-eps".parse().unwrap();
        assert_eq!(source.clone().with_variant(None).unwrap(), source);
        assert!(source.with_variant(Some("fp16".parse().unwrap())).is_err());
    }
}
