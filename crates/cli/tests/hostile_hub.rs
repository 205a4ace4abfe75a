//! A Hub that lies, stalls, cuts and redirects: nothing wrong is taken, nothing leaves the cache, everything ends.

mod common;

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{
    fake_hub::{COMMIT, FakeHub, Fault, FaultKind, TOKEN, git_hash},
    hub_world::{ID, UNET, World, fails, fixture, succeeds},
    stderr,
};

const CONFIG: &str = "unet/config.json";
/// Where the fake Hub sends its small files from.
const CONFIG_URL: &str = "resolve-cache/org/tiny/unet/config.json";

fn with_fault(path: &'static str, times: usize, kind: FaultKind) -> World {
    let world = World::new();
    world.hub.state().faults.push(Fault { path, times, kind });
    world
}

fn redirect(to: String) -> FaultKind {
    FaultKind::Answer("302 Found", vec![("Location", to)], vec![])
}

/// Ends within the time, whatever the server does.
#[track_caller]
fn fails_within(seconds: u64, command: &mut assert_cmd::Command, code: i32, words: &[&str]) {
    let began = Instant::now();
    fails(command, code, words);
    assert!(began.elapsed() < Duration::from_secs(seconds), "{:?}", began.elapsed());
}

#[test]
fn the_token_goes_to_the_configured_port_only() {
    let other = FakeHub::start();
    other.publish_folder(ID, &fixture("tiny-sd2"));
    for path in ["/api/models/", CONFIG_URL] {
        let to = match path {
            CONFIG_URL => format!("{}/api/{CONFIG_URL}", other.url()),
            _ => format!("{}/api/models/{ID}/revision/main", other.url()),
        };
        let world = with_fault(path, 1, redirect(to));
        succeeds(world.fetch().env("HF_TOKEN", TOKEN));
        let elsewhere = other.take_requests();
        assert!(!elsewhere.is_empty(), "the redirect is followed");
        assert!(elsewhere.iter().all(|request| request.authorization.is_none()), "{elsewhere:?}");
        let here = world.hub.take_requests();
        let at_home = here.iter().filter(|request| !request.path.starts_with("/storage/"));
        assert!(at_home.into_iter().all(|request| request.authorization.is_some()), "{here:?}");
    }
}

#[test]
fn redirects_have_an_end_and_lead_to_the_web_only() {
    for (to, words) in [("file:///etc/passwd", "no web address"), ("/api/models/org/tiny/revision/main", "too often")] {
        let world = with_fault("/api/models/", usize::MAX, redirect(to.into()));
        fails_within(20, &mut world.fetch(), 4, &[words]);
    }
}

#[test]
fn a_small_file_of_the_right_size_and_wrong_content_is_not_taken() {
    let mut page = b"<html>please log in</html>".to_vec();
    page.resize(fs::read(fixture("tiny-sd2").join(CONFIG)).unwrap().len(), b' ');
    let world = with_fault(CONFIG_URL, usize::MAX, FaultKind::Answer("200 OK", vec![], page));
    for listed in [false, true] {
        world.hub.state().listed_hashes = listed;
        fails(&mut world.fetch(), 4, &["git SHA-1", CONFIG, "nothing of it was kept"]);
        assert!(!world.snapshot().join(CONFIG).exists());
        assert_eq!(world.blobs(true), 0);
        assert!(!world.repository().join("refs/main").exists());
    }
    world.hub.state().faults.clear();
    succeeds(&mut world.fetch());
}

#[test]
fn a_leftover_of_zeros_does_not_become_a_file() {
    let world = World::new();
    succeeds(&mut world.fetch());
    let right = fs::read(fixture("tiny-sd2").join(CONFIG)).unwrap();
    let blob = world.repository().join("blobs").join(git_hash(&right));
    for left in [vec![0; right.len()], vec![0; right.len() / 2]] {
        fs::remove_file(&blob).unwrap();
        fs::write(blob.with_extension("incomplete"), left).unwrap();
        succeeds(&mut world.fetch());
        assert_eq!(fs::read(&blob).unwrap(), right);
        assert_eq!(world.blobs(true), 0);
    }
}

