//! Reads diffusers' and transformers' config.json files: every field is understood, or refused by name.

use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    files::ModelFiles,
};

/// A JSON object with the name of its file, for messages.
pub(crate) struct Config {
    file: String,
    fields: Map<String, Value>,
}

impl Config {
    pub(crate) fn read(files: &ModelFiles, file: &str) -> Result<Self> {
        Self::parse(files.label(file), &files.read(file)?)
    }

    pub(crate) fn parse(file: String, bytes: &[u8]) -> Result<Self> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self { file, fields }),
            Ok(_) => Err(Error::Config { file, reason: "is not a JSON object".into() }),
            Err(e) => Err(Error::Config { file, reason: e.to_string() }),
        }
    }

    /// The value of a field; null counts as absent, as in Python's None.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    pub(crate) fn invalid(&self, field: &str, reason: impl std::fmt::Display) -> Error {
        Error::Config { file: self.file.clone(), reason: format!("'{field}' {reason}") }
    }

    pub(crate) fn unsupported(&self, field: &str, value: &Value, supported: &str) -> Error {
        Error::Unsupported {
            file: self.file.clone(),
            field: field.to_owned(),
            value: value.to_string(),
            supported: supported.to_owned(),
        }
    }

    /// A positive integer, or `default` where the field is absent.
    pub(crate) fn size(&self, field: &str, default: Option<usize>) -> Result<usize> {
        match (self.get(field), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.invalid(field, "is missing")),
            (Some(value), _) => match value.as_u64() {
                Some(n) if n > 0 => Ok(n as usize),
                _ => Err(self.invalid(field, format!("must be a positive integer, is {value}"))),
            },
        }
    }

    pub(crate) fn number(&self, field: &str, default: f64) -> Result<f64> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.invalid(field, format!("must be a number, is {value}"))),
        }
    }

    pub(crate) fn flag(&self, field: &str, default: bool) -> Result<bool> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.invalid(field, format!("must be true or false, is {value}")))
            }
        }
    }

    pub(crate) fn text<'a>(&'a self, field: &str, default: &'a str) -> Result<&'a str> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.invalid(field, format!("must be a text, is {value}"))),
        }
    }

    /// A list of positive integers.
    pub(crate) fn sizes(&self, field: &str) -> Result<Vec<usize>> {
        let value = self.get(field).ok_or_else(|| self.invalid(field, "is missing"))?;
        let sizes = value.as_array().map(|items| items.iter().map(|v| v.as_u64().filter(|n| *n > 0)).collect());
        match sizes {
            Some(Some(sizes)) => {
                let sizes: Vec<u64> = sizes;
                Ok(sizes.into_iter().map(|n| n as usize).collect())
            }
            _ => Err(self.invalid(field, format!("must be a list of positive integers, is {value}"))),
        }
    }

    pub(crate) fn texts(&self, field: &str) -> Result<Vec<String>> {
        let value = self.get(field).ok_or_else(|| self.invalid(field, "is missing"))?;
        let texts = value.as_array().map(|items| items.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        match texts {
            Some(Some(texts)) => Ok(texts),
            _ => Err(self.invalid(field, format!("must be a list of texts, is {value}"))),
        }
    }

    /// Refuses any value of `field` other than those given as JSON.
    pub(crate) fn only(&self, field: &str, allowed: &[&str]) -> Result<()> {
        match self.get(field) {
            Some(value) if !allowed.contains(&value.to_string().as_str()) => {
                Err(self.unsupported(field, value, &allowed.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses fields that are neither known nor null: they may change what the network computes.
    pub(crate) fn refuse_unknown(&self, known: &[&str]) -> Result<()> {
        let unknown = self
            .fields
            .iter()
            .find(|(field, value)| !field.starts_with('_') && !value.is_null() && !known.contains(&field.as_str()));
        match unknown {
            None => Ok(()),
            Some((field, value)) => Err(self.unsupported(field, value, "this field is unknown; null or absent")),
        }
    }
}
