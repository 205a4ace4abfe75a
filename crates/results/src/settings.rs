//! Settings as flat data: dotted path and value.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Every field of an experiment by its dotted path, such as `noise.seeds.0`, with its value in JSON.
pub type Settings = BTreeMap<String, String>;

/// The fields of a value by path. What JSON cannot express has none.
pub fn settings_of(value: &impl Serialize) -> Settings {
    let mut settings = Settings::new();
    collect(String::new(), &serde_json::to_value(value).unwrap_or_default(), &mut settings);
    settings
}

/// Whether a field is words about the experiment, which determine no number.
pub(crate) fn is_word(key: &str) -> bool {
    ["title", "about"].contains(&key)
}

fn collect(path: String, value: &Value, settings: &mut Settings) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| collect(below(key), value, settings)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| collect(below(&i.to_string()), item, settings));
        }
        Value::Null => {}
        plain => {
            settings.insert(path, plain.to_string());
        }
    }
}
