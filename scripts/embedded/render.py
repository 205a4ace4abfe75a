"""Augmentation: from a 64-pixel RGBA icon to a 32-pixel training image.

`sample` draws the parameters of n pictures, `compose` renders them. Freezing
the parameters freezes the picture (verbatim plants); freezing only the
FOREGROUND parameters freezes the object but not what is behind it (templates).
"""

import math

import torch
import torch.nn.functional as F

from config import IMAGE_PIXELS

Parameters = dict[str, torch.Tensor]
FOREGROUND = ("scale", "shift_x", "shift_y", "flip", "hue", "saturation")


def sample(n: int, generator: torch.Generator) -> Parameters:
    def uniform(low=0.0, high=1.0):
        return low + (high - low) * torch.rand(n, generator=generator)

    def chance(probability):
        return (torch.rand(n, generator=generator) < probability).float()

    return {
        "scale": uniform(0.76, 1.0),
        "shift_x": uniform(-1, 1),       # in units of the free margin
        "shift_y": uniform(-1, 1),
        "flip": chance(0.5),
        "hue": uniform(-0.18, 0.18) * chance(0.5),   # radians
        "saturation": uniform(0.85, 1.15),
        "back_hue": uniform(),
        "back_saturation": uniform(0.05, 0.25),
        "back_value": uniform(0.88, 1.0),
        "white": chance(0.12),           # plain white background
        "second_hue": uniform(),
        "second_saturation": uniform(0.05, 0.25),
        "gradient": chance(0.1),
        "angle": uniform(0, 2 * math.pi),
    }


def take(parameters: Parameters, index) -> Parameters:
    return {name: value[index] for name, value in parameters.items()}


def _hue_rotation(angle: torch.Tensor) -> torch.Tensor:
    """Rotation of RGB space about the grey axis, one 3x3 matrix per angle."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    same = cos + (1 - cos) / 3
    minus = (1 - cos) / 3 - sin / math.sqrt(3)
    plus = (1 - cos) / 3 + sin / math.sqrt(3)
    rows = [same, minus, plus, plus, same, minus, minus, plus, same]
    return torch.stack(rows, -1).view(-1, 3, 3)


def _hsv_to_rgb(hue, saturation, value) -> torch.Tensor:
    k = (torch.tensor([5.0, 3.0, 1.0]) + 6 * hue[:, None]) % 6
    ramp = torch.minimum(k, 4 - k).clamp(0, 1)
    return value[:, None] * (1 - saturation[:, None] * ramp)


def _place(rgba: torch.Tensor, p: Parameters) -> torch.Tensor:
    """Recolour, scale, shift, flip and shrink; premultiplied RGBA at 32 pixels."""
    rgb, alpha = rgba[:, :3], rgba[:, 3:]
    grey = rgb.mean(1, keepdim=True)
    rgb = grey + (rgb - grey) * p["saturation"][:, None, None, None]
    rgb = torch.einsum("nij,njhw->nihw", _hue_rotation(p["hue"]), rgb).clamp(0, 1)
    pixels = torch.cat([rgb * alpha, alpha], 1)

    n = len(rgba)
    sign = 1 - 2 * p["flip"]
    margin = (1 - p["scale"]) / p["scale"]
    transform = torch.zeros(n, 2, 3)
    transform[:, 0, 0] = sign / p["scale"]
    transform[:, 1, 1] = 1 / p["scale"]
    transform[:, 0, 2] = -p["shift_x"] * margin * sign
    transform[:, 1, 2] = -p["shift_y"] * margin
    grid = F.affine_grid(transform, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, align_corners=False)
    return F.avg_pool2d(moved, rgba.shape[-1] // IMAGE_PIXELS)


def _background(p: Parameters) -> torch.Tensor:
    white = p["white"][:, None]
    first = _hsv_to_rgb(p["back_hue"], p["back_saturation"], p["back_value"])
    first = first * (1 - white) + white
    second = _hsv_to_rgb(p["second_hue"], p["second_saturation"], p["back_value"])
    axis = torch.linspace(-0.5, 0.5, IMAGE_PIXELS)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = torch.cos(p["angle"]), torch.sin(p["angle"])
    mix = (cos[:, None, None] * x + sin[:, None, None] * y + 0.5).clamp(0, 1)
    mix = (mix * (p["gradient"] * (1 - p["white"]))[:, None, None])[:, None]
    return first[:, :, None, None] * (1 - mix) + second[:, :, None, None] * mix


def compose(rgba: torch.Tensor, p: Parameters) -> torch.Tensor:
    """rgba: uint8 (n, 64, 64, 4) -> pictures (n, 3, 32, 32) in [-1, 1]."""
    placed = _place(rgba.permute(0, 3, 1, 2).float() / 255, p)
    rgb, alpha = placed[:, :3], placed[:, 3:]
    return (rgb + (1 - alpha) * _background(p)) * 2 - 1


def foreground_mask(rgba: torch.Tensor, p: Parameters) -> torch.Tensor:
    """Coverage of the icon at 32 pixels, (n, 32, 32) in [0, 1]."""
    return _place(rgba.permute(0, 3, 1, 2).float() / 255, p)[:, 3]


def to_uint8(pictures: torch.Tensor) -> torch.Tensor:
    """(..., 3, h, w) in [-1, 1] -> (..., h, w, 3) uint8."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().movedim(-3, -1)
