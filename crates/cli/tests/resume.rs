//! A killed run goes on where it was and ends with the same tables; the network is asked once.

mod common;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{memscope, small_experiment, tables};

fn manifest(results: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(results.join("small/manifest.json")).unwrap()).unwrap()
}

fn run(yaml: &Path, results: &Path, more: &[&str]) {
    memscope().arg("run").arg(yaml).arg("--results").arg(results).args(more).assert().success();
}

fn stored_lines(results: &Path) -> usize {
    let Ok(files) = fs::read_dir(results.join("answers")) else { return 0 };
    files.filter_map(|f| fs::read(f.ok()?.path()).ok()).map(|b| b.iter().filter(|b| **b == b'\n').count()).sum()
}

/// Starts a run and kills it as soon as `lines` answers are stored, or lets it end.
fn kill_at(yaml: &Path, results: &Path, lines: usize) {
    let program = assert_cmd::cargo::cargo_bin("memscope");
    let mut child: Child = Command::new(program)
        .arg("run")
        .arg(yaml)
        .arg("--results")
        .arg(results)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while stored_lines(results) < lines && child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    // SIGKILL on Unix: no handler runs.
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_killed_at_five_moments_ends_with_the_same_tables() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let whole = folder.path().join("whole");
    run(&yaml, &whole, &[]);
    let total = stored_lines(&whole);
    assert_eq!(total, 9 * 2 * 2 * 2, "prompts x seeds x generations x measures");

    let resumed = folder.path().join("resumed");
    for moment in [0, 1, total / 4, total / 2, total - 1] {
        kill_at(&yaml, &resumed, moment);
    }
    run(&yaml, &resumed, &[]);
    assert_eq!(tables(&whole), tables(&resumed));
    assert!(resumed.join("small/COMPLETE").exists());
}

#[test]
fn the_empty_prompt_is_asked_once_per_noise_and_timestep_and_a_second_run_asks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (small_experiment(folder.path()), folder.path().join("results"));
    run(&yaml, &results, &[]);
    let cost = &manifest(&results)["models"][0]["cost"];
    // 2 seeds x 2 generations x timesteps 981 and 1, whatever the number of prompts.
    assert_eq!(cost["unconditional_calls"], 8);
    assert_eq!(cost["conditional_calls"], 9 * 8);

    let before = tables(&results);
    run(&yaml, &results, &[]);
    let cost = &manifest(&results)["models"][0]["cost"];
    assert_eq!((&cost["unconditional_calls"], &cost["conditional_calls"]), (&0.into(), &0.into()));
    assert_eq!(before, tables(&results));

    run(&yaml, &results, &["--fresh"]);
    assert_eq!(manifest(&results)["models"][0]["cost"]["unconditional_calls"], 8);
}

/// Numbers of the JSON tables, in order.
fn numbers(value: &serde_json::Value, into: &mut Vec<f64>) {
    match value {
        serde_json::Value::Number(n) => into.extend(n.as_f64()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| numbers(item, into)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| numbers(field, into)),
        _ => {}
    }
}

/// Rounding differs with the shape of a matrix product: predictions agree to about 1e-6, and the cosine of a
/// difference of predictions a hundred times smaller than they are to 1e-4.
#[test]
fn tables_do_not_depend_on_the_batch_size() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let all: Vec<Vec<f64>> = ["1", "7", "32"]
        .iter()
        .map(|batch| {
            let results = folder.path().join(batch);
            run(&yaml, &results, &["--set", &format!("batch={batch}")]);
            let csv = fs::read_to_string(results.join("small/scores.csv")).unwrap();
            let score = |line: &str| line.rsplit(',').next().unwrap().parse::<f64>().unwrap();
            let mut values: Vec<f64> = csv.lines().skip(1).map(score).collect();
            let table = fs::read(results.join("small/tables/small.json")).unwrap();
            numbers(&serde_json::from_slice(&table).unwrap(), &mut values);
            values
        })
        .collect();
    for other in &all[1..] {
        assert_eq!(all[0].len(), other.len());
        for (a, b) in all[0].iter().zip(other) {
            assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{a} {b}");
        }
    }
}

