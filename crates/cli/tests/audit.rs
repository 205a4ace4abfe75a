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
    // A digit that flips is noticed.
    let text = fs::read_to_string(&kept).unwrap();
    let at =
        text.find("\"conditions\"").and_then(|at| Some(at + text[at..].find(|c: char| c.is_ascii_digit())?)).unwrap();
    let digit = if text.as_bytes()[at] == b'9' { "8" } else { "9" };
    fs::write(&kept, format!("{}{digit}{}", &text[..at], &text[at + 1..])).unwrap();
    let output = memscope()
        .args(["audit", "--model", "embedded:emoji-eps", "--prompts", "embedded:unseen", "--calibration"])
        .arg(&kept)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("checksum"), "{}", stderr(&output));
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

/// The repository.
fn repository() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Captioned pictures of the planted fine-tune as a table: those that were trained on, or those that were held out.
fn planted(set: &str, count: usize, path: &Path) {
    let lora = repository().join("data/embedded/emoji-eps-lora");
    let captions = fs::read_to_string(lora.join("captions.jsonl")).unwrap();
    let lines = captions.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_set: Vec<Value> = lines.filter(|line| line["set"] == set).collect();
    let last = of_set[of_set.len() - count..].iter().map(|line| {
        let image = lora.join(line["image"].as_str().unwrap());
        serde_json::json!({"image": image, "caption": line["caption"]}).to_string() + "\n"
    });
    fs::write(path, last.collect::<String>()).unwrap();
}

/// The most repeated pictures of the planted fine-tune, one of them under a second caption, too.
#[test]
fn flagged_prompts_have_evidence_an_alternative_and_near_duplicates() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    planted("train", 4, &path("train.jsonl"));
    planted("held_out", 16, &path("held-out.jsonl"));
    let mut train = fs::read_to_string(path("train.jsonl")).unwrap();
    let first: Value = serde_json::from_str(train.lines().next().unwrap()).unwrap();
    train += &serde_json::json!({"image": first["image"], "caption": "emojione style, something else"}).to_string();
    fs::write(path("train.jsonl"), train).unwrap();
    let step = |step: u32| repository().join(format!("data/embedded/emoji-eps-lora/step-{step}/kohya.safetensors"));
    let run = |more: &[&str]| {
        let mut command = memscope();
        command.env("MEMSCOPE_CACHE", path("cache")).args(["audit", "--model", "embedded:emoji-eps", "--pictures"]);
        command.arg(path("train.jsonl")).arg("--held-out").arg(path("held-out.jsonl"));
        // At scale 0 the fine-tune is its base.
        command.arg("--checkpoint").arg(format!("{}:0", step(3000).display())).arg("--checkpoint").arg(step(3000));
        command.args(["--judges", "embedded", "--draws", "2", "--acceptable", "flagged<10%"]);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output
    };
    let out = path("audit");
    run(&["--out", out.to_str().unwrap(), "--table", path("audit.csv").to_str().unwrap()]);
    let record: Value = serde_json::from_slice(&fs::read(out.join("audit.json")).unwrap()).unwrap();
    let rows = record["rows"].as_array().unwrap();
    assert!(flagged(&record) >= 4, "{} flagged", flagged(&record));
    let number = |value: &Value| value.as_f64().unwrap();
    for row in rows {
        let words = row["words"].as_array().unwrap();
        let shares: f64 = words.iter().map(|word| number(&word["share"])).sum();
        assert!((shares - 1.0).abs() < 1e-9 && words[0]["word"] == "emojione", "{words:?}");
        let near = row["nearest"].as_array().unwrap();
        assert!(near.len() == 3 && near.is_sorted_by(|a, b| number(&a["similarity"]) >= number(&b["similarity"])));
        assert!(out.join("pictures").join(near[0]["map"].as_str().unwrap()).is_file());
        // The similarity to the prompt's own picture is the one that tells copies.
        let draws = row["draws"].as_array().unwrap();
        assert!(draws.iter().all(|draw| draw["copy"] == (number(&draw["similarity"]) > 0.86)), "{row}");
        let own = draws.iter().map(|draw| number(&draw["similarity"])).fold(f64::NEG_INFINITY, f64::max);
        if let Some(named) = near.iter().find(|near| near["own"] == true) {
            assert!((number(&named["similarity"]) - own).abs() < 1e-5, "{row}");
        }
        assert_eq!(row["alternative"].is_null(), row["decision"]["flagged"] == false);
    }
    // The embedded descriptor's own threshold (docs/embedded-models.md §7).
    assert!(record["copy_rule"].as_str().unwrap().contains("above 0.86"), "{}", record["copy_rule"]);
    let alternative = &rows[0]["alternative"];
    assert_eq!(alternative["draws"].as_array().unwrap().len(), 2);
    assert_ne!(alternative["draws"][0]["file"], rows[0]["draws"][0]["file"]);
    assert!(alternative["alignment"][0].is_number() && record["mitigation"] == "Random tokens", "{alternative}");
    // The one file under two captions is a group, of which one may stay.
    let group = record["duplicates"]["groups"].as_array().unwrap();
    let group = group.iter().find(|group| group.as_array().unwrap().iter().any(|p| number(&p["similarity"]) > 0.9999));
    let kept: Vec<bool> = group.unwrap().as_array().unwrap().iter().map(|p| p["keep"] == true).collect();
    assert_eq!(kept, [true, false]);
    // Nothing stands out of the base.
    let names: Vec<&Value> = record["checkpoints"].as_array().unwrap().iter().map(|row| &row["name"]).collect();
    assert_eq!(&record["acceptable"]["last"], names[0]);
    assert!(record["acceptable"]["surely"].is_null(), "0 of 5 has an interval up to 0.52");
    let check = &record["splits"][0];
    assert_eq!((&check["calibrating"], &check["tested"], &check["splits"]), (&12.into(), &4.into(), &200.into()));
    let page = fs::read_to_string(out.join("audit.html")).unwrap();
    for said in ["Instead: Random tokens", "Nearest training pictures", "Near duplicates in the training set", "drop"] {
        assert!(page.contains(said), "{said}");
    }
    assert!(page.contains("data:image/svg+xml;base64,") && out.join("splits.svg").is_file());
    let table = fs::read_to_string(path("audit.csv")).unwrap();
    for column in ["nearest_picture", "driving_word", "mitigated_copies", "duplicate_group"] {
        assert!(table.lines().next().unwrap().contains(column), "{column}");
    }
    let costs: Value = serde_json::from_slice(&run(&["--dry-run", "--json"]).stdout).unwrap();
    assert!(costs["models"].as_array().unwrap().iter().all(|model| model["flops"] == 0.0), "{costs}");
    let without: Value =
        serde_json::from_slice(&run(&["--mitigation", "none", "--words", "0", "--json"]).stdout).unwrap();
    assert_eq!(without["rows"][0]["draws"], rows[0]["draws"]);
    assert!(without["rows"][0]["alternative"].is_null() && without["rows"][0]["words"].as_array().unwrap().is_empty());
}

