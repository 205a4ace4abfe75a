//! Spatial transformers.

use candle_core::Tensor;
use memscope_kernels::{
    LinearMap, Value,
    ops::{AttentionMask, Linear, Norm, swap_last},
};

use super::{
    config::{Projection, UNetShape},
    observer::{CrossAttentionLayer, Observe},
    plan::TransformerPlan,
    spread,
};
use crate::{
    error::Result,
    layers::{group_norm, layer_norm, linear, linear_no_bias, pointwise_as_linear},
    weights::Scope,
};

/// Spatial transformer: the image becomes tokens that attend to one another and to the prompt.
pub(super) struct Transformer {
    norm: Norm,
    proj_in: Linear,
    layers: Vec<Layer>,
    proj_out: Linear,
}

struct Layer {
    norm1: Norm,
    self_attention: Attention,
    norm2: Norm,
    cross_attention: Attention,
    identity: CrossAttentionLayer,
    norm3: Norm,
    expand: Linear,
    contract: Linear,
}

struct Attention {
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl Attention {
    fn load(width: usize, context: usize, heads: usize, scope: &Scope) -> Result<Self> {
        Ok(Self {
            heads,
            query: linear_no_bias(width, width, &scope.at("to_q"))?,
            key: linear_no_bias(context, width, &scope.at("to_k"))?,
            value: linear_no_bias(context, width, &scope.at("to_v"))?,
            out: linear(width, width, &scope.at("to_out.0"))?,
        })
    }

    /// `query: (B or 1, N, W)` after its projection, `context: (B, L, W')`.
    fn attend<V: Value>(
        &self,
        query: &V,
        context: &V,
        observe: Option<(&CrossAttentionLayer, &mut Observe)>,
    ) -> Result<V> {
        let (mut k, v) = (context.through(&self.key)?, context.through(&self.value)?);
        let q = spread(query, context.primal().dim(0)?)?;
        if let Some((layer, observe)) = observe {
            k = observe.keys(k)?;
            observe.cross_attention(layer, q.primal(), k.primal())?;
        }
        Ok(q.attend(&k, &v, self.heads, AttentionMask::None)?.through(&self.out)?)
    }
}

impl Layer {
    fn load(width: usize, context: usize, identity: CrossAttentionLayer, scope: &Scope) -> Result<Self> {
        const EPS: f64 = 1e-5;
        let heads = identity.heads;
        Ok(Self {
            norm1: layer_norm(width, EPS, &scope.at("norm1"))?,
            self_attention: Attention::load(width, width, heads, &scope.at("attn1"))?,
            norm2: layer_norm(width, EPS, &scope.at("norm2"))?,
            cross_attention: Attention::load(width, context, heads, &scope.at("attn2"))?,
            identity,
            norm3: layer_norm(width, EPS, &scope.at("norm3"))?,
            expand: linear(width, 8 * width, &scope.at("ff.net.0.proj"))?,
            contract: linear(4 * width, width, &scope.at("ff.net.2"))?,
        })
    }

    fn before_prompt<V: Value>(&self, x: &V) -> Result<Pending<V>> {
        let h = x.normalise(&self.norm1)?;
        let query = h.through(&self.self_attention.query)?;
        let tokens = self.self_attention.attend(&query, &h, None)?.add(x)?;
        let query = tokens.normalise(&self.norm2)?.through(&self.cross_attention.query)?;
        Ok(Pending { tokens, query })
    }

    fn with_prompt<V: Value>(&self, pending: Pending<V>, context: &V, observe: &mut Observe) -> Result<V> {
        let Pending { tokens, query } = pending;
        let x = spread(&tokens, context.primal().dim(0)?)?;
        let x = self.cross_attention.attend(&query, context, Some((&self.identity, observe)))?.add(&x)?;
        drop((tokens, query));
        let mut h = x.normalise(&self.norm3)?;
        h = h.through(&self.expand)?;
        h = h.geglu()?;
        Ok(h.through(&self.contract)?.add(&x)?)
    }
}

/// `(B, C, H, W)` to `(B, H·W, C)`.
fn to_tokens(image: &Tensor) -> memscope_kernels::Result<Tensor> {
    swap_last(&image.flatten_from(2)?)
}

/// Back to the channels, height and width of an image, the transpose of [`to_tokens`].
fn to_image((channels, height, width): (usize, usize, usize)) -> impl LinearMap {
    move |tokens: &Tensor| Ok(swap_last(tokens)?.reshape((tokens.dim(0)?, channels, height, width))?)
}

fn sizes<V: Value>(image: &V) -> Result<(usize, usize, usize)> {
    let (_, channels, height, width) = image.primal().dims4()?;
    Ok((channels, height, width))
}

/// The tokens of an image before a cross-attention: as they are, and as its queries.
#[derive(Clone)]
struct Pending<V> {
    tokens: V,
    query: V,
}

/// What a transformer has computed before its first cross-attention.
#[derive(Clone)]
pub(super) struct BeforePrompt<V> {
    image: V,
    pending: Pending<V>,
}

impl Transformer {
    pub(super) fn load(shape: &UNetShape, plan: TransformerPlan, scope: &Scope) -> Result<Self> {
        const EPS: f64 = 1e-6;
        let TransformerPlan { path, width, layers } = plan;
        let scope = scope.at(path);
        let project = match shape.projection {
            Projection::Convolution => pointwise_as_linear,
            Projection::Linear => linear,
        };
        let layers = layers.into_iter().enumerate().map(|(i, identity)| {
            Layer::load(width, shape.context_width, identity, &scope.at("transformer_blocks").at(i))
        });
        Ok(Self {
            norm: group_norm(shape.norm_groups, width, EPS, &scope.at("norm"))?,
            proj_in: project(width, width, &scope.at("proj_in"))?,
            layers: layers.collect::<Result<_>>()?,
            proj_out: project(width, width, &scope.at("proj_out"))?,
        })
    }

    /// `x: (B or 1, C, H, W)`.
    pub(super) fn before_prompt<V: Value>(&self, x: V) -> Result<BeforePrompt<V>> {
        let tokens = x.normalise(&self.norm)?;
        let tokens = tokens.linear_map(to_tokens, to_image(sizes(&x)?))?;
        let pending = self.layers[0].before_prompt(&tokens.through(&self.proj_in)?)?;
        Ok(BeforePrompt { image: x, pending })
    }

    /// `context: (B, L, W)`; returns `(B, C, H, W)`.
    pub(super) fn with_prompt<V: Value>(
        &self,
        state: BeforePrompt<V>,
        context: &V,
        observe: &mut Observe,
    ) -> Result<V> {
        let batch = context.primal().dim(0)?;
        let sizes = sizes(&state.image)?;
        let mut h = self.layers[0].with_prompt(state.pending, context, observe)?;
        for layer in &self.layers[1..] {
            h = layer.with_prompt(layer.before_prompt(&h)?, context, observe)?;
        }
        let h = h.through(&self.proj_out)?;
        let image = h.linear_map(to_image(sizes), to_tokens)?;
        Ok(image.add(&spread(&state.image, batch)?)?)
    }
}
