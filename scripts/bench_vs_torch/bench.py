"""Times memscope and PyTorch in turn on the same work and prints the ratio of their times.

    python bench.py --models DIR --memscope target/release/memscope --unet-time target/release/examples/unet_time

DIR is what scripts/full_size/make_full_size.py wrote. See README.md beside this file.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from processes import Run, Server, Usage, run

HERE = Path(__file__).resolve().parent
TORCH_SIDE = str(HERE / "torch_side.py")
LIBRARIES = ("torch", "diffusers", "transformers", "numpy")
GB = 1e9
# Both sides must have computed the same.
TOLERANCE = 1e-3
PROMPTS = [
    "Mothers influence on her young hippo",
    "The No Limits Business Woman Podcast",
    "a photograph of an astronaut riding a horse",
    "an oil painting of a lighthouse above the sea at night",
    "portrait of an old fisherman, black and white",
    "a bowl of ramen on a wooden table",
    "city skyline at dusk, long exposure",
    "a red fox in the snow",
    "pencil drawing of a sleeping cat",
    "map of an imaginary island",
]


@dataclass(frozen=True)
class Part:
    """Work that both sides do on request."""

    label: str
    task: str
    """Of torch_side.py."""
    request: str
    fields: tuple[str, ...]
    """Of the answers, which must agree."""


FORWARD = Part("UNet forward", "forward", "1", ("norm",))
GRADIENT = Part("two-pass gradient", "gradient", "gradient", ("norm", "gradient.context", "gradient.x"))


STEP = "optimisation step"


class Ratios:
    """memscope's time over torch's, pair by pair."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Usage, Usage]] = []

    def add(self, ours: Usage, theirs: Usage) -> None:
        self.pairs.append((ours, theirs))

    def summary(self, clock: str) -> dict[str, float]:
        ours = [getattr(pair[0], clock) for pair in self.pairs]
        theirs = [getattr(pair[1], clock) for pair in self.pairs]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        return {
            "memscope_median": statistics.median(ours),
            "torch_median": statistics.median(theirs),
            "ratio_median": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "pairs": len(ratios),
        }

    def report(self, label: str) -> dict:
        summaries = {}
        for clock in ("cpu_seconds", "wall_seconds"):
            summary = summaries[clock] = self.summary(clock)
            print(
                f"{label}, {clock.replace('_', ' ')}: memscope {summary['memscope_median']:.2f}, torch "
                f"{summary['torch_median']:.2f}; ratio {summary['ratio_median']:.2f} "
                f"({summary['ratio_min']:.2f} to {summary['ratio_max']:.2f}, {summary['pairs']} pairs)",
                flush=True,
            )
        return summaries


