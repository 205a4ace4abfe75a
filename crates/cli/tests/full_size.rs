//! `memscope detect` on Stable Diffusion 1.4 and 2.0 in full size, with random weights, against plain PyTorch on the
//! same noise. `scripts/full_size/make_full_size.py` makes the folders and the numbers; too large to commit.

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use common::memscope;
use serde_json::Value;

/// Of norm and cosine, relative and absolute: the networks agree to about 1e-6 and differences of two outputs to less.
const TOLERANCE: f64 = 1e-4;

fn folder() -> PathBuf {
    env::var_os("MEMSCOPE_FULL_SIZE")
        .map(PathBuf::from)
        .expect("MEMSCOPE_FULL_SIZE names the folder that scripts/full_size/make_full_size.py wrote, see its README.md")
}

/// What `detect` says of some prompts.
fn detect(model: &Path, prompts: &str, options: &[&str]) -> Value {
    let output = memscope()
        .args(["detect", "--generator", "torch-cuda", "--seed", "42", "--batch", "1", "--json", "--prompts", "-"])
        .arg("--model")
        .arg(model)
        .args(options)
        .write_stdin(prompts.to_owned())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    let warned = common::stderr(&output).contains("are random");
    assert_eq!(warned, model.is_dir(), "a warning says that a folder's weights are random");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn check(name: &str) {
    let folder = folder();
    let reference = fs::read(folder.join(format!("{name}.reference.json"))).expect("a reference");
    let reference: Value = serde_json::from_slice(&reference).expect("JSON");
    let expected = reference["detection"]["rows"].as_array().expect("rows");
    let prompts: Vec<&str> = expected.iter().map(|row| row["prompt"].as_str().expect("a prompt")).collect();

    let report = detect(&folder.join(name), &prompts.join("\n"), &[]);
    assert_eq!(report["weights"], "random");
    let rows = report["results"].as_array().expect("results");
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row["prompt"], expected["prompt"]);
        let number = |row: &Value, field: &str| row[field].as_f64().expect("a number");
        let (norm, cosine) = (number(row, "norm"), number(row, "cosine"));
        let (norm_error, cosine_error) = (norm / number(expected, "norm") - 1.0, cosine - number(expected, "cosine"));
        println!("{name}: norm {norm} (relative error {norm_error:.1e}), cosine {cosine} (error {cosine_error:.1e})");
        assert!(norm_error.abs() <= TOLERANCE && cosine_error.abs() <= TOLERANCE, "{row} {expected}");
    }
}

#[test]
#[ignore = "4 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn detection_with_stable_diffusion_1_4() {
    check("random-sd14");
}

#[test]
#[ignore = "5 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn detection_with_stable_diffusion_2_0() {
    check("random-sd20");
}

/// A file that `scripts/full_size/single_file.py` wrote gives the bits of the folder it came from.
fn check_single_file(name: &str, file: &str, options: &[&str]) {
    const PROMPT: &str = "Mothers influence on her young hippo";
    let folder = folder();
    let of_folder = detect(&folder.join(name), PROMPT, &[])["results"].take();
    let of_file = detect(&folder.join(file), PROMPT, options)["results"].take();
    println!("{file}: {of_file}");
    assert_eq!(of_file, of_folder);
    assert_eq!(of_file.as_array().map(Vec::len), Some(1));
}

#[test]
#[ignore = "9 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn stable_diffusion_1_4_as_one_file() {
    check_single_file("random-sd14", "random-sd14.safetensors", &[]);
}

#[test]
#[ignore = "5 GB of weights: MEMSCOPE_FULL_SIZE=DIR, see scripts/full_size/README.md"]
fn stable_diffusion_2_as_one_file_in_both_parameterizations() {
    let file = "random-sd20-f16.safetensors";
    check_single_file("random-sd20-f16", file, &["--prediction-type", "v_prediction"]);
    check_single_file("random-sd20-f16-epsilon", file, &["--prediction-type", "epsilon"]);
}
