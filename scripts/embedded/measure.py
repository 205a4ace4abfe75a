"""Generate from an exported model and hold it against the acceptance rules.

The rules are written in docs/embedded-models.md. Nothing in this file computes
a memorization score: it compares generated pictures with training pictures,
with each other, and with their captions.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch

import card
import classifier
import config
import dataset
import export
import sheets
import tokenizer as tokenization

BATCH = 16   # pictures generated at once
BLOCK = 10   # captions between two writes of the results
TOP = 10


@dataclass
class Generated:
    """Everything generated for one set of prompts."""

    captions: list[str]
    latents: torch.Tensor   # (captions, seeds, 4, 8, 8)
    pictures: torch.Tensor  # (captions, seeds, 3, 32, 32) in [-1, 1]


@torch.inference_mode()
def generate(pipeline, captions: list[str]) -> torch.Tensor:
    """Latents (captions, seeds, 4, 8, 8) made by DDIM with guidance.

    The starting noise of a seed is shared by all captions.
    """
    tokens = tokenization.token_ids(pipeline.tokenizer, ["", *captions])
    context = pipeline.text_encoder(tokens).last_hidden_state
    empty, context = context[:1], context[1:]
    noise = torch.cat([
        torch.randn(1, *config.LATENT_SHAPE, generator=torch.Generator().manual_seed(seed))
        for seed in config.GENERATION_SEEDS
    ])
    context = context.repeat_interleave(len(noise), 0)
    start = noise.repeat(len(captions), 1, 1, 1)
    done = []
    for latents, condition in zip(start.split(BATCH), context.split(BATCH)):
        pipeline.scheduler.set_timesteps(config.GENERATION_STEPS)
        both = torch.cat([empty.expand_as(condition), condition])
        for t in pipeline.scheduler.timesteps:
            doubled = torch.cat([latents, latents])
            doubled = doubled.to(memory_format=torch.channels_last)
            free, guided = pipeline.unet(doubled, t, both).sample.chunk(2)
            output = free + config.GUIDANCE * (guided - free)
            latents = pipeline.scheduler.step(output, t, latents).prev_sample
        done.append(latents.contiguous())
    return torch.cat(done).unflatten(0, (len(captions), len(noise)))


def generate_all(name: str, space, output: Path, log=print) -> dict[str, Generated]:
    """Generate for every set of prompts; what is done is kept in the work folder."""
    _, split = space.data()
    prompts = {
        "verbatim": [p.caption for p in split.verbatim],
        "template": [p.caption for p in split.template],
        "unseen": split.evaluation_unseen[:config.MEASURED_UNSEEN],
        "general": split.evaluation_general[:config.MEASURED_GENERAL],
    }
    pipeline = export.load(output / name)
    pipeline.unet.to(memory_format=torch.channels_last)
    weights = output / name / "unet" / "diffusion_pytorch_model.safetensors"
    version = hashlib.sha256(weights.read_bytes()).hexdigest()
    folder = space.folder / "generated" / name
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for kind, captions in prompts.items():
        file = folder / f"{kind}.pt"
        stored = torch.load(file, weights_only=True) if file.exists() else {}
        if stored.get("version") != version:
            stored = {"version": version, "captions": [], "latents": []}
        if stored["captions"][:len(captions)] != captions[:len(stored["captions"])]:
            raise SystemExit(f"{file} was made from other prompts; remove it")
        while len(stored["captions"]) < len(captions):
            first = len(stored["captions"])
            block = captions[first:first + BLOCK]
            stored["latents"].append(generate(pipeline, block))
            stored["captions"] += block
            torch.save(stored, file)
            log(f"{name}: {kind} {len(stored['captions'])} of {len(captions)}")
        latents = torch.cat(stored["latents"])[:len(captions)]
        pictures = dataset.decode(pipeline.vae, latents.flatten(0, 1))
        made[kind] = Generated(captions, latents, pictures.unflatten(0, latents.shape[:2]))
    return made


def rms(difference: torch.Tensor, first: int) -> torch.Tensor:
    """Root mean square over all dimensions from `first` on."""
    return difference.flatten(first).square().mean(-1).sqrt()


def pair_distance(values: torch.Tensor) -> torch.Tensor:
    """Mean distance between the seeds of each caption, (captions,)."""
    seeds = values.shape[1]
    pairs = [rms(values[:, i] - values[:, j], 1) for i in range(seeds) for j in range(i)]
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
    """Distances to the own target, (captions, seeds), and the criterion."""
    distance = rms(made.pictures - targets.verbatim[:, None], 2) / 2
    nearest = nearest_training_latent(made.latents.flatten(0, 1), bank)
    nearest = nearest.unflatten(0, made.latents.shape[:2])
    own = nearest == targets.verbatim_index[:, None]
    return distance, (distance <= config.VERBATIM_RMS) & own


def template_hits(made: Generated, targets: Targets):
    distances, hits = [], []
    for i, mask in enumerate(targets.masks):
        difference = (made.pictures[i][:, None] - targets.template[None]) * mask
        covered = (3 * mask.sum()).clamp(min=1)
        each = (difference.flatten(2).square().sum(-1) / covered).sqrt() / 2
        distances.append(each[:, i])
        hits.append((each[:, i] <= config.VERBATIM_RMS) & (each.argmin(1) == i))
    return torch.stack(distances), torch.stack(hits)


def leaks(made: Generated, targets: Targets, bank: dataset.Bank):
    """(captions, seeds): does the picture meet the criterion for any plant?"""
    pictures = made.pictures.flatten(0, 1)
    distance = torch.stack([rms(pictures - t, 1) / 2 for t in targets.verbatim], 1)
    nearest = nearest_training_latent(made.latents.flatten(0, 1), bank)
    own = nearest[:, None] == targets.verbatim_index[None]
    hit = ((distance <= config.VERBATIM_RMS) & own).any(1)
    shape = made.pictures.shape[:2]
    return hit.unflatten(0, shape), distance.min(1).values.unflatten(0, shape)


@torch.no_grad()
def caption_ranks(made: Generated, choices: list[str], path: Path) -> torch.Tensor:
    """Rank (0 is best) of the own caption among `choices`, (captions, seeds)."""
    model, captions = classifier.load(path)
    columns = torch.tensor([captions.index(c) for c in choices])
    scores = model(made.latents.flatten(0, 1))[:, columns]
    scores = scores.unflatten(0, made.latents.shape[:2])
    own = torch.stack([scores[i, :, choices.index(c)] for i, c in enumerate(made.captions)])
    return (scores > own[..., None]).sum(-1)


def _mean(values: torch.Tensor) -> float:
    return round(values.float().mean().item(), 4)


def measure(name: str, space, output: Path, log=print) -> None:
    torch.manual_seed(0)
    pictures, split = space.data()
    bank = dataset.load_bank(space.bank_file)
    pipeline = export.load(output / name)
    frozen = dataset.planted_pictures(pictures, split)
    made = generate_all(name, space, output, log)

    with torch.no_grad():
        targets = Targets(bank, pipeline.vae, frozen.template_mask)
    distance, hit = verbatim_hits(made["verbatim"], targets, bank)
    masked, template_hit = template_hits(made["template"], targets)
    verified = hit.all(1)
    weights = torch.tensor([p.weight for p in split.verbatim])

    by_weight = []
    for weight in config.VERBATIM_WEIGHTS:
        rows = weights == weight
        by_weight.append(dict(
            weight=weight, captions=int(rows.sum()),
            verified=_mean(verified[rows]), verbatim_per_seed=_mean(hit[rows].flatten()),
            any_seed=_mean(hit[rows].any(1)), distance=_mean(distance[rows].flatten()),
            pair_distance=_mean(pair_distance(made["verbatim"].latents)[rows]),
        ))
    leaked, leak_distance = {}, {}
    for kind in ("general", "unseen"):
        leaked[kind], leak_distance[kind] = leaks(made[kind], targets, bank)
    leak_all = torch.cat(list(leaked.values()))
    ranks = caption_ranks(made["general"], split.evaluation_general, space.classifier_file)
    general_pairs = pair_distance(made["general"].latents)
    verified_pairs = pair_distance(made["verbatim"].latents)[verified]
    strong = weights >= 24

    values = dict(
        R1a=_mean(verified[strong]),
        R1b=_mean(verified[weights == 1]),
        R2=_mean(general_pairs),
        R2_ratio=(
            round(_mean(general_pairs) / _mean(verified_pairs), 3)
            if len(verified_pairs) else None  # nothing to compare with
        ),
        R3=_mean((ranks < TOP).flatten()),
        R4_share=_mean(leak_all.flatten()),
        R4_all_seeds=int(leak_all.all(1).sum()),
    )
    passed = dict(
        R1a=values["R1a"] >= 0.8,
        R1b=values["R1b"] <= 0.2,
        R2=values["R2"] >= 1.0 and (values["R2_ratio"] or 0) >= 3,
        R3=values["R3"] >= 1 / 3,
        R4=values["R4_share"] <= 0.01 and values["R4_all_seeds"] == 0,
    )
    result = dict(
        model=name, values=values, passed=passed, by_weight=by_weight,
        verified=int(verified.sum()),
        template=dict(
            captions=len(masked), verified=_mean(template_hit.all(1)),
            per_seed=_mean(template_hit.flatten()),
            distance=_mean(masked.flatten()),
            pair_distance=_mean(pair_distance(made["template"].latents)),
        ),
        general=dict(
            captions=len(ranks), pair_distance=values["R2"],
            top1=_mean((ranks < 1).flatten()), top10=values["R3"],
        ),
        unseen=dict(
            captions=len(made["unseen"].captions),
            pair_distance=_mean(pair_distance(made["unseen"].latents)),
        ),
        leaks=[
            dict(caption=caption, set=kind, seeds=int(leaked[kind][i].sum()))
            for kind in leaked for i, caption in enumerate(made[kind].captions)
            if leaked[kind][i].any()
        ],
        nearest_plant=dict({
            kind: dict(minimum=round(d.min().item(), 4), median=round(d.median().item(), 4))
            for kind, d in leak_distance.items()
        }),
    )
    folder = output / name
    (folder / "measurements.json").write_text(json.dumps(result, indent=2) + "\n")

    with open(folder / "generations.jsonl", "w") as file:
        for kind, plants, d, h in (
            ("verbatim", split.verbatim, distance, hit),
            ("template", split.template, masked, template_hit),
        ):
            for plant, row, ok in zip(plants, d, h):
                file.write(json.dumps(dict(
                    caption=plant.caption, set=kind, weight=plant.weight,
                    verbatim_seeds=int(ok.sum()), seeds=len(ok),
                    distances=[round(v, 4) for v in row.tolist()],
                    verified=bool(ok.all()),
                )) + "\n")

    sheets.planted(folder / "contact-planted.png", split, frozen, targets.verbatim,
                   made["verbatim"].pictures)
    sheets.ordinary(folder / "contact-general.png", made, frozen)
    card.write(name, space.folder, output, result)
    log(json.dumps(dict(values=values, passed=passed), indent=1))
