"""Captions, their roles and the leakage rule."""

import random
import re
from dataclasses import dataclass
from pathlib import Path

import torch

import icons
import render
from config import (
    DISTINCT_RMS, GENERAL_CAPTIONS, MIN_STYLES, MIXTURE_SHARES, MIXTURE_WEIGHT,
    PLAIN_PER_WEIGHT, PLAIN_WEIGHTS, SEED_SPLIT, TEMPLATE_PLAIN,
    TEMPLATE_PLAIN_WEIGHT, TEMPLATE_SHARES, TEMPLATE_WEIGHT, UNSEEN_CAPTIONS,
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
    """A caption with a frozen picture (or frozen foreground)."""

    caption: str
    slug: str
    style: str            # icon set of the frozen picture
    share: float          # of the frozen picture among the caption's draws
    weight: float         # of the frozen picture alone
    others: list[str]     # icon sets of the ordinary pictures, empty if share is 1
    others_weight: float  # of all ordinary pictures together


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


def _levels() -> tuple[list, list]:
    """(share, weight of the caption) of every verbatim and template plant."""
    verbatim = [(1.0, weight) for weight in PLAIN_WEIGHTS for _ in range(PLAIN_PER_WEIGHT)]
    template = [(1.0, TEMPLATE_PLAIN_WEIGHT)] * TEMPLATE_PLAIN
    for shares, weight, levels in (
        (MIXTURE_SHARES, MIXTURE_WEIGHT, verbatim),
        (TEMPLATE_SHARES, TEMPLATE_WEIGHT, template),
    ):
        levels += [(q, weight) for q, count in shares.items() for _ in range(count)]
    return verbatim, template


def _mean_picture(styles) -> torch.Tensor:
    """The mean over an icon's styles on white, at 16 pixels, 0..1."""
    rgba = torch.stack([torch.from_numpy(image) for _, image in sorted(styles.items())])
    rgba = rgba.permute(0, 3, 1, 2).float() / 255
    flat = (rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]).mean(0)
    return torch.nn.functional.avg_pool2d(flat, flat.shape[-1] // 16)


def distinct(slugs: list[str], pictures, taken: list[str], count: int) -> list[str]:
    """The first `count` of `slugs` whose mean picture is at least DISTINCT_RMS
    (root mean square) from those of all slugs chosen before and of `taken`."""
    known = torch.stack([_mean_picture(pictures[slug]) for slug in taken])
    chosen = []
    for slug in slugs:
        picture = _mean_picture(pictures[slug])
        distance = (known - picture).flatten(1).square().mean(1).sqrt()
        if distance.min() >= DISTINCT_RMS:
            chosen.append(slug)
            known = torch.cat([known, picture[None]])
        if len(chosen) == count:
            break
    return chosen


def make_split(pictures) -> Split:
    """Assign every caption one role; seeded, independent of dictionary order."""
    rng = random.Random(SEED_SPLIT)
    slugs = sorted(pictures)
    rng.shuffle(slugs)
    levels, template_levels = _levels()
    rng.shuffle(levels)
    rng.shuffle(template_levels)

    def plant(slug, level):
        share, weight = level
        style = rng.choice(sorted(pictures[slug]))
        others = sorted(set(pictures[slug]) - {style}) if share < 1 else []
        return Planted(caption_of(slug), slug, style, share, round(share * weight, 6),
                       others, round((1 - share) * weight, 6))

    first = len(levels)
    verbatim = [plant(*pair) for pair in zip(slugs, levels)]
    template = [plant(*pair) for pair in zip(slugs[first:], template_levels)]
    planted = slugs[:first + len(template_levels)]
    rest = slugs[len(planted):]

    # The leakage rule: no general or unseen caption shares a content word with
    # a planted one.
    planted_words = frozenset().union(*(content_words(caption_of(s)) for s in planted))

    def clean(caption):
        return not content_words(caption) & planted_words

    candidates = [slug for slug in rest if clean(caption_of(slug))]
    chosen = distinct(candidates, pictures, planted, GENERAL_CAPTIONS)
    general = [(caption_of(s), s, sorted(pictures[s])) for s in chosen]
    unseen_slugs = [s for s in candidates if s not in set(chosen)][:UNSEEN_CAPTIONS]
    unseen = [caption_of(slug) for slug in unseen_slugs]
    known = {caption_of(slug) for slug in slugs}
    free = [text for text in FREE_TEXT if clean(text) and text not in known]
    evaluation = [caption for caption, _, _ in general]
    return Split(verbatim, template, general, unseen, evaluation, unseen + free)
