"""Writes a folder's model as one file in the layout of latent-diffusion checkpoints (LDM).

    python single_file.py --out DIR --models sd14 sd20 --half

DIR is what make_full_size.py wrote. diffusers' own `from_single_file` reads the UNet and the VAE back and must find the
folder's weights. Version 2 exists with epsilon and v-prediction: beside the folder, which predicts v, one of the same
weights is made (by links) that predicts epsilon at 64x64, as the published base model of version 2 does. See README.md.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from architectures import ARCHITECTURES
from diffusers import AutoencoderKL, UNet2DConditionModel
from half import to_half
from ldm_layout import folder_tensors, text_to_clip, text_to_open_clip, unet_to_ldm, vae_to_ldm
from safetensors.torch import save_file
from shared import write_json


def write_single_file(folder: Path, is_second: bool, half: bool) -> Path:
    """Writes FOLDER.safetensors beside the folder."""
    vae = json.loads((folder / "vae/config.json").read_text())
    tensors = unet_to_ldm(folder)
    tensors |= vae_to_ldm(folder_tensors(folder / "vae"), len(vae["block_out_channels"]))
    tensors |= (text_to_open_clip if is_second else text_to_clip)(folder / "text_encoder")
    if half:
        tensors = {name: to_half(tensor) for name, tensor in tensors.items()}
    path = folder.with_name(folder.name + ".safetensors")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    return path


def check(path: Path, folder: Path) -> None:
    """diffusers must read the folder's weights from the file."""
    for network, part in ((UNet2DConditionModel, "unet"), (AutoencoderKL, "vae")):
        loaded = network.from_single_file(
            str(path), config=str(folder), subfolder=part, torch_dtype=torch.float32, low_cpu_mem_usage=False
        )
        theirs, ours = loaded.state_dict(), folder_tensors(folder / part)
        if set(theirs) != set(ours):
            raise ValueError(f"{path}: diffusers finds other tensors: {sorted(set(theirs) ^ set(ours))[:5]}")
        for name, tensor in ours.items():
            if not torch.equal(theirs[name].flatten(), tensor.float().flatten()):
                raise ValueError(f"{path}: diffusers reads other numbers for {name}")
        print(f"{path}: diffusers reads the {part} of {folder.name} back, {len(ours)} tensors", flush=True)


def write_epsilon_twin(folder: Path) -> Path:
    """The same weights as a model that predicts epsilon at 64x64."""
    twin = folder.with_name(folder.name + "-epsilon")
    shutil.rmtree(twin, ignore_errors=True)
    twin.mkdir()
    for source in sorted(folder.rglob("*")):
        target = twin / source.relative_to(folder)
        if source.is_dir():
            target.mkdir(parents=True)
        elif source.suffix == ".safetensors":
            target.symlink_to(source.resolve())
        else:
            shutil.copy(source, target)
    for file, changes in (
        ("scheduler/scheduler_config.json", {"prediction_type": "epsilon"}),
        ("unet/config.json", {"sample_size": 64}),
    ):
        write_json(twin / file, json.loads((twin / file).read_text()) | changes)
    return twin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the folders are")
    parser.add_argument("--models", nargs="+", choices=list(ARCHITECTURES), default=list(ARCHITECTURES))
    parser.add_argument("--half", action="store_true", help="of the folders with weights in float16 (-f16)")
    arguments = parser.parse_args()
    for name in arguments.models:
        folder = arguments.out / (ARCHITECTURES[name].folder_name + ("-f16" if arguments.half else ""))
        is_second = name != "sd14"
        path = write_single_file(folder, is_second, arguments.half)
        print(f"{path}: {path.stat().st_size / 1e9:.2f} GB", flush=True)
        check(path, folder)
        if is_second:
            print(f"{write_epsilon_twin(folder)}: written", flush=True)


if __name__ == "__main__":
    main()
