"""Train the autoencoder on augmented icons (Kullback-Leibler weight 1e-4)."""

import math
import time
from pathlib import Path

import torch

import render
from config import SEED_VAE, VAE_BATCH, VAE_CHANNELS, VAE_LEARNING_RATE, VAE_STEPS

EMA_DECAY = 0.999


def build():
    from diffusers import AutoencoderKL

    stages = len(VAE_CHANNELS)
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        block_out_channels=VAE_CHANNELS, layers_per_block=1, norm_num_groups=8,
    )


def psnr(mean_square: float) -> float:
    return 10 * math.log10(4 / mean_square)  # pictures span [-1, 1]


def train(pictures, folder: Path, seconds: float, log=print,
          start_from: Path | None = None) -> dict:
    """Train for VAE_STEPS steps or `seconds`, whichever ends first.

    `start_from` is the folder of an earlier autoencoder whose weights are
    trained further; without it the weights are random.

    The learning-rate decay follows the larger of the two fractions used up,
    so it always finishes.
    """
    torch.manual_seed(SEED_VAE)
    if start_from is None:
        vae = build()
    else:
        from diffusers import AutoencoderKL

        vae = AutoencoderKL.from_pretrained(start_from, dtype=torch.float32)
    vae.train()
    source = torch.stack([
        torch.from_numpy(image)
        for slug in sorted(pictures) for _, image in sorted(pictures[slug].items())
    ])
    generator = torch.Generator().manual_seed(SEED_VAE)
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(
        parameters, VAE_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4
    )
    average = [p.detach().clone() for p in parameters]
    start, step, sums = time.time(), 0, [0.0, 0.0]
    while True:
        progress = max(step / VAE_STEPS, (time.time() - start) / seconds)
        if progress >= 1:
            break
        decay = max(0.02, 0.5 * (1 + math.cos(math.pi * progress)))
        optimizer.param_groups[0]["lr"] = (
            VAE_LEARNING_RATE * min(1, (step + 1) / 200) * decay
        )
        index = torch.randint(0, len(source), (VAE_BATCH,), generator=generator)
        image = render.compose(source[index], render.sample(VAE_BATCH, generator))
        posterior = vae.encode(image).latent_dist
        difference = vae.decode(posterior.sample(generator=generator)).sample - image
        square = (difference**2).mean()
        divergence = posterior.kl().mean() / 256  # per latent number
        loss = square + 0.25 * difference.abs().mean() + 1e-4 * divergence
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        blend = 1 - min(EMA_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], blend)
        sums[0] += square.item()
        sums[1] += divergence.item()
        if step % 100 == 0:
            log(f"vae {step} {time.time() - start:.0f}s"
                f" psnr {psnr(sums[0] / 100):.2f} kl {sums[1] / 100:.3f}")
            sums = [0.0, 0.0]

    with torch.no_grad():
        for parameter, value in zip(parameters, average):
            parameter.copy_(value)
        vae.eval()
        index = torch.randint(0, len(source), (1024,), generator=generator)
        image = render.compose(source[index], render.sample(1024, generator))
        latent = vae.encode(image).latent_dist.mode()
        error = ((vae.decode(latent).sample - image) ** 2).mean().item()
    vae.register_to_config(scaling_factor=float(1 / latent.std()))
    vae.save_pretrained(folder)
    report = {
        "steps": step,
        "start_from": start_from and start_from.name,
        "seed": SEED_VAE,
        "seconds": round(time.time() - start),
        "psnr_db": round(psnr(error), 2),
        "scaling_factor": vae.config.scaling_factor,
        "latent_mean_per_channel": [round(m, 3) for m in latent.mean((0, 2, 3)).tolist()],
        "latent_std_per_channel": [round(s, 3) for s in latent.std((0, 2, 3)).tolist()],
    }
    log(f"vae done: {report}")
    return report
