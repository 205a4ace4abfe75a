//! What a run costs, before it starts: `--dry-run`, and the check of memory.

mod common;

use assert_cmd::Command;
use common::{memscope, small_experiment, stderr};
use serde_json::Value;

fn json(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn detect() -> Command {
    let mut command = memscope();
    command
        .args(["detect", "--model", "embedded:emoji-eps", "--prompts", "-"])
        .write_stdin("red heart\nblue car\nmoon\n");
    command
}

#[test]
fn a_dry_run_of_detect_counts_what_the_run_then_asks() {
    let report = json(detect().args(["--generations", "2", "--detector", "jeon", "--dry-run", "--json"]));
    let model = &report["models"][0];
    // Norm and cosine at two timesteps on two noises, and Jeon's two passes with a tangent.
    assert_eq!(model["conditional_calls"], 3 * 2 * 2);
    assert_eq!(model["unconditional_calls"], 2 * 2);
    assert_eq!(model["own_calls"], 3 * 2 * 2);
    assert_eq!(model["model"], "embedded:emoji-eps");
    assert!(model["seconds"].as_f64().unwrap() > 0.0);
    let flops = model["flops"].as_f64().unwrap();
    // 0.20 GFLOP a prediction; a pass with a tangent takes twice that.
    assert!((flops / 0.204e9 - (12.0 + 4.0 + 24.0)).abs() < 2.0, "{flops}");
    assert!(report["available_memory"]["bytes"].as_u64().unwrap() > model["memory"]["weights"].as_u64().unwrap());
    assert!(report["covers"].as_str().unwrap().contains("networks' alone"));

    let output = detect().arg("--dry-run").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for words in ["With prompt", "TFLOP", "memory available", "GFLOP/s"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_dry_run_of_an_experiment_knows_the_stored_answers_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = small_experiment(folder.path());
    let run = |arguments: &[&str]| {
        let mut command = memscope();
        command.current_dir(folder.path()).arg("run").arg(&file).args(arguments);
        command
    };
    let calls = |report: &Value| {
        let of = |name: &str| report["models"][0][name].as_u64().unwrap();
        of("conditional_calls") + of("unconditional_calls") + of("own_calls")
    };
    let before = json(&mut run(&["--dry-run", "--json"]));
    assert!(!folder.path().join("results").exists());
    assert_eq!(before["models"][0]["experiment"], "small");
    assert_eq!(before["models"][0]["stored_measurements"], "known");

    let output = run(&[]).output().unwrap();
    assert!(stderr(&output).contains(&format!("{} network calls", calls(&before))), "{}", stderr(&output));
    assert_eq!(calls(&json(&mut run(&["--dry-run", "--json"]))), 0);
    assert_eq!(calls(&json(&mut run(&["--dry-run", "--json", "--fresh"]))), calls(&before));
}

#[test]
fn targets_that_share_answers_are_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = memscope();
    command.current_dir(folder.path()).args(["reproduce", "table1", "table2", "theorem1", "--dry-run", "--json"]);
    let report = json(&mut command);
    let models = report["models"].as_array().unwrap();
    let of = |name: &str| models.iter().filter(|m| m["experiment"] == name).collect::<Vec<_>>();
    assert_eq!(of("table1").len(), 2);
    assert!(of("table1").iter().all(|m| m["conditional_calls"].as_u64() > Some(0)));
    assert!(of("table2").iter().all(|m| m["conditional_calls"] == 0), "{report}");
    assert!(of("theorem1").is_empty() && !folder.path().join("results").exists());
}

#[test]
fn a_dry_run_of_drawing_counts_both_predictions_of_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = memscope();
    command.current_dir(folder.path());
    command.args(["generate", "--model", "embedded:emoji-v", "--prompt", "moon", "--count", "3", "--steps", "10"]);
    let report = json(command.args(["--out", "images", "--dry-run", "--json"]));
    assert_eq!(report["models"][0]["drawing_calls"], 60);
    assert!(!folder.path().join("images").exists());
}

