//! All fields that a file lacks, not only the first.

use serde_json::Value;

/// The paths of fields that the schema requires and `document` does not have.
pub(super) fn fields(schema: &Value, document: &Value) -> Vec<String> {
    let mut missing = vec![];
    walk(schema, schema, document, &mut vec![], &mut missing);
    missing
}

fn walk(root: &Value, schema: &Value, document: &Value, path: &mut Vec<String>, missing: &mut Vec<String>) {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => match reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            Some(target) => target,
            None => return,
        },
        None => schema,
    };
    match document {
        Value::Object(fields) => {
            for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if let Some(name) = required.as_str().filter(|name| !fields.contains_key(*name)) {
                    missing.push([path.as_slice(), &[name.to_owned()]].concat().join("."));
                }
            }
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, value) in fields {
                if let Some(schema) = properties.get(name) {
                    path.push(name.clone());
                    walk(root, schema, value, path, missing);
                    path.pop();
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (i, item) in items.iter().enumerate() {
                path.push(i.to_string());
                walk(root, schema, item, path, missing);
                path.pop();
            }
        }
        _ => {}
    }
}
