//! The configuration of the UNet.

use memscope_text::excerpt;
use serde_json::Value;

use super::layer_counts::LayerCounts;
use crate::{config::Config, error::Result};

/// The shape of a `UNet2DConditionModel` that this crate can build, checked from its config.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UNetShape {
    /// Channels of the latent.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Height and width of the latent the model was trained on.
    pub sample_size: usize,
    /// Width of the prompt embedding.
    pub context_width: usize,
    /// ResNets per down block; up blocks have one more.
    pub layers_per_block: usize,
    /// Groups of every group normalisation.
    pub norm_groups: usize,
    /// Whether transformers project with dense layers (SD 2) or 1x1 convolutions (SD 1).
    pub projection: Projection,
    /// Between the way down and the way up.
    pub mid_block: MidBlock,
    /// What is added to the timestep's embedding, if anything.
    pub added: Option<AddedShape>,
    /// From the highest resolution to the lowest.
    pub levels: Vec<Level>,
}

/// SDXL's added conditions (`addition_embed_type: text_time`): a pooled prompt, and sinusoids of the picture's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddedShape {
    /// Width of the sinusoid of one number.
    pub number_width: usize,
    /// Width of everything together.
    pub width: usize,
}

impl AddedShape {
    /// Numbers that describe the sizes: original height and width, top and left, target height and width.
    pub const NUMBERS: usize = 6;

    /// Width of the pooled prompt.
    pub fn pooled(self) -> usize {
        self.width - Self::NUMBERS * self.number_width
    }
}

/// What stands between the way down and the way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MidBlock {
    /// ResNet, a transformer of so many layers, ResNet.
    CrossAttention(usize),
    /// A ResNet alone (`UNetMidBlock2D`), as in SSD-1B.
    ResNet,
    /// Nothing, as in compressed networks (`mid_block_type: null`).
    None,
}

/// One resolution of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Channels.
    pub channels: usize,
    /// Attention heads of its transformers.
    pub heads: usize,
    /// Layers of the transformer behind each ResNet of its down block; empty where it has no cross-attention.
    pub down_layers: Vec<usize>,
    /// The same of its up block.
    pub up_layers: Vec<usize>,
}

/// How a transformer enters and leaves the image layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// 1x1 convolutions.
    Convolution,
    /// Dense layers.
    Linear,
}

/// Fields of `UNet2DConditionModel` (diffusers 0.42) of which only these values are implemented, as JSON. Null stands
/// among them where it is the default or means the same.
const FIXED: &[(&str, &[&str])] = &[
    ("act_fn", &["\"silu\"", "\"swish\""]),
    ("addition_embed_type", &["null", "\"text_time\""]),
    ("attention_type", &["\"default\""]),
    ("center_input_sample", &["false", "null"]),
    ("class_embed_type", &["null"]),
    ("class_embeddings_concat", &["false", "null"]),
    ("conv_in_kernel", &["3"]),
    ("conv_out_kernel", &["3"]),
    ("cross_attention_norm", &["null"]),
    ("downsample_padding", &["1"]),
    ("dual_cross_attention", &["false", "null"]),
    ("encoder_hid_dim", &["null"]),
    ("encoder_hid_dim_type", &["null"]),
    ("flip_sin_to_cos", &["true"]),
    ("freq_shift", &["0"]),
    ("mid_block_only_cross_attention", &["false", "null"]),
    ("mid_block_scale_factor", &["1"]),
    ("norm_eps", &["1e-5"]),
    ("num_attention_heads", &["null"]),
    ("num_class_embeds", &["null"]),
    ("resnet_out_scale_factor", &["1"]),
    ("resnet_skip_time_act", &["false", "null"]),
    ("resnet_time_scale_shift", &["\"default\""]),
    ("time_cond_proj_dim", &["null"]),
    ("time_embedding_act_fn", &["null"]),
    ("time_embedding_dim", &["null"]),
    ("time_embedding_type", &["\"positional\""]),
    ("timestep_post_act", &["null"]),
];

