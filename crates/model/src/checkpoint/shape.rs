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
    /// Width of the added conditions of SDXL.
    pub(super) added: Option<usize>,
    in_channels: usize,
    out_channels: usize,
}

/// Attention heads of Stable Diffusion 1.x at every level.
const HEADS: usize = 8;

/// Channels of an attention head in Stable Diffusion 2.x.
const HEAD: usize = 64;

/// Width of the sinusoid of each of SDXL's sizes.
const NUMBER_WIDTH: usize = 256;

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
        let up: Vec<usize> =
            (0..levels).map(|block| transformers(&format!("output_blocks.{}", block * per_block))).collect();
        let attention = shapes.keys().find_map(|name| name.strip_suffix(".transformer_blocks.0.attn2.to_k.weight"))?;
        // The way up and the middle repeat the way down.
        let deepest = down.last().map_or(1, |layers: &usize| (*layers).max(1));
        let is_regular = resnets.iter().all(|count| *count == layers)
            && transformers("middle_block") == deepest
            && up.iter().eq(down.iter().rev());
        is_regular.then_some(())?;
        Some(Self {
            layout: UNetLayout { layers, levels },
            context: dim(shapes, &format!("{attention}.transformer_blocks.0.attn2.to_k.weight"), 1)?,
            linear: shapes.get(format!("{attention}.proj_in.weight").as_str())?.len() == 2,
            channels,
            down,
            up,
            added: dim(shapes, "label_emb.0.0.weight", 1),
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
        let mut config = json!({
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
        });
        if let Some(width) = self.added {
            config["addition_embed_type"] = "text_time".into();
            config["addition_time_embed_dim"] = NUMBER_WIDTH.into();
            config["projection_class_embeddings_input_dim"] = width.into();
        }
        config
    }
}

/// The config.json of a VAE in LDM layout, and how many resolutions it has.
pub(super) fn vae(shapes: &Shapes, scaling: f64) -> Option<(Value, usize)> {
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
        "scaling_factor": scaling,
    });
    Some((config, levels))
}

/// The config.json of a text encoder under transformers' names; `skipped` layers at its end are not used.
pub(super) fn text_encoder(shapes: &Shapes, activation: &str, skipped: usize) -> Option<Value> {
    let width = dim(shapes, "embeddings.token_embedding.weight", 1)?;
    let layers = count(shapes, |i| format!("encoder.layers.{i}.layer_norm1.weight"));
    let mut config = json!({
        // Old configurations, as those of Stable Diffusion, say 2: the end of the text is then its highest id.
        "eos_token_id": 2,
        "hidden_act": activation,
        "hidden_size": width,
        "intermediate_size": dim(shapes, "encoder.layers.0.mlp.fc1.weight", 0)?,
        "max_position_embeddings": dim(shapes, "embeddings.position_embedding.weight", 0)?,
        "num_attention_heads": (width / HEAD).max(1),
        "num_hidden_layers": layers.saturating_sub(skipped),
        "vocab_size": dim(shapes, "embeddings.token_embedding.weight", 0)?,
    });
    if let Some(width) = dim(shapes, "text_projection.weight", 0) {
        config["projection_dim"] = width.into();
    }
    Some(config)
}
