//! CLIP's tokenizer, which single-file checkpoints do not hold.

use std::io::{self, Read};

use flate2::read::GzDecoder;

use crate::tokenizer::byte_alphabet;

/// `merges.txt`; data/LICENSES.md says where it comes from.
pub(super) fn merges() -> io::Result<Vec<u8>> {
    let mut merges = Vec::new();
    GzDecoder::new(&include_bytes!("../../data/clip_merges.txt.gz")[..]).read_to_end(&mut merges)?;
    Ok(merges)
}

/// `vocab.json`, which follows from the merges: the byte alphabet, the same at the end of a word, one token per merge,
/// begin and end.
pub(super) fn vocabulary(merges: &[u8]) -> Vec<u8> {
    let alphabet = byte_alphabet();
    let merges = String::from_utf8_lossy(merges);
    let tokens = alphabet
        .iter()
        .cloned()
        .chain(alphabet.iter().map(|c| format!("{c}</w>")))
        .chain(merges.lines().skip(1).map(|line| line.replace(' ', "")))
        .chain(["<|startoftext|>", "<|endoftext|>"].map(str::to_owned));
    let ids: serde_json::Map<String, serde_json::Value> = tokens.zip((0u64..).map(Into::into)).collect();
    serde_json::Value::Object(ids).to_string().into_bytes()
}
