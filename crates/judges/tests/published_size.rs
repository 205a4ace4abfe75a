//! Random networks of the published sizes against torch; `scripts/fixtures/judges/full_size.py` makes them.

mod common;

use std::{path::PathBuf, time::Instant};

use candle_core::{Device, Tensor};
use common::{distance, expected, numbers};
use memscope_judges::{Clip, ClipConfig, Embedding, Files, Sscd, SscdConfig};

/// The folder of a network, if it was made.
fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MEMSCOPE_JUDGES_FULL_SIZE").expect("MEMSCOPE_JUDGES_FULL_SIZE");
    let folder = PathBuf::from(root).join(name);
    let is_there = folder.is_dir();
    if !is_there {
        println!("{name}: not made");
    }
    is_there.then_some(folder)
}

fn within(name: &str, what: &str, got: &[f64], expected: &[f64]) {
    let error = distance(got, expected);
    println!("{name}: {what} differ by {error:.2e}");
    assert!(error <= 1e-5, "{name}: {what} differ by {error:e}");
}

fn sscd(name: &str, config: &SscdConfig) {
    let Some(folder) = folder(name) else { return };
    let network = Sscd::load(&Files::from(folder.as_path()), "model.pt", config, &Device::Cpu).unwrap();
    let inputs = expected(&folder, "inputs");
    let start = Instant::now();
    let descriptors = network.describe_inputs(&inputs).unwrap();
    println!("{name}: {:.2?} for two pictures", start.elapsed());
    let got: Vec<f64> =
        descriptors.iter().flat_map(memscope_judges::Embedding::values).map(|x| f64::from(*x)).collect();
    within(name, "descriptors", &got, &numbers(&folder, "descriptors"));
    let map = network.locate_inputs(&inputs.narrow(0, 0, 1).unwrap(), &inputs.narrow(0, 1, 1).unwrap()).unwrap();
    within(name, "shares", &map.shares, &numbers(&folder, "shares"));
}

#[test]
#[ignore = "needs MEMSCOPE_JUDGES_FULL_SIZE"]
fn sscd_disc_large() {
    sscd("sscd-disc-large", &SscdConfig::disc_large());
}

#[test]
#[ignore = "needs MEMSCOPE_JUDGES_FULL_SIZE"]
fn sscd_disc_mixup() {
    sscd("sscd-disc-mixup", &SscdConfig::disc_mixup());
}

fn clip(name: &str, config: &ClipConfig) {
    let Some(folder) = folder(name) else { return };
    let files = Files::from(folder.as_path());
    let weights = ["open_clip_pytorch_model.bin", "model.safetensors"].into_iter().find(|f| folder.join(f).is_file());
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    // Only its ids matter here, and none of the random ids is its end but the last.
    let (vocab, merges) = (read("vocab.json"), read("merges.txt"));
    let contents =
        memscope_model::tokenizer::TokenizerFiles { vocab: Some(&vocab), merges: Some(&merges), ..Default::default() };
    let tokenizer = memscope_model::PromptTokenizer::from_files(&contents, config.context);
    let preprocessing = memscope_judges::Preprocessing::clip(config.image_size);
    let network =
        Clip::load(&files, weights.unwrap(), config, preprocessing, tokenizer.unwrap(), &Device::Cpu).unwrap();
    let start = Instant::now();
    let pictures = network.embed_inputs(&expected(&folder, "inputs")).unwrap();
    println!("{name}: {:.2?} for two pictures", start.elapsed());
    within(name, "pictures", &normalised(&pictures), &numbers(&folder, "pictures"));
    let rows = expected(&folder, "ids").to_vec2::<i64>().unwrap();
    let ids: Vec<Vec<u32>> =
        rows.iter().map(|row| row.iter().map(|id| u32::try_from(*id).unwrap()).collect()).collect();
    let end = u32::try_from(config.vocabulary - 1).unwrap();
    let ends: Vec<usize> = ids.iter().map(|ids| ids.iter().position(|id| *id == end).unwrap()).collect();
    let texts = network.embed_ids_to(&ids, &ends).unwrap();
    within(name, "texts", &normalised(&texts), &numbers(&folder, "texts"));
}

fn normalised(x: &Tensor) -> Vec<f64> {
    let rows = x.to_vec2::<f32>().unwrap().into_iter().map(|row| Embedding::new(row, "test").unwrap());
    rows.flat_map(|row| row.values().to_vec()).map(f64::from).collect()
}

#[test]
#[ignore = "needs MEMSCOPE_JUDGES_FULL_SIZE"]
fn clip_vit_l_14() {
    clip("clip-vit-l-14", &ClipConfig::vit_l_14());
}

#[test]
#[ignore = "needs MEMSCOPE_JUDGES_FULL_SIZE"]
fn clip_vit_h_14() {
    clip("clip-vit-h-14", &ClipConfig::vit_h_14());
}

#[test]
#[ignore = "needs MEMSCOPE_JUDGES_FULL_SIZE"]
fn clip_vit_g_14() {
    clip("clip-vit-g-14", &ClipConfig::vit_g_14());
}
