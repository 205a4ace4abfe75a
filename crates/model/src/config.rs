//! Reads diffusers' and transformers' config.json files: what they read is understood or refused by name, what they
//! ignore is ignored.

use memscope_text::excerpt;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    files::ModelFiles,
    json,
};

/// A JSON object with the name of its file, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    file: String,
    fields: Map<String, Value>,
}

/// A value in a message.
fn shown(value: &Value) -> String {
    excerpt(&value.to_string())
}

impl Config {
    pub(crate) fn read(files: &ModelFiles, file: &str) -> Result<Self> {
        Self::parse(files.label(file), &files.read(file)?)
    }

    pub(crate) fn parse(file: String, bytes: &[u8]) -> Result<Self> {
        match json::parse(bytes) {
            Ok(Value::Object(fields)) => Ok(Self { file, fields }),
            Ok(_) => Err(Error::Config { file, reason: "is not a JSON object".into() }),
            Err(e) => Err(Error::Config { file, reason: e.to_string() }),
        }
    }

    /// The object that a field holds, if it holds one.
    pub(crate) fn object(&self, field: &str) -> Option<Self> {
        let fields = self.get(field)?.as_object()?.clone();
        Some(Self { file: self.file.clone(), fields })
    }

    /// The value of a field; null counts as absent, as in Python's None.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field stands there with the value null, which for a field whose default is something else says
    /// something else than its absence.
    pub(crate) fn is_null(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(Value::is_null)
    }

    /// Whether the field stands there, null or not.
    pub(crate) fn mentions(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    pub(crate) fn invalid(&self, field: &str, reason: impl std::fmt::Display) -> Error {
        Error::Config { file: self.file.clone(), reason: format!("'{field}' {reason}") }
    }

    pub(crate) fn unsupported(&self, field: &str, value: &Value, supported: &str) -> Error {
        Error::Unsupported {
            file: self.file.clone(),
            field: field.to_owned(),
            value: shown(value),
            supported: supported.to_owned(),
        }
    }

    /// A whole number from 1 to `most`, or `default` where the field is absent. The bound is beyond any real network: it
    /// keeps a wrong number from filling memory or running for ever.
    pub(crate) fn size(&self, field: &str, default: Option<usize>, most: usize) -> Result<usize> {
        match (self.fields.get(field), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.invalid(field, "is missing")),
            (Some(value), _) => self.within(field, value, most),
        }
    }

