//! Entropy of cross-attention (Ren et al. 2024; protocol §6), mode E: the first step only.

use candle_core::{Device, Tensor};
use memscope_metric::{Ask, Detector, Measure, Numerics, Probe, Quantity, Score, T_NORM, mean_over_generations};
use memscope_model::{
    Error, Result,
    unet::{AttentionObserver, CrossAttentionLayer},
};

/// −Σ p̄ ln p̄ over tokens, p̄ being one layer's attention averaged over heads and queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ren {
    layer: usize,
}

/// The layer of the publication in Stable Diffusion's order: the second attention of the second down block.
const STABLE_DIFFUSION_LAYER: usize = 3;

impl Ren {
    /// Reads the given cross-attention layer, counted in forward order from 0.
    pub fn at_layer(layer: usize) -> Self {
        Self { layer }
    }

    /// The publication's layer on networks of Stable Diffusion's depth (16 layers); on shallower ones the last
    /// layer of the second down block, which stands in the same place of the network.
    pub fn for_layers(layers: &[CrossAttentionLayer]) -> Self {
        let second_block =
            layers.iter().filter(|layer| layer.path.starts_with("down_blocks.1.")).map(|layer| layer.index);
        Self { layer: second_block.max().unwrap_or(STABLE_DIFFUSION_LAYER) }
    }
}

impl Measure for Ren {
    fn id(&self) -> String {
        format!("attention-entropy/layer={}/t={T_NORM}/f32", self.layer)
    }

    fn names(&self) -> Vec<String> {
        vec!["entropy".into()]
    }

    fn asks(&self) -> Vec<Ask> {
        vec![]
    }

    /// One prediction under the prompt, watched.
    fn own_calls(&self) -> usize {
        1
    }

    fn measure(&self, probe: &Probe) -> Result<Vec<f64>> {
        let model = probe.model();
        let mut watched = Watched { layer: self.layer, mean: None };
        let (channels, height, width) = model.latent_shape();
        let x = Tensor::from_slice(probe.x(), (1, channels, height, width), &Device::Cpu)?;
        let prompt = probe.prompt().embedding.unsqueeze(0)?;
        model.predict(&x, &[T_NORM], &prompt, Some(&mut watched))?;
        if let Some(mean) = watched.mean {
            return Ok(vec![entropy(&mean)]);
        }
        let layers = model.unet().cross_attention_layers();
        let paths: Vec<String> = layers.iter().map(|layer| format!("{} {}", layer.index, layer.path)).collect();
        Err(Error::Argument(format!("no cross-attention layer {}; there are: {}", self.layer, paths.join(", "))))
    }
}

/// −Σ p ln p in nats; terms with p = 0 count nothing.
fn entropy(p: &[f32]) -> f64 {
    p.iter().map(|p| f64::from(*p)).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum()
}

/// Keeps the mean map of one layer.
struct Watched {
    layer: usize,
    mean: Option<Vec<f32>>,
}

impl AttentionObserver for Watched {
    fn wants(&self, layer: &CrossAttentionLayer) -> bool {
        layer.index == self.layer
    }

    fn observe(&mut self, _: &CrossAttentionLayer, probabilities: &Tensor) -> candle_core::Result<()> {
        self.mean = Some(probabilities.mean(2)?.mean(1)?.squeeze(0)?.to_vec1()?);
        Ok(())
    }
}

impl Detector for Ren {
    fn name(&self) -> &'static str {
        "ren"
    }

    fn measures(&self) -> Vec<Box<dyn Measure>> {
        vec![Box::new(*self)]
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new(self, &"entropy")]
    }

    fn score(&self, generations: &[Vec<f64>]) -> Score {
        let values: Vec<f64> = generations.iter().map(|g| g[0]).collect();
        let value = mean_over_generations(&values, Numerics::F32);
        Score { value, parts: vec![("entropy", value)] }
    }
}
