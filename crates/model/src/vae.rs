//! The variational autoencoder that turns latents into images.

use candle_core::{DType, Tensor};
use candle_transformers::models::stable_diffusion::vae::{AutoEncoderKL, AutoEncoderKLConfig};

use crate::{config::Config, error::Result, execution::Place, files::ModelFiles, weights::Weights};

/// `AutoencoderKL` with the scaling its latents are stored in; always in f32, as its activations overflow in f16.
pub struct Vae {
    network: AutoEncoderKL,
    scaling_factor: f64,
}

/// Scaling factor of the models whose config.json predates the field.
const SD_SCALING_FACTOR: f64 = 0.18215;

/// What its config.json says.
#[derive(Clone, Debug)]
pub(crate) struct VaeShape {
    pub(crate) network: AutoEncoderKLConfig,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) scaling_factor: f64,
}

/// More resolutions than any real VAE has.
const MOST_LEVELS: usize = 8;

impl VaeShape {
    /// Reads `vae/config.json` of a model.
    pub(crate) fn read(files: &ModelFiles) -> Result<Self> {
        let config = Config::read(files, "vae/config.json")?;
        config.only("act_fn", &["\"silu\""])?;
        config.only("mid_block_add_attention", &["true"])?;
        config.only("shift_factor", &["0", "null"])?;
        config.only("latents_mean", &["null"])?;
        config.only("latents_std", &["null"])?;
        for (field, kind) in [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")] {
            if let Some(other) = config.texts(field, MOST_LEVELS)?.into_iter().find(|name| name != kind) {
                return Err(config.unsupported(field, &other.into(), kind));
            }
        }
        let channels = config.sizes("block_out_channels", 4096, MOST_LEVELS)?;
        let groups = config.size("norm_num_groups", Some(32), 1024)?;
        if let Some(level) = channels.iter().find(|level| *level % groups != 0) {
            return Err(config.invalid("norm_num_groups", format!("= {groups} does not divide {level} channels")));
        }
        Ok(Self {
            network: AutoEncoderKLConfig {
                block_out_channels: channels,
                layers_per_block: config.size("layers_per_block", Some(1), 16)?,
                latent_channels: config.size("latent_channels", Some(4), 256)?,
                norm_num_groups: groups,
                use_quant_conv: config.flag("use_quant_conv", true)?,
                use_post_quant_conv: config.flag("use_post_quant_conv", true)?,
            },
            in_channels: config.size("in_channels", Some(3), 64)?,
            out_channels: config.size("out_channels", Some(3), 64)?,
            scaling_factor: config.positive("scaling_factor", SD_SCALING_FACTOR, 1e3)?,
        })
    }
}

impl Vae {
    /// Loads `vae/` of a model.
    pub(crate) fn load(files: &ModelFiles, place: &Place) -> Result<Self> {
        let shape = VaeShape::read(files)?;
        let weights = Weights::open(files, "vae", "diffusion_pytorch_model", place.in_f32())?;
        let network = weights
            .build(|builder| AutoEncoderKL::new(builder, shape.in_channels, shape.out_channels, shape.network))?;
        weights.finish(|_| false)?;
        Ok(Self { network, scaling_factor: shape.scaling_factor })
    }

    /// `latents: (B, C, H, W)` as the sampler leaves them; returns pixels `(B, 3, fH, fW)`, nominally in [−1, 1].
    ///
    /// # Errors
    ///
    /// When `latents` have another number of channels than the VAE.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        Ok(self.network.decode(&(latents.to_dtype(DType::F32)? / self.scaling_factor)?)?)
    }
}