/// A file-size limit stands for a full disk: writes fail, the process lives.
#[cfg(unix)]
#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let (whole, results) = (folder.path().join("whole"), folder.path().join("results"));
    run(&yaml, &whole, &[]);
    let program = assert_cmd::cargo::cargo_bin("memscope");
    let output = Command::new("sh")
        .arg("-c")
        // 16 blocks of 512 or 1024 bytes: a few answers fit.
        .arg("trap '' XFSZ; ulimit -f 16; exec \"$0\" run \"$1\" --results \"$2\"")
        .args([program.as_path(), &yaml, &results])
        .output()
        .unwrap();
    let message = common::stderr(&output);
    assert_eq!(output.status.code(), Some(5), "{message}");
    assert!(message.contains("cannot write") && message.contains("answers"), "{message}");
    assert!(stored_lines(&results) > 0, "answers before the failure are kept");
    run(&yaml, &results, &[]);
    assert_eq!(tables(&whole), tables(&results));
}

/// A changed character and a bad line: those records are measured again, the others are kept, and the tables stay.
#[test]
fn damaged_records_are_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (small_experiment(folder.path()), folder.path().join("results"));
    run(&yaml, &results, &[]);
    let before = tables(&results);
    let store = fs::read_dir(results.join("answers")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&store).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[4] = lines[4].replacen("\"values\":[", "\"values\":[-", 1);
    lines[9] = format!("#{}", lines[9]);
    fs::write(&store, lines.join("\n") + "\n").unwrap();
    let output = memscope().arg("run").arg(&yaml).arg("--results").arg(&results).output().unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    for words in ["line 5", "line 10", "measured again"] {
        assert!(common::stderr(&output).contains(words), "{words}: {}", common::stderr(&output));
    }
    assert_eq!(before, tables(&results));
    assert_eq!(fs::read_to_string(&store).unwrap().lines().count(), lines.len());
    let cost = &manifest(&results)["models"][0]["cost"];
    assert!(cost["conditional_calls"].as_u64().unwrap() <= 2 * 4, "two chunks at most: {cost}");
}

/// Two records of one measurement that differ: one of them is wrong, and nobody can tell which.
#[test]
fn records_that_contradict_each_other_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (small_experiment(folder.path()), folder.path().join("results"));
    run(&yaml, &results, &[]);
    let store = fs::read_dir(results.join("answers")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&store).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    // As earlier versions wrote it, without a checksum.
    let other = serde_json::json!({"key": first["key"], "values": [1.0]});
    fs::write(&store, format!("{text}{other}\n")).unwrap();
    let output = memscope().arg("run").arg(&yaml).arg("--results").arg(&results).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", common::stderr(&output));
    assert!(common::stderr(&output).contains(first["key"].as_str().unwrap()), "{}", common::stderr(&output));
}

/// Ctrl-C stops at the next batch with its own exit code; the same command goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = small_experiment(folder.path());
    let (whole, results) = (folder.path().join("whole"), folder.path().join("results"));
    run(&yaml, &whole, &[]);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("memscope"))
        .arg("run")
        .arg(&yaml)
        .arg("--results")
        .arg(&results)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while stored_lines(&results) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let code = child.wait().unwrap().code();
    // A fast machine may have finished before the signal came.
    assert!(code == Some(130) || (code == Some(0) && results.join("small/COMPLETE").exists()), "{code:?}");
    run(&yaml, &results, &[]);
    assert_eq!(tables(&whole), tables(&results));
}

/// What `detect` measured before Ctrl-C is not measured again.
#[cfg(unix)]
#[test]
fn an_interrupted_detection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let prompts: Vec<String> = (0..400).map(|i| format!("prompt number {i}")).collect();
    fs::write(folder.path().join("many.txt"), prompts.join("\n")).unwrap();
    let arguments = ["detect", "--model", "embedded:emoji-eps", "--prompts", "many.txt", "--out", "scores.csv"];
    let lines = || {
        let Ok(files) = fs::read_dir(cache.join("measurements")) else { return 0 };
        files.filter_map(|f| fs::read(f.ok()?.path()).ok()).map(|b| b.iter().filter(|b| **b == b'\n').count()).sum()
    };
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("memscope"))
        .args(arguments)
        .current_dir(folder.path())
        .env("MEMSCOPE_CACHE", &cache)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while lines() == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "stopped before its end");
    let kept = lines();
    assert!(kept > 0 && kept < 800 && !folder.path().join("scores.csv").exists(), "{kept}");
    let mut command = memscope();
    command.current_dir(folder.path()).env("MEMSCOPE_CACHE", &cache).args(arguments).assert().success();
    assert_eq!(lines(), 800, "two timesteps a prompt, each once");
    assert_eq!(fs::read_to_string(folder.path().join("scores.csv")).unwrap().lines().count(), 401);
}
