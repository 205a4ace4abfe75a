"""Makes a results folder of 5,000 prompts and as many rows of large pictures, to see what its report costs.

    python many.py MEMSCOPE FOLDER [--prompts 5000]

Scores are made up (detectors read from files; no network is asked); the pictures are 256 x 256 and hard to compress.
Then: `memscope report FOLDER/results` and `check.py FOLDER/results/report.html`. Needs Pillow and numpy.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
from pathlib import Path

import numpy
from PIL import Image

DETECTORS = 7
SEEDS = (42, 51, 53)
# Different pictures; the rows of the gallery take them in turn.
PICTURES = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("memscope")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=5000)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"a made-up caption of ordinary length, number {at}" for at in range(arguments.prompts)]
    half = len(names) // 2
    (folder / "memorized.txt").write_text("\n".join(names[:half]) + "\n", encoding="utf-8")
    (folder / "others.txt").write_text("\n".join(names[half:]) + "\n", encoding="utf-8")
    random = numpy.random.default_rng(0)
    for detector in range(DETECTORS):
        with (folder / f"{detector}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["prompt", "seed", "score"])
            for seed in SEEDS:
                scores = random.normal(0.2 * detector * (numpy.arange(len(names)) < half), 1.0)
                rows.writerows(zip(names, [seed] * len(names), scores.tolist()))
    detectors = "\n".join(f"  - {{name: file, path: {at}.csv, label: Detector {at + 1}}}" for at in range(DETECTORS))
    (folder / "many.yaml").write_text(
        "name: many\ntitle: Many prompts\ntables: [detection, differences, ranks]\nfigures: [roc, scores]\n"
        'models: [{source: "embedded:emoji-eps"}]\n'
        "prompts: {memorized: {file: memorized.txt}, non_memorized: {file: others.txt}}\n"
        f"noise: {{seeds: {list(SEEDS)}, generations: 1}}\ndetectors:\n{detectors}\n"
        "report: {generations: [1], resamples: 100}\n",
        encoding="utf-8",
    )
    results = folder / "results"
    subprocess.run([arguments.memscope, "run", "many.yaml", "--results", "results", "--overwrite"], cwd=folder, check=True)
    gallery(results / "many", names, random)


def gallery(run: Path, names: list[str], random: numpy.random.Generator) -> None:
    """Rows of pictures, entered in the manifest as a run enters its own."""
    (run / "gallery").mkdir(exist_ok=True)
    hashes = {}
    for at in range(PICTURES):
        coarse = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=numpy.uint8)).resize((256, 256), Image.BICUBIC)
        picture = numpy.asarray(coarse).astype(int) + random.integers(-20, 21, (256, 256, 3))
        path = run / "gallery" / f"{at}.png"
        Image.fromarray(picture.clip(0, 255).astype(numpy.uint8)).save(path)
        hashes[f"gallery/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = [
        {
            "model": "embedded:emoji-eps",
            "prompt": name,
            "label": "made up",
            "truth": f"{at % PICTURES}.png",
            "drawn": [f"{(at + more) % PICTURES}.png" for more in range(1, 5)],
        }
        for at, name in enumerate(names)
    ]
    index = run / "gallery" / "gallery.json"
    index.write_text(json.dumps(rows), encoding="utf-8")
    hashes["gallery/gallery.json"] = hashlib.sha256(index.read_bytes()).hexdigest()
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"].update(hashes)
    (run / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
