//! Inputs that nobody would write on purpose, made from valid ones with a fixed seed: each is read or refused, within
//! ten seconds and a gigabyte. The functions are those of the fuzz targets.

mod common;
#[path = "../../../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is the library of the fuzz targets too")]
mod drivers;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use drivers::folders::{self, Folder};

/// Inputs for each target.
const COUNT: u64 = 250;
const LONGEST: Duration = Duration::from_secs(10);
/// Bytes that all tests together may hold.
const MOST_MEMORY: u64 = 1 << 30;

/// SplitMix64: numbers that stay the same whatever libraries do.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// What breaks readers: ends of lines and cells, markup, control characters, numbers out of range, nesting, cut UTF-8.
const FRAGMENTS: [&[u8]; 34] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\r",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b",",
    b";",
    b"|",
    b"&",
    b"%",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"{\"a\":",
    b"<script>",
    b"</table>",
    b"\\end{table}",
    b"\x1b[31m",
    b"\xe2\x80\xae",
    b"\xff\xfe",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"NaN",
    b"-1",
    b"1e999",
    b"18446744073709551615",
    b"9223372036854775808",
    b": &a [*a, *a]",
    b"!!binary ",
    b"<|endoftext|>",
    b"\xf0\x9f\x98\x80",
];

/// One to six changes somewhere in the first `reach` bytes.
fn change(valid: &[u8], reach: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..=random.below(6) {
        let end = bytes.len().min(reach);
        let at = random.below(end + 1);
        let to = at + random.below((end - at).min(40) + 1);
        match random.below(8) {
            0 if at < end => bytes[at] ^= 1 << random.below(8),
            1 if at < end => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..to)),
            3 => bytes.truncate(at),
            4 => {
                let again = bytes[at..to].repeat(1 + random.below(20));
                bytes.splice(at..at, again);
            }
            _ => {
                let fragment = FRAGMENTS[random.below(FRAGMENTS.len())];
                bytes.splice(at..at, fragment.iter().copied());
            }
        }
    }
    bytes
}

/// The most bytes that this process has held; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

#[track_caller]
fn survives(valid: &[&[u8]], reach: usize, run: impl Fn(&[u8])) {
    for input in valid {
        run(input);
    }
    let mut random = Random(42);
    for number in 0..COUNT {
        let input = change(valid[random.below(valid.len())], reach, &mut random);
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&input)));
        let shown = String::from_utf8_lossy(&input[..input.len().min(reach).min(600)]).into_owned();
        assert!(outcome.is_ok(), "input {number}: {shown:?}");
        assert!(start.elapsed() < LONGEST, "input {number} took {:?}: {shown:?}", start.elapsed());
        let peak = peak_memory();
        assert!(peak < MOST_MEMORY, "{peak} bytes after input {number}: {shown:?}");
    }
}

/// The same with the files of a folder in turns.
#[track_caller]
fn survive(folder: &Folder, reach: usize, run: impl Fn(&[u8])) {
    let inputs = folder.inputs();
    survives(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>(), reach, run);
}

#[test]
fn weights() {
    let valid = fs::read(drivers::tiny_model().join("text_encoder/model.safetensors")).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(valid[..8].try_into().unwrap())).unwrap();
    survives(&[&valid], header + 16, drivers::safetensors);
}

