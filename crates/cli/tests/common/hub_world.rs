//! A Hub with one tiny model, and a user with an empty cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::Command;
use tempfile::TempDir;

use super::{
    fake_hub::{COMMIT, FakeHub},
    memscope, stderr,
};

pub(crate) const ID: &str = "org/tiny";
pub(crate) const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/parity/models").join(name)
}

/// A Hub with one tiny model, and a user with an empty cache.
pub(crate) struct World {
    pub(crate) hub: FakeHub,
    pub(crate) home: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with("tiny-sd2")
    }

    pub(crate) fn with(model: &str) -> Self {
        let hub = FakeHub::start();
        hub.publish_folder(ID, &fixture(model));
        // What must not be downloaded.
        for extra in ["safety_checker/model.safetensors", "unet/diffusion_pytorch_model.bin", "sd.ckpt", "README.md"] {
            hub.publish(ID, extra, vec![7; 100_000]);
        }
        Self { hub, home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = memscope();
        for name in [
            "HF_HUB_ETAG_TIMEOUT",
            "HF_HUB_DOWNLOAD_TIMEOUT",
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HUGGINGFACE_HUB_CACHE",
        ] {
            command.env_remove(name);
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        command.env("HF_HOME", self.home.path()).env("HF_ENDPOINT", self.hub.url());
        command.env("MEMSCOPE_CACHE", self.home.path().join("memscope"));
        command
    }

    pub(crate) fn fetch(&self) -> Command {
        let mut command = self.command();
        command.args(["models", "fetch", ID]);
        command
    }

    pub(crate) fn detect(&self) -> Command {
        let mut command = self.command();
        command.args(["detect", "--model", ID, "--prompts", "-", "--json"]).write_stdin("a red hat\nonion\n");
        command
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.home.path().join("hub/models--org--tiny")
    }

    pub(crate) fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT)
    }

    pub(crate) fn blobs(&self, incomplete: bool) -> usize {
        let names = fs::read_dir(self.repository().join("blobs")).unwrap();
        names.filter(|e| e.as_ref().unwrap().path().to_string_lossy().ends_with(".incomplete") == incomplete).count()
    }
}

#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// One line of at most a few sentences, and the documented status.
#[track_caller]
pub(crate) fn fails(command: &mut Command, code: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    let errors: Vec<&str> =
        message.lines().filter(|line| !line.starts_with("downloading ") && !line.contains("WARN")).collect();
    assert_eq!(errors.len(), 1, "{message}");
    assert!(output.stdout.is_empty() && errors[0].starts_with("error: "), "{message}");
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}