/// Unseen captions score lower than general ones (docs/outcome.md): calibrated with the former, the latter are flagged in
/// place of memorized ones.
#[test]
fn kept_scores_of_another_kind_are_seen_to_break_the_promise() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, kept) = (folder.path().join("cache"), folder.path().join("unseen.json"));
    let options = ["--model", "embedded:emoji-eps", "--statistic", "wen", "--generations", "1"];
    let calibrate = memscope()
        .env("MEMSCOPE_CACHE", &cache)
        .arg("calibrate")
        .args(options)
        .args(["--prompts", "embedded:unseen", "--out", kept.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(calibrate.status.success(), "{}", stderr(&calibrate));
    let with = ["--held-out", "embedded:general", "--calibration", kept.to_str().unwrap(), "--fdr", "0.2"];
    let record = audit(&cache, &[&DETECTOR[..], &["embedded:verified"], &with[..]].concat());
    assert_eq!(record["calibration"]["source"], "embedded:general", "what was held out decides");
    let checks = record["splits"].as_array().unwrap();
    let at = |check: &Value| {
        let level = check["levels"].as_array().unwrap().iter().find(|level| level["fdr"] == 0.2).unwrap().clone();
        (level["false_share"]["mean"].as_f64().unwrap(), level["false_share"]["error"].as_f64().unwrap())
    };
    let [(own, own_error), (other, other_error)] = [at(&checks[0]), at(&checks[1])];
    assert!(own <= 0.2 + 2.0 * own_error, "{own} ± {own_error}");
    assert!(other > 0.2 + 2.0 * other_error, "{other} ± {other_error}");
    assert_eq!((&checks[0]["tested"], &checks[0]["calibrating"]), (&40.into(), &120.into()));
}

/// One command from a checkpoint file, a LoRA and a folder to the page.
#[test]
fn a_checkpoint_file_a_lora_and_a_folder_of_pictures_make_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = repository().join("crates/model/tests/fixtures");
    let pictures = repository().join("data/embedded/emoji-eps-lora/pictures");
    let mut all: Vec<_> = fs::read_dir(pictures).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    for (i, picture) in all.iter().take(8).enumerate() {
        let part = folder.path().join(if i < 4 { "train" } else { "held-out" });
        fs::create_dir_all(&part).unwrap();
        fs::copy(picture, part.join(picture.file_name().unwrap())).unwrap();
        fs::write(part.join(picture.with_extension("txt").file_name().unwrap()), format!("a red hat {i}")).unwrap();
    }
    let output = memscope()
        .current_dir(folder.path())
        .args(["audit", "--pictures", "train", "--held-out", "held-out", "--out", "audit", "--fdr", "0.3"])
        .args(["--evidence", "1", "--draws", "2", "--steps", "2", "--judges", "embedded", "--model"])
        .arg(fixtures.join("formats/tiny-sd1.safetensors"))
        .arg("--config")
        .arg(fixtures.join("parity/models/tiny-sd1"))
        .arg("--lora")
        .arg(fixtures.join("formats/lora-kohya.safetensors"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let record: Value = serde_json::from_slice(&fs::read(folder.path().join("audit/audit.json")).unwrap()).unwrap();
    assert!(record["model"]["source"].as_str().unwrap().contains("lora-kohya.safetensors"), "{record}");
    assert!(record["base"]["source"].as_str().unwrap().contains("tiny-sd1.safetensors"));
    assert!(!record["base"]["source"].as_str().unwrap().contains("lora"));
    assert_eq!(record["statistic"], "loss-ratio");
    assert!(record["rows"].as_array().unwrap().iter().all(|row| row["score"].as_f64().unwrap() != 0.0));
    let page = fs::read_to_string(folder.path().join("audit/audit.html")).unwrap();
    assert!(page.contains("train (4 prompts)") && page.contains("held-out (4 prompts)"));
}

#[test]
fn limits_that_say_nothing_are_refused() {
    for wrong in ["copied", "copied>0.1", "copied<0", "copied<110%", "copied<x", "seen<0.1"] {
        let mut command = memscope();
        command.args(["audit", "--model", "embedded:emoji-eps", "--prompts", "embedded:unseen"]);
        let output = command.arg(format!("--acceptable={wrong}")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", stderr(&output));
        assert!(stderr(&output).contains("copied<SHARE or flagged<SHARE"), "{}", stderr(&output));
    }
}
