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
    layers::{layer_norm, linear, linear_no_bias},
    pipeline::{TextOutput, TextPart},
    weights::{Scope, Weights},
};

/// Turns token ids into the prompt embedding the UNet attends to.
pub struct TextEncoder {
    token_embedding: Tensor,
    position_embedding: Tensor,
    layers: Vec<Layer>,
    /// What comes after the layers: `None` where the hidden state before the last layer is all that is wanted.
    end: Option<End>,
    width: usize,
}

/// The end of the network.
struct End {
    norm: Norm,
    pooling: Option<Pooling>,
}

/// From the last hidden state to one vector.
struct Pooling {
    /// The layer after the one whose hidden state is the embedding.
    last: Layer,
    projection: Linear,
    /// The id at whose first position the vector is taken; `None`: at the position of the highest id.
    eos_id: Option<u32>,
}

/// Prompts as a text encoder sees them.
pub struct EncodedText {
    /// `(B, L, width)`: a hidden state.
    pub hidden: Tensor,
    /// `(B, P)`: the projection of the last hidden state at the end of the text, where the model uses it.
    pub pooled: Option<Tensor>,
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
    pub(crate) part: TextPart,
    pub(crate) width: usize,
    pub(crate) inner: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) vocabulary: usize,
    pub(crate) context_length: usize,
    /// Width of the pooled prompt.
    pub(crate) projection: usize,
    eos_id: u32,
    activation: Activation,
    eps: f64,
}

/// The end-of-text id of configurations from before it meant anything: the highest id of a prompt is then its end.
const OLD_EOS: u32 = 2;

/// More rows than any text encoder's embedding table has.
const MOST_TOKENS: usize = 1 << 20;

