//! What the network consists of, from its shape alone: building it and pricing it both walk this list.

use super::{
    config::{MidBlock, UNetShape},
    observer::CrossAttentionLayer,
};

/// One step in forward order, before its weights are read.
pub(crate) struct StepPlan {
    pub(crate) body: BodyPlan,
    pub(crate) skip: Skip,
    /// The resolution it computes at, 0 being the highest.
    pub(crate) level: usize,
}

/// What a step computes, with the places of its weights under diffusers' names.
pub(crate) enum BodyPlan {
    /// The first convolution, or one that halves height and width.
    Convolution { path: String, inputs: usize, outputs: usize, stride: usize },
    /// A ResNet, and a transformer where the level has attention.
    Layer { resnet: String, inputs: usize, outputs: usize, transformer: Option<TransformerPlan> },
    /// Doubles height and width.
    Upsample { path: String, channels: usize },
    /// From the channels of the first level to those of the prediction.
    Out,
}

/// A spatial transformer.
pub(crate) struct TransformerPlan {
    pub(crate) path: String,
    pub(crate) width: usize,
    /// The cross-attention of each of its layers.
    pub(crate) layers: Vec<CrossAttentionLayer>,
}

/// What a step does with skip connections, which form a stack: the last one left is the first one taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    None,
    /// Its result is also left for a later step.
    Leave,
    /// The last result left is concatenated to its input, along the channels.
    Take,
}

impl UNetShape {
    /// The steps in forward order.
    pub(crate) fn steps(&self) -> Vec<StepPlan> {
        let (first, deepest) = (self.levels[0].channels, self.levels.len() - 1);
        let mut plan = PlanBuilder { shape: self, steps: vec![], skips: vec![], attentions: 0 };
        plan.convolution("conv_in".into(), (self.in_channels, first), 1, 0);
        for level in 0..=deepest {
            plan.down(level);
        }
        plan.mid();
        let mut inputs = self.levels[deepest].channels;
        for level in (0..=deepest).rev() {
            plan.up(level, inputs);
            inputs = self.levels[level].channels;
        }
        plan.push(BodyPlan::Out, Skip::None, 0);
        plan.steps
    }

    /// The cross-attention layers in forward order.
    pub(crate) fn cross_attention_layers(&self) -> Vec<CrossAttentionLayer> {
        let of_step = |step: StepPlan| match step.body {
            BodyPlan::Layer { transformer: Some(transformer), .. } => transformer.layers,
            _ => vec![],
        };
        self.steps().into_iter().flat_map(of_step).collect()
    }
}

struct PlanBuilder<'a> {
    shape: &'a UNetShape,
    steps: Vec<StepPlan>,
    /// Channels of the skip connections that no step has taken yet.
    skips: Vec<usize>,
    /// Cross-attention layers so far.
    attentions: usize,
}

impl PlanBuilder<'_> {
    fn push(&mut self, body: BodyPlan, skip: Skip, level: usize) {
        self.steps.push(StepPlan { body, skip, level });
    }

    /// A convolution whose result a later step takes.
    fn convolution(&mut self, path: String, (inputs, outputs): (usize, usize), stride: usize, level: usize) {
        self.skips.push(outputs);
        self.push(BodyPlan::Convolution { path, inputs, outputs, stride }, Skip::Leave, level);
    }

    /// Layer `index` of a block at a level; `layers` are those of its transformer, if it has one.
    fn layer(&mut self, block: &str, index: usize, inputs: usize, (level, layers): (usize, Option<usize>), skip: Skip) {
        let outputs = self.shape.levels[level].channels;
        let transformer = layers.map(|layers| self.transformer(format!("{block}.attentions.{index}"), level, layers));
        let resnet = format!("{block}.resnets.{index}");
        self.push(BodyPlan::Layer { resnet, inputs, outputs, transformer }, skip, level);
    }

    fn transformer(&mut self, path: String, level: usize, layers: usize) -> TransformerPlan {
        let spec = &self.shape.levels[level];
        let layer = |i| CrossAttentionLayer {
            index: self.attentions + i,
            path: format!("{path}.transformer_blocks.{i}.attn2"),
            heads: spec.heads,
        };
        let layers: Vec<_> = (0..layers).map(layer).collect();
        self.attentions += layers.len();
        TransformerPlan { width: spec.channels, layers, path }
    }

    fn down(&mut self, level: usize) {
        let shape = self.shape;
        let spec = &shape.levels[level];
        let block = format!("down_blocks.{level}");
        let mut inputs = self.shape.levels[level.saturating_sub(1)].channels;
        for i in 0..self.shape.layers_per_block {
            self.layer(&block, i, inputs, (level, spec.down_layers.get(i).copied()), Skip::Leave);
            self.skips.push(spec.channels);
            inputs = spec.channels;
        }
        if level + 1 < self.shape.levels.len() {
            let path = format!("{block}.downsamplers.0.conv");
            self.convolution(path, (spec.channels, spec.channels), 2, level + 1);
        }
    }

    fn mid(&mut self) {
        let level = self.shape.levels.len() - 1;
        let layers = match self.shape.mid_block {
            MidBlock::CrossAttention(layers) => vec![Some(layers), None],
            MidBlock::ResNet => vec![None],
            MidBlock::None => vec![],
        };
        for (i, layers) in layers.into_iter().enumerate() {
            self.layer("mid_block", i, self.shape.levels[level].channels, (level, layers), Skip::None);
        }
    }

    /// `inputs`: channels that arrive from below.
    fn up(&mut self, level: usize, mut inputs: usize) {
        let shape = self.shape;
        let spec = &shape.levels[level];
        let block = format!("up_blocks.{}", self.shape.levels.len() - 1 - level);
        for i in 0..=self.shape.layers_per_block {
            let skip = self.skips.pop().unwrap_or_default();
            self.layer(&block, i, inputs + skip, (level, spec.up_layers.get(i).copied()), Skip::Take);
            inputs = spec.channels;
        }
        if level > 0 {
            let path = format!("{block}.upsamplers.0.conv");
            self.push(BodyPlan::Upsample { path, channels: spec.channels }, Skip::None, level - 1);
        }
    }
}