#[test]
fn a_file_shorter_than_announced_is_given_up_with_both_sizes() {
    let size = fs::read(fixture("tiny-sd2").join(CONFIG)).unwrap().len();
    let world = with_fault(CONFIG_URL, usize::MAX, FaultKind::AnnouncesMore(1));
    let sizes = format!("{size} of {} bytes", size + 1);
    fails_within(30, &mut world.fetch(), 4, &[&sizes, "is kept in", "5 attempts brought no more"]);
    let asked = world.hub.take_requests();
    let gets = asked.iter().filter(|request| request.method == "GET" && request.path.contains(CONFIG_URL)).count();
    assert!((5..=12).contains(&gets), "{gets} requests");
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    for status in ["429 Too Many Requests", "503 Service Unavailable", "500 Internal Server Error"] {
        for path in ["/api/models/", CONFIG_URL] {
            let kind = FaultKind::Answer(status, vec![("Retry-After", "1".into())], vec![]);
            let world = with_fault(path, 1, kind);
            let began = Instant::now();
            succeeds(&mut world.fetch());
            assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is obeyed");
        }
    }
    let always = FaultKind::Answer("503 Service Unavailable", vec![], vec![]);
    fails_within(30, &mut with_fault("/api/models/", usize::MAX, always.clone()).fetch(), 4, &["503", "5 times"]);
    fails_within(30, &mut with_fault(CONFIG_URL, usize::MAX, always).fetch(), 4, &["503", CONFIG]);
}

#[test]
fn a_server_that_says_nothing_or_too_little_is_given_up() {
    let silent = with_fault("/api/models/", usize::MAX, FaultKind::Silent);
    fails_within(40, silent.fetch().env("HF_HUB_ETAG_TIMEOUT", "1"), 4, &["cannot be reached", "timeout"]);
    let drips = with_fault(CONFIG_URL, usize::MAX, FaultKind::Drips);
    fails_within(40, drips.fetch().env("HF_HUB_DOWNLOAD_TIMEOUT", "1"), 4, &["too slowly", CONFIG]);
}

/// Starts `models fetch`, waits until the server has been asked for `path`, and presses Ctrl-C.
fn stopped(world: &World, path: &str) -> (Option<i32>, Duration) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memscope"));
    command.args(["models", "fetch", ID]).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("HF_HOME", world.home.path()).env("HF_ENDPOINT", world.hub.url()).env("NO_PROXY", "*");
    command.env_remove("HF_HUB_OFFLINE").env_remove("HF_HUB_CACHE");
    let mut child: Child = command.spawn().unwrap();
    let asked = || world.hub.state().requests.iter().any(|r| r.method == "GET" && r.path.contains(path));
    let began = Instant::now();
    while !asked() {
        assert!(began.elapsed() < Duration::from_secs(30), "{path} is not asked for");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(300));
    let pressed = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    (status.code(), pressed.elapsed())
}

#[cfg(unix)]
#[test]
fn ctrl_c_is_heard_within_a_second() {
    for (path, kind) in [
        ("/api/models/", FaultKind::Silent),
        (CONFIG_URL, FaultKind::Silent),
        ("/storage/", FaultKind::Drips),
        // While it waits to ask again.
        ("/api/models/", FaultKind::Answer("503 Busy", vec![("Retry-After", "15".into())], vec![])),
    ] {
        let world = with_fault(path, usize::MAX, kind.clone());
        let (code, after) = stopped(&world, path);
        assert_eq!(code, Some(130), "{path} {kind:?}");
        assert!(after < Duration::from_secs(1), "{path} {kind:?}: {after:?}");
    }
}

#[test]
fn what_the_disk_has_no_room_for_is_not_begun() {
    let world = with_fault(CONFIG_URL, 1, FaultKind::AnnouncesMore(1 << 60));
    fails(&mut world.fetch(), 5, &["bytes are to come", "free", "HF_HOME"]);
    assert_eq!(fs::read_dir(world.repository().join("blobs")).unwrap().count(), 0);
}

