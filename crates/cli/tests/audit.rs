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
    assert!(2 * flagged(&planted) > rows(&planted), "{} of {}", flagged(&planted), rows(&planted));
    // All of them are null: whatever is flagged is false. One run is a draw, not the expectation.
    assert!(5 * flagged(&unseen) <= rows(&unseen), "{} of {}", flagged(&unseen), rows(&unseen));
    assert_eq!(planted["claim"]["calibration"], 150);
    // The scores are those of this model, statistic and these settings alone.
    for (option, value) in [("--statistic", "membench"), ("--generations", "2"), ("--model", "embedded:emoji-v")] {
        let mut other = [&DETECTOR[..], &["embedded:unseen", "--calibration", kept.to_str().unwrap()]].concat();
        let at = other.iter().position(|word| *word == option).unwrap();
        other[at + 1] = value;
        let output = memscope().env("MEMSCOPE_CACHE", &cache).arg("audit").args(other).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{option}");
        assert!(stderr(&output).contains("calibrate again"), "{}", stderr(&output));
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
