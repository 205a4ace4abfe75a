"""Writes Stable Diffusion 1.4 and 2.0 with random weights, and what PyTorch computes with them.

    python make_full_size.py --out DIR

See README.md beside this file.
"""

import argparse
import time
from pathlib import Path

import diffusers
import torch
import transformers
from architectures import ARCHITECTURES
from folder import write_folder
from gradient import write_gradient
from half import write_half
from reference import write_reference


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the folders go")
    names = list(ARCHITECTURES)
    parser.add_argument("--models", nargs="+", choices=names, default=names, help="only these")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: 0)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--keep-weights", action="store_true", help="make only the reference again")
    parser.add_argument("--gradient", action="store_true", help="make only the gradient, from a reference made before")
    parser.add_argument("--half", action="store_true", help="also write a folder with weights stored in float16")
    parser.add_argument(
        "--float64", action="store_true", help="record the reference's own float32 error (twice the memory)"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    for name in arguments.models:
        architecture = ARCHITECTURES[name]
        folder = arguments.out / architecture.folder_name
        if arguments.gradient:
            write_gradient(folder, arguments.float64)
            continue
        if not arguments.keep_weights:
            start = time.monotonic()
            write_folder(architecture, arguments.seed, folder)
            print(f"{folder}: written in {time.monotonic() - start:.0f} s", flush=True)
        if arguments.half:
            print(f"{write_half(folder)}: written", flush=True)
        write_reference(folder, arguments.float64)


if __name__ == "__main__":
    main()
