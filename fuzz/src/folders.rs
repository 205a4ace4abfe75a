//! Targets over the files of a folder: the first byte of an input says which file the others are, and every other file is
//! a valid one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use memscope_eval::{
    audit::{CALIBRATION_FORMAT, CalibrationFile, CalibrationScore, Subject},
    read_labelled_scores,
    shard::{MergeOptions, merge},
    task::Watch,
};
use memscope_judges::{Judges, Picture};
use memscope_model::{LatentDiffusion, Lora, ModelSource};
use memscope_plots::pages;
use memscope_results::{Results, Settings, audit::AuditedModel, compare};
use tempfile::TempDir;

use super::{copy, refused, repository, tiny_model};

/// A folder of valid files, whose files take turns in being others.
pub struct Folder {
    folder: TempDir,
    /// Their paths below it.
    pub files: Vec<String>,
    busy: Mutex<()>,
}

impl Folder {
    fn of(from: &Path, files: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(from, folder.path());
        Self { folder, files: files.iter().map(|file| (*file).to_owned()).collect(), busy: Mutex::new(()) }
    }

    /// Every file of a folder that somebody else made.
    fn all(from: &Path) -> Self {
        let mut folder = Self::of(from, &[]);
        let mut open = vec![PathBuf::new()];
        while let Some(below) = open.pop() {
            for entry in fs::read_dir(folder.path().join(&below)).expect("a folder that can be read") {
                let entry = entry.expect("an entry");
                let path = below.join(entry.file_name());
                match entry.path().is_dir() {
                    true => open.push(path),
                    false => folder.files.push(path.to_str().expect("UTF-8").to_owned()),
                }
            }
        }
        folder.files.sort();
        folder
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The valid inputs: each file with its number before it.
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        let input = |(number, file): (usize, &String)| {
            let bytes = fs::read(self.path().join(file)).expect("a file that can be read");
            [&[number as u8], bytes.as_slice()].concat()
        };
        self.files.iter().enumerate().map(input).collect()
    }

    /// Runs with a file of these bytes in the place of the one that the first byte says.
    fn with(&self, bytes: &[u8], run: impl FnOnce(&Path)) {
        let Some((number, bytes)) = bytes.split_first() else { return };
        // One after the other; what failed before says so itself.
        let _busy = self.busy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = self.path().join(&self.files[usize::from(*number) % self.files.len()]);
        let valid = fs::read(&path).expect("a file that can be read");
        fs::write(&path, bytes).expect("a disk that is not full");
        run(self.path());
        fs::write(&path, valid).expect("a disk that is not full");
    }
}

fn source(folder: &Path) -> ModelSource {
    folder.to_str().expect("UTF-8").parse().expect("a folder is a source")
}

/// The configurations of a model.
pub fn configurations_of() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    const FILES: [&str; 5] = [
        "model_index.json",
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
    ];
    FOLDER.get_or_init(|| Folder::of(&tiny_model(), &FILES))
}

/// A model with a configuration of any bytes: loaded or refused.
pub fn configurations(bytes: &[u8]) {
    configurations_of().with(bytes, |folder| {
        if let Err(error) = LatentDiffusion::load(&source(folder)) {
            refused(&error);
        }
    });
}

/// The files of a tokenizer.
pub fn tokenizers_of() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    const FILES: [&str; 4] = [
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/special_tokens_map.json",
    ];
    FOLDER.get_or_init(|| {
        let there: Vec<&str> = FILES.into_iter().filter(|file| tiny_model().join(file).is_file()).collect();
        Folder::of(&tiny_model(), &there)
    })
}

/// A model with a tokenizer of any bytes: refused, or its tokens are ones that the text encoder knows.
pub fn tokenizers(bytes: &[u8]) {
    tokenizers_of().with(bytes, |folder| match LatentDiffusion::load(&source(folder)) {
        Ok(model) => {
            let texts = ["a photo of é 犬<|endoftext|> <|startoftext|>", "", "12\" \u{1f600} x"].map(str::to_owned);
            if let Err(error) = model.encode_prompts(&texts) {
                refused(&error);
            }
        }
        Err(error) => refused(&error),
    });
}

/// LoRA files in safetensors and of torch.save.
pub fn loras_of() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    const FILES: [&str; 4] =
        ["lora-kohya.safetensors", "lora-peft.safetensors", "torch/lora-kohya.pt", "torch/lora-lokr.pt"];
    FOLDER.get_or_init(|| Folder::of(&repository().join("crates/model/tests/fixtures/formats"), &FILES))
}