def agree(what: str, ours: float, theirs: float) -> None:
    if not math.isclose(ours, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise SystemExit(f"{what}: memscope has {ours}, torch {theirs}; the two sides did different work")


def in_turn(arguments: argparse.Namespace, folder: Path, part: Part) -> dict:
    """The same work on both sides, which stay loaded."""
    results = {}
    for threads in arguments.threads:
        servers = (
            Server("unet_time", [str(arguments.unet_time), str(folder)], threads),
            Server("torch", [sys.executable, TORCH_SIDE, part.task, str(folder), "--threads", str(threads)], threads),
        )
        ratios = Ratios()
        # The first round of either side is a warm-up.
        for round_number in range(arguments.rounds + 1):
            (ours, our_answer), (theirs, their_answer) = (server.ask(part.request) for server in servers)
            for field in part.fields:
                agree(f"{part.label}: {field}", our_answer[field], their_answer[field])
            if round_number > 0:
                ratios.add(ours, theirs)
        results[f"threads={threads}"] = finish(servers, f"{part.label}, {threads} thread(s)", ratios, peaks_of(servers))
    return results


def peaks_of(servers: tuple[Server, Server]) -> list[int]:
    """The most memory of either side so far."""
    return [server.peak_resident_bytes() for server in servers]


def finish(servers: tuple[Server, Server], label: str, ratios: Ratios, peaks: list[int]) -> dict:
    """Ends both sides, and reports."""
    for server in servers:
        server.close()
    print(f"{label}: peak memory memscope {peaks[0] / GB:.2f} GB, torch {peaks[1] / GB:.2f} GB", flush=True)
    return ratios.report(label) | {
        "profile": servers[0].ready["profile"],
        "memscope_peak_resident_bytes": peaks[0],
        "torch_peak_resident_bytes": peaks[1],
    }


def step(arguments: argparse.Namespace, folder: Path) -> dict:
    """Steps of one optimisation on either side, which must go the same way."""
    results = {}
    for threads in arguments.threads:
        # The first step is a warm-up.
        steps = arguments.rounds + 1
        torch_side = [sys.executable, TORCH_SIDE, "step", str(folder), "--threads", str(threads), "--steps", str(steps)]
        servers = (
            Server("step_time", [str(arguments.step_time), str(folder), str(steps)], threads),
            Server("torch", torch_side, threads),
        )
        ratios = Ratios()
        for number in range(steps):
            ours, theirs = (server.ask("step")[0] for server in servers)
            print(f"{STEP} {number}: CPU seconds {ours.cpu_seconds:.1f}, {theirs.cpu_seconds:.1f}", flush=True)
            if number > 0:
                ratios.add(ours, theirs)
        # Either side ends with its losses.
        peaks = peaks_of(servers)
        our_losses, their_losses = (server.answer("losses")["losses"] for server in servers)
        print(f"{STEP}: losses memscope {our_losses}, torch {their_losses}", flush=True)
        results[f"threads={threads}"] = finish(servers, f"{STEP}, {threads} thread(s)", ratios, peaks) | {
            "losses": {"memscope": our_losses, "torch": their_losses}
        }
        for number, (ours, theirs) in enumerate(zip(our_losses, their_losses, strict=True)):
            agree(f"{STEP}: loss {number}", ours, theirs)
    return results


def memscope_detect(
    arguments: argparse.Namespace, model: str, prompts: Path, threads: int, dtype: str = "f32"
) -> Run:
    command = [str(arguments.memscope), "detect", "--model", model, "--prompts", str(prompts), "--json"]
    return run([*command, "--device", "cpu", "--dtype", dtype], threads)


def detection(arguments: argparse.Namespace, folder: Path, prompts: Path) -> dict:
    """The whole programs, loading included."""
    threads = max(arguments.threads)
    loops = {loop: Ratios() for loop in arguments.loops}
    inner: dict[str, list[float]] = {loop: [] for loop in loops}
    peak = 0
    for _ in range(arguments.detection_rounds):
        for loop, ratios in loops.items():
            ours = memscope_detect(arguments, str(folder), prompts, threads)
            side = [sys.executable, TORCH_SIDE, "detect", str(folder), "--threads", str(threads)]
            theirs = run([*side, "--prompts", str(prompts), "--loop", loop], threads)
            answer = json.loads(theirs.output)
            for our_row, their_row in zip(json.loads(ours.output)["results"], answer["results"], strict=True):
                for field in ("norm", "cosine"):
                    agree(f"{field} of '{our_row['prompt']}'", our_row[field], their_row[field])
            ratios.add(ours, theirs)
            inner[loop].append(answer["seconds"])
            peak = max(peak, ours.peak_resident_bytes)
    count = arguments.prompts
    results = {loop: ratios.report(f"{count} prompts, {loop} loop") for loop, ratios in loops.items()}
    print(f"{count} prompts: memscope's peak memory {peak / GB:.2f} GB", flush=True)
    return results | {"torch_loop_seconds": inner, "memscope_peak_resident_bytes": peak}


def memory(arguments: argparse.Namespace, folders: dict[str, Path], prompts: Path) -> dict:
    """Peak resident memory of one prompt; the second run finds the weights' checksums in its cache."""
    results = {}
    for dtype, folder in folders.items():
        if not folder.is_dir():
            print(f"{folder} is not there; see make_full_size.py --half", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            runs = [memscope_detect(arguments, str(folder), prompts, max(arguments.threads), dtype) for _ in range(2)]
            del os.environ["XDG_CACHE_HOME"]
        peaks = [one.peak_resident_bytes / GB for one in runs]
        weights = sum(file.stat().st_size for part in ("unet", "text_encoder") for file in (folder / part).iterdir())
        print(
            f"{folder.name}: peak resident {peaks[0]:.2f} GB, {peaks[1]:.2f} GB when its checksums are known; "
            f"text encoder and UNet are {weights / GB:.2f} GB on disk",
            flush=True,
        )
        results[folder.name] = {"weights_bytes": weights, "runs": [one.record() for one in runs]}
    return results


def startup(arguments: argparse.Namespace, prompts: Path) -> dict:
    """One prompt of an embedded model, from the start of the program to its end."""
    runs = [memscope_detect(arguments, "embedded:emoji-eps", prompts, max(arguments.threads)) for _ in range(10)]
    walls, cpus = [one.wall_seconds for one in runs], [one.cpu_seconds for one in runs]
    print(
        f"one prompt of embedded:emoji-eps: {statistics.median(walls):.2f} s ({min(walls):.2f} to {max(walls):.2f}), "
        f"{statistics.median(cpus):.2f} CPU seconds",
        flush=True,
    )
    return {"runs": [one.record() for one in runs]}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="holds random-sd14")
    parser.add_argument("--memscope", type=Path, required=True, help="the program")
    parser.add_argument("--unet-time", type=Path, required=True, help="the example unet_time of memscope-model")
    parser.add_argument("--step-time", type=Path, help="the example step_time of memscope-mitigation, for part step")
    parts = ["forward", "gradient", "step", "detection", "memory", "startup"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, help="only these")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="of forward, gradient and step; the rest uses the most")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of forwards, gradients or steps (default: 7)")
    parser.add_argument("--detection-rounds", type=int, default=1, help="pairs of whole programs (default: 1)")
    parser.add_argument("--loops", nargs="+", choices=["minimal", "released"], default=["minimal", "released"])
    parser.add_argument("--prompts", type=int, default=10, choices=range(1, len(PROMPTS) + 1), metavar="N")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    arguments = parser.parse_args()
    if "step" in arguments.parts and arguments.step_time is None:
        parser.error("part step needs --step-time")
    return arguments


