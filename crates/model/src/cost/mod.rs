//! What a model costs, from its configurations alone: parameters, floating-point operations, memory, and with a
//! calibration of this machine also seconds. No weights are read.
//!
//! A network is run on shapes instead of tensors (`tally`): one file for each network. The UNet's
//! walks the plan that the network is built from, the others follow their forward.

mod calibrate;
mod flops;
mod memory;
mod tally;
mod text_encoder;
mod trace;
mod unet;
mod vae;
mod workload;

pub use crate::memory_need::MemoryNeed;
pub use calibrate::Speed;
pub use candle_core::DType;
pub use flops::Flops;
pub use trace::{KeptSteps, StepCost, steps_to_keep};
pub use workload::{Pass, PassGroup, SamplesPerCall, Workload};

pub(crate) use tally::Tally;
pub(crate) use text_encoder::text_encoder;
pub(crate) use unet::unet;
pub(crate) use vae::{vae, vae_encoder};

use crate::blueprint::Blueprint;

/// The parameters of a model's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Of the UNet.
    pub unet: u64,
    /// Of the text encoders.
    pub text_encoder: u64,
    /// Of the VAE, encoder and decoder; 0 for one that is not supported.
    pub vae: u64,
}

impl Blueprint {
    /// The parameters of its networks.
    pub fn parameters(&self) -> Parameters {
        Parameters {
            unet: self.unet_tally(Tally::of_one(Pass::Prediction)).parameters(),
            text_encoder: self.text_tally(Tally::of_one(Pass::Prediction)).parameters(),
            vae: self.vae_tally().parameters(),
        }
    }

    /// One prediction of one sample by the UNet.
    pub fn prediction_flops(&self) -> Flops {
        self.unet_tally(Tally::of_one(Pass::Prediction)).flops()
    }

    /// The embedding of one prompt by the text encoders.
    pub fn prompt_flops(&self) -> Flops {
        self.text_tally(Tally::of_one(Pass::Prediction)).flops()
    }

    /// The decoding of one latent by the VAE.
    pub fn image_flops(&self) -> Flops {
        self.vae_tally().flops()
    }

    /// The encoding of one picture by the VAE.
    pub fn encoding_flops(&self) -> Flops {
        self.encoder_tally().flops()
    }

    pub(crate) fn unet_tally(&self, mut tally: Tally) -> Tally {
        let (_, height, width) = self.latent_shape();
        unet(&mut tally, self.unet(), (height, width), self.context_length());
        tally
    }

    pub(crate) fn text_tally(&self, mut tally: Tally) -> Tally {
        for shape in self.text_encoders() {
            tally.scope(|tally| text_encoder(tally, shape));
        }
        tally
    }

    /// Of one image.
    pub(crate) fn vae_tally(&self) -> Tally {
        let (_, height, width) = self.latent_shape();
        let mut tally = Tally::of_one(Pass::Prediction);
        if let Some(shape) = self.vae() {
            vae(&mut tally, shape, (height, width));
        }
        tally
    }

    /// Of one picture.
    pub(crate) fn encoder_tally(&self) -> Tally {
        let (_, height, width) = self.latent_shape();
        let mut tally = Tally::of_one(Pass::Prediction);
        if let Some(shape) = self.vae() {
            vae_encoder(&mut tally, shape, (height, width));
        }
        tally
    }
}