    /// A whole number from 1 to `most` that stands in `field`.
    pub(crate) fn within(&self, field: &str, value: &Value, most: usize) -> Result<usize> {
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if (1..=most).contains(&n) => Ok(n),
            _ => Err(self.invalid(field, format!("must be a whole number from 1 to {most}, is {}", shown(value)))),
        }
    }

    /// A number, or `default` where the field is absent.
    pub(crate) fn number(&self, field: &str, default: f64) -> Result<f64> {
        match self.fields.get(field) {
            None => Ok(default),
            Some(value) => match value.as_f64() {
                Some(number) if number.is_finite() => Ok(number),
                _ => Err(self.invalid(field, format!("must be a finite number, is {}", shown(value)))),
            },
        }
    }

    /// A number above 0 and up to `most`.
    pub(crate) fn positive(&self, field: &str, default: f64, most: f64) -> Result<f64> {
        match self.number(field, default)? {
            number if number > 0.0 && number <= most => Ok(number),
            number => Err(self.invalid(field, format!("must be above 0 and at most {most}, is {number}"))),
        }
    }

    /// A flag; null is false, as in a condition of Python.
    pub(crate) fn flag(&self, field: &str, default: bool) -> Result<bool> {
        match self.fields.get(field) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.invalid(field, format!("must be true or false, is {}", shown(value)))),
        }
    }

    pub(crate) fn text<'a>(&'a self, field: &str, default: &'a str) -> Result<&'a str> {
        match self.fields.get(field) {
            None => Ok(default),
            Some(value) => {
                value.as_str().ok_or_else(|| self.invalid(field, format!("must be a text, is {}", shown(value))))
            }
        }
    }

    /// A list of 1 to `longest` whole numbers from 1 to `most`.
    pub(crate) fn sizes(&self, field: &str, most: usize, longest: usize) -> Result<Vec<usize>> {
        let items = self.list(field, longest)?;
        items.iter().map(|item| self.within(field, item, most)).collect()
    }

    /// A list of 1 to `longest` texts.
    pub(crate) fn texts(&self, field: &str, longest: usize) -> Result<Vec<String>> {
        let texts = self.list(field, longest)?.iter().map(|item| item.as_str().map(str::to_owned));
        let texts: Option<Vec<String>> = texts.collect();
        texts.ok_or_else(|| self.invalid(field, format!("must be a list of texts, is {}", self.shown(field))))
    }

    fn list(&self, field: &str, longest: usize) -> Result<&Vec<Value>> {
        let value = self.fields.get(field).ok_or_else(|| self.invalid(field, "is missing"))?;
        match value.as_array() {
            Some(items) if (1..=longest).contains(&items.len()) => Ok(items),
            _ => Err(self.invalid(field, format!("must be a list of 1 to {longest} entries, is {}", shown(value)))),
        }
    }

    /// One number for each of `count` blocks: the field holds one for all, or a list.
    pub(crate) fn per_block(&self, field: &str, default: usize, most: usize, count: usize) -> Result<Vec<usize>> {
        if self.get(field).is_none_or(|value| !value.is_array()) {
            return Ok(vec![self.size(field, Some(default), most)?; count]);
        }
        let sizes = self.sizes(field, most, count)?;
        match sizes.len() == count {
            true => Ok(sizes),
            false => Err(self.invalid(
                field,
                format!("must be one number or as many as block_out_channels ({count}), is {}", self.shown(field)),
            )),
        }
    }

    fn shown(&self, field: &str) -> String {
        self.fields.get(field).map_or_else(|| "absent".into(), shown)
    }

    /// Refuses any value of `field` other than those given as JSON; numbers are compared as numbers. Null is refused
    /// unless it is one of them.
    pub(crate) fn only(&self, field: &str, allowed: &[&str]) -> Result<()> {
        let Some(value) = self.fields.get(field) else { return Ok(()) };
        let equals = |one: &&str| match (one.parse::<f64>(), value.as_f64()) {
            (Ok(one), Some(number)) => one == number,
            _ => serde_json::from_str::<Value>(one).is_ok_and(|one| one == *value),
        };
        match allowed.iter().any(equals) {
            true => Ok(()),
            false => Err(self.unsupported(field, value, &allowed.join(", "))),
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
            Some((field, value)) => {
                Err(self.unsupported(&excerpt(field), value, "this field is unknown; null or absent"))
            }
        }
    }

    /// The fields that are not among `known`, which the library that wrote the file ignores when it reads it.
    pub(crate) fn others<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.fields.keys().map(String::as_str).filter(|field| !field.starts_with('_') && !known.contains(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        Config::parse("unet/config.json".into(), json.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_beyond_any_network_are_refused_with_file_field_value_and_bound() {
        for value in ["0", "-1", "4294967296", "4611686018427387904", "64.5", "null", "\"64\"", "NaN"] {
            let message = config(&format!("{{\"sample_size\": {value}}}")).size("sample_size", None, 512);
            let message = message.unwrap_err().to_string();
            for part in ["unet/config.json", "sample_size", "512", value.trim_matches('"')] {
                assert!(message.contains(part), "{message}");
            }
        }
        assert_eq!(config("{\"sample_size\": 64}").size("sample_size", None, 512).unwrap(), 64);
    }

    #[test]
    fn messages_do_not_repeat_long_values() {
        let long = format!("{{\"act_fn\": \"{}\"}}", "x".repeat(100_000));
        assert!(config(&long).only("act_fn", &["\"silu\""]).unwrap_err().to_string().len() < 300);
        assert!(config(&long).size("act_fn", None, 1).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let eps = config("{\"norm_eps\": 0.00001, \"freq_shift\": 0.0, \"mid_block_type\": null}");
        assert!(eps.only("norm_eps", &["1e-5"]).is_ok() && eps.only("freq_shift", &["0"]).is_ok());
        assert!(eps.only("mid_block_type", &["\"UNetMidBlock2DCrossAttn\""]).is_err());
        assert!(eps.only("mid_block_type", &["null"]).is_ok());
    }
}
