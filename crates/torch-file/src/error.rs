//! What can be wrong with a PyTorch file.

use std::io;

/// The result of reading a PyTorch file.
pub type Result<T> = std::result::Result<T, TorchFileError>;

/// Why a PyTorch file was refused. Names that come from the file are shortened and escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchFileError {
    /// The file could not be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Not a zip archive, or a damaged one.
    #[error(
        "it is no whole file of torch.save or torch.jit.save ({reason}); download or copy it again, or save it again"
    )]
    NotAnArchive {
        /// What is missing or damaged.
        reason: String,
    },
    /// An entry with a name that reaches out of the archive, or is not one PyTorch writes.
    #[error("its entry '{entry}' has a name that PyTorch does not write (absolute, '..', or a backslash)")]
    EntryName {
        /// The entry.
        entry: String,
    },
    /// A compressed or encrypted entry. PyTorch stores data as they are.
    #[error("its entry '{entry}' is compressed or encrypted; PyTorch stores tensors as they are")]
    Compressed {
        /// The entry.
        entry: String,
    },
    /// Two entries share bytes.
    #[error("its entries '{first}' and '{second}' overlap")]
    Overlap {
        /// The one that begins earlier.
        first: String,
        /// The other.
        second: String,
    },
    /// Something exceeds a limit of this reader.
    #[error("{what} is {size}, the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much of it there is.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The bytes are not in the order of this reader.
    #[error("its numbers are big-endian; save it again on a little-endian machine")]
    BigEndian,
    /// The pickle names a class or function that is not on the list.
    #[error(
        "its pickle asks for '{module}.{name}', which is not needed to read tensors; nothing of it was run. If you trust where the file comes from, save its tensors alone: torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW), without ['state_dict'] where there is none"
    )]
    UnknownGlobal {
        /// Python module.
        module: String,
        /// Class or function.
        name: String,
    },
    /// An instruction that PyTorch does not write.
    #[error("its pickle has the instruction {opcode:#04x} at byte {offset}, which is not allowed")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Where it stands in `data.pkl`.
        offset: usize,
    },
    /// A pickle that makes no sense.
    #[error("its pickle is damaged at byte {offset}: {reason}")]
    Pickle {
        /// Where in `data.pkl`.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A tensor that does not fit its storage.
    #[error("its tensor '{tensor}': {reason}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no tensor of that name.
    #[error("it has no tensor '{tensor}'")]
    NoSuchTensor {
        /// The name asked for.
        tensor: String,
    },
}
