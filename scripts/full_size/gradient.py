"""What plain PyTorch computes as the gradient of a folder's guidance norm ‖c − u‖₂ at t = 981.

c and u are the UNet's raw outputs for the first prompt and for the empty one. The latent x and the prompt embeddings are
those of the folder's reference, which stays as it is; the gradients go into files of their own beside it.
"""

import gc
import json
import resource
import time
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from shared import library_versions, relative_error, write_json

TIMESTEP = 981
NAMES = ("gradient.loss", "gradient.x", "gradient.context")


def gradients(unet, inputs: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The loss (), its gradient in x (1, C, H, W), which enters both passes, and in the prompt (1, 77, D)."""
    embeddings = inputs["last_hidden_state"].to(dtype)
    x = inputs["x"].to(dtype).requires_grad_()
    context = embeddings[:1].clone().requires_grad_()
    loss = (unet(x, TIMESTEP, context).sample - unet(x, TIMESTEP, embeddings[-1:]).sample).norm()
    values = (loss.detach(), *torch.autograd.grad(loss, (x, context)))
    for name, value in zip(NAMES, values, strict=True):
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} is not finite")
    return dict(zip(NAMES, values, strict=True))


def write_gradient(folder: Path, float64: bool) -> None:
    """Writes FOLDER.gradient.safetensors and FOLDER.gradient.json; FOLDER.reference must be there."""
    reference = folder.with_name(folder.name + ".reference.safetensors")
    inputs = load_file(reference)
    record = json.loads((folder / "memscope.json").read_text()) | {
        "made_by": "scripts/full_size/make_full_size.py --gradient",
        "libraries": library_versions(),
        "inputs": reference.name,
        "timestep": TIMESTEP,
        "threads": torch.get_num_threads(),
        "float32_error": {},
    }
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval()
    unet.requires_grad_(False)
    start, cpu = time.monotonic(), time.process_time()
    tensors = gradients(unet, inputs, torch.float32)
    record["wall_seconds"] = round(time.monotonic() - start, 2)
    record["cpu_seconds"] = round(time.process_time() - cpu, 2)
    record["peak_resident_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{folder.name}: gradient {record['wall_seconds']:.0f} s", flush=True)
    if float64:
        gc.collect()
        exact = gradients(unet.double(), inputs, torch.float64)
        record["float32_error"] = {n: float(f"{relative_error(tensors[n], exact[n]):.2e}") for n in NAMES}
    path = folder.with_name(folder.name + ".gradient.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"weights": "random"})
    write_json(path.with_suffix(".json"), record)
    print(f"{path}: float32 error {record['float32_error']}", flush=True)
