//! Architecture of a CLIP model, from transformers' or open_clip's configuration file.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::preprocess::{Filter, Fit, Preprocessing};

/// Largest size of anything in a configuration.
const LARGEST: usize = 1 << 20;
const MAX_LAYERS: usize = 256;

/// The function between the two layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · sigmoid(1.702 x): OpenAI's models.
    QuickGelu,
    /// x · Φ(x), by the error function: open_clip's models.
    Gelu,
}

/// One transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct TowerConfig {
    /// Numbers per position.
    pub width: usize,
    /// Inner width of the MLPs.
    pub mlp: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Function of the MLPs.
    pub activation: Activation,
    /// Added to the variance in the norms.
    pub epsilon: f64,
}

/// A CLIP model.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipConfig {
    /// The picture's transformer.
    pub vision: TowerConfig,
    /// Side of the input in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// The text's transformer.
    pub text: TowerConfig,
    /// Tokens of a text, begin and end included.
    pub context: usize,
    /// Tokens there are.
    pub vocabulary: usize,
    /// Numbers of an embedding.
    pub dims: usize,
}

impl ClipConfig {
    /// OpenAI's ViT-L/14 (hub: openai/clip-vit-large-patch14).
    pub fn vit_l_14() -> Self {
        let activation = Activation::QuickGelu;
        let tower =
            |width, layers, heads| TowerConfig { width, mlp: 4 * width, layers, heads, activation, epsilon: 1e-5 };
        Self {
            vision: tower(1024, 24, 16),
            image_size: 224,
            patch_size: 14,
            text: tower(768, 12, 12),
            context: 77,
            vocabulary: 49408,
            dims: 768,
        }
    }

    /// open_clip's ViT-H-14 (hub: laion/CLIP-ViT-H-14-laion2B-s32B-b79K).
    pub fn vit_h_14() -> Self {
        let activation = Activation::Gelu;
        let tower = |width, mlp, layers, heads| TowerConfig { width, mlp, layers, heads, activation, epsilon: 1e-5 };
        Self { vision: tower(1280, 5120, 32, 16), text: tower(1024, 4096, 24, 16), dims: 1024, ..Self::vit_l_14() }
    }

    /// open_clip's ViT-g-14 (hub: laion/CLIP-ViT-g-14-laion2B-s12B-b42K); its heads are 88 wide and its MLPs 4.3637
    /// times the width.
    pub fn vit_g_14() -> Self {
        let h = Self::vit_h_14();
        Self { vision: TowerConfig { width: 1408, mlp: 6144, layers: 40, ..h.vision.clone() }, ..h }
    }

    /// Reads transformers' `config.json` or open_clip's `open_clip_config.json`.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let config = match value.get("model_cfg") {
            Some(model) => OpenClip::deserialize(model).map_err(|e| e.to_string())?.resolve()?,
            None => Transformers::read(&value)?.resolve(),
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let Self { vision, text, image_size, patch_size, context, vocabulary, dims } = self;
        for (name, tower) in [("vision", vision), ("text", text)] {
            let sizes = [("width", tower.width), ("mlp", tower.mlp), ("heads", tower.heads)];
            if let Some((size, value)) = sizes.into_iter().find(|(_, value)| !(1..=LARGEST).contains(value)) {
                return Err(format!("the {name} transformer's {size} must be from 1 to {LARGEST}, it is {value}"));
            }
            if !(1..=MAX_LAYERS).contains(&tower.layers) {
                return Err(format!("the {name} transformer must have 1 to {MAX_LAYERS} layers"));
            }
            if !tower.width.is_multiple_of(tower.heads) {
                return Err(format!("the {name} transformer's {} heads do not divide {}", tower.heads, tower.width));
            }
            if !(tower.epsilon.is_finite() && tower.epsilon >= 0.0) {
                return Err(format!("the {name} transformer's layer_norm_eps must not be negative"));
            }
        }
        if *patch_size == 0 || *image_size == 0 || !image_size.is_multiple_of(*patch_size) || *image_size > 4096 {
            return Err(format!("patches of {patch_size} pixels do not tile a picture of {image_size}"));
        }
        let sizes = [("context", *context), ("vocabulary", *vocabulary), ("projection", *dims)];
        match sizes.into_iter().find(|(_, size)| !(1..=LARGEST).contains(size)) {
            Some((name, size)) => Err(format!("the {name} must be from 1 to {LARGEST}, it is {size}")),
            None => Ok(()),
        }
    }
}

/// transformers' `CLIPConfig`. What a file leaves out has that class's default.
struct Transformers {
    vision: VisionSection,
    text: TextSection,
    dims: usize,
}

#[derive(Deserialize)]
#[serde(default)]
struct VisionSection {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    hidden_act: Activation,
    layer_norm_eps: f64,
    image_size: usize,
    patch_size: usize,
}