#[test]
fn names_from_the_server_stay_in_the_cache() {
    let world = World::with("tiny-sd1");
    for name in ["..", "../../../../evil.safetensors", "/tmp/evil", "a\\b", "C:evil", "a\u{1b}[31mb"] {
        let index = serde_json::json!({"weight_map": {"a": name}}).to_string();
        world.hub.publish(ID, "unet/diffusion_pytorch_model.safetensors.index.json", index.into_bytes());
        let output = world.fetch().output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{name}: {}", stderr(&output));
        assert!(!stderr(&output).contains('\u{1b}'), "{}", stderr(&output));
        assert!(!world.repository().exists(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_links() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    let victim = world.home.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let blob = |file: &str| {
        world.repository().join("blobs").join(git_hash(&fs::read(fixture("tiny-sd2").join(file)).unwrap()))
    };
    for folder in ["blobs", "refs", &format!("snapshots/{COMMIT}")] {
        fs::create_dir_all(world.repository().join(folder)).unwrap();
    }
    let planted: Vec<PathBuf> = vec![
        blob(CONFIG).with_extension("incomplete"),
        blob("vae/config.json"),
        world.repository().join("refs/main"),
        world.snapshot().join("model_index.json"),
    ];
    planted.iter().for_each(|place| symlink(&victim, place).unwrap());
    succeeds(&mut world.fetch());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    succeeds(world.command().args(["models", "verify", ID]));
    // A folder that leads elsewhere is refused.
    let elsewhere = world.home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::remove_dir_all(world.snapshot().join("unet")).unwrap();
    symlink(&elsewhere, world.snapshot().join("unet")).unwrap();
    fails(&mut world.fetch(), 5, &["is a link or a file where the cache needs a folder"]);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn passwords_in_addresses_are_not_shown() {
    let world = World::new();
    let secret = |command: &mut assert_cmd::Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        assert!(!stderr(&output).contains("hunter2") && stderr(&output).contains("***@"), "{}", stderr(&output));
    };
    secret(world.fetch().env("HF_ENDPOINT", "http://me:hunter2@127.0.0.1:9"));
    world.hub.state().gated = true;
    let port = world.hub.url().rsplit_once(':').unwrap().1.to_owned();
    secret(world.fetch().env("HF_ENDPOINT", format!("http://me:hunter2@127.0.0.1:{port}")));
}

#[test]
fn a_relative_home_is_one_below_the_current_folder() {
    let world = World::new();
    let output = succeeds(world.fetch().current_dir(world.home.path()).env("HF_HOME", "here/hf"));
    let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    assert!(folder.is_absolute() && folder.join(UNET).is_file(), "{}", folder.display());
    let mut offline = world.detect();
    succeeds(offline.current_dir(world.home.path()).env("HF_HOME", "here/hf").env("HF_HUB_OFFLINE", "1"));
}

#[test]
fn a_listing_with_hashes_saves_a_question_for_every_file() {
    let world = World::new();
    world.hub.state().listed_hashes = true;
    succeeds(&mut world.fetch());
    assert!(world.hub.take_requests().iter().all(|request| request.method == "GET"));
    succeeds(world.detect().env("HF_HUB_OFFLINE", "1"));
}

#[test]
fn a_cache_can_be_verified_and_mended() {
    let world = World::new();
    let verify = |arguments: &[&str]| {
        let mut command = world.command();
        command.args(["models", "verify"]).args(arguments).env("HF_HUB_OFFLINE", "1");
        command
    };
    fails(&mut verify(&[ID]), 4, &["org/tiny is not in the Hub cache", "memscope models fetch"]);
    fails(&mut verify(&["embedded:emoji-eps"]), 3, &["was not downloaded"]);
    succeeds(&mut verify(&[]));
    succeeds(&mut world.fetch());
    world.hub.take_requests();
    for arguments in [&[ID][..], &[]] {
        let output = succeeds(&mut verify(arguments));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(&format!("{ID} {COMMIT}: 12 of 12 files are right")), "{said}");
    }
    assert!(world.hub.take_requests().is_empty(), "the network is not asked");

    let unet = fs::canonicalize(world.snapshot().join(UNET)).unwrap();
    let mut bytes = fs::read(&unet).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&unet, &bytes).unwrap();
    fs::remove_file(world.snapshot().join(CONFIG)).unwrap();
    let output = verify(&[ID]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("10 of 12") && said.contains("damaged: ") && said.contains("missing: "), "{said}");
    assert!(stderr(&output).contains("memscope models fetch org/tiny"), "{}", stderr(&output));
    let output = verify(&[ID, "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let states = report[0]["files"].as_array().unwrap().iter().filter(|file| file["state"] != "good").count();
    assert_eq!(states, 2);

    // What another program downloaded has no record; its blobs are named by their hashes.
    fs::remove_dir_all(world.repository().join(".memscope")).unwrap();
    let output = verify(&[ID]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stdout).contains("damaged: "));

    let mended = succeeds(&mut world.fetch());
    assert!(stderr(&mended).contains("is damaged and is downloaded again"), "{}", stderr(&mended));
    succeeds(&mut verify(&[ID]));
    assert_eq!(fs::read(&unet).unwrap(), fs::read(fixture("tiny-sd2").join(UNET)).unwrap());
}