/// Fields read below, or without influence on what the network computes in inference.
const KNOWN: &[&str] = &[
    "addition_embed_type_num_heads",
    "addition_time_embed_dim",
    "attention_head_dim",
    "block_out_channels",
    "cross_attention_dim",
    "down_block_types",
    "dropout",
    "in_channels",
    "layers_per_block",
    "mid_block_type",
    "norm_num_groups",
    "only_cross_attention",
    "out_channels",
    "projection_class_embeddings_input_dim",
    "reverse_transformer_layers_per_block",
    "sample_size",
    "transformer_layers_per_block",
    "up_block_types",
    "upcast_attention",
    "use_linear_projection",
];

// Bounds beyond any real network.
const MOST_LEVELS: usize = 8;
const MOST_CHANNELS: usize = 8192;
const MOST_LAYERS: usize = 16;
const LARGEST_SAMPLE: usize = 512;

/// Ignored as diffusers ignores them, with a word in the log: training tools leave their own fields (EMA decay, losses).
fn note_others(config: &Config) {
    let known: Vec<&str> = KNOWN.iter().copied().chain(FIXED.iter().map(|(field, _)| *field)).collect();
    let others: Vec<String> = config.others(&known).take(20).map(excerpt).collect();
    if !others.is_empty() {
        tracing::info!("unet/config.json: ignored, as diffusers does: {}", others.join(", "));
    }
}

impl UNetShape {
    pub(crate) fn from_config(config: &Config) -> Result<Self> {
        for (field, allowed) in FIXED {
            config.only(field, allowed)?;
        }
        note_others(config);
        let channels = match config.mentions("block_out_channels") {
            true => config.sizes("block_out_channels", MOST_CHANNELS, MOST_LEVELS)?,
            false => vec![320, 640, 1280, 1280],
        };
        let one_for_all = |field, default, most| {
            let sizes = config.per_block(field, default, most, channels.len())?;
            match sizes.iter().all(|size| *size == sizes[0]) {
                true => Ok(sizes[0]),
                false => Err(config.invalid(field, "must be the same for all blocks")),
            }
        };
        let layers_per_block = one_for_all("layers_per_block", 2, MOST_LAYERS)?;
        let (levels, mid_block) = levels(config, &channels, layers_per_block)?;
        let shape = Self {
            in_channels: config.size("in_channels", Some(4), 256)?,
            out_channels: config.size("out_channels", Some(4), 256)?,
            sample_size: config.size("sample_size", None, LARGEST_SAMPLE)?,
            context_width: one_for_all("cross_attention_dim", 1280, MOST_CHANNELS)?,
            layers_per_block,
            norm_groups: config.size("norm_num_groups", Some(32), 1024)?,
            projection: match config.flag("use_linear_projection", false)? {
                true => Projection::Linear,
                false => Projection::Convolution,
            },
            mid_block,
            added: added(config)?,
            levels,
        };
        shape.check(config)?;
        Ok(shape)
    }

    /// What the fields must have to do with each other.
    fn check(&self, config: &Config) -> Result<()> {
        for level in &self.levels {
            if level.channels % self.norm_groups != 0 {
                let reason = format!("= {} does not divide {} channels", self.norm_groups, level.channels);
                return Err(config.invalid("norm_num_groups", reason));
            }
            if level.channels % level.heads != 0 {
                let reason = format!("= {} heads do not divide {} channels", level.heads, level.channels);
                return Err(config.invalid("attention_head_dim", reason));
            }
        }
        let multiple = 1 << (self.levels.len() - 1);
        if !self.sample_size.is_multiple_of(multiple) {
            let reason = format!("= {} must be a multiple of {multiple}: the network halves it", self.sample_size);
            return Err(config.invalid("sample_size", reason));
        }
        if self.in_channels != self.out_channels {
            let supported = format!("{}, as out_channels (more are for inpainting)", self.out_channels);
            return Err(config.unsupported("in_channels", &self.in_channels.into(), &supported));
        }
        let attends = matches!(self.mid_block, MidBlock::CrossAttention(_));
        if !attends && self.levels.iter().all(|level| level.down_layers.is_empty()) {
            let supported = "networks that look at the prompt on the way down";
            let value = config.get("mid_block_type").unwrap_or(&Value::Null);
            return Err(config.unsupported("mid_block_type", value, supported));
        }
        Ok(())
    }

