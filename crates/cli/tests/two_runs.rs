//! Two runs beside each other: answers that they share, paired differences, one page; tables in other forms; sweeps' figures.

mod common;

use std::{fs, path::Path, process::Output};

use common::{memscope, small_experiment, stderr};
use serde_json::Value;

fn run(yaml: &Path, results: &Path, more: &[&str]) -> Output {
    let output = memscope().arg("run").arg(yaml).arg("--results").arg(results).args(more).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("one document of JSON")
}

#[test]
fn variants_are_paired_over_the_same_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    fs::write(&yaml, fs::read_to_string(&yaml).unwrap() + "figures: [roc]\n").unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    run(&yaml, &a, &[]);
    // Another normalization asks the network nothing.
    let answers = a.join("answers");
    let set = ["--set", "protocol.normalization=l1", "--answers", answers.to_str().unwrap()];
    let second = run(&yaml, &b, &set);
    assert!(
        stderr(&second).contains("\n0 network calls") || stderr(&second).starts_with("0 network calls"),
        "{}",
        stderr(&second)
    );
    assert!(!b.join("answers").exists());

    let compare = |first: &Path, second: &Path, more: &[&str]| {
        memscope().arg("compare").arg(first).arg(second).args(more).output().unwrap()
    };
    let report = json(&compare(&a, &b, &["--paired", "--json"]));
    let rows = report["paired"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "two detectors, two numbers of generations");
    let wen = rows.iter().find(|row| row["method"] == "Wen norm").unwrap();
    assert_eq!((&wen["auc"], &wen["prompts"]), (&0.0.into(), &9.into()), "the norm has no normalization");
    let other = rows.iter().find(|row| row["method"] == "Anisotropy M").unwrap();
    assert_eq!((&wen["shared"], &other["shared"]), (&"all".into(), &"none".into()));
    let settings = report["settings"].to_string();
    assert!(settings.contains("protocol.normalization") && !settings.contains("noise.seeds"), "{settings}");
    let same = json(&compare(&a, &a, &["--paired", "--json"]));
    assert!(same["settings"].as_array().unwrap().is_empty());
    assert!(same["paired"]["rows"].as_array().unwrap().iter().all(|row| row["auc"] == 0.0 && row["auc_low"] == 0.0));

    // Experiments of other names are paired without being asked.
    let renamed = folder.path().join("other.yaml");
    fs::write(&renamed, fs::read_to_string(&yaml).unwrap().replace("name: small", "name: other")).unwrap();
    let c = folder.path().join("c");
    run(&renamed, &c, &["--answers", answers.to_str().unwrap()]);
    let output = compare(&a, &c, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("AUC, difference"));

    let page = folder.path().join("both.html");
    memscope().arg("report").arg(&a).arg(&b).arg("--out").arg(&page).assert().success();
    let html = fs::read_to_string(&page).unwrap();
    for words in ["Settings that differ", "protocol.normalization", "a and b share all measurements of Wen norm"] {
        assert!(html.contains(words), "{words}");
    }
    // One entry a detector with the AUC of both runs.
    let (_, entry) = html.split_once("Wen norm (AUC ").expect("the overlaid ROC curves");
    assert_eq!(entry.split_once(')').unwrap().0.split("; ").count(), 2);

    let table = a.join("small/tables/small.json");
    let select = |more: &[&str]| memscope().arg("table").arg(&table).args(more).output().unwrap();
    let csv = select(&["--columns", "method,n,auc", "--format", "csv"]);
    assert!(csv.stdout.starts_with(b"method,n,auc,auc_std,auc_low,auc_high\n"), "{csv:?}");
    let wrong = select(&["--columns", "nothing"]);
    assert_eq!(wrong.status.code(), Some(3), "{}", stderr(&wrong));
    assert!(stderr(&wrong).contains("method, auc"), "{}", stderr(&wrong));
    let narrow = memscope().env("COLUMNS", "80").arg("table").arg(&table).output().unwrap();
    let text = String::from_utf8(narrow.stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("Not shown for want of room"), "{text}");
}

#[test]
fn a_sweep_draws_the_figures_of_its_points_and_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let axes = "sweep:\n  - {field: protocol.normalization, values: [none, l1]}\n  - {field: protocol.t_cos, values: [1, 21]}\n";
    fs::write(&yaml, fs::read_to_string(&yaml).unwrap() + "figures: [roc]\n" + axes).unwrap();
    let results = folder.path().join("results");
    run(&yaml, &results, &[]);
    assert!(results.join("small/points/003/figures/small-roc-emoji-eps.svg").is_file());
    let lines = fs::read_to_string(results.join("small/figures/small-sweep.csv")).unwrap();
    assert!(lines.contains("protocol.normalization l1"), "a line for each normalization: {lines}");
    // Points are paired by their place.
    let small = results.join("small");
    let output = memscope().arg("compare").arg(&small).arg(&small).args(["--paired", "--json"]).output().unwrap();
    assert_eq!(json(&output)["paired"]["rows"].as_array().unwrap().len(), 4 * 4);
}
