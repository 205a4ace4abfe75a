"""What plain PyTorch computes with a folder: the networks' outputs, and the norm and cosine of a few prompts.

One network is in memory at a time. Shapes: latent (1, C, H, W), prompt embedding (P, 77, D).
"""

import gc
import hashlib
import json
import time
from pathlib import Path

import philox
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from shared import library_versions, relative_error, seed_of, write_json
from transformers import CLIPTextModel, CLIPTokenizer

# The first and the last are the ones the UNet is asked about; the third is longer than the context.
PROMPTS = [
    "Mothers influence on her young hippo",
    "The No Limits Business Woman Podcast!",
    " ".join(["a photograph of an astronaut riding a horse on the moon, 4k, highly detailed"] * 8),
    "",
]
TIMESTEPS = (981, 1)
VAE_LATENT = (1, 4, 16, 16)
SEED = 42
DETECTED = PROMPTS[:2]


class Reference:
    """Tensors and numbers of one folder, and how they came about."""

    def __init__(self, folder: Path, float64: bool):
        self.folder = folder
        self.float64 = float64
        self.tensors: dict[str, torch.Tensor] = {}
        marker = json.loads((folder / "memscope.json").read_text())
        self.record: dict = marker | {
            "made_by": "scripts/full_size/make_full_size.py",
            "libraries": library_versions(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "weights_sha256": {},
            "prompts": PROMPTS,
            "timesteps": list(TIMESTEPS),
            "seeds": {},
            "float32_error": {},
        }

    def normal(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal float32 numbers of torch's CPU generator, from a seed of this folder and name."""
        seed = seed_of(f"full size reference/{self.folder.name}/{name}")
        self.record["seeds"][name] = seed
        return self.add(name, torch.randn(shape, generator=torch.Generator().manual_seed(seed)))

    def add(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} is not finite")
        self.tensors[name] = tensor.detach().clone().contiguous()
        return tensor

    def compare(self, name: str, exact: torch.Tensor) -> None:
        """Records the distance of a stored tensor from the same in float64: the floor of a float32 comparison."""
        self.record["float32_error"][name] = float(f"{relative_error(self.tensors[name], exact):.2e}")

    def digest(self, file: str) -> None:
        with (self.folder / file).open("rb") as weights:
            self.record["weights_sha256"][file] = hashlib.file_digest(weights, "sha256").hexdigest()

    def text_encoder(self) -> torch.Tensor:
        """(P, 77, D) last hidden states after the final layer norm."""
        tokenizer = CLIPTokenizer.from_pretrained(self.folder / "tokenizer")
        encoder = CLIPTextModel.from_pretrained(self.folder / "text_encoder", dtype=torch.float32).eval()
        padding = {"padding": "max_length", "max_length": tokenizer.model_max_length, "truncation": True}
        ids = self.add("input_ids", tokenizer(PROMPTS, return_tensors="pt", **padding).input_ids)
        hidden = self.add("last_hidden_state", encoder(ids).last_hidden_state)
        if self.float64:
            self.compare("last_hidden_state", encoder.double()(ids).last_hidden_state)
        self.digest("text_encoder/model.safetensors")
        return hidden

    def unet(self, context: torch.Tensor) -> None:
        """Outputs at both timesteps, then norm and cosine of the detected prompts."""
        unet = UNet2DConditionModel.from_pretrained(self.folder / "unet", torch_dtype=torch.float32).eval()
        shape = (1, unet.config.in_channels, *[unet.config.sample_size] * 2)
        x = self.normal("x", shape)

        def predict(x: torch.Tensor, t: int, embedding: torch.Tensor) -> torch.Tensor:
            return unet(x, t, embedding.to(x.dtype)).sample

        for t in TIMESTEPS:
            self.add(f"output.t{t}", predict(x, t, context[:1]))
        self.record["detection"] = self.detect(predict, shape, context)
        self.digest("unet/diffusion_pytorch_model.safetensors")
        if self.float64:
            unet.double()
            for t in TIMESTEPS:
                self.compare(f"output.t{t}", predict(x.double(), t, context[:1]))

    def detect(self, predict, shape: tuple[int, ...], context: torch.Tensor) -> dict:
        """N = ‖D‖₂ at t = 981 and C, the mean over positions of the channel cosine of u and c − u, at t = 1.

        ε-models: D = c − u. v-models, as the released code has it: D = ((a c − x) − (a u − x)) / (1 − ᾱ), which is
        a (c − u) / (1 − ᾱ) in exact arithmetic.
        """
        scheduler = DDIMScheduler.from_config(DDIMScheduler.load_config(self.folder / "scheduler"))
        abar = scheduler.alphas_cumprod[981].double()
        is_v = scheduler.config.prediction_type == "v_prediction"
        scale = (abar.sqrt() / (1 - abar)).item() if is_v else 1.0
        x = self.add("detection.x_T", philox.latent(SEED, shape))
        empty = {t: predict(x, t, context[-1:]).double() for t in TIMESTEPS}
        rows = []
        for prompt, embedding in zip(DETECTED, context, strict=False):
            difference = {t: predict(x, t, embedding[None]).double() - empty[t] for t in TIMESTEPS}
            cosine = torch.nn.functional.cosine_similarity(empty[1], difference[1], dim=1).mean()
            norm = scale * difference[981].norm()
            rows.append({"prompt": prompt, "norm": norm.item(), "cosine": cosine.item()})
        return {"generator": "torch-cuda", "seed": SEED, "protocol": "table1", "rows": rows}

    def vae(self) -> None:
        """(1, 3, 128, 128) decoder output of a small latent, not clamped."""
        vae = AutoencoderKL.from_pretrained(self.folder / "vae", torch_dtype=torch.float32).eval()
        latent = self.normal("vae.latent", VAE_LATENT)
        scale = vae.config.scaling_factor
        self.add("vae.decoded", vae.decode(latent / scale).sample)
        if self.float64:
            self.compare("vae.decoded", vae.double().decode(latent.double() / scale).sample)
        self.digest("vae/diffusion_pytorch_model.safetensors")

    def save(self) -> Path:
        """Writes FOLDER.reference.safetensors and FOLDER.reference.json beside the folder."""
        path = self.folder.with_name(self.folder.name + ".reference.safetensors")
        save_file(self.tensors, path, metadata={"weights": "random"})
        write_json(path.with_suffix(".json"), self.record)
        return path


@torch.no_grad()
def write_reference(folder: Path, float64: bool) -> None:
    reference = Reference(folder, float64)
    context = None
    for part in ("text_encoder", "unet", "vae"):
        start = time.monotonic()
        if part == "text_encoder":
            context = reference.text_encoder()
        elif part == "unet":
            reference.unet(context)
        else:
            reference.vae()
        gc.collect()
        print(f"{folder.name}: {part} {time.monotonic() - start:.0f} s", flush=True)
    print(f"{reference.save()}: float32 error {reference.record['float32_error']}", flush=True)
