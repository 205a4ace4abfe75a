//! Number format and device of the network: chosen, recorded, and kept apart in what is stored.

mod common;

use std::{fs, path::PathBuf};

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

/// Fixtures of the model crate.
fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures").join(file)
}

/// M, Wen, Jeon, Ren and MemBench on a tiny random SDXL with a LoRA, told other sizes than the pipeline's.
#[test]
fn every_detector_runs_on_sdxl() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.txt"), "a red fox\nthe cats\n").unwrap();
    fs::write(folder.path().join("others.txt"), "the old train\nthree hats\n").unwrap();
    fs::copy(fixture("sdxl/lora-kohya.safetensors"), folder.path().join("style.safetensors")).unwrap();
    let yaml = format!(
        "name: xl\ntitle: XL\ntables: [detection]\nmodels:\n- source: {}\n  lora: [{{file: style.safetensors, scale: 0.5}}]\n  \
         sizes: {{original_size: [20, 28], crops_coords_top_left: [3, 5]}}\nprompts: {{memorized: {{file: mine.txt}}, \
         non_memorized: {{file: others.txt}}}}\nnoise: {{seeds: [42], generations: 1}}\nreport: {{generations: [1], resamples: \
         20}}\ndetectors: [{{name: anisotropy}}, {{name: wen}}, {{name: jeon}}, {{name: ren}}, {{name: membench}}]\n",
        fixture("sdxl/model").display()
    );
    let (path, results) = (folder.path().join("xl.yaml"), folder.path().join("results"));
    fs::write(&path, yaml).unwrap();
    let run = |set: &[&str]| {
        let output = memscope()
            .args(["run", "--overwrite"])
            .arg(&path)
            .arg("--results")
            .arg(&results)
            .args(set)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let manifest: Value = serde_json::from_slice(&fs::read(results.join("xl/manifest.json")).unwrap()).unwrap();
        manifest["models"][0]["fingerprint"].as_str().unwrap().to_owned()
    };
    let first = run(&[]);
    let table = fs::read_to_string(results.join("xl/tables/xl.md")).unwrap();
    for word in ["Anisotropy M", "Wen", "Jeon", "Ren", "MemBench", "the paper gives no numbers for this model"] {
        assert!(table.contains(word), "{word} is not in {table}");
    }
    assert_ne!(run(&["--set", "models.0.sizes.original_size=[32, 32]"]), first);
    assert_ne!(run(&["--set", "models.0.lora.0.scale=0.25"]), first);
    let dry = memscope().arg("run").arg(&path).arg("--results").arg(&results).arg("--dry-run").output().unwrap();
    assert!(dry.status.success(), "{}", stderr(&dry));
}

/// A checkpoint file and lists of one's own in place of a model of the paper, and a LoRA in two strengths.
#[test]
fn table_1_of_an_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let list = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let (mine, others) = (list("mine.txt", "a red fox\nthe cats\n"), list("others.txt", "the old train\nthree hats\n"));
    let results = folder.path().join("results");
    let reproduce = |more: &[&str]| {
        let mut command = memscope();
        command.args(["reproduce", "table1", "--model"]).arg(fixture("formats/tiny-sd1.safetensors"));
        command.arg("--config").arg(fixture("parity/models/tiny-sd1")).arg("--results").arg(&results);
        command.args(["--set", "noise.seeds=[42]", "--set", "noise.generations=1", "--set", "report.generations=[1]"]);
        command.args(["--set", "report.resamples=20"]).args(more);
        command.output().unwrap()
    };
    let output = reproduce(&[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("--memorized FILE --non-memorized FILE"), "{}", stderr(&output));
    let (mine, others) = (mine.to_str().unwrap(), others.to_str().unwrap());
    let lists = ["--memorized", mine, "--non-memorized", others];
    let output = reproduce(&lists);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = fs::read_to_string(results.join("table1-tiny-sd1/tables/table1-tiny-sd1.md")).unwrap();
    assert!(table.contains("the paper gives no numbers for this model"), "{table}");
    let manifest = fs::read_to_string(results.join("table1-tiny-sd1/manifest.json")).unwrap();
    assert!(manifest.contains("--non-memorized"), "{manifest}");

    let lora = fixture("formats/lora-kohya.safetensors");
    let scales = ["--lora", lora.to_str().unwrap(), "--lora-scale", "0.25,1"];
    let output = reproduce(&[&lists[..], &scales[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let points = fs::read_dir(results.join("table1-tiny-sd1-scales/points")).unwrap().count();
    assert_eq!(points, 2);
}
