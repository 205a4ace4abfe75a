//! How much memory operations take while they run, beside their inputs and outputs, in numbers of f32.

use crate::ops::{
    ATTENTION_BLOCK, ATTENTION_JVP_TILE, ATTENTION_TILE, ATTENTION_VJP_TILE, CONV_UNFOLDED_MAX, winograd::Winograd,
};

/// Sizes of a [`Conv2d`](crate::ops::Conv2d) with a padding that keeps the size at stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Images of the batch.
    pub samples: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Height of the input in pixels.
    pub height: usize,
    /// Width of the input in pixels.
    pub width: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
}

impl Convolution {
    /// Height and width of the output in pixels.
    pub fn out_size(&self) -> (usize, usize) {
        (self.height.div_ceil(self.stride), self.width.div_ceil(self.stride))
    }

    /// Numbers that the forward holds: transformed or unfolded images, and their products.
    pub fn numbers(&self) -> usize {
        let Self { samples, channels, height, width, out_channels, kernel, stride } = *self;
        let winograd = Winograd { channels, out_channels, height, width };
        let (out_height, out_width) = self.out_size();
        let unfolded = channels * kernel * kernel * out_height * out_width;
        match kernel {
            1 => 0,
            3 if stride == 1 && winograd.pays() => winograd.numbers(),
            _ => {
                let batched = (CONV_UNFOLDED_MAX / unfolded).clamp(1, samples);
                let products = if batched > 1 { batched * out_channels * out_height * out_width } else { 0 };
                unfolded * batched + products
            }
        }
    }
}

/// Sizes of an [`attention`](crate::ops::attention).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Samples of the batch.
    pub samples: usize,
    /// Query tokens N of a sample.
    pub queries: usize,
    /// Key tokens L of a sample.
    pub keys: usize,
    /// Width of a token, all heads together.
    pub width: usize,
    /// Threads that run it.
    pub threads: usize,
}

impl Attention {
    /// Numbers that the forward holds: scores, and the result with its heads one after the other.
    pub fn forward(&self) -> usize {
        let scores = ATTENTION_TILE.min(self.queries) * ATTENTION_BLOCK.min(self.keys);
        self.threads * scores + self.samples * self.queries * self.width
    }

    /// Numbers that the jvp holds: two tiles of probabilities, copies of the arguments and of their tangents, and the
    /// result with its heads one after the other.
    pub fn jvp(&self) -> usize {
        let arguments = 2 * self.samples * (self.queries + 2 * self.keys) * self.width;
        let tiles = 2 * self.threads * ATTENTION_JVP_TILE.min(self.queries) * self.keys;
        tiles + arguments + self.samples * self.queries * self.width
    }

    /// Numbers that the vjp holds: a block of probabilities and one of gradients, and three gradients, the last of them twice.
    pub fn vjp(&self) -> usize {
        let blocks = 2 * self.threads * ATTENTION_VJP_TILE.min(self.queries) * ATTENTION_VJP_TILE.min(self.keys);
        blocks + self.samples * (self.queries + 3 * self.keys) * self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strided_convolution_holds_its_unfolded_input_and_the_product_of_the_batch() {
        let convolution =
            Convolution { samples: 2, channels: 3, height: 4, width: 4, out_channels: 5, kernel: 3, stride: 2 };
        assert_eq!(convolution.out_size(), (2, 2));
        assert_eq!(convolution.numbers(), 2 * 27 * 4 + 2 * 5 * 4);
    }

    #[test]
    fn attention_does_not_hold_all_scores() {
        let attention = Attention { samples: 1, queries: 4096, keys: 4096, width: 320, threads: 2 };
        assert_eq!(attention.forward(), 2 * 512 * 256 + 4096 * 320);
        assert_eq!(attention.vjp(), 2 * 2 * 256 * 256 + 4 * 4096 * 320);
        assert!(attention.vjp() < attention.jvp());
    }
}
