"""Writes a diffusers folder: an architecture, its tokenizer, and random weights."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import torch
from architectures import BOS, CONTEXT_LENGTH, EOS, VOCABULARY, Architecture
from diffusers import AutoencoderKL, UNet2DConditionModel
from shared import REPOSITORY, byte_alphabet, randomize, save_weights, seed_of, write_json, write_pipeline
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

MERGES = REPOSITORY / "crates/model/data/clip_merges.txt.gz"
# The hub's vocab.json.
VOCABULARY_SHA256 = "e089ad92"
# Read by memscope: whatever it makes from such a folder says that the weights are random.
MARKER = "memscope.json"


def write_tokenizer(architecture: Architecture, folder: Path) -> None:
    """CLIP's tokenizer: the real merges, and the vocabulary that follows from them."""
    folder.mkdir(parents=True)
    text = gzip.decompress(MERGES.read_bytes()).decode()
    (folder / "merges.txt").write_text(text, encoding="utf-8")
    alphabet = byte_alphabet()
    merged = [line.replace(" ", "") for line in text.splitlines()[1:]]
    tokens = [*alphabet, *(f"{symbol}</w>" for symbol in alphabet), *merged, BOS, EOS]
    ids = {token: index for index, token in enumerate(tokens)}
    vocabulary = json.dumps(ids, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    digest = hashlib.sha256(vocabulary.encode()).hexdigest()
    if len(ids) != VOCABULARY or not digest.startswith(VOCABULARY_SHA256):
        raise ValueError(f"the vocabulary has {len(ids)} tokens and SHA-256 {digest}, not the hub's")
    (folder / "vocab.json").write_text(vocabulary, encoding="utf-8")

    def added(content: str, **extra: str) -> dict:
        flags = {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
        return extra | flags

    special = {"bos_token": added(BOS), "eos_token": added(EOS), "pad_token": architecture.pad_token}
    write_json(folder / "special_tokens_map.json", special | {"unk_token": added(EOS)})
    typed = {"__type": "AddedToken"}
    config = {
        "add_prefix_space": False,
        "bos_token": added(BOS, **typed),
        "do_lower_case": True,
        "eos_token": added(EOS, **typed),
        "errors": "replace",
        "model_max_length": CONTEXT_LENGTH,
        "tokenizer_class": "CLIPTokenizer",
        "unk_token": added(EOS, **typed),
    }
    write_json(folder / "tokenizer_config.json", config | architecture.tokenizer_config)


def stored(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}


def write_unet(architecture: Architecture, seed: int, folder: Path) -> None:
    folder.mkdir()
    write_json(folder / "config.json", architecture.unet)
    unet = UNet2DConditionModel.from_config(architecture.unet)
    parameters = sum(parameter.numel() for parameter in unet.parameters())
    if parameters != architecture.unet_parameters:
        raise ValueError(f"the UNet has {parameters} parameters, {architecture.title} {architecture.unet_parameters}")
    randomize(unet, seed_of(f"full size {seed}/{architecture.name}/unet"))
    save_weights(stored(unet), folder, "diffusion_pytorch_model", 1)


def write_text_encoder(architecture: Architecture, seed: int, folder: Path) -> None:
    folder.mkdir()
    write_json(folder / "config.json", architecture.text_encoder)
    encoder = CLIPTextModel(CLIPTextConfig(**architecture.text_encoder))
    randomize(encoder, seed_of(f"full size {seed}/{architecture.name}/text_encoder"))
    # The hub's files name everything below `text_model`.
    tensors = {f"text_model.{name}": tensor for name, tensor in stored(encoder).items()}
    if architecture.stores_position_ids:
        tensors["text_model.embeddings.position_ids"] = torch.arange(CONTEXT_LENGTH)[None]
    save_weights(tensors, folder, "model", 1)


def write_vae(architecture: Architecture, seed: int, folder: Path) -> None:
    folder.mkdir()
    write_json(folder / "config.json", architecture.vae)
    vae = AutoencoderKL.from_config(architecture.vae)
    randomize(vae, seed_of(f"full size {seed}/{architecture.name}/vae"))
    save_weights(stored(vae), folder, "diffusion_pytorch_model", 1)


def write_folder(architecture: Architecture, seed: int, folder: Path) -> None:
    """Writes the folder, replacing what is there; the marker first, so that no part is ever without it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / MARKER, {"architecture": architecture.title, "seed": seed, "weights": "random"})
    write_tokenizer(architecture, folder / "tokenizer")
    write_unet(architecture, seed, folder / "unet")
    write_text_encoder(architecture, seed, folder / "text_encoder")
    write_vae(architecture, seed, folder / "vae")
    write_pipeline(architecture.scheduler, folder)
