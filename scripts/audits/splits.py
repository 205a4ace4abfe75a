"""How audits of a planted fine-tune keep their promise, by what they are given, for every checkpoint.

    python3 splits.py PROGRAM FOLDER --work DIR [--statistic NAME ...] [--step N ...] [--check]

FOLDER is a fine-tune as scripts/embedded/finetune.py writes it: captions.jsonl, pictures, step-N. The held-out pictures (or
captions) are split at random 200 times: three quarters calibrate, a quarter is tested together with the training ones, all
of which were trained on. Beside it the wrong calibration: general captions of the base, with pictures that the base draws.
Prints a line for each checkpoint and statistic; DIR keeps the records and everything that was measured. Standard library
alone; --check repeats decisions and splits with numpy and SciPy from the scores that `memscope calibrate` keeps, with splits
of its own, and fails where the means differ by more than four Monte Carlo errors.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

STATISTICS = ("loss-ratio", "loss", "self-loss-ratio", "jeon", "wen")
OF_PICTURES = ("loss-ratio", "loss")
OF_BASE = ("loss-ratio", "self-loss-ratio")
MODEL = "embedded:emoji-eps"
RATES = (0.1, 0.2)
SPLITS = 200


class Audits:
    def __init__(self, program: Path, folder: Path, work: Path):
        self.program, self.folder, self.work = program.resolve(), folder.resolve(), work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.environment = os.environ | {"MEMSCOPE_CACHE": str(self.work / "cache")}
        rows = [json.loads(line) for line in (self.folder / "captions.jsonl").read_text().splitlines()]
        for kind in ("train", "held_out"):
            of_kind = [row for row in rows if row["set"] == kind]
            table = [{"image": str(self.folder / row["image"]), "caption": row["caption"]} for row in of_kind]
            (self.work / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
            (self.work / f"{kind}.txt").write_text("".join(row["caption"] + "\n" for row in of_kind))

    def memscope(self, *arguments) -> str:
        command = [str(self.program), *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, cwd=self.work, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        return done.stdout

    def general(self) -> Path:
        """The general captions with a picture of each that the base draws."""
        table = self.work / "general.jsonl"
        if not table.exists():
            out = self.work / "general"
            report = json.loads(self.memscope("mitigate", "--model", MODEL, "--prompts", "embedded:general", "--method",
                                              "none", "--count", 1, "--out", out, "--overwrite", "--json"))
            rows = [{"image": str(self.work / row["pictures"][0]), "caption": row["prompt"]} for row in report]
            table.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return table

    def subject(self, statistic: str, kind: str) -> list[str]:
        if statistic in OF_PICTURES:
            return [str(self.general() if kind == "general" else self.work / f"{kind}.jsonl")]
        return ["embedded:general" if kind == "general" else str(self.work / f"{kind}.txt")]

    def model(self, statistic: str, step: int) -> list[str]:
        lora = ["--model", MODEL, "--lora", str(self.folder / f"step-{step}" / "diffusers.safetensors")]
        return lora + ["--statistic", statistic] + ([] if statistic in OF_BASE else ["--base", "none"])

    def option(self, statistic: str) -> str:
        return "--pictures" if statistic in OF_PICTURES else "--prompts"

    def scores(self, statistic: str, step: int, kind: str) -> Path:
        out = self.work / f"{statistic}-{step}-{kind}.json"
        self.memscope("calibrate", *self.model(statistic, step), self.option(statistic),
                      *self.subject(statistic, kind), "--out", out, "--overwrite")
        return out

    def audit(self, statistic: str, step: int) -> dict:
        wrong = self.scores(statistic, step, "general")
        text = self.memscope(
            "audit", *self.model(statistic, step), self.option(statistic), *self.subject(statistic, "train"),
            "--held-out", *self.subject(statistic, "held_out"), "--calibration", wrong, "--splits", SPLITS,
            "--evidence", 0, "--json")
        (self.work / f"audit-{statistic}-{step}.json").write_text(text)
        return json.loads(text)


def again(conditions: dict[str, list], same: bool, rate: float, tested: int) -> tuple[float, float]:
    """Mean and error of the false share by numpy and SciPy, with splits of their own."""
    import numpy as np
    from scipy.stats import false_discovery_control

    rng = np.random.default_rng(0)
    train, held_out, general = (np.array(conditions[kind]) for kind in ("train", "held_out", "general"))
    shares = []
    for _ in range(SPLITS):
        order = rng.permutation(held_out.shape[1])
        nulls, others = held_out[:, order[:tested]], held_out[:, order[tested:]]
        calibration = others if same else general
        scores = np.concatenate([train, nulls], 1)
        p = (1 + (calibration[:, None, :] >= scores[:, :, None]).sum(2)) / (calibration.shape[1] + 1)
        flagged = false_discovery_control(p.max(0)) <= rate
        shares.append(flagged[train.shape[1]:].sum() / max(1, flagged.sum()))
    return float(np.mean(shares)), float(np.std(shares, ddof=1) / SPLITS ** 0.5)


def check(audits: Audits, statistic: str, step: int, record: dict) -> None:
    conditions = {}
    for kind in ("train", "held_out", "general"):
        kept = json.loads(audits.scores(statistic, step, kind).read_text())["scores"]
        conditions[kind] = [list(column) for column in zip(*(score["conditions"] for score in kept))]
    for split in record["splits"]:
        for level in split["levels"]:
            mean, error = again(conditions, split["same_list"], level["fdr"], split["tested"])
            ours = level["false_share"]
            if abs(mean - ours["mean"]) > 4 * (error ** 2 + ours["error"] ** 2) ** 0.5 + 1e-12:
                raise SystemExit(f"{statistic}, step {step}, {level['fdr']}: {ours} against {mean} ± {error}")


def line(record: dict, statistic: str, step: int) -> str:
    flagged = sum(row["decision"]["flagged"] for row in record["rows"])
    cells = [str(step), f"`{statistic}`", f"{flagged} of {len(record['rows'])}"]
    for split in record["splits"]:
        levels = {level["fdr"]: level for level in split["levels"]}
        for rate in RATES:
            false, power = levels[rate]["false_share"], levels[rate]["power"]
            mark = " **!**" if false["mean"] > rate + 2 * false["error"] else ""
            cells.append(f"{false['mean']:.3f} ± {false['error']:.3f}{mark} / {power['mean']:.2f}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--statistic", action="append", choices=STATISTICS)
    parser.add_argument("--step", type=int, action="append")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    audits = Audits(args.program, args.folder, args.work)
    steps = args.step or sorted(int(place.name.split("-")[1]) for place in args.folder.glob("step-*"))
    rates = " | ".join(f"{name} {rate:.0%}: false flags / found" for name in ("held out", "general") for rate in RATES)
    print(f"| step | statistic | flagged (all held-out calibrate) | {rates} |\n|" + "---|" * (3 + 2 * len(RATES)))
    for statistic in args.statistic or STATISTICS:
        for step in steps:
            record = audits.audit(statistic, step)
            if args.check:
                check(audits, statistic, step, record)
            print(line(record, statistic, step))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
