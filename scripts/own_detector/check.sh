#!/usr/bin/env bash
# A Python detector and memscope's own on the same predictions: the same scores to 1e-5, in the same table.
# usage: check.sh MEMSCOPE PYTHON FOLDER   (Python with numpy and safetensors)
set -euo pipefail
memscope=$1 python=$2 folder=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
"$memscope" predictions export --model embedded:emoji-eps --prompts embedded:verified --prompts embedded:unseen \
    --seed 42 --seed 51 --generations 2 --out "$folder/predictions"
"$python" "$here/detector.py" "$folder/predictions" --out "$folder"
cat > "$folder/mine.yaml" <<YAML
name: mine
title: Detectors in Python beside memscope's own
tables: [detection, differences, ranks]
figures: [roc, scores]
models: [{source: "embedded:emoji-eps"}]
prompts: {memorized: embedded:verified, non_memorized: embedded:unseen}
noise: {seeds: [42, 51], generations: 2}
detectors:
  - {name: file, path: random.csv, label: Random}
  - {name: file, path: norm.csv, label: Norm in numpy}
  - {name: wen}
report: {generations: [1, 2]}
YAML
"$memscope" run "$folder/mine.yaml" --results "$folder/results" --overwrite
"$python" - "$folder/results/mine/scores.csv" <<'PYTHON'
import csv, sys

scores = {}
with open(sys.argv[1], encoding="utf-8") as file:
    for row in csv.DictReader(file):
        scores[row["detector"], row["n"], row["seed"], row["prompt"]] = float(row["score"])
own = {key[1:]: value for key, value in scores.items() if key[0] == "Wen norm"}
numpy = {key[1:]: value for key, value in scores.items() if key[0] == "Norm in numpy"}
assert own.keys() == numpy.keys() and own, "the same prompts, seeds and n"
most = max(abs(own[key] - numpy[key]) / abs(own[key]) for key in own)
print(f"{len(own)} scores, largest relative difference {most:.1e}")
assert most < 1e-5, most
PYTHON
