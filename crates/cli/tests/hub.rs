//! Models of the Hub: downloaded, resumed, checked, and used without a network.

mod common;

use std::{fs, path::PathBuf, process::Output};

use assert_cmd::Command;
use common::{
    fake_hub::{COMMIT, TOKEN},
    hub_world::{ID, UNET, World, fails, fixture, succeeds},
    stderr,
};

#[test]
fn a_model_is_downloaded_once_and_then_used_offline() {
    let world = World::new();
    let first = succeeds(world.detect().env("HF_TOKEN", TOKEN));
    let message = stderr(&first);
    let snapshot = world.snapshot();
    assert!(message.contains("downloading 6") && message.contains(&snapshot.display().to_string()), "{message}");
    assert_eq!(message.lines().count(), 1, "no bar where standard error is no terminal: {message}");
    assert_eq!(fs::read_to_string(world.repository().join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read(snapshot.join(UNET)).unwrap(), fs::read(fixture("tiny-sd2").join(UNET)).unwrap());
    assert_eq!(world.blobs(true), 0);

    let requests = world.hub.take_requests();
    for unwanted in ["safety_checker", ".bin", ".ckpt", "README"] {
        assert!(!requests.iter().any(|request| request.path.contains(unwanted)), "{unwanted}");
    }
    let token = Some(format!("Bearer {TOKEN}"));
    for request in &requests {
        let expected = if request.path.starts_with("/storage/") { &None } else { &token };
        assert_eq!(&request.authorization, expected, "{} {}", request.method, request.path);
    }

    let second = succeeds(&mut world.detect());
    assert!(world.hub.take_requests().is_empty(), "a cached model needs no network");
    let offline = succeeds(world.detect().env("HF_HUB_OFFLINE", "1").env("HF_ENDPOINT", "http://127.0.0.1:9"));
    let mut local = world.command();
    local.args(["detect", "--prompts", "-", "--json", "--model"]).arg(fixture("tiny-sd2"));
    let local = succeeds(local.write_stdin("a red hat\nonion\n"));
    let report = |output: &Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    assert_eq!(report(&first)["model"], ID);
    assert_eq!(report(&second), report(&first));
    assert_eq!(report(&offline), report(&first));
    assert_eq!(report(&local)["results"], report(&first)["results"]);
    assert_eq!(report(&local)["fingerprint"], report(&first)["fingerprint"]);
}

#[test]
fn fetch_prints_the_folder_and_has_nothing_to_do_the_second_time() {
    let world = World::new();
    let output = succeeds(&mut world.fetch());
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), world.snapshot().display().to_string());
    world.hub.take_requests();
    let again = succeeds(&mut world.fetch());
    assert!(!stderr(&again).contains("downloading"), "{}", stderr(&again));
    assert!(!world.hub.take_requests().iter().any(|request| request.path.starts_with("/storage/")));
}

#[test]
fn revisions_are_kept_apart() {
    let world = World::new();
    let pinned = format!("{ID}@{COMMIT}");
    succeeds(world.command().args(["models", "fetch", &pinned]));
    assert!(!world.repository().join("refs/main").exists());
    succeeds(world.command().args(["models", "fetch", "org/tiny@refs/pr/1"]));
    assert_eq!(fs::read_to_string(world.repository().join("refs/refs/pr/1")).unwrap(), COMMIT);
}

#[test]
fn without_network_and_cache_one_message_says_what_to_do() {
    let world = World::new();
    let remedies = ["memscope models fetch org/tiny", "HF_TOKEN", "local folder", "org/tiny is not in the Hub cache"];
    let offline = [&remedies[..], &["HF_HUB_OFFLINE"]].concat();
    fails(world.detect().env("HF_HUB_OFFLINE", "1"), 4, &offline);
    fails(world.fetch().env("HF_HUB_OFFLINE", "1"), 4, &offline);
    assert!(world.hub.take_requests().is_empty());
    let closed = [&remedies[..], &["http://127.0.0.1:9", "cannot be reached"]].concat();
    fails(world.detect().env("HF_ENDPOINT", "http://127.0.0.1:9"), 4, &closed);
}

#[test]
fn a_gated_model_asks_for_the_licence_and_a_token() {
    let world = World::new();
    world.hub.state().gated = true;
    let words = ["gated", "licence", "HF_TOKEN", "/org/tiny", "no token is set"];
    fails(&mut world.detect(), 4, &words);
    fails(world.fetch().env("HF_TOKEN", "hf_bad"), 4, &["the token in use may not read it"]);
    // As `hf auth login` leaves it.
    fs::write(world.home.path().join("token"), format!("{TOKEN}\n")).unwrap();
    succeeds(&mut world.detect());
}