/// A model with a LoRA file of any bytes: changed or refused.
pub fn loras(bytes: &[u8]) {
    let Some(number) = bytes.first() else { return };
    let file = loras_of().files[usize::from(*number) % loras_of().files.len()].clone();
    loras_of().with(bytes, |folder| {
        let lora = Lora { file: folder.join(file), scale: 0.75 };
        if let Err(error) = LatentDiffusion::load(&ModelSource::folder(tiny_model()).with_loras(vec![lora])) {
            refused(&error);
        }
    });
}

/// Checkpoints in one file.
pub fn checkpoints_of() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Folder::of(&tiny_model(), &["tiny.safetensors", "zip.ckpt", "legacy.ckpt", "module.pt"]);
        let fixtures = repository().join("crates");
        let bring = |from: &str, to: &str| {
            fs::copy(fixtures.join(from), folder.path().join(to)).expect("a file that can be copied");
        };
        bring("model/tests/fixtures/formats/tiny-sd1.safetensors", "tiny.safetensors");
        for file in ["zip.ckpt", "legacy.ckpt", "module.pt"] {
            bring(&format!("torch-file/tests/fixtures/{file}"), file);
        }
        folder
    })
}

/// A checkpoint of any bytes: loaded or refused.
pub fn checkpoints(bytes: &[u8]) {
    let Some(number) = bytes.first() else { return };
    let file = checkpoints_of().files[usize::from(*number) % checkpoints_of().files.len()].clone();
    checkpoints_of().with(bytes, |folder| {
        if let Err(error) = LatentDiffusion::load(&source(&folder.join(file))) {
            refused(&error);
        }
    });
}

/// Judges, as they come with the program.
pub fn judges_of() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    FOLDER.get_or_init(|| Folder::all(&repository().join("data/embedded/judges")))
}

/// A folder of judges with a file of any bytes: opened or refused.
pub fn judges(bytes: &[u8]) {
    judges_of().with(bytes, |folder| {
        if let Err(error) = Judges::open(folder) {
            refused(&error);
        }
    });
}

/// Score files in every form.
pub fn scores_of() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let from = repository().join("crates/frames/tests/frames/files");
        let mut folder = Folder::of(&from, &["scores.parquet"]);
        for (name, text) in [
            ("scores.csv", "prompt,memorized,score,seed\nred apple,1,0.75,42\n\"black, cat\",0,1e-3,42\n"),
            ("semicolons.csv", "memorized;score\nyes;0,75\nno;-0,25\n"),
            ("scores.tsv", "memorized\tscore\nTRUE\t1\nFALSE\t0\n"),
            ("scores.jsonl", "{\"memorized\":1,\"score\":0.5}\n{\"memorized\":0,\"score\":NaN}\n"),
            ("scores.json", "[{\"memorized\":true,\"score\":2},{\"memorized\":false,\"score\":1}]"),
        ] {
            fs::write(folder.path().join(name), text).expect("a disk that is not full");
            folder.files.push(name.to_owned());
        }
        folder
    })
}

/// A score file of any bytes: finite scores, or refused.
pub fn scores(bytes: &[u8]) {
    let Some(number) = bytes.first() else { return };
    let file = scores_of().files[usize::from(*number) % scores_of().files.len()].clone();
    scores_of().with(bytes, |folder| match read_labelled_scores(&folder.join(file), "memorized", "score") {
        Ok(groups) => {
            let mut scores = groups.iter().flat_map(|group| group.memorized.iter().chain(&group.non_memorized));
            assert!(scores.all(|score| score.is_finite()), "a score that is no number");
        }
        Err(error) => refused(&error),
    });
}

/// A calibration file of any bytes: used or refused. What could be read can be written and read again.
pub fn calibration(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("calibration.json");
    // A checksum that fits, so that what it guards is tried, too.
    let signed = serde_json::from_slice(bytes).map(CalibrationFile::signed).ok();
    let signed = signed.and_then(|file| serde_json::to_vec(&file).ok());
    fs::write(&path, signed.as_deref().unwrap_or(bytes)).expect("a disk that is not full");
    match CalibrationFile::read(&path) {
        Ok(file) => {
            let other = calibration_file();
            for checked in [
                file.check_settings(&path, &other.statistic, &other.settings),
                file.check_models(&path, &other.model, None),
                file.check_models(&path, &other.model, Some(&other.model)),
            ] {
                if let Err(error) = checked {
                    refused(&error);
                }
            }
            let again = folder.path().join("again.json");
            file.write(&again, memscope_results::files::Existing::Refuse).expect("a disk that is not full");
            assert_eq!(CalibrationFile::read(&again).expect("what was written"), file);
        }
        Err(error) => refused(&error),
    }
}

