//! Where prompts come from, as experiment files and the command line say it.

use std::{
    borrow::Cow, collections::HashSet, fmt, path::PathBuf, result::Result as StdResult, str::FromStr, sync::Arc,
};

use memscope_hub::lists::PaperList;
use memscope_model::ModelSource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        self, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{
    PromptList,
    embedded::{EmbeddedSet, embedded},
    published, read,
};
use crate::error::Result;

/// Where prompts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptSource {
    /// A set of the embedded models.
    Embedded(EmbeddedSet),
    /// A published list.
    Paper(PaperList),
    /// A file of the user.
    File(PathBuf),
}

/// A source as a map with one field, the long form of YAML.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TaggedSource {
    /// A set of the embedded models.
    Embedded(EmbeddedSet),
    /// A published list; `memscope data fetch paper` downloads it.
    Paper(PaperList),
    /// A file: one prompt a line, or a table (.csv, .tsv, .jsonl, .json, .parquet) with a column `prompt`, `caption` or
    /// `text`.
    File(PathBuf),
}

impl From<TaggedSource> for PromptSource {
    fn from(tagged: TaggedSource) -> Self {
        match tagged {
            TaggedSource::Embedded(set) => Self::Embedded(set),
            TaggedSource::Paper(list) => Self::Paper(list),
            TaggedSource::File(path) => Self::File(path),
        }
    }
}

impl FromStr for PromptSource {
    type Err = String;

    /// `embedded:SET` or `paper:LIST`.
    fn from_str(given: &str) -> StdResult<Self, String> {
        match given.split_once(':') {
            Some(("paper", list)) => list.parse().map(Self::Paper),
            Some(("embedded", set)) => match EmbeddedSet::ALL.iter().find(|known| known.to_string() == set) {
                Some(set) => Ok(Self::Embedded(*set)),
                None => {
                    let known = EmbeddedSet::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                    Err(format!("there is no embedded set '{set}'; there are {known}"))
                }
            },
            _ => Err(format!("'{given}' is no prompt source: write paper:LIST, embedded:SET or {{file: PATH}}")),
        }
    }
}

impl<'de> Deserialize<'de> for PromptSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> StdResult<Self, D::Error> {
        deserializer.deserialize_any(One)
    }
}

impl JsonSchema for PromptSource {
    fn schema_name() -> Cow<'static, str> {
        "PromptSource".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<TaggedSource>();
        json_schema!({
            "description": "Where prompts come from.",
            "anyOf": [long, {"type": "string", "pattern": "^(paper|embedded):"}]
        })
    }
}

/// One or several lists that together make a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSources(pub Vec<PromptSource>);

impl Serialize for PromptSources {
    fn serialize<S: Serializer>(&self, serializer: S) -> StdResult<S::Ok, S::Error> {
        match self.0.as_slice() {
            [single] => single.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PromptSources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> StdResult<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Reads a source: short, as a text, or long, as a map.
struct One;

impl<'de> Visitor<'de> for One {
    type Value = PromptSource;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("{embedded: SET}, {paper: LIST} or {file: PATH}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> StdResult<PromptSource, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> StdResult<PromptSource, A::Error> {
        TaggedSource::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
    }
}

/// Reads a source or a list of sources; keeps the place of errors, which an untagged enum would lose.
struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = PromptSources;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("{embedded: SET}, {paper: LIST}, {file: PATH} or a list of these")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> StdResult<PromptSources, E> {
        One.visit_str(text).map(|source| PromptSources(vec![source]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> StdResult<PromptSources, A::Error> {
        One.visit_map(map).map(|source| PromptSources(vec![source]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> StdResult<PromptSources, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(PromptSources)
    }
}

impl JsonSchema for PromptSources {
    fn schema_name() -> Cow<'static, str> {
        "PromptSources".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<PromptSource>();
        json_schema!({
            "description": "One list of prompts, or several that together make a class.",
            "anyOf": [one, {"type": "array", "items": one, "minItems": 1}]
        })
    }
}

impl PromptSources {
    /// The prompts for a model, lists one after the other; a prompt that an earlier list has counts there.
    ///
    /// # Errors
    /// One of the lists cannot be read, see [`PromptSource::load`].
    pub fn load(&self, model: &ModelSource) -> Result<PromptList> {
        let mut all = PromptList::default();
        for source in &self.0 {
            let list = source.load(model)?;
            all.warnings.extend(list.warnings);
            let mut seen: HashSet<Arc<str>> = all.prompts.iter().map(|prompt| prompt.text.clone()).collect();
            all.prompts.extend(list.prompts.into_iter().filter(|prompt| seen.insert(prompt.text.clone())));
        }
        Ok(all)
    }
}

impl fmt::Display for PromptSources {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(" + "))
    }
}

impl PromptSource {
    /// A source named on the command line: `embedded:SET`, `paper:LIST`, or a file.
    ///
    /// # Errors
    /// A set or list that there is not.
    pub fn of_argument(given: &str) -> StdResult<Self, String> {
        match given.starts_with("paper:") || given.starts_with("embedded:") {
            true => given.parse(),
            false => Ok(Self::File(given.into())),
        }
    }

    /// The prompts for a model: `verified` depends on what that model draws.
    ///
    /// # Errors
    /// A file that cannot be read or holds no prompt, a published list that is not in the cache, or `verified` for a model
    /// that is not embedded.
    pub fn load(&self, model: &ModelSource) -> Result<PromptList> {
        match self {
            Self::Embedded(set) => embedded(*set, model),
            Self::Paper(list) => Ok(published(*list, None)?.into_list()),
            Self::File(path) => read(path),
        }
    }
}

impl fmt::Display for PromptSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Embedded(set) => write!(f, "embedded:{set}"),
            Self::Paper(list) => list.fmt(f),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_a_long_and_a_short_form() {
        let read = |yaml: &str| serde_yaml::from_str::<PromptSources>(yaml);
        let long = read("[{paper: sd1_mem}, {embedded: general}]").unwrap();
        assert_eq!(read("['paper:sd1_mem', embedded:general]").unwrap(), long);
        assert_eq!(long.to_string(), "paper:sd1_mem + embedded:general");
        assert_eq!(read("paper:sd1_mem").unwrap().0, [PromptSource::Paper(PaperList::Sd1Mem)]);
        assert_eq!(serde_json::to_string(&long.0[0]).unwrap(), r#"{"paper":"sd1_mem"}"#);
        for (wrong, word) in
            [("paper:sd3", "sd1_nmem"), ("embedded:x", "'x'"), ("p.txt", "{file: PATH}"), ("{paper: x}", "x")]
        {
            let message = read(wrong).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
