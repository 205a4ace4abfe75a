//! The published prompt lists: downloaded at pinned commits, checked, never taken on trust.

mod common;

use std::fs;

use assert_cmd::Command;
use common::{fake_hub::FakeHub, memscope, stderr};

const COMMIT: &str = "97e991bac4171ad0547c5779c31180ea8e9f672e";
const PATH: &str = "prompts/sd1_mem.txt";

fn command(server: &FakeHub, cache: &std::path::Path) -> Command {
    let mut command = memscope();
    command.env("MEMSCOPE_LISTS_URL", server.url()).env("MEMSCOPE_CACHE", cache);
    for name in ["HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    command
}

#[track_caller]
fn fails(command: &mut Command, words: &[&str]) {
    let output = command.output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert_eq!(message.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{message}");
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

#[test]
fn lists_are_asked_for_at_their_commits() {
    let (server, cache) = (FakeHub::start(), tempfile::tempdir().unwrap());
    let address = format!("/rohanasthana/memorization-anisotropy/{COMMIT}/{PATH}");
    fails(command(&server, cache.path()).args(["data", "fetch", "paper"]), &[&address, "404", "downloading 1.6 MB"]);
    assert_eq!(server.take_requests()[0].path, address);
}

#[test]
fn a_file_that_is_not_the_published_one_is_not_kept() {
    let (server, cache) = (FakeHub::start(), tempfile::tempdir().unwrap());
    let mut text = vec![b'x'; 29175];
    text[100] = b'\n';
    server.publish("rohanasthana/memorization-anisotropy", &format!("{COMMIT}/{PATH}"), text.clone());
    fails(command(&server, cache.path()).args(["data", "fetch", "paper"]), &["SHA-256", "6f11239c621a7846"]);
    let folder = cache.path().join("prompts/rohanasthana/memorization-anisotropy").join(COMMIT).join("prompts");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // Nor is one that somebody put there.
    fs::write(folder.join("sd1_mem.txt"), text).unwrap();
    let mut detect = command(&server, cache.path());
    detect.args(["detect", "--model", "embedded:emoji-eps", "--prompts", "paper:sd1_mem"]);
    fails(&mut detect, &["paper:sd1_mem", "is not the published file", "memscope data fetch paper"]);
}

#[test]
fn a_missing_list_says_how_to_get_it() {
    let (server, cache) = (FakeHub::start(), tempfile::tempdir().unwrap());
    let mut detect = command(&server, cache.path());
    detect.args(["detect", "--model", "embedded:emoji-eps", "--prompts", "paper:rv_mem"]);
    fails(&mut detect, &["paper:rv_mem", "is not in", "memscope data fetch paper"]);
    let mut unknown = command(&server, cache.path());
    unknown.args(["detect", "--model", "embedded:emoji-eps", "--prompts", "paper:sd3"]);
    fails(&mut unknown, &["paper:sd3", "sd1_mem, sd1_nmem"]);
    let listed = command(&server, cache.path()).args(["data", "list", "--json"]).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(listed.as_array().unwrap().iter().all(|entry| entry["there"] == false));
    assert!(server.take_requests().is_empty(), "only fetch asks the network");
}

#[test]
fn an_unreachable_server_is_named() {
    let (server, cache) = (FakeHub::start(), tempfile::tempdir().unwrap());
    let mut fetch = command(&server, cache.path());
    fails(fetch.args(["data", "fetch", "paper"]).env("MEMSCOPE_LISTS_URL", "http://127.0.0.1:9"), &["cannot reach"]);
}

#[test]
fn own_copies_are_given_by_path_in_three_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    // No final newline, markup kept.
    let lists = [
        path("p.txt", "onion\n<i>watch</i>, 15\u{2032}"),
        path("p.csv", ",prompt,urls\n0,onion,\"['x', 'y']\"\n1,\"<i>watch</i>, 15\u{2032}\",['z']\n"),
        path("p.jsonl", "{\"caption\":\"onion\",\"url\":\"x\"}\n{\"caption\":\"<i>watch</i>, 15\u{2032}\"}"),
    ];
    let outputs = lists.map(|list| {
        let mut detect = memscope();
        detect.args(["detect", "--model", "embedded:emoji-eps", "--json", "--prompts"]).arg(list);
        let output = detect.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output.stdout
    });
    assert!(outputs[0] == outputs[1] && outputs[1] == outputs[2]);
    assert!(String::from_utf8_lossy(&outputs[0]).contains("<i>watch</i>"));
}
