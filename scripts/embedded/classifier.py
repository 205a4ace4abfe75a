"""A classifier of captions on latents: the yardstick of acceptance rule R1.

It sees training pictures of the general captions only (their latents), never
a generated one, and is chosen by its accuracy on augmentations held back.
"""

import math
import time
from pathlib import Path

import torch
from torch import nn

from config import SEED_CLASSIFIER
from dataset import Bank

HELD_BACK = 4        # augmentations of every entry kept for validation
STEPS = 2500
BATCH = 64


def build(classes: int) -> nn.Module:
    def block(inputs, outputs, stride):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1),
            nn.GroupNorm(8, outputs), nn.SiLU(),
        )

    return nn.Sequential(
        block(4, 64, 1), block(64, 96, 2), block(96, 128, 1),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 16, 256), nn.SiLU(),
        nn.Linear(256, classes),
    )


def train(bank: Bank, path: Path, seconds: float, log=print) -> dict:
    torch.manual_seed(SEED_CLASSIFIER)
    generator = torch.Generator().manual_seed(SEED_CLASSIFIER)
    general = [entry for entry in bank.entries if entry.kind == "general"]
    captions = sorted({entry.caption for entry in general})
    number = {caption: i for i, caption in enumerate(captions)}
    index = {"train": [], "held": []}
    labels = {"train": [], "held": []}
    for entry in general:
        for k in range(entry.count):
            part = "held" if k >= entry.count - HELD_BACK else "train"
            index[part].append(entry.first + k)
            labels[part].append(number[entry.caption])
    index = {part: torch.tensor(rows) for part, rows in index.items()}
    labels = {part: torch.tensor(rows) for part, rows in labels.items()}

    model = build(len(captions))
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-2)
    start, step = time.time(), 0
    while (progress := max(step / STEPS, (time.time() - start) / seconds)) < 1:
        optimizer.param_groups[0]["lr"] = 2e-3 * (0.02 + 0.5 * (1 + math.cos(math.pi * progress)))
        rows = torch.randint(0, len(index["train"]), (BATCH,), generator=generator)
        latents = bank.latents[index["train"][rows]].float()
        # Generated latents are not exactly on the autoencoder's manifold.
        latents = latents + 0.2 * torch.randn(latents.shape, generator=generator)
        loss = nn.functional.cross_entropy(
            model(latents), labels["train"][rows], label_smoothing=0.1
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 500 == 0:
            log(f"classifier {step} {time.time() - start:.0f}s loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        logits = torch.cat([
            model(bank.latents[rows].float()) for rows in index["held"].split(1024)
        ])
    top = logits.topk(10).indices == labels["held"][:, None]
    report = {
        "steps": step, "seed": SEED_CLASSIFIER, "captions": len(captions),
        "held_out_top1_of_all": round(top[:, 0].float().mean().item(), 4),
        "held_out_top10_of_all": round(top.any(1).float().mean().item(), 4),
    }
    torch.save({"captions": captions, "weights": model.state_dict(), "report": report}, path)
    log(f"classifier done: {report}")
    return report


def load(path: Path) -> tuple[nn.Module, list[str]]:
    stored = torch.load(path, weights_only=True)
    model = build(len(stored["captions"]))
    model.load_state_dict(stored["weights"])
    return model.eval(), stored["captions"]
