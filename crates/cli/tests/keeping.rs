//! What is there is kept: results with other settings, pictures, the input's columns; and an end in between does no harm.

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{memscope, small_experiment, stderr, tables};

fn run(yaml: &Path, results: &Path, more: &[&str]) -> std::process::Output {
    memscope().arg("run").arg(yaml).arg("--results").arg(results).args(more).output().unwrap()
}

#[test]
fn results_of_other_settings_are_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (small_experiment(folder.path()), folder.path().join("results"));
    assert!(run(&yaml, &results, &[]).status.success());
    let (before, complete) = (tables(&results), results.join("small/COMPLETE"));
    let refused = run(&yaml, &results, &["--set", "noise.seeds=[42]", "--set", "report.resamples=100"]);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    for words in ["noise.seeds.1 is 51 there and unset here", "report.resamples", "--overwrite"] {
        assert!(stderr(&refused).contains(words), "{words}: {}", stderr(&refused));
    }
    assert!(complete.exists());
    assert_eq!(tables(&results), before);
    // Words about it are no settings.
    assert!(run(&yaml, &results, &["--set", "title=Other words"]).status.success());
    let replaced = run(&yaml, &results, &["--set", "noise.seeds=[42]", "--overwrite"]);
    assert!(replaced.status.success(), "{}", stderr(&replaced));
    assert_ne!(tables(&results), before);
}

/// A number changed by hand is said where the folder is compared, whatever the comparison finds.
#[test]
fn changed_results_are_said_when_they_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (small_experiment(folder.path()), folder.path().join("results"));
    assert!(run(&yaml, &results, &[]).status.success());
    let compare = |more: &[&str]| {
        let output = memscope().arg("compare").arg(&results).arg(&results).args(more).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(!compare(&[]).contains("warning"));
    for (file, more) in [("tables/small.json", &[][..]), ("prompts.json", &["--paired"])] {
        let path = results.join("small").join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text} ")).unwrap();
        let said = compare(more);
        assert!(said.contains(file) && said.contains("was changed after the run"), "{said}");
        fs::write(&path, text).unwrap();
    }
}

#[test]
fn pictures_are_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |more: &[&str]| {
        let mut command = memscope();
        command.args(["generate", "--model", "embedded:emoji-eps", "--steps", "2", "--out"]).arg(folder.path());
        command.args(more).output().unwrap()
    };
    let first = generate(&["--prompt", "red apple", "--guidance", "-2"]);
    assert!(first.status.success(), "{}", stderr(&first));
    let path = String::from_utf8(first.stdout).unwrap().trim().to_owned();
    assert!(Path::new(&path).file_name().unwrap().to_str().unwrap().starts_with("red-apple-"), "{path}");
    let bytes = fs::read(&path).unwrap();
    // Another prompt and another guidance have other names; the same has to be asked for.
    for other in [["--prompt", "red apples", "--guidance", "-2"], ["--prompt", "red apple", "--guidance", "2"]] {
        assert!(generate(&other).status.success());
    }
    let again = generate(&["--prompt", "red apple", "--guidance", "-2"]);
    assert_eq!(again.status.code(), Some(5), "{}", stderr(&again));
    assert!(stderr(&again).contains("--overwrite"), "{}", stderr(&again));
    fs::write(&path, "mine").unwrap();
    assert!(generate(&["--prompt", "red apple", "--guidance", "-2", "--overwrite"]).status.success());
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn scores_stand_beside_the_columns_of_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    let text = "id,Title,score,note\n7,red apple,1,\"a, b\"\n3,,2,\n9,black cat,3,\n7,red apple,4,again\n";
    fs::write(&input, text).unwrap();
    let detect = |column: &str| {
        let mut command = memscope();
        command.args(["detect", "--model", "embedded:emoji-eps", "--column", column, "--prompts"]).arg(&input);
        command.arg("--out").arg(&out).output().unwrap()
    };
    let wrong = detect("prompt");
    assert_eq!(wrong.status.code(), Some(3));
    assert!(stderr(&wrong).contains("'Title'") && stderr(&wrong).contains("--column"), "{}", stderr(&wrong));
    let output = detect("title");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("input_score"), "{}", stderr(&output));
    let written = fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines[0], "id,Title,input_score,note,seed,norm,cosine,score");
    for (line, start) in lines[1..].iter().zip([
        "7,red apple,1,\"a, b\",42,",
        "3,,2,,,,,",
        "9,black cat,3,,42,",
        "7,red apple,4,again,42,",
    ]) {
        assert!(line.starts_with(start), "{line}");
    }
    assert_eq!(lines.len(), 5);
    let numbers = |line: &str| line.rsplit(',').take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(numbers(lines[1]), numbers(lines[4]));
}

#[test]
fn scores_do_not_replace_the_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.csv");
    fs::write(&input, "prompt\nred apple\n").unwrap();
    let mut command = memscope();
    command.current_dir(folder.path()).args([
        "detect",
        "--model",
        "embedded:emoji-eps",
        "--prompts",
        "in.csv",
        "--out",
    ]);
    let output = command.arg(&input).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("would replace the prompts"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&input).unwrap(), "prompt\nred apple\n");
}

