//! CLIP text encoder (`CLIPTextModel` of transformers), any size.

use candle_core::Tensor;
use memscope_kernels::{
    Value,
    ops::{Activation, AttentionMask, Linear, Norm},
};

use crate::{
    config::Config,
    error::Result,
    execution::Place,
    files::ModelFiles,
    layers::{layer_norm, linear},
    weights::{Scope, Weights},
};

/// Turns token ids into the prompt embedding the UNet attends to.
pub struct TextEncoder {
    token_embedding: Tensor,
    position_embedding: Tensor,
    layers: Vec<Layer>,
    final_norm: Norm,
    width: usize,
}

struct Layer {
    norm1: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    norm2: Norm,
    expand: Linear,
    activation: Activation,
    contract: Linear,
}

/// What its config.json says.
#[derive(Clone, Debug)]
pub(crate) struct TextShape {
    pub(crate) width: usize,
    pub(crate) inner: usize,
    pub(crate) layers: usize,
    heads: usize,
    pub(crate) vocabulary: usize,
    pub(crate) context_length: usize,
    activation: Activation,
    eps: f64,
}

/// More rows than any text encoder's embedding table has.
const MOST_TOKENS: usize = 1 << 20;

impl TextShape {
    /// From the config.json of a `CLIPTextModel`, or of a whole `CLIPModel`, whose text part stands in `text_config`.
    pub(crate) fn from_config(config: &Config) -> Result<Self> {
        let inner = config.object("text_config");
        let config = inner.as_ref().unwrap_or(config);
        let activation = match config.text("hidden_act", "quick_gelu")? {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => return Err(config.unsupported("hidden_act", &other.into(), "quick_gelu, gelu")),
        };
        let shape = Self {
            width: config.size("hidden_size", Some(512), 16_384)?,
            inner: config.size("intermediate_size", Some(2048), 65_536)?,
            layers: config.size("num_hidden_layers", Some(12), 128)?,
            heads: config.size("num_attention_heads", Some(8), 256)?,
            vocabulary: config.size("vocab_size", Some(49408), MOST_TOKENS)?,
            context_length: config.size("max_position_embeddings", Some(77), 4096)?,
            activation,
            eps: config.positive("layer_norm_eps", 1e-5, 1.0)?,
        };
        match shape.width % shape.heads {
            0 => Ok(shape),
            _ => {
                Err(config.invalid("num_attention_heads", format!("= {} does not divide {}", shape.heads, shape.width)))
            }
        }
    }
}

impl TextShape {
    /// Whether a tensor belongs to a layer that the configuration leaves out ("clip skip"): transformers builds
    /// `num_hidden_layers` layers and ignores what else the file holds.
    fn skips(&self, tensor: &str) -> bool {
        let layer = tensor.split_once("encoder.layers.").and_then(|(_, rest)| rest.split('.').next());
        layer.and_then(|layer| layer.parse::<usize>().ok()).is_some_and(|layer| layer >= self.layers)
    }

    fn warn_of_skipped_layers(&self, weights: &Weights) {
        if let Some(tensor) = weights.names().find(|name| self.skips(name)) {
            tracing::warn!(
                "text_encoder/config.json has {} layers and the weights have more ('{tensor}'): the others are not used \
                 (clip skip)",
                self.layers
            );
        }
    }
}

impl Layer {
    fn load(shape: &TextShape, scope: &Scope) -> Result<Self> {
        let (width, inner) = (shape.width, shape.inner);
        let attention = scope.at("self_attn");
        Ok(Self {
            norm1: layer_norm(width, shape.eps, &scope.at("layer_norm1"))?,
            query: linear(width, width, &attention.at("q_proj"))?,
            key: linear(width, width, &attention.at("k_proj"))?,
            value: linear(width, width, &attention.at("v_proj"))?,
            out: linear(width, width, &attention.at("out_proj"))?,
            heads: shape.heads,
            norm2: layer_norm(width, shape.eps, &scope.at("layer_norm2"))?,
            expand: linear(width, inner, &scope.at("mlp.fc1"))?,
            activation: shape.activation,
            contract: linear(inner, width, &scope.at("mlp.fc2"))?,
        })
    }

    fn forward(&self, x: &Tensor) -> memscope_kernels::Result<Tensor> {
        let h = x.normalise(&self.norm1)?;
        let (q, k, v) = (h.through(&self.query)?, h.through(&self.key)?, h.through(&self.value)?);
        let x = q.attend(&k, &v, self.heads, AttentionMask::Causal)?.through(&self.out)?.add(x)?;
        let h = x.normalise(&self.norm2)?.through(&self.expand)?.activate(self.activation)?;
        Ok(h.through(&self.contract)?.add(&x)?)
    }
}

impl TextEncoder {
    /// Loads `text_encoder/` of a model.
    pub(crate) fn load(files: &ModelFiles, shape: &TextShape, place: &Place) -> Result<Self> {
        let weights = Weights::open(files, "text_encoder", "model", place.clone())?;
        // Old checkpoints keep everything below `text_model`; newer ones may not.
        let prefix = "text_model.embeddings.token_embedding.weight";
        let scope = if weights.contains(prefix) { weights.root().at("text_model") } else { weights.root() };
        let encoder = Self::build(shape, &scope)?;
        shape.warn_of_skipped_layers(&weights);
        weights.finish(|name| {
            let unused = ["embeddings.position_ids", "text_projection.weight"];
            unused.iter().any(|suffix| name.ends_with(suffix)) || shape.skips(name)
        })?;
        Ok(encoder)
    }

    fn build(shape: &TextShape, scope: &Scope) -> Result<Self> {
        let embeddings = scope.at("embeddings");
        let layers = scope.at("encoder.layers");
        Ok(Self {
            token_embedding: embeddings.get("token_embedding.weight", &[shape.vocabulary, shape.width])?,
            position_embedding: embeddings.get("position_embedding.weight", &[shape.context_length, shape.width])?,
            layers: (0..shape.layers).map(|i| Layer::load(shape, &layers.at(i))).collect::<Result<_>>()?,
            final_norm: layer_norm(shape.width, shape.eps, &scope.at("final_layer_norm"))?,
            width: shape.width,
        })
    }

    /// `ids: B rows of L`; returns `(B, L, width)`, the last hidden state after the final layer norm.
    /// Causal mask only: padding is attended to, as in diffusers.
    ///
    /// # Errors
    ///
    /// When the rows differ in length, are longer than the context, or hold an id beyond the vocabulary.
    pub fn forward(&self, ids: &[&[u32]]) -> Result<Tensor> {
        let flat: Vec<u32> = ids.iter().flat_map(|row| row.iter().copied()).collect();
        let (batch, length) = (ids.len(), ids.first().map_or(0, |row| row.len()));
        let ids = Tensor::from_vec(flat, batch * length, self.token_embedding.device())?;
        let tokens = self.token_embedding.index_select(&ids, 0)?;
        let mut x = tokens
            .reshape((batch, length, self.width))?
            .broadcast_add(&self.position_embedding.narrow(0, 0, length)?)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        Ok(x.normalise(&self.final_norm)?)
    }
}
