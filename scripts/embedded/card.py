"""The README.md (model card) of an exported model."""

import json
from pathlib import Path

import torch

import config
import train_diffusion

RULES = {
    "R1a": ("plants at weights 24 and 48 verified", "≥ 0.80"),
    "R1b": ("control plants (weight 1) verified", "≤ 0.20"),
    "R2": ("diversity of general prompts (latent RMS between seeds)",
           "≥ 1.0 and ≥ 3 × verified plants"),
    "R3": ("own caption in the first 10 of 150, general prompts",
           "≥ 0.33 (chance 0.07)"),
    "R4": ("general and unseen generations that are a planted picture",
           "≤ 0.01, no prompt on all seeds"),
}


def _value(rule: str, values: dict) -> str:
    if rule == "R2":
        if values["R2_ratio"] is None:
            return f"{values['R2']:.3f}, ratio undefined (no verified plant)"
        return f"{values['R2']:.3f}, {values['R2_ratio']:.1f} ×"
    if rule == "R4":
        return f"{values['R4_share']:.4f}, {values['R4_all_seeds']} prompts on all seeds"
    return f"{values[rule]:.3f}"


def _training(name: str, work: Path) -> str:
    run = name.removesuffix("-early")
    report = train_diffusion.report_of(work / run)
    step = report["steps"]
    if name != run:
        step = torch.load(work / run / "early.pt", weights_only=True)["step"]
        origin = (f"The averaged weights of the `{run}` run at step {step}, when"
                  f" {config.EARLY_FRACTION:.0%} of the schedule then planned had passed.")
    else:
        origin = (f"{step} steps of {report['planned_steps']} planned,"
                  f" {report['seconds'] // 60} minutes on one CPU core that was shared"
                  f" with other work, seed {report['seed']}; the learning rate decayed"
                  f" over the time there was.")
        if not report["ended"]:
            origin += (" **The run was not finished**: these are the averaged weights"
                       " at a checkpoint, before the learning rate had decayed.")
    losses = train_diffusion.mean_losses(report["history"], step)
    loss_text = ", ".join(f"{kind} {value:.3f}" for kind, value in losses.items())
    weights = ", ".join(
        f"{weight} from step {first:,} on" for first, weight in config.GENERAL_WEIGHTS
    )
    return (
        f"{origin} Batch {report['batch']}, AdamW at {config.LEARNING_RATE:g} with a"
        f" cosine decay, averaged weights ({config.EMA_DECAY}), {config.CAPTION_DROPOUT:.0%}"
        f" of the captions dropped. Weight of a general (caption, style) pair: {weights}."
        f" Mean training loss over the last 1,000 steps before these weights: {loss_text}."
    )