/// The fine-tune that lies beside the embedded models, as diffusers and as kohya write it.
#[test]
fn the_planted_fine_tune_has_the_same_scores_in_both_layouts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.txt"), "emojione style, red apple\nbanana\n").unwrap();
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/embedded/emoji-eps-lora/step-3000");
    let scores = |more: &[&str]| {
        let mut command = memscope();
        command.current_dir(folder.path()).args(["detect", "--model", "embedded:emoji-eps", "--prompts", "in.txt"]);
        let output = command.args(more).arg("--json").output().unwrap();
        assert!(output.status.success(), "{more:?}: {}", stderr(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["results"].clone()
    };
    let layout = |name: &str| scores(&["--lora", &format!("{place}/{name}.safetensors")]);
    assert_eq!(layout("diffusers"), layout("kohya"));
    assert_ne!(layout("diffusers"), scores(&[]));
}

#[test]
fn scores_at_several_scales_of_a_lora_are_those_of_each_alone() {
    let folder = tempfile::tempdir().unwrap();
    let lora = folder.path().join("style.safetensors");
    common::random_lora(&lora, 1);
    fs::write(folder.path().join("in.txt"), "red apple\nblack cat\n").unwrap();
    let detect = |more: &[&str]| {
        let mut command = memscope();
        command.current_dir(folder.path()).args(["detect", "--model", "embedded:emoji-eps", "--prompts", "in.txt"]);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{more:?}: {}", stderr(&output));
        output.stdout
    };
    let scales = ["--lora", "style.safetensors", "--lora-scale", "0,0.5"];
    let all: serde_json::Value = serde_json::from_slice(&detect(&[&scales[..], &["--json"]].concat())).unwrap();
    let plain: serde_json::Value = serde_json::from_slice(&detect(&["--json"])).unwrap();
    let half = detect(&["--lora", "style.safetensors:0.5", "--json"]);
    let half: serde_json::Value = serde_json::from_slice(&half).unwrap();
    assert_eq!((&all[0]["lora_scale"], &all[1]["lora_scale"]), (&0.0.into(), &0.5.into()));
    assert_eq!((&all[0]["results"], &all[1]["results"]), (&plain["results"], &half["results"]));
    assert_ne!(all[0]["results"], all[1]["results"]);
    assert!(plain.get("lora_scale").is_none());
    detect(&[&scales[..], &["--out", "out.csv"]].concat());
    let written = fs::read_to_string(folder.path().join("out.csv")).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines[0], "prompt,lora_scale,seed,norm,cosine,score");
    for (line, start) in
        lines[1..].iter().zip(["red apple,0.0,42,", "black cat,0.0,42,", "red apple,0.5,42,", "black cat,0.5,42,"])
    {
        assert!(line.starts_with(start), "{line}");
    }
    assert_eq!(lines.len(), 5);
    let table = String::from_utf8(detect(&scales)).unwrap();
    assert!(table.contains("LoRA scale") && table.contains("style.safetensors:0.5"), "{table}");
}

/// A reader that goes away ends every command quietly, and a run is on the disk by then.
#[test]
fn closed_pipes_end_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (small_experiment(folder.path()), folder.path().join("results"));
    let program = assert_cmd::cargo::cargo_bin("memscope");
    let (yaml, out) = (yaml.to_str().unwrap(), results.to_str().unwrap());
    for arguments in [
        &["run", yaml, "--results", out][..],
        &["completions", "bash"],
        &["schema"],
        &["models"],
        &["exit-codes"],
        &["reproduce", "--list"],
        &["generate", "--model", "embedded:emoji-eps", "--prompt", "x", "--steps", "1", "--out", out],
    ] {
        let mut child = Command::new(&program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("MEMSCOPE_CACHE", folder.path().join("cache"))
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{arguments:?}: {}", stderr(&output));
    }
    assert!(results.join("small/COMPLETE").exists());
    // Standard error, too.
    let mut child = Command::new(&program).args(["run", "/no/such/file"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

/// A million resamples take minutes; Ctrl-C is heard within a second, and the same command goes on.
#[cfg(unix)]
#[test]
fn the_bootstrap_is_stopped_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (small_experiment(folder.path()), folder.path().join("results"));
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("memscope"))
        .arg("run")
        .arg(&yaml)
        .arg("--results")
        .arg(&results)
        .args(["--set", "report.resamples=1000000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || {
        let Ok(files) = fs::read_dir(results.join("answers")) else { return 0 };
        files.filter_map(|f| fs::read(f.ok()?.path()).ok()).map(|b| b.iter().filter(|b| **b == b'\n').count()).sum()
    };
    let deadline = Instant::now() + Duration::from_mins(2);
    while lines() < 72 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(500));
    let clock = Instant::now();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // A second, and what a busy machine adds.
    assert!(clock.elapsed() < Duration::from_secs(3), "{:?}", clock.elapsed());
    assert!(!results.join("small/COMPLETE").exists());
    let done = run(&yaml, &results, &[]);
    assert!(done.status.success(), "{}", stderr(&done));
}