#[test]
fn unknown_models_and_revisions_are_named() {
    let world = World::new();
    fails(world.command().args(["models", "fetch", "org/nothing"]), 4, &["has no model org/nothing"]);
    fails(world.command().args(["models", "fetch", "org/tiny@v9"]), 4, &["org/tiny has no revision 'v9'"]);
    fails(world.command().args(["models", "fetch", "embedded:emoji-eps"]), 3, &["emoji-eps", "there already"]);
    assert!(!world.repository().exists());
}

#[test]
fn a_broken_connection_is_taken_up_where_it_ended() {
    let world = World::new();
    world.hub.state().cut = Some((100_000, 3));
    succeeds(&mut world.fetch());
    let requests = world.hub.take_requests();
    let stored = requests.iter().filter(|request| request.path.starts_with("/storage/"));
    let ranges: Vec<usize> = stored.filter_map(|request| request.range).collect();
    // The text encoder's, whose rest is short enough to come whole, and the UNet's.
    assert_eq!(ranges, [100_000, 100_000]);
    succeeds(world.detect().env("HF_HUB_OFFLINE", "1"));
}

#[test]
fn what_an_interrupted_download_left_is_kept_and_completed() {
    let world = World::new();
    // The text encoder's first part comes, then nothing any more.
    world.hub.state().cut = Some((100_000, 1));
    succeeds(&mut world.fetch());
    let blobs: Vec<PathBuf> =
        fs::read_dir(world.repository().join("blobs")).unwrap().map(|e| e.unwrap().path()).collect();
    let unet = fs::canonicalize(world.snapshot().join(UNET)).unwrap();
    let bytes = fs::read(&unet).unwrap();
    fs::remove_file(&unet).unwrap();
    let partial = PathBuf::from(format!("{}.incomplete", unet.display()));
    fs::write(&partial, &bytes[..200_000]).unwrap();
    fails(world.detect().env("HF_HUB_OFFLINE", "1"), 4, &["memscope models fetch org/tiny"]);
    world.hub.state().cut = Some((0, usize::MAX));
    world.hub.take_requests();
    fails(&mut world.detect(), 4, &["ended after 200000 of 436528 bytes", "run the command again"]);
    assert_eq!(fs::metadata(&partial).unwrap().len(), 200_000);
    assert!(!unet.exists());
    world.hub.state().cut = None;
    world.hub.take_requests();
    let output = succeeds(&mut world.detect());
    assert!(stderr(&output).contains("downloading 236.5 kB of org/tiny"), "{}", stderr(&output));
    assert!(world.hub.take_requests().iter().any(|request| request.range == Some(200_000)));
    assert_eq!(fs::read(&unet).unwrap(), bytes);
    assert_eq!(fs::read_dir(world.repository().join("blobs")).unwrap().count(), blobs.len());
}

#[test]
fn a_partial_file_of_another_version_is_started_again() {
    let world = World::new();
    succeeds(&mut world.fetch());
    let unet = fs::canonicalize(world.snapshot().join(UNET)).unwrap();
    let bytes = fs::read(&unet).unwrap();
    fs::remove_file(&unet).unwrap();
    for stale in [vec![1; 50_000], vec![1; bytes.len()], vec![1; bytes.len() + 1]] {
        fs::write(format!("{}.incomplete", unet.display()), stale).unwrap();
        succeeds(&mut world.fetch());
        assert_eq!(fs::read(&unet).unwrap(), bytes);
        fs::remove_file(&unet).unwrap();
    }
}

#[test]
fn a_file_with_the_wrong_hash_is_not_kept() {
    let world = World::new();
    world.hub.state().corrupt = true;
    fails(&mut world.detect(), 4, &["SHA-256", "expected", "nothing of it was kept", "Run the command again"]);
    assert_eq!(world.blobs(true), 0);
    assert!(!world.snapshot().join("text_encoder/model.safetensors").exists());
    assert!(!world.repository().join("refs/main").exists());
    world.hub.state().corrupt = false;
    succeeds(&mut world.detect());
}

#[test]
fn variants_are_downloaded_and_loaded_by_name() {
    let world = World::new();
    for file in ["text_encoder/model", "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"] {
        let bytes = fs::read(fixture("tiny-sd2").join(format!("{file}.safetensors"))).unwrap();
        world.hub.publish(ID, &format!("{file}.fp16.safetensors"), bytes);
    }
    succeeds(world.fetch().args(["--variant", "fp16"]));
    assert!(world.snapshot().join("unet/diffusion_pytorch_model.fp16.safetensors").is_file());
    assert!(!world.snapshot().join(UNET).exists());
    let output = succeeds(world.detect().args(["--variant", "fp16"]).env("HF_HUB_OFFLINE", "1"));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["model"], "org/tiny (fp16)");
    // The weights without variant are other files: nothing stands in for them.
    fails(world.detect().env("HF_HUB_OFFLINE", "1"), 4, &["memscope models fetch org/tiny"]);
    fails(world.fetch().args(["--variant", "bf16"]), 4, &["bf16.safetensors is missing", "variant fp16"]);
    let mut folder = world.command();
    folder.args(["detect", "--prompts", "-", "--model"]).arg(world.snapshot()).write_stdin("onion\n");
    // The text encoder is loaded first.
    fails(&mut folder, 4, &["text_encoder/model.safetensors is missing", "variant fp16", "--variant"]);
}

