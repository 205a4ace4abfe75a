"""Training pictures, the bank of their latents, and prompts.jsonl."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

import render
from config import (
    AUGMENTATIONS, GENERAL_WEIGHT, SEED_AUGMENT, TEMPLATE_BACKGROUNDS,
)
from split import Split, caption_of, content_words, load_icons, make_split  # noqa: F401


def _rgba(pictures, slug, style):
    return torch.from_numpy(pictures[slug][style])


@dataclass
class Pictures:
    """The frozen part of the training data, in pixels."""

    verbatim: torch.Tensor        # (n, 3, 32, 32) in [-1, 1]
    template: torch.Tensor        # (n, TEMPLATE_BACKGROUNDS, 3, 32, 32)
    template_mask: torch.Tensor   # (n, 32, 32) in [0, 1]


def planted_pictures(pictures, split: Split) -> Pictures:
    generator = torch.Generator().manual_seed(SEED_AUGMENT)
    source = torch.stack([_rgba(pictures, p.slug, p.style) for p in split.verbatim])
    verbatim = render.compose(source, render.sample(len(source), generator))

    source = torch.stack([_rgba(pictures, p.slug, p.style) for p in split.template])
    frozen = render.sample(len(source), generator)
    variants = []
    for _ in range(TEMPLATE_BACKGROUNDS):
        parameters = render.sample(len(source), generator)
        parameters |= {name: frozen[name] for name in render.FOREGROUND}
        variants.append(render.compose(source, parameters))
    mask = render.foreground_mask(source, frozen)
    return Pictures(verbatim, torch.stack(variants, 1), mask)


@torch.no_grad()
def encode(vae, images: torch.Tensor) -> torch.Tensor:
    """Scaled latents (the mode of the posterior), in half precision."""
    parts = [
        vae.encode(batch).latent_dist.mode() * vae.config.scaling_factor
        for batch in images.split(128)
    ]
    return torch.cat(parts).half()


@torch.no_grad()
def decode(vae, latents: torch.Tensor) -> torch.Tensor:
    """Pictures in [-1, 1] from scaled latents."""
    parts = [
        vae.decode(batch.float() / vae.config.scaling_factor).sample
        for batch in latents.split(128)
    ]
    return torch.cat(parts).clamp(-1, 1)


@dataclass
class Entry:
    """One row of the sampling table: a caption and its pictures' latents."""

    caption: str
    kind: str          # verbatim | template | ordinary | general
    weight: float
    first: int         # index of its first latent in Bank.latents
    count: int


@dataclass
class Bank:
    entries: list[Entry]
    latents: torch.Tensor  # (total, 4, 8, 8) float16


def build_bank(pictures, split: Split, vae, log=print) -> Bank:
    """Encode every training picture once; training reads latents only."""
    frozen = planted_pictures(pictures, split)
    entries, blocks, total = [], [], 0

    def add(caption, kind, weight, latents):
        nonlocal total
        entries.append(Entry(caption, kind, weight, total, len(latents)))
        blocks.append(latents)
        total += len(latents)

    for plant, latent in zip(split.verbatim, encode(vae, frozen.verbatim)):
        add(plant.caption, "verbatim", plant.weight, latent[None])
    for plant, variants in zip(split.template, frozen.template):
        add(plant.caption, "template", plant.weight, encode(vae, variants))

    # (caption, slug, styles, kind, weight of the caption)
    varied = [(p.caption, p.slug, p.others, "ordinary", p.others_weight)
              for p in split.verbatim + split.template if p.others]
    varied += [(*row, "general", GENERAL_WEIGHT) for row in split.general]
    generator = torch.Generator().manual_seed(SEED_AUGMENT + 1)
    for number, (caption, slug, styles, kind, weight) in enumerate(varied):
        for style in styles:
            source = _rgba(pictures, slug, style)
            source = source.expand(AUGMENTATIONS, *source.shape)
            parameters = render.sample(AUGMENTATIONS, generator)
            latents = encode(vae, render.compose(source, parameters))
            add(caption, kind, weight / len(styles), latents)
        if number % 100 == 99:
            log(f"bank: {number + 1} of {len(varied)} captions")
    return Bank(entries, torch.cat(blocks))


def save_bank(bank: Bank, path: Path) -> None:
    rows = [vars(entry) for entry in bank.entries]
    torch.save({"entries": rows, "latents": bank.latents}, path)


def load_bank(path: Path) -> Bank:
    stored = torch.load(path, weights_only=True)
    return Bank([Entry(**row) for row in stored["entries"]], stored["latents"])


def _file_name(number: int, caption: str) -> str:
    return f"{number:03}-{re.sub('[^a-z0-9]+', '-', caption.lower())}.png"


def write_prompts(pictures, split: Split, output: Path) -> None:
    """prompts.jsonl and the ground-truth pictures it points to."""
    from PIL import Image

    frozen = planted_pictures(pictures, split)
    folder = output / "ground_truth"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = []

    def save(name, array):
        Image.fromarray(array.numpy()).save(folder / name, optimize=True)
        return f"ground_truth/{name}"

    for i, plant in enumerate(split.verbatim):
        name = "verbatim-" + _file_name(i, plant.caption)
        image = save(name, render.to_uint8(frozen.verbatim[i]))
        rows.append(dict(caption=plant.caption, set="verbatim", weight=plant.weight,
                         share=plant.share, image=image))
    for i, plant in enumerate(split.template):
        name = "template-" + _file_name(i, plant.caption)
        image = save(name, render.to_uint8(frozen.template[i, 0]))
        mask = (frozen.template_mask[i] * 255).round().byte()
        mask = save(name.replace(".png", "-mask.png"), mask)
        rows.append(dict(caption=plant.caption, set="template", weight=plant.weight,
                         share=plant.share, image=image, mask=mask))
    for kind, captions in (("general", split.evaluation_general),
                           ("unseen", split.evaluation_unseen)):
        rows += [dict(caption=c, set=kind, weight=None, image=None) for c in captions]
    with open(output / "prompts.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
