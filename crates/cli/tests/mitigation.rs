//! Mitigation from the command line: what is written, what is refused, and a killed run that goes on.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{memscope, stderr};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    visible.map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).unwrap())).collect()
}

fn experiment(folder: &Path) -> PathBuf {
    let yaml = "\
name: small
title: A small comparison
tables: [mitigation, mitigation_differences]
figures: [trade_off]
models: [{source: 'embedded:emoji-eps'}]
prompts: {memorized: embedded:verbatim, non_memorized: embedded:general, limit: 3}
noise: {seeds: [42, 7], generations: 2}
mitigation:
  images: 2
  steps: 4
  sheets: {prompts: 2, noises: 1}
  methods: [{name: none}, {name: wen, iterations: 2}, {name: ren}, {name: anisotropy, config: 5}]
report: {generations: [2], resamples: 100}
";
    let path = folder.join("small.yaml");
    fs::write(&path, yaml).unwrap();
    path
}

fn run(yaml: &Path, results: &Path) {
    memscope().arg("run").arg(yaml).arg("--results").arg(results).assert().success();
}

/// Starts the program, and kills it (−9) once it has drawn that many pictures.
fn kill_at(command: &mut Command, pictures: &Path, count: usize) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while files(pictures).len() < count && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the run does not get on");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// kill −9 at several moments, then to the end: the same tables and pictures, byte for byte.
#[test]
fn a_killed_run_ends_with_the_same_tables_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = experiment(folder.path());
    let (whole, resumed) = (folder.path().join("whole"), folder.path().join("resumed"));
    run(&yaml, &whole);
    let pictures = files(&whole.join("pictures"));
    assert_eq!(pictures.len(), 3 * 2 * 4 * 2, "prompts x seeds x methods x pictures");
    for moment in [1, pictures.len() / 3, pictures.len() / 2] {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("memscope"));
        command.arg("run").arg(&yaml).arg("--results").arg(&resumed);
        kill_at(&mut command, &resumed.join("pictures"), moment);
    }
    run(&yaml, &resumed);
    assert_eq!(files(&whole.join("small/tables")), files(&resumed.join("small/tables")));
    assert_eq!(files(&whole.join("small/gallery")), files(&resumed.join("small/gallery")));
    assert_eq!(pictures, files(&resumed.join("pictures")));
    // A sheet of two prompts: training picture and four methods each, an index, and all on one picture.
    assert_eq!(files(&whole.join("small/gallery")).len(), 2 * 5 + 2);
    let table = fs::read_to_string(whole.join("small/tables/small.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 4, "{table}");
    assert!(whole.join("small/timing/small-mitigation-times.csv").is_file());
    assert!(whole.join("small/figures/small-trade-off-emoji-eps.svg").is_file());
}

fn mitigate(out: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let fixed = ["mitigate", "--model", "embedded:emoji-eps", "--prompt", "letter n", "--count", "2", "--steps", "3"];
    memscope().args(fixed).arg("--out").arg(out).args(more).assert()
}

#[test]
fn mitigate_writes_pictures_losses_and_a_summary_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let methods = ["--method", "{name: wen, iterations: 2, target: 0}", "--method", "ren"];
    let assert = mitigate(&out, &methods).success();
    let said = stderr(assert.get_output());
    assert!(said.contains("network calls") && said.contains("of memory"), "{said}");
    assert!(said.contains("the target was not reached"), "{said}");
    let made = files(&out);
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    let pictures = ["none", "ren", "wen"].map(|m| [0, 1].map(|i| format!("001-{m}-seed42-{i:02}.png")));
    let mut expected: Vec<String> = pictures.into_iter().flatten().collect();
    expected.extend(["loss.csv", "loss.svg", "summary.csv", "summary.md"].map(str::to_owned));
    assert_eq!(names, expected);
    let losses = String::from_utf8(made["loss.csv"].clone()).unwrap();
    assert_eq!(losses.lines().count(), 1 + 3, "{losses}");
    for text in ["letter n", "seed", "sha256", "3 DDIM steps"] {
        let found =
            made["001-wen-seed42-00.png"].windows(text.len()).any(|bytes| bytes.eq_ignore_ascii_case(text.as_bytes()));
        assert!(found, "the picture does not say '{text}'");
    }
    let refused = mitigate(&out, &methods).failure().code(5);
    assert!(stderr(refused.get_output()).contains("--overwrite"));
    assert_eq!(files(&out), made);
    mitigate(&out, &["--method", "ren", "--overwrite"]).success();
    let again = files(&out);
    assert_eq!(again["001-ren-seed42-01.png"], made["001-ren-seed42-01.png"]);
}

