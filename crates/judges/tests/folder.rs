//! A folder of judges: what is found, and what is said when something is missing.

mod common;

use std::{fs, path::Path};

use common::fixture;
use memscope_judges::{
    Alignment, Error, Files, Judge, Judges, NamedPreprocessing, Origin, PUBLISHED_JUDGES, Picture, Quality, Similarity,
    Sscd,
};

fn copy(from: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(fixture(from)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn picture(seed: usize) -> Picture {
    let value = |i: usize| ((i / 3 % 30) * seed * 5 + (i / 90) * (7 - seed) + i % 3 * 40) as u8;
    Picture::from_rgb(30, 20, (0..30 * 20 * 3).map(value).collect()).unwrap()
}

#[test]
fn all_three_are_found_and_agree_with_themselves() {
    let folder = tempfile::tempdir().unwrap();
    copy("sscd-basic", &folder.path().join("sscd"));
    copy("clip-transformers", &folder.path().join("clip"));
    fs::copy(fixture("aesthetic/quality.pth"), folder.path().join("quality.pth")).unwrap();
    let judges = Judges::open(folder.path()).unwrap();
    let (sscd, clip, quality) = (judges.similarity.unwrap(), judges.alignment.unwrap(), judges.quality.unwrap());
    let pictures: Vec<Picture> = (1..6).map(picture).collect();

    assert!((sscd.similarity(&pictures[0], &pictures[0]).unwrap() - 1.0).abs() < 1e-6);
    let together = sscd.describe(&pictures).unwrap();
    for (i, picture) in pictures.iter().enumerate() {
        let alone = sscd.describe(std::slice::from_ref(picture)).unwrap();
        assert!((alone[0].cosine(&together[i]).unwrap() - 1.0).abs() < 1e-6);
    }
    let map = sscd.locate(&pictures[0], &pictures[1]).unwrap();
    assert!((map.cosine - together[0].cosine(&together[1]).unwrap()).abs() < 1e-6);
    assert!(map.shares.iter().any(|share| *share != map.shares[0]));

    let ratings = quality.quality(&pictures).unwrap();
    let embeddings = clip.embed_pictures(&pictures).unwrap();
    assert_eq!(ratings.len(), pictures.len());
    assert_eq!(ratings[3], quality.rate(&embeddings[3]).unwrap());
    assert!(quality.name().contains(clip.name()));

    let other = sscd.with_preprocessing(NamedPreprocessing::Wen224.preprocessing());
    assert!(together[0].cosine(&other.describe(&pictures).unwrap()[0]).unwrap() < 1.0 - 1e-6);
}

#[test]
fn the_threshold_of_copies_belongs_to_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::from(folder.path());
    assert_eq!(Sscd::threshold_of(&files).unwrap(), None);
    copy("sscd-basic", &folder.path().join("sscd"));
    assert_eq!(Sscd::threshold_of(&files).unwrap(), Some(0.5));
    let config = folder.path().join("sscd/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen('{', "{\"copy_threshold\": 0.7,", 1)).unwrap();
    assert_eq!(Sscd::threshold_of(&files).unwrap(), Some(0.7));
    assert_eq!(Judges::open(folder.path()).unwrap().similarity.unwrap().copy_threshold(), 0.7);
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Judges::open(folder.path()), Err(Error::NoJudge { .. })));
    fs::copy(fixture("aesthetic/quality.pth"), folder.path().join("quality.pth")).unwrap();
    assert!(matches!(Judges::open(folder.path()), Err(Error::QualityWithoutClip { .. })));
    copy("clip-open-clip", &folder.path().join("clip"));
    Judges::open(folder.path()).unwrap();
    fs::remove_file(folder.path().join("clip/merges.txt")).unwrap();
    let error = Judges::open(folder.path()).err().unwrap();
    assert!(matches!(&error, Error::MissingFile { file, .. } if file == "clip/merges.txt"), "{error}");
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sscd = folder.path().join("sscd");
    copy("sscd-basic", &sscd);
    let weights = sscd.join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    for length in [0, 7, 8, 100, whole.len() - 1] {
        fs::write(&weights, &whole[..length]).unwrap();
        let error = Judges::open(folder.path()).err().unwrap();
        assert!(matches!(error, Error::Safetensors { .. }), "{length}: {error}");
    }
    let mut endless = whole.clone();
    endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&weights, &endless).unwrap();
    assert!(matches!(Judges::open(folder.path()), Err(Error::Safetensors { .. })));
    let mut not_finite = whole;
    let end = not_finite.len();
    not_finite[end - 2..].copy_from_slice(&[0x00, 0x7c]);
    fs::write(&weights, &not_finite).unwrap();
    assert!(matches!(Judges::open(folder.path()), Err(Error::NonFinite { .. })));
    let config = fs::read_to_string(sscd.join("config.json")).unwrap();
    for (from, to) in [("basic", "wide"), ("\"dims\"", "\"size\""), ("\"exact\"", "\"stretch\""), ("bilinear", "sinc")]
    {
        fs::write(sscd.join("config.json"), config.replace(from, to)).unwrap();
        let error = Judges::open(folder.path()).err().unwrap();
        assert!(matches!(error, Error::Config { .. }), "{to}: {error}");
    }
    fs::write(
        sscd.join("config.json"),
        config.replacen("\"preprocessing\": {", "\"preprocessing\": \"wen\", \"x\": {", 1),
    )
    .unwrap();
    assert!(matches!(Judges::open(folder.path()), Err(Error::Config { .. })));
}

#[test]
fn published_files_have_one_place_each() {
    for judge in &PUBLISHED_JUDGES {
        assert!(!judge.files.is_empty(), "{}", judge.name);
        for file in judge.files.iter().copied().flatten() {
            assert!(!file.path.starts_with('/') && !file.path.contains(".."), "{}", file.path);
            if let Some(hash) = file.sha256 {
                assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
            }
            match file.origin {
                Origin::Url(url) => assert!(url.starts_with("https://"), "{url}"),
                Origin::Hub { repository, .. } => assert_eq!(repository.split('/').count(), 2),
            }
        }
    }
}
