//! What the tensors of a CLIP model are called: transformers' way, or OpenAI's and open_clip's.

use candle_core::Tensor;
use candle_nn::{LayerNorm, Linear};

use super::config::{ClipConfig, TowerConfig};
use crate::{
    error::{Error, Result},
    weights::Weights,
};

/// Which of the two transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tower {
    Vision,
    Text,
}

/// A naming of the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// `vision_model.encoder.layers.0.self_attn.q_proj`.
    Transformers,
    /// `visual.transformer.resblocks.0.attn.in_proj_weight`.
    OpenClip,
}

/// The four matrices of an attention and what is around them.
pub(super) struct BlockParts {
    pub(super) norms: [LayerNorm; 2],
    /// Queries, keys, values, output.
    pub(super) attention: [Linear; 4],
    pub(super) mlp: [Linear; 2],
}

/// Reads tensors by either naming.
pub(super) struct Reader<'a> {
    weights: &'a Weights,
    names: Names,
}

impl<'a> Reader<'a> {
    pub(super) fn new(weights: &'a Weights) -> Result<Self> {
        let names = if weights.has("vision_model.embeddings.class_embedding") {
            Names::Transformers
        } else if weights.has("visual.class_embedding") {
            Names::OpenClip
        } else {
            let tensor = "visual.class_embedding or vision_model.embeddings.class_embedding".to_owned();
            return Err(Error::MissingTensor { file: weights.label().to_owned(), tensor });
        };
        Ok(Self { weights, names })
    }

    fn tensor(&self, transformers: &str, open_clip: &str, shape: &[usize]) -> Result<Tensor> {
        let name = match self.names {
            Names::Transformers => transformers,
            Names::OpenClip => open_clip,
        };
        self.weights.tensor(name, shape)
    }

    /// (1, 1, width).
    pub(super) fn class_token(&self, width: usize) -> Result<Tensor> {
        let token = self.tensor("vision_model.embeddings.class_embedding", "visual.class_embedding", &[width])?;
        Ok(token.reshape((1, 1, width))?)
    }

    /// (width, 3, patch, patch).
    pub(super) fn patches(&self, config: &ClipConfig) -> Result<Tensor> {
        let shape = [config.vision.width, 3, config.patch_size, config.patch_size];
        self.tensor("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight", &shape)
    }

    /// (positions, width).
    pub(super) fn positions(&self, tower: Tower, shape: &[usize]) -> Result<Tensor> {
        match tower {
            Tower::Vision => {
                self.tensor("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding", shape)
            }
            Tower::Text => {
                self.tensor("text_model.embeddings.position_embedding.weight", "positional_embedding", shape)
            }
        }
    }

    /// (vocabulary, width).
    pub(super) fn tokens(&self, shape: &[usize]) -> Result<Tensor> {
        self.tensor("text_model.embeddings.token_embedding.weight", "token_embedding.weight", shape)
    }

    pub(super) fn norm_before(&self, tower: &TowerConfig) -> Result<LayerNorm> {
        // The spelling is transformers'.
        self.norm("vision_model.pre_layrnorm", "visual.ln_pre", tower)
    }

    pub(super) fn norm_after(&self, which: Tower, tower: &TowerConfig) -> Result<LayerNorm> {
        match which {
            Tower::Vision => self.norm("vision_model.post_layernorm", "visual.ln_post", tower),
            Tower::Text => self.norm("text_model.final_layer_norm", "ln_final", tower),
        }
    }

    /// From a transformer's width to the embedding. open_clip stores it the other way round.
    pub(super) fn projection(&self, tower: Tower, width: usize, dims: usize) -> Result<Linear> {
        let (transformers, open_clip) = match tower {
            Tower::Vision => ("visual_projection.weight", "visual.proj"),
            Tower::Text => ("text_projection.weight", "text_projection"),
        };
        let weight = match self.names {
            Names::Transformers => self.weights.tensor(transformers, &[dims, width])?,
            Names::OpenClip => self.weights.tensor(open_clip, &[width, dims])?.t()?.contiguous()?,
        };
        Ok(Linear::new(weight, None))
    }

    pub(super) fn block(&self, which: Tower, layer: usize, tower: &TowerConfig) -> Result<BlockParts> {
        let (transformers, open_clip) = match which {
            Tower::Vision => ("vision_model", "visual."),
            Tower::Text => ("text_model", ""),
        };
        let one = format!("{transformers}.encoder.layers.{layer}");
        let other = format!("{open_clip}transformer.resblocks.{layer}");
        let norm = |a: &str, b: &str| self.norm(&format!("{one}.{a}"), &format!("{other}.{b}"), tower);
        let linear = |a: &str, b: &str, inputs, outputs| {
            self.linear(&format!("{one}.{a}"), &format!("{other}.{b}"), inputs, outputs)
        };
        let (width, mlp) = (tower.width, tower.mlp);
        let [queries, keys, values] = match self.names {
            Names::Transformers => {
                let one = |name: &str| linear(&format!("self_attn.{name}"), "", width, width);
                [one("q_proj")?, one("k_proj")?, one("v_proj")?]
            }
            Names::OpenClip => self.joined(&format!("{other}.attn"), width)?,
        };
        Ok(BlockParts {
            norms: [norm("layer_norm1", "ln_1")?, norm("layer_norm2", "ln_2")?],
            attention: [queries, keys, values, linear("self_attn.out_proj", "attn.out_proj", width, width)?],
            mlp: [linear("mlp.fc1", "mlp.c_fc", width, mlp)?, linear("mlp.fc2", "mlp.c_proj", mlp, width)?],
        })
    }

    fn norm(&self, transformers: &str, open_clip: &str, tower: &TowerConfig) -> Result<LayerNorm> {
        let part =
            |part: &str| self.tensor(&format!("{transformers}.{part}"), &format!("{open_clip}.{part}"), &[tower.width]);
        Ok(LayerNorm::new(part("weight")?, part("bias")?, tower.epsilon))
    }

    fn linear(&self, transformers: &str, open_clip: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let part = |part: &str, shape: &[usize]| {
            self.tensor(&format!("{transformers}.{part}"), &format!("{open_clip}.{part}"), shape)
        };
        Ok(Linear::new(part("weight", &[outputs, inputs])?, Some(part("bias", &[outputs])?)))
    }

    /// Queries, keys and values stacked in one matrix.
    fn joined(&self, prefix: &str, width: usize) -> Result<[Linear; 3]> {
        let weight = self.weights.tensor(&format!("{prefix}.in_proj_weight"), &[3 * width, width])?;
        let bias = self.weights.tensor(&format!("{prefix}.in_proj_bias"), &[3 * width])?;
        let part = |i: usize| -> Result<Linear> {
            let weight = weight.narrow(0, i * width, width)?.contiguous()?;
            Ok(Linear::new(weight, Some(bias.narrow(0, i * width, width)?.contiguous()?)))
        };
        Ok([part(0)?, part(1)?, part(2)?])
    }
}
