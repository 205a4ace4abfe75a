//! Names of tensors in the layout of latent-diffusion (LDM) checkpoints, and what diffusers and transformers call them.
//!
//! Sources: CompVis/stable-diffusion `ldm/modules/diffusionmodules/{openaimodel,model}.py` (names of modules),
//! mlfoundations/open_clip `src/open_clip/transformer.py` (text encoder of SD 2.x), and diffusers 0.42
//! `loaders/single_file_utils.py` for what belongs together.

use super::view::View;

/// How the UNet's blocks are numbered in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct UNetLayout {
    /// ResNets per down block.
    pub(super) layers: usize,
    /// Resolutions.
    pub(super) levels: usize,
}

/// What diffusers calls a tensor of `model.diffusion_model.`, `None` where it has no such tensor.
pub(super) fn unet(name: &str, layout: UNetLayout) -> Option<String> {
    let (block, rest) = name.split_once('.')?;
    let per_block = layout.layers + 1;
    match block {
        "time_embed" => Some(format!("time_embedding.{}", in_sequence(rest, &[("0", "linear_1"), ("2", "linear_2")])?)),
        "label_emb" => {
            let rest = rest.strip_prefix("0.")?;
            Some(format!("add_embedding.{}", in_sequence(rest, &[("0", "linear_1"), ("2", "linear_2")])?))
        }
        "out" => in_sequence(rest, &[("0", "conv_norm_out"), ("2", "conv_out")]),
        "input_blocks" => {
            let (index, rest) = rest.split_once('.')?;
            let (part, rest) = rest.split_once('.')?;
            let index: usize = index.parse().ok()?;
            let Some(index) = index.checked_sub(1) else { return (part == "0").then(|| format!("conv_in.{rest}")) };
            let (block, layer) = (index / per_block, index % per_block);
            match part {
                "0" if layer == layout.layers => {
                    Some(format!("down_blocks.{block}.downsamplers.0.conv.{}", rest.strip_prefix("op.")?))
                }
                "0" => Some(format!("down_blocks.{block}.resnets.{layer}.{}", resnet(rest)?)),
                "1" => Some(format!("down_blocks.{block}.attentions.{layer}.{rest}")),
                _ => None,
            }
        }
        "middle_block" => match rest.split_once('.')? {
            ("0", rest) => Some(format!("mid_block.resnets.0.{}", resnet(rest)?)),
            ("1", rest) => Some(format!("mid_block.attentions.0.{rest}")),
            ("2", rest) => Some(format!("mid_block.resnets.1.{}", resnet(rest)?)),
            _ => None,
        },
        "output_blocks" => {
            let (index, rest) = rest.split_once('.')?;
            let (part, rest) = rest.split_once('.')?;
            let index: usize = index.parse().ok()?;
            let (block, layer) = (index / per_block, index % per_block);
            match (part, rest.strip_prefix("conv.")) {
                (_, _) if block >= layout.levels => None,
                ("0", _) => Some(format!("up_blocks.{block}.resnets.{layer}.{}", resnet(rest)?)),
                ("1" | "2", Some(rest)) => Some(format!("up_blocks.{block}.upsamplers.0.conv.{rest}")),
                ("1", None) => Some(format!("up_blocks.{block}.attentions.{layer}.{rest}")),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `N.rest` of a sequence of modules with its modules' names.
fn in_sequence(rest: &str, modules: &[(&str, &str)]) -> Option<String> {
    let (index, rest) = rest.split_once('.')?;
    let (_, module) = modules.iter().find(|(at, _)| *at == index)?;
    Some(format!("{module}.{rest}"))
}

/// Modules of a ResNet, LDM's and diffusers'.
const RESNET: [(&str, &str); 6] = [
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
];

fn resnet(name: &str) -> Option<String> {
    RESNET.iter().find_map(|(ldm, module)| Some(format!("{module}{}", name.strip_prefix(ldm)?)))
}

/// What diffusers calls a tensor of `first_stage_model.`, for a VAE of `levels` resolutions.
pub(super) fn vae(name: &str, levels: usize) -> Option<String> {
    let (coder, rest) = name.split_once('.')?;
    if coder == "quant_conv" || coder == "post_quant_conv" {
        return Some(name.to_owned());
    }
    if coder != "encoder" && coder != "decoder" {
        return None;
    }
    let (module, after) = rest.split_once('.')?;
    let inner = match module {
        "conv_in" | "conv_out" => rest.to_owned(),
        "norm_out" => format!("conv_norm_out.{after}"),
        "mid" => match after.split_once('.')? {
            ("block_1", rest) => format!("mid_block.resnets.0.{}", vae_resnet(rest)),
            ("block_2", rest) => format!("mid_block.resnets.1.{}", vae_resnet(rest)),
            ("attn_1", rest) => format!("mid_block.attentions.0.{}", vae_attention(rest)?),
            _ => return None,
        },
        "down" | "up" => {
            let (level, rest) = after.split_once('.')?;
            let level: usize = level.parse().ok().filter(|level| *level < levels)?;
            // The way up is numbered from the highest resolution in the one, from the lowest in the other.
            let (blocks, block) =
                if module == "down" { ("down_blocks", level) } else { ("up_blocks", levels - 1 - level) };
            let rest = match rest.split_once('.')? {
                ("block", rest) => format!("resnets.{}", vae_resnet(rest)),
                ("downsample", rest) => format!("downsamplers.0.{rest}"),
                ("upsample", rest) => format!("upsamplers.0.{rest}"),
                _ => return None,
            };
            format!("{blocks}.{block}.{rest}")
        }
        _ => return None,
    };
    Some(format!("{coder}.{inner}"))
}

fn vae_resnet(name: &str) -> String {
    name.replace("nin_shortcut", "conv_shortcut")
}

fn vae_attention(name: &str) -> Option<String> {
    const MODULES: [(&str, &str); 5] =
        [("norm.", "group_norm."), ("q.", "to_q."), ("k.", "to_k."), ("v.", "to_v."), ("proj_out.", "to_out.0.")];
    MODULES.iter().find_map(|(ldm, module)| Some(format!("{module}{}", name.strip_prefix(ldm)?)))
}

/// What transformers calls the tensors that one tensor of OpenCLIP's text encoder holds; empty where it has none.
pub(super) fn open_clip(name: &str) -> Vec<(String, View)> {
    let whole = |name: String| vec![(name, View::Whole)];
    match name {
        "token_embedding.weight" => return whole("embeddings.token_embedding.weight".into()),
        "positional_embedding" => return whole("embeddings.position_embedding.weight".into()),
        "text_projection" => return vec![("text_projection.weight".into(), View::Transposed)],
        "text_projection.weight" => return whole(name.into()),
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("ln_final.") {
        return whole(format!("final_layer_norm.{rest}"));
    }
    let Some((layer, rest)) = name.strip_prefix("transformer.resblocks.").and_then(|rest| rest.split_once('.')) else {
        return vec![];
    };
    let layer = format!("encoder.layers.{layer}");
    if let Some(kind) = rest.strip_prefix("attn.in_proj_") {
        let part =
            |(part, name): (usize, &str)| (format!("{layer}.self_attn.{name}.{kind}"), View::Rows { part, of: 3 });
        return ["q_proj", "k_proj", "v_proj"].into_iter().enumerate().map(part).collect();
    }
    let modules = [
        ("attn.out_proj.", "self_attn.out_proj."),
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ];
    let module =
        modules.iter().find_map(|(theirs, ours)| Some(format!("{layer}.{ours}{}", rest.strip_prefix(theirs)?)));
    module.map_or(vec![], whole)
}

/// The names that LDM checkpoints have for the tensors of a UNet, given under diffusers' names: pairs of diffusers' and LDM's.
pub(crate) fn ldm_of_unet<'a>(tensors: &[&'a str]) -> Vec<(&'a str, String)> {
    let numbered = |prefix: &str| {
        let of = |name: &&str| name.strip_prefix(prefix)?.split('.').next()?.parse::<usize>().ok();
        tensors.iter().filter_map(of).max().map_or(0, |last| last + 1)
    };
    let layout = UNetLayout { layers: numbered("down_blocks.0.resnets."), levels: numbered("down_blocks.") };
    let attends = |block: usize| tensors.iter().any(|name| name.starts_with(&format!("up_blocks.{block}.attentions.")));
    let upsampler = |block| if attends(block) { 2 } else { 1 };
    let upsamplers: Vec<usize> = (0..layout.levels).map(upsampler).collect();
    tensors.iter().filter_map(|name| Some((*name, ldm_name(name, layout, &upsamplers)?))).collect()
}

/// Modules of two dense layers with an activation between them.
const TWO: [(&str, &str); 2] = [("linear_1.", "0."), ("linear_2.", "2.")];

/// `upsamplers`: the place of each up block's upsampler beside its ResNet and, where it has one, its transformer.
fn ldm_name(name: &str, layout: UNetLayout, upsamplers: &[usize]) -> Option<String> {
    let per_block = layout.layers + 1;
    let (first, rest) = name.split_once('.')?;
    let one_of_two = || TWO.iter().find_map(|(module, at)| Some(format!("{at}{}", rest.strip_prefix(module)?)));
    match first {
        "time_embedding" => return Some(format!("time_embed.{}", one_of_two()?)),
        "add_embedding" => return Some(format!("label_emb.0.{}", one_of_two()?)),
        "conv_in" => return Some(format!("input_blocks.0.0.{rest}")),
        "conv_norm_out" => return Some(format!("out.0.{rest}")),
        "conv_out" => return Some(format!("out.2.{rest}")),
        _ => {}
    }
    let (block, rest) = match first {
        "mid_block" => (0, rest),
        _ => rest.split_once('.').and_then(|(block, rest)| Some((block.parse::<usize>().ok()?, rest)))?,
    };
    let mut parts = rest.splitn(3, '.');
    let (kind, layer, rest) = (parts.next()?, parts.next()?.parse::<usize>().ok()?, parts.next()?);
    match (first, kind) {
        ("mid_block", "resnets") => Some(format!("middle_block.{}.{}", 2 * layer, ldm_resnet(rest)?)),
        ("mid_block", "attentions") => Some(format!("middle_block.1.{rest}")),
        ("down_blocks", "resnets") => {
            Some(format!("input_blocks.{}.0.{}", block * per_block + layer + 1, ldm_resnet(rest)?))
        }
        ("down_blocks", "attentions") => Some(format!("input_blocks.{}.1.{rest}", block * per_block + layer + 1)),
        ("down_blocks", "downsamplers") => {
            Some(format!("input_blocks.{}.0.op.{}", (block + 1) * per_block, rest.strip_prefix("conv.")?))
        }
        ("up_blocks", "resnets") => {
            Some(format!("output_blocks.{}.0.{}", block * per_block + layer, ldm_resnet(rest)?))
        }
        ("up_blocks", "attentions") => Some(format!("output_blocks.{}.1.{rest}", block * per_block + layer)),
        ("up_blocks", "upsamplers") => {
            let place = upsamplers.get(block)?;
            Some(format!("output_blocks.{}.{place}.{rest}", block * per_block + layout.layers))
        }
        _ => None,
    }
}

fn ldm_resnet(name: &str) -> Option<String> {
    RESNET.iter().find_map(|(ldm, module)| Some(format!("{ldm}{}", name.strip_prefix(module)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs from diffusers 0.42 `loaders/single_file_utils.py` (`DIFFUSERS_TO_LDM_MAPPING`, `convert_ldm_*`).
    #[test]
    fn names_of_stable_diffusion() {
        let layout = UNetLayout { layers: 2, levels: 4 };
        for (ldm, diffusers) in [
            ("time_embed.2.bias", "time_embedding.linear_2.bias"),
            ("input_blocks.0.0.weight", "conv_in.weight"),
            ("input_blocks.1.0.in_layers.2.weight", "down_blocks.0.resnets.0.conv1.weight"),
            ("input_blocks.3.0.op.bias", "down_blocks.0.downsamplers.0.conv.bias"),
            ("input_blocks.4.0.skip_connection.weight", "down_blocks.1.resnets.0.conv_shortcut.weight"),
            ("input_blocks.5.1.proj_in.weight", "down_blocks.1.attentions.1.proj_in.weight"),
            ("middle_block.2.emb_layers.1.bias", "mid_block.resnets.1.time_emb_proj.bias"),
            ("output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"),
            ("output_blocks.5.2.conv.weight", "up_blocks.1.upsamplers.0.conv.weight"),
            ("output_blocks.11.1.norm.weight", "up_blocks.3.attentions.2.norm.weight"),
            ("out.2.weight", "conv_out.weight"),
        ] {
            assert_eq!(unet(ldm, layout).as_deref(), Some(diffusers), "{ldm}");
        }
        // And back: a network of two levels, the upper one with attention.
        let layout = UNetLayout { layers: 1, levels: 2 };
        let ldm = [
            "time_embed.0.weight",
            "label_emb.0.2.bias",
            "input_blocks.0.0.weight",
            "input_blocks.1.0.in_layers.0.weight",
            "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",
            "input_blocks.2.0.op.weight",
            "input_blocks.3.0.emb_layers.1.weight",
            "middle_block.1.proj_in.weight",
            "middle_block.2.out_layers.3.weight",
            "output_blocks.1.0.skip_connection.weight",
            "output_blocks.1.1.conv.weight",
            "output_blocks.3.1.proj_out.weight",
            "out.2.weight",
        ];
        let diffusers: Vec<String> = ldm.iter().map(|name| unet(name, layout).unwrap()).collect();
        let mut names: Vec<&str> = diffusers.iter().map(String::as_str).collect();
        names.push("down_blocks.1.resnets.0.norm1.bias");
        let back = ldm_of_unet(&names);
        assert!(back.iter().map(|(_, name)| name.as_str()).take(ldm.len()).eq(ldm), "{back:?}");
        for (ldm, diffusers) in [
            ("encoder.down.0.downsample.conv.weight", "encoder.down_blocks.0.downsamplers.0.conv.weight"),
            ("encoder.mid.attn_1.q.weight", "encoder.mid_block.attentions.0.to_q.weight"),
            ("decoder.up.3.block.2.norm1.bias", "decoder.up_blocks.0.resnets.2.norm1.bias"),
            ("decoder.up.1.block.0.nin_shortcut.weight", "decoder.up_blocks.2.resnets.0.conv_shortcut.weight"),
            ("decoder.norm_out.weight", "decoder.conv_norm_out.weight"),
            ("post_quant_conv.bias", "post_quant_conv.bias"),
        ] {
            assert_eq!(vae(ldm, 4).as_deref(), Some(diffusers), "{ldm}");
        }
        assert_eq!(unet("label_emb.0.2.bias", layout).as_deref(), Some("add_embedding.linear_2.bias"));
        assert_eq!(unet("input_blocks.1.0.unknown", layout), None);
        let parts = open_clip("transformer.resblocks.7.attn.in_proj_bias");
        assert_eq!(parts[2], ("encoder.layers.7.self_attn.v_proj.bias".into(), View::Rows { part: 2, of: 3 }));
    }
}
