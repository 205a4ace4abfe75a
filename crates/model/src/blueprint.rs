//! What a model's configurations say, before any weight is read.

use crate::{
    config::Config,
    error::{Error, Result},
    files::ModelFiles,
    fingerprint::known_fingerprint,
    origin::WeightsOrigin,
    schedule::{Schedule, ScheduleCheck},
    source::ModelSource,
    text_encoder::TextShape,
    unet::{CrossAttentionLayer, UNetShape},
    vae::VaeShape,
};

/// Shapes, schedule and origin of one model: enough to plan a run, to know what it costs, and to build its detectors.
#[derive(Clone, Debug)]
pub struct Blueprint {
    source: ModelSource,
    files: ModelFiles,
    origin: WeightsOrigin,
    schedule: Schedule,
    unet: UNetShape,
    text_encoder: TextShape,
    /// Detection never decodes: a VAE that is not supported is refused when it is needed.
    vae: Option<VaeShape>,
}

/// Widest latent of a small network. At 64x64, where Stable Diffusion begins, one sample keeps all cores busy.
const SMALL: usize = 32;

impl Blueprint {
    /// Reads the configurations of a model; `check` says what becomes of a schedule that is not the protocol's. What is not
    /// on disk is not downloaded.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, a setting is not supported, or the schedule is refused.
    pub fn read(source: &ModelSource, check: ScheduleCheck) -> Result<Self> {
        Self::of(source, source.files()?, check)
    }

    pub(crate) fn of(source: &ModelSource, files: ModelFiles, check: ScheduleCheck) -> Result<Self> {
        check_pipeline(&files)?;
        let unet = UNetShape::from_config(&Config::read(&files, "unet/config.json")?)?;
        let text_encoder = TextShape::from_config(&Config::read(&files, "text_encoder/config.json")?)?;
        if unet.context_width != text_encoder.width {
            return Err(Error::Config {
                file: files.label("unet/config.json"),
                reason: format!(
                    "'cross_attention_dim' is {}, the text encoder's 'hidden_size' {}",
                    unet.context_width, text_encoder.width
                ),
            });
        }
        Ok(Self {
            source: source.clone(),
            origin: WeightsOrigin::load(&files)?,
            schedule: Schedule::load(&files, check)?,
            vae: vae(&files)?,
            unet,
            text_encoder,
            files,
        })
    }

    /// Where the model comes from.
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// What its folder says about where the weights come from.
    pub fn weights_origin(&self) -> WeightsOrigin {
        self.origin
    }

    /// Its noise schedule and parameterization.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// (C, H, W) of the latents it was trained on.
    pub fn latent_shape(&self) -> (usize, usize, usize) {
        (self.unet.in_channels, self.unet.sample_size, self.unet.sample_size)
    }

    /// The shape of its UNet.
    pub fn unet(&self) -> &UNetShape {
        &self.unet
    }

    /// The UNet's cross-attention layers in forward order.
    pub fn cross_attention_layers(&self) -> Vec<CrossAttentionLayer> {
        self.unet.cross_attention_layers()
    }

    /// The model's fingerprint where finding it takes no more than a look: embedded models, and folders whose files were
    /// hashed before and have not changed since.
    pub fn known_fingerprint(&self) -> Option<String> {
        known_fingerprint(&self.files)
    }

    pub(crate) fn files(&self) -> &ModelFiles {
        &self.files
    }

    pub(crate) fn text_encoder(&self) -> &TextShape {
        &self.text_encoder
    }

    pub(crate) fn vae(&self) -> Option<&VaeShape> {
        self.vae.as_ref()
    }

    /// Whether a core takes whole samples, rather than all cores one sample together.
    pub(crate) fn is_small(&self) -> bool {
        self.unet.sample_size <= SMALL
    }
}

/// The VAE's shape, `None` where it is not there or not supported: detection never decodes. Nonsense is refused at once.
fn vae(files: &ModelFiles) -> Result<Option<VaeShape>> {
    match VaeShape::read(files) {
        Ok(shape) => Ok(Some(shape)),
        Err(Error::MissingFile { .. } | Error::Unsupported { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses pipelines of another kind, such as inpainting or SDXL.
fn check_pipeline(files: &ModelFiles) -> Result<()> {
    let index = Config::read(files, "model_index.json")?;
    index.only("_class_name", &["\"StableDiffusionPipeline\""])
}
