"""The copy descriptor against the verbatim criterion, and the threshold that follows from it.

    memscope mitigate --model embedded:emoji-eps --prompts embedded:verbatim --method none --judges embedded \
        --count 4 --json > eps.json
    python3 copies.py emoji-eps=eps.json emoji-v=v.json [--sheet sheet.png]

The draws are those of the truth: the noise of seed 42, four of each prompt. Prints the AUC with a bootstrap over captions, and
for each threshold the share of verbatim draws and of others above it. The threshold with the largest difference on the first
model is printed last, with what it gives on the others. --sheet draws some of the first model's draws above it that are not
verbatim, each beside its training picture.
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[2] / "data" / "embedded"
SEED, COUNT, RESAMPLES = 42, 4, 2_000
THRESHOLDS = [round(0.5 + 0.01 * i, 2) for i in range(50)]
COLUMNS, ROWS, SIDE, GAP = 8, 4, 64, 12


def draws(model: str, file: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each caption the similarities of its draws, and whether they are verbatim."""
    lines = (DATA / model / "generations.jsonl").read_text().splitlines()
    truth = {line["caption"]: line for line in map(json.loads, lines)}
    found = []
    for row in json.loads(file.read_text()):
        line = truth[row["prompt"]]
        if line["seeds"][0] != SEED or line["generations"] != COUNT or len(row["similarity"]) != COUNT:
            raise SystemExit(f"{row['prompt']}: not the draws of the truth")
        found.append((np.array(row["similarity"]), np.array(line["outcomes"][:COUNT], bool)))
    return found


def auc(parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    scores, verbatim = (np.concatenate(column) for column in zip(*parts))
    yes, no = scores[verbatim], np.sort(scores[~verbatim])
    below, up_to = np.searchsorted(no, yes, "left"), np.searchsorted(no, yes, "right")
    return float((below + up_to).sum() / (2 * len(yes) * len(no)))


def above(parts, threshold: float) -> tuple[float, float]:
    scores, verbatim = (np.concatenate(column) for column in zip(*parts))
    return float((scores[verbatim] > threshold).mean()), float((scores[~verbatim] > threshold).mean())


def draw_sheet(model: str, file: Path, threshold: float, target: Path) -> None:
    from PIL import Image

    lines = (DATA / "prompts.jsonl").read_text().splitlines()
    images = {line["caption"]: DATA / line["image"] for line in map(json.loads, lines) if line.get("image")}
    found = []
    for row, (similarity, verbatim) in zip(json.loads(file.read_text()), draws(model, file)):
        shown = zip(row["pictures"], similarity, verbatim)
        found += [(value, file.parent / path, images[row["prompt"]])
                  for path, value, copied in shown if value > threshold and not copied]
    chosen = sorted(random.Random(1).sample(found, COLUMNS * ROWS))
    sheet = Image.new("RGB", (COLUMNS * (2 * SIDE + GAP), ROWS * (SIDE + GAP)), "white")
    for i, (_, *pair) in enumerate(chosen):
        for j, path in enumerate(pair):
            place = (i % COLUMNS * (2 * SIDE + GAP) + j * SIDE, i // COLUMNS * (SIDE + GAP))
            sheet.paste(Image.open(path).convert("RGB").resize((SIDE, SIDE)), place)
    sheet.quantize(128).save(target, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL=FILE")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    models = dict(argument.split("=", 1) for argument in args.models)
    known = {model: draws(model, Path(file)) for model, file in models.items()}
    for model, parts in known.items():
        rng = np.random.default_rng(0)
        samples = [auc([parts[i] for i in rng.integers(len(parts), size=len(parts))]) for _ in range(RESAMPLES)]
        low, high = np.percentile(samples, [2.5, 97.5])
        verbatim = sum(int(is_verbatim.sum()) for _, is_verbatim in parts)
        others = COUNT * len(parts) - verbatim
        print(f"{model}: {verbatim} verbatim, {others} others, AUC {auc(parts):.3f} [{low:.3f}, {high:.3f}]")
        for threshold in THRESHOLDS[::5]:
            print("  above {:.2f}: {:.3f} of the verbatim, {:.3f} of the others".format(threshold, *above(parts, threshold)))
    first = next(iter(known.values()))
    best = max(THRESHOLDS, key=lambda threshold: above(first, threshold)[0] - above(first, threshold)[1])
    for model, parts in known.items():
        print("{}: above {}: {:.3f} of the verbatim, {:.3f} of the others".format(model, best, *above(parts, best)))
    if args.sheet:
        model, file = next(iter(models.items()))
        draw_sheet(model, Path(file), best, args.sheet)


if __name__ == "__main__":
    main()