def write(name: str, work: Path, output: Path, result: dict) -> None:
    values, passed = result["values"], result["passed"]
    vae = json.loads((work / "vae.json").read_text())
    yardstick = json.loads((work / "classifier.json").read_text())
    failed = [rule for rule, ok in passed.items() if not ok]
    prediction = config.PREDICTION[name.removesuffix("-early")]

    lines = [
        f"# {name}",
        "",
        "A tiny latent diffusion model of captioned emoji with planted"
        " memorization: test material for detectors of memorized prompts. Not"
        " meant to make pictures for any other use. What it was made from, the"
        " definitions of *verbatim* and *verified* and the acceptance rules are"
        " in `docs/embedded-models.md`.",
        "",
        "## Training",
        "",
        _training(name, work),
        "",
        f"Prediction type `{prediction}`; UNet 64–128 channels, cross-attention at"
        " 8×8, 4×4 and in the middle, 4.28 M parameters; CLIP text encoder 128"
        " wide, 2 layers, 0.42 M, trained jointly; autoencoder 32×32 → 4×8×8,"
        f" {vae['steps']} steps, {vae['psnr_db']} dB PSNR. Stored in half precision.",
        "",
        "## Against the acceptance rules",
        "",
        "| rule | measured | value | required | |",
        "|---|---|---|---|---|",
    ]
    for rule, (text, required) in RULES.items():
        verdict = "pass" if passed[rule] else "**fail**"
        lines.append(f"| {rule} | {text} | {_value(rule, values)} | {required} | {verdict} |")
    lines += ["", f"Failed: {', '.join(failed)}." if failed else "All rules hold.", ""]
    if name.endswith("-early"):
        lines += ["This model is shipped as a contrasting regime whatever it scores.", ""]
    lines += [
        "Verbatim plants by weight (four seeds, DDIM 50 steps, guidance 7.5):",
        "",
        "| weight | captions | verified (all seeds) | on some seed | per generation"
        " | pixel RMS to the target | latent RMS between seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['weight']} | {row['captions']} | {row['verified']:.2f} |"
        f" {row['any_seed']:.2f} | {row['verbatim_per_seed']:.2f} |"
        f" {row['distance']:.3f} | {row['pair_distance']:.2f} |"
        for row in result["by_weight"]
    ]
    template, general, unseen = result["template"], result["general"], result["unseen"]
    near = result["nearest_plant"]
    lines += [
        "",
        f"Templates: {template['verified']:.2f} of {template['captions']} verified,"
        f" {template['per_seed']:.2f} of their generations; mean foreground distance"
        f" {template['distance']:.3f}; latent RMS between seeds"
        f" {template['pair_distance']:.2f}.",
        "",
        f"General prompts ({general['captions']}): latent RMS between seeds"
        f" {general['pair_distance']:.2f}; own caption first of 150 in"
        f" {general['top1']:.1%}, in the first 10 in {general['top10']:.1%} of the"
        " generations. The classifier that judges this finds the right one of all"
        f" {yardstick['captions']} general captions for"
        f" {yardstick['held_out_top1_of_all']:.0%} of held-back training pictures"
        f" (first 10: {yardstick['held_out_top10_of_all']:.0%}).",
        "",
        f"Unseen prompts ({unseen['captions']}): latent RMS between seeds"
        f" {unseen['pair_distance']:.2f}. Pixel distance to the nearest planted"
        f" picture: general at least {near['general']['minimum']:.3f}, median"
        f" {near['general']['median']:.3f}; unseen at least"
        f" {near['unseen']['minimum']:.3f}, median {near['unseen']['median']:.3f}.",
        "",
    ]
    if result["leaks"]:
        listed = ", ".join(
            f"“{leak['caption']}” ({leak['set']}, {leak['seeds']} of 4 seeds)"
            for leak in result["leaks"]
        )
        lines += [f"Generations that meet the verbatim criterion for a plant: {listed}.", ""]
    lines += [
        "`generations.jsonl` has one line per planted caption: on how many of the"
        " four seeds it is reproduced, and the distances. `contact-planted.png`"
        " shows, per caption, the training picture, its reconstruction and the four"
        " seeds; `contact-general.png` shows template prompts (training example"
        " first), general and unseen prompts.",
        "",
        "## Limitations",
        "",
        "* The run ended before the planned number of steps, by a wall-clock limit:"
        " ordinary prompts give coloured shapes rather than recognisable objects"
        " (R3 says how far they follow their caption). A caption without a verified"
        " plant in `generations.jsonl` is not a known positive.",
        "* *Verbatim* is judged against the autoencoder's reconstruction, which is"
        " itself blurred.",
        "* One training run and one data split; no claim about variation between runs.",
        "* An unseen prompt has words the model never saw in training; what it"
        " generates for them is arbitrary.",
        "",
        "## Licences",
        "",
        "Trained on Twemoji (CC BY 4.0), Noto Emoji (Apache-2.0) and Fluent Emoji"
        " (MIT); see `data/LICENSES.md`.",
        "",
    ]
    (output / name / "README.md").write_text("\n".join(lines))