#[test]
fn sharded_weights_come_with_their_index() {
    let world = World::with("tiny-sd1");
    succeeds(&mut world.detect());
    assert!(world.snapshot().join("unet/diffusion_pytorch_model-00002-of-00002.safetensors").is_file());
}

#[test]
fn a_schedule_that_is_not_the_protocols_needs_a_word() {
    let world = World::new();
    let config = fs::read_to_string(fixture("tiny-sd2").join("scheduler/scheduler_config.json")).unwrap();
    let changed = config.replace("\"steps_offset\": 1", "\"steps_offset\": 1, \"timestep_spacing\": \"trailing\"");
    assert_ne!(changed, config);
    world.hub.publish(ID, "scheduler/scheduler_config.json", changed.into_bytes());
    succeeds(&mut world.fetch());
    let words = [
        "scheduler_config.json",
        "999, 979, ..., 19",
        "981, 961, ..., 1",
        "timestep_spacing trailing",
        "--accept-schedule",
    ];
    fails(&mut world.detect(), 4, &words);
    succeeds(world.detect().arg("--accept-schedule"));
    let log = succeeds(world.detect().args(["--accept-schedule", "-v"]));
    assert!(stderr(&log).contains("run as DDIM, 50 steps visit 999, 979, ..., 19"), "{}", stderr(&log));
}

/// `reproduce table1 --model sd14`, the short name standing for the tiny model, on few prompts and one seed.
fn reproduce(world: &World) -> Command {
    let mut command = world.command();
    command.env("MEMSCOPE_SD14", ID).current_dir(world.home.path());
    command.args(["reproduce", "table1", "--model", "sd14"]);
    for set in [
        "noise.seeds=[42]",
        "noise.generations=1",
        "report.generations=[1]",
        "report.resamples=50",
        "report.timing=false",
        "detectors=[{name: wen}, {name: anisotropy}]",
    ] {
        command.args(["--set", set]);
    }
    command
}

#[test]
fn reproduce_with_a_real_model_wants_the_papers_prompts_first() {
    let world = World::new();
    fails(&mut reproduce(&world), 3, &["paper:sd1_mem", "memscope data fetch paper"]);
    assert!(world.hub.take_requests().is_empty(), "nothing large is downloaded for a run that cannot start");
}

#[test]
fn reproduce_with_a_real_model_downloads_it_and_keeps_its_results_apart() {
    let world = World::new();
    let list = |name: &str, text: &str| {
        let path = world.home.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (memorized, others) = (list("m.txt", "watch\nonion"), list("o.txt", "grapes\nkoala\nladder"));
    let mut command = reproduce(&world);
    command.args(["--set", &format!("prompts.memorized={{file: '{}'}}", memorized.display())]);
    command.args(["--set", &format!("prompts.non_memorized={{file: '{}'}}", others.display())]);
    let output = succeeds(&mut command);
    assert!(stderr(&output).contains("downloading"), "{}", stderr(&output));
    let manifest = fs::read_to_string(world.home.path().join("results/table1-sd14/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["models"][0]["source"], ID);
    assert!(String::from_utf8_lossy(&output.stdout).contains("Stable Diffusion 1.4"));
    // Offline, the same command answers from the store.
    let again = succeeds(command.env("HF_HUB_OFFLINE", "1"));
    assert!(stderr(&again).contains("0 network calls"), "{}", stderr(&again));
}

#[test]
fn a_dry_run_downloads_nothing() {
    let world = World::new();
    let yaml = "name: small\ntitle: Small\ntables: [detection]\nmodels: [{source: org/tiny}]\n\
                prompts: {memorized: embedded:verbatim, non_memorized: embedded:general}\ndetectors: [{name: wen}]\n";
    let path = world.home.path().join("small.yaml");
    fs::write(&path, yaml).unwrap();
    let mut command = world.command();
    command.current_dir(world.home.path()).arg("run").arg(&path).arg("--dry-run");
    let output = succeeds(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("org/tiny is not in the cache") && said.contains("would be downloaded"), "{said}");
    // Names and sizes are asked for, no file is.
    let requests = world.hub.take_requests();
    assert!(requests.iter().all(|request| request.method == "HEAD" || request.path.contains("/api/models/")));
    fails(command.env("HF_HUB_OFFLINE", "1"), 4, &["memscope models fetch org/tiny"]);
    assert!(world.hub.take_requests().is_empty());
}
