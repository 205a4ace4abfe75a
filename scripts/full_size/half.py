"""The same folder with its weights stored in float16, under the hub's plain file names."""

import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def write_half(folder: Path) -> Path:
    """Writes FOLDER-f16 beside `folder`."""
    target = folder.with_name(folder.name + "-f16")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
    for source in sorted(folder.glob("*/*.safetensors")):
        with safe_open(source, framework="pt") as weights:
            tensors = {name: to_half(weights.get_tensor(name)) for name in weights.keys()}
        save_file(tensors, target / source.relative_to(folder), metadata={"format": "pt"})
    return target


def to_half(tensor: torch.Tensor) -> torch.Tensor:
    """Indices keep their type."""
    return tensor.half() if tensor.is_floating_point() else tensor
