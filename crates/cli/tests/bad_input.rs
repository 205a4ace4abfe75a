//! Bad input gets one clear message and a documented exit code.

mod common;

use std::{fs, path::Path};

use common::{memscope, small_experiment, stderr};

#[track_caller]
fn assert_fails(command: &mut assert_cmd::Command, code: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

/// A copy of a small model in a folder of its own.
fn copy_model(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/parity/models/tiny-sd2");
    copy_folder(&from, to);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}

fn detect(model: &Path, prompts: &Path) -> assert_cmd::Command {
    let mut command = memscope();
    command.arg("detect").arg("--model").arg(model).arg("--prompts").arg(prompts);
    command
}

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

#[test]
fn damaged_models() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "a red hat\n").unwrap();
    let model = folder.path().join("model");
    let damaged = |damage: &dyn Fn(&Path), code: i32, words: &[&str]| {
        if model.exists() {
            fs::remove_dir_all(&model).unwrap();
        }
        copy_model(&model);
        damage(&model);
        assert_fails(&mut detect(&model, &prompts), code, words);
    };
    damaged(&|m| fs::remove_file(m.join(UNET)).unwrap(), 4, &[UNET, "missing"]);
    damaged(&|m| fs::remove_file(m.join("unet/config.json")).unwrap(), 4, &["unet/config.json", "missing"]);
    damaged(
        &|m| {
            let bytes = fs::read(m.join(UNET)).unwrap();
            fs::write(m.join(UNET), &bytes[..bytes.len() / 2]).unwrap();
        },
        4,
        &["not a complete safetensors file"],
    );
    damaged(
        &|m| {
            let config = fs::read_to_string(m.join("unet/config.json")).unwrap();
            fs::write(m.join("unet/config.json"), config.replace("\"in_channels\": 4", "\"in_channels\": 9")).unwrap();
        },
        4,
        &["in_channels", "9", "inpainting"],
    );
    damaged(
        &|m| {
            let config = fs::read_to_string(m.join("unet/config.json")).unwrap();
            fs::write(m.join("unet/config.json"), config.replace("\"silu\"", "\"mish\"")).unwrap();
        },
        4,
        &["unet/config.json", "act_fn", "mish", "silu"],
    );
    damaged(
        &|m| {
            // The last bytes belong to some tensor: make its last number NaN.
            let mut bytes = fs::read(m.join(UNET)).unwrap();
            let end = bytes.len();
            bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            fs::write(m.join(UNET), bytes).unwrap();
        },
        6,
        &["NaN", UNET],
    );
}

#[test]
fn unusable_prompt_lists() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("prompts.txt");
    let model = Path::new("embedded:emoji-eps");
    assert_fails(&mut detect(model, &prompts), 3, &["prompts.txt", "cannot read"]);
    fs::write(&prompts, "\n \n").unwrap();
    assert_fails(&mut detect(model, &prompts), 3, &["prompts.txt", "holds no prompt"]);
    fs::write(&prompts, b"ok\ncaf\xe9\n").unwrap();
    assert_fails(&mut detect(model, &prompts), 3, &["line 2", "UTF-8"]);
    fs::write(&prompts, "watch\n\nwatch\n").unwrap();
    let output = detect(model, &prompts).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["results"].as_array().unwrap().len(), 1);
    assert!(stderr(&output).contains("1 blank lines") && stderr(&output).contains("lines 1, 3"), "{}", stderr(&output));
}

#[test]
fn unknown_sources_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "watch\n").unwrap();
    assert_fails(&mut detect(Path::new("embedded:nothing"), &prompts), 2, &["embedded model 'nothing'", "emoji-eps"]);
    assert_fails(&mut detect(Path::new("/no/such/folder"), &prompts), 2, &["/no/such/folder", "embedded:NAME"]);
    let mut offline = detect(Path::new("owner/name"), &prompts);
    offline.env("HF_HUB_CACHE", folder.path()).env("HF_HUB_OFFLINE", "1");
    assert_fails(&mut offline, 4, &["owner/name", "not in the Hub cache"]);
    assert_fails(memscope().args(["reproduce", "table99"]), 3, &["table99", "table1"]);
    assert_fails(memscope().arg("--no-such-flag"), 2, &["--no-such-flag"]);
    let mut wrong_end = detect(Path::new("embedded:emoji-eps"), &prompts);
    assert_fails(wrong_end.args(["--out", "scores.txt"]), 3, &["scores.txt", ".parquet"]);
    let mut contradiction = detect(Path::new("embedded:emoji-eps"), &prompts);
    contradiction.args(["--protocol", "equation14", "--numerics", "bf16-emulated"]);
    assert_fails(&mut contradiction, 3, &["cos_space", "f32"]);
}

