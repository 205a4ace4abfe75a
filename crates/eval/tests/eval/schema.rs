//! The committed JSON Schema, which editors read, is the program's own; every experiment that comes with it follows it.

use std::{fs, path::Path};

use memscope_eval::spec::{ExperimentFile, schema};

fn experiments() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments")
}

/// `memscope schema > experiments/schema.json` after a change of the file types.
#[test]
fn the_committed_schema_is_current() {
    let committed = fs::read_to_string(experiments().join("schema.json")).unwrap();
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap();
    assert!(committed == schema(), "write it anew: memscope schema > experiments/schema.json");
}

#[test]
fn every_experiment_names_the_schema_and_is_valid() {
    let mut count = 0;
    for (folder, reference) in [("", "schema.json"), ("sweeps", "../schema.json")] {
        for entry in fs::read_dir(experiments().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            count += 1;
            let (name, yaml) = (path.display().to_string(), fs::read_to_string(&path).unwrap());
            let line = format!("# yaml-language-server: $schema={reference}");
            assert_eq!(yaml.lines().next(), Some(line.as_str()), "{name}");
            ExperimentFile::parse(&name, &yaml).unwrap().check(&name).unwrap();
        }
    }
    assert!(count >= 21, "{count}");
}

/// The properties of the file's types, as they are read.
#[test]
fn the_schema_names_every_field_and_ties_options_to_their_detector() {
    let schema = schema();
    let defaults: serde_json::Value = serde_json::to_value(
        ExperimentFile::parse(
            "x.yaml",
            "{name: x, title: x, models: [{source: 'embedded:emoji-eps'}], prompts: {memorized: embedded:verified, non_memorized: embedded:general}}",
        )
        .unwrap(),
    )
    .unwrap();
    let properties = schema["properties"].as_object().unwrap();
    for field in defaults.as_object().unwrap().keys() {
        assert!(properties.contains_key(field), "{field}");
    }
    for section in ["noise", "report"] {
        let reference = properties[section]["$ref"].as_str().or(properties[section]["allOf"][0]["$ref"].as_str());
        let target = schema.pointer(reference.unwrap().trim_start_matches('#')).unwrap();
        for field in defaults[section].as_object().unwrap().keys() {
            assert!(target["properties"].get(field).is_some(), "{section}.{field}");
        }
    }
    let of_detector = |name: &str| {
        let all = schema["$defs"]["DetectorEntry"]["oneOf"].as_array().unwrap();
        let one = all.iter().find(|one| one["properties"]["name"]["const"] == name).unwrap();
        let options = one["$ref"].as_str().map_or(one, |r| schema.pointer(r.trim_start_matches('#')).unwrap());
        options["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert!(of_detector("anisotropy").contains(&"gammas".to_owned()));
    assert!(!of_detector("wen").contains(&"gammas".to_owned()) && of_detector("wen").contains(&"steps".to_owned()));
}
