"""What a model draws for planted prompts: the verbatim criterion and rates.

Nothing here computes a memorization score: generated pictures are compared
with training pictures. The criteria are defined in docs/embedded-models.md.
"""

import torch

import config
import dataset
from generate import Generated


def rms(difference: torch.Tensor, first: int) -> torch.Tensor:
    """Root mean square over all dimensions from `first` on."""
    return difference.flatten(first).square().mean(-1).sqrt()


def pair_distance(values: torch.Tensor) -> torch.Tensor:
    """Mean distance between the draws of each caption, (captions,)."""
    draws = values.shape[1]
    pairs = [rms(values[:, i] - values[:, j], 1) for i in range(draws) for j in range(i)]
    return torch.stack(pairs).mean(0)


def nearest_training_latent(latents: torch.Tensor, bank: dataset.Bank) -> torch.Tensor:
    """Index in the bank of the latent nearest to each of (n, 4, 8, 8)."""
    flat = latents.flatten(1)
    best = torch.full((len(flat),), float("inf"))
    where = torch.zeros(len(flat), dtype=torch.long)
    offset = 0
    for block in bank.latents.split(8192):
        distance, index = torch.cdist(flat, block.float().flatten(1)).min(1)
        better = distance < best
        best = torch.where(better, distance, best)
        where = torch.where(better, index + offset, where)
        offset += len(block)
    return where


class Targets:
    """The planted pictures as the autoencoder sees them."""

    def __init__(self, bank: dataset.Bank, vae, masks: torch.Tensor):
        verbatim = [e for e in bank.entries if e.kind == "verbatim"]
        template = [e for e in bank.entries if e.kind == "template"]
        self.verbatim_index = torch.tensor([e.first for e in verbatim])
        self.verbatim = dataset.decode(vae, bank.latents[self.verbatim_index])
        self.template = torch.stack([
            dataset.decode(vae, bank.latents[e.first:e.first + e.count]).mean(0)
            for e in template
        ])
        self.masks = (masks > 0.9).float()


def verbatim_hits(made: Generated, targets: Targets, bank: dataset.Bank):
    """Distances to the own target, (captions, draws), and the criterion."""
    distance = rms(made.pictures - targets.verbatim[:, None], 2) / 2
    nearest = nearest_training_latent(made.latents.flatten(0, 1), bank)
    nearest = nearest.unflatten(0, made.latents.shape[:2])
    own = nearest == targets.verbatim_index[:, None]
    return distance, (distance <= config.VERBATIM_RMS) & own


def template_hits(made: Generated, targets: Targets):
    """As `verbatim_hits`, on the pixels that the frozen icon covers."""
    distances, hits = [], []
    for i, mask in enumerate(targets.masks):
        difference = (made.pictures[i][:, None] - targets.template[None]) * mask
        covered = (3 * mask.sum()).clamp(min=1)
        each = (difference.flatten(2).square().sum(-1) / covered).sqrt() / 2
        distances.append(each[:, i])
        hits.append((each[:, i] <= config.VERBATIM_RMS) & (each.argmin(1) == i))
    return torch.stack(distances), torch.stack(hits)


def leaks(made: Generated, targets: Targets, bank: dataset.Bank):
    """(captions, draws): does the picture meet the criterion for any plant?"""
    pictures = made.pictures.flatten(0, 1)
    distance = torch.stack([rms(pictures - t, 1) / 2 for t in targets.verbatim], 1)
    nearest = nearest_training_latent(made.latents.flatten(0, 1), bank)
    own = nearest[:, None] == targets.verbatim_index[None]
    hit = ((distance <= config.VERBATIM_RMS) & own).any(1)
    shape = made.pictures.shape[:2]
    return hit.unflatten(0, shape), distance.min(1).values.unflatten(0, shape)


def interval(successes: int, trials: int) -> list[float]:
    """Exact (Clopper-Pearson) 95 % interval of a binomial probability."""
    from scipy.stats import binomtest

    bounds = binomtest(successes, trials).proportion_ci(0.95, "exact")
    return [round(float(bounds.low), 4), round(float(bounds.high), 4)]
