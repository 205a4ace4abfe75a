//! Variants of weight files.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

/// A variant of the weight files, as diffusers names it: the `fp16` of `model.fp16.safetensors`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Variant(String);

impl FromStr for Variant {
    type Err = Error;

    /// Letters, digits, `-` and `_`.
    fn from_str(given: &str) -> Result<Self> {
        let plain = !given.is_empty() && given.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        match plain {
            true => Ok(Self(given.to_owned())),
            false => Err(Error::Argument(format!("variant '{given}' must be letters, digits, '-' and '_', e.g. fp16"))),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}
