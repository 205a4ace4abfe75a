"""Programs under measurement, both sides by the same clocks: the kernel's, from outside."""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a piece of work took."""

    wall_seconds: float
    cpu_seconds: float
    """User and system time of all threads."""


@dataclass(frozen=True)
class Run(Usage):
    """A program from its start to its end."""

    peak_resident_bytes: int
    output: str

    def record(self) -> dict:
        fields = asdict(self)
        del fields["output"]
        return fields


def environment(threads: int) -> dict[str, str]:
    """The threads of memscope (rayon) and of torch's libraries; unet_time's allocator as memscope sets its own."""
    count = str(threads)
    counts = {"RAYON_NUM_THREADS": count, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
    return os.environ | counts | {"MIMALLOC_PURGE_DELAY": "-1", "MIMALLOC_ALLOW_THP": "0"}


def run(command: list[str], threads: int) -> Run:
    """Runs a program to its end; fails with its standard error."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, env=environment(threads), stdout=subprocess.PIPE, stderr=errors, text=True)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)}: exit code {child.returncode}\n{errors.read()}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output)


class Server:
    """A program that answers one line of JSON per line of input, and stays loaded in between."""

    def __init__(self, name: str, command: list[str], threads: int):
        self.name = name
        pipe = subprocess.PIPE
        self.child = subprocess.Popen(command, env=environment(threads), stdin=pipe, stdout=pipe, text=True)
        self.ready = self._read()

    def _read(self) -> dict:
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with exit code {self.child.wait()}")
        return json.loads(line)

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_resident_bytes(self) -> int:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return next(int(row.split()[1]) * 1024 for row in status.splitlines() if row.startswith("VmHWM"))

    def answer(self, line: str) -> dict:
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return self._read()

    def ask(self, line: str) -> tuple[Usage, dict]:
        before = self._cpu_seconds()
        answer = self.answer(line)
        return Usage(answer["seconds"], self._cpu_seconds() - before), answer

    def close(self) -> None:
        self.child.stdin.close()
        self.child.wait()
