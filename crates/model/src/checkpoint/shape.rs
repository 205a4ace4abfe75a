//! What the tensors of a checkpoint say about the networks they belong to, written as the config.json files that a
//! folder would have.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::names::UNetLayout;

/// Tensors below a prefix, by the rest of their names, with their shapes.
pub(super) type Shapes<'a> = BTreeMap<&'a str, &'a [usize]>;

/// A UNet in LDM layout.
#[derive(Debug)]
pub(super) struct UNet {
    pub(super) layout: UNetLayout,
    pub(super) context: usize,
    pub(super) linear: bool,
    channels: Vec<usize>,
    /// Transformer layers of each level, 0 for none: on the way down and on the way up.
    down: Vec<usize>,
    up: Vec<usize>,
    in_channels: usize,
    out_channels: usize,
}

/// Attention heads of Stable Diffusion 1.x at every level.
const HEADS: usize = 8;

/// Channels of an attention head in Stable Diffusion 2.x.
const HEAD: usize = 64;

fn dim(shapes: &Shapes, name: &str, dim: usize) -> Option<usize> {
    shapes.get(name)?.get(dim).copied()
}

/// Numbers `n` such that `prefix n suffix` is a name, from 0 on without a gap.
fn count(shapes: &Shapes, name: impl Fn(usize) -> String) -> usize {
    (0..=shapes.len()).take_while(|i| shapes.contains_key(name(*i).as_str())).count()
}

impl UNet {
    /// `None` where the tensors are no UNet of Stable Diffusion's kind.
    pub(super) fn of(shapes: &Shapes) -> Option<Self> {
        let transformers = |block: &str| count(shapes, |i| format!("{block}.1.transformer_blocks.{i}.norm1.weight"));
        let (mut channels, mut down, mut resnets) = (vec![], vec![], vec![]);
        let mut begins = true;
        for i in 1.. {
            let block = format!("input_blocks.{i}");
            if shapes.contains_key(format!("{block}.0.op.weight").as_str()) {
                begins = true;
            } else if let Some(width) = dim(shapes, &format!("{block}.0.in_layers.2.weight"), 0) {
                if begins {
                    channels.push(width);
                    down.push(transformers(&block));
                    resnets.push(0);
                    begins = false;
                }
                *resnets.last_mut()? += 1;
            } else {
                break;
            }
        }
        let layers = *resnets.first()?;
        let levels = channels.len();
        let per_block = layers + 1;
        let up = (0..levels).map(|block| transformers(&format!("output_blocks.{}", block * per_block))).collect();
        let attention = shapes.keys().find_map(|name| name.strip_suffix(".transformer_blocks.0.attn2.to_k.weight"))?;
        let is_regular = resnets.iter().all(|count| *count == layers) && transformers("middle_block") > 0;
        is_regular.then_some(())?;
        Some(Self {
            layout: UNetLayout { layers, levels },
            context: dim(shapes, &format!("{attention}.transformer_blocks.0.attn2.to_k.weight"), 1)?,
            linear: shapes.get(format!("{attention}.proj_in.weight").as_str())?.len() == 2,
            channels,
            down,
            up,
            in_channels: dim(shapes, "input_blocks.0.0.weight", 1)?,
            out_channels: dim(shapes, "out.2.weight", 0)?,
        })
    }

    pub(super) fn config(&self, sample_size: usize) -> Value {
        let types = |layers: &[usize], with: &str, without: &str| -> Vec<String> {
            layers.iter().map(|layers| if *layers > 0 { with } else { without }.to_owned()).collect()
        };
        let heads: Value = match self.linear {
            true => self.channels.iter().map(|width| (width / HEAD).max(1)).collect::<Vec<_>>().into(),
            false => HEADS.into(),
        };
        let transformer_layers: Vec<usize> = self.down.iter().map(|layers| (*layers).max(1)).collect();
        json!({
            "_class_name": "UNet2DConditionModel",
            "attention_head_dim": heads,
            "block_out_channels": self.channels,
            "cross_attention_dim": self.context,
            "down_block_types": types(&self.down, "CrossAttnDownBlock2D", "DownBlock2D"),
            "in_channels": self.in_channels,
            "layers_per_block": self.layout.layers,
            "out_channels": self.out_channels,
            "sample_size": sample_size,
            "transformer_layers_per_block": transformer_layers,
            "up_block_types": types(&self.up, "CrossAttnUpBlock2D", "UpBlock2D"),
            "use_linear_projection": self.linear,
        })
    }
}

/// The config.json of a VAE in LDM layout, and how many resolutions it has.
pub(super) fn vae(shapes: &Shapes) -> Option<(Value, usize)> {
    let levels = count(shapes, |i| format!("encoder.down.{i}.block.0.conv2.weight"));
    let width = |i| dim(shapes, &format!("encoder.down.{i}.block.0.conv2.weight"), 0);
    let channels: Vec<usize> = (0..levels).map_while(width).collect();
    let config = json!({
        "_class_name": "AutoencoderKL",
        "block_out_channels": channels,
        "down_block_types": vec!["DownEncoderBlock2D"; levels],
        "up_block_types": vec!["UpDecoderBlock2D"; levels],
        "in_channels": dim(shapes, "encoder.conv_in.weight", 1)?,
        "out_channels": dim(shapes, "decoder.conv_out.weight", 0)?,
        "latent_channels": dim(shapes, "decoder.conv_in.weight", 1)?,
        "layers_per_block": count(shapes, |i| format!("encoder.down.0.block.{i}.conv2.weight")),
    });
    Some((config, levels))
}

/// The config.json of a text encoder under transformers' names; `skipped` layers at its end are not used.
pub(super) fn text_encoder(shapes: &Shapes, activation: &str, skipped: usize) -> Option<Value> {
    let width = dim(shapes, "embeddings.token_embedding.weight", 1)?;
    let layers = count(shapes, |i| format!("encoder.layers.{i}.layer_norm1.weight"));
    Some(json!({
        "hidden_act": activation,
        "hidden_size": width,
        "intermediate_size": dim(shapes, "encoder.layers.0.mlp.fc1.weight", 0)?,
        "max_position_embeddings": dim(shapes, "embeddings.position_embedding.weight", 0)?,
        "num_attention_heads": (width / HEAD).max(1),
        "num_hidden_layers": layers.saturating_sub(skipped),
        "vocab_size": dim(shapes, "embeddings.token_embedding.weight", 0)?,
    }))
}