/// `mitigate` without a results folder keeps what it draws in the cache: killed, it goes on from there.
#[test]
fn a_killed_mitigate_goes_on_from_its_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, whole, resumed) = (folder.path().join("cache"), folder.path().join("whole"), folder.path().join("out"));
    let fixed = ["mitigate", "--model", "embedded:emoji-eps", "--prompt", "letter n", "--prompt", "a green fish"];
    let more = ["--method", "ren", "--count", "2", "--steps", "4", "--out"];
    memscope().args(fixed).args(more).arg(&whole).assert().success();
    let drawn = cache.join("measurements/pictures");
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("memscope"));
    command.args(fixed).args(more).arg(&resumed).env("MEMSCOPE_CACHE", &cache);
    // The two pictures of the first prompt and method, and one more.
    kill_at(&mut command, &drawn, 3);
    let calls = || {
        let dry = memscope()
            .args(fixed)
            .args(more)
            .arg(&resumed)
            .args(["--dry-run", "--json"])
            .env("MEMSCOPE_CACHE", &cache)
            .assert()
            .success();
        let report: serde_json::Value = serde_json::from_slice(&dry.get_output().stdout).unwrap();
        report["models"][0]["drawing_calls"].as_u64().unwrap()
    };
    // Two prompts, two methods, two pictures, four steps, with and without the prompt.
    let whole_price = 2 * 2 * 2 * 4 * 2;
    assert!(calls() < whole_price, "the pictures of the killed run are there");
    memscope().args(fixed).args(more).arg(&resumed).arg("--overwrite").env("MEMSCOPE_CACHE", &cache).assert().success();
    assert_eq!(calls(), 0);
    let pictures = |folder: &Path| {
        let mut all = files(folder);
        all.retain(|name, _| Path::new(name).extension().is_some_and(|kind| kind == "png"));
        all
    };
    assert_eq!(pictures(&resumed).len(), 8);
    assert_eq!(pictures(&resumed), pictures(&whole));
}

#[test]
fn what_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (arguments, code, words) in [
        (vec!["--method", "mask"], 2, "random_tokens"),
        (vec!["--method", "{name: ren, rho: 1}"], 2, "rho"),
        (vec!["--method", "{name: wen, iterations: 0}"], 3, "iterations"),
        (vec!["--method", "{name: detector, loss: {name: jeon}}"], 3, "gradient"),
        (vec!["--method", "wen", "--method", "wen"], 3, "label"),
        (vec!["--method", "{name: wen, label: é}", "--method", "{name: ren, label: è}"], 3, "ASCII"),
        (vec!["--method", "wen", "--training-pictures", "/nowhere"], 3, "pictures.csv"),
        (vec!["--method", "wen", "--judges", "/nowhere"], 3, "/nowhere"),
        (vec!["--method", "wen", "--prompts", "paper:nothing"], 3, "nothing"),
        (vec!["--method", "wen", "--prompts", "embedded:planted"], 3, "verbatim"),
        (vec!["--method", "wen", "--guidance", "NaN"], 2, "not a number"),
    ] {
        let assert = mitigate(&out, &arguments).failure().code(code);
        let said = stderr(assert.get_output());
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(!out.exists());
    }
    // Costs are told without reading weights or writing files.
    let dry = mitigate(&out, &["--method", "{name: wen, iterations: 2}", "--dry-run", "--json"]).success();
    let report: serde_json::Value = serde_json::from_slice(&dry.get_output().stdout).unwrap();
    // none: 12 calls; Wen: 12, 2 + 2 predictions and 4 gradients.
    assert_eq!(report["models"][0]["drawing_calls"], 12 + 12 + 8);
    assert!(!out.exists());
}

/// A folder of training pictures: those that are named are used, a missing file is told, a prompt without one is counted.
#[test]
fn training_pictures_come_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (pictures, out) = (folder.path().join("pictures"), folder.path().join("out"));
    fs::create_dir(&pictures).unwrap();
    let drawn = folder.path().join("drawn");
    let more = ["--prompt", "a green fish", "--method", "ren"];
    mitigate(&drawn, &more).success();
    fs::copy(drawn.join("002-none-seed42-01.png"), pictures.join("known.png")).unwrap();
    fs::write(pictures.join("pictures.csv"), "prompt,file\na green fish,known.png\nanother,gone.png\n").unwrap();
    let given = [&more[..], &["--training-pictures", pictures.to_str().unwrap(), "--json"]].concat();
    let assert = mitigate(&out, &given).success();
    let reports: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let none =
        reports.as_array().unwrap().iter().find(|r| r["prompt"] == "a green fish" && r["method"] == "None").unwrap();
    assert_eq!(none["distance_to_training_picture"][1], 0.0);
    assert!(none["distance_to_training_picture"][0].as_f64().unwrap() > 0.0);
    fs::write(pictures.join("pictures.csv"), "prompt,file\na green fish,gone.png\n").unwrap();
    let said = stderr(mitigate(&folder.path().join("other"), &given).failure().code(3).get_output());
    assert!(said.contains("row 1") && said.contains("gone.png"), "{said}");
}