impl TextShape {
    /// From the config.json of a `CLIPTextModel`, or of a whole `CLIPModel`, whose text part stands in `text_config`.
    pub(crate) fn from_config(config: &Config, part: TextPart) -> Result<Self> {
        let inner = config.object("text_config");
        let config = inner.as_ref().unwrap_or(config);
        let activation = match config.text("hidden_act", "quick_gelu")? {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => return Err(config.unsupported("hidden_act", &other.into(), "quick_gelu, gelu")),
        };
        let eos_id = match config.get("eos_token_id") {
            None => 49_407,
            Some(id) => match id.as_u64().filter(|id| *id < MOST_TOKENS as u64) {
                Some(id) => id as u32,
                None => return Err(config.invalid("eos_token_id", format!("must be a token's id, is {id}"))),
            },
        };
        let shape = Self {
            part,
            projection: config.size("projection_dim", Some(512), 16_384)?,
            eos_id,
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
        layer_of(tensor).is_some_and(|layer| layer >= self.layers)
    }

    /// Whether nothing that the model uses of this network depends on a tensor.
    fn has_no_use_for(&self, tensor: &str) -> bool {
        let pooled = self.part.output == TextOutput::PenultimateAndPooled;
        let ends = |suffix: &str| tensor.ends_with(suffix);
        if ends("embeddings.position_ids") || (!pooled && ends("text_projection.weight")) || self.skips(tensor) {
            return true;
        }
        let is_last = layer_of(tensor).is_some_and(|layer| layer + 1 == self.layers);
        self.part.output == TextOutput::Penultimate && (is_last || tensor.contains("final_layer_norm."))
    }

    /// Layers up to the hidden state that is the embedding.
    pub(crate) fn layers_to_hidden(&self) -> usize {
        match self.part.output {
            TextOutput::Last => self.layers,
            TextOutput::Penultimate | TextOutput::PenultimateAndPooled => self.layers - 1,
        }
    }

    fn warn_of_skipped_layers(&self, weights: &Weights) {
        if let Some(tensor) = weights.names().find(|name| self.skips(name)) {
            tracing::warn!(
                "{}/config.json has {} layers and the weights have more ('{tensor}'): the others are not used \
                 (clip skip)",
                self.part.folder,
                self.layers
            );
        }
    }
}

/// The layer that a tensor belongs to.
fn layer_of(tensor: &str) -> Option<usize> {
    let (_, rest) = tensor.split_once("encoder.layers.")?;
    rest.split('.').next()?.parse().ok()
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
    /// Loads the network of a model's folder.
    pub(crate) fn load(files: &ModelFiles, shape: &TextShape, place: &Place) -> Result<Self> {
        let weights = Weights::open(files, shape.part.folder, "model", place.clone())?;
        // Old checkpoints keep everything below `text_model`; newer ones may not.
        let prefix = "text_model.embeddings.token_embedding.weight";
        let scope = if weights.contains(prefix) { weights.root().at("text_model") } else { weights.root() };
        let encoder = Self::build(shape, &scope, &weights.root())?;
        shape.warn_of_skipped_layers(&weights);
        weights.finish(|name| shape.has_no_use_for(name))?;
        Ok(encoder)
    }

    /// `root`: where the projection stands, beside the network proper.
    fn build(shape: &TextShape, scope: &Scope, root: &Scope) -> Result<Self> {
        let embeddings = scope.at("embeddings");
        let layers = scope.at("encoder.layers");
        let norm = || layer_norm(shape.width, shape.eps, &scope.at("final_layer_norm"));
        let end = match shape.part.output {
            TextOutput::Last => Some(End { norm: norm()?, pooling: None }),
            TextOutput::Penultimate => None,
            TextOutput::PenultimateAndPooled => {
                let pooling = Pooling {
                    last: Layer::load(shape, &layers.at(shape.layers - 1))?,
                    projection: linear_no_bias(shape.width, shape.projection, &root.at("text_projection"))?,
                    eos_id: (shape.eos_id != OLD_EOS).then_some(shape.eos_id),
                };
                Some(End { norm: norm()?, pooling: Some(pooling) })
            }
        };
        Ok(Self {
            token_embedding: embeddings.get("token_embedding.weight", &[shape.vocabulary, shape.width])?,
            position_embedding: embeddings.get("position_embedding.weight", &[shape.context_length, shape.width])?,
            layers: (0..shape.layers_to_hidden()).map(|i| Layer::load(shape, &layers.at(i))).collect::<Result<_>>()?,
            end,
            width: shape.width,
        })
    }

    /// `ids: B rows of L`; the hidden state that the model attends to, and the pooled prompt where it uses one. Causal mask
    /// only: padding is attended to, as in diffusers.
    ///
    /// The hidden state is the last one after the final layer norm (Stable Diffusion 1 and 2) or the one before the last
    /// layer, without a norm (SDXL).
    ///
    /// # Errors
    ///
    /// When the rows differ in length, are longer than the context, or hold an id beyond the vocabulary.
    pub fn forward(&self, ids: &[&[u32]]) -> Result<EncodedText> {
        let flat: Vec<u32> = ids.iter().flat_map(|row| row.iter().copied()).collect();
        let (batch, length) = (ids.len(), ids.first().map_or(0, |row| row.len()));
        let flat = Tensor::from_vec(flat, batch * length, self.token_embedding.device())?;
        let tokens = self.token_embedding.index_select(&flat, 0)?;
        let mut x = tokens
            .reshape((batch, length, self.width))?
            .broadcast_add(&self.position_embedding.narrow(0, 0, length)?)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        match &self.end {
            None => Ok(EncodedText { hidden: x, pooled: None }),
            Some(End { norm, pooling: None }) => Ok(EncodedText { hidden: x.normalise(norm)?, pooled: None }),
            Some(End { norm, pooling: Some(pooling) }) => {
                let pooled = Some(pooling.forward(&x, norm, ids)?);
                Ok(EncodedText { hidden: x, pooled })
            }
        }
    }
}

impl Pooling {
    /// `x: (B, L, width)`, the hidden state before the last layer; returns `(B, P)`.
    fn forward(&self, x: &Tensor, norm: &Norm, ids: &[&[u32]]) -> Result<Tensor> {
        let x = self.last.forward(x)?.normalise(norm)?;
        let ends = ids.iter().enumerate().map(|(i, row)| x.get(i)?.get(self.position(row)));
        let ends = ends.collect::<candle_core::Result<Vec<Tensor>>>()?;
        Ok(Tensor::stack(&ends, 0)?.through(&self.projection)?)
    }

    /// The first position of the highest id, or of the end-of-text id; 0 where there is none, as in transformers.
    fn position(&self, row: &[u32]) -> usize {
        let wanted = self.eos_id.or_else(|| row.iter().copied().max());
        row.iter().position(|id| Some(*id) == wanted).unwrap_or(0)
    }
}
