//! The configuration of the UNet.

use serde_json::Value;

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
    /// Transformer layers in each attention stage.
    pub transformer_layers: usize,
    /// Groups of every group normalisation.
    pub norm_groups: usize,
    /// Whether transformers project with dense layers (SD 2) or 1x1 convolutions (SD 1).
    pub projection: Projection,
    /// From the highest resolution to the lowest.
    pub levels: Vec<Level>,
}

/// One resolution of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Channels.
    pub channels: usize,
    /// Attention heads of its transformers.
    pub heads: usize,
    /// Whether its down block has cross-attention.
    pub down_attention: bool,
    /// Whether its up block has cross-attention.
    pub up_attention: bool,
}

/// How a transformer enters and leaves the image layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// 1x1 convolutions.
    Convolution,
    /// Dense layers.
    Linear,
}

/// Fields that only one value is implemented for: (field, values as JSON).
const FIXED: &[(&str, &[&str])] = &[
    ("act_fn", &["\"silu\""]),
    ("attention_type", &["\"default\""]),
    ("center_input_sample", &["false"]),
    ("class_embeddings_concat", &["false"]),
    ("conv_in_kernel", &["3"]),
    ("conv_out_kernel", &["3"]),
    ("downsample_padding", &["1"]),
    ("dual_cross_attention", &["false"]),
    ("flip_sin_to_cos", &["true"]),
    ("freq_shift", &["0"]),
    ("mid_block_only_cross_attention", &["false"]),
    ("mid_block_scale_factor", &["1", "1.0"]),
    ("mid_block_type", &["\"UNetMidBlock2DCrossAttn\""]),
    ("norm_eps", &["1e-5", "1e-05", "0.00001"]),
    ("only_cross_attention", &["false"]),
    ("resnet_out_scale_factor", &["1", "1.0"]),
    ("resnet_skip_time_act", &["false"]),
    ("resnet_time_scale_shift", &["\"default\""]),
    ("time_embedding_type", &["\"positional\""]),
];

/// Fields read below, or without influence on what the network computes in inference.
const KNOWN: &[&str] = &[
    "addition_embed_type_num_heads",
    "attention_head_dim",
    "block_out_channels",
    "cross_attention_dim",
    "down_block_types",
    "dropout",
    "in_channels",
    "layers_per_block",
    "norm_num_groups",
    "num_attention_heads",
    "out_channels",
    "sample_size",
    "transformer_layers_per_block",
    "up_block_types",
    "upcast_attention",
    "use_linear_projection",
];

impl UNetShape {
    pub(crate) fn from_config(config: &Config) -> Result<Self> {
        for (field, allowed) in FIXED {
            config.only(field, allowed)?;
        }
        let known: Vec<&str> = KNOWN.iter().copied().chain(FIXED.iter().map(|(field, _)| *field)).collect();
        config.refuse_unknown(&known)?;

        let channels = config.sizes("block_out_channels")?;
        let down = attention_blocks(config, "down_block_types", "CrossAttnDownBlock2D", "DownBlock2D", channels.len())?;
        let up = attention_blocks(config, "up_block_types", "CrossAttnUpBlock2D", "UpBlock2D", channels.len())?;
        let heads = heads(config, channels.len())?;
        let norm_groups = config.size("norm_num_groups", Some(32))?;
        let levels: Vec<Level> = (0..channels.len())
            .map(|i| Level {
                channels: channels[i],
                heads: heads[i],
                down_attention: down[i],
                up_attention: up[channels.len() - 1 - i],
            })
            .collect();
        for level in &levels {
            if level.channels % norm_groups != 0 {
                return Err(config.invalid(
                    "norm_num_groups",
                    format!("= {norm_groups} does not divide {} channels", level.channels),
                ));
            }
            if level.channels % level.heads != 0 {
                return Err(config.invalid(
                    "attention_head_dim",
                    format!("= {} heads do not divide {} channels", level.heads, level.channels),
                ));
            }
        }
        let linear = config.flag("use_linear_projection", false)?;
        Ok(Self {
            in_channels: config.size("in_channels", Some(4))?,
            out_channels: config.size("out_channels", Some(4))?,
            sample_size: config.size("sample_size", None)?,
            context_width: config.size("cross_attention_dim", Some(1280))?,
            layers_per_block: config.size("layers_per_block", Some(2))?,
            transformer_layers: config.size("transformer_layers_per_block", Some(1))?,
            norm_groups,
            projection: if linear { Projection::Linear } else { Projection::Convolution },
            levels,
        })
    }

    /// Width of the time embedding.
    pub(crate) fn time_width(&self) -> usize {
        4 * self.levels[0].channels
    }
}

/// Per block, whether it has cross-attention.
fn attention_blocks(config: &Config, field: &str, with: &str, without: &str, count: usize) -> Result<Vec<bool>> {
    let types = config.texts(field)?;
    if types.len() != count || count == 0 {
        return Err(config.invalid(field, format!("must have as many entries as block_out_channels ({count})")));
    }
    types
        .iter()
        .map(|name| match name.as_str() {
            name if name == with => Ok(true),
            name if name == without => Ok(false),
            _ => Err(config.unsupported(field, &Value::from(name.as_str()), &format!("{with}, {without}"))),
        })
        .collect()
}

/// Heads per level. diffusers' `attention_head_dim` means the *number* of heads unless
/// `num_attention_heads` is given (a misnomer kept for old models).
fn heads(config: &Config, count: usize) -> Result<Vec<usize>> {
    let field = if config.get("num_attention_heads").is_some() { "num_attention_heads" } else { "attention_head_dim" };
    match config.get(field) {
        Some(Value::Array(_)) => {
            let heads = config.sizes(field)?;
            if heads.len() == count {
                Ok(heads)
            } else {
                Err(config.invalid(field, format!("must be one number or as many as block_out_channels ({count})")))
            }
        }
        _ => Ok(vec![config.size(field, Some(8))?; count]),
    }
}