#[test]
fn broken_experiments() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_experiment(folder.path());
    let good = fs::read_to_string(&path).unwrap();
    memscope().arg("validate").arg(&path).assert().success();
    let broken = |from: &str, to: &str, words: &[&str]| {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        assert_fails(memscope().arg("validate").arg(&path), 3, words);
    };
    broken("batch: 4", "batches: 4", &["small.yaml", "batches", "line 12"]);
    broken("batch: 4", "batch: many", &["small.yaml", "line 12"]);
    broken("batch: 4", "batch: 0", &["batch"]);
    broken("generations: [1, 2]", "generations: [1, 9]", &["report.generations", "1..=2"]);
    broken("seeds: [42, 51]", "seeds: [42, 42]", &["noise.seeds", "repeated"]);
    broken("embedded:emoji-eps", "embedded:nothing", &["nothing", "emoji-eps"]);
    broken("torch-cuda", "torch-tpu", &["torch-tpu", "line 9"]);
    broken("others.txt", "nothing.txt", &["nothing.txt", "cannot read"]);
    broken("{name: wen}", "{name: wen, gammas: {cosine: 1, norm: 1}}", &["wen", "gammas"]);
    broken("name: small", "name: ../small", &["name"]);
    fs::write(&path, &good).unwrap();
    assert_fails(
        memscope().arg("run").arg(&path).args(["--set", "noise.seed=[1]"]),
        3,
        &["--set noise.seed=[1]", "seed"],
    );
    assert_fails(memscope().arg("run").arg(&path).args(["--set", "noise.seeds"]), 3, &["key=value"]);
}

#[test]
fn an_unwritable_results_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_experiment(folder.path());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_fails(
        memscope().arg("run").arg(&path).arg("--results").arg(file.join("below")),
        5,
        &["cannot write", "below"],
    );
    // A full disk, where the system has such a device.
    if Path::new("/dev/full").exists() {
        let prompts = folder.path().join("memorized.txt");
        let mut help = memscope();
        help.arg("--help");
        for full in [detect(Path::new("embedded:emoji-eps"), &prompts), help] {
            let output = std::process::Command::new(full.get_program())
                .args(full.get_args())
                .stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(5));
            assert!(stderr(&output).contains("standard output"), "{}", stderr(&output));
        }
    }
}

#[test]
fn unusable_score_files() {
    let folder = tempfile::tempdir().unwrap();
    let scores = folder.path().join("scores.csv");
    let evaluate = || {
        let mut command = memscope();
        command.arg("evaluate").arg(&scores);
        command
    };
    let write = |text: &str| fs::write(&scores, text).unwrap();
    write("memorized,score\n1,0.5\n1,0.7\n");
    assert_fails(&mut evaluate(), 3, &["scores.csv"]);
    write("memorized,score\n1,0.5\n0,NaN\n");
    assert_fails(&mut evaluate(), 3, &["row 2", "finite"]);
    write("label,score\n1,0.5\n0,0.1\n");
    assert_fails(&mut evaluate(), 3, &["no column 'memorized'", "--label", "'label', 'score'"]);
    write("memorized,score\nmaybe,0.5\nno,0.1\n");
    assert_fails(&mut evaluate(), 3, &["row 1", "maybe", "yes or no"]);
    write("memorized,score\n1,0.9\n0,0.1\n1,0.8\n0,0.85\n");
    let output = evaluate().arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["auc"], 0.75);
    assert_eq!(report["tpr_at_1_fpr"], 0.5);
    // Scores of two detectors are no sample of one: pooled, these would give 0.5.
    for header in ["detector,memorized,score", "Detector,Memorized,SCORE"] {
        write(&format!("{header}\nwen,1,0.9\nwen,0,0.8\njeon,1,0.2\njeon,0,0.1\n"));
        let output = evaluate().arg("--json").output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |i: usize| (report["groups"][i]["group"]["detector"].clone(), report["groups"][i]["auc"].clone());
        assert_eq!((of(0), of(1)), (("wen".into(), 1.0.into()), ("jeon".into(), 1.0.into())), "{header}");
    }
}
