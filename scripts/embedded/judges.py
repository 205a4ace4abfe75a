"""Train, export and evaluate the embedded judges: data/embedded/judges."""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F

import dataset
import judge_data
import judge_models
import tokenizer as tokenization
import train_judges
from split import caption_of

EVALUATED = 600   # held pictures


def _decoded(space, drawings, log):
    """Every eighth training picture through the autoencoder, with its caption."""
    file = space.folder / "judges" / "decoded.pt"
    if not file.exists():
        bank = dataset.load_bank(space.bank_file)
        number = {caption: i for i, caption in enumerate(drawings.captions)}
        rows, captions = [], []
        for entry in bank.entries:
            picked = range(entry.first, entry.first + entry.count, 8)
            rows += picked
            captions += [number[entry.caption]] * len(picked)
        pictures = judge_data.to_bytes(dataset.decode(space.vae(), bank.latents[rows]))
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save((pictures, torch.tensor(captions)), file)
        log(f"judges: {len(pictures)} decoded pictures")
    return torch.load(file, weights_only=True)


def train(which: str, space, log=print):
    drawings = judge_data.compose_all(space.data()[0], caption_of, train_judges.SEED)
    folder = space.folder / "judges"
    if which == "descriptor":
        return train_judges.train_descriptor(drawings, folder, log)
    decoded = _decoded(space, drawings, log)
    return train_judges.train_clip(drawings, decoded, space.tokenizer(), folder, log)


def _half(state: dict) -> dict:
    return {k: v.half().contiguous() if v.is_floating_point() else v.contiguous()
            for k, v in state.items() if not k.endswith(("num_batches_tracked", "position_ids"))}


def export(space, output: Path, log=print) -> None:
    """The trained judges in half precision, in the layouts of the real ones."""
    from safetensors.torch import save_file
    from transformers import CLIPImageProcessor

    target = output / "judges"
    shutil.rmtree(target, ignore_errors=True)
    (target / "sscd").mkdir(parents=True)
    descriptor = train("descriptor", space, log)
    save_file(_half(descriptor.state_dict()), target / "sscd" / "model.safetensors",
              metadata={"format": "pt"})
    text = json.dumps(judge_models.DESCRIPTOR, indent=2)
    (target / "sscd" / "config.json").write_text(text + "\n")

    clip, head = train("clip", space, log)
    clip.half().save_pretrained(target / "clip")
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(space.tokenizer_folder / file, target / "clip" / file)
    CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, resample=3,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    ).save_pretrained(target / "clip")
    layers = {k: v for k, v in head.state_dict().items()}
    save_file(_half(layers), target / "quality.safetensors", metadata={"format": "pt"})
    for file in target.rglob("*.safetensors"):
        file.chmod(0o644)
    size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    log(f"judges: {size / 1e6:.2f} MB in {target}")


def load(target: Path, vocabulary: int):
    """The exported judges, computing in single precision."""
    from safetensors.torch import load_file
    from transformers import CLIPModel

    descriptor, head = judge_models.Descriptor(), judge_models.Quality()
    weights = load_file(target / "sscd" / "model.safetensors")
    descriptor.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    weights = load_file(target / "quality.safetensors")
    head.load_state_dict({k: v.float() for k, v in weights.items()})
    clip = CLIPModel.from_pretrained(target / "clip", dtype=torch.float32, local_files_only=True)
    return descriptor.eval(), clip.eval(), head.eval()


@torch.no_grad()
def _descriptor_report(descriptor, pictures, generator) -> dict:
    from sklearn.metrics import roc_auc_score

    found = descriptor(pictures)
    copies = descriptor(judge_data.edit(pictures, generator))
    likeness = found @ copies.T
    same = torch.eye(len(found), dtype=torch.bool)
    return dict(
        auc_copy_against_other=round(float(roc_auc_score(
            same.flatten().numpy(), likeness.flatten().numpy())), 4),
        copy_found_first=round((likeness.argmax(1) == torch.arange(len(found))).float().mean().item(), 4),
        similarity_copy_median=round(likeness[same].median().item(), 4),
        similarity_other_p99=round(likeness[~same].quantile(0.99).item(), 4),
    )


@torch.no_grad()
def _clip_report(clip, tokens, pictures, caption) -> dict:
    image = F.normalize(clip.visual_projection(clip.vision_model(pictures).pooler_output), dim=1)
    text = F.normalize(clip.text_projection(clip.text_model(tokens).pooler_output), dim=1)
    score = image @ text.T
    own = score[torch.arange(len(caption)), caption]
    rank = (score > own[:, None]).sum(1)
    return dict(pictures=len(pictures), captions=len(tokens),
                own_caption_first=round((rank < 1).float().mean().item(), 4),
                own_caption_in_ten=round((rank < 10).float().mean().item(), 4))


@torch.no_grad()
def _quality_report(clip, head, pictures, generator) -> dict:
    from scipy.stats import spearmanr

    severity = torch.rand(len(pictures), generator=generator)
    worse = judge_data.degrade(pictures, severity, generator)
    embedding = F.normalize(clip.visual_projection(clip.vision_model(worse).pooler_output), dim=1)
    rho = spearmanr(severity.numpy(), head(embedding).numpy()).statistic
    return dict(pictures=len(pictures), spearman_with_severity=round(float(rho), 4))


def evaluate(space, output: Path, log=print) -> None:
    """data/embedded/judges/evaluation.json, on drawings kept from training."""
    target = output / "judges"
    drawings = judge_data.compose_all(space.data()[0], caption_of, train_judges.SEED)
    tokenizer = space.tokenizer()
    descriptor, clip, head = load(target, len(tokenizer))
    generator = torch.Generator().manual_seed(train_judges.SEED + 1)
    held = drawings.held.nonzero()[:EVALUATED, 0]
    pictures = judge_data.to_float(drawings.pictures[held, 0])
    tokens = tokenization.token_ids(tokenizer, drawings.captions)
    known = (~drawings.held).nonzero()[:, 0]
    known = known[torch.randperm(len(known), generator=generator)[:EVALUATED]]
    moved = judge_data.to_float(drawings.pictures[known, 0]).roll((1, 1), (2, 3))
    report = dict(
        descriptor=_descriptor_report(descriptor, pictures, generator),
        clip_unseen_drawing=_clip_report(clip, tokens, pictures, drawings.caption[held]),
        clip_known_drawing_shifted=_clip_report(clip, tokens, moved, drawings.caption[known]),
        quality=_quality_report(clip, head, pictures, generator),
    )
    (target / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    log(json.dumps(report, indent=1))


def torchscript(space, path: Path) -> None:
    """The descriptor as a traced TorchScript archive, as SSCD is published."""
    model = judge_models.Descriptor().eval()
    state = torch.load(space.folder / "judges" / "descriptor.pt", weights_only=True)["model"]
    model.load_state_dict(state)
    with torch.no_grad():
        traced = torch.jit.trace(model, torch.zeros(1, 3, 32, 32))
    traced.save(str(path))