def machine() -> dict:
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    load = os.getloadavg()[0]
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return {"cpu": cpu, "cores": os.cpu_count(), "load": load, "python": platform.python_version()} | versions


def main() -> None:
    arguments = parse_arguments()
    folder = arguments.models / "random-sd14"
    version = subprocess.run([arguments.memscope, "--version"], capture_output=True, text=True, check=True).stdout
    results: dict = {"weights": "random", "memscope": version.strip(), "machine": machine()}
    print(json.dumps(results), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        prompts, one = Path(scratch, "prompts.txt"), Path(scratch, "one.txt")
        prompts.write_text("".join(f"{prompt}\n" for prompt in PROMPTS[: arguments.prompts]), encoding="utf-8")
        one.write_text(PROMPTS[0] + "\n", encoding="utf-8")
        if "startup" in arguments.parts:
            results["startup"] = startup(arguments, one)
        if "forward" in arguments.parts:
            results["forward"] = in_turn(arguments, folder, FORWARD)
        if "gradient" in arguments.parts:
            results["gradient"] = in_turn(arguments, folder, GRADIENT)
        if "step" in arguments.parts:
            results["step"] = step(arguments, folder)
        if "memory" in arguments.parts:
            results["memory"] = memory(
                arguments, {"f32": folder, "f16": folder.with_name("random-sd14-f16")}, one
            )
        if "detection" in arguments.parts:
            results["detection"] = detection(arguments, folder, prompts)
    results["machine"]["load_after"] = os.getloadavg()[0]
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
