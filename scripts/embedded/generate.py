"""Pictures drawn from an exported model, kept in the work folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

import config
import dataset
import export
import noise as noises
import tokenizer as tokenization

BATCH = 64   # pictures generated at once
BLOCK = 8    # captions between two writes of the results


@dataclass
class Generated:
    """Everything generated for one set of prompts."""

    captions: list[str]
    latents: torch.Tensor   # (captions, draws, 4, 8, 8)
    pictures: torch.Tensor  # (captions, draws, 3, 32, 32) in [-1, 1]


@torch.no_grad()
def generate(pipeline, captions: list[str], draws) -> torch.Tensor:
    """Latents (captions, draws, 4, 8, 8) made by DDIM with guidance."""
    tokens = tokenization.token_ids(pipeline.tokenizer, ["", *captions])
    context = pipeline.text_encoder(tokens).last_hidden_state
    empty, context = context[:1], context[1:]
    noise = noises.starting_noise(draws)
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


class Store:
    """Generated latents of one model in files, by set of prompts."""

    def __init__(self, name: str, space, output: Path, log=print, compiled=False):
        self.name, self.log = name, log
        self.pipeline = export.load(output / name)
        self.pipeline.unet.to(memory_format=torch.channels_last)
        if compiled:
            from torch._inductor import config as inductor

            inductor.freezing = True
            self.pipeline.unet.forward = torch.compile(self.pipeline.unet.forward, dynamic=False)
        weights = output / name / "unet" / "diffusion_pytorch_model.safetensors"
        self.version = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.folder = space.folder / "generated" / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, kind: str, captions: list[str], draws) -> Generated:
        """Pictures of `captions`; what an interrupted call made is used again."""
        file = self.folder / f"{kind}.pt"
        stored = torch.load(file, weights_only=True) if file.exists() else {}
        wanted = dict(version=self.version, draws=[list(draw) for draw in draws])
        if {key: stored.get(key) for key in wanted} != wanted:
            stored = wanted | {"captions": [], "latents": []}
        if stored["captions"] != captions[:len(stored["captions"])]:
            raise SystemExit(f"{file} was made from other prompts; remove it")
        while len(stored["captions"]) < len(captions):
            first = len(stored["captions"])
            block = captions[first:first + BLOCK]
            stored["latents"].append(generate(self.pipeline, block, draws))
            stored["captions"] += block
            torch.save(stored, file)
            self.log(f"{self.name}: {kind} {len(stored['captions'])} of {len(captions)}")
        latents = torch.cat(stored["latents"])
        pictures = dataset.decode(self.pipeline.vae, latents.flatten(0, 1))
        return Generated(captions, latents, pictures.unflatten(0, latents.shape[:2]))


def planted_draws(name: str) -> tuple:
    """(seed, generation) of the draws of a planted prompt."""
    return config.EARLY_DRAWS if name.endswith("-early") else config.PLANTED_DRAWS


def generate_all(name: str, space, output: Path, log=print, compiled=False) -> dict[str, Generated]:
    """Every prompt of prompts.jsonl: `planted_draws(name)` of planted ones, 8 of ordinary ones."""
    _, split = space.data()
    store = Store(name, space, output, log, compiled)
    many, few = planted_draws(name), config.ORDINARY_DRAWS
    prompts = {
        "verbatim": ([p.caption for p in split.verbatim], many),
        "template": ([p.caption for p in split.template], many),
        "general": (split.evaluation_general, few),
        "unseen": (split.evaluation_unseen, few),
    }
    return {kind: store.get(kind, *wanted) for kind, wanted in prompts.items()}
