"""The PyTorch side, as a program of its own: what a user without memscope would write.

    torch_side.py forward FOLDER --threads N     one UNet forward per line of standard input, loaded in between
    torch_side.py gradient FOLDER --threads N    one gradient of ‖c − u‖₂ per line: in the prompt embedding and the latent
    torch_side.py step FOLDER --threads N --steps S      one step of AdamW on a prompt embedding per line, with M as loss
    torch_side.py detect FOLDER --threads N --prompts FILE --loop minimal|released

`minimal`: per prompt, one conditional and one empty-prompt pass at t = 981 and at t = 1 (4 sample-forwards).
`released`: the window that the released code times: the batch of both passes at t = 981 and at the cosine's timestep,
the scores, one DDIM step, and two more batches at t = 961 and at the cosine's timestep (8 sample-forwards).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "full_size"))
import philox  # noqa: E402

SEED = 42
T_NORM, T_COS = 981, 1
GUIDANCE = 7.5
# M of a model that predicts noise: the norm at T_NORM and twice the cosine at T_COS.
GAMMA_COS = 2.0
LEARNING_RATE, WEIGHT_DECAY = 0.05, 0.01
# The prompt of the gradient and the step.
PROMPT = "Mothers influence on her young hippo"


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


class Model:
    """Text encoder (for as long as it is needed) and UNet of a folder, in float32."""

    def __init__(self, folder: Path, prompts: list[str]):
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
        padding = {"padding": "max_length", "max_length": tokenizer.model_max_length, "truncation": True}
        # (P + 1, 77, D); the empty prompt last.
        ids = tokenizer([*prompts, ""], return_tensors="pt", **padding).input_ids
        self.contexts = encoder(ids).last_hidden_state.detach()
        self.unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval()
        self.unet.requires_grad_(False)
        size = self.unet.config.sample_size
        self.x = philox.latent(SEED, (1, self.unet.config.in_channels, size, size))
        self.scheduler = DDIMScheduler.from_config(DDIMScheduler.load_config(folder / "scheduler"))
        self.scheduler.set_timesteps(50)
        if self.scheduler.config.prediction_type != "epsilon":
            raise SystemExit(f"{folder}: the timed detection is written for models that predict noise")

    def pair(self, x: torch.Tensor, t: int, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs (1, C, H, W) for the empty prompt and for `context` (77, D), from one batch of two."""
        contexts = torch.stack([self.contexts[-1], context])
        empty, conditional = self.unet(x.repeat(2, 1, 1, 1), t, contexts).sample.chunk(2)
        return empty, conditional

    def scores(self, first: tuple, last: tuple) -> tuple[float, float]:
        cosine = torch.nn.functional.cosine_similarity(last[0], last[1] - last[0], dim=1).mean()
        return (first[1] - first[0]).norm().item(), cosine.item()

    def minimal(self, context: torch.Tensor) -> tuple[float, float]:
        return self.scores(self.pair(self.x, T_NORM, context), self.pair(self.x, T_COS, context))

    def released(self, context: torch.Tensor) -> tuple[float, float]:
        first, last = self.pair(self.x, T_NORM, context), self.pair(self.x, T_COS, context)
        scores = self.scores(first, last)
        guided = first[0] + GUIDANCE * (first[1] - first[0])
        x = self.scheduler.step(guided, T_NORM, self.x, eta=0.0).prev_sample
        self.pair(x, int(self.scheduler.timesteps[1]), context)
        self.pair(x, T_COS, context)
        return scores


def forward(model: Model, line: str) -> dict[str, float]:
    batch = int(line or 1)
    x, context = model.x.repeat(batch, 1, 1, 1), model.contexts[-1:].repeat(batch, 1, 1)
    return {"norm": model.unet(x, T_NORM, context).sample[0].norm().item()}


def gradient(model: Model, _: str) -> dict[str, float]:
    x = model.x.clone().requires_grad_()
    context = model.contexts[:1].clone().requires_grad_()
    loss = (model.unet(x, T_NORM, context).sample - model.unet(x, T_NORM, model.contexts[-1:]).sample).norm()
    of_context, of_x = torch.autograd.grad(loss, (context, x))
    return {"norm": loss.item(), "gradient.context": of_context.norm().item(), "gradient.x": of_x.norm().item()}


def optimise(model: Model, steps: int) -> None:
    """AdamW under M. The empty prompt's predictions do not move, so they are made once; a step is what a line asks for: both
    passes with gradient and the optimiser. After the last step the losses before each and after the last are said."""
    empty = model.contexts[-1:]
    with torch.no_grad():
        unconditional = {t: model.unet(model.x, t, empty).sample for t in (T_NORM, T_COS)}
    embedding = model.contexts[:1].clone().requires_grad_()
    optimiser = torch.optim.AdamW([embedding], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def anisotropy() -> torch.Tensor:
        differences = {t: model.unet(model.x, t, embedding).sample - u for t, u in unconditional.items()}
        cosine = torch.nn.functional.cosine_similarity(unconditional[T_COS], differences[T_COS], dim=1).mean()
        return differences[T_NORM].norm() + GAMMA_COS * cosine

    losses = []
    for _ in range(steps):
        sys.stdin.readline()
        start = time.perf_counter()
        optimiser.zero_grad()
        loss = anisotropy()
        loss.backward()
        # The start of the text has no gradient.
        embedding.grad[:, 0] = 0
        optimiser.step()
        losses.append(loss.item())
        del loss
        say(seconds=time.perf_counter() - start)
    sys.stdin.readline()
    with torch.no_grad():
        losses.append(anisotropy().item())
    say(losses=losses)


def serve(model: Model, work: Callable[[Model, str], dict[str, float]]) -> None:
    for line in sys.stdin:
        start = time.perf_counter()
        answer = work(model, line.strip())
        say(seconds=time.perf_counter() - start, **answer)


def detect(model: Model, prompts: list[str], loop: str) -> None:
    start = time.perf_counter()
    rows = []
    for prompt, context in zip(prompts, model.contexts, strict=False):
        norm, cosine = getattr(model, loop)(context)
        rows.append({"prompt": prompt, "norm": norm, "cosine": cosine})
    say(seconds=time.perf_counter() - start, results=rows)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["forward", "gradient", "step", "detect"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, default=1, help="of the optimisation")
    parser.add_argument("--prompts", type=Path, help="one prompt a line")
    parser.add_argument("--loop", choices=["minimal", "released"], default="minimal")
    arguments = parser.parse_args()
    if arguments.task == "detect" and arguments.prompts is None:
        parser.error("detect needs --prompts")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode(arguments.task not in ("gradient", "step")):
        run(arguments)


def run(arguments: argparse.Namespace) -> None:
    prompts = arguments.prompts.read_text(encoding="utf-8").splitlines() if arguments.prompts else []
    if arguments.task in ("gradient", "step"):
        prompts = [PROMPT]
    start = time.perf_counter()
    model = Model(arguments.folder, prompts)
    if arguments.task == "detect":
        detect(model, prompts, arguments.loop)
        return
    say(ready=time.perf_counter() - start, threads=torch.get_num_threads())
    if arguments.task == "step":
        optimise(model, arguments.steps)
        return
    serve(model, gradient if arguments.task == "gradient" else forward)


if __name__ == "__main__":
    main()
