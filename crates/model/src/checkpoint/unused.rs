//! The tensors of a checkpoint that no network uses.

use std::collections::{BTreeMap, BTreeSet};

use memscope_text::excerpt;

use super::{Network, UNET, VAE};
use crate::{
    error::{Error, Result},
    tensor_file::Header,
};

/// What else a checkpoint may hold: (beginning or whole name, why it is not used).
const EXPLAINED: [(&str, &str); 23] = [
    ("model_ema.", "averaged weights (EMA) beside the trained ones; as diffusers, the trained ones are used"),
    ("first_stage_model.loss.", "the VAE's training loss"),
    ("first_stage_model.model_ema.", "averaged weights of the VAE"),
    ("cond_stage_model.logit_scale", "of CLIP's training loss"),
    ("cond_stage_model.model.logit_scale", "of CLIP's training loss"),
    ("cond_stage_model.transformer.logit_scale", "of CLIP's training loss"),
    ("cond_stage_model.transformer.text_projection", "not used by Stable Diffusion 1"),
    ("cond_stage_model.text_projection", "not used by Stable Diffusion 1"),
    ("cond_stage_model.model.text_projection", "not used by Stable Diffusion 2"),
    ("conditioner.embedders.0.transformer.text_projection", "not used by Stable Diffusion XL"),
    ("conditioner.embedders.1.model.logit_scale", "of CLIP's training loss"),
    ("conditioner.embedders.1.model.attn_mask", "the causal mask, computed"),
    ("cond_stage_model.model.attn_mask", "the causal mask, computed"),
    ("denoiser.", "noise schedule, computed"),
    ("embedding_manager.", "of textual inversion's training"),
    ("betas", "noise schedule, computed"),
    ("alphas_cumprod", "noise schedule, computed"),
    ("sqrt_", "noise schedule, computed"),
    ("log_one_minus_alphas", "noise schedule, computed"),
    ("posterior_", "noise schedule, computed"),
    ("logvar", "noise schedule, computed"),
    ("v_pred", "a mark"),
    ("ztsnr", "a mark"),
];

/// The tensors that no network uses, each with a reason; one without a reason is an error.
pub(super) fn explained(
    header: &Header,
    networks: &BTreeMap<&'static str, Network>,
    label: &str,
    averaged: bool,
) -> Result<Vec<(String, &'static str)>> {
    let used: BTreeSet<u64> = networks
        .values()
        .filter(|network| network.shards.first().is_some_and(|(shard, _)| shard == label))
        .flat_map(|network| network.entries.values().map(|entry| entry.stored.start))
        .collect();
    let own_vae = networks.get("vae").is_some_and(|vae| vae.shards.first().is_some_and(|(shard, _)| shard != label));
    let reason = |name: &str| match name {
        name if own_vae && name.starts_with(VAE) => Some("another VAE is used"),
        name if averaged && name.starts_with(UNET) => Some("trained weights beside their averages, which are used"),
        name => EXPLAINED.iter().find(|(start, _)| name.starts_with(start)).map(|(_, reason)| *reason),
    };
    let mut unused = vec![];
    let mut unknown = vec![];
    for (name, stored) in &header.tensors {
        // Empty tensors share their place with the next one.
        if used.contains(&stored.start) && !stored.shape.contains(&0) {
            continue;
        }
        match reason(name) {
            Some(reason) => unused.push((name.clone(), reason)),
            None => unknown.push(name),
        }
    }
    match unknown.first() {
        None => Ok(unused),
        Some(first) => Err(Error::ExtraTensors { file: label.to_owned(), count: unknown.len(), first: excerpt(first) }),
    }
}
