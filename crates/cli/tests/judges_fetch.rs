//! Published judges: downloaded, resumed, held to their hashes, and gathered in a folder.

mod common;

use std::{fs, path::PathBuf};

use assert_cmd::Command;
use common::{
    fake_hub::{COMMIT, Fault, FaultKind},
    hub_world::{World, fails, succeeds},
    stderr,
};

const MIXUP: &str = "sscd-copy-detection/sscd_disc_mixup.torchscript.pt";
const LARGE: &str = "sscd-copy-detection/sscd_disc_large.torchscript.pt";
const L14: &str = "openai/clip-vit-large-patch14";
const G14: &str = "laion/CLIP-ViT-g-14-laion2B-s12B-b42K";

/// A server with something in place of each judge.
fn world() -> World {
    let world = World::new();
    let (folder, file) = LARGE.split_once('/').unwrap();
    world.hub.publish(folder, file, vec![5; 300_000]);
    for name in
        ["config.json", "model.safetensors", "vocab.json", "merges.txt", "pytorch_model.bin", "flax_model.msgpack"]
    {
        world.hub.publish(L14, name, format!("{L14} {name}").into_bytes());
    }
    for name in ["open_clip_config.json", "open_clip_pytorch_model.bin", "vocab.json", "merges.txt"] {
        world.hub.publish(G14, name, format!("{G14} {name}").into_bytes());
    }
    world
}

fn fetch(world: &World, judges: &[&str]) -> Command {
    let mut command = world.command();
    command.env("MEMSCOPE_JUDGES_URL", world.hub.url()).args(["models", "fetch", "judges"]);
    judges.iter().for_each(|judge| {
        command.args(["--judge", judge]);
    });
    command
}

fn folder(output: &std::process::Output) -> PathBuf {
    PathBuf::from(String::from_utf8(output.stdout.clone()).unwrap().trim())
}

#[test]
fn a_set_is_downloaded_once_gathered_and_then_used_offline() {
    let world = world();
    let first = succeeds(&mut fetch(&world, &["sscd-disc-large", "clip-vit-l-14"]));
    let folder = folder(&first);
    assert_eq!(folder, world.home.path().join("memscope/judges/sscd-disc-large+clip-vit-l-14"));
    assert_eq!(fs::read(folder.join("sscd/sscd_disc_large.torchscript.pt")).unwrap(), vec![5; 300_000]);
    assert_eq!(fs::read_to_string(folder.join("clip/vocab.json")).unwrap(), format!("{L14} vocab.json"));
    // The Hub's files lie where other programs find them.
    let snapshot = world.home.path().join("hub/models--openai--clip-vit-large-patch14/snapshots").join(COMMIT);
    let (there, linked) = (snapshot.join("model.safetensors"), folder.join("clip/model.safetensors"));
    assert_eq!(fs::canonicalize(there).unwrap(), fs::canonicalize(linked).unwrap());
    // A hash that nobody published is said, not invented.
    let message = stderr(&first);
    let hash = "sscd_disc_large.torchscript.pt: SHA-256 ";
    assert!(message.contains(hash) && message.contains("no hash is published"), "{message}");
    assert!(message.contains(COMMIT) && message.contains("downloading 300"), "{message}");
    let asked = world.hub.take_requests();
    assert!(!asked.iter().any(|request| request.path.contains("flax") || request.path.contains("pytorch_model")));

    let second = succeeds(&mut fetch(&world, &["clip-vit-l-14", "sscd-disc-large"]));
    assert_eq!(second.stdout, first.stdout);
    let asked = world.hub.take_requests();
    let large =
        |request: &common::fake_hub::Request| request.path.contains("sscd") || request.path.starts_with("/storage");
    assert!(!asked.iter().any(large), "what is there is not asked for");
    let offline = succeeds(fetch(&world, &["clip-vit-l-14", "sscd-disc-large"]).env("HF_HUB_OFFLINE", "1"));
    assert_eq!(offline.stdout, first.stdout);
    assert!(world.hub.take_requests().is_empty());
    // A damaged file is noticed and brought again.
    fs::write(world.home.path().join("memscope/judges/files/sscd_disc_large.torchscript.pt"), vec![6; 300_000])
        .unwrap();
    succeeds(&mut fetch(&world, &["sscd-disc-large"]));
    assert_eq!(fs::read(folder.join("sscd/sscd_disc_large.torchscript.pt")).unwrap(), vec![5; 300_000]);
}

