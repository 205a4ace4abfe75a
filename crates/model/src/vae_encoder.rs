//! The encoder of the autoencoder, which turns pictures into latents.
//!
//! candle-transformers' `AutoEncoderKL` gives a random draw of the encoder's distribution and not its mean, so that the
//! same blocks are put together here.

use candle_core::{Module, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, GroupNorm, VarBuilder, conv2d, group_norm};
use candle_transformers::models::stable_diffusion::unet_2d_blocks::{
    DownEncoderBlock2D, DownEncoderBlock2DConfig, UNetMidBlock2D, UNetMidBlock2DConfig,
};

use crate::{
    error::{Error, Result},
    execution::Place,
    files::ModelFiles,
    vae::VaeShape,
    weights::Weights,
};

/// The encoder of `AutoencoderKL`, in f32.
pub struct VaeEncoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownEncoderBlock2D>,
    mid_block: UNetMidBlock2D,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    quant_conv: Option<Conv2d>,
    latent_channels: usize,
    scaling_factor: f64,
}

/// Of all group norms.
const EPSILON: f64 = 1e-6;

impl VaeEncoder {
    /// Loads the encoder of `vae/` of a model.
    pub(crate) fn load(files: &ModelFiles, place: &Place) -> Result<Self> {
        let shape = VaeShape::read(files)?;
        let weights = Weights::open(files, "vae", "diffusion_pytorch_model", place.in_f32())?;
        weights.build(|builder| Self::build(&shape, &builder))
    }

    fn build(shape: &VaeShape, builder: &VarBuilder) -> candle_core::Result<Self> {
        let (network, encoder) = (&shape.network, builder.pp("encoder"));
        let (channels, groups) = (&network.block_out_channels, network.norm_num_groups);
        let (first, deepest) = (channels[0], channels[channels.len() - 1]);
        let padded = Conv2dConfig { padding: 1, ..Conv2dConfig::default() };
        let mut inputs = first;
        let mut down_blocks = vec![];
        for (i, outputs) in channels.iter().enumerate() {
            let config = DownEncoderBlock2DConfig {
                num_layers: network.layers_per_block,
                resnet_eps: EPSILON,
                resnet_groups: groups,
                add_downsample: i + 1 < channels.len(),
                downsample_padding: 0,
                ..DownEncoderBlock2DConfig::default()
            };
            down_blocks.push(DownEncoderBlock2D::new(encoder.pp("down_blocks").pp(i), inputs, *outputs, config)?);
            inputs = *outputs;
        }
        let middle = UNetMidBlock2DConfig {
            resnet_eps: EPSILON,
            output_scale_factor: 1.0,
            attn_num_head_channels: None,
            resnet_groups: Some(groups),
            ..UNetMidBlock2DConfig::default()
        };
        let moments = 2 * network.latent_channels;
        let quant_conv = match network.use_quant_conv {
            true => Some(conv2d(moments, moments, 1, Conv2dConfig::default(), builder.pp("quant_conv"))?),
            false => None,
        };
        Ok(Self {
            conv_in: conv2d(shape.in_channels, first, 3, padded, encoder.pp("conv_in"))?,
            down_blocks,
            mid_block: UNetMidBlock2D::new(encoder.pp("mid_block"), deepest, None, middle)?,
            norm_out: group_norm(groups, deepest, EPSILON, encoder.pp("conv_norm_out"))?,
            conv_out: conv2d(deepest, moments, 3, padded, encoder.pp("conv_out"))?,
            quant_conv,
            latent_channels: network.latent_channels,
            scaling_factor: shape.scaling_factor,
        })
    }

    /// The mean of the distribution of one picture's latent, times the scaling factor: the x₀ of training without its
    /// randomness. `pixels`: (3, S, S) in [−1, 1], flattened; returns (C, H, W), flattened.
    ///
    /// # Errors
    ///
    /// When the pixels are not those of a square picture, or an operation fails.
    pub(crate) fn encode(&self, pixels: Vec<f32>, place: &Place) -> Result<Vec<f32>> {
        let side = (pixels.len() / 3).isqrt();
        let mut h = Tensor::from_vec(pixels, (1, 3, side, side), &place.device)?.apply(&self.conv_in)?;
        for block in &self.down_blocks {
            h = block.forward(&h)?;
        }
        h = self.mid_block.forward(&h, None)?;
        h = self.norm_out.forward(&h)?.silu()?.apply(&self.conv_out)?;
        if let Some(quant_conv) = &self.quant_conv {
            h = h.apply(quant_conv)?;
        }
        let mean = (h.narrow(1, 0, self.latent_channels)? * self.scaling_factor)?;
        let latent: Vec<f32> = mean.flatten_all()?.to_vec1()?;
        match latent.iter().all(|value| value.is_finite()) {
            true => Ok(latent),
            false => Err(Error::NonFiniteOutput { what: "the latent of a picture".into() }),
        }
    }
}
