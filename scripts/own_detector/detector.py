"""A detector in Python on memscope's own noise and predictions: Wen's norm, and one that guesses.

    memscope predictions export --model embedded:emoji-eps --prompts embedded:verified --prompts embedded:unseen \
        --seed 42 --seed 51 --generations 2 --out predictions
    python detector.py predictions --out .

writes norm.csv and random.csv, which an experiment lists beside memscope's detectors:

    detectors: [{name: file, path: random.csv, label: Random}, {name: file, path: norm.csv, label: Norm in numpy}, {name: wen}]
"""

import argparse
import csv
import json
import pathlib

import numpy as np
from safetensors.numpy import load_file


def batches(folder: pathlib.Path):
    """Yields what index.json says of a file, and its tensors."""
    index = json.loads((folder / "index.json").read_text())
    for file in index["files"]:
        yield file, load_file(folder / file["file"])


def norm(tensors) -> np.ndarray:
    """(prompts,) L2 norm of conditional minus unconditional prediction at the first timestep (docs/spec/protocol.md §4)."""
    direction = tensors["conditional"][:, 0].astype(np.float64) - tensors["unconditional"][0]
    return np.sqrt((direction**2).sum(axis=(1, 2, 3)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    args = parser.parse_args()
    random = np.random.default_rng(0)
    detectors = {"norm": norm, "random": lambda tensors: random.random(len(tensors["conditional"]))}
    rows = {name: [] for name in detectors}
    for file, tensors in batches(args.predictions):
        for name, detector in detectors.items():
            for prompt, score in zip(file["prompts"], detector(tensors), strict=True):
                rows[name].append((prompt, file["seed"], file["generation"], repr(float(score))))
    for name, table in rows.items():
        with open(args.out / f"{name}.csv", "w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["prompt", "seed", "generation", "score"])
            writer.writerows(table)


if __name__ == "__main__":
    main()
