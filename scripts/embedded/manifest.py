"""data/embedded/manifest.json: what the models were made from, and with what."""

import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path

import torch

import config
import icons
import train_diffusion

LIBRARIES = (
    "torch", "diffusers", "transformers", "tokenizers", "safetensors", "accelerate",
    "huggingface_hub", "numpy", "peft", "pillow", "resvg_py", "scikit-learn", "scipy",
)
EXTRAS = ("judges", "emoji-eps-lora")   # folders beside the models


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): _digest(path)
        for path in sorted(folder.rglob("*.safetensors"))
    }


def _report(path: Path):
    return json.loads(path.read_text()) if path.exists() else None


def write(work: Path, output: Path) -> None:
    sources = {}
    all_sets = config.ICON_SETS | config.FINETUNE_SET
    for style, tarball in icons.fetch(work, all_sets).items():
        package, version, licence, digest = all_sets[style]
        raw, _ = icons.read_json(tarball)
        _, information = icons.read_json(tarball, "info.json")
        sources[style] = dict(
            package=package, version=version, licence=licence,
            author=information["author"],
            tarball_sha256=digest, icons_json_sha256=hashlib.sha256(raw).hexdigest(),
        )
    constants = {
        name.lower(): value for name, value in vars(config).items()
        if name.isupper() and name not in ("REPO", "OUTPUT", "DEFAULT_WORK", "ICON_SETS", "FINETUNE_SET")
    }
    models = {}
    for name in config.MODELS:
        folder = output / name
        run = name.removesuffix("-early")
        report = train_diffusion.report_of(work / run)
        del report["history"]
        if name != run:
            step = torch.load(work / run / "early.pt", weights_only=True)["step"]
            report = dict(run=run, steps=step)
        models[name] = dict(
            training=report,
            sha256=_digests(folder),
        )
    value = dict(
        icon_sets=sources,
        constants=constants,
        vae=_report(work / "vae.json"),
        caption_classifier=_report(work / "classifier.json"),
        models=models,
        extras={name: _digests(output / name) for name in EXTRAS},
        prompts_sha256=_digest(output / "prompts.jsonl"),
        python=platform.python_version(),
        libraries={name: metadata.version(name) for name in LIBRARIES},
    )
    text = json.dumps(value, indent=2, ensure_ascii=False)
    (output / "manifest.json").write_text(text + "\n")