#[test]
fn pickled_weights() {
    let read = |file: &str| fs::read(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let old = read("model/tests/fixtures/formats/torch/text_encoder.bin");
    let archive = read("torch-file/tests/fixtures/zip.ckpt");
    // All pickles of the one, all of the other.
    survives(&[&old, &archive], 8_000, drivers::pickles);
}

#[test]
fn prompt_lists() {
    let lines = "a photo of a cat\nder Hund 犬\n\n  two  blanks  \n";
    let csv = "prompt,weight\n\"a, b\",1\n\"12\"\" ruler\",2\n";
    let json = "{\"prompt\":\"a\",\"n\":1}\n{\"caption\":\"b \\u00e9\"}\n";
    survives(&[lines.as_bytes(), csv.as_bytes(), json.as_bytes()], usize::MAX, drivers::prompts);
}

#[test]
fn experiments() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments");
    let read = |name: &str| fs::read(format!("{folder}/{name}.yaml")).unwrap();
    let with = |name: &str, overrides: &str| [read(name).as_slice(), overrides.as_bytes()].concat();
    let inputs = [
        with("table1", "\0noise.seeds=[1, 2]\0batch=4"),
        with("table4", "\0title=\"a\""),
        with("sweeps/gamma", "\0noise.generations=2"),
        with("alignment", ""),
    ];
    survives(&inputs.each_ref().map(Vec::as_slice), usize::MAX, drivers::overrides);
}

#[test]
fn stores() {
    let line = "{\"key\":\"00112233445566778899aabbccddeeff\",\"values\":[1.0,-2.5e-3]}\n";
    let other = line.replace("00112233", "ffeeddcc").replace("1.0", "0.1");
    survives(&[line.as_bytes(), format!("{line}{other}{line}").as_bytes(), b""], usize::MAX, drivers::store);
}

#[test]
fn exports() {
    let plain = "Title\0first\0second\0s\0a note\0cell\0other cell\0why it is missing";
    let marked = "T|i\\te\0<b>\0a & b\0%\0[x](y)\0`c`\0= 1 + 1\0$x$";
    survives(&[plain.as_bytes(), marked.as_bytes()], usize::MAX, drivers::export);
}

#[test]
fn configurations() {
    survive(folders::configurations_of(), usize::MAX, folders::configurations);
}

#[test]
fn tokenizers() {
    survive(folders::tokenizers_of(), 2_000, folders::tokenizers);
}

#[test]
fn loras() {
    survive(folders::loras_of(), 6_000, folders::loras);
}

#[test]
fn checkpoints() {
    survive(folders::checkpoints_of(), 6_000, folders::checkpoints);
}

#[test]
fn judges() {
    survive(folders::judges_of(), 2_000, folders::judges);
}

#[test]
fn score_files() {
    survive(folders::scores_of(), usize::MAX, folders::scores);
}

#[test]
fn calibration_files() {
    let valid = serde_json::to_vec_pretty(&folders::calibration_file()).unwrap();
    let odd = String::from_utf8(valid.clone()).unwrap().replace("0123456789abcdef", &"é".repeat(20));
    survives(&[&valid, odd.as_bytes()], usize::MAX, folders::calibration);
}

#[test]
fn pictures_with_captions() {
    survive(folders::pictures_of(), usize::MAX, folders::pictures);
}

/// A run with figures and pictures.
fn finished(folder: &Path) {
    let yaml = common::small_experiment(folder);
    let figures = "figures: [roc, scores]\n";
    fs::write(&yaml, fs::read_to_string(&yaml).unwrap() + figures).unwrap();
    common::memscope().arg("run").arg(&yaml).arg("--results").arg(folder.join("results")).assert().success();
}

#[test]
fn results_folders() {
    let folder = tempfile::tempdir().unwrap();
    finished(folder.path());
    let folder = folders::results_of(&folder.path().join("results"));
    survive(&folder, usize::MAX, |bytes| folders::results(&folder, bytes));
}

#[test]
fn shards() {
    let folder = tempfile::tempdir().unwrap();
    let (yaml, results) = (common::small_experiment(folder.path()), folder.path().join("results"));
    for shard in ["1/2", "2/2"] {
        let mut command = common::memscope();
        command.arg("run").arg(&yaml).args(["--shard", shard, "--results"]).arg(&results).assert().success();
    }
    let folder = folders::results_of(&results);
    survive(&folder, usize::MAX, |bytes| folders::results(&folder, bytes));
}
