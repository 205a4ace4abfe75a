//! The folder of an experiment: what is written when, and what survives.

use std::fs;

use memscope_results::{
    Error, Folder, Manifest, Results, files,
    manifest::{FORMAT, Integrity},
    settings_of,
};

fn folder() -> (tempfile::TempDir, Folder) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Results::new(temporary.path()).experiment("mine");
    (temporary, folder)
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn complete_comes_last_and_the_manifest_holds_the_hash_of_every_file() {
    let (_temporary, folder) = folder();
    let mut run = folder.begin().unwrap();
    run.write(&folder.experiment_yaml(), b"name: mine").unwrap();
    run.write(&folder.tables().join("a.csv"), b"x\n1\n").unwrap();
    fs::write(folder.scores(), "y\n").unwrap();
    run.adopt([folder.scores()]).unwrap();
    assert!(!folder.is_complete() && !folder.manifest_path().exists());
    run.commit(Manifest { format: FORMAT, experiment: "mine".into(), ..Manifest::default() }).unwrap();
    assert!(folder.is_complete());
    let manifest = folder.manifest().unwrap();
    let listed: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
    assert_eq!(listed, ["experiment.yaml", "scores.csv", "tables/a.csv"]);
    // sha256sum of GNU coreutils on "x\n1\n".
    assert_eq!(manifest.files["tables/a.csv"], "daff832f802000e645771a60983c76c963f6ee602a6230e45237bd360e91cc1a");
    assert_eq!(manifest.integrity("tables/a.csv", b"x\n1\n"), Integrity::Intact);
    assert_eq!(manifest.integrity("tables/a.csv", b"x\n2\n"), Integrity::Changed);
    assert_eq!(manifest.integrity("tables/b.csv", b""), Integrity::Unlisted);
}

#[test]
fn a_run_that_is_refused_touches_nothing() {
    let (_temporary, folder) = folder();
    folder.begin().unwrap().commit(Manifest::default()).unwrap();
    let mut first = folder.begin().unwrap();
    first.write(&folder.experiment_yaml(), b"first").unwrap();
    fs::write(folder.complete_mark(), "").unwrap();
    fs::write(folder.path().join(".memscope-half"), "unfinished by the first").unwrap();
    let before = names(&folder);
    assert!(matches!(folder.begin(), Err(Error::InUse { .. })));
    assert_eq!(names(&folder), before);
    assert_eq!(fs::read(folder.experiment_yaml()).unwrap(), b"first");
    drop(first);
    folder.begin().unwrap();
    assert!(!folder.is_complete());
    assert!(!folder.path().join(".memscope-half").exists(), "what a killed run left is swept");
}

#[test]
fn what_stood_there_survives_a_write_that_fails() {
    let (temporary, folder) = folder();
    fs::create_dir_all(folder.path()).unwrap();
    let path = folder.scores();
    files::write_file(&path, b"before").unwrap();
    files::write_file(&path, b"after").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"after");
    assert_eq!(names(&folder), ["scores.csv"], "no temporary file is left");
    // A folder cannot be replaced by a file.
    fs::create_dir(folder.tables()).unwrap();
    assert!(matches!(files::write_file(&folder.tables(), b"x"), Err(Error::Write { .. })));
    assert!(folder.tables().is_dir());
    assert_eq!(names(&folder), ["scores.csv", "tables"]);
    drop(temporary);
}

#[cfg(unix)]
#[test]
fn a_link_is_replaced_and_not_followed() {
    let (temporary, folder) = folder();
    fs::create_dir_all(folder.path()).unwrap();
    let outside = temporary.path().join("outside");
    fs::write(&outside, "kept").unwrap();
    std::os::unix::fs::symlink(&outside, folder.scores()).unwrap();
    assert!(matches!(files::read_file(&folder.scores(), 100), Err(Error::NotAFile { .. })));
    files::write_file(&folder.scores(), b"new").unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
    assert_eq!(files::read_file(&folder.scores(), 100).unwrap(), b"new");
    assert!(matches!(files::read_file(&folder.scores(), 2), Err(Error::TooLarge { bytes: 3, limit: 2, .. })));
    assert!(matches!(files::read_file(folder.path(), 2), Err(Error::NotAFile { .. })));
}

#[test]
fn manifests_are_read_by_version() {
    let (_temporary, folder) = folder();
    fs::create_dir_all(folder.path()).unwrap();
    let with = |text: &str| {
        fs::write(folder.manifest_path(), text).unwrap();
        folder.manifest()
    };
    let unknown = with(r#"{"format": 1, "experiment": "mine", "a field of later": [1, 2]}"#).unwrap();
    assert_eq!((unknown.format, unknown.experiment.as_str()), (1, "mine"));
    let message = with(r#"{"format": 7, "experiment": {}}"#).unwrap_err().to_string();
    assert!(message.contains("has format 7") && message.contains("update memscope"), "{message}");
    assert!(matches!(with("{"), Err(Error::Damaged { .. })));
}

#[test]
fn the_manifests_of_the_reference_are_read() {
    let reference = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/reference");
    let all = Results::new(reference).experiments().unwrap();
    assert!(all.len() >= 10, "{}", all.len());
    for folder in all {
        let manifest = folder.manifest().unwrap();
        assert_eq!(manifest.experiment, folder.name());
        assert!(manifest.models.iter().all(|model| model.fingerprint.len() == 64));
        // Format 0 has no hashes.
        let expected = if manifest.format == 0 { Integrity::Unknown } else { Integrity::Unlisted };
        assert_eq!(manifest.integrity("tables/any.json", b""), expected);
    }
}

#[test]
fn settings_are_flat() {
    let settings = settings_of(&serde_json::json!({"noise": {"seeds": [42, 51]}, "title": "a", "absent": null}));
    let pairs: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("noise.seeds.0", "42"), ("noise.seeds.1", "51"), ("title", "\"a\"")]);
}
