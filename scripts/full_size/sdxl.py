"""Writes Stable Diffusion XL base 1.0 with random weights stored in float16, and what PyTorch computes with them.

    python sdxl.py --out DIR [--latent 32]

2.6 billion parameters: the folder takes 7 GB, torch's UNet in float32 another 10 GB of memory. One network is in memory at a
time. The UNet is asked about a latent of 32x32 by default: the weights are all there, the wait is a sixteenth. See README.md
beside this file.
"""

import argparse
import gc
import json
import shutil
import time
from pathlib import Path

import torch
from architectures import EOS, SD14, TEXT_ENCODER, VAE, Architecture
from diffusers import AutoencoderKL, UNet2DConditionModel
from folder import MARKER, write_tokenizer
from safetensors.torch import save_file
from shared import SCHEDULER, library_versions, randomize, seed_of, write_json
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

NAME = "random-sdxl"
PARAMETERS = 2_567_463_684
UNET = {
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "addition_embed_type": "text_time",
    "addition_embed_type_num_heads": 64, "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280], "center_input_sample": False, "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "downsample_padding": 1,
    "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn", "norm_eps": 1e-05, "norm_num_groups": 32, "num_attention_heads": None,
    "out_channels": 4, "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "upcast_attention": None,
    "use_linear_projection": True,
}
FIRST = SD14.text_encoder
SECOND = TEXT_ENCODER | {
    "architectures": ["CLIPTextModelWithProjection"], "hidden_act": "gelu", "hidden_size": 1280,
    "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32, "projection_dim": 1280,
}
XL_VAE = VAE | {"force_upcast": True, "sample_size": 1024, "scaling_factor": 0.13025}
PROMPTS = ["Mothers influence on her young hippo", "The No Limits Business Woman Podcast!"]
SIZES = [1024, 1024, 0, 0, 1024, 1024]


def save(network, folder, stem, config):
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / f"{stem}.safetensors", {"format": "pt"})


def write_folder(folder: Path, seed: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / MARKER, {"architecture": "Stable Diffusion XL base 1.0", "seed": seed, "weights": "random"})
    tokenizer = lambda pad: Architecture(
        name="sdxl", title="", unet={}, unet_parameters=0, text_encoder={}, vae={}, scheduler={}, pad_token=pad,
        tokenizer_config={"pad_token": pad}, stores_position_ids=False,
    )
    write_tokenizer(tokenizer(EOS), folder / "tokenizer")
    write_tokenizer(tokenizer("!"), folder / "tokenizer_2")
    for name, kind, config in [
        ("text_encoder", CLIPTextModel, FIRST), ("text_encoder_2", CLIPTextModelWithProjection, SECOND)
    ]:
        network = kind(CLIPTextConfig(**config))
        randomize(network, seed_of(f"full size {seed}/sdxl/{name}"))
        save(network, folder / name, "model", config)
    vae = AutoencoderKL.from_config(XL_VAE)
    randomize(vae, seed_of(f"full size {seed}/sdxl/vae"))
    save(vae, folder / "vae", "diffusion_pytorch_model", XL_VAE)
    unet = UNet2DConditionModel.from_config(UNET)
    parameters = sum(parameter.numel() for parameter in unet.parameters())
    if parameters != PARAMETERS:
        raise ValueError(f"the UNet has {parameters} parameters, SDXL {PARAMETERS}")
    randomize(unet, seed_of(f"full size {seed}/sdxl/unet"))
    save(unet, folder / "unet", "diffusion_pytorch_model", UNET)
    (folder / "scheduler").mkdir()
    write_json(folder / "scheduler/scheduler_config.json", SCHEDULER | {
        "_class_name": "EulerDiscreteScheduler", "prediction_type": "epsilon", "timestep_spacing": "leading",
    })
    write_json(folder / "model_index.json", {
        "_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    })


@torch.no_grad()
def write_reference(folder: Path, side: int) -> None:
    out, hidden, pooled = {}, [], None
    for i, kind in enumerate((CLIPTextModel, CLIPTextModelWithProjection)):
        end = "" if i == 0 else "_2"
        tokenizer = CLIPTokenizer.from_pretrained(folder / f"tokenizer{end}")
        ids = tokenizer(PROMPTS, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        encoder = kind.from_pretrained(folder / f"text_encoder{end}", dtype=torch.float32).eval()
        encoded = encoder(ids, output_hidden_states=True)
        hidden.append(encoded.hidden_states[-2])
        pooled = encoded[0]
        out[f"input_ids{end}"] = ids
    context = torch.cat(hidden, dim=-1)
    out |= {"context": context, "pooled": pooled}
    del encoder, encoded
    normal = lambda name, *dims: torch.randn(dims, generator=torch.Generator().manual_seed(seed_of(f"full size/sdxl/{name}")))
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval()
    latent = out["vae.latent"] = normal("vae", 1, 4, 16, 16)
    out["vae.decoded"] = vae.decode(latent / vae.config.scaling_factor).sample
    del vae
    gc.collect()
    start = time.monotonic()
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval()
    print(f"UNet read in {time.monotonic() - start:.0f} s", flush=True)
    x = out["x"] = normal("x", 1, 4, side, side)
    added = {"text_embeds": pooled[:1], "time_ids": torch.tensor([SIZES], dtype=torch.float32)}
    for t in (981, 1):
        start = time.monotonic()
        out[f"output.t{t}"] = unet(x, t, encoder_hidden_states=context[:1], added_cond_kwargs=added).sample
        print(f"prediction at {t}: {time.monotonic() - start:.0f} s", flush=True)
    path = folder.with_name(NAME + ".reference.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, path, {
        "libraries": json.dumps(library_versions()), "prompts": json.dumps(PROMPTS), "sizes": json.dumps(SIZES),
    })


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latent", type=int, default=32, help="side of the UNet's latent (128 is the model's own)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep-weights", action="store_true", help="make only the reference again")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    target = arguments.out / NAME
    if not arguments.keep_weights:
        start = time.monotonic()
        write_folder(target, arguments.seed)
        print(f"{target}: written in {time.monotonic() - start:.0f} s", flush=True)
        gc.collect()
    write_reference(target, arguments.latent)
