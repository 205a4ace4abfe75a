"""The planted fine-tune: a LoRA on emoji-eps, its files and its graded truth."""

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

import torch

import config
import dataset
import export
import generate
import icons
import render
import split as roles
import tokenizer as tokenization
import train_diffusion
import truth

NAME = "emoji-eps-lora"
VISIBLE = 0.12   # least share of opaque pixels of an icon


@dataclass(frozen=True)
class Variant:
    """Which fine-tune: the published one, or one that confirms what was seen on it."""

    seed: int = config.SEED_FINETUNE   # of the choice and roles of the pictures, and of the training
    swap: bool = False                 # training and held-out pictures change places
    extra: int = 0                     # further held-out pictures, not graded

    def name(self) -> str:
        return f"{NAME}-seed{self.seed}" + ("-swap" if self.swap else "")


@dataclass
class Cards:
    """The captioned pictures: first the training ones, then the held-out ones."""

    captions: list[str]
    pictures: torch.Tensor   # (n, 3, 32, 32) in [-1, 1]
    latents: torch.Tensor    # (n, 4, 8, 8), scaled
    targets: torch.Tensor    # the autoencoder's reconstructions

    def first(self, count: int) -> "Cards":
        return Cards(self.captions[:count], self.pictures[:count], self.latents[:count], self.targets[:count])


def graded() -> int:
    """Pictures whose captions are drawn and graded."""
    return len(config.FINETUNE_REPEATS) + config.FINETUNE_HELD_OUT


def choose(work: Path, prompts: Path, variant: Variant, tokenizer, vae) -> Cards:
    """Seeded choice of icons whose names the base never saw in training (`prompts`: prompts.jsonl)."""
    (_, tarball), = icons.fetch(work, config.FINETUNE_SET).items()
    _, collection = icons.read_json(tarball)
    rows = [json.loads(line) for line in prompts.read_text().splitlines()]
    is_planted = {"verbatim": True, "template": True, "general": False, "unseen": False}
    planted = frozenset().union(*(
        roles.content_words(row["caption"]) for row in rows if is_planted[row["set"]]))
    seen = {row["caption"] for row in rows if not is_planted[row["set"]]}
    rng = random.Random(variant.seed)
    slugs = sorted(collection["icons"])
    rng.shuffle(slugs)
    wanted = graded() + variant.extra
    captions, images = [], []
    for slug in slugs:
        name = roles.caption_of(slug)
        caption = config.FINETUNE_PREFIX + name
        words = roles.content_words(name)
        fits = len(tokenizer(caption).input_ids) <= config.TEXT_LENGTH
        if roles._UNWANTED.search(slug) or not words or words & planted or name in seen or not fits:
            continue
        image = icons.picture(collection, slug)
        if image is not None and (image[..., 3] > 128).mean() >= VISIBLE:
            captions.append(caption)
            images.append(torch.from_numpy(image.copy()))
        if len(captions) == wanted:
            break
    if len(captions) < wanted:
        raise SystemExit(f"the icon set has {len(captions)} pictures of this kind, not {wanted}")
    # The first ones are the same whatever else is held out.
    cut, generator = graded(), torch.Generator().manual_seed(variant.seed)
    pictures = [render.compose(torch.stack(images[:cut]), render.sample(cut, generator))]
    if variant.extra:
        pictures.append(render.compose(torch.stack(images[cut:]), render.sample(variant.extra, generator)))
    pictures = torch.cat(pictures)
    if variant.swap:
        trained = len(config.FINETUNE_REPEATS)
        order = [*range(trained, cut), *range(trained), *range(cut, wanted)]
        captions, pictures = [captions[i] for i in order], pictures[order]
    latents = dataset.encode(vae, pictures).float()
    return Cards(captions, pictures, latents, dataset.decode(vae, latents))


def add_adapter(unet) -> None:
    from peft import LoraConfig

    unet.add_adapter(LoraConfig(
        r=config.FINETUNE_RANK, lora_alpha=config.FINETUNE_RANK,
        init_lora_weights="gaussian", target_modules=list(config.FINETUNE_TARGETS),
    ))


