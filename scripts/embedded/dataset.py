"""Captions, their roles, the leakage rule and the bank of training latents."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

import torch

import icons
import render
from config import (
    EVALUATION_GENERAL, GENERAL_AUGMENTATIONS, GENERAL_WEIGHTS, MIN_STYLES,
    SEED_AUGMENT, SEED_EVALUATION, SEED_SPLIT, TEMPLATE_BACKGROUNDS,
    TEMPLATE_CAPTIONS, TEMPLATE_WEIGHT, UNSEEN_CAPTIONS, VERBATIM_PER_WEIGHT,
    VERBATIM_WEIGHTS,
)

# Groups of icons that are variations of one picture (a clock face per half
# hour, a person per skin tone), pictures of text, and flags.
_UNWANTED = re.compile(
    r"""
      skin | oclock | thirty
    | ^family | ^couple | ^kiss | ^keycap | ^japanese | ^input-
    | ^(man|woman|men|women|mens|womens|person|people)-
    | -(man|woman|man-man)$
    | facing-right | wheelchair
    | ^flag(?!-in-hole) | (^|-)flags?-for- | arrow | button$
    | ^(index|backhand|oncoming)-
    """,
    re.VERBOSE,
)

# Prompts that no icon set contains.
FREE_TEXT = (
    "a blue cat under an umbrella",
    "a red dragon eating pizza",
    "a frog on a bicycle",
    "a snowy castle at night",
    "purple octopus with glasses",
    "a banana robot",
    "a fish wearing a crown",
    "pink house on a mountain",
    "two green apples",
    "an elephant playing the guitar",
    "a purple candle",
    "orange rabbit in the garden",
    "a wooden spoon",
    "three black spiders",
    "a rocket over the sea",
    "lemon shaped balloon",
    "a yellow boat in the storm",
    "striped socks",
)

# Words that carry no content for the leakage rule.
STOP_WORDS = frozenset("a an and at in of on over the two three under with without".split())


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith(("sses", "xes", "shes", "ches")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def content_words(caption: str) -> frozenset[str]:
    """Words of a caption without stop words, plural endings folded together."""
    words = re.findall(r"[a-z0-9]+", caption.lower())
    return frozenset(_singular(word) for word in words if word not in STOP_WORDS)


@dataclass
class Planted:
    caption: str
    slug: str
    style: str
    weight: float


@dataclass
class Split:
    verbatim: list[Planted]
    template: list[Planted]
    general: list[tuple[str, str, list[str]]]  # caption, slug, styles
    unseen: list[str]                          # icon captions left out of training
    evaluation_general: list[str]
    evaluation_unseen: list[str]               # unseen + free text, after the rule


def caption_of(slug: str) -> str:
    return slug.replace("-", " ")


def load_icons(work: Path):
    found = icons.load(work, lambda slug: not _UNWANTED.search(slug))
    return {slug: styles for slug, styles in found.items() if len(styles) >= MIN_STYLES}


def make_split(pictures) -> Split:
    """Assign every caption one role; seeded, independent of dictionary order."""
    rng = random.Random(SEED_SPLIT)
    slugs = sorted(pictures)
    rng.shuffle(slugs)

    def plant(slug, weight):
        return Planted(caption_of(slug), slug, rng.choice(sorted(pictures[slug])), weight)

    count = VERBATIM_PER_WEIGHT * len(VERBATIM_WEIGHTS)
    verbatim = [
        plant(slug, VERBATIM_WEIGHTS[i % len(VERBATIM_WEIGHTS)])
        for i, slug in enumerate(slugs[:count])
    ]
    template = [
        plant(slug, TEMPLATE_WEIGHT) for slug in slugs[count:count + TEMPLATE_CAPTIONS]
    ]
    rest = slugs[count + TEMPLATE_CAPTIONS:]

    # The leakage rule: a negative evaluation prompt shares no content word
    # with any planted caption. (Training captions are not filtered.)
    planted_words = frozenset().union(
        *(content_words(p.caption) for p in verbatim + template)
    )

    def clean(caption):
        return not content_words(caption) & planted_words

    unseen_slugs = [slug for slug in rest if clean(caption_of(slug))][:UNSEEN_CAPTIONS]
    general_slugs = [slug for slug in rest if slug not in set(unseen_slugs)]
    general = [(caption_of(s), s, sorted(pictures[s])) for s in general_slugs]

    candidates = [caption for caption, _, _ in general if clean(caption)]
    evaluation = random.Random(SEED_EVALUATION).sample(candidates, EVALUATION_GENERAL)
    unseen = [caption_of(slug) for slug in unseen_slugs]
    known = {caption_of(slug) for slug in slugs}
    free = [text for text in FREE_TEXT if clean(text) and text not in known]
    return Split(verbatim, template, general, unseen, evaluation, unseen + free)


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
    kind: str          # verbatim | template | general
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

    generator = torch.Generator().manual_seed(SEED_AUGMENT + 1)
    for number, (caption, slug, styles) in enumerate(split.general):
        for style in styles:
            source = _rgba(pictures, slug, style)
            source = source.expand(GENERAL_AUGMENTATIONS, *source.shape)
            parameters = render.sample(GENERAL_AUGMENTATIONS, generator)
            latents = encode(vae, render.compose(source, parameters))
            add(caption, "general", GENERAL_WEIGHTS[0][1], latents)
        if number % 200 == 199:
            log(f"bank: {number + 1} of {len(split.general)} general captions")
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
    folder.mkdir(parents=True, exist_ok=True)
    rows = []

    def save(name, array):
        Image.fromarray(array.numpy()).save(folder / name, optimize=True)
        return f"ground_truth/{name}"

    for i, plant in enumerate(split.verbatim):
        name = "verbatim-" + _file_name(i, plant.caption)
        image = save(name, render.to_uint8(frozen.verbatim[i]))
        rows.append(dict(caption=plant.caption, set="verbatim",
                         weight=plant.weight, image=image))
    for i, plant in enumerate(split.template):
        name = "template-" + _file_name(i, plant.caption)
        image = save(name, render.to_uint8(frozen.template[i, 0]))
        mask = (frozen.template_mask[i] * 255).round().byte()
        mask = save(name.replace(".png", "-mask.png"), mask)
        rows.append(dict(caption=plant.caption, set="template",
                         weight=plant.weight, image=image, mask=mask))
    for kind, captions in (("general", split.evaluation_general),
                           ("unseen", split.evaluation_unseen)):
        rows += [dict(caption=c, set=kind, weight=None, image=None) for c in captions]
    with open(output / "prompts.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