#[test]
fn too_little_memory_is_an_error_with_a_status_of_its_own() {
    let limited = |command: &mut Command| command.env("MEMSCOPE_MEMORY", "20MB").output().unwrap();
    let refused = |command: &mut Command| {
        let output = limited(command);
        assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
        for words in ["embedded:emoji-eps needs about", "20.0 MB are allowed by MEMSCOPE_MEMORY", "--ignore-memory"] {
            assert!(stderr(&output).contains(words), "{words}: {}", stderr(&output));
        }
        output
    };
    assert!(refused(&mut detect()).stdout.is_empty());
    assert!(!refused(detect().arg("--dry-run")).stdout.is_empty(), "the costs are printed all the same");
    let mut tokens = memscope();
    let output = refused(tokens.args(["tokens", "--model", "embedded:emoji-eps", "--prompt", "moon"]));
    assert!(!stderr(&output).contains("working memory 0 bytes"), "the part that needs most is named");

    let folder = tempfile::tempdir().unwrap();
    let file = small_experiment(folder.path());
    refused(memscope().current_dir(folder.path()).arg("run").arg(&file));
    assert!(!folder.path().join("results").exists(), "nothing is written before the check");
    let output = limited(detect().arg("--ignore-memory"));
    assert!(output.status.success(), "{}", stderr(&output));

    let output = detect().env("MEMSCOPE_MEMORY", "much").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}

#[test]
fn single_commands_measure_once_and_say_so_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [&[&str]; 2] = [
        &["detect", "--model", "embedded:emoji-eps", "--prompts", "prompts.txt", "--json"],
        &["tokens", "--model", "embedded:emoji-eps", "--prompt", "red heart", "--generations", "2", "--json"],
    ];
    std::fs::write(folder.path().join("prompts.txt"), "red heart\nblue car\n").unwrap();
    for arguments in commands {
        let run = |more: &[&str]| {
            let mut command = memscope();
            command.current_dir(folder.path()).env("MEMSCOPE_CACHE", folder.path().join("cache"));
            json(command.args(arguments).args(more))
        };
        let calls = |more: &[&str]| {
            let report = run(more);
            let of = |name: &str| report["models"][0][name].as_u64().unwrap();
            of("conditional_calls") + of("unconditional_calls") + of("own_calls") + of("drawing_calls")
        };
        let whole = calls(&["--dry-run"]);
        assert!(whole > 0);
        let first = run(&[]);
        assert_eq!(calls(&["--dry-run"]), 0, "{arguments:?}");
        assert_eq!(run(&[]), first);
        assert_eq!(calls(&["--dry-run", "--fresh"]), whole);
        assert_eq!(run(&["--fresh"]), first);
    }
}

#[test]
fn places_for_output_are_tried_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("no/such/folder/scores.csv");
    let output = detect().arg("--out").arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let figure = folder.path().join("no/such/folder/strip.svg");
    let mut tokens = memscope();
    let output =
        tokens.args(["tokens", "--model", "embedded:emoji-eps", "--prompt", "moon", "--figure"]).arg(&figure).output();
    assert_eq!(output.unwrap().status.code(), Some(5));
}

/// What another machine would take, at a rate that is given: nothing is measured for it.
#[test]
fn seconds_follow_from_a_rate_that_is_given() {
    let report = json(detect().args(["--dry-run", "--json", "--assume-flops", "2e14"]));
    let flops = report["models"][0]["flops"].as_f64().unwrap();
    assert_eq!(report["models"][0]["seconds"].as_f64().unwrap(), flops / 2e14);
    assert_eq!(report["assumed_flops_per_second"], 2e14);
    assert!(report["covers"].as_str().unwrap().contains("nothing that was measured"));
    let output = detect().args(["--dry-run", "--assume-flops", "2e14"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("200.000 TFLOP/s, not measured") && !text.contains("measured speed"), "{text}");
    for wrong in [
        &["--dry-run", "--assume-flops", "0"][..],
        &["--dry-run", "--assume-flops", "nan"],
        &["--assume-flops", "1e12"],
    ] {
        assert_eq!(detect().args(wrong).output().unwrap().status.code(), Some(2), "{wrong:?}");
    }
}
