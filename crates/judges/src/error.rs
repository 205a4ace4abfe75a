//! What can go wrong with a judge.

use std::{io, path::PathBuf};

use memscope_torch_file::TorchFileError;

use crate::published::Role;

/// The result of the judges' own operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of loading and asking a judge. Every variant names the place and, where one exists, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Pictures.
    /// A picture that could not be read.
    #[error("{} is no picture that can be read: {reason}; PNG and JPEG are read, convert others first", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The numbers of a picture do not fit its size.
    #[error("a picture of {width} × {height} pixels with {bytes} bytes of RGB: {reason}")]
    PictureSize {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
        /// Bytes given.
        bytes: usize,
        /// What is wrong.
        reason: &'static str,
    },

    /// No picture where pictures were looked for.
    #[error("{} has no picture; .png, .jpg and .jpeg files are read, in sub-folders too", path.display())]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
    /// A folder, or a file, that cannot be listed or read.
    #[error("{} cannot be read: {reason}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// More pictures than are looked at in one go.
    #[error("{} has more than {most} pictures; give sub-folders one after the other", path.display())]
    TooManyPictures {
        /// The folder.
        path: PathBuf,
        /// The bound.
        most: usize,
    },

    // Where published judges come from.
    /// A download or the cache.
    #[error(transparent)]
    Hub(#[from] memscope_hub::Error),
    /// No judge of that name.
    #[error("there is no published judge '{name}'; there are: {known}")]
    UnknownJudge {
        /// As given.
        name: String,
        /// The names.
        known: String,
    },
    /// Two judges for one role.
    #[error("{first} and {second} are both judges of {}; give one of them", role.name())]
    TwoJudges {
        /// The role.
        role: Role,
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A file is not where it was published.
    #[error("{judge}: {repository} has no file for {file}; fill a folder by hand (docs/judges.md) and give it")]
    NotPublished {
        /// The judge.
        judge: &'static str,
        /// The repository of the Hub.
        repository: &'static str,
        /// Where the file would go.
        file: String,
    },
    /// The network may not be asked.
    #[error(
        "the judges {judges} are not in the cache, and HF_HUB_OFFLINE forbids the network; unset it and run `{command}`"
    )]
    Offline {
        /// The set.
        judges: String,
        /// The remedy.
        command: String,
    },
    /// No cache folder.
    #[error("the system names no cache folder; set {variable} to a folder for judges")]
    NoCache {
        /// The variable.
        variable: &'static str,
    },

    // Files.
    /// No judge in a folder.
    #[error(
        "{folder} has no judge: it must hold sscd/, clip/ or quality.safetensors; `memscope models fetch judges` fills it"
    )]
    NoJudge {
        /// The folder.
        folder: String,
    },
    /// A file is not there.
    #[error("{folder}: {file} is missing")]
    MissingFile {
        /// The folder.
        folder: String,
        /// The file.
        file: String,
    },
    /// A file could not be read.
    #[error("{file} cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A configuration that is not understood.
    #[error("{file}: {reason}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A PyTorch file that was refused.
    #[error("{file}: {source}")]
    TorchFile {
        /// The file.
        file: String,
        /// Why.
        source: TorchFileError,
    },
    /// A damaged safetensors file.
    #[error("{file} is no safetensors file, or a damaged one: {reason}")]
    Safetensors {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The tokenizer's files are damaged.
    #[error("{folder}: the tokenizer cannot be built: {reason}")]
    Tokenizer {
        /// The folder.
        folder: String,
        /// What is wrong.
        reason: String,
    },

    // Tensors.
    /// A tensor that the network needs is not in the file.
    #[error("{file} has no tensor '{tensor}'; is it the file of another network?")]
    MissingTensor {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
    },
    /// A tensor of another shape than the configuration says.
    #[error("{file}: tensor '{tensor}' has shape {got:?}, the configuration asks for {expected:?}")]
    TensorShape {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// By the configuration.
        expected: Vec<usize>,
        /// In the file.
        got: Vec<usize>,
    },
    /// A tensor that does not hold floating-point numbers.
    #[error("{file}: tensor '{tensor}' has elements of type {element}; F32, F16, BF16 and F64 are read")]
    TensorType {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Type of its elements.
        element: String,
    },
    /// Weights that are NaN or infinite.
    #[error("{file}: tensor '{tensor}' has a number that is NaN or infinite; the file is damaged")]
    NonFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
    },

    // Together.
    /// The quality head needs an image embedding.
    #[error("{folder}: the quality head needs the CLIP model it was made for; put it into clip/")]
    QualityWithoutClip {
        /// The folder.
        folder: String,
    },
    /// The quality head is made for another CLIP.
    #[error("the quality head takes {expected} numbers, {clip} gives {got}; put the CLIP it was made for into clip/")]
    QualityWidth {
        /// Inputs of the head.
        expected: usize,
        /// Length of the embedding.
        got: usize,
        /// The CLIP model.
        clip: String,
    },
    /// An embedding that has no direction.
    #[error("{judge}: the embedding of a picture or text is zero or not finite; the weights are damaged")]
    NoDirection {
        /// The judge.
        judge: String,
    },
    /// Two embeddings that cannot be compared.
    #[error("embeddings of {first} and {second} numbers cannot be compared; they come from different judges")]
    Incomparable {
        /// Length of one.
        first: usize,
        /// Length of the other.
        second: usize,
    },
    /// candle refused an operation.
    #[error("the network could not be computed: {0}")]
    Compute(#[from] candle_core::Error),
}
