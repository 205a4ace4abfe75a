//! Names of files in diffusers layout, relative to the model.

/// The file that makes a folder a model.
pub(crate) const INDEX: &str = "model_index.json";

/// The scheduler's settings.
pub(crate) const SCHEDULER: &str = "scheduler/scheduler_config.json";

/// The tokenizer in one file (transformers 5); it counts where [`VOCABULARY`] is not there.
pub(crate) const TOKENIZER_JSON: &str = "tokenizer.json";

/// The vocabulary in a file of its own.
pub(crate) const VOCABULARY: &str = "vocab.json";
