"""What these scripts take from the parity fixtures' scripts beside them."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts" / "fixtures"))

from store import library_versions, relative_error, seed_of  # noqa: E402
from tiny_models import SCHEDULER, byte_alphabet, randomize, save_weights, write_json, write_pipeline  # noqa: E402

__all__ = [
    "REPOSITORY",
    "SCHEDULER",
    "byte_alphabet",
    "library_versions",
    "randomize",
    "relative_error",
    "save_weights",
    "seed_of",
    "write_json",
    "write_pipeline",
]
