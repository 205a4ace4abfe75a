//! How a model of the Hub is named.

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, Result},
    named::NAMED_MODELS,
};

/// A model of the Hugging Face Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubModel {
    /// `owner/name`.
    pub id: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// The variant of its weight files.
    pub variant: Option<Variant>,
}

/// The revision where none is given.
const MAIN: &str = "main";

impl FromStr for HubModel {
    type Err = Error;

    /// `owner/name[@revision]`.
    fn from_str(given: &str) -> Result<Self> {
        let (id, revision) = given.split_once('@').unwrap_or((given, MAIN));
        // Both become parts of paths and addresses.
        let is_name = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let parts: Vec<&str> = id.split('/').collect();
        match parts.len() == 2 && parts.into_iter().chain(revision.split('/')).all(is_name) {
            true => Ok(Self { id: id.to_owned(), revision: revision.to_owned(), variant: None }),
            false => Err(Error::BadId { given: given.to_owned() }),
        }
    }
}

impl fmt::Display for HubModel {
    /// For people: a commit is shortened.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        const SHORT: usize = 12;
        f.write_str(&self.id)?;
        match self.revision.as_str() {
            MAIN => {}
            commit if commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()) => {
                write!(f, "@{}", &commit[..SHORT])?
            }
            revision => write!(f, "@{revision}")?,
        }
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, " ({variant})"))
    }
}

impl HubModel {
    /// The variant of its weight files.
    pub fn variant(&self) -> Option<&Variant> {
        self.variant.as_ref()
    }

    /// How a user names it on the command line: by its short name where it has one.
    pub fn argument(&self) -> String {
        let full = format!("{}@{}", self.id, self.revision);
        let short =
            NAMED_MODELS.iter().find(|named| named.source == full || format!("{}@{MAIN}", named.source) == full);
        let name = match (short, self.revision.as_str()) {
            (Some(named), _) => named.name.to_owned(),
            (None, MAIN) => self.id.clone(),
            (None, _) => full,
        };
        self.variant.as_ref().map_or(name.clone(), |variant| format!("{name} --variant {variant}"))
    }
}

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
            false => Err(Error::BadVariant { given: given.to_owned() }),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}
