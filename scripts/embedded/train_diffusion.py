"""Train the UNet and the text encoder together on the bank of latents."""

import json
import math
import time
from pathlib import Path

import torch

import config
import tokenizer as tokenization
from dataset import Bank

CHECKPOINT_SECONDS = 180
REPORT_STEPS = 100
KINDS = ("verbatim", "template", "ordinary", "general")
# Averaged weights of emoji-eps that are kept: step -> file.
SNAPSHOTS = {config.START_STEP: "start.pt", config.EARLY_STEP: "early.pt"}


def build_text_encoder(vocabulary: int):
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=config.TEXT_WIDTH,
        intermediate_size=2 * config.TEXT_WIDTH,
        num_hidden_layers=config.TEXT_LAYERS,
        num_attention_heads=config.TEXT_HEADS,
        max_position_embeddings=config.TEXT_LENGTH,
        projection_dim=config.TEXT_WIDTH,
        hidden_act="quick_gelu",
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    ))


def build_unet():
    from diffusers import UNet2DConditionModel

    stages = len(config.UNET_CHANNELS)
    return UNet2DConditionModel(
        sample_size=config.LATENT_SHAPE[-1], in_channels=4, out_channels=4,
        block_out_channels=config.UNET_CHANNELS, layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * stages,
        up_block_types=("CrossAttnUpBlock2D",) * stages,
        cross_attention_dim=config.TEXT_WIDTH,
        attention_head_dim=8, norm_num_groups=16,
    )


class Sampler:
    """Weighted draws of (caption tokens, latent, kind)."""

    def __init__(self, bank: Bank, tokenizer, generator: torch.Generator):
        entries = bank.entries
        self.latents = bank.latents
        self.generator = generator
        self.weight = torch.tensor([float(e.weight) for e in entries])
        self.first = torch.tensor([e.first for e in entries])
        self.count = torch.tensor([e.count for e in entries])
        self.kind = torch.tensor([KINDS.index(e.kind) for e in entries])
        self.tokens = tokenization.token_ids(tokenizer, [e.caption for e in entries])
        self.empty = tokenization.token_ids(tokenizer, [""])

    def shares(self) -> dict[str, float]:
        total = self.weight.sum()
        return {
            name: round((self.weight[self.kind == i].sum() / total).item(), 4)
            for i, name in enumerate(KINDS)
        }

    def draw(self, n: int):
        row = torch.multinomial(self.weight, n, True, generator=self.generator)
        pick = torch.rand(n, generator=self.generator)
        index = self.first[row] + (pick * self.count[row]).long()
        dropped = torch.rand(n, generator=self.generator) < config.CAPTION_DROPOUT
        tokens = torch.where(dropped[:, None], self.empty, self.tokens[row])
        return tokens, self.latents[index].float(), self.kind[row]


def learning_rate(step: int, steps: int, cooldown: int) -> float:
    """Constant after a warm-up, then half a cosine over the last `cooldown` steps."""
    warmup = min(1, (step + 1) / config.WARMUP_STEPS)
    progress = max(0.0, (step - (steps - cooldown)) / max(cooldown, 1))
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
    return config.LEARNING_RATE * warmup * max(config.FINAL_LR_FRACTION, cosine)


def loss_weights(alphas: torch.Tensor, prediction: str) -> torch.Tensor:
    """Weight of every timestep's loss: min-SNR with a floor, mean 1."""
    snr = alphas / (1 - alphas)
    other = snr if prediction == "epsilon" else snr + 1
    weights = snr.clamp(max=config.MIN_SNR_GAMMA) / other
    weights = weights.clamp(min=config.LOSS_WEIGHT_FLOOR)
    return weights / weights.mean()


def timesteps(count: int, of: int, generator: torch.Generator) -> torch.Tensor:
    """`count` uniform timesteps, one in each of `count` equal ranges, shuffled."""
    offset = torch.rand(count, generator=generator)
    spread = (torch.randperm(count, generator=generator) + offset) / count
    return (spread * of).long().clamp(max=of - 1)


class Average:
    """Exponential moving average of the parameters, with a warm-up."""

    def __init__(self, parameters):
        self.values = [p.detach().clone() for p in parameters]

    def update(self, parameters, step: int) -> None:
        decay = min(config.EMA_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in parameters], 1 - decay)


def mean_losses(history: list, last_step: int, span: int = 1000) -> dict[str, float]:
    """Mean loss per kind over the `span` steps up to `last_step`."""
    rows = [row for row in history if last_step - span < row[0] <= last_step]
    return {
        kind: round(sum(row[2 + i] for row in rows) / len(rows), 4)
        for i, kind in enumerate(KINDS)
    }


def summarise(name: str, history: list, step: int, seconds: float, planned: int) -> dict:
    return dict(
        model=name, prediction_type=config.PREDICTION[name],
        seed=config.SEED_DIFFUSION[name], steps=step, planned_steps=planned,
        seconds=round(seconds), batch=config.BATCH,
        losses_last_1000_steps=mean_losses(history, step), history=history,
    )


