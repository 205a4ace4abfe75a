"""Contact sheets of generated pictures."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw

import render

CELL = 64          # a 32-pixel picture, doubled
LABEL = 12
DRAWS = 4          # pictures per prompt
PLANTS_PER_LEVEL = 3
ORDINARY = dict(template=12, general=40, unseen=20)


def _tile(picture: torch.Tensor) -> Image.Image:
    image = Image.fromarray(render.to_uint8(picture).numpy())
    return image.resize((CELL, CELL), Image.Resampling.NEAREST)


def _save(image: Image.Image, path: Path) -> None:
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _draw_rows(rows: list[tuple[str, list[torch.Tensor]]], columns: int) -> Image.Image:
    """Each row is a label above its pictures; rows fill `columns` columns."""
    width = max(len(pictures) for _, pictures in rows) * CELL + 8
    lines = -(-len(rows) // columns)
    sheet = Image.new("RGB", (columns * width, lines * (CELL + LABEL)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (label, pictures) in enumerate(rows):
        x = number // lines * width
        y = number % lines * (CELL + LABEL)
        pen.text((x + 1, y), label[:60], fill="black", font_size=10)
        for k, picture in enumerate(pictures):
            sheet.paste(_tile(picture), (x + k * CELL, y + LABEL))
    return sheet


def planted(path: Path, split, frozen, reconstruction, made, rates) -> None:
    """Training picture, reconstruction, then four draws."""
    levels = sorted({(p.share, p.weight) for p in split.verbatim},
                    key=lambda level: (level[0] == 1, *level))
    rows = []
    for share, weight in levels:
        chosen = [i for i, p in enumerate(split.verbatim) if (p.share, p.weight) == (share, weight)]
        kind = f"weight {weight:g}" if share == 1 else f"share {share:g}"
        for i in chosen[:PLANTS_PER_LEVEL]:
            label = f"{kind}, rate {rates[i]:.2f}: {split.verbatim[i].caption}"
            rows.append((label, [frozen.verbatim[i], reconstruction[i], *made[i][:DRAWS]]))
    _save(_draw_rows(rows, 3), path)


def ordinary(path: Path, made, frozen) -> None:
    """Template prompts (training example first), general and unseen prompts."""
    rows = []
    for kind, count in ORDINARY.items():
        for i, caption in enumerate(made[kind].captions[:count]):
            pictures = list(made[kind].pictures[i][:DRAWS])
            if kind == "template":
                pictures.insert(0, frozen.template[i, 0])
            rows.append((f"{kind}: {caption}", pictures))
    _save(_draw_rows(rows, 4), path)
