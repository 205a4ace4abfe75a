//! The families of checkpoints, and the small files that a folder of each would hold.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::tokenizer;
use crate::{
    error::{Error, Result},
    file_names::{INDEX, SCHEDULER},
    parameterization::Parameterization,
    tensor_file::Header,
};

/// The families that are told apart by their text encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    First,
    Second,
    Xl,
}

/// A text encoder in a file: its folder, its prefix, and whose layout it has.
#[derive(Clone, Copy)]
pub(super) struct TextLayout {
    pub(super) folder: &'static str,
    pub(super) prefix: &'static str,
    pub(super) kind: TextKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// CLIP as transformers stores it.
    Clip,
    /// OpenCLIP's own layout.
    OpenClip,
}

impl Family {
    const ALL: [Self; 3] = [Self::First, Self::Second, Self::Xl];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::First => "Stable Diffusion 1.x",
            Self::Second => "Stable Diffusion 2.x",
            Self::Xl => "Stable Diffusion XL",
        }
    }

    pub(super) fn text_encoders(self) -> &'static [TextLayout] {
        use TextKind::{Clip, OpenClip};
        const fn layout(folder: &'static str, prefix: &'static str, kind: TextKind) -> TextLayout {
            TextLayout { folder, prefix, kind }
        }
        match self {
            Self::First => &[const { layout("text_encoder", "cond_stage_model.transformer.", Clip) }],
            Self::Second => &[const { layout("text_encoder", "cond_stage_model.model.", OpenClip) }],
            Self::Xl => &[
                const { layout("text_encoder", "conditioner.embedders.0.transformer.", Clip) },
                const { layout("text_encoder_2", "conditioner.embedders.1.model.", OpenClip) },
            ],
        }
    }

    /// The family whose text encoders are all there.
    pub(super) fn of(header: &Header) -> Option<Self> {
        let has = |layout: &TextLayout| header.tensors.keys().any(|name| name.starts_with(layout.prefix));
        Self::ALL.into_iter().find(|family| family.text_encoders().iter().all(has))
    }
}

/// The small files of a family's folder.
pub(super) fn inferred(
    configs: &HashMap<&'static str, Value>,
    family: Family,
    prediction: Parameterization,
    zero_snr: bool,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let merges = tokenizer::merges().map_err(|source| Error::Read { path: "merges.txt".into(), source })?;
    let vocabulary = tokenizer::vocabulary(&merges);
    let mut small: BTreeMap<String, Vec<u8>> =
        configs.iter().map(|(name, config)| ((*name).to_owned(), config.to_string().into_bytes())).collect();
    let mut add = |name: String, content: Vec<u8>| small.insert(name, content);
    let class = if family == Family::Xl { "StableDiffusionXLPipeline" } else { "StableDiffusionPipeline" };
    add(INDEX.into(), json!({"_class_name": class}).to_string().into_bytes());
    for layout in family.text_encoders() {
        let folder = if layout.folder == "text_encoder" { "tokenizer" } else { "tokenizer_2" };
        let pad = if layout.kind == TextKind::OpenClip { "!" } else { "<|endoftext|>" };
        add(format!("{folder}/special_tokens_map.json"), json!({"pad_token": pad}).to_string().into_bytes());
        add(format!("{folder}/merges.txt"), merges.clone());
        add(format!("{folder}/vocab.json"), vocabulary.clone());
    }
    let scheduler = json!({
        "_class_name": "DDIMScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "clip_sample": false,
        "prediction_type": prediction.to_string(),
        "rescale_betas_zero_snr": zero_snr,
        "set_alpha_to_one": false,
        "steps_offset": 1,
    });
    add(SCHEDULER.into(), scheduler.to_string().into_bytes());
    Ok(small)
}