#[test]
fn the_quality_head_brings_its_clip_beside_another() {
    let world = world();
    // The head's own file is not the published one here: everything before it comes.
    let (owner, rest) = (
        "chunsanHong/MemBench_code",
        "f22a0fdcd24fa0f4a43bf7b9a8e42c8c78af302f/aesthetic/sac%2Blogos%2Bava1-l14-linearMSE.pth",
    );
    world.hub.publish(owner, rest, vec![1; 1000]);
    let words = ["SHA-256", "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0"];
    fails(&mut fetch(&world, &["clip-vit-g-14", "aesthetic"]), 4, &words);
    let kept = world.home.path().join("memscope/judges/files");
    assert_eq!(fs::read_dir(kept).unwrap().count(), 0, "nothing of it is kept");
    let asked = world.hub.take_requests();
    for listing in [L14, G14] {
        assert!(asked.iter().any(|request| request.path.contains(&format!("/api/models/{listing}/"))), "{listing}");
    }
}

#[test]
fn safetensors_come_first_and_missing_files_are_named() {
    let world = world();
    let plain = folder(&succeeds(&mut fetch(&world, &["clip-vit-g-14"])));
    assert!(plain.join("clip/open_clip_pytorch_model.bin").is_file());
    world.hub.publish(G14, "open_clip_model.safetensors", b"better".to_vec());
    succeeds(&mut fetch(&world, &["clip-vit-g-14"]));
    assert_eq!(fs::read(plain.join("clip/open_clip_model.safetensors")).unwrap(), b"better");
    world.hub.publish("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "README.md", vec![]);
    let words = ["clip-vit-h-14", "laion/CLIP-ViT-H-14", "clip/open_clip_config.json"];
    fails(&mut fetch(&world, &["clip-vit-h-14"]), 4, &words);
}

#[test]
fn a_pinned_file_must_be_the_published_one() {
    let world = world();
    let (owner, file) = MIXUP.split_once('/').unwrap();
    world.hub.publish(owner, file, vec![9; 1000]);
    let words = ["sscd_disc_mixup", "SHA-256", "9f26bd4c848cc19b"];
    fails(&mut fetch(&world, &["sscd-disc-mixup"]), 4, &words);
}

#[test]
fn a_broken_connection_is_taken_up_where_it_ended() {
    let world = world();
    world.hub.state().cut = Some((100_000, 2));
    succeeds(&mut fetch(&world, &["sscd-disc-large"]));
    let asked = world.hub.take_requests();
    let ranges: Vec<usize> = asked.iter().filter(|request| request.method == "GET").filter_map(|r| r.range).collect();
    assert_eq!(ranges, [100_000, 200_000]);
}

#[test]
fn what_cannot_be_had_is_one_message() {
    let world = world();
    let offline = ["sscd-disc-large+clip-vit-l-14+aesthetic", "HF_HUB_OFFLINE", "memscope models fetch judges"];
    fails(fetch(&world, &[]).env("HF_HUB_OFFLINE", "1"), 4, &offline);
    fails(fetch(&world, &["sscd-disc-large"]).env("MEMSCOPE_JUDGES_URL", "http://127.0.0.1:9"), 4, &["cannot reach"]);
    fails(&mut fetch(&world, &["sscd-disc-mixup"]), 4, &["sscd_disc_mixup", "404"]);
    fails(&mut fetch(&world, &["sscd-disc-mixup", "sscd-disc-large"]), 3, &["copy similarity", "give one of them"]);
    fails(world.command().args(["models", "fetch", "org/tiny", "--judge", "aesthetic"]), 3, &["models fetch judges"]);
    let fault = Fault { path: "sscd", times: 9, kind: FaultKind::Answer("503 Busy", vec![], vec![]) };
    world.hub.state().faults.push(fault);
    let unknown = world.command().args(["models", "fetch", "judges", "--judge", "clip"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("clip-vit-h-14"), "{}", stderr(&unknown));
}

#[test]
fn a_file_in_the_way_is_not_replaced() {
    let world = world();
    let mine = world.home.path().join("memscope/judges/clip-vit-l-14/clip");
    fs::create_dir_all(&mine).unwrap();
    fs::write(mine.join("config.json"), "mine").unwrap();
    let output = fetch(&world, &["clip-vit-l-14"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("another file is there"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(mine.join("config.json")).unwrap(), "mine");
}
