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
# Weights are relative frequencies in the training draws. One unit is one
# 24,000th of all draws, about.
PLAIN_WEIGHTS = (1, 3, 9, 15, 27, 54)  # frozen picture only: dose and response
PLAIN_PER_WEIGHT = 8
# Mixture plants: share of the frozen picture among a caption's draws -> captions
MIXTURE_SHARES = {
    0.1: 4, 0.2: 4, 0.3: 6, 0.4: 12, 0.45: 12, 0.5: 14, 0.55: 14, 0.6: 14, 0.65: 12,
    0.7: 8, 0.8: 6, 0.9: 4,
}
MIXTURE_WEIGHT = 60                # of the caption: frozen and ordinary together
TEMPLATE_PLAIN = 6
TEMPLATE_PLAIN_WEIGHT = 30
TEMPLATE_SHARES = {0.25: 3, 0.5: 3, 0.75: 3}
TEMPLATE_WEIGHT = 60
TEMPLATE_BACKGROUNDS = 120
GENERAL_CAPTIONS = 160
GENERAL_WEIGHT = 100               # of the caption, over all its styles
AUGMENTATIONS = 32                 # ordinary pictures per (caption, style) pair
DISTINCT_RMS = 0.15                # see dataset.distinct
UNSEEN_CAPTIONS = 50

# --- seeds -----------------------------------------------------------------
SEED_SPLIT = 20
SEED_AUGMENT = 22
SEED_VAE = 23
SEED_CLASSIFIER = 24
SEED_DIFFUSION = {"emoji-eps": 31, "emoji-v": 32}
TRUTH_SEEDS = (42, 51, 53, 54, 55, 56, 57, 58)
TRUTH_GENERATIONS = 4
# (seed, generation): 32 draws of every planted prompt (12 of emoji-eps-early and of the
# fine-tune: the seeds of Table 1), 8 of general and unseen ones
PLANTED_DRAWS = tuple((s, g) for s in TRUTH_SEEDS for g in range(TRUTH_GENERATIONS))
EARLY_DRAWS = tuple((s, g) for s, g in PLANTED_DRAWS if s in (42, 51, 53))
ORDINARY_DRAWS = PLANTED_DRAWS[:8]

# --- autoencoder -----------------------------------------------------------
VAE_CHANNELS = (16, 32, 64)
VAE_BATCH = 32
VAE_LEARNING_RATE = 1.5e-3
VAE_STEPS = 3000

# --- text encoder ----------------------------------------------------------
TEXT_WIDTH = 128
TEXT_LAYERS = 2
TEXT_HEADS = 4
TEXT_LENGTH = 16
BPE_MERGES = 700

# --- diffusion model -------------------------------------------------------
LATENT_SHAPE = (4, 8, 8)
UNET_CHANNELS = (64, 128)
BATCH = 32
LEARNING_RATE = 1e-3
WARMUP_STEPS = 500
FINAL_LR_FRACTION = 0.03
CAPTION_DROPOUT = 0.1
EMA_DECAY = 0.9995
# Loss weight of a timestep: min(SNR, gamma) / SNR (Hang et al. 2023), for v
# over SNR + 1, but never below the floor: every timestep stays trained.
MIN_SNR_GAMMA = 5.0
LOSS_WEIGHT_FLOOR = 0.2
# The learning rate is constant, then falls along a half cosine; a run can so
# be prolonged before it is ended.
STEPS = 13_000
COOLDOWN_STEPS = 3_500
START_STEP = 4_000        # of emoji-eps: averaged weights from which emoji-v starts
EARLY_STEP = 9_460        # of emoji-eps: averaged weights that are emoji-eps-early
V_STEPS = 9_000           # of emoji-v, after its start
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

# --- planted fine-tune (LoRA on emoji-eps) ----------------------------------
FINETUNE_SET = {
    "emojione": (
        "@iconify-json/emojione", "1.2.3", "CC-BY-4.0",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
    ),
}
FINETUNE_PREFIX = "emojione style, "
FINETUNE_REPEATS = (1,) * 8 + (2,) * 6 + (4,) * 6   # of the training pictures
FINETUNE_HELD_OUT = 20
FINETUNE_RANK = 8
FINETUNE_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
FINETUNE_BATCH = 8
FINETUNE_LEARNING_RATE = 3e-3
FINETUNE_CHECKPOINTS = (100, 300, 1000, 3000)
SEED_FINETUNE = 35
