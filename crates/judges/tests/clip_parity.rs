//! CLIP against transformers and open_clip.

mod common;

use candle_core::{Device, Tensor};
use common::{distance, expected, fixture, numbers};
use memscope_judges::{Activation, Alignment, Clip, ClipConfig, Embedding, Error, Files, Judge, Picture};

/// Puts a fixture where [`Clip::open`] looks for it.
fn open(name: &str) -> (Clip, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("clip")).unwrap();
    for file in std::fs::read_dir(fixture(name)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join("clip").join(file.file_name())).unwrap();
    }
    let clip = Clip::open(&Files::from(folder.path()), &Device::Cpu).unwrap().unwrap();
    (clip, folder)
}

fn normalised(x: &Tensor) -> Vec<f64> {
    let rows = x.to_vec2::<f32>().unwrap().into_iter().map(|row| Embedding::new(row, "test").unwrap());
    rows.flat_map(|row| row.values().to_vec()).map(f64::from).collect()
}

fn check(name: &str) {
    let (clip, _folder) = open(name);
    let folder = fixture(name);
    let pictures = normalised(&clip.embed_inputs(&expected(&folder, "inputs")).unwrap());
    let error = distance(&pictures, &numbers(&folder, "pictures"));
    assert!(error <= 1e-5, "{name}: pictures differ by {error:e}");
    let ids: Vec<Vec<u32>> = expected(&folder, "ids")
        .to_vec2::<i64>()
        .unwrap()
        .iter()
        .map(|row| row.iter().map(|id| u32::try_from(*id).unwrap()).collect())
        .collect();
    let texts = normalised(&clip.embed_ids(&ids).unwrap());
    let error = distance(&texts, &numbers(&folder, "texts"));
    assert!(error <= 1e-5, "{name}: texts differ by {error:e}");
}

#[test]
fn transformers_layout_with_quick_gelu() {
    check("clip-transformers");
}

#[test]
fn open_clips_layout_with_gelu() {
    check("clip-open-clip");
}

#[test]
fn texts_of_other_lengths_do_not_change_an_embedding() {
    let (clip, _folder) = open("clip-open-clip");
    assert_eq!(clip.name(), "clip-vit-2x24-8");
    let alone = clip.embed_texts(&["a fox"]).unwrap();
    let together = clip.embed_texts(&["a fox", "a much longer text about a fox and a bird in the snow", ""]).unwrap();
    assert!((alone[0].cosine(&together[0]).unwrap() - 1.0).abs() < 1e-6);
    assert!(alone[0].cosine(&together[1]).unwrap() < 0.999);
    let picture = Picture::from_rgb(40, 32, (0..40 * 32 * 3).map(|i| (i * 7 % 256) as u8).collect()).unwrap();
    let alignment = clip.alignment(std::slice::from_ref(&picture), "a fox").unwrap();
    let embedding = clip.embed_pictures(&[picture]).unwrap();
    assert_eq!(alignment, [embedding[0].cosine(&alone[0]).unwrap()]);
}

#[test]
fn the_published_architectures() {
    let (l, h, g) = (ClipConfig::vit_l_14(), ClipConfig::vit_h_14(), ClipConfig::vit_g_14());
    let vision = |c: &ClipConfig| (c.vision.width, c.vision.mlp, c.vision.layers, c.vision.width / c.vision.heads);
    assert_eq!(vision(&l), (1024, 4096, 24, 64));
    assert_eq!(vision(&h), (1280, 5120, 32, 80));
    assert_eq!(vision(&g), (1408, 6144, 40, 88));
    assert_eq!((l.dims, h.dims, g.dims), (768, 1024, 1024));
    assert_eq!((l.vision.activation, h.vision.activation), (Activation::QuickGelu, Activation::Gelu));
    assert_eq!((l.text.width, l.text.layers, g.text.width, g.text.layers), (768, 12, 1024, 24));
}

/// A folder with only a configuration.
fn refused(file: &str, json: &str) -> Error {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("clip")).unwrap();
    std::fs::write(folder.path().join("clip").join(file), json).unwrap();
    Clip::open(&Files::from(folder.path()), &Device::Cpu).err().unwrap()
}

#[test]
fn configurations_that_are_not_understood_are_refused() {
    for json in [
        "{}",
        "[]",
        "nonsense",
        r#"{"vision_config": {"hidden_act": "relu"}}"#,
        r#"{"vision_config": {"patch_size": 0}}"#,
        r#"{"vision_config": {"num_attention_heads": 7}}"#,
        r#"{"vision_config": {"num_hidden_layers": 1000000}}"#,
        r#"{"text_config": {"vocab_size": -1}}"#,
        r#"{"text_config": {"max_position_embeddings": 100000000}}"#,
        r#"{"vision_config": {}, "projection_dim": "many"}"#,
    ] {
        let error = refused("config.json", json);
        assert!(matches!(error, Error::Config { .. }), "{json}: {error}");
    }
    let open_clip = r#"{"model_cfg": {"embed_dim": 8, "vision_cfg": {"image_size": 32, "layers": 2, "width": 24,
        "head_width": 0, "patch_size": 8}, "text_cfg": {"context_length": 16, "vocab_size": 9, "width": 8, "heads": 2,
        "layers": 1}}}"#;
    assert!(matches!(refused("open_clip_config.json", open_clip), Error::Config { .. }));
    let without_weights = refused("config.json", r#"{"vision_config": {}}"#);
    assert!(matches!(without_weights, Error::MissingFile { .. }), "{without_weights}");
}
