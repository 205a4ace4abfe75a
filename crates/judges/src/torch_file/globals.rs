//! The classes and functions a pickle may name. Everything else is refused, and nothing is ever run.

use super::error::{Result, TorchFileError, printable};

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
pub(super) enum Global {
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
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Result<Self> {
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
            _ if module == "__torch__" || module.starts_with("__torch__.") => Ok(Self::Class),
            _ => Err(TorchFileError::UnknownGlobal { module: printable(module), name: printable(name) }),
        }
    }
}
