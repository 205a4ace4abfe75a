"""Every constant that decides what the embedded models are.

Changing a value here changes the data or the models; the manifest written
next to the models (data/embedded/manifest.json) records the values used.
"""

from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
OUTPUT = REPO / "data" / "embedded"
DEFAULT_WORK = REPO / "target" / "embedded-train"

# --- icons -----------------------------------------------------------------
# style -> (npm package, version, licence, SHA-256 of the npm tarball)
ICON_SETS = {
    "twemoji": (
        "@iconify-json/twemoji", "1.2.5", "CC-BY-4.0",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
    ),
    "noto": (
        "@iconify-json/noto", "1.2.9", "Apache-2.0",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
    ),
    "noto-v1": (
        "@iconify-json/noto-v1", "1.2.5", "Apache-2.0",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
    ),
    "fluent-flat": (
        "@iconify-json/fluent-emoji-flat", "1.2.6", "MIT",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    ),
}
ICON_PIXELS = 64    # size at which the SVG files are rendered
IMAGE_PIXELS = 32   # size of a training image
MIN_STYLES = 3      # a caption is used if at least this many icon sets draw it

# --- captions and their roles ----------------------------------------------
VERBATIM_WEIGHTS = (1, 3, 6, 12, 24, 48)  # 1 is the control level
VERBATIM_PER_WEIGHT = 24
TEMPLATE_CAPTIONS = 40
TEMPLATE_WEIGHT = 12
TEMPLATE_BACKGROUNDS = 120
# Per (caption, style) pair: (from this training step on, weight). Starting
# with more of the general set lets the network learn to draw before it has
# much to memorize.
GENERAL_WEIGHTS = ((0, 1.8), (1000, 1.2), (1500, 0.8))
GENERAL_AUGMENTATIONS = 20                # pictures per (caption, style) pair
UNSEEN_CAPTIONS = 60
EVALUATION_GENERAL = 150
MEASURED_GENERAL = 60   # ordinary prompts generated from when a model is measured
MEASURED_UNSEEN = 70

# --- seeds -----------------------------------------------------------------
SEED_SPLIT = 20
SEED_EVALUATION = 21
SEED_AUGMENT = 22
SEED_VAE = 23
SEED_CLASSIFIER = 24
SEED_DIFFUSION = {"emoji-eps": 31, "emoji-v": 32}
GENERATION_SEEDS = (42, 43, 44, 45)

# --- autoencoder -----------------------------------------------------------
VAE_CHANNELS = (16, 32, 64)
VAE_BATCH = 16
VAE_LEARNING_RATE = 2e-3
VAE_STEPS = 1600

# --- text encoder ----------------------------------------------------------
TEXT_WIDTH = 128
TEXT_LAYERS = 2
TEXT_HEADS = 4
TEXT_LENGTH = 16
BPE_MERGES = 700

# --- diffusion model -------------------------------------------------------
LATENT_SHAPE = (4, 8, 8)
UNET_CHANNELS = (64, 128)
BATCH = 16
LEARNING_RATE = 1e-3
WARMUP_STEPS = 200
FINAL_LR_FRACTION = 0.03
CAPTION_DROPOUT = 0.1
EMA_DECAY = 0.999
STEPS = 18_000             # planned; a wall-clock limit may end the run earlier
EARLY_FRACTION = 0.5       # emoji-eps-early: EMA at this part of the schedule
PREDICTION = {"emoji-eps": "epsilon", "emoji-v": "v_prediction"}
MODELS = (*PREDICTION, "emoji-eps-early")
NOISE_SCHEDULE = dict(
    num_train_timesteps=1000,
    beta_schedule="scaled_linear",
    beta_start=0.00085,
    beta_end=0.012,
)

# --- generation and acceptance ---------------------------------------------
GENERATION_STEPS = 50
GUIDANCE = 7.5
VERBATIM_RMS = 0.08        # pixel RMS on the 0..1 scale, see the acceptance rules
