//! Where a model comes from.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use memscope_hub::{Absence, Hub, HubModel, NamedModel, Variant};

use crate::{
    checkpoint::{Checkpoint, FileOptions},
    error::{Error, Result},
    files::ModelFiles,
    layout,
    lora::{Changes, Lora},
    pipeline::Pipeline,
    sizes::SizeConditions,
    weights::Weights,
};

/// `embedded:NAME`, a local folder in diffusers layout, a single file, or a model of the Hub; with or without LoRA.
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
    /// A checkpoint in one file.
    File {
        /// The file.
        path: PathBuf,
        /// How it is read.
        options: FileOptions,
    },
    /// A repository of the Hugging Face Hub.
    Hub(HubModel),
    /// A model whose weights are changed by LoRA files, or that is told other sizes than its pipeline's default.
    Changed {
        /// What is changed.
        base: Box<ModelSource>,
        /// The files, in the order in which they are applied.
        loras: Vec<Lora>,
        /// What SDXL is told of a picture's size.
        sizes: SizeConditions,
    },
}

impl FromStr for ModelSource {
    type Err = Error;

    /// `embedded:NAME`, a short name (`sd14`, `sd20`, `rv51`), an existing folder or file, or `owner/name[@revision]`: what
    /// exists on disk is never taken for a name of the Hub.
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
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Hub(model) => model.fmt(f),
            Self::Changed { base, loras, sizes } => {
                base.fmt(f)?;
                loras.iter().try_for_each(|lora| write!(f, " + {lora}"))?;
                if sizes.is_default() { Ok(()) } else { write!(f, " ({sizes})") }
            }
        }
    }
}

impl ModelSource {
    /// Whether it can be loaded without the network.
    pub fn is_there(&self, hub: &Hub) -> bool {
        match self {
            Self::Hub(model) => cached(model, hub).is_ok(),
            Self::Embedded(_) | Self::Folder { .. } | Self::File { .. } => true,
            Self::Changed { base, .. } => base.is_there(hub),
        }
    }

    /// The model of the Hub that it is or is made from.
    pub fn hub_model(&self) -> Option<&HubModel> {
        match self {
            Self::Hub(model) => Some(model),
            Self::Changed { base, .. } => base.hub_model(),
            _ => None,
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
        let path = Path::new(given);
        if path.is_dir() {
            return Ok(Self::folder(given));
        }
        if path.exists() {
            return Ok(Self::File { path: path.to_owned(), options: FileOptions::default() });
        }
        given.parse().map(Self::Hub).map_err(|_| Error::UnknownSource { given: given.to_owned() })
    }

    /// The same model with the weight files of a variant, where one is given.
    ///
    /// # Errors
    ///
    /// When one is given for a source whose weights have no variants.
    pub fn with_variant(self, variant: Option<Variant>) -> Result<Self> {
        match (self, variant) {
            (source, None) => Ok(source),
            (Self::Folder { path, .. }, variant) => Ok(Self::Folder { path, variant }),
            (Self::Hub(model), variant) => Ok(Self::Hub(HubModel { variant, ..model })),
            (Self::Changed { base, loras, sizes }, variant) => {
                Ok(Self::Changed { base: Box::new(base.with_variant(variant)?), loras, sizes })
            }
            (source @ (Self::Embedded(_) | Self::File { .. }), Some(variant)) => {
                Err(Error::Argument(format!("{source} has no variant '{variant}'; leave it out")))
            }
        }
    }

    /// The same model, a single file being read in this way.
    ///
    /// # Errors
    ///
    /// Where options are given and the model is no single file.
    pub fn with_file_options(self, options: FileOptions) -> Result<Self> {
        match self {
            source if options == FileOptions::default() => Ok(source),
            Self::File { path, .. } => Ok(Self::File { path, options }),
            source => Err(Error::Argument(format!(
                "{source} is no single file: --vae, --config and --prediction-type are for checkpoint files"
            ))),
        }
    }

    /// The same model changed by LoRA files.
    pub fn with_loras(self, more: Vec<Lora>) -> Self {
        match self {
            source if more.is_empty() => source,
            Self::Changed { base, mut loras, sizes } => {
                loras.extend(more);
                Self::Changed { base, loras, sizes }
            }
            source => Self::Changed { base: Box::new(source), loras: more, sizes: SizeConditions::default() },
        }
    }

    /// The same model, told these sizes of a picture.
    pub fn with_sizes(self, sizes: SizeConditions) -> Self {
        match self {
            Self::Changed { base, loras, .. } => Self::Changed { base, loras, sizes },
            source if sizes.is_default() => source,
            source => Self::Changed { base: Box::new(source), loras: vec![], sizes },
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
            Self::File { path, options } => {
                let described = options.config.as_deref().map(description).transpose()?;
                Ok(ModelFiles::Checkpoint(Arc::new(Checkpoint::open(path, options, described)?)))
            }
            Self::Hub(model) => cached(model, &Hub::from_env()),
            Self::Changed { base, loras, sizes } => {
                let base = base.files()?;
                let networks = Pipeline::read(&base)?.networks().iter().filter(|(folder, _)| *folder != "vae");
                let networks = networks.map(|(folder, stem)| Ok((*folder, Weights::shapes(&base, folder, stem)?)));
                let networks = if loras.is_empty() { vec![] } else { networks.collect::<Result<Vec<_>>>()? };
                let changes = Arc::new(Changes::resolve(loras, &networks)?);
                Ok(ModelFiles::Changed { base: Box::new(base), changes, sizes: *sizes })
            }
        }
    }
}

/// The small files of the folder that describes a single file.
fn description(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let source: ModelSource = folder.to_string_lossy().parse()?;
    let files = match &source {
        ModelSource::Embedded(_) | ModelSource::Folder { .. } => source.files()?,
        _ => {
            let given = folder.display();
            return Err(Error::Argument(format!("'{given}' describes no model: give a folder in diffusers layout")));
        }
    };
    let pipeline = Pipeline::read(&files)?;
    let names = pipeline.needed().into_iter().chain(pipeline.optional());
    let contents = names.filter_map(|name| match files.read_optional(&name) {
        Ok(content) => content.map(|content| Ok((name, content.into_owned()))),
        Err(error) => Some(Err(error)),
    });
    contents.collect()
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
