//! Prompt tokenizer against published token ids and transformers' slow `CLIPTokenizer`.

use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use memscope_model::text_fix::TextFix;
use memscope_model::tokenizer::{PromptTokenizer, TokenizerError, Tokens};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const CONTEXT: usize = 77;
const BOS: u32 = 49406;
const EOS: u32 = 49407;

static MERGES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut merges = Vec::new();
    GzDecoder::new(&include_bytes!("fixtures/clip_merges.txt.gz")[..]).read_to_end(&mut merges).unwrap();
    merges
});

/// `vocab.json` follows from the merges: the byte alphabet, the same at the end of a word, one token per merge, BOS
/// and EOS.
static VOCAB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let printable: Vec<u32> = (0x21..=0x7e).chain(0xa1..=0xac).chain(0xae..=0xff).collect();
    let alphabet: Vec<String> = printable
        .iter()
        .copied()
        .chain((0x100..).take(256 - printable.len()))
        .map(|c| char::from_u32(c).unwrap().to_string())
        .collect();
    let merges = std::str::from_utf8(&MERGES).unwrap();
    let tokens = alphabet
        .iter()
        .cloned()
        .chain(alphabet.iter().map(|c| format!("{c}</w>")))
        .chain(merges.lines().skip(1).map(|line| line.replace(' ', "")))
        .chain(["<|startoftext|>".to_owned(), "<|endoftext|>".to_owned()]);
    let mut entries: Vec<(String, usize)> = tokens.zip(0..).collect();
    entries.sort();
    // Laid out as the published file, so that its checksum can be compared.
    let mut text = String::from("{\n");
    for (i, (token, id)) in entries.iter().enumerate() {
        let comma = if i + 1 < entries.len() { "," } else { "" };
        writeln!(text, "  {}: {id}{comma}", Value::from(token.as_str())).unwrap();
    }
    text.push_str("}\n");
    text.into_bytes()
});

