//! `memscope detect` on Stable Diffusion 1.4 and 2.0 in full size, with random weights, against plain PyTorch on the
//! same noise. `scripts/full_size/make_full_size.py` makes the folders and the numbers; too large to commit.

mod common;

use std::{env, fs, path::PathBuf};

use common::memscope;
use serde_json::Value;

/// Of norm and cosine, relative and absolute: the networks agree to about 1e-6 and differences of two outputs to less.
const TOLERANCE: f64 = 1e-4;

fn check(name: &str) {
    let folder = env::var_os("MEMSCOPE_FULL_SIZE").map(PathBuf::from).expect(
        "MEMSCOPE_FULL_SIZE names the folder that scripts/full_size/make_full_size.py wrote, see its README.md",
    );
    let reference = fs::read(folder.join(format!("{name}.reference.json"))).expect("a reference");
    let reference: Value = serde_json::from_slice(&reference).expect("JSON");
    let expected = reference["detection"]["rows"].as_array().expect("rows");
    let prompts: Vec<&str> = expected.iter().map(|row| row["prompt"].as_str().expect("a prompt")).collect();

    let output = memscope()
        .args(["detect", "--generator", "torch-cuda", "--seed", "42", "--batch", "1", "--json", "--prompts", "-"])
        .arg("--model")
        .arg(folder.join(name))
        .write_stdin(prompts.join("\n"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    assert!(common::stderr(&output).contains("random"), "a warning says that the weights are random");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
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
