"""The configuration files of Stable Diffusion 1.4 and 2.0 as their hub repositories hold them.

Fields that the originals leave out are left out here too, so that a loader's defaults are part of the proof.
"""

from dataclasses import dataclass

from shared import SCHEDULER

CONTEXT_LENGTH = 77
VOCABULARY = 49408
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class Architecture:
    """Everything that tells one model from the other."""

    name: str
    title: str
    unet: dict
    unet_parameters: int
    text_encoder: dict
    vae: dict
    scheduler: dict
    pad_token: str
    tokenizer_config: dict
    stores_position_ids: bool

    @property
    def folder_name(self) -> str:
        return f"random-{self.name}"


UNET = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
TEXT_ENCODER = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    # Ids of another vocabulary, which nothing may use.
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
    "dropout": 0.0,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": CONTEXT_LENGTH,
    "model_type": "clip_text_model",
    "vocab_size": VOCABULARY,
}
VAE = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "out_channels": 3,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}

SD14 = Architecture(
    name="sd14",
    title="Stable Diffusion 1.4",
    unet=UNET
    | {"_diffusers_version": "0.2.2", "attention_head_dim": 8, "cross_attention_dim": 768, "sample_size": 64},
    unet_parameters=859_520_964,
    text_encoder=TEXT_ENCODER
    | {
        "_name_or_path": "openai/clip-vit-large-patch14",
        "hidden_act": "quick_gelu",
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "torch_dtype": "float32",
        "transformers_version": "4.21.0.dev0",
    },
    vae=VAE | {"_diffusers_version": "0.2.2", "sample_size": 512},
    scheduler=SCHEDULER | {"_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0.dev0"},
    pad_token=EOS,
    tokenizer_config={"name_or_path": "openai/clip-vit-large-patch14", "pad_token": EOS},
    stores_position_ids=True,
)
SD20 = Architecture(
    name="sd20",
    title="Stable Diffusion 2.0 (768, v-prediction)",
    unet=UNET
    | {
        "_diffusers_version": "0.8.0",
        "attention_head_dim": [5, 10, 20, 20],
        "cross_attention_dim": 1024,
        "dual_cross_attention": False,
        "only_cross_attention": False,
        "sample_size": 96,
        "use_linear_projection": True,
    },
    unet_parameters=865_910_724,
    text_encoder=TEXT_ENCODER
    | {
        "hidden_act": "gelu",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 23,
        "projection_dim": 512,
        "torch_dtype": "float32",
        "transformers_version": "4.25.0.dev0",
    },
    vae=VAE | {"_diffusers_version": "0.8.0", "norm_num_groups": 32, "sample_size": 768},
    scheduler=SCHEDULER
    | {"_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", "prediction_type": "v_prediction"},
    # The two tokenizer files of the hub disagree; the special tokens' file wins, and pads with id 0.
    pad_token="!",
    tokenizer_config={"name_or_path": "stabilityai/stable-diffusion-2", "pad_token": EOS},
    stores_position_ids=True,
)
ARCHITECTURES = {architecture.name: architecture for architecture in (SD14, SD20)}
