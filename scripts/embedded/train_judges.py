"""Train the embedded judges: copy descriptor, CLIP with quality head."""

import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import config
import judge_data
import judge_models
import tokenizer as tokenization

SEED = 41
BATCH = 96              # pictures of a CLIP step; half as many again are decoded ones
DESCRIPTOR_BATCH = 48   # pictures of a descriptor step, two copies each
DESCRIPTOR_STEPS = 700
CLIP_STEPS = 1500
TEMPERATURE = 0.05
ENTROPY_WEIGHT = 1.0
QUALITY_WEIGHT = 0.3


def _rate(peak: float, step: int, steps: int) -> float:
    return peak * min(1, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Loop:
    """Optimiser with a cosine schedule, resumable from one file."""

    def __init__(self, name: str, modules: dict, folder: Path, peak: float, steps: int, log):
        self.name, self.modules, self.peak, self.steps, self.log = name, modules, peak, steps, log
        self.file = folder / f"{name}.pt"
        folder.mkdir(parents=True, exist_ok=True)
        self.parameters = [p for m in modules.values() for p in m.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, peak, weight_decay=0.02)
        self.generator = torch.Generator().manual_seed(SEED)
        self.step, self.saved, self.sums = 0, time.time(), {}
        if self.file.exists():
            state = torch.load(self.file, weights_only=True)
            for key, module in modules.items():
                module.load_state_dict(state[key])
            self.optimizer.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"])
            self.step = state["step"]

    def save(self) -> None:
        state = {key: module.state_dict() for key, module in self.modules.items()}
        state |= dict(optimizer=self.optimizer.state_dict(), step=self.step,
                      generator=self.generator.get_state())
        temporary = self.file.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.file)
        self.saved = time.time()

    def run(self, losses) -> None:
        """`losses(generator)` gives named losses; their sum is minimised."""
        while self.step < self.steps:
            self.optimizer.param_groups[0]["lr"] = _rate(self.peak, self.step, self.steps)
            terms = losses(self.generator)
            self.optimizer.zero_grad()
            sum(terms.values()).backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.step += 1
            for key, value in terms.items():
                self.sums[key] = self.sums.get(key, 0.0) + value.item() / 100
            if self.step % 100 == 0:
                self.log(f"{self.name} {self.step} cpu {time.process_time():.0f}s "
                         + " ".join(f"{k} {v:.4f}" for k, v in self.sums.items()))
                self.sums = {}
            if time.time() - self.saved > 120:
                self.save()
        self.save()


def _pick(drawings, rows, generator):
    """One composition of each drawing in `rows`, in [-1, 1]."""
    variant = torch.randint(0, judge_data.VARIANTS, (len(rows),), generator=generator)
    return judge_data.to_float(drawings.pictures[rows, variant])


def train_descriptor(drawings, folder: Path, log=print) -> judge_models.Descriptor:
    """SSCD's recipe: InfoNCE between two edited copies of each picture, and the
    differential entropy term that spreads descriptors over the sphere. Half of
    a batch are other drawings of the other half's captions: likeness of
    subject is not copying."""
    torch.manual_seed(SEED)
    # Twice as fast on a CPU in this layout.
    model = judge_models.Descriptor().train().to(memory_format=torch.channels_last)
    loop = Loop("descriptor", {"model": model}, folder, 2e-3, DESCRIPTOR_STEPS, log)
    usable = (~drawings.held).nonzero()[:, 0]
    by_caption = {}
    for row in usable.tolist():
        by_caption.setdefault(int(drawings.caption[row]), []).append(row)
    pairs = [rows for rows in by_caption.values() if len(rows) >= 2]

    def losses(generator):
        chosen = torch.randperm(len(pairs), generator=generator)[:DESCRIPTOR_BATCH // 2].tolist()
        rows = []
        for number in chosen:
            order = torch.randperm(len(pairs[number]), generator=generator)[:2].tolist()
            rows += [pairs[number][i] for i in order]
        pictures = _pick(drawings, torch.tensor(rows), generator)
        views = torch.cat([judge_data.edit(pictures, generator) for _ in range(2)])
        found = model(views.contiguous(memory_format=torch.channels_last))
        likeness = found @ found.T
        self_mask = torch.eye(len(found), dtype=torch.bool)
        logits = (likeness / TEMPERATURE).masked_fill(self_mask, -1e4)
        partner = torch.arange(len(found)).roll(len(rows))
        nearest = likeness.masked_fill(
            self_mask | (torch.arange(len(found))[:, None] == partner), -2).max(1).values
        distance = (2 - 2 * nearest).clamp(min=1e-6).sqrt()
        return dict(contrast=F.cross_entropy(logits, partner),
                    entropy=-ENTROPY_WEIGHT * distance.log().mean())

    loop.run(losses)
    return model.eval()


def train_clip(drawings, decoded, tokenizer, folder: Path, log=print):
    """CLIP on pictures (half of them through the autoencoder) and captions,
    and with it the quality head on the severity of a degradation.

    `decoded`: uint8 pictures and caption numbers made by the autoencoder.
    """
    torch.manual_seed(SEED)
    clip = judge_models.build_clip(len(tokenizer)).train()
    head = judge_models.Quality().train()
    loop = Loop("clip", {"clip": clip, "head": head}, folder, 1e-3, CLIP_STEPS, log)
    tokens = tokenization.token_ids(tokenizer, drawings.captions)
    usable = (~drawings.held).nonzero()[:, 0]
    decoded_pictures, decoded_caption = decoded

    def losses(generator):
        rows = usable[torch.randperm(len(usable), generator=generator)[:BATCH]]
        pictures, caption = _pick(drawings, rows, generator), drawings.caption[rows]
        other = torch.randint(0, len(decoded_pictures), (BATCH // 2,), generator=generator)
        pictures = torch.cat([pictures, judge_data.to_float(decoded_pictures[other])])
        caption = torch.cat([caption, decoded_caption[other]])
        mirrored = torch.rand(len(pictures), generator=generator) < 0.5
        pictures = torch.where(mirrored.view(-1, 1, 1, 1), pictures.flip(-1), pictures)
        move = torch.randint(-2, 3, (2,), generator=generator).tolist()
        pictures = torch.roll(F.pad(pictures, (2,) * 4, mode="replicate"), move, (2, 3))[..., 2:-2, 2:-2]
        image = F.normalize(clip.visual_projection(clip.vision_model(pictures).pooler_output), dim=1)
        text = F.normalize(clip.text_projection(clip.text_model(tokens[caption]).pooler_output), dim=1)
        scale = clip.logit_scale.clamp(max=4.6).exp()
        same = (caption[:, None] == caption[None]).float()
        target = same / same.sum(1, keepdim=True)
        logits = scale * image @ text.T
        contrast = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

        few = BATCH // 2
        severity = torch.rand(few, generator=generator)
        severity[: few // 6] = 0
        worse = judge_data.degrade(pictures[:few], severity, generator)
        embedding = F.normalize(clip.visual_projection(clip.vision_model(worse).pooler_output), dim=1)
        quality = ((head(embedding) / 10 - (1 - severity)) ** 2).mean()
        return dict(contrast=contrast, quality=QUALITY_WEIGHT * 10 * quality)

    loop.run(losses)
    return clip.eval(), head.eval()
