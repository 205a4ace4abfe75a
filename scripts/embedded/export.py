"""Write a trained model as a diffusers pipeline in half precision."""

import json
import shutil
from pathlib import Path

import torch

import config
import tokenizer as tokenization
import train_diffusion

TOKENIZER_FILES = (
    "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json",
)


def scheduler(prediction: str):
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        **config.NOISE_SCHEDULE, prediction_type=prediction, clip_sample=False,
        set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
    )


def weights_file(name: str, work: Path) -> tuple[Path, str]:
    """Where the averaged weights of model `name` lie, and what it predicts."""
    if name.endswith("-early"):
        run = name.removesuffix("-early")
        return work / run / "early.pt", config.PREDICTION[run]
    return work / name / "average.pt", config.PREDICTION[name]


def export(name: str, work: Path, output: Path) -> None:
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    tokenizer_folder = work / "tokenizer"
    tokenizer = tokenization.load(tokenizer_folder)
    path, prediction = weights_file(name, work)
    weights = torch.load(path, weights_only=True)["weights"]
    unet = train_diffusion.build_unet()
    unet.load_state_dict(weights["unet"])
    text_encoder = train_diffusion.build_text_encoder(len(tokenizer))
    text_encoder.load_state_dict(weights["text_encoder"], strict=False)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(work / "vae").half(),
        text_encoder=text_encoder.half(), tokenizer=tokenizer, unet=unet.half(),
        scheduler=scheduler(prediction), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )
    folder = output / name
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        shutil.rmtree(folder / part, ignore_errors=True)
    pipeline.save_pretrained(folder)
    for file in TOKENIZER_FILES:
        shutil.copy(tokenizer_folder / file, folder / "tokenizer" / file)
    tidy(folder)
    check(folder, prediction)


def tidy(folder: Path) -> None:
    """Drop the paths of this machine from the configurations; plain file modes."""
    for file in folder.rglob("*.json"):
        value = json.loads(file.read_text())
        if value.pop("_name_or_path", None) is not None:
            file.write_text(json.dumps(value, indent=2) + "\n")
    for file in folder.rglob("*.safetensors"):
        file.chmod(0o644)


def check(folder: Path, prediction: str) -> None:
    """Load the folder as a user would and make one picture with it."""
    pipeline = load(folder)
    assert pipeline.scheduler.config.prediction_type == prediction
    assert pipeline.tokenizer.model_max_length == config.TEXT_LENGTH
    ids = tokenization.token_ids(pipeline.tokenizer, ["red apple"])[0].tolist()
    text = pipeline.text_encoder.config
    assert ids[0] == text.bos_token_id, (ids, text.bos_token_id)
    assert ids[-1] == text.eos_token_id == text.pad_token_id
    picture = pipeline("red apple", num_inference_steps=2, output_type="np").images
    assert picture.shape == (1, 32, 32, 3)


def load(folder: Path):
    """The exported pipeline, computing in single precision."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
