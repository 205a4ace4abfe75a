//! What a model's configurations say, before any weight is read.

use crate::{
    config::Config,
    error::{Error, Result},
    files::ModelFiles,
    fingerprint::{fingerprint, known_fingerprint},
    origin::WeightsOrigin,
    pipeline::{EmptyPrompt, Pipeline, TextOutput, TextPart, same_length},
    schedule::{Schedule, ScheduleCheck},
    sizes::Pixels,
    source::ModelSource,
    text_encoder::TextShape,
    unet::{AddedShape, CrossAttentionLayer, UNetShape},
    vae::VaeShape,
};

/// Shapes, schedule and origin of one model: enough to plan a run, to know what it costs, and to build its detectors.
#[derive(Clone, Debug)]
pub struct Blueprint {
    source: ModelSource,
    files: ModelFiles,
    origin: WeightsOrigin,
    schedule: Schedule,
    pipeline: Pipeline,
    unet: UNetShape,
    text_encoders: Vec<TextShape>,
    empty_prompt: EmptyPrompt,
    /// What a network with added conditions is told of the picture.
    sizes: Option<[u32; AddedShape::NUMBERS]>,
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
        let pipeline = Pipeline::read(&files)?;
        let unet = UNetShape::from_config(&Config::read(&files, "unet/config.json")?)?;
        let text_encoder = |part: &TextPart| {
            TextShape::from_config(&Config::read(&files, &format!("{}/config.json", part.folder))?, *part)
        };
        let text_encoders = pipeline.text_parts().iter().map(text_encoder).collect::<Result<Vec<_>>>()?;
        check_text(&files, &unet, &text_encoders)?;
        check_added(&files, &unet, &text_encoders)?;
        let vae = vae(&files)?;
        Ok(Self {
            source: source.clone(),
            origin: WeightsOrigin::load(&files)?,
            schedule: Schedule::load(&files, pipeline, check)?,
            sizes: sizes(&files, &unet, vae.as_ref())?,
            empty_prompt: EmptyPrompt::read(&files, pipeline)?,
            pipeline,
            vae,
            unet,
            text_encoders,
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

    /// The model's fingerprint; weights whose hash is not known are read once.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.files)
    }

    /// The model's fingerprint where finding it takes no more than a look: embedded models, and folders whose files were
    /// hashed before and have not changed since.
    pub fn known_fingerprint(&self) -> Option<String> {
        known_fingerprint(&self.files)
    }

    pub(crate) fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// The family of models it belongs to, as its model_index.json says.
    pub fn family(&self) -> &'static str {
        self.pipeline.family()
    }

    /// What its networks are told of a picture's size, where they are told: height and width before it was cut, where it
    /// was cut from the top and the left, height and width after it, in pixels.
    pub fn sizes(&self) -> Option<[u32; AddedShape::NUMBERS]> {
        self.sizes
    }

    pub(crate) fn pipeline(&self) -> Pipeline {
        self.pipeline
    }

    pub(crate) fn text_encoders(&self) -> &[TextShape] {
        &self.text_encoders
    }

    /// Tokens of a prompt, padding included.
    pub(crate) fn context_length(&self) -> usize {
        self.text_encoders.first().map_or(0, |shape| shape.context_length)
    }

    pub(crate) fn empty_prompt(&self) -> EmptyPrompt {
        self.empty_prompt
    }

    /// Side in pixels of the pictures that its latents stand for; `None` without a VAE that is supported.
    pub fn picture_size(&self) -> Option<usize> {
        Some(self.unet.sample_size << (self.vae.as_ref()?.network.block_out_channels.len() - 1))
    }

    pub(crate) fn vae(&self) -> Option<&VaeShape> {
        self.vae.as_ref()
    }

    /// Whether a core takes whole samples, rather than all cores one sample together.
    pub fn is_small(&self) -> bool {
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

/// Refuses text encoders whose embeddings are not what the UNet attends to.
fn check_text(files: &ModelFiles, unet: &UNetShape, text_encoders: &[TextShape]) -> Result<()> {
    let lengths: Vec<usize> = text_encoders.iter().map(|shape| shape.context_length).collect();
    same_length(&lengths)?;
    let widths: Vec<String> = text_encoders.iter().map(|shape| shape.width.to_string()).collect();
    match text_encoders.iter().map(|shape| shape.width).sum::<usize>() == unet.context_width {
        true => Ok(()),
        false => Err(Error::Config {
            file: files.label("unet/config.json"),
            reason: format!(
                "'cross_attention_dim' is {}, the text encoder's 'hidden_size' {}",
                unet.context_width,
                widths.join(" + ")
            ),
        }),
    }
}

/// Refuses a pooled prompt of another width than the UNet is given, and one of the two without the other.
fn check_added(files: &ModelFiles, unet: &UNetShape, text_encoders: &[TextShape]) -> Result<()> {
    let pooled = text_encoders.iter().find(|shape| shape.part.output == TextOutput::PenultimateAndPooled);
    let pooled = pooled.map(|shape| shape.projection);
    if unet.added.map(AddedShape::pooled) == pooled {
        return Ok(());
    }
    let said = |width: Option<usize>| width.map_or_else(|| "none".to_owned(), |width| width.to_string());
    Err(Error::Config {
        file: files.label("unet/config.json"),
        reason: format!(
            "'projection_class_embeddings_input_dim' leaves room for a pooled prompt of width {}, the model's text encoders \
             give {} ('projection_dim')",
            said(unet.added.map(AddedShape::pooled)),
            said(pooled)
        ),
    })
}

/// What the UNet is told of the picture, where it is told.
fn sizes(files: &ModelFiles, unet: &UNetShape, vae: Option<&VaeShape>) -> Result<Option<[u32; AddedShape::NUMBERS]>> {
    let given = files.sizes();
    if unet.added.is_none() {
        return match given.is_default() {
            true => Ok(None),
            false => Err(Error::Argument(format!(
                "{} is not told the size of pictures ({given}): only SDXL is; leave --original-size, --crops and \
                 --target-size (in an experiment: sizes) out",
                files.name()
            ))),
        };
    }
    // The pipeline's factor where there is no VAE, too.
    let factor = vae.map_or(8, |vae| 1 << (vae.network.block_out_channels.len() - 1));
    let side = (unet.sample_size * factor) as u32;
    Ok(Some(given.numbers(Pixels([side, side]))))
}
