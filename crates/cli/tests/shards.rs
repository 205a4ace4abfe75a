//! Shards: together they leave what a single run leaves, whoever is killed; what does not belong together is not merged.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use common::{memscope, small_experiment, stderr, tables};
use serde_json::Value;

fn command(yaml: &Path, results: &Path, more: &[&str]) -> assert_cmd::Command {
    let mut command = memscope();
    command.arg("run").arg(yaml).arg("--results").arg(results).args(more);
    command
}

fn run(yaml: &Path, results: &Path, more: &[&str]) -> Output {
    let output = command(yaml, results, more).output().unwrap();
    assert!(output.status.success(), "{more:?}: {}", stderr(&output));
    output
}

fn shard(yaml: &Path, results: &Path, which: &str) -> Output {
    run(yaml, results, &["--shard", which])
}

fn merge(results: &Path, more: &[&str]) -> Output {
    memscope().arg("merge").arg(results).args(more).output().unwrap()
}

fn folder(results: &Path, name: &str) -> PathBuf {
    results.join("shards/small").join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn change(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = json(path);
    edit(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// The small experiment with times, pictures and a second model.
fn rich_experiment(folder: &Path) -> PathBuf {
    let yaml = small_experiment(folder);
    let text = fs::read_to_string(&yaml).unwrap();
    let text = text.replace("resamples: 200", "resamples: 200, timing: true");
    let text = text.replace("models:\n", "models:\n  - {source: \"embedded:emoji-v\", paper: sd20}\n");
    fs::write(&yaml, text + "gallery: {prompts: 1, images: 1}\n").unwrap();
    yaml
}

#[test]
fn merged_shards_leave_what_a_single_run_leaves() {
    let place = tempfile::tempdir().unwrap();
    let yaml = rich_experiment(place.path());
    let (whole, results) = (place.path().join("whole"), place.path().join("results"));
    run(&yaml, &whole, &[]);
    for which in ["3/3", "1/3", "2/3"] {
        shard(&yaml, &results, which);
    }
    assert!(!results.join("small").exists() && !results.join("answers").exists(), "a shard writes in its folder only");
    let merged = merge(&results, &["--json"]);
    assert!(merged.status.success(), "{}", stderr(&merged));
    let report: Value = serde_json::from_slice(&merged.stdout).unwrap();
    assert_eq!((&report[0]["missing"], &report[0]["shards"]), (&serde_json::json!([]), &serde_json::json!([1, 2, 3])));
    let output = run(&yaml, &results, &[]);
    assert!(stderr(&output).contains("0 network calls"), "{}", stderr(&output));
    assert_eq!(tables(&whole), tables(&results));
    let pictures = |results: &Path| {
        let entries = fs::read_dir(results.join("small/gallery")).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = entries.map(|p| (p.file_name().unwrap().to_owned(), fs::read(p).unwrap())).collect();
        all.sort();
        all
    };
    assert_eq!(pictures(&whole), pictures(&results));
    // The times come from one machine: all of a model's are in one shard.
    let manifest = json(&results.join("small/manifest.json"));
    assert_eq!(manifest["models"][0]["cost"]["conditional_calls"], 0);

    // A shard that is done does nothing, and merging again adds nothing.
    let again = shard(&yaml, &results, "2/3");
    assert!(stderr(&again).contains("was done already") && stderr(&again).contains(" 0 network calls"));
    let again = merge(&results, &["--json"]);
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(report[0]["new_records"], 0);
}

#[test]
fn points_of_a_sweep_are_not_measured_twice() {
    let place = tempfile::tempdir().unwrap();
    let yaml = small_experiment(place.path());
    let text = fs::read_to_string(&yaml).unwrap();
    let axis = "sweep:\n  - {field: protocol.t_cos, values: [1, 21]}\n  - {field: protocol.normalization, values: [none, l2]}\n";
    fs::write(&yaml, text + axis).unwrap();
    let (whole, results) = (place.path().join("whole"), place.path().join("results"));
    run(&yaml, &whole, &[]);
    (1..=4).for_each(|i| drop(shard(&yaml, &results, &format!("{i}/4"))));
    let records = |answers: PathBuf| {
        let files =
            fs::read_dir(answers).into_iter().flatten().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        files.map(|text| text.lines().count()).sum::<usize>()
    };
    let shards = (1..=4).map(|i| records(folder(&results, &format!("00{i}-of-004/answers")))).sum::<usize>();
    assert_eq!(shards, records(whole.join("answers")), "each record once");
    assert!(merge(&results, &[]).status.success());
    run(&yaml, &results, &[]);
    assert_eq!(tables(&whole), tables(&results));
}

#[test]
fn a_detection_in_shards_asks_the_network_nothing_in_the_end() {
    let place = tempfile::tempdir().unwrap();
    let prompts: Vec<String> = (0..50).map(|i| format!("prompt number {i}")).collect();
    fs::write(place.path().join("many.txt"), prompts.join("\n")).unwrap();
    let detect = |more: &[&str]| {
        let mut command = memscope();
        command.current_dir(place.path()).args(["detect", "--model", "embedded:emoji-eps", "--prompts", "many.txt"]);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{more:?}: {}", stderr(&output));
        output
    };
    detect(&["--results", "whole", "--out", "whole.csv"]);
    detect(&["--results", "parts", "--shard", "1/2"]);
    detect(&["--results", "parts", "--shard", "2/2"]);
    let merged = merge(&place.path().join("parts"), &[]);
    assert!(merged.status.success(), "{}", stderr(&merged));
    let plan: Value = serde_json::from_slice(&detect(&["--results", "parts", "--dry-run", "--json"]).stdout).unwrap();
    assert_eq!(plan["models"][0]["conditional_calls"], 0);
    detect(&["--results", "parts", "--out", "parts.csv"]);
    let scores = |name: &str| fs::read(place.path().join(name)).unwrap();
    assert_eq!(scores("whole.csv"), scores("parts.csv"));

    let mut command = memscope();
    command.current_dir(place.path()).args(["detect", "--model", "embedded:emoji-eps", "--prompts", "many.txt"]);
    let output = command.args(["--shard", "1/2"]).output().unwrap();
    assert!(output.status.code() == Some(3) && stderr(&output).contains("--results"), "{}", stderr(&output));
}

/// Runs a command in a folder and asserts that it succeeds.
fn succeed(place: &Path, arguments: &[&str], more: &[&str]) -> Output {
    let output = memscope().current_dir(place).args(arguments).args(more).output().unwrap();
    assert!(output.status.success(), "{more:?}: {}", stderr(&output));
    output
}

#[test]
fn a_mitigation_in_shards_leaves_what_a_single_one_leaves() {
    let place = tempfile::tempdir().unwrap();
    let mitigate = |more: &[&str]| {
        let command = ["mitigate", "--model", "embedded:emoji-eps", "--prompt", "watch", "--prompt", "red apple"];
        let options = ["--method", "{name: wen, iterations: 1}", "--steps", "3", "--count", "2"];
        succeed(place.path(), &command, &[&options, more].concat())
    };
    mitigate(&["--results", "whole", "--out", "whole-pictures"]);
    mitigate(&["--results", "parts", "--out", "pictures", "--shard", "2/2"]);
    mitigate(&["--results", "parts", "--out", "pictures", "--shard", "1/2"]);
    assert!(!place.path().join("pictures").exists(), "a shard writes in its folder only");
    let merged = merge(&place.path().join("parts"), &[]);
    assert!(merged.status.success(), "{}", stderr(&merged));
    let plan = mitigate(&["--results", "parts", "--out", "pictures", "--dry-run", "--json"]);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["models"][0]["drawing_calls"], 0);
    mitigate(&["--results", "parts", "--out", "pictures"]);
    let files = |folder: &str| {
        let entries = fs::read_dir(place.path().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = entries.map(|p| (p.file_name().unwrap().to_owned(), fs::read(p).unwrap())).collect();
        all.sort();
        all
    };
    let (whole, parts) = (files("whole-pictures"), files("pictures"));
    assert_eq!(whole.iter().filter(|(name, _)| name.to_string_lossy().ends_with(".png")).count(), 2 * 2 * 2);
    // All but the times, which the last column has, is the same.
    let timeless = |(name, bytes): &(std::ffi::OsString, Vec<u8>)| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.lines().map(|line| line.rsplit_once(',').map_or(line, |(start, _)| start).to_owned());
        (
            name.clone(),
            if name == "summary.csv" { lines.collect::<Vec<_>>().join("\n").into_bytes() } else { bytes.clone() },
        )
    };
    let compared = |all: &[(std::ffi::OsString, Vec<u8>)]| {
        all.iter().filter(|(name, _)| name != "summary.md").map(timeless).collect::<Vec<_>>()
    };
    assert_eq!(compared(&whole), compared(&parts));
}

#[test]
fn an_audit_and_a_calibration_in_shards_decide_what_single_ones_decide() {
    let place = tempfile::tempdir().unwrap();
    common::random_lora(&place.path().join("style.safetensors"), 1);
    let audit = |more: &[&str]| {
        let command = ["audit", "--model", "embedded:emoji-eps", "--lora", "style.safetensors", "--evidence", "0"];
        let options = ["--pictures", "embedded:verbatim", "--limit", "3", "--lora-scale", "0.5,1"];
        succeed(place.path(), &command, &[&options, more].concat())
    };
    audit(&["--results", "whole", "--table", "whole.csv"]);
    audit(&["--results", "parts", "--table", "parts.csv", "--shard", "1/3"]);
    audit(&["--results", "parts", "--table", "parts.csv", "--shard", "3/3"]);
    audit(&["--results", "parts", "--table", "parts.csv", "--shard", "2/3"]);
    assert!(!place.path().join("parts.csv").exists());
    let merged = merge(&place.path().join("parts"), &[]);
    assert!(merged.status.success(), "{}", stderr(&merged));
    let costs: Value = serde_json::from_slice(&audit(&["--results", "parts", "--dry-run", "--json"]).stdout).unwrap();
    assert!(costs["models"].as_array().unwrap().iter().all(|model| model["flops"] == 0.0), "{costs}");
    audit(&["--results", "parts", "--table", "parts.csv"]);
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("whole.csv"), read("parts.csv"));
    assert_eq!(read("whole.csv").lines().count(), 4);

    let calibrate = |more: &[&str]| {
        let command = ["calibrate", "--model", "embedded:emoji-eps", "--prompts", "embedded:general", "--limit", "9"];
        succeed(place.path(), &command, &[&["--statistic", "wen", "--generations", "1"], more].concat())
    };
    calibrate(&["--results", "whole", "--out", "whole.json"]);
    (1..=2).for_each(|i| drop(calibrate(&["--results", "kept", "--out", "kept.json", &format!("--shard={i}/2")])));
    assert!(merge(&place.path().join("kept"), &[]).status.success());
    calibrate(&["--results", "kept", "--out", "kept.json"]);
    assert_eq!(read("whole.json"), read("kept.json"));

    let mut refused = memscope();
    refused.current_dir(place.path()).args(["audit", "--model", "embedded:emoji-eps", "--base", "embedded:emoji-v"]);
    let refused = refused.args(["--prompts", "embedded:unseen", "--results", "x", "--shard", "1/2"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("self-loss-ratio"), "{}", stderr(&refused));
}

#[test]
fn a_part_that_is_none_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let yaml = small_experiment(place.path());
    for wrong in ["0/0", "9/8", "x", "1", "-1/2"] {
        let output = command(&yaml, place.path(), &[&format!("--shard={wrong}")]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", stderr(&output));
    }
    let output = command(&yaml, place.path(), &["--shard", "1/2", "--fresh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let mut auto = command(&yaml, place.path(), &["--shard", "auto"]);
    for variable in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "HQ_TASK_ID"] {
        auto.env_remove(variable);
    }
    let output = auto.output().unwrap();
    assert!(output.status.code() == Some(3) && stderr(&output).contains("JOB_COMPLETION_INDEX"), "{}", stderr(&output));
    let mut auto = command(&yaml, place.path(), &["--shard", "auto", "--json"]);
    auto.env_remove("HQ_TASK_ID").env("JOB_COMPLETION_INDEX", "1").env("MEMSCOPE_SHARDS", "2");
    let output = auto.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["shard"], "2/2");
}

/// Two of three shards, done.
fn two_of_three(place: &Path) -> (PathBuf, PathBuf) {
    let (yaml, results) = (small_experiment(place), place.join("results"));
    shard(&yaml, &results, "1/3");
    shard(&yaml, &results, "2/3");
    (yaml, results)
}

#[test]
fn gaps_are_refused_or_told() {
    let place = tempfile::tempdir().unwrap();
    let (yaml, results) = two_of_three(place.path());
    let output = merge(&results, &[]);
    assert_eq!(output.status.code(), Some(10), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 of 3 shards are not done: 3"), "{}", stderr(&output));
    assert!(!results.join("answers").exists());
    let output = merge(&results, &["--partial"]);
    assert!(output.status.success() && stderr(&output).contains("1 missing"), "{}", stderr(&output));
    shard(&yaml, &results, "3/3");
    assert!(merge(&results, &[]).status.success());
    assert!(stderr(&run(&yaml, &results, &[])).contains("0 network calls"));
    let nothing = merge(&place.path().join("nowhere"), &[]);
    assert!(nothing.status.code() == Some(3) && stderr(&nothing).contains("holds no shards"), "{}", stderr(&nothing));
    let other = merge(&results, &["--plan", "large"]);
    assert!(other.status.code() == Some(3) && stderr(&other).contains("it holds: small"), "{}", stderr(&other));
}

#[test]
fn shards_of_other_plans_are_refused_when_they_begin_and_when_they_are_merged() {
    let place = tempfile::tempdir().unwrap();
    let (yaml, results) = two_of_three(place.path());
    for (more, words) in [
        (&["--set", "noise.seeds=[42, 52]", "--shard", "3/3"][..], "noise.seeds.1 is 51 there and 52 here"),
        (&["--shard", "3/4"][..], "3 shards there and 4 here"),
    ] {
        let output = command(&yaml, &results, more).output().unwrap();
        assert_eq!(output.status.code(), Some(10), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    // A shard that was brought from elsewhere.
    let elsewhere = place.path().join("elsewhere");
    run(&yaml, &elsewhere, &["--set", "noise.seeds=[42, 52]", "--shard", "3/3"]);
    fs::rename(folder(&elsewhere, "003-of-003"), folder(&results, "003-of-003")).unwrap();
    let output = merge(&results, &[]);
    assert_eq!(output.status.code(), Some(10), "{}", stderr(&output));
    assert!(stderr(&output).contains("003-of-003 is a shard of another plan"), "{}", stderr(&output));
    // One that lies in another's place.
    fs::remove_dir_all(folder(&results, "003-of-003")).unwrap();
    fs::rename(folder(&results, "002-of-003"), folder(&results, "003-of-003")).unwrap();
    let output = merge(&results, &["--partial"]);
    assert!(stderr(&output).contains("003-of-003 holds another shard"), "{}", stderr(&output));
}

#[test]
fn damaged_and_mixed_shards_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let (yaml, results) = two_of_three(place.path());
    shard(&yaml, &results, "3/3");
    let whole = place.path().join("whole");
    run(&yaml, &whole, &[]);
    let refused = |words: &str, code: i32| {
        let output = merge(&results, &[]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    };

    let second = folder(&results, "002-of-003");
    let done = second.join("DONE");
    let before = fs::read(&done).unwrap();
    change(&done, |done| done["hardware"][0]["model"] = "another processor".into());
    refused("another processor): shards 2", 10);
    assert!(merge(&results, &["--allow-mixed", "--partial"]).status.success());
    change(&done, |done| done["commit"] = "another".into());
    refused("002-of-003 was made by memscope", 10);
    change(&done, |done| done["format"] = 99.into());
    refused("format 99", 3);
    fs::write(&done, "{\"format\": 1, \"shard\"").unwrap();
    refused("DONE is damaged", 3);
    fs::write(&done, &before).unwrap();
    change(&done, |done| done["files"]["../../../../etc/passwd"] = "00".into());
    refused("no plain name inside the folder", 3);
    fs::write(&done, &before).unwrap();

    // One changed digit: the shard notices when it is run again, and measures it again.
    let store = fs::read_dir(second.join("answers")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&store).unwrap();
    fs::write(&store, text.replacen("\"values\":[", "\"values\":[1", 1)).unwrap();
    refused("is not the file that shard 2/3 left", 10);
    let output = shard(&yaml, &results, "2/3");
    assert!(stderr(&output).contains("measured again"), "{}", stderr(&output));
    assert!(merge(&results, &[]).status.success());
    run(&yaml, &results, &[]);
    assert_eq!(tables(&whole), tables(&results));
}

#[test]
fn records_that_contradict_the_store_are_refused_and_nothing_is_written() {
    let place = tempfile::tempdir().unwrap();
    let (yaml, results) = two_of_three(place.path());
    shard(&yaml, &results, "3/3");
    let store = fs::read_dir(folder(&results, "003-of-003").join("answers")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&store).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    // As earlier versions wrote it, without a checksum.
    let other = format!("{}\n", serde_json::json!({"key": last["key"], "values": [1.0]}));
    let answers = results.join("answers").join(store.file_name().unwrap());
    fs::create_dir_all(results.join("answers")).unwrap();
    fs::write(&answers, &other).unwrap();
    let output = merge(&results, &[]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains(last["key"].as_str().unwrap()), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&answers).unwrap(), other);
}

/// Starts a shard, and waits until it has stored something.
#[cfg(unix)]
fn started(yaml: &Path, results: &Path, which: &str, name: &str) -> Child {
    // What an earlier process left says nothing about this one, which must have its handlers before it gets a signal.
    let state = folder(results, name).join("STATE.json");
    let before = fs::read(&state).ok();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("memscope"))
        .args(["run", &yaml.to_string_lossy(), "--results", &results.to_string_lossy(), "--shard", which])
        .env("MEMSCOPE_CACHE", yaml.with_file_name("cache"))
        .env("MEMSCOPE_PROGRESS", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(3);
    let answers = folder(results, name).join("answers");
    let stored =
        || fs::read_dir(&answers).into_iter().flatten().any(|file| file.unwrap().metadata().unwrap().len() > 0);
    let begun = || fs::read(&state).ok() != before;
    while !(stored() && begun()) && child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// An experiment that takes some seconds.
fn long_experiment(place: &Path) -> PathBuf {
    let yaml = small_experiment(place);
    let prompts: Vec<String> = (0..80).map(|i| format!("prompt number {i}")).collect();
    fs::write(place.join("others.txt"), prompts.join("\n")).unwrap();
    yaml
}

#[cfg(unix)]
#[test]
fn a_shard_survives_signals_and_kills_and_its_folder_is_its_own() {
    let place = tempfile::tempdir().unwrap();
    let yaml = long_experiment(place.path());
    let (whole, results) = (place.path().join("whole"), place.path().join("results"));
    run(&yaml, &whole, &[]);
    let state = || json(&folder(&results, "001-of-002").join("STATE.json"));
    for (i, signal) in ["-TERM", "-USR1", "-KILL"].iter().enumerate() {
        let mut child = started(&yaml, &results, "1/2", "001-of-002");
        if i == 0 {
            // The same shard twice at once is refused; another one is not.
            let output = command(&yaml, &results, &["--shard", "1/2"]).output().unwrap();
            assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
            assert!(stderr(&output).contains("001-of-002 is in use"), "{}", stderr(&output));
            shard(&yaml, &results, "2/2");
        }
        std::process::Command::new("kill").args([*signal, &child.id().to_string()]).status().unwrap();
        let code = child.wait().unwrap().code();
        if *signal != "-KILL" && code != Some(0) {
            assert_eq!(code, Some(130), "{signal}");
            assert_eq!(state()["stage"], "stopped");
        }
    }
    let output = shard(&yaml, &results, "1/2");
    assert_eq!(state()["stage"], "done");
    assert!(!stderr(&output).contains("measured again"), "{}", stderr(&output));
    assert!(merge(&results, &[]).status.success());
    run(&yaml, &results, &[]);
    assert_eq!(tables(&whole), tables(&results));
    let log = fs::read_to_string(folder(&results, "001-of-002").join("log.txt")).unwrap();
    assert!(log.contains("shard 1/2 of small") && log.contains("done: "), "{log}");
}

#[test]
fn status_tells_done_from_missing_and_dead() {
    let place = tempfile::tempdir().unwrap();
    let (_, results) = two_of_three(place.path());
    // Killed long ago.
    fs::remove_file(folder(&results, "002-of-003").join("DONE")).unwrap();
    change(&folder(&results, "002-of-003").join("STATE.json"), |state| {
        (state["stage"], state["updated"]) = ("running".into(), 1_000_000.into());
    });
    let output = memscope().arg("status").arg(&results).arg("--json").output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let states: Vec<&str> = (0..3).map(|i| status[0]["shards"][i]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "failed", "missing"]);
    let output = memscope().arg("status").arg(&results).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 done, 0 running, 0 stopped, 1 failed, 1 missing"), "{text}");
}

#[test]
fn submitting_here_runs_what_is_missing_and_then_nothing() {
    let place = tempfile::tempdir().unwrap();
    let yaml = small_experiment(place.path());
    let (whole, results) = (place.path().join("whole"), place.path().join("results"));
    run(&yaml, &whole, &[]);
    shard(&yaml, &results, "2/3");
    let submit = |more: &[&str]| {
        let mut command = memscope();
        command.arg("submit").arg(&yaml).arg("--results").arg(&results);
        let output = command.args(["--engine", "local", "--shards", "3"]).args(more).output().unwrap();
        assert!(output.status.success(), "{more:?}: {}", stderr(&output));
        output
    };
    let printed = String::from_utf8(submit(&["--print", "--devices", "cuda:0,cpu:0"]).stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2 + 3, "{printed}");
    assert!(lines[0].ends_with("--shard 1/3 --device cuda:0") && lines[1].starts_with("taskset -c 0 "), "{printed}");
    assert!(!folder(&results, "001-of-003").exists(), "nothing was started");
    submit(&[]);
    assert_eq!(tables(&whole), tables(&results));
    assert!(results.join("small/COMPLETE").exists() && results.join("report.html").exists());
    assert!(stderr(&submit(&[])).contains("nothing to do"));
}

#[test]
fn the_scripts_for_slurm_leave_out_what_is_done() {
    let place = tempfile::tempdir().unwrap();
    let (yaml, results) = two_of_three(place.path());
    let mut command = memscope();
    command.arg("submit").arg(&yaml).arg("--results").arg(&results).args(["--engine", "slurm", "--shards", "3"]);
    command.args(["--print", "--time", "30", "--gpus", "1", "--sbatch=--partition=gpu", "--at-once", "2"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "sbatch --parsable --array=3%2",
        "#SBATCH --time=30",
        "#SBATCH --partition=gpu",
        "memscope merge",
        "--plan small",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// A finished folder stays finished when another run holds its lock, and two runs of one experiment lose nothing.
#[cfg(unix)]
#[test]
fn two_processes_on_one_folder_lose_nothing() {
    let place = tempfile::tempdir().unwrap();
    let yaml = long_experiment(place.path());
    let results = place.path().join("results");
    let first = run(&yaml, &results, &[]);
    assert!(first.status.success());
    let lock = fs::File::open(results.join("small/.lock")).unwrap();
    lock.lock().unwrap();
    let output = command(&yaml, &results, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("in use by another run"), "{}", stderr(&output));
    assert!(results.join("small/COMPLETE").exists());
}