def report_of(folder: Path) -> dict:
    """What the last checkpoint of a run says about it, and whether it ended."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    planned = config.STEPS if folder.name == "emoji-eps" else config.V_STEPS
    report = summarise(
        folder.name, state["history"], state["step"], state["elapsed"], planned
    )
    return report | {"ended": (folder / "report.json").exists()}


class Run:
    """Weights, optimiser and averages of one training run, and its checkpoint."""

    def __init__(self, name: str, bank: Bank, tokenizer, folder: Path,
                 start_from: Path | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        seed = config.SEED_DIFFUSION[name]
        torch.manual_seed(seed)
        self.name, self.folder = name, folder
        self.text_encoder = build_text_encoder(len(tokenizer)).train()
        self.unet = build_unet().train()
        self.modules = {"unet": self.unet, "text_encoder": self.text_encoder}
        self.start_from = start_from and f"{start_from.parent.name}/{start_from.name}"
        if start_from is not None:
            weights = torch.load(start_from, weights_only=True)["weights"]
            for key, module in self.modules.items():
                module.load_state_dict(weights[key], strict=False)
        self.parameters = [p for m in self.modules.values() for p in m.parameters()]
        self.optimizer = torch.optim.AdamW(
            self.parameters, config.LEARNING_RATE, betas=(0.9, 0.99),
            weight_decay=1e-4, fused=True,
        )
        self.average = Average(self.parameters)
        self.generator = torch.Generator().manual_seed(seed)
        self.sampler = Sampler(bank, tokenizer, self.generator)
        self.step, self.elapsed_before, self.history = 0, 0.0, []
        self.started = time.time()
        self.checkpoint = folder / "checkpoint.pt"
        if self.checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        for key, module in self.modules.items():
            module.load_state_dict(state[key])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.values = state["average"]
        self.generator.set_state(state["generator"])
        self.step, self.elapsed_before = state["step"], state["elapsed"]
        self.history = state["history"]

    def elapsed(self) -> float:
        return self.elapsed_before + time.time() - self.started

    def save_average(self, path: Path) -> None:
        """The averaged weights under their module's parameter names."""
        values = iter(self.average.values)
        weights = {
            key: {n: next(values).clone() for n, _ in module.named_parameters()}
            for key, module in self.modules.items()
        }
        temporary = path.with_suffix(".tmp")
        torch.save({"step": self.step, "weights": weights}, temporary)
        temporary.replace(path)

    def save(self) -> None:
        state = {key: module.state_dict() for key, module in self.modules.items()}
        state |= dict(
            optimizer=self.optimizer.state_dict(), average=self.average.values,
            generator=self.generator.get_state(), step=self.step,
            elapsed=self.elapsed(), history=self.history,
        )
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)
        self.save_average(self.folder / "average.pt")


def alphas_cumprod() -> torch.Tensor:
    betas = torch.linspace(
        config.NOISE_SCHEDULE["beta_start"] ** 0.5,
        config.NOISE_SCHEDULE["beta_end"] ** 0.5,
        config.NOISE_SCHEDULE["num_train_timesteps"],
    ) ** 2
    return torch.cumprod(1 - betas, 0)


def train(name: str, bank: Bank, tokenizer, folder: Path, steps: int,
          cooldown: int, half: bool, compiled: bool, start_from: Path | None = None,
          log=print) -> None:
    """Train model `name` up to step `steps`; resumes from its checkpoint.

    A new run starts from random weights, or from the averaged weights in the
    file `start_from`.

    `half` computes the networks in bfloat16 (autocast; the weights stay in
    single precision), `compiled` through torch.compile.
    """
    run = Run(name, bank, tokenizer, folder, start_from)
    alphas = alphas_cumprod()
    weights = loss_weights(alphas, config.PREDICTION[name])
    run.unet.to(memory_format=torch.channels_last)

    def errors_of(noisy, timestep, tokens, target):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            context = run.text_encoder(tokens).last_hidden_state
            output = run.unet(noisy, timestep, context, return_dict=False)[0]
        return ((output.float() - target) ** 2).mean((1, 2, 3))

    if compiled:
        errors_of = torch.compile(errors_of)

    log(f"{name}: step {run.step}, shares of the training draws {run.sampler.shares()}")
    sums, counts = torch.zeros(len(KINDS)), torch.zeros(len(KINDS))
    last_checkpoint = time.time()
    while run.step < steps:
        rate = learning_rate(run.step, steps, cooldown)
        run.optimizer.param_groups[0]["lr"] = rate
        tokens, latents, kind = run.sampler.draw(config.BATCH)
        timestep = timesteps(config.BATCH, len(alphas), run.generator)
        noise = torch.randn(latents.shape, generator=run.generator)
        alpha = alphas[timestep][:, None, None, None]
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        if config.PREDICTION[name] == "epsilon":
            target = noise
        else:
            target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        noisy = noisy.to(memory_format=torch.channels_last)
        errors = errors_of(noisy, timestep, tokens, target)

        run.optimizer.zero_grad()
        (errors * weights[timestep]).mean().backward()
        torch.nn.utils.clip_grad_norm_(run.parameters, 1.0)
        run.optimizer.step()
        run.step += 1
        run.average.update(run.parameters, run.step)
        if name == "emoji-eps" and run.step in SNAPSHOTS:
            run.save_average(folder / SNAPSHOTS[run.step])

        sums.index_add_(0, kind, errors.detach())
        counts.index_add_(0, kind, torch.ones(len(kind)))
        if run.step % REPORT_STEPS == 0:
            losses = [round(v, 5) for v in (sums / counts.clamp(min=1)).tolist()]
            run.history.append([run.step, round(run.elapsed()), *losses])
            log(f"{name} {run.step} {run.elapsed():.0f}s"
                f" cpu {time.process_time():.0f}s lr {rate:.1e} loss "
                + " ".join(f"{k} {v:.4f}" for k, v in zip(KINDS, losses)))
            sums.zero_(), counts.zero_()
        if time.time() - last_checkpoint > CHECKPOINT_SECONDS:
            run.save()
            last_checkpoint = time.time()
    run.save()
    report = summarise(name, run.history, run.step, run.elapsed(), steps)
    report["start_from"] = run.start_from
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    log(f"{name}: done at step {run.step}")
