"""The starting noise x_T: torch's CUDA generator (Philox4x32-10), in NumPy.

The program draws the same numbers (noise generator `torch-cuda`); see
docs/spec/protocol.md, section 2.1. Written for calls of up to 1,024 values,
in which every value is the first normal of a thread of its own.
"""

import numpy
import torch

import config

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = numpy.uint64(0xFFFFFFFF)


def _philox(threads: numpy.ndarray, seed: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The first two words of every thread's first draw."""
    zero = numpy.zeros_like(threads)
    counter = [zero, zero, threads & _MASK, threads >> numpy.uint64(32)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        first = counter[0] * numpy.uint64(_MULTIPLIERS[0])
        second = counter[2] * numpy.uint64(_MULTIPLIERS[1])
        counter = [
            (second >> numpy.uint64(32)) ^ counter[1] ^ numpy.uint64(key[0]),
            second & _MASK,
            (first >> numpy.uint64(32)) ^ counter[3] ^ numpy.uint64(key[1]),
            first & _MASK,
        ]
        key = [(k + w) & 0xFFFFFFFF for k, w in zip(key, _WEYL)]
    return counter[0], counter[1]


def normals(seed: int, count: int) -> torch.Tensor:
    """`torch.randn(count, device="cuda")` after seeding with `seed`."""
    assert count <= 1024, "several normals a thread are not written"
    radial, angular = _philox(numpy.arange(count, dtype=numpy.uint64), seed)
    uniform = (radial.astype(numpy.float64) + 0.5) * 2.0**-32
    angle = (angular.astype(numpy.float64) + 0.5) * (2 * numpy.pi * 2.0**-32)
    values = numpy.sqrt(-2 * numpy.log(uniform)) * numpy.sin(angle)
    return torch.from_numpy(values.astype(numpy.float32))


def starting_noise(draws) -> torch.Tensor:
    """x_T of every (seed, generation), (draws, 4, 8, 8); the same for all captions."""
    size = numpy.prod(config.LATENT_SHAPE)
    latents = []
    for seed, generation in draws:
        drawn = normals(seed, size * config.TRUTH_GENERATIONS).view(-1, *config.LATENT_SHAPE)
        latents.append(drawn[generation])
    return torch.stack(latents)
