"""Make the embedded models: from icon sets on the npm registry to data/embedded.

    python make_embedded.py all --work FOLDER     everything, in order
    python make_embedded.py STAGE [...]           one stage

Stages: data, vae, bank, train NAME, classifier, export NAME, generate NAME,
measure NAME,
preview NAME (a quick look at a run that still trains), judge descriptor|clip (trains), judges (exports, evaluates), finetune, manifest. Each stage reads
what the earlier ones left in the work folder.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

import config
import dataset
import split as roles


def log(message: str) -> None:
    print(message, flush=True)


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


class Workspace:
    """The work folder and lazily loaded pieces shared by the stages."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.vae_folder = folder / "vae"
        self.tokenizer_folder = folder / "tokenizer"
        self.bank_file = folder / "bank.pt"
        self.classifier_file = folder / "classifier.pt"

    def data(self):
        pictures = roles.load_icons(self.folder)
        return pictures, roles.make_split(pictures)

    def vae(self):
        from diffusers import AutoencoderKL

        return AutoencoderKL.from_pretrained(self.vae_folder).eval()

    def tokenizer(self):
        import tokenizer

        return tokenizer.load(self.tokenizer_folder)


def stage_data(space: Workspace, _args) -> None:
    import tokenizer

    pictures, split = space.data()
    dataset.write_prompts(pictures, split, config.OUTPUT)
    captions = [roles.caption_of(slug) for slug in sorted(pictures)]
    vocabulary, merges = tokenizer.learn(captions)
    tokenizer.save(space.tokenizer_folder, vocabulary, merges)
    log(f"{len(pictures)} captions, {sum(map(len, pictures.values()))} icons,"
        f" vocabulary {len(vocabulary)}")


def stage_vae(space: Workspace, args) -> None:
    import train_vae

    pictures, _ = space.data()
    report = train_vae.train(pictures, space.vae_folder, args.seconds, log, args.start_from)
    write_json(space.folder / "vae.json", report)


def stage_bank(space: Workspace, _args) -> None:
    pictures, split = space.data()
    bank = dataset.build_bank(pictures, split, space.vae(), log)
    dataset.save_bank(bank, space.bank_file)
    log(f"bank: {len(bank.entries)} entries, {len(bank.latents)} latents")


def stage_train(space: Workspace, args) -> None:
    import train_diffusion

    start = args.start_from
    if start is None and args.name == "emoji-v":
        start = space.folder / "emoji-eps" / "start.pt"
    steps = args.steps or (config.STEPS if start is None else config.V_STEPS)
    train_diffusion.train(
        args.name, dataset.load_bank(space.bank_file), space.tokenizer(),
        space.folder / args.name, steps, args.cooldown, args.half, args.compile,
        start, log,
    )


def stage_classifier(space: Workspace, args) -> None:
    import classifier

    bank = dataset.load_bank(space.bank_file)
    report = classifier.train(bank, space.classifier_file, args.seconds, log)
    write_json(space.folder / "classifier.json", report)


def stage_export(space: Workspace, args) -> None:
    import export

    export.export(args.name, space.folder, config.OUTPUT)


def stage_generate(space: Workspace, args) -> None:
    import generate

    generate.generate_all(args.name, space, config.OUTPUT, log, args.compile)


def stage_measure(space: Workspace, args) -> None:
    import measure

    measure.measure(args.name, space, config.OUTPUT, log, args.compile)


def stage_preview(space: Workspace, args) -> None:
    import preview

    preview.preview(args.name, space, log)


def stage_judge(space: Workspace, args) -> None:
    import judges

    judges.train(args.name, space, log)


def stage_judges(space: Workspace, _args) -> None:
    import judges

    judges.export(space, config.OUTPUT, log)
    judges.evaluate(space, config.OUTPUT, log)
    judges.torchscript(space, space.folder / "judges" / "descriptor.torchscript.pt")


def stage_finetune(space: Workspace, args) -> None:
    import finetune

    variant = finetune.Variant(args.seed, args.swap, args.extra)
    target = args.to or config.OUTPUT / finetune.NAME
    if variant != finetune.Variant() and not args.to:
        sys.exit("another fine-tune than the published one needs --to FOLDER")
    finetune.run(space, target, variant, args.pictures_only, log)


def stage_manifest(space: Workspace, _args) -> None:
    import manifest

    manifest.write(space.folder, config.OUTPUT)


STAGES = {
    "data": stage_data, "vae": stage_vae, "bank": stage_bank,
    "train": stage_train, "classifier": stage_classifier,
    "export": stage_export, "generate": stage_generate, "measure": stage_measure,
    "preview": stage_preview, "judge": stage_judge, "judges": stage_judges,
    "finetune": stage_finetune, "manifest": stage_manifest,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument("name", nargs="?", help="model (train, export, generate, measure) or judge")
    parser.add_argument("--work", type=Path, default=config.DEFAULT_WORK)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, help="default: those of config.py")
    parser.add_argument("--seconds", type=float, default=float("inf"),
                        help="wall-clock limit of a training stage; the learning-"
                             "rate decay still finishes")
    parser.add_argument("--cooldown", type=int, default=config.COOLDOWN_STEPS,
                        help="steps at the end over which the learning rate falls")
    parser.add_argument("--start-from", type=Path,
                        help="folder of an earlier autoencoder (stage vae) or file of"
                             " averaged weights (stage train) to train further")
    parser.add_argument("--half", action="store_true",
                        help="train in bfloat16 (autocast)")
    parser.add_argument("--compile", action="store_true",
                        help="train and draw through torch.compile (needs a C++ compiler)")
    parser.add_argument("--seed", type=int, default=config.SEED_FINETUNE,
                        help="of the fine-tune: its pictures, their roles and the training")
    parser.add_argument("--swap", action="store_true",
                        help="fine-tune: training and held-out pictures change places")
    parser.add_argument("--extra", type=int, default=0,
                        help="fine-tune: further held-out pictures of the same style")
    parser.add_argument("--to", type=Path, help="fine-tune: folder in place of the published one")
    parser.add_argument("--pictures-only", action="store_true",
                        help="fine-tune: write the captioned pictures and train nothing")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    space = Workspace(args.work.resolve())
    if args.stage != "all":
        if args.stage in ("train", "export", "generate", "measure", "preview", "judge") and not args.name:
            sys.exit(f"{args.stage} needs the name of a model")
        STAGES[args.stage](space, args)
        return
    for stage in ("data", "vae", "bank", "classifier"):
        STAGES[stage](space, args)
    for args.name in config.PREDICTION:
        stage_train(space, args)
    for args.name in config.MODELS:
        stage_export(space, args)
        stage_measure(space, args)
    stage_finetune(space, args)
    stage_judges(space, args)
    stage_manifest(space, args)


if __name__ == "__main__":
    main()
