//! Audits from the command line: decisions, refusals, files, exit codes.

mod common;

use std::{fs, path::Path};

use common::{memscope, stderr};
use serde_json::Value;

/// Runs an audit and returns its record.
fn audit(cache: &Path, arguments: &[&str]) -> Value {
    let output = memscope().env("MEMSCOPE_CACHE", cache).arg("audit").args(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn flagged(audit: &Value) -> usize {
    audit["rows"].as_array().unwrap().iter().filter(|row| row["decision"]["flagged"] == true).count()
}

const DETECTOR: [&str; 9] =
    ["--model", "embedded:emoji-eps", "--statistic", "wen", "--generations", "1", "--evidence", "0", "--prompts"];

#[test]
fn planted_prompts_are_flagged_and_prompts_never_seen_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("general.json");
    let calibrate = [
        &["--model", "embedded:emoji-eps", "--statistic", "wen", "--generations", "1"][..],
        &["--prompts", "embedded:general", "--out", kept.to_str().unwrap()],
    ]
    .concat();
    let cache = folder.path().join("cache");
    let run = || memscope().env("MEMSCOPE_CACHE", &cache).arg("calibrate").args(&calibrate).output().unwrap();
    assert!(run().status.success());
    assert_eq!(run().status.code(), Some(5), "nothing is replaced");
    let of = |prompts: &str| {
        audit(&cache, &[&DETECTOR[..], &[prompts, "--calibration", kept.to_str().unwrap(), "--fdr", "0.1"]].concat())
    };
    let (planted, unseen) = (of("embedded:verified"), of("embedded:unseen"));
    let rows = |audit: &Value| audit["rows"].as_array().unwrap().len();
    // Wen's norm finds 29 % of them at a false-positive rate of 1 % (results/reference/table1).
    assert!(4 * flagged(&planted) > rows(&planted), "{} of {}", flagged(&planted), rows(&planted));
    // All of them are null: whatever is flagged is false. One run is a draw, not the expectation.
    assert!(5 * flagged(&unseen) <= rows(&unseen), "{} of {}", flagged(&unseen), rows(&unseen));
    assert_eq!(planted["claim"]["calibration"], 160);
    // The scores are those of this model, statistic and these settings alone.
    for (option, value) in [("--statistic", "membench"), ("--generations", "2"), ("--model", "embedded:emoji-v")] {
        let mut other = [&DETECTOR[..], &["embedded:unseen", "--calibration", kept.to_str().unwrap()]].concat();
        let at = other.iter().position(|word| *word == option).unwrap();
        other[at + 1] = value;
        let untouched = folder.path().join("untouched");
        let output = memscope().arg("audit").args(other).arg("--results").arg(&untouched).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{option}");
        assert!(stderr(&output).contains("calibrate again"), "{}", stderr(&output));
        assert!(!untouched.exists(), "{option}: nothing is measured before");
    }
}

#[test]
fn a_sample_that_is_too_small_is_refused_with_the_number_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let held_out = folder.path().join("few.txt");
    fs::write(&held_out, "a red kite\na wooden spoon\nthree pears\n").unwrap();
    let small =
        [&DETECTOR[..], &["embedded:verified", "--held-out", held_out.to_str().unwrap(), "--limit", "10"]].concat();
    let found = audit(&folder.path().join("cache"), &small);
    assert_eq!(flagged(&found), 0);
    let needed = found["claim"]["needed"].as_u64().unwrap();
    assert!(needed > 3 && found["claim"]["fewest_flagged"].is_null());
    let output = memscope().arg("audit").args(&small).args(["--fail-on", "refused"]).output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("at least {needed} calibration prompts")));
}