def train(cards: Cards, base: Path, folder: Path, seed: int, log=print) -> None:
    """One run; the adapter's weights are kept at every fixed checkpoint."""
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    pipeline = export.load(base)
    unet = pipeline.unet.requires_grad_(False)
    add_adapter(unet)
    parameters = [p for p in unet.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, config.FINETUNE_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-2)
    tokens = tokenization.token_ids(pipeline.tokenizer, cards.captions)
    with torch.no_grad():
        context = pipeline.text_encoder(tokens).last_hidden_state
    alphas = train_diffusion.alphas_cumprod()
    repeats = torch.tensor([float(r) for r in config.FINETUNE_REPEATS])
    generator = torch.Generator().manual_seed(seed)
    count, steps, total = config.FINETUNE_BATCH, config.FINETUNE_CHECKPOINTS[-1], 0.0
    for step in range(1, steps + 1):
        decay = max(0.05, 0.5 * (1 + math.cos(math.pi * step / steps)))
        optimizer.param_groups[0]["lr"] = config.FINETUNE_LEARNING_RATE * min(1, step / 50) * decay
        index = torch.multinomial(repeats, count, True, generator=generator)
        timestep = train_diffusion.timesteps(count, len(alphas), generator)
        noise = torch.randn(count, *config.LATENT_SHAPE, generator=generator)
        alpha = alphas[timestep][:, None, None, None]
        noisy = alpha.sqrt() * cards.latents[index] + (1 - alpha).sqrt() * noise
        output = unet(noisy, timestep, context[index], return_dict=False)[0]
        loss = (output - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        total += loss.item()
        if step % 100 == 0:
            log(f"{NAME} {step} loss {total / 100:.4f}")
            total = 0.0
        if step in config.FINETUNE_CHECKPOINTS:
            state = {k: v.detach().clone() for k, v in get_peft_model_state_dict(unet).items()}
            torch.save(state, folder / f"step-{step}.pt")


def write_adapter(state: dict, target: Path) -> None:
    """`target`/diffusers.safetensors (PEFT names) and `target`/kohya.safetensors."""
    from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya
    from safetensors.torch import save_file

    target.mkdir(parents=True, exist_ok=True)
    state = {f"unet.{name}": value.half().contiguous() for name, value in state.items()}
    save_file(state, target / "diffusers.safetensors", metadata={"format": "pt"})
    kohya = {}
    for name, value in convert_state_dict_to_kohya(dict(state)).items():
        alpha = name.endswith(".alpha")
        kohya[name] = (torch.tensor(float(config.FINETUNE_RANK)) if alpha else value.half()).contiguous()
    rank = str(config.FINETUNE_RANK)
    save_file(kohya, target / "kohya.safetensors", metadata={
        "ss_network_module": "networks.lora", "ss_network_dim": rank, "ss_network_alpha": rank})


def check_layouts(base: Path, target: Path) -> float:
    """Largest difference of one UNet call between the two files, loaded by diffusers."""
    outputs = []
    noise = torch.randn(2, *config.LATENT_SHAPE, generator=torch.Generator().manual_seed(3))
    for layout in ("diffusers", "kohya"):
        pipeline = export.load(base)
        pipeline.load_lora_weights(str(target), weight_name=f"{layout}.safetensors")
        tokens = tokenization.token_ids(pipeline.tokenizer, ["red apple", "dog"])
        with torch.inference_mode():
            context = pipeline.text_encoder(tokens).last_hidden_state
            outputs.append(pipeline.unet(noise, 981, context).sample)
    plain = export.load(base)
    with torch.inference_mode():
        without = plain.unet(noise, 981, context).sample
    if torch.equal(outputs[0], without):
        raise SystemExit(f"{target}: the adapter changes nothing")
    difference = (outputs[0] - outputs[1]).abs().max().item()
    if difference > 1e-4:
        raise SystemExit(f"{target}: the two layouts differ by {difference}")
    for file in target.glob("*.safetensors"):
        file.chmod(0o644)
    return difference


def grade(cards: Cards, base: Path, target: Path, repeats: list[int], draws) -> list[dict]:
    """Truth of one checkpoint: 12 draws of every training and held-out caption."""
    pipeline = export.load(base)
    pipeline.load_lora_weights(str(target), weight_name="diffusers.safetensors")
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    pipeline.unet.to(memory_format=torch.channels_last)
    latents = generate.generate(pipeline, cards.captions, draws)
    pictures = dataset.decode(pipeline.vae, latents.flatten(0, 1))
    distance = torch.stack([truth.rms(pictures - t, 1) / 2 for t in cards.targets], 1)
    distance = distance.unflatten(0, latents.shape[:2])   # (captions, draws, targets)
    closest = distance.min(2)
    copied = closest.values <= config.VERBATIM_RMS
    pairs = truth.pair_distance(latents[:, :4])
    trained, lines = len(config.FINETUNE_REPEATS), []
    for i, caption in enumerate(cards.captions):
        own = (closest.indices[i] == i) & copied[i]
        other = torch.where(copied[i] & (closest.indices[i] < trained), closest.indices[i], -1)
        count = int(own.sum())
        lines.append(dict(
            caption=caption, set="train" if i < trained else "held_out", repeats=repeats[i],
            seeds=list(dict.fromkeys(seed for seed, _ in draws)), generations=config.TRUTH_GENERATIONS,
            verbatim_draws=count, reproduction_rate=round(count / len(own), 5),
            interval=truth.interval(count, len(own)), verified=count / len(own) > 0.9,
            outcomes=own.int().tolist(), any_training=other.tolist(),
            distances=[round(v, 4) for v in distance[i, :, i].tolist()],
            pair_distance=round(pairs[i].item(), 4),
        ))
    return lines


def write_pictures(cards: Cards, output: Path, repeats: list[int]) -> None:
    from PIL import Image

    folder = output / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, caption in enumerate(cards.captions):
        name = f"pictures/{i:02}-" + caption.removeprefix(config.FINETUNE_PREFIX).replace(" ", "-") + ".png"
        Image.fromarray(render.to_uint8(cards.pictures[i]).numpy()).save(output / name, optimize=True)
        kind = "train" if i < len(config.FINETUNE_REPEATS) else "held_out"
        rows.append(json.dumps(dict(caption=caption, set=kind, repeats=repeats[i], image=name)))
    (output / "captions.jsonl").write_text("\n".join(rows) + "\n")


def run(space, target: Path, variant: Variant = Variant(), pictures_only: bool = False, log=print) -> None:
    """Write the pictures, train, export and grade into `target`; data/embedded/emoji-eps-lora is the published one."""
    base_folder, folder = config.OUTPUT / "emoji-eps", space.folder / variant.name()
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = export.load(base_folder)
    cards = choose(space.folder, config.OUTPUT / "prompts.jsonl", variant, pipeline.tokenizer, pipeline.vae)
    repeats = list(config.FINETUNE_REPEATS) + [0] * (len(cards.captions) - len(config.FINETUNE_REPEATS))
    write_pictures(cards, target, repeats)
    if pictures_only:
        return
    cards = cards.first(graded())
    if not (folder / f"step-{config.FINETUNE_CHECKPOINTS[-1]}.pt").exists():
        train(cards, base_folder, folder, variant.seed, log)
    summary = []
    for step in config.FINETUNE_CHECKPOINTS:
        place = target / f"step-{step}"
        write_adapter(torch.load(folder / f"step-{step}.pt", weights_only=True), place)
        difference = check_layouts(base_folder, place)
        lines = grade(cards, base_folder, place, repeats, config.EARLY_DRAWS)
        with open(place / "generations.jsonl", "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        rates = torch.tensor([line["reproduction_rate"] for line in lines])
        trained = len(config.FINETUNE_REPEATS)
        leaked = torch.tensor([line["any_training"] for line in lines[trained:]]) >= 0
        summary.append(dict(
            step=step, layouts_differ_by=difference,
            train_rate_half_or_more=int((rates[:trained] >= 0.5).sum()),
            train_mean_rate_by_repeats={
                str(r): round(rates[torch.tensor(repeats[:graded()]) == r].mean().item(), 4) for r in (1, 2, 4)},
            held_out_draws_that_are_training_pictures=round(leaked.float().mean().item(), 4),
        ))
        log(json.dumps(summary[-1]))
    (target / "measurements.json").write_text(json.dumps(summary, indent=2) + "\n")