    /// Width of the time embedding.
    pub(crate) fn time_width(&self) -> usize {
        4 * self.levels[0].channels
    }
}

/// Without the type, diffusers ignores the other two fields.
fn added(config: &Config) -> Result<Option<AddedShape>> {
    if config.get("addition_embed_type").is_none() {
        return Ok(None);
    }
    let number_width = config.size("addition_time_embed_dim", None, MOST_CHANNELS)?;
    let width = config.size("projection_class_embeddings_input_dim", None, 8 * MOST_CHANNELS)?;
    if number_width % 2 != 0 || width <= AddedShape::NUMBERS * number_width {
        let reason = format!("= {number_width} must be even, and below a sixth of the {width} added numbers");
        return Err(config.invalid("addition_time_embed_dim", reason));
    }
    Ok(Some(AddedShape { number_width, width }))
}

fn mid_block(config: &Config) -> Result<MidBlock> {
    config.only("mid_block_type", &["\"UNetMidBlock2DCrossAttn\"", "\"UNetMidBlock2D\"", "null"])?;
    Ok(match config.get("mid_block_type").and_then(Value::as_str) {
        Some("UNetMidBlock2D") => MidBlock::ResNet,
        _ if config.is_null("mid_block_type") => MidBlock::None,
        _ => MidBlock::CrossAttention(1),
    })
}

/// The resolutions and the middle block. The defaults of their fields are those of `UNet2DConditionModel`.
fn levels(config: &Config, channels: &[usize], layers_per_block: usize) -> Result<(Vec<Level>, MidBlock)> {
    let count = channels.len();
    let down = attention_blocks(
        config,
        "down_block_types",
        "CrossAttnDownBlock2D",
        "DownBlock2D",
        &[true, true, true, false],
        count,
    )?;
    let up = attention_blocks(
        config,
        "up_block_types",
        "CrossAttnUpBlock2D",
        "UpBlock2D",
        &[false, true, true, true],
        count,
    )?;
    // diffusers' `attention_head_dim` means the *number* of heads (a misnomer kept for old models).
    let heads = config.per_block("attention_head_dim", 8, 1024, count)?;
    let only = config.get("only_cross_attention");
    if only.is_some_and(|only| only.as_bool() != Some(false) && !is_list_of_false(only)) {
        config.only("only_cross_attention", &["false"])?;
    }
    // One transformer behind every ResNet; up blocks have one more than down blocks.
    let transformers = |attend: &[bool], resnets: usize| -> Vec<usize> {
        attend.iter().map(|attends| if *attends { resnets } else { 0 }).collect()
    };
    let mid = mid_block(config)?;
    let counts = LayerCounts::read(
        config,
        &transformers(&down, layers_per_block),
        usize::from(matches!(mid, MidBlock::CrossAttention(_))),
        &transformers(&up, layers_per_block + 1),
    )?;
    let mid = if let MidBlock::CrossAttention(_) = mid { MidBlock::CrossAttention(counts.mid) } else { mid };
    let level = |i: usize| Level {
        channels: channels[i],
        heads: heads[i],
        down_layers: counts.down[i].clone(),
        up_layers: counts.up[count - 1 - i].clone(),
    };
    Ok(((0..count).map(level).collect(), mid))
}

fn is_list_of_false(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(|item| item.as_bool() == Some(false)))
}

/// Per block, whether it has cross-attention.
fn attention_blocks(
    config: &Config,
    field: &str,
    with: &str,
    without: &str,
    default: &[bool],
    count: usize,
) -> Result<Vec<bool>> {
    let blocks = match config.mentions(field) {
        false => default.to_vec(),
        true => {
            let types = config.texts(field, MOST_LEVELS)?;
            let attends = types.iter().map(|name| match name.as_str() {
                name if name == with => Ok(true),
                name if name == without => Ok(false),
                _ => Err(config.unsupported(field, &Value::from(name.as_str()), &format!("{with}, {without}"))),
            });
            attends.collect::<Result<_>>()?
        }
    };
    match blocks.len() == count {
        true => Ok(blocks),
        false => Err(config.invalid(field, format!("must have as many entries as block_out_channels ({count})"))),
    }
}
