//! Folders of pictures: nearest pictures, judges, near duplicates.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use common::{memscope, stderr};
use serde_json::Value;
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The small judges that the parity fixtures have.
fn judges() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = repository().join("crates/judges/tests/fixtures");
    for (from, to) in [("sscd-basic", "sscd"), ("clip-transformers", "clip")] {
        fs::create_dir(folder.path().join(to)).unwrap();
        for file in fs::read_dir(fixtures.join(from)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(to).join(file.file_name())).unwrap();
        }
    }
    fs::copy(fixtures.join("aesthetic/quality.pth"), folder.path().join("quality.pth")).unwrap();
    folder
}

/// Pictures of the program: (name, name in data/embedded/ground_truth).
fn pictures(names: &[(&str, usize)]) -> TempDir {
    let mut truth: Vec<PathBuf> = fs::read_dir(repository().join("data/embedded/ground_truth"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("verbatim-"))
        .collect();
    truth.sort();
    let folder = tempfile::tempdir().unwrap();
    for (name, number) in names {
        let to = folder.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&truth[*number], to).unwrap();
    }
    folder
}

fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(command: &mut Command, code: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

fn run(command: &str, paths: &[&Path]) -> Command {
    let mut program = memscope();
    program.arg(command).args(paths);
    program
}

#[test]
fn the_nearest_picture_is_found_by_pixels_and_by_descriptors() {
    let (a, b, judges) =
        (pictures(&[("x.png", 3), ("sub/y.png", 7)]), pictures(&[("1.png", 7), ("2.png", 3), ("3.png", 9)]), judges());
    let (a, b) = (a.path(), b.path());
    let by_pixels = json(run("similarity", &[a, b]).arg("--pixels"));
    let by_descriptor = json(run("similarity", &[a, b]).arg("--judges").arg(judges.path()));
    for report in [&by_pixels, &by_descriptor] {
        let rows = report["pictures"].as_array().unwrap();
        let pairs: Vec<_> =
            rows.iter().map(|row| (row["picture"].as_str().unwrap(), row["nearest"].as_str().unwrap())).collect();
        assert_eq!(pairs, [("sub/y.png", "1.png"), ("x.png", "2.png")]);
        assert!(rows.iter().all(|row| row["rms"] == 0.0), "{report}");
        assert_eq!(report["summary"]["copies"], 2);
    }
    assert_eq!(by_pixels["by"], "pixels");
    assert!(by_pixels["pictures"][0].get("similarity").is_none());
    assert!((by_descriptor["pictures"][0]["similarity"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert_eq!(by_descriptor["preprocessing"], "24 × 24");
    // Another preprocessing has a name, and other numbers. Against itself a picture is not its own nearest.
    let mut named = run("similarity", &[b, b]);
    named.args(["--preprocessing", "wen224", "--judges"]).arg(judges.path());
    let named = json(&mut named);
    assert_eq!(named["preprocessing"], "wen224");
    let rows = named["pictures"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["nearest"] != row["picture"] && row["rms"].as_f64().unwrap() > 0.0));
    // Two files.
    let mut files = run("similarity", &[&a.join("x.png"), &b.join("1.png")]);
    let files = json(files.arg("--pixels"));
    assert_eq!(files["pictures"][0]["nearest"], "1.png");
    assert_eq!(files["summary"]["copies"], 0);
}

#[test]
fn maps_and_tables_are_written_and_kept() {
    let (a, b, judges) = (pictures(&[("sub/x.png", 3)]), pictures(&[("1.png", 3), ("2.png", 5)]), judges());
    let out = tempfile::tempdir().unwrap();
    let similarity = |table: &str| {
        let mut command = run("similarity", &[a.path(), b.path()]);
        command.arg("--judges").arg(judges.path()).arg("--maps").arg(out.path().join("maps"));
        command.arg("--out").arg(out.path().join(table));
        command
    };
    let output = similarity("t.csv").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("sub/x.png") && table.contains("1 of 1 (similarity above 0.5)"), "{table}");
    let csv = fs::read_to_string(out.path().join("t.csv")).unwrap();
    assert!(csv.starts_with("picture,nearest,similarity,rms\nsub/x.png,1.png,"), "{csv}");
    let map = out.path().join("maps/sub-x.png-map.png");
    let texts = memscope_judges::png_texts(&map).unwrap();
    assert!(texts.contains(&("Nearest".to_owned(), "1.png".to_owned())), "{texts:?}");
    let drawn = memscope_judges::Picture::open(&map).unwrap();
    assert_eq!((drawn.width(), drawn.height()), (192 + 9 + 192, 192));
    // Nothing is replaced silently, nothing is computed before that is said.
    fails(&mut similarity("t.csv"), 5, &["t.csv", "--overwrite"]);
    fails(&mut similarity("u.parquet"), 5, &["sub-x.png-map.png", "--overwrite"]);
    fails(&mut similarity("u.txt"), 3, &["u.txt", ".csv, .parquet"]);
    let again = similarity("u.parquet").arg("--overwrite").output().unwrap();
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(fs::read(out.path().join("u.parquet")).unwrap().starts_with(b"PAR1"));
}

/// A PNG file with a text.
fn with_prompt(from: &Path, to: &Path, keyword: &str, text: &str) {
    let picture = memscope_judges::Picture::open(from).unwrap();
    let image =
        memscope_model::RgbImage { width: picture.width(), height: picture.height(), data: picture.data().to_vec() };
    fs::write(to, image.png(&[(keyword, text.to_owned())]).unwrap()).unwrap();
}

#[test]
fn pictures_are_judged_by_the_prompts_they_carry_or_a_table_names() {
    let (a, training, judges) = (pictures(&[("plain.png", 3), ("b.png", 4)]), pictures(&[("t.png", 4)]), judges());
    with_prompt(&a.path().join("b.png"), &a.path().join("c.png"), "Prompt", "a red apple");
    with_prompt(&a.path().join("b.png"), &a.path().join("d.png"), "parameters", "a dog\nSteps: 20");
    fs::remove_file(a.path().join("b.png")).unwrap();
    let judge = || {
        let mut command = run("judge", &[a.path()]);
        command.arg("--judges").arg(judges.path());
        command
    };
    let carried = json(judge().arg("--training").arg(training.path()));
    let rows = carried["pictures"].as_array().unwrap();
    let prompts: Vec<&Value> = rows.iter().map(|row| &row["prompt"]).collect();
    assert_eq!(prompts, [&Value::from("a red apple"), &Value::from("a dog"), &Value::Null]);
    assert!(rows[0]["alignment"].is_f64() && rows[2]["alignment"].is_null());
    assert!(rows.iter().all(|row| row["quality"].is_f64() && row["nearest"] == "t.png"));
    assert!((rows[0]["similarity"].as_f64().unwrap() - 1.0).abs() < 1e-6, "the same pixels as the training picture");
    assert_eq!(carried["judges"].as_array().unwrap().len(), 3);
    // The same prompt by a table is the same number, beside a quoted comma.
    let table = a.path().join("prompts.csv");
    fs::write(&table, "file,prompt\nc.png,a red apple\nplain.png,\"apple, red\"\n").unwrap();
    let output = judge().arg("--json").arg("--prompts").arg(&table).output().unwrap();
    assert!(stderr(&output).contains("no prompt for 1 of 3"), "{}", stderr(&output));
    let named: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(named["pictures"][0]["alignment"], rows[0]["alignment"]);
    assert_eq!(named["pictures"][2]["prompt"], "apple, red");
    assert!(named["pictures"][0]["similarity"].is_null());
    fs::write(&table, "picture,seed\nc.png,1\n").unwrap();
    fails(judge().arg("--prompts").arg(&table), 3, &["no column 'prompt'"]);
    fs::write(&table, "picture,prompt\nother.png,x\n").unwrap();
    fails(judge().arg("--prompts").arg(&table), 3, &["names none of the pictures"]);
}

#[test]
fn near_duplicates_are_grouped() {
    let names = [("a.png", 3), ("b/a.png", 3), ("c.png", 8), ("d.png", 8), ("e.png", 3), ("f.png", 12)];
    let (folder, judges) = (pictures(&names), judges());
    fs::write(folder.path().join("broken.png"), "no picture").unwrap();
    let thumbnails = json(run("duplicates", &[folder.path()]).arg("--pixels"));
    // The network of the fixture is not trained: only the same pictures are near for sure.
    let mut described = run("duplicates", &[folder.path()]);
    let described = json(described.args(["--threshold", "0.999999", "--judges"]).arg(judges.path()));
    for report in [&thumbnails, &described] {
        let groups: Vec<Vec<&str>> = report["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group.as_array().unwrap().iter().map(|entry| entry["picture"].as_str().unwrap()).collect())
            .collect();
        assert_eq!(groups, [vec!["a.png", "b/a.png", "e.png"], vec!["c.png", "d.png"]]);
        assert_eq!((&report["pictures"], &report["in_groups"]), (&Value::from(6), &Value::from(5)));
        assert_eq!(report["unreadable"][0]["picture"], "broken.png");
    }
    assert_eq!(thumbnails["by"], "thumbnails");
    assert_eq!(described["by"], "descriptor");
    let out = folder.path().join("groups.jsonl");
    let output = run("duplicates", &[folder.path()]).arg("--pixels").arg("--out").arg(&out).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("5 of 6 pictures in 2 groups") && table.contains("crops, mirrored"), "{table}");
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 5);
    let none = pictures(&[("a.png", 3), ("c.png", 8)]);
    let none = run("duplicates", &[none.path()]).arg("--pixels").output().unwrap();
    assert!(String::from_utf8(none.stdout).unwrap().starts_with("no near duplicates among 2 pictures"));
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let (a, empty) = (pictures(&[("x.png", 3)]), tempfile::tempdir().unwrap());
    let (a, empty) = (a.path(), empty.path());
    fails(run("similarity", &[a, empty]).arg("--pixels"), 3, &["has no picture", ".png"]);
    fails(run("similarity", &[a, Path::new("/nowhere")]).arg("--pixels"), 3, &["/nowhere"]);
    fails(run("similarity", &[a, a]).args(["--judges", "nowhere"]), 3, &["neither a folder"]);
    fails(run("similarity", &[a, a]).arg("--judges").arg(empty), 4, &["has no judge", "memscope models fetch judges"]);
    let names = "sscd-disc-mixup+clip-vit-h-14";
    let remedy = "models fetch judges --judge sscd-disc-mixup --judge clip-vit-h-14";
    fails(run("judge", &[a]).args(["--judges", names]), 4, &["not all of them are there", remedy]);
    fs::write(empty.join("broken.png"), "no picture").unwrap();
    fails(run("duplicates", &[empty]).arg("--pixels"), 3, &["no picture can be read", "broken.png"]);
    let judges = judges();
    fs::remove_dir_all(judges.path().join("sscd")).unwrap();
    let mut similarity = run("similarity", &[a, a]);
    fails(similarity.arg("--judges").arg(judges.path()), 4, &["no copy descriptor", "--pixels"]);
    let mut both = run("similarity", &[a, a]);
    fails(both.args(["--pixels", "--maps", "maps"]), 2, &["--maps"]);
}

/// The program's own judges are files below data/embedded/judges; without them every command says so.
#[test]
fn the_programs_own_judges_are_used_where_it_has_some() {
    let a = pictures(&[("x.png", 3), ("y.png", 3), ("z.png", 5)]);
    let is_there = repository().join("data/embedded/judges/sscd/model.safetensors").is_file();
    let judged = run("judge", &[a.path()]).arg("--json").output().unwrap();
    let nearest = run("similarity", &[a.path(), a.path()]).arg("--json").output().unwrap();
    let nearest_report: Value = serde_json::from_slice(&nearest.stdout).unwrap();
    assert_eq!(nearest_report["pictures"][0]["nearest"], "y.png");
    if is_there {
        let report: Value = serde_json::from_slice(&judged.stdout).unwrap();
        assert_eq!(report["judges"].as_array().unwrap().len(), 3, "{}", stderr(&judged));
        assert!((nearest_report["pictures"][0]["similarity"].as_f64().unwrap() - 1.0).abs() < 1e-5);
        assert_eq!(nearest_report["summary"]["threshold"], 0.86);
        return;
    }
    assert_eq!(judged.status.code(), Some(4));
    for output in [&judged, &nearest] {
        let message = stderr(output);
        assert!(message.contains("no judges of its own") && message.contains("models fetch judges"), "{message}");
    }
    assert_eq!(nearest_report["by"], "pixels");
}
