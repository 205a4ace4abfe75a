//! Entropy of cross-attention (Ren et al. 2024; docs/spec/protocol.md §6).

use std::collections::BTreeSet;

use candle_core::{DType, Tensor};
use memscope_metric::{
    Detector, Generation, Measure, OwnCalls, PredictionRequest, Quantity, ResolvedProtocol, Score, T_NORM,
    ddim_timesteps, walk, walk_calls,
};
use memscope_model::{
    Blueprint, Error, LatentDiffusion, PromptBatch, PromptEmbedding, Result,
    unet::{AttentionObserver, CrossAttentionLayer},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of the publication's two scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RenMode {
    /// The entropy of one layer at the first step: denoising-free.
    #[default]
    E,
    /// The entropy of all layers over the last ten steps of the trajectory, plus how much that of the end-of-text
    /// and padding tokens grew since the first step.
    D,
}

/// The entropy of cross-attention, averaged over generations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ren {
    protocol: ResolvedProtocol,
    attention: Attention,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    Layer(usize),
    Late,
}

/// The layer of the publication in Stable Diffusion's order: the second attention of the second down block.
const STABLE_DIFFUSION_LAYER: usize = 3;

/// Steps at the end of the trajectory that mode D averages.
const LAST_STEPS: usize = 10;

impl Ren {
    /// The mode for a model, in f32; scores are kept as the protocol says. Mode E reads `layer`, counted in forward
    /// order from 0. By default that is the publication's layer on networks of Stable Diffusion's depth (16 layers);
    /// on shallower ones the last layer of the second down block, which stands in the same place of the network.
    ///
    /// # Errors
    /// The network has no cross-attention layer of that number.
    pub fn new(model: &Blueprint, protocol: ResolvedProtocol, mode: RenMode, layer: Option<usize>) -> Result<Self> {
        let layers = model.cross_attention_layers();
        let attention = match mode {
            RenMode::E => {
                let second_block =
                    layers.iter().filter(|layer| layer.path.starts_with("down_blocks.1.")).map(|layer| layer.index);
                let chosen = layer.or(second_block.max()).unwrap_or(STABLE_DIFFUSION_LAYER);
                if chosen >= layers.len() {
                    let paths: Vec<String> =
                        layers.iter().map(|layer| format!("{} {}", layer.index, layer.path)).collect();
                    let message = format!("no cross-attention layer {chosen}; there are: {}", paths.join(", "));
                    return Err(Error::Argument(message));
                }
                Attention::Layer(chosen)
            }
            RenMode::D => {
                let heads: BTreeSet<usize> = layers.iter().map(|layer| layer.heads).collect();
                if heads.len() != 1 {
                    return Err(Error::Argument(format!(
                        "mode D averages over the heads of all layers, which differ in number here ({heads:?}); use mode E"
                    )));
                }
                Attention::Late
            }
        };
        Ok(Self { protocol, attention })
    }
}

impl Measure for Attention {
    fn id(&self) -> String {
        match self {
            Self::Layer(layer) => format!("attention-entropy/layer={layer}/t={T_NORM}/f32"),
            Self::Late => format!("attention-entropy/all-layers/last={LAST_STEPS}/f32"),
        }
    }

    fn names(&self) -> Vec<String> {
        vec!["entropy".into()]
    }

    fn requests(&self) -> Vec<PredictionRequest> {
        vec![]
    }

    /// Predictions under the prompt that are watched, and the trajectory that leads to them.
    fn own(&self) -> Vec<OwnCalls> {
        match self {
            Self::Layer(_) => vec![OwnCalls::predictions(1, 1)],
            Self::Late => vec![walk_calls(), OwnCalls::predictions(1 + LAST_STEPS, 1)],
        }
    }

    fn measure(&self, generations: &[Generation]) -> Result<Vec<Vec<f64>>> {
        match self {
            Self::Layer(layer) => {
                let latents: Vec<Vec<f32>> = generations.iter().map(|generation| generation.x().to_vec()).collect();
                let maps = attention(generations, &latents, T_NORM, Some(*layer))?;
                Ok(maps.iter().map(|p| vec![entropy(p)]).collect())
            }
            Self::Late => late(generations),
        }
    }
}

/// Mode D: E over the last steps, plus the growth of E over the tokens from the end of the text on.
fn late(generations: &[Generation]) -> Result<Vec<Vec<f64>>> {
    let timesteps: Vec<usize> = ddim_timesteps().collect();
    let (first, last) = (timesteps[0], &timesteps[timesteps.len() - LAST_STEPS..]);
    let mut scores = vec![vec![0.0]; generations.len()];
    walk(generations, |step| {
        let of_last = last.contains(&step.t);
        if !of_last && step.t != first {
            return Ok(());
        }
        let maps = attention(generations, step.latents, step.t, None)?;
        for ((score, generation), p) in scores.iter_mut().zip(generations).zip(maps) {
            // From the end-of-text token on.
            let padding = entropy(&p[generation.prompt().tokens.length - 1..]);
            score[0] += if of_last { (entropy(&p) + padding) / LAST_STEPS as f64 } else { -padding };
        }
        Ok(())
    })?;
    Ok(scores)
}

/// The attention to each token, averaged over queries, heads and the wanted layers (all where `None`).
fn attention(
    generations: &[Generation],
    latents: &[Vec<f32>],
    t: usize,
    layer: Option<usize>,
) -> Result<Vec<Vec<f32>>> {
    let Some(first) = generations.first() else { return Ok(vec![]) };
    let maps = first.model().in_parts(generations.len(), |range| {
        let rows = range.len();
        let x = first.model().latents(latents[range.clone()].concat())?;
        let prompts: Vec<&PromptEmbedding> = generations[range].iter().map(Generation::prompt).collect();
        let mut watched = Watched { layer, maps: vec![] };
        first.model().predict(&x, &vec![t; rows], PromptBatch::of(&prompts)?, Some(&mut watched))?;
        LatentDiffusion::rows(&Tensor::stack(&watched.maps, 0)?.mean(0)?)
    })?;
    Ok(maps.concat())
}

/// −Σ p ln p in nats; terms with p = 0 count nothing.
fn entropy(p: &[f32]) -> f64 {
    p.iter().map(|p| f64::from(*p)).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum()
}

/// Keeps the maps of one layer or of all, `(B, tokens)` each.
struct Watched {
    layer: Option<usize>,
    maps: Vec<Tensor>,
}

impl AttentionObserver for Watched {
    fn wants(&self, layer: &CrossAttentionLayer) -> bool {
        self.layer.is_none_or(|wanted| wanted == layer.index)
    }

    fn observe(&mut self, _: &CrossAttentionLayer, probabilities: &Tensor) -> Result<()> {
        self.maps.push(probabilities.to_dtype(DType::F32)?.mean(2)?.mean(1)?);
        Ok(())
    }
}

impl Detector for Ren {
    fn name(&self) -> &'static str {
        "ren"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        vec![Box::new(self.attention)]
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new(&self.attention, &"entropy")]
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let values: Vec<f64> = generations.iter().map(|g| g[0]).collect();
        let value = self.protocol.mean_of_f32(&values);
        Score { value, parts: vec![("entropy", value)] }
    }
}
