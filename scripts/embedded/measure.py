"""Hold an exported model against the acceptance rules and write its truth.

The rules are written in docs/embedded-models.md. Nothing in this file computes
a memorization score: it compares generated pictures with training pictures,
with each other, and with their captions.
"""

import json
from pathlib import Path

import torch

import card
import classifier
import config
import dataset
import generate
import sheets
import truth
from truth import pair_distance

TOP = 10
FIRST = 4   # diversity compares the first four draws of every set


@torch.no_grad()
def caption_ranks(made: generate.Generated, path: Path) -> torch.Tensor:
    """Rank (0 is best) of the own caption among all general captions."""
    model, captions = classifier.load(path)
    scores = model(made.latents.flatten(0, 1)).unflatten(0, made.latents.shape[:2])
    columns = [captions.index(caption) for caption in made.captions]
    own = torch.stack([scores[i, :, column] for i, column in enumerate(columns)])
    return (scores > own[..., None]).sum(-1)


def _mean(values: torch.Tensor) -> float:
    return round(values.float().mean().item(), 4)


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(v, 4) for v in values.tolist()]


def _groups(plants, hits, distances, pairs) -> list[dict]:
    """One row for every level (share, weight) of the plants."""
    levels = sorted({(p.share, p.weight) for p in plants}, key=lambda l: (l[0] == 1, *l))
    rows = []
    for level in levels:
        index = torch.tensor([(p.share, p.weight) == level for p in plants])
        rate = hits[index].float().mean(1)
        rows.append(dict(
            share=level[0], weight=level[1], captions=int(index.sum()),
            mean_rate=_mean(rate), below=int((rate < 0.1).sum()),
            between=int(((rate >= 0.1) & (rate <= 0.9)).sum()),
            above=int((rate > 0.9).sum()), distance=_mean(distances[index].flatten()),
            pair_distance=_mean(pairs[index]),
        ))
    return rows


def _planted_lines(kind, plants, planted_draws, distances, hits, pairs) -> list[dict]:
    seeds = list(dict.fromkeys(seed for seed, _ in planted_draws))
    lines = []
    for i, plant in enumerate(plants):
        count, draws = int(hits[i].sum()), hits.shape[1]
        lines.append(dict(
            caption=plant.caption, set=kind, weight=plant.weight, share=plant.share,
            seeds=seeds, generations=config.TRUTH_GENERATIONS,
            verbatim_draws=count, reproduction_rate=round(count / draws, 5),
            interval=truth.interval(count, draws),
            verified=count / draws > 0.9,
            outcomes=hits[i].int().tolist(), distances=_rounded(distances[i]),
            pair_distance=round(pairs[i].item(), 4),
        ))
    return lines


def _ordinary_lines(kind, made, nearest, leaked, ranks) -> list[dict]:
    pairs = pair_distance(made.latents)
    return [
        dict(caption=caption, set=kind, draws=len(nearest[i]),
             pair_distance=round(pairs[i].item(), 4),
             nearest_plant=_rounded(nearest[i]), leaks=leaked[i].int().tolist(),
             caption_rank=None if ranks is None else ranks[i].tolist())
        for i, caption in enumerate(made.captions)
    ]


def _write_lines(path: Path, lines: list[dict]) -> None:
    with open(path, "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def judge(rates, control, general_pairs, verified_pairs, ranks, leaked) -> tuple[dict, dict]:
    """Values of the acceptance rules, and which of them hold."""
    diversity = general_pairs.mean().item()
    ratio = diversity / verified_pairs.mean().item() if len(verified_pairs) else None
    values = dict(
        R1_first=_mean(ranks < 1), R1_ten=_mean(ranks < TOP),
        R2_below=int((rates < 0.1).sum()), R2_above=int((rates > 0.9).sum()),
        R2_between=int(((rates >= 0.1) & (rates <= 0.9)).sum()),
        R3=round(diversity, 4), R3_ratio=None if ratio is None else round(ratio, 2),
        R4_share=_mean(leaked), R4_all_draws=int(leaked.all(1).sum()),
        R5=_mean(control),
    )
    passed = dict(
        R1=values["R1_first"] >= 0.6 and values["R1_ten"] >= 0.9,
        R2=min(values[key] for key in ("R2_below", "R2_between", "R2_above")) >= 40,
        R3=diversity >= 1.0 and (ratio or 0) >= 3,
        R4=values["R4_share"] <= 0.01 and values["R4_all_draws"] == 0,
        R5=values["R5"] <= 0.1,
    )
    return values, passed


def measure(name: str, space, output: Path, log=print, compiled=False) -> dict:
    torch.manual_seed(0)
    pictures, split = space.data()
    bank = dataset.load_bank(space.bank_file)
    frozen = dataset.planted_pictures(pictures, split)
    made = generate.generate_all(name, space, output, log, compiled)
    targets = truth.Targets(bank, space.vae(), frozen.template_mask)

    planted = {
        "verbatim": (split.verbatim, *truth.verbatim_hits(made["verbatim"], targets, bank)),
        "template": (split.template, *truth.template_hits(made["template"], targets)),
    }
    lines, levels = [], {}
    for kind, (plants, distances, hits) in planted.items():
        pairs = pair_distance(made[kind].latents[:, :FIRST])
        levels[kind] = _groups(plants, hits, distances, pairs)
        lines += _planted_lines(kind, plants, generate.planted_draws(name), distances, hits, pairs)

    ranks = caption_ranks(made["general"], space.classifier_file)
    ordinary, leaked_all, nearest_of = [], [], {}
    for kind in ("general", "unseen"):
        leaked, nearest = truth.leaks(made[kind], targets, bank)
        leaked_all.append(leaked)
        nearest_of[kind] = nearest
        ordinary += _ordinary_lines(kind, made[kind], nearest, leaked,
                                    ranks if kind == "general" else None)
    leaked = torch.cat(leaked_all)

    _, _, hits = planted["verbatim"]
    rates = hits.float().mean(1)
    control = torch.tensor([p.share == 1 and p.weight == config.PLAIN_WEIGHTS[0]
                            for p in split.verbatim])
    first = {kind: pair_distance(made[kind].latents[:, :FIRST]) for kind in made}
    values, passed = judge(rates, rates[control], first["general"],
                           first["verbatim"][rates > 0.9], ranks, leaked)
    result = dict(
        model=name, draws=len(generate.planted_draws(name)), values=values, passed=passed,
        levels=levels,
        unseen=dict(captions=len(made["unseen"].captions), pair_distance=_mean(first["unseen"])),
        leaks=[dict(caption=line["caption"], set=line["set"], draws=sum(line["leaks"]))
               for line in ordinary if any(line["leaks"])],
        nearest_plant={kind: dict(minimum=round(d.min().item(), 4), median=round(d.median().item(), 4))
                       for kind, d in nearest_of.items()},
    )
    folder = output / name
    (folder / "measurements.json").write_text(json.dumps(result, indent=2) + "\n")
    _write_lines(folder / "generations.jsonl", lines)
    _write_lines(folder / "ordinary.jsonl", ordinary)
    sheets.planted(folder / "contact-planted.png", split, frozen, targets.verbatim,
                   made["verbatim"].pictures, rates)
    sheets.ordinary(folder / "contact-general.png", made, frozen)
    card.write(name, space.folder, output, result)
    log(json.dumps(dict(values=values, passed=passed), indent=1))
    return result
