//! Number format and device of the network: chosen, recorded, and kept apart in what is stored.

mod common;

use std::fs;

use common::{memscope, small_experiment, stderr};
use serde_json::Value;

fn detect(arguments: &[&str]) -> Value {
    let output = memscope()
        .args(["detect", "--model", "embedded:emoji-eps", "--prompts", "-", "--json"])
        .args(arguments)
        .write_stdin("watch\nladder\n")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn half_precision_moves_the_scores_by_its_rounding_alone() {
    let exact = detect(&["--device", "cpu"]);
    assert_eq!((exact["dtype"].as_str(), exact["device"].as_str()), (Some("f32"), Some("cpu")));
    // Unit roundoffs 4.9e-4 and 3.9e-3; c - u is some ten times smaller than the predictions whose rounding it inherits.
    for (dtype, tolerance) in [("f16", 2e-2), ("bf16", 1.5e-1)] {
        let half = detect(&["--device", "cpu", "--dtype", dtype]);
        assert_eq!(half["dtype"], dtype);
        for (row, exact) in half["results"].as_array().unwrap().iter().zip(exact["results"].as_array().unwrap()) {
            let (got, expected) = (row["norm"].as_f64().unwrap(), exact["norm"].as_f64().unwrap());
            assert_ne!(got, expected, "{dtype}");
            assert!((got / expected - 1.0).abs() <= tolerance, "{dtype}: {got} {expected}");
        }
    }
}

#[test]
fn an_experiment_names_its_format_and_stored_answers_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (path, results) = (small_experiment(folder.path()), folder.path().join("results"));
    let run = |arguments: &[&str]| {
        let output =
            memscope().arg("run").arg(&path).arg("--results").arg(&results).arg("--overwrite").args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let manifest: Value = serde_json::from_slice(&fs::read(results.join("small/manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["device"], "cpu");
        let calls = manifest["models"][0]["cost"]["conditional_calls"].as_u64().unwrap();
        (manifest["dtype"].as_str().unwrap().to_owned(), calls)
    };
    let first = run(&["--device", "cpu"]);
    assert_eq!(first.0, "f32");
    assert!(first.1 > 0);
    assert_eq!(run(&["--device", "cpu", "--dtype", "f16"]), ("f16".to_owned(), first.1));
    assert_eq!(run(&["--device", "cpu", "--set", "network.dtype=f16"]), ("f16".to_owned(), 0));
    assert_eq!(run(&["--device", "cpu"]), ("f32".to_owned(), 0));
    let table = fs::read_to_string(results.join("small/tables/small.md")).unwrap();
    assert!(table.contains("f32 on cpu"), "{table}");
}

#[test]
fn what_cannot_be_used_is_said() {
    let fails = |arguments: &[&str], code: i32, words: &[&str]| {
        let output = memscope()
            .args(["detect", "--model", "embedded:emoji-eps", "--prompts", "-"])
            .args(arguments)
            .write_stdin("watch\n")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        for word in words {
            assert!(stderr(&output).contains(word), "'{word}' is not in: {}", stderr(&output));
        }
    };
    fails(&["--dtype", "f64"], 2, &["f64", "f32, f16, bf16"]);
    fails(&["--device", "gpu"], 2, &["gpu", "cuda:0"]);
    if !cfg!(feature = "cuda") {
        fails(&["--device", "cuda:1"], 4, &["cuda:1", "without CUDA", "docs/cuda.md"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = small_experiment(folder.path());
    let output = memscope().arg("run").arg(&path).args(["--set", "network.dtype=f8"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("network") && stderr(&output).contains("f8"), "{}", stderr(&output));
}
