//! What can go wrong with a model.

use std::path::PathBuf;

use candle_core::DType;

use crate::{
    memory_need::{AvailableMemory, MemoryNeed, size},
    tokenizer::TokenizerError,
};

/// The result of the model's own operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of loading and running a model. Every variant names the place and, where one exists, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Where the model comes from.
    /// No embedded model of that name.
    #[error("there is no embedded model '{name}'; there are: {}", available.join(", "))]
    UnknownEmbedded {
        /// The name asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// Neither an embedded model, a folder nor a Hub id.
    #[error(
        "'{given}' is no model: give embedded:NAME, sd14, sd20, rv51, a folder in diffusers layout, a checkpoint file (.safetensors, .ckpt), or a Hub id such as owner/name"
    )]
    UnknownSource {
        /// What was given.
        given: String,
    },
    /// A model of the Hub is not in the cache.
    #[error(transparent)]
    Hub(#[from] memscope_hub::Error),
    /// The weights are not there in the variant asked for.
    #[error("{model}: {file} is missing; {}", match variants.as_str() {
        "" => "the weights have no variant, leave --variant (in an experiment: variant) out".to_owned(),
        variants => format!("weights that are there have the variant {variants}: choose it with --variant (in an experiment: variant)"),
    })]
    NoSuchVariant {
        /// The model.
        model: String,
        /// The file, relative to the model.
        file: String,
        /// The variants there are.
        variants: String,
    },
    /// A part of the model is not in its folder.
    #[error(
        "{model}: {file} is missing; a model folder holds model_index.json, unet/, text_encoder/, vae/, tokenizer/ and scheduler/"
    )]
    MissingFile {
        /// The model.
        model: String,
        /// The file, relative to the model.
        file: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    // Configuration.
    /// A config.json that is not JSON, or not of the expected form.
    #[error("{file}: {reason}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A setting that this program does not implement.
    #[error("{file}: '{field}' is {value}, which is not supported; supported: {supported}")]
    Unsupported {
        /// The file.
        file: String,
        /// The field of the JSON file.
        field: String,
        /// Its value.
        value: String,
        /// What is supported.
        supported: String,
    },

    /// A scheduler whose timesteps are not those of the protocol.
    #[error(
        "{file}: 50 sampling steps visit {found}, the protocol's are 981, 961, ..., 1 ({settings}); pass --accept-schedule (in an experiment: accept_schedule: true) if that is what you want"
    )]
    Schedule {
        /// The file.
        file: String,
        /// The timesteps it leads to.
        found: String,
        /// The settings behind them.
        settings: String,
    },

    /// A model that is sampled in a few steps only.
    #[error(
        "{file}: {what} is for models distilled for few steps (Turbo, Lightning, LCM), which are not sampled at the protocol's timesteps 981, 961, ..., 1; pass --accept-schedule (in an experiment: accept_schedule: true) if that is what you want"
    )]
    Distilled {
        /// The file.
        file: String,
        /// What says so.
        what: String,
    },

    // Weights.
    /// Not a complete safetensors file.
    #[error("{file} is not a complete safetensors file ({reason}); download or copy it again")]
    DamagedWeights {
        /// The file.
        file: String,
        /// What the reader found.
        reason: String,
    },
    /// A PyTorch file that is damaged, or asks for more than tensors.
    #[error("{file}: {source}")]
    TorchFile {
        /// The file.
        file: String,
        /// What the reader found.
        source: memscope_torch_file::TorchFileError,
    },
    /// A tensor the network needs is not there.
    #[error("{file}: tensor '{tensor}' is missing")]
    MissingTensor {
        /// The file, or the index of a sharded file.
        file: String,
        /// The tensor's name.
        tensor: String,
    },
    /// A single file that is no model, or not one that is known here.
    #[error("{file} is a file, but no model that can be read: {reason}")]
    Checkpoint {
        /// The file.
        file: String,
        /// What it is, and what can be done.
        reason: String,
    },
    /// Keys of a LoRA for which the base has no tensor.
    #[error(
        "{file}: {count} of its modules or keys change nothing of this model, such as {names}; it was made for another base, or in a layout that is not known"
    )]
    LoraKeys {
        /// The file.
        file: String,
        /// How many.
        count: usize,
        /// Some of them.
        names: String,
    },
    /// A change that does not fit the tensor.
    #[error("{file}: '{module}' does not fit '{tensor}' of shape {shape:?}; the LoRA was made for another base")]
    LoraShape {
        /// The file.
        file: String,
        /// The module.
        module: String,
        /// The tensor of the base.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor that two files of one network hold.
    #[error("tensor '{tensor}' stands in two files, {first} and {second}; which one counts is not said: keep one")]
    TensorTwice {
        /// The tensor's name.
        tensor: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{file}: tensor '{tensor}' has shape {got:?}, the configuration asks for {expected:?}")]
    TensorShape {
        /// The file.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// The shape the configuration asks for.
        expected: Vec<usize>,
        /// The shape found.
        got: Vec<usize>,
    },
    /// A tensor is stored in a number format that is not supported.
    #[error("{file}: tensor '{tensor}' is stored as {dtype}; supported: F64, F32, F16, BF16")]
    TensorDtype {
        /// The file.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// Its format.
        dtype: String,
    },
    /// Tensors nobody asked for: the file belongs to another network than the configuration.
    #[error("{file}: {count} tensors do not belong to the configured network, the first is '{first}'")]
    ExtraTensors {
        /// The file.
        file: String,
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// NaN or infinity in the weights.
    #[error("{file}: tensor '{tensor}' holds NaN or infinity; the file is damaged, or the model diverged in training")]
    NonFiniteWeights {
        /// The file.
        file: String,
        /// The tensor's name.
        tensor: String,
    },

    /// Weights that half precision cannot hold.
    #[error(
        "{file}: tensor '{tensor}' holds numbers beyond the range of f16; choose another number format, f32 or bf16"
    )]
    BeyondHalfPrecision {
        /// The file.
        file: String,
        /// The tensor's name.
        tensor: String,
    },

    // Running.
    /// A device that is not there.
    #[error("the device {device} cannot be used: {reason}; {remedy}")]
    Device {
        /// The device.
        device: String,
        /// Why not.
        reason: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// The run would need more memory than there is; nothing has been loaded.
    #[error(
        "{model} needs about {} of memory (weights {}, working memory {}, the program {}), {} are {}; {}--ignore-memory tries nevertheless",
        size(need.total()), size(need.weights), size(need.working), size(need.program), size(available.bytes),
        available.bound, if *storage == DType::F32 { "--dtype f16 halves the weights; " } else { "" }
    )]
    TooLittleMemory {
        /// The model.
        model: String,
        /// What it needs.
        need: MemoryNeed,
        /// What there is.
        available: AvailableMemory,
        /// How weights are kept.
        storage: DType,
    },
    /// NaN or infinity in what the network answered.
    #[error("{what} holds NaN or infinity; try another numeric format (f32), or check the weights")]
    NonFiniteOutput {
        /// Which quantity.
        what: String,
    },
    /// An argument that does not fit the model.
    #[error("{0}")]
    Argument(String),
    /// The tokenizer's own errors.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// An image could not be encoded.
    #[error("an image cannot be made a PNG file: {0}")]
    Image(#[from] image::ImageError),
    /// The arguments of an operation do not fit.
    #[error(transparent)]
    Kernel(#[from] memscope_kernels::Error),
    /// A tensor operation failed.
    #[error("tensor operation: {0}")]
    Compute(#[from] candle_core::Error),
}
