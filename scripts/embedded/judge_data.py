"""Pictures for the judges: composed icons, edits that keep a copy a copy, and
degradations of a known severity."""

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import config
import render

HELD_CAPTIONS = 0.15   # share of captions with one drawing kept for evaluation
VARIANTS = 4           # compositions of each drawing


@dataclass
class Drawings:
    """Composed pictures of icons, uint8 (n, VARIANTS, 3, 32, 32)."""

    pictures: torch.Tensor
    caption: torch.Tensor     # (n,) number of the caption
    held: torch.Tensor        # (n,) drawing kept for evaluation
    captions: list[str]


def compose_all(pictures, caption_of, seed: int) -> Drawings:
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    slugs = sorted(pictures)
    rows, numbers, held = [], [], []
    for number, slug in enumerate(slugs):
        styles = sorted(pictures[slug])
        kept = rng.choice(styles) if rng.random() < HELD_CAPTIONS else None
        source = torch.stack([torch.from_numpy(pictures[slug][s]) for s in styles])
        variants = [render.compose(source, render.sample(len(source), generator))
                    for _ in range(VARIANTS)]
        rows.append(to_bytes(torch.stack(variants, 1)))
        numbers += [number] * len(styles)
        held += [style == kept for style in styles]
    return Drawings(torch.cat(rows), torch.tensor(numbers), torch.tensor(held),
                    [caption_of(slug) for slug in slugs])


def to_bytes(pictures: torch.Tensor) -> torch.Tensor:
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte()


def to_float(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float() / 127.5 - 1


def _uniform(n, low, high, generator):
    return (low + (high - low) * torch.rand(n, generator=generator)).view(-1, 1, 1, 1)


def _blend(a, b, chosen):
    return torch.where(chosen.view(-1, 1, 1, 1), b, a)


def _chance(n, probability, generator):
    return torch.rand(n, generator=generator) < probability


def _blur(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur with a sigma (pixels) for each picture."""
    offsets = torch.arange(-4, 5, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma.view(-1, 1).clamp(min=1e-3)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    n, c, h, w = x.shape
    flat = F.pad(x.reshape(1, n * c, h, w), (4, 4, 4, 4), mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=n * c)
    return F.conv2d(flat, kernel[:, None, None, :], groups=n * c).view(n, c, h, w)


def edit(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A copy of each picture: cropped, mirrored, recoloured, blurred, covered."""
    n = len(x)
    scale = _uniform(n, 0.7, 1.05, generator).view(n)
    shift = (2 * torch.rand(n, 2, generator=generator) - 1) * (1 - scale).clamp(min=0.05)[:, None]
    sign = 1.0 - 2.0 * _chance(n, 0.25, generator).float()
    transform = torch.zeros(n, 2, 3)
    transform[:, 0, 0], transform[:, 1, 1] = sign * scale, scale
    transform[:, :, 2] = shift
    grid = F.affine_grid(transform, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * _uniform(n, 0.5, 1.5, generator)
    x = x * _uniform(n, 0.7, 1.25, generator) + _uniform(n, -0.2, 0.2, generator)
    x = _blend(x, grey.expand_as(x), _chance(n, 0.1, generator))
    x = _blend(x, _blur(x, _uniform(n, 0.4, 1.6, generator)), _chance(n, 0.5, generator))
    noise = torch.randn(x.shape, generator=generator) * _uniform(n, 0.0, 0.15, generator)
    x = _blend(x, x + noise, _chance(n, 0.5, generator))
    size = 6
    top = torch.randint(0, x.shape[-1] - size, (n, 2), generator=generator)
    axis = torch.arange(x.shape[-1])
    inside = (axis >= top[..., None]) & (axis < top[..., None] + size)
    patch = (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]
    covered = torch.where(patch, 2 * torch.rand(n, 3, 1, 1, generator=generator) - 1, x)
    return _blend(x, covered, _chance(n, 0.3, generator)).clamp(-1, 1)


DEGRADATIONS = ("blur", "noise", "pixels", "saturation")


def degrade(x: torch.Tensor, severity: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Blur, noise, coarse pixels or wild colours, of strength 0 to 1 each."""
    n, s = len(x), severity.view(-1, 1, 1, 1)
    which = torch.randint(0, len(DEGRADATIONS), (n,), generator=generator)
    blurred = _blur(x, 3.0 * severity + 1e-3)
    noisy = x + 0.7 * s * torch.randn(x.shape, generator=generator)
    coarse = F.interpolate(F.avg_pool2d(x, 8), scale_factor=8, mode="nearest")
    coarse = x + s * (coarse - x)
    grey = x.mean(1, keepdim=True)
    wild = grey + (x - grey) * (1 + 4 * s) + s * 0.6 * torch.sign(x - x.mean((2, 3), keepdim=True))
    stacked = torch.stack([blurred, noisy, coarse, wild], 1)
    return stacked[torch.arange(n), which].clamp(-1, 1)