/// A valid one.
pub fn calibration_file() -> CalibrationFile {
    let model = AuditedModel { source: "m".into(), fingerprint: "0123456789abcdef".into(), arithmetic: "f32".into() };
    let score =
        |i: u8| CalibrationScore { prompt: format!("prompt {i}"), conditions: vec![f64::from(i) / 3.0], base: None };
    CalibrationFile {
        format: CALIBRATION_FORMAT,
        software: "memscope".into(),
        model,
        base: None,
        statistic: "wen".into(),
        settings: Settings::from([("seeds".to_owned(), "42".to_owned())]),
        source: "ordinary".into(),
        scores: (0..5).map(score).collect(),
        checksum: String::new(),
    }
    .signed()
}

/// Pictures with captions, as people keep them.
pub fn pictures_of() -> &'static Folder {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let empty = tempfile::tempdir().expect("a temporary folder");
        let mut folder = Folder::of(empty.path(), &[]);
        let picture = memscope_model::RgbImage { width: 4, height: 4, data: (0..48).collect() };
        let png = picture.png(&[]).expect("a picture");
        let table = "{\"file_name\":\"a.png\",\"text\":\"a cat\"}\n{\"file_name\":\"b.png\",\"text\":\"a dog\"}\n";
        let csv = "file_name,caption\na.png,a cat\nb.png,\"a dog, asleep\"\n";
        for (name, bytes) in [
            ("captions/a.png", png.as_slice()),
            ("captions/a.txt", b"a cat\n"),
            ("lines/a.png", &png),
            ("lines/b.png", &png),
            ("lines/metadata.jsonl", table.as_bytes()),
            ("table/a.png", &png),
            ("table/b.png", &png),
            ("table/metadata.csv", csv.as_bytes()),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder that can be made");
            fs::write(path, bytes).expect("a disk that is not full");
            folder.files.push(name.to_owned());
        }
        folder
    })
}

/// Pictures with captions of any bytes: a subject or refused; a picture is one or refused.
pub fn pictures(bytes: &[u8]) {
    let Some(number) = bytes.first() else { return };
    let file = pictures_of().files[usize::from(*number) % pictures_of().files.len()].clone();
    pictures_of().with(bytes, |folder| {
        let below = folder.join(&file);
        let subject = below.parent().and_then(Path::to_str).expect("UTF-8");
        match Subject::pictures(subject, None, &ModelSource::Embedded("emoji-eps".into())) {
            Ok(subject) => assert!(subject.items.iter().all(|item| !item.prompt.is_empty()), "an empty caption"),
            Err(error) => refused(&error),
        }
        if Path::new(&file).extension().is_some_and(|ending| ending == "png")
            && let Err(error) = Picture::open(&below)
        {
            refused(&error);
        }
    });
}

/// A finished results folder, or one of shards, with a file of any bytes: shown, compared and merged, or refused.
pub fn results(folder: &Folder, bytes: &[u8]) {
    struct Quiet;
    impl Watch for Quiet {
        fn progress(&mut self, _: usize, _: usize) {}

        fn stop_requested(&self) -> bool {
            false
        }
    }
    folder.with(bytes, |path| {
        let page = tempfile::tempdir().expect("a temporary folder");
        let command = "memscope report results";
        for written in [
            pages::write(path, &page.path().join("report.html"), command, None),
            pages::write_overlay(path, path, &page.path().join("two.html"), command),
        ] {
            match written {
                Ok(pages) => assert!(pages.notices.iter().all(|notice| notice.len() < 4_000), "a notice of any length"),
                Err(error) => refused(&error),
            }
        }
        if let Err(error) = compare::compare(path, path, 0.0) {
            refused(&error);
        }
        let results = Results::new(path);
        match results.sharded_plans() {
            Ok(plans) => {
                for plan in plans {
                    if let Err(error) = plan.status(1_800_000_000) {
                        refused(&error);
                    }
                    let merged = tempfile::tempdir().expect("a temporary folder");
                    let options = MergeOptions { partial: true, allow_mixed: true };
                    if let Err(error) = merge(&Results::new(merged.path()), &plan, options, &mut Quiet) {
                        refused(&error);
                    }
                }
            }
            Err(error) => refused(&error),
        }
    });
}

/// The small text files of a results folder that a run of the program made, in turns.
pub fn results_of(from: &Path) -> Folder {
    let mut folder = Folder::all(from);
    folder.files.retain(|file| !file.split('/').any(|part| part == ".lock"));
    folder
}
