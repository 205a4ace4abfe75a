"""Noise of torch's CUDA generator, in numpy: Philox4x32-10 and Box-Muller, for latents smaller than the grid."""

import numpy as np
import torch

BLOCK_THREADS = 256
# Blocks of an RTX A6000's sampling kernel.
BLOCK_CAP = 504
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
UNIT = np.array(0x2F800000, dtype=np.uint32).view(np.float32)
ANGLE = np.array(0x30C90FDB, dtype=np.uint32).view(np.float32)
# Published outputs of a CUDA generator with seed 42.
SEED_42 = (0.1940189, 2.161374, -0.1720506, 0.8490601, -1.924399, 0.6529855, -0.6494411, -0.8175247)


def normals(seed: int, count: int) -> np.ndarray:
    """The first `count` float32 normals drawn in one call: element j is the first normal of thread j."""
    if count > BLOCK_THREADS * BLOCK_CAP:
        raise ValueError(f"{count} values exceed the grid of {BLOCK_CAP} blocks")
    low, high = np.uint64(32), np.uint64(0xFFFFFFFF)
    zeros = np.zeros(count, dtype=np.uint64)
    c0, c1, c2, c3 = zeros, zeros, np.arange(count, dtype=np.uint64), zeros
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        first, second = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        k0, k1 = np.uint64(key[0]), np.uint64(key[1])
        c0, c1, c2, c3 = (second >> low) ^ c1 ^ k0, second & high, (first >> low) ^ c3 ^ k1, first & high
        key = [(word + step) & 0xFFFFFFFF for word, step in zip(key, WEYL, strict=True)]
    # The kernel's float32 multiply-adds: exact in float64, then rounded once.
    uniform = (c0.astype(np.float32).astype(np.float64) * UNIT + UNIT / 2).astype(np.float32)
    angle = (c1.astype(np.float32).astype(np.float64) * ANGLE + ANGLE / 2).astype(np.float32)
    radius = np.sqrt(np.float32(-2) * np.log(uniform.astype(np.float64)).astype(np.float32))
    return (radius * np.sin(angle.astype(np.float64)).astype(np.float32)).astype(np.float32)


def latent(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """x_T in float32."""
    if not np.allclose(normals(42, len(SEED_42)), SEED_42, rtol=0, atol=1e-6):
        raise AssertionError("the generator does not reproduce the published numbers")
    return torch.from_numpy(normals(seed, int(np.prod(shape)))).reshape(shape)
