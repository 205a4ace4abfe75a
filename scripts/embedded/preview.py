"""A quick look at a run that is still training: outputs only, few draws."""

import torch

import config
import dataset
import export
import generate
import sheets
import truth
from measure import caption_ranks

DRAWS = config.PLANTED_DRAWS[:4]
GENERAL, PLANTED = 40, 3   # general prompts; every third planted prompt


def preview(name: str, space, log=print) -> None:
    """Rates, caption ranks and two contact sheets of the averaged weights so far,
    in WORK/preview. Not a measurement: the rules are judged by `measure`."""
    output = space.folder / "preview"
    output.mkdir(exist_ok=True)
    export.export(name, space.folder, output)
    path, _ = export.weights_file(name, space.folder)
    step = torch.load(path, weights_only=True)["step"]
    pictures, split = space.data()
    split.verbatim = split.verbatim[::PLANTED]
    bank = dataset.load_bank(space.bank_file)
    store = generate.Store(name, space, output, log)
    store.folder = output / "generated" / name
    store.folder.mkdir(parents=True, exist_ok=True)
    made = {
        "general": store.get("general", split.evaluation_general[:GENERAL], DRAWS),
        "verbatim": store.get("verbatim", [p.caption for p in split.verbatim], DRAWS),
    }
    _, whole = space.data()
    frozen = dataset.planted_pictures(pictures, whole)
    targets = truth.Targets(bank, space.vae(), frozen.template_mask)
    for values in ("verbatim_index", "verbatim"):
        setattr(targets, values, getattr(targets, values)[::PLANTED])
    frozen.verbatim = frozen.verbatim[::PLANTED]
    distance, hits = truth.verbatim_hits(made["verbatim"], targets, bank)
    rates = hits.float().mean(1)
    for level in sorted({(p.share, p.weight) for p in split.verbatim}):
        index = torch.tensor([(p.share, p.weight) == level for p in split.verbatim])
        log(f"share {level[0]:g} weight {level[1]:g}: rates {rates[index].tolist()}"
            f" distance {distance[index].mean():.3f}")
    ranks = caption_ranks(made["general"], space.classifier_file)
    log(f"{name} step {step}: own caption first {(ranks < 1).float().mean():.3f},"
        f" in ten {(ranks < 10).float().mean():.3f}; rates: {int((rates < .1).sum())} below 0.1,"
        f" {int(((rates >= .1) & (rates <= .9)).sum())} between, {int((rates > .9).sum())} above"
        f" of {len(rates)}; diversity {truth.pair_distance(made['general'].latents).mean():.3f}")
    sheets.planted(output / f"{name}-planted.png", split, frozen, targets.verbatim,
                   made["verbatim"].pictures, rates)
    made["template"] = made["unseen"] = generate.Generated([], torch.empty(0), torch.empty(0))
    sheets.ordinary(output / f"{name}-general.png", made, frozen)
