//! What the tensors of a trunk are called.
//!
//! SSCD was trained with Classy Vision's networks and is also published in torchvision's names
//! (facebookresearch/sscd-copy-detection@6db4262, `sscd/models/model.py`); the networks are the same.

use crate::weights::Weights;

/// A naming of the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// `backbone.layer1.0.conv1`.
    Torchvision,
    /// `backbone.blocks.0.block0-0.convolutional_block.0` (facebookresearch/ClassyVision, `models/resnext.py`).
    Classy,
    /// The same with blocks called `backbone.blocks.0.0._module`, as older versions of Classy Vision have it.
    ClassyWrapped,
}

impl Names {
    /// Which naming a file has.
    pub(super) fn of(weights: &Weights) -> Self {
        if weights.has("backbone.conv1.weight") {
            Self::Torchvision
        } else if weights.has("backbone.blocks.0.0._module.convolutional_block.0.weight") {
            Self::ClassyWrapped
        } else {
            Self::Classy
        }
    }

    /// Convolution and norm of the stem.
    pub(super) fn stem(self) -> (String, String) {
        let (convolution, norm) = match self {
            Self::Torchvision => ("backbone.conv1", "backbone.bn1"),
            Self::Classy | Self::ClassyWrapped => {
                ("backbone.initial_block._module.0", "backbone.initial_block._module.1")
            }
        };
        (convolution.to_owned(), norm.to_owned())
    }

    /// Everything before a block's own names.
    pub(super) fn block(self, stage: usize, block: usize) -> String {
        match self {
            Self::Torchvision => format!("backbone.layer{}.{block}", stage + 1),
            Self::Classy => format!("backbone.blocks.{stage}.block{stage}-{block}"),
            Self::ClassyWrapped => format!("backbone.blocks.{stage}.{block}._module"),
        }
    }

    /// Convolution and norm number `index` of the `count` in a block.
    pub(super) fn convolution(self, block: &str, index: usize, count: usize) -> (String, String) {
        match self {
            Self::Torchvision => (format!("{block}.conv{}", index + 1), format!("{block}.bn{}", index + 1)),
            Self::Classy | Self::ClassyWrapped => {
                let convolution = format!("{block}.convolutional_block.{}", 3 * index);
                let is_last = index + 1 == count;
                let norm = if is_last {
                    format!("{block}.bn")
                } else {
                    format!("{block}.convolutional_block.{}", 3 * index + 1)
                };
                (convolution, norm)
            }
        }
    }

    /// The linear layer, and the number that says the exponent of the pooling.
    pub(super) fn head(self) -> (&'static str, &'static str) {
        match self {
            Self::Torchvision => ("backbone.fc", "backbone.avgpool.pooling_param"),
            Self::Classy | Self::ClassyWrapped => ("embeddings.1", "embeddings.0.pooling_param"),
        }
    }
}
