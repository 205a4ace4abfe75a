//! What the tests of the program share.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod fake_hub;
pub(crate) mod hub_world;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::atomic::{AtomicUsize, Ordering},
};

use assert_cmd::Command;

/// The program.
pub(crate) fn memscope() -> Command {
    let mut command = Command::cargo_bin("memscope").expect("the program is built");
    command.env_remove("MEMSCOPE_LOG").env("MEMSCOPE_CACHE", new_cache());
    command
}

/// A cache folder that no other command has: what one test measures must not be found by another.
fn new_cache() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("cache-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A small experiment: one model, few prompts, two seeds.
pub(crate) fn small_experiment(folder: &Path) -> std::path::PathBuf {
    let memorized = "watch\nonion\nschool\nguitar\n";
    let others = "grapes\nkoala\ncustard\nangry face\nladder\n";
    fs::write(folder.join("memorized.txt"), memorized).unwrap();
    fs::write(folder.join("others.txt"), others).unwrap();
    let yaml = format!(
        r#"name: small
title: A small experiment
tables: [detection, differences]
models:
  - {{source: "embedded:emoji-eps", paper: sd14}}
prompts:
  memorized: {{file: "{0}/memorized.txt"}}
  non_memorized: {{file: "{0}/others.txt"}}
noise: {{generator: torch-cuda, seeds: [42, 51], generations: 2}}
detectors: [{{name: wen}}, {{name: anisotropy}}]
report: {{generations: [1, 2], resamples: 200}}
batch: 4
"#,
        folder.display()
    );
    let path = folder.join("small.yaml");
    fs::write(&path, yaml).unwrap();
    path
}

/// A LoRA file of embedded:emoji-eps in the layout of sd-scripts: random changes of one attention, the same for a seed.
pub(crate) fn random_lora(path: &Path, seed: u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    let (mut header, mut data) = (serde_json::Map::new(), vec![]);
    for projection in ["to_k", "to_v"] {
        for (part, shape) in [("down", [4, 128]), ("up", [128, 4])] {
            let name =
                format!("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_{projection}.lora_{part}.weight");
            let begin = data.len();
            (0..4 * 128).for_each(|_| data.extend_from_slice(&next().to_le_bytes()));
            let place = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
            header.insert(name, place);
        }
    }
    let header = serde_json::Value::Object(header).to_string().into_bytes();
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()).unwrap();
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file of the tables folder with its bytes.
pub(crate) fn tables(results: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(results.join("small/tables"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}
