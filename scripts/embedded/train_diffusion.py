"""Train the UNet and the text encoder together on the bank of latents."""

import json
import math
import time
from pathlib import Path

import torch

import config
import tokenizer as tokenization
from dataset import Bank

CHECKPOINT_SECONDS = 600
REPORT_STEPS = 100
KINDS = ("verbatim", "template", "general")


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

    def set_step(self, step: int) -> None:
        """Use the weight of the general captions that holds at `step`."""
        current = [weight for first, weight in config.GENERAL_WEIGHTS if step >= first]
        self.weight[self.kind == KINDS.index("general")] = current[-1]

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


def learning_rate(step: int, progress: float) -> float:
    warmup = min(1, (step + 1) / config.WARMUP_STEPS)
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
    return config.LEARNING_RATE * warmup * max(config.FINAL_LR_FRACTION, cosine)


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
    report = summarise(
        folder.name, state["history"], state["step"], state["elapsed"], config.STEPS
    )
    return report | {"ended": (folder / "report.json").exists()}


def train(name: str, bank: Bank, tokenizer, folder: Path,
          steps: int, seconds: float, compiled: bool, log=print) -> None:
    """Train model `name`; resumes from folder/checkpoint.pt if there is one.

    `compiled` trains through torch.compile: minutes to start, then a third
    more steps per second on one core. Progress through the schedule is the larger of step/steps and
    elapsed/seconds, so a wall-clock limit shortens the schedule without
    cutting off the learning-rate decay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seed = config.SEED_DIFFUSION[name]
    prediction = config.PREDICTION[name]
    torch.manual_seed(seed)
    text_encoder = build_text_encoder(len(tokenizer)).train()
    unet = build_unet().train()
    modules = {"unet": unet, "text_encoder": text_encoder}
    parameters = [p for module in modules.values() for p in module.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, config.LEARNING_RATE, betas=(0.9, 0.99),
        weight_decay=1e-4, fused=True,
    )
    average = Average(parameters)
    generator = torch.Generator().manual_seed(seed)
    sampler = Sampler(bank, tokenizer, generator)
    betas = torch.linspace(
        config.NOISE_SCHEDULE["beta_start"] ** 0.5,
        config.NOISE_SCHEDULE["beta_end"] ** 0.5,
        config.NOISE_SCHEDULE["num_train_timesteps"],
    ) ** 2
    alphas = torch.cumprod(1 - betas, 0)

    step, elapsed_before, early_saved, history = 0, 0.0, False, []
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        for key, module in modules.items():
            module.load_state_dict(state[key])
        optimizer.load_state_dict(state["optimizer"])
        average.values = state["average"]
        generator.set_state(state["generator"])
        step, elapsed_before = state["step"], state["elapsed"]
        history = state["history"]
        early_saved = (folder / "early.pt").exists()
        log(f"{name}: resumed at step {step}")
    start = time.time()

    def elapsed():
        return elapsed_before + time.time() - start

    def save_average(path: Path):
        """The averaged weights under their module's parameter names."""
        values = iter(average.values)
        weights = {
            key: {n: next(values).clone() for n, _ in module.named_parameters()}
            for key, module in modules.items()
        }
        torch.save({"step": step, "weights": weights}, path)

    def save_checkpoint():
        state = {key: module.state_dict() for key, module in modules.items()}
        state |= dict(
            optimizer=optimizer.state_dict(), average=average.values,
            generator=generator.get_state(), step=step, elapsed=elapsed(),
            history=history,
        )
        temporary = checkpoint.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(checkpoint)
        save_average(folder / "average.pt")
        log(f"{name}: checkpoint at step {step}")

    def errors_of(noisy, timestep, tokens, target):
        context = text_encoder(tokens).last_hidden_state
        output = unet(noisy, timestep, context, return_dict=False)[0]
        return ((output - target) ** 2).mean((1, 2, 3))

    if compiled:
        errors_of = torch.compile(errors_of)

    log(f"{name}: shares of the training draws {sampler.shares()}")
    sums, counts = torch.zeros(len(KINDS)), torch.zeros(len(KINDS))
    last_checkpoint = time.time()
    while True:
        progress = max(step / steps, elapsed() / seconds)
        if progress >= config.EARLY_FRACTION and not early_saved:
            save_average(folder / "early.pt")
            early_saved = True
            log(f"{name}: early weights kept at step {step}")
        if progress >= 1:
            break
        optimizer.param_groups[0]["lr"] = learning_rate(step, progress)

        sampler.set_step(step)
        tokens, latents, kind = sampler.draw(config.BATCH)
        timestep = torch.randint(0, len(alphas), (config.BATCH,), generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        alpha = alphas[timestep][:, None, None, None]
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        if prediction == "epsilon":
            target = noise
        else:
            target = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        errors = errors_of(noisy, timestep, tokens, target)

        optimizer.zero_grad()
        errors.mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        average.update(parameters, step)

        sums.index_add_(0, kind, errors.detach())
        counts.index_add_(0, kind, torch.ones(len(kind)))
        if step % REPORT_STEPS == 0:
            losses = [round(v, 5) for v in (sums / counts.clamp(min=1)).tolist()]
            history.append([step, round(elapsed()), *losses])
            log(f"{name} {step} {elapsed():.0f}s {step / elapsed():.2f}/s"
                f" lr {learning_rate(step, progress):.1e} loss "
                + " ".join(f"{k} {v:.4f}" for k, v in zip(KINDS, losses)))
            sums.zero_(), counts.zero_()
        if time.time() - last_checkpoint > CHECKPOINT_SECONDS:
            save_checkpoint()
            last_checkpoint = time.time()
    save_checkpoint()
    report = summarise(name, history, step, elapsed(), steps)
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    with open(folder / "losses.csv", "w") as file:
        file.write("step,seconds," + ",".join(KINDS) + "\n")
        file.writelines(",".join(map(str, row)) + "\n" for row in history)
    log(f"{name}: done, {report}")
