//! A detector of the user's own, as a file of scores, beside those of memscope; and what it can start from.

mod common;

use std::{fs, path::Path};

use common::{memscope, small_experiment, stderr};

/// The rows of a CSV file, without quotes in it, as cells.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// A copy of Wen's scores is told apart from nothing and has Wen's numbers; what it lacks is left out for all and said.
#[test]
fn a_file_of_scores_stands_in_the_same_tables() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let results = folder.path().join("results");
    let run = |yaml: &Path| memscope().arg("run").arg(yaml).arg("--results").arg(&results).output().unwrap();
    let first = run(&yaml);
    assert!(first.status.success(), "{}", stderr(&first));
    let scores = rows(&results.join("small/scores.csv"));
    assert_eq!(scores[0], ["model", "detector", "n", "seed", "memorized", "prompt", "score"]);
    let mut mine = "prompt,seed,score\nnever asked about,42,1\n".to_owned();
    for row in scores[1..].iter().filter(|row| row[1] == "Wen norm" && row[2] == "1" && row[5] != "koala") {
        mine.push_str(&format!("{},{},{}\n", row[5], row[3], row[6]));
    }
    fs::write(folder.path().join("mine.csv"), mine).unwrap();
    let own = "name: own
tables: [detection, differences, ranks]
figures: [roc]
report: {generations: [1], resamples: 200}
detectors: [{name: file, path: mine.csv, label: Mine}, {name: wen}]
";
    let text = fs::read_to_string(&yaml).unwrap();
    let kept = text
        .lines()
        .filter(|line| !["name:", "tables:", "report:", "detectors:"].iter().any(|key| line.starts_with(key)));
    let text = kept.collect::<Vec<_>>().join("\n") + "\n" + own;
    let own = folder.path().join("own.yaml");
    fs::write(&own, &text).unwrap();
    let output = memscope().arg("run").arg(&own).arg("--results").arg(&results).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    let tables = json["tables"].as_array().unwrap();
    assert_eq!(tables.iter().map(|table| &table["name"]).collect::<Vec<_>>(), ["own", "own-differences", "own-ranks"]);
    assert_eq!(tables[0]["rows"][0]["method"], "Mine");
    assert!(tables[0]["rows"][0]["auc_low"].is_number());
    let warned = stderr(&output);
    assert!(
        warned.contains("no scores of 0 memorized and 1 non-memorized") && warned.contains("1 prompt that"),
        "{warned}"
    );

    let table = rows(&results.join("own/tables/own.csv"));
    let of = |method: &str| table.iter().find(|row| row[2] == method).unwrap()[3..].to_vec();
    assert_eq!(of("Mine")[..12], of("Wen norm")[..12], "AUC and TPR with spread and interval");
    let differences = rows(&results.join("own/tables/own-differences.csv"));
    assert_eq!((&*differences[1][2], &*differences[1][3]), ("Wen norm \u{2212} Mine", "0"));
    assert!(fs::read_to_string(results.join("own/figures/own-roc-emoji-eps.csv")).unwrap().contains("Mine"));
    let manifest = fs::read_to_string(results.join("own/manifest.json")).unwrap();
    assert!(manifest.contains("score_file_prompts") && manifest.contains("\"non_memorized\": 4"), "{manifest}");
    // The file's content is part of what determined the numbers.
    assert!(manifest.contains("mine.csv\",\n            \"sha256\""), "{manifest}");

    for (wrong, words) in [
        ("{name: file, label: Mine}", "path is missing"),
        ("{name: file, path: nowhere.csv}", "nowhere.csv"),
        ("{name: file, path: mine.csv, score: other}", "'other'"),
        ("{name: file, path: mine.csv, protocol: {preset: release}}", "no protocol"),
    ] {
        fs::write(&own, text.replace("{name: file, path: mine.csv, label: Mine}", wrong)).unwrap();
        let output =
            memscope().arg("run").arg(&own).arg("--results").arg(&results).arg("--overwrite").output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{wrong}: {}", stderr(&output));
    }
}

#[test]
fn noise_and_predictions_are_exported_once() {
    let folder = tempfile::tempdir().unwrap();
    let (noise, predictions) = (folder.path().join("x.safetensors"), folder.path().join("predictions"));
    let export = |more: &[&str]| {
        let mut command = memscope();
        command.args(["noise", "export", "--generations", "2", "--out"]).arg(&noise).args(more);
        command.output().unwrap()
    };
    let (of_model, again) = (export(&["--model", "embedded:emoji-eps"]), export(&["--latent-shape", "4x8x8"]));
    assert!(of_model.status.success() && !again.status.success(), "{}{}", stderr(&of_model), stderr(&again));
    assert_eq!(again.status.code(), Some(5));
    let bytes = fs::read(&noise).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..300]).into_owned();
    assert!(header.contains("\"x_T\"") && header.contains("torch-cuda"), "{header}");

    let export = |more: &[&str]| {
        let mut command = memscope();
        command.args(["predictions", "export", "--model", "embedded:emoji-eps", "--prompts", "-"]);
        command.args(more).arg("--out").arg(&predictions).output().unwrap()
    };
    assert!(!export(&[]).status.success(), "a file that is not there");
    let list = folder.path().join("p.txt");
    fs::write(&list, "watch\nonion\nschool\n").unwrap();
    let export = |more: &[&str]| {
        let mut command = memscope();
        command
            .args(["predictions", "export", "--model", "embedded:emoji-eps", "--batch", "2", "--prompts"])
            .arg(&list);
        command.args(more).arg("--out").arg(&predictions).output().unwrap()
    };
    let done = export(&["--generations", "2"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let index: serde_json::Value = serde_json::from_slice(&fs::read(predictions.join("index.json")).unwrap()).unwrap();
    let files = index["files"].as_array().unwrap();
    assert_eq!(files.len(), 4, "two batches of prompts from two noises");
    assert_eq!(files[3]["prompts"], serde_json::json!(["school"]));
    assert!(export(&["--generations", "2"]).status.success(), "the same command finds everything");
    let other = export(&["--timestep", "1"]);
    assert_eq!(other.status.code(), Some(5), "{}", stderr(&other));
    assert!(export(&["--timestep", "1", "--overwrite"]).status.success());
    let beyond = export(&["--timestep", "1000"]);
    assert_eq!(beyond.status.code(), Some(3), "{}", stderr(&beyond));
}
