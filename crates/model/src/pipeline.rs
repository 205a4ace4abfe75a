//! The kinds of models, as model_index.json names them, and what each consists of.

use crate::{
    config::Config,
    error::{Error, Result},
    file_names::INDEX,
    files::ModelFiles,
};

/// A text encoder's folder, its tokenizer's, and what it contributes to a prompt's embedding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextPart {
    pub(crate) folder: &'static str,
    pub(crate) tokenizer: &'static str,
    pub(crate) output: TextOutput,
}

/// What of a text encoder becomes part of a prompt's embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextOutput {
    /// The last hidden state after the final layer norm.
    Last,
    /// The hidden state before the last layer.
    Penultimate,
    /// The same, and beside it the projection of the last hidden state at the end of the text.
    PenultimateAndPooled,
}

/// A pipeline of diffusers that is run here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pipeline {
    /// `StableDiffusionPipeline`: versions 1 and 2 and their relatives.
    #[default]
    StableDiffusion,
    /// `StableDiffusionXLPipeline`: two text encoders, and sizes as a further condition.
    StableDiffusionXl,
}

const CLASSES: [(&str, Pipeline); 2] = [
    ("StableDiffusionPipeline", Pipeline::StableDiffusion),
    ("StableDiffusionXLPipeline", Pipeline::StableDiffusionXl),
];

/// What the pipeline's networks are, where model_index.json says it.
const XL_NETWORKS: [(&str, &str); 3] = [
    ("text_encoder", "CLIPTextModel"),
    ("text_encoder_2", "CLIPTextModelWithProjection"),
    ("unet", "UNet2DConditionModel"),
];

const SUPPORTED: &str = "StableDiffusionPipeline, StableDiffusionXLPipeline; pipelines for inpainting, image to image or \
                         refining answer about a picture, not about a prompt alone";

impl Pipeline {
    /// Reads model_index.json; pipelines of another kind, such as inpainting, are refused by name.
    pub(crate) fn read(files: &ModelFiles) -> Result<Self> {
        let index = Config::read(files, INDEX)?;
        let class = index.text("_class_name", CLASSES[0].0)?;
        let Some((_, pipeline)) = CLASSES.iter().find(|(name, _)| *name == class) else {
            return Err(index.unsupported("_class_name", &class.into(), SUPPORTED));
        };
        if *pipeline == Self::StableDiffusionXl {
            for (field, expected) in XL_NETWORKS {
                let Some(value) = index.get(field) else { continue };
                let class = value.as_array().and_then(|entry| entry.last()).filter(|class| !class.is_null());
                if class.is_none_or(|class| class != expected) {
                    return Err(index.unsupported(field, value, expected));
                }
            }
        }
        Ok(*pipeline)
    }

    /// The kind of a model whose files are listed, not read.
    pub(crate) fn of_listing(has: impl Fn(&str) -> bool) -> Self {
        match has("text_encoder_2/config.json") {
            true => Self::StableDiffusionXl,
            false => Self::StableDiffusion,
        }
    }

    /// The family's name.
    pub(crate) fn family(self) -> &'static str {
        match self {
            Self::StableDiffusion => "Stable Diffusion",
            Self::StableDiffusionXl => "Stable Diffusion XL",
        }
    }

    /// The text encoders in the order in which their embeddings are joined.
    pub(crate) fn text_parts(self) -> &'static [TextPart] {
        const FIRST: TextPart = TextPart { folder: "text_encoder", tokenizer: "tokenizer", output: TextOutput::Last };
        const SECOND: TextPart =
            TextPart { folder: "text_encoder_2", tokenizer: "tokenizer_2", output: TextOutput::PenultimateAndPooled };
        match self {
            Self::StableDiffusion => &[FIRST],
            Self::StableDiffusionXl => &[TextPart { output: TextOutput::Penultimate, ..FIRST }, SECOND],
        }
    }

    /// Folder and stem of each network's weight files.
    pub(crate) fn networks(self) -> &'static [(&'static str, &'static str)] {
        const TEXT: (&str, &str) = ("text_encoder", "model");
        const UNET: (&str, &str) = ("unet", "diffusion_pytorch_model");
        const VAE: (&str, &str) = ("vae", "diffusion_pytorch_model");
        match self {
            Self::StableDiffusion => &[TEXT, UNET, VAE],
            Self::StableDiffusionXl => &[TEXT, ("text_encoder_2", "model"), UNET, VAE],
        }
    }
}

/// What stands for the prompt in the unconditional prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmptyPrompt {
    /// The empty text, encoded as any other.
    Encoded,
    /// Zeros in place of what the text encoders say.
    Zeros,
}

impl EmptyPrompt {
    /// As the pipeline treats a prompt without a negative one: SDXL's default is zeros.
    pub(crate) fn read(files: &ModelFiles, pipeline: Pipeline) -> Result<Self> {
        if pipeline == Pipeline::StableDiffusion {
            return Ok(Self::Encoded);
        }
        match Config::read(files, INDEX)?.flag("force_zeros_for_empty_prompt", true)? {
            true => Ok(Self::Zeros),
            false => Ok(Self::Encoded),
        }
    }
}

/// The text encoders of one model must read prompts of one length.
pub(crate) fn same_length(lengths: &[usize]) -> Result<()> {
    match lengths.windows(2).find(|pair| pair[0] != pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::Argument(format!(
            "the text encoders read {} and {} tokens ('max_position_embeddings'); they must read as many as each other",
            pair[0], pair[1]
        ))),
    }
}