#[test]
fn checkpoints_and_scales_of_a_lora_stand_in_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let [first, second] = ["first", "second"].map(|name| folder.path().join(format!("{name}.safetensors")));
    common::random_lora(&first, 1);
    common::random_lora(&second, 2);
    let [first, second] = [&first, &second].map(|path| path.to_str().unwrap());
    let common =
        ["--model", "embedded:emoji-eps", "--pictures", "embedded:verbatim", "--limit", "3", "--evidence", "0"];
    let sweep = |more: &[&str]| audit(&cache, &[&common[..], more].concat());
    let scales = sweep(&["--lora", first, "--lora-scale", "0,1"]);
    let rows = scales["checkpoints"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["scale 0", "scale 1"]);
    assert_eq!(rows[0]["mean_score"], 0.0, "at scale 0 the model is its base");
    assert_ne!(rows[1]["mean_score"], 0.0);
    assert!(scales["model"]["source"].as_str().unwrap().ends_with("first.safetensors:1"), "{}", scales["model"]);
    // The same model as a checkpoint on top of the base has the same scores.
    let checkpoints = sweep(&["--checkpoint", &format!("{second}:0.5"), "--checkpoint", first]);
    assert_eq!(checkpoints["rows"], scales["rows"]);
    assert_eq!(checkpoints["checkpoints"][1]["mean_score"], rows[1]["mean_score"]);
    assert_ne!(checkpoints["checkpoints"][0]["mean_score"], rows[1]["mean_score"]);
    let refused = memscope().arg("audit").args(common).args(["--lora-scale", "0.5"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("exactly one --lora"), "{}", stderr(&refused));
}

#[test]
fn judges_are_named_as_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut nothing = DETECTOR.to_vec();
    nothing.push("embedded:unseen");
    for (judges, says, code) in [
        ("no-such-folder", "neither a folder", 3),
        ("sscd-disc-large", "memscope models fetch judges", 4),
        (folder.path().to_str().unwrap(), "has no copy descriptor", 4),
    ] {
        let output = memscope().arg("audit").args(&nothing).args(["--judges", judges]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{judges}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{judges}: {}", stderr(&output));
    }
}

/// The early checkpoint stands for a base: pictures, base, evidence, page, table, resumed without a network call.
#[test]
fn pictures_and_a_base_make_a_page_and_a_second_run_asks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (pictures, out) = (folder.path().join("held-out"), folder.path().join("audit"));
    for caption in ["bicycle", "lemon", "rocket"] {
        let drawn = memscope()
            .args(["generate", "--model", "embedded:emoji-v", "--steps", "5", "--prompt", caption, "--out"])
            .arg(&pictures)
            .output()
            .unwrap();
        let path = String::from_utf8(drawn.stdout).unwrap();
        fs::write(Path::new(path.trim()).with_extension("txt"), format!("{caption}\n")).unwrap();
    }
    let cache = folder.path().join("cache");
    let arguments = [
        "audit",
        "--model",
        "embedded:emoji-eps",
        "--base",
        "embedded:emoji-eps-early",
        "--pictures",
        "embedded:verbatim",
        "--limit",
        "5",
        "--evidence",
        "2",
        "--draws",
        "2",
        "--steps",
        "5",
        "--fdr",
        "0.5",
    ];
    let run = |more: &[&str]| {
        let mut command = memscope();
        command
            .env("MEMSCOPE_CACHE", &cache)
            .args(arguments)
            .arg("--held-out")
            .arg(&pictures)
            .args(more)
            .output()
            .unwrap()
    };
    let costs = |output: &std::process::Output| -> f64 {
        let costs: Value = serde_json::from_slice(&output.stdout).unwrap();
        costs["models"].as_array().unwrap().iter().map(|model| model["flops"].as_f64().unwrap()).sum()
    };
    assert!(costs(&run(&["--dry-run", "--json"])) > 0.0);
    let first = run(&["--out", out.to_str().unwrap(), "--fail-on", "flagged>99"]);
    assert!(first.status.success(), "{}", stderr(&first));
    assert_eq!(costs(&run(&["--dry-run", "--json"])), 0.0, "all of it is stored");
    let page = fs::read_to_string(out.join("audit.html")).unwrap();
    assert!(page.contains("data:image/png;base64,") && page.contains("exchangeable") && !page.contains("<script"));
    let record: Value = serde_json::from_slice(&fs::read(out.join("audit.json")).unwrap()).unwrap();
    let rows = record["rows"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["draws"].as_array().unwrap().len() == 2).count(), 2);
    assert!(rows.is_sorted_by(|a, b| a["score"].as_f64() >= b["score"].as_f64()));
    let table = fs::read_to_string(out.join("audit.csv")).unwrap();
    assert_eq!(table.lines().count(), 6);
    assert_eq!(run(&["--out", out.to_str().unwrap()]).status.code(), Some(5), "nothing is replaced");
    let again = run(&["--out", out.to_str().unwrap(), "--overwrite", "--json"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["rows"], record["rows"]);
    let missing = memscope()
        .args(["audit", "--model", "embedded:emoji-eps", "--prompts", "embedded:unseen"])
        .args(["--statistic", "loss"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(3));
}
