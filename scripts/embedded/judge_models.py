"""The judges' networks, under the parameter names of the real ones."""

import torch
import torch.nn.functional as F
from torch import nn

import config

DESCRIPTOR = dict(
    model="sscd", block="bottleneck", layers=[1, 1, 2], stem="small", channels=16,
    groups=1, width_per_group=64, dims=96, gem_p=3.0, copy_threshold=0.86,   # copies.py
    preprocessing=dict(size=32, fit="exact", filter="bilinear",
                       mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]),
)
PROJECTION = 96
QUALITY_LAYERS = {0: (128, PROJECTION), 2: (64, 128), 4: (32, 64), 6: (16, 32), 7: (1, 16)}


class Bottleneck(nn.Module):
    """torchvision's bottleneck (v1.5: the stride is on the 3x3 convolution)."""

    def __init__(self, inputs: int, planes: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU()
        if stride != 1 or inputs != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False),
                nn.BatchNorm2d(4 * planes),
            )
        else:
            self.downsample = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        width = DESCRIPTOR["channels"]
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        inputs = width
        for stage, blocks in enumerate(DESCRIPTOR["layers"]):
            planes = width * 2**stage
            rows = [Bottleneck(inputs if b == 0 else 4 * planes, planes,
                               2 if stage and b == 0 else 1) for b in range(blocks)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*rows))
            inputs = 4 * planes
        self.fc = nn.Linear(inputs, DESCRIPTOR["dims"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = F.avg_pool2d(x.clamp(min=1e-6) ** 3.0, x.shape[-1]) ** (1 / 3.0)
        return self.fc(x.flatten(1))


class Descriptor(nn.Module):
    """Pictures in [-1, 1], (n, 3, 32, 32) -> unit vectors (n, dims)."""

    def __init__(self):
        super().__init__()
        self.backbone = Backbone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.backbone(x), dim=1)


def build_clip(vocabulary: int):
    from transformers import CLIPConfig, CLIPModel

    text = dict(
        vocab_size=vocabulary, hidden_size=128, intermediate_size=256,
        num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=config.TEXT_LENGTH, projection_dim=PROJECTION,
        hidden_act="quick_gelu", bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
    )
    vision = dict(
        hidden_size=160, intermediate_size=320, num_hidden_layers=4,
        num_attention_heads=4, image_size=32, patch_size=8,
        projection_dim=PROJECTION, hidden_act="quick_gelu",
    )
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision,
                                projection_dim=PROJECTION))


class Quality(nn.Module):
    """The improved aesthetic predictor's layers (no activations), small.

    Input: unit CLIP image embeddings. Output: 10 (untouched) to 0.
    """

    def __init__(self):
        super().__init__()
        layers = [nn.Identity() for _ in range(1 + max(QUALITY_LAYERS))]
        for number, (outputs, inputs) in QUALITY_LAYERS.items():
            layers[number] = nn.Linear(inputs, outputs)
        self.layers = nn.Sequential(*layers)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return self.layers(embedding)[:, 0]
