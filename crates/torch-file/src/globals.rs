//! The classes and functions a pickle may name. Everything else is refused, and nothing is ever run.

use memscope_text::excerpt;

use crate::error::{Result, TorchFileError};

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 16-bit floating point.
    F16,
    /// bfloat16.
    Bf16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// Signed byte.
    I8,
    /// Unsigned byte.
    U8,
    /// Truth value in a byte.
    Bool,
}

impl ElementType {
    /// Bytes of an element.
    pub fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// What a name in a pickle stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Global {
    /// `collections.OrderedDict`: a dictionary.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: its first argument.
    RebuildParameter,
    /// Functions of TorchScript's pickles that say of which type a list is: their first argument.
    Typed,
    /// `torch.Size`: a tuple.
    Size,
    /// `torch.FloatStorage` and its like.
    Storage(ElementType),
    /// A module of TorchScript (`__torch__.…`): a record of attributes here.
    Class,
    /// What trainers leave beside the tensors, e.g. the class of a callback as the key of its state. It is not made;
    /// whatever is said of it is passed over.
    Ignored,
}

/// The names behind [`Global::Ignored`]: those of published checkpoints (Stable Diffusion 1 and 2, their VAEs) and of
/// torch.load's own list of harmless ones.
const IGNORED: [(&str, &str); 20] = [
    ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    ("lightning.pytorch.callbacks.model_checkpoint", "ModelCheckpoint"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
    ("__builtin__", "set"),
    ("builtins", "set"),
    ("torch", "device"),
    ("torch", "float64"),
    ("torch", "float32"),
    ("torch", "float16"),
    ("torch", "bfloat16"),
    ("torch", "int64"),
    ("torch", "int32"),
    ("torch", "uint8"),
    ("torch", "bool"),
];

impl Global {
    pub(crate) fn find(module: &str, name: &str) -> Result<Self> {
        let storage = |element| Ok(Self::Storage(element));
        match (module, name) {
            ("collections", "OrderedDict") => Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Ok(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Ok(Self::RebuildParameter),
            ("torch", "Size") => Ok(Self::Size),
            (
                "torch.jit._pickle",
                "restore_type_tag" | "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist",
            ) => Ok(Self::Typed),
            ("torch", "FloatStorage") => storage(ElementType::F32),
            ("torch", "DoubleStorage") => storage(ElementType::F64),
            ("torch", "HalfStorage") => storage(ElementType::F16),
            ("torch", "BFloat16Storage") => storage(ElementType::Bf16),
            ("torch", "LongStorage") => storage(ElementType::I64),
            ("torch", "IntStorage") => storage(ElementType::I32),
            ("torch", "ShortStorage") => storage(ElementType::I16),
            ("torch", "CharStorage") => storage(ElementType::I8),
            ("torch", "ByteStorage") => storage(ElementType::U8),
            ("torch", "BoolStorage") => storage(ElementType::Bool),
            _ if IGNORED.contains(&(module, name)) => Ok(Self::Ignored),
            _ if module == "__torch__" || module.starts_with("__torch__.") => Ok(Self::Class),
            _ => Err(TorchFileError::UnknownGlobal { module: excerpt(module), name: excerpt(name) }),
        }
    }
}