impl Default for VisionSection {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            image_size: 224,
            patch_size: 32,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct TextSection {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    hidden_act: Activation,
    layer_norm_eps: f64,
    vocab_size: usize,
    max_position_embeddings: usize,
}

impl Default for TextSection {
    fn default() -> Self {
        Self {
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            vocab_size: 49408,
            max_position_embeddings: 77,
        }
    }
}

impl Transformers {
    fn read(value: &Value) -> Result<Self, String> {
        if value.get("vision_config").is_none() && value.get("text_config").is_none() {
            return Err(
                "it is neither a CLIPConfig (vision_config, text_config) nor open_clip's (model_cfg)".to_owned()
            );
        }
        let dims = value.get("projection_dim").map_or(Ok(512), |dims| {
            dims.as_u64().and_then(|dims| usize::try_from(dims).ok()).ok_or("projection_dim is no size")
        });
        let vision = serde_json::from_value(section(value, "vision_config"));
        let text = serde_json::from_value(section(value, "text_config"));
        Ok(Self {
            vision: vision.map_err(|e| format!("vision_config: {e}"))?,
            text: text.map_err(|e| format!("text_config: {e}"))?,
            dims: dims?,
        })
    }

    fn resolve(self) -> ClipConfig {
        let Self { vision, text, dims } = self;
        ClipConfig {
            vision: TowerConfig {
                width: vision.hidden_size,
                mlp: vision.intermediate_size,
                layers: vision.num_hidden_layers,
                heads: vision.num_attention_heads,
                activation: vision.hidden_act,
                epsilon: vision.layer_norm_eps,
            },
            image_size: vision.image_size,
            patch_size: vision.patch_size,
            text: TowerConfig {
                width: text.hidden_size,
                mlp: text.intermediate_size,
                layers: text.num_hidden_layers,
                heads: text.num_attention_heads,
                activation: text.hidden_act,
                epsilon: text.layer_norm_eps,
            },
            context: text.max_position_embeddings,
            vocabulary: text.vocab_size,
            dims,
        }
    }
}

/// A section with what old files say again in `…_dict`, which has the last word in transformers.
fn section(value: &Value, name: &str) -> Value {
    let part = |name: &str| value.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut section: Map<String, Value> = part(name);
    section.extend(part(&format!("{name}_dict")).into_iter().filter(|(_, value)| !value.is_null()));
    Value::Object(section)
}

/// `model_cfg` of open_clip.
#[derive(Deserialize)]
struct OpenClip {
    embed_dim: usize,
    #[serde(default)]
    quick_gelu: bool,
    vision_cfg: OpenClipVision,
    text_cfg: OpenClipText,
}

#[derive(Deserialize)]
struct OpenClipVision {
    image_size: usize,
    layers: usize,
    width: usize,
    #[serde(default = "head_width")]
    head_width: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
    patch_size: usize,
}

#[derive(Deserialize)]
struct OpenClipText {
    context_length: usize,
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
}

fn head_width() -> usize {
    64
}

fn mlp_ratio() -> f64 {
    4.0
}

impl OpenClip {
    fn resolve(self) -> Result<ClipConfig, String> {
        let Self { embed_dim, quick_gelu, vision_cfg: vision, text_cfg: text } = self;
        let activation = if quick_gelu { Activation::QuickGelu } else { Activation::Gelu };
        if vision.head_width == 0 {
            return Err("head_width must not be 0".to_owned());
        }
        let tower = |width: usize, ratio: f64, layers, heads| {
            let mlp = (width as f64 * ratio) as usize;
            TowerConfig { width, mlp, layers, heads, activation, epsilon: 1e-5 }
        };
        Ok(ClipConfig {
            vision: tower(vision.width, vision.mlp_ratio, vision.layers, vision.width / vision.head_width),
            image_size: vision.image_size,
            patch_size: vision.patch_size,
            text: tower(text.width, text.mlp_ratio, text.layers, text.heads),
            context: text.context_length,
            vocabulary: text.vocab_size,
            dims: embed_dim,
        })
    }
}

/// transformers' `preprocessor_config.json`, applied to a model with inputs of `image_size` pixels.
pub(super) fn preprocessing(json: &[u8], image_size: usize) -> Result<Preprocessing, String> {
    #[derive(Deserialize)]
    struct File {
        size: Option<Value>,
        crop_size: Option<Value>,
        resample: Option<u8>,
        image_mean: Option<[f32; 3]>,
        image_std: Option<[f32; 3]>,
    }
    let side = |value: &Value| {
        let side = ["shortest_edge", "height"].iter().find_map(|key| value.get(key));
        side.unwrap_or(value).as_u64().and_then(|side| usize::try_from(side).ok()).ok_or("a size is no number")
    };
    let file: File = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let default = Preprocessing::clip(image_size);
    let size = file.crop_size.as_ref().map_or(Ok(image_size), side)?;
    let preprocessing = Preprocessing {
        size,
        fit: Fit::CropFrom(file.size.as_ref().map_or(Ok(size), side)?),
        filter: match file.resample {
            None | Some(3) => Filter::Bicubic,
            Some(2) => Filter::Bilinear,
            Some(other) => return Err(format!("resample {other} is neither 2 (bilinear) nor 3 (bicubic)")),
        },
        mean: file.image_mean.unwrap_or(default.mean),
        std: file.image_std.unwrap_or(default.std),
    };
    if size != image_size {
        return Err(format!("it cuts pictures of {size} pixels, the model takes {image_size}"));
    }
    preprocessing.check()?;
    Ok(preprocessing)
}
