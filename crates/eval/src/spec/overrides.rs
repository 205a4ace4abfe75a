//! Reading an experiment file, with fields replaced.

use std::path::Path;

use super::{ExperimentFile, file::schema, file_path::relative_to, missing, renamed};
use crate::{
    error::{Error, Result},
    prompts::PromptSource,
};

impl ExperimentFile {
    /// Reads YAML; `file` is its path, to which relative paths in it are relative, and names it in messages.
    ///
    /// # Errors
    /// With line and column, where the YAML is not valid, a field is missing or unknown, or a value is not allowed.
    pub fn parse(file: &str, yaml: &str) -> Result<Self> {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let mut read: Self = relative_to(folder, || serde_yaml::from_str(yaml)).map_err(|e| broken(file, yaml, &e))?;
        for source in read.prompts.memorized.0.iter_mut().chain(&mut read.prompts.non_memorized.0) {
            if let PromptSource::File(path) = source {
                *path = folder.join(&path);
            }
        }
        Ok(read)
    }

    /// Reads YAML with fields replaced: each override is `path.to.field=value`, the value in YAML.
    ///
    /// # Errors
    /// As [`Self::parse`], and when an override is not valid.
    pub fn parse_with(file: &str, yaml: &str, overrides: &[String]) -> Result<Self> {
        if overrides.is_empty() {
            return Self::parse(file, yaml);
        }
        // The file itself must be valid, so that its errors are reported with their place.
        Self::parse(file, yaml)?.with_overrides(file, overrides)
    }

    /// This experiment with fields replaced, likewise.
    ///
    /// # Errors
    /// When an override is not valid.
    pub fn with_overrides(self, file: &str, overrides: &[String]) -> Result<Self> {
        if overrides.is_empty() {
            return Ok(self);
        }
        let document = serde_json::to_value(&self);
        let document = document.map_err(|e| Error::Experiment { file: file.to_owned(), reason: e.to_string() })?;
        Self::overridden(file, document, overrides)
    }

    fn overridden(file: &str, mut document: serde_json::Value, overrides: &[String]) -> Result<Self> {
        for given in overrides {
            let fail = |reason: String| Error::Override { given: given.clone(), reason };
            let (path, value) = given.split_once('=').ok_or_else(|| fail("write key=value".into()))?;
            let value = serde_yaml::from_str(value).map_err(|e| fail(e.to_string()))?;
            set(&mut document, path, value).map_err(fail)?;
            if let Err(error) = serde_json::from_value::<Self>(document.clone()) {
                return Err(fail(explained(error.to_string())));
            }
        }
        serde_json::from_value(document).map_err(|e| Error::Experiment { file: file.to_owned(), reason: e.to_string() })
    }

    /// This experiment with one field replaced; the reason where that makes no experiment.
    pub(crate) fn with_field(&self, path: &str, value: serde_json::Value) -> std::result::Result<Self, String> {
        let mut document = serde_json::to_value(self).map_err(|e| e.to_string())?;
        set(&mut document, path, value)?;
        serde_json::from_value(document).map_err(|e| explained(e.to_string()))
    }
}

/// What is wrong with a file: the parser's message with its excerpt of the file, without the word "error" that the caller
/// says; the new name of an old key; all required fields that are missing.
fn broken(file: &str, yaml: &str, error: &serde_yaml::Error) -> Error {
    let text = error.to_string();
    let mut reason = explained(text.strip_prefix("error: ").map_or(text.clone(), str::to_owned));
    if text.contains("missing field")
        && let Ok(document) = serde_yaml::from_str::<serde_json::Value>(yaml)
    {
        let missing = missing::fields(&schema(), &document);
        if missing.len() > 1 {
            reason.push_str(&format!("\nmissing in all: {}", missing.join(", ")));
        }
    }
    Error::Experiment { file: file.to_owned(), reason }
}

/// A message with the new name of an old key or word.
fn explained(message: String) -> String {
    match renamed::hint(&message) {
        Some(hint) => format!("{message}\n{hint}"),
        None => message,
    }
}

/// Replaces the field at a dotted path; a number steps into a list.
fn set(document: &mut serde_json::Value, path: &str, value: serde_json::Value) -> std::result::Result<(), String> {
    use serde_json::Value;
    let mut place = document;
    for step in path.split('.') {
        if step.is_empty() {
            return Err("the path has an empty step".into());
        }
        place = match place {
            Value::Array(items) => {
                let count = items.len();
                let index: usize =
                    step.parse().map_err(|_| format!("'{step}' must be a position in a list of {count}"))?;
                items.get_mut(index).ok_or_else(|| format!("position {index} is outside a list of {count}"))?
            }
            Value::Object(fields) => fields.entry(step).or_insert(Value::Null),
            other => {
                if !other.is_null() {
                    return Err(format!("'{step}' is below a plain value"));
                }
                *other = Value::Object(serde_json::Map::new());
                match other {
                    Value::Object(fields) => fields.entry(step).or_insert(Value::Null),
                    _ => return Err(format!("'{step}' cannot be set")),
                }
            }
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use memscope_metric::Protocol;

    use super::*;

    const YAML: &str = "\
name: small
title: Small
tables: [detection]
models: [{source: 'embedded:emoji-eps'}]
prompts: {memorized: {embedded: verified}, non_memorized: {file: p.txt}}
detectors: [{name: anisotropy}]
";

    fn with(overrides: &[&str]) -> Result<ExperimentFile> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        ExperimentFile::parse_with("small.yaml", YAML, &overrides)
    }

    #[test]
    fn defaults_are_those_of_the_paper() {
        let file = with(&[]).unwrap();
        assert_eq!((file.noise.seeds, file.noise.generations, file.batch), (vec![42, 51, 53], 4, 32));
        assert_eq!(file.protocol, Protocol::default());
    }

    #[test]
    fn overrides_reach_fields_that_are_not_written() {
        let file =
            with(&["noise.seeds=[7]", "report.generations=[1]", "protocol.t_cos=41", "models.0.source=x/y"]).unwrap();
        assert_eq!(file.noise.seeds, [7]);
        assert_eq!(file.report.generations, [1]);
        assert_eq!(file.protocol.t_cos, Some(41));
        assert_eq!(file.models[0].source.as_str(), "x/y");
    }

    #[test]
    fn wrong_overrides_are_named() {
        for wrong in ["noise.seed=1", "noise.seeds=x", "models.3.source=x", "name.x=1", "=1", "noise.seeds"] {
            let error = with(&[wrong]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--set {wrong}: ")), "{error}");
        }
    }
}