fn clip(config: Option<&Value>, map: Option<&Value>) -> Result<PromptTokenizer, TokenizerError> {
    let bytes = |value: &Value| value.to_string().into_bytes();
    PromptTokenizer::from_files(&VOCAB, &MERGES, config.map(bytes).as_deref(), map.map(bytes).as_deref(), CONTEXT)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Checksums of docs/spec/models.md §3: the fixture is the published tokenizer.
#[test]
fn files_are_the_published_ones() {
    assert!(hex(&Sha256::digest(&*MERGES)).starts_with("9fd691f7"));
    assert!(hex(&Sha256::digest(&*VOCAB)).starts_with("e089ad92"));
}

/// Golden ids of docs/spec/models.md §3, unpadded.
#[test]
fn golden_ids() {
    let tokenizer = clip(None, None).unwrap().with_text_fix(TextFix::Ftfy);
    let golden: [(&str, &[u32]); 4] = [
        ("", &[]),
        ("The No Limits Business Woman Podcast", &[518, 871, 11966, 1716, 2308, 4294]),
        ("Mothers influence on her young hippo", &[10546, 9199, 525, 899, 1888, 36729]),
        (
            "Shaw Floors Couture' Collection Ultimate Expression 15′ Sahara 00205_19829",
            &[
                6805, 15671, 14808, 262, 2548, 5377, 11357, 272, 276, 32633, 24599, 271, 271, 273, 271, 276, 318, 272,
                280, 279, 273, 280,
            ],
        ),
    ];
    for (text, ids) in golden {
        let tokens = tokenizer.encode(text);
        assert_eq!(tokens.ids.len(), CONTEXT);
        assert_eq!(tokens.length, ids.len() + 2);
        assert_eq!(tokens.ids[0], BOS);
        assert_eq!(&tokens.ids[1..=ids.len()], ids, "{text:?}");
        assert!(tokens.ids[ids.len() + 1..].iter().all(|&id| id == EOS));
        assert_eq!(tokens.cut, None);
    }
}

#[derive(Deserialize)]
struct Fixture {
    tokenizers: Tokenizers,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Tokenizers {
    sd1: Files,
    sd2: Files,
    saved: Files,
}

#[derive(Deserialize)]
struct Files {
    config: Value,
    map: Value,
    pad_id: u32,
}

impl Files {
    fn load(&self) -> PromptTokenizer {
        let tokenizer = clip(Some(&self.config), Some(&self.map)).unwrap();
        assert_eq!(tokenizer.pad_id(), self.pad_id);
        assert_eq!((tokenizer.bos_id(), tokenizer.eos_id()), (BOS, EOS));
        tokenizer
    }
}

#[derive(Deserialize)]
struct Case {
    text: String,
    sd1: Encoded,
    sd2: Option<Encoded>,
    saved: Option<Encoded>,
    sd1_off: Option<Encoded>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Encoded {
    ids: Vec<u32>,
    cut: Option<String>,
}

fn without_padding(tokens: Tokens, pad_id: u32) -> Encoded {
    assert_eq!(tokens.ids.len(), CONTEXT);
    assert!(tokens.ids[tokens.length..].iter().all(|&id| id == pad_id));
    Encoded { ids: tokens.ids[..tokens.length].to_vec(), cut: tokens.cut }
}

/// Made by `scripts/fixtures/make_tokenizer.py`; versions in the file.
#[test]
fn matches_transformers() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/tokenizer_clip.json")).unwrap();
    assert!(fixture.cases.len() >= 60);
    let Tokenizers { sd1, sd2, saved } = &fixture.tokenizers;
    assert_eq!((sd1.pad_id, sd2.pad_id), (EOS, 0));
    let load = |files: &Files| files.load().with_text_fix(TextFix::Ftfy);
    let tokenizers = [load(sd1), load(sd2), load(saved), sd1.load()];
    let mut wrong = 0;
    for case in &fixture.cases {
        let expected = [Some(&case.sd1), case.sd2.as_ref(), case.saved.as_ref(), case.sd1_off.as_ref()];
        for (tokenizer, expected) in tokenizers.iter().zip(expected) {
            let expected = expected.unwrap_or(&case.sd1);
            let ours = without_padding(tokenizer.encode(&case.text), tokenizer.pad_id());
            if ours != *expected {
                wrong += 1;
                println!("{:?} {:?}\n  transformers {expected:?}\n  ours {ours:?}", case.text, tokenizer);
            }
        }
    }
    assert_eq!(wrong, 0);
}

#[test]
fn truncation_keeps_both_ends() {
    let tokenizer = clip(None, None).unwrap();
    let tokens = tokenizer.encode(&("word ".repeat(75) + "one Two, three"));
    assert_eq!(tokens.length, CONTEXT);
    assert_eq!((tokens.ids[0], tokens.ids[76]), (BOS, EOS));
    assert_eq!(tokens.cut.as_deref(), Some("one two , three"));
    let texts = tokenizer.token_texts(&tokens);
    assert_eq!(texts.len(), CONTEXT);
    assert_eq!(texts[75], "word");
}

#[test]
fn token_texts() {
    let tokenizer = clip(None, None).unwrap();
    let texts = |text| tokenizer.token_texts(&tokenizer.encode(text));
    assert_eq!(
        texts("Mothers influence HIPPOS' café"),
        ["<|startoftext|>", "mothers", "influence", "hipp", "os", "'", "café", "<|endoftext|>"]
    );
}

#[test]
fn bad_files() {
    let error = |config: Value, map: Value| clip(Some(&config), Some(&map)).unwrap_err();
    let none = json!({});
    assert!(matches!(
        error(json!({"bos_token": "<s>"}), none.clone()),
        TokenizerError::SpecialTokenNotInVocabulary { role: "bos_token", token } if token == "<s>"
    ));
    assert!(matches!(
        error(none.clone(), json!({"eos_token": null})),
        TokenizerError::MissingSpecialToken { role: "eos_token" }
    ));
    assert!(matches!(
        error(none.clone(), json!({"pad_token": 5})),
        TokenizerError::MalformedSpecialToken { role } if role == "pad_token"
    ));
    assert!(matches!(
        error(none.clone(), json!({"pad_token": {"content": "!", "lstrip": true}})),
        TokenizerError::UnsupportedSpecialToken { token } if token == "!"
    ));
    assert!(matches!(error(json!([]), none.clone()), TokenizerError::Json { file: "tokenizer_config.json", .. }));
    for key in ["x", "-1"] {
        assert!(matches!(
            error(json!({"added_tokens_decoder": {key: {"content": "!"}}}), none.clone()),
            TokenizerError::MalformedSpecialToken { .. }
        ));
    }
    let build = |vocab: &[u8], merges: &[u8], context| {
        PromptTokenizer::from_files(vocab, merges, None, None, context).unwrap_err()
    };
    assert!(matches!(build(b"{", &MERGES, CONTEXT), TokenizerError::Json { file: "vocab.json", .. }));
    assert!(matches!(build(&VOCAB, b"\xff", CONTEXT), TokenizerError::MergesEncoding(_)));
    assert!(matches!(build(&VOCAB, b"#version: 0.2\ni n\nt h e\n", CONTEXT), TokenizerError::MergesLine { line: 3 }));
    assert!(matches!(build(&VOCAB, b"#version: 0.2\nthis isnotthere\n", CONTEXT), TokenizerError::Bpe(_)));
    assert!(matches!(build(&VOCAB, &MERGES, 1), TokenizerError::ContextTooShort { context_length: 1 }));
}

/// A missing padding token means EOS; a null one too.
#[test]
fn padding_falls_back_to_eos() {
    for map in [json!({}), json!({"pad_token": null}), json!({"pad_token": "<|endoftext|>"})] {
        let tokenizer = clip(None, Some(&map)).unwrap();
        assert_eq!(tokenizer.spec().pad_id, None);
        assert_eq!(tokenizer.pad_id(), EOS);
    }
}

/// The golden ids again, on prompts that are not part of this repository: every line of every text file in the folder
/// `MEMSCOPE_PROMPTS` must encode, and repairing must change few of them.
#[test]
fn prompt_lists() {
    let Some(folder) = std::env::var_os("MEMSCOPE_PROMPTS") else {
        println!("skipped: MEMSCOPE_PROMPTS is not set");
        return;
    };
    let plain = clip(None, None).unwrap();
    let fixed = clip(None, None).unwrap().with_text_fix(TextFix::Ftfy);
    let mut prompts = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "txt") {
            let text = std::fs::read_to_string(&path).unwrap();
            prompts.extend(text.lines().map(|line| line.trim().to_owned()));
        }
    }
    let changed = prompts.iter().filter(|p| plain.encode(p) != fixed.encode(p)).count();
    let cut = prompts.iter().filter(|p| fixed.encode(p).cut.is_some()).count();
    println!("{} prompts, {changed} changed by the repair, {cut} cut", prompts.len());
    assert!(!prompts.is_empty());
    assert!(changed * 50 <= prompts.len(), "{changed} of {}", prompts.len());
}
