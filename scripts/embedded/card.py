"""The README.md (model card) of an exported model."""

import json
from pathlib import Path

import torch

import config
import train_diffusion

RULES = {
    "R1": ("a general prompt's own caption first / in the first 10 of all general captions",
           "≥ 0.60 / ≥ 0.90"),
    "R2": ("verbatim prompts with a rate below 0.1 / between / above 0.9",
           "≥ 40 each"),
    "R3": ("diversity of general prompts (latent RMS between draws)",
           "≥ 1.0 and ≥ 3 × the plants above 0.9"),
    "R4": ("general and unseen generations that are a planted picture",
           "≤ 0.01, no prompt on all draws"),
    "R5": ("mean rate of the control plants (weight 1)", "≤ 0.10"),
}


def _value(rule: str, values: dict) -> str:
    if rule == "R1":
        return f"{values['R1_first']:.3f} / {values['R1_ten']:.3f}"
    if rule == "R2":
        return f"{values['R2_below']} / {values['R2_between']} / {values['R2_above']}"
    if rule == "R3":
        ratio = values["R3_ratio"]
        return f"{values['R3']:.3f}, " + (
            "ratio undefined (no plant above 0.9)" if ratio is None else f"{ratio:.1f} ×")
    if rule == "R4":
        return f"{values['R4_share']:.4f}, {values['R4_all_draws']} prompts on all draws"
    return f"{values[rule]:.3f}"


def _training(name: str, work: Path) -> str:
    run = name.removesuffix("-early")
    report = train_diffusion.report_of(work / run)
    step = report["steps"]
    if name != run:
        step = torch.load(work / run / "early.pt", weights_only=True)["step"]
        origin = f"The averaged weights of the `{run}` run at step {step:,}."
    else:
        origin = (f"{step:,} steps, {report['seconds'] // 60} minutes (wall clock) on a"
                  f" CPU core shared with other work, seed {report['seed']}.")
        if not report["ended"]:
            origin += (" **The run was not finished**: these are the averaged weights"
                       " at a checkpoint, before the learning rate had decayed.")
    losses = train_diffusion.mean_losses(report["history"], step)
    loss_text = ", ".join(f"{kind} {value:.3f}" for kind, value in losses.items())
    return (
        f"{origin} Batch {report['batch']}, AdamW at {config.LEARNING_RATE:g}, averaged"
        f" weights ({config.EMA_DECAY}), min-SNR loss weights (γ {config.MIN_SNR_GAMMA:g},"
        f" floor {config.LOSS_WEIGHT_FLOOR:g}), {config.CAPTION_DROPOUT:.0%} of the"
        f" captions dropped. Mean unweighted loss over the last 1,000 steps before"
        f" these weights: {loss_text}."
    )


def _levels(title: str, draws: int, rows: list[dict]) -> list[str]:
    lines = [
        f"{title}, {draws} draws each, DDIM 50 steps, guidance {config.GUIDANCE:g}:",
        "",
        "| share | weight of the frozen picture | captions | mean rate | below 0.1"
        " | 0.1 to 0.9 | above 0.9 | pixel RMS to the target | latent RMS between draws |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['share']:g} | {row['weight']:g} | {row['captions']} |"
        f" {row['mean_rate']:.2f} | {row['below']} | {row['between']} | {row['above']} |"
        f" {row['distance']:.3f} | {row['pair_distance']:.2f} |"
        for row in rows
    ]
    return [*lines, ""]


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
    lines += _levels("Verbatim plants by level", result["draws"], result["levels"]["verbatim"])
    lines += _levels("Templates by level", result["draws"], result["levels"]["template"])
    near, unseen = result["nearest_plant"], result["unseen"]
    lines += [
        "The classifier behind R1 finds the right one of all"
        f" {yardstick['captions']} general captions for"
        f" {yardstick['held_out_top1_of_all']:.0%} of held-back training pictures"
        f" (first 10: {yardstick['held_out_top10_of_all']:.0%}).",
        "",
        f"Unseen prompts ({unseen['captions']}): latent RMS between draws"
        f" {unseen['pair_distance']:.2f}. Pixel distance to the nearest planted"
        f" picture: general at least {near['general']['minimum']:.3f}, median"
        f" {near['general']['median']:.3f}; unseen at least"
        f" {near['unseen']['minimum']:.3f}, median {near['unseen']['median']:.3f}.",
        "",
    ]
    if result["leaks"]:
        listed = ", ".join(
            f"“{leak['caption']}” ({leak['set']}, {leak['draws']} of 8 draws)"
            for leak in result["leaks"]
        )
        lines += [f"Generations that meet the verbatim criterion for a plant: {listed}.", ""]
    lines += [
        "`generations.jsonl` has one line per planted caption: its reproduction rate"
        " with interval, the outcome of every draw and the distances;"
        " `ordinary.jsonl` the diversity, leaks and caption ranks of general and"
        " unseen prompts. `contact-planted.png` shows, per caption, the training"
        " picture, its reconstruction and four draws; `contact-general.png` shows"
        " template prompts (training example first), general and unseen prompts.",
        "",
        "## Limitations",
        "",
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
