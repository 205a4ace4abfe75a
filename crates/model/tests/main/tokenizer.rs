//! Prompt tokenizer against published token ids and transformers' slow `CLIPTokenizer`.

use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use memscope_model::text_fix::TextFix;
use memscope_model::tokenizer::{PromptTokenizer, TokenizerError, TokenizerFiles, Tokens};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const CONTEXT: usize = 77;
const BOS: u32 = 49406;
const EOS: u32 = 49407;

static MERGES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut merges = Vec::new();
    GzDecoder::new(&include_bytes!("../../data/clip_merges.txt.gz")[..]).read_to_end(&mut merges).unwrap();
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

fn clip_files() -> TokenizerFiles<'static> {
    TokenizerFiles { vocab: Some(&*VOCAB), merges: Some(&*MERGES), ..TokenizerFiles::default() }
}

fn clip(config: Option<&Value>, map: Option<&Value>) -> Result<PromptTokenizer, TokenizerError> {
    let bytes = |value: &Value| value.to_string().into_bytes();
    let (config, map) = (config.map(bytes), map.map(bytes));
    let files = TokenizerFiles { config: config.as_deref(), special_tokens_map: map.as_deref(), ..clip_files() };
    PromptTokenizer::from_files(&files, CONTEXT)
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
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/tokenizer_clip.json")).unwrap();
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
    let words = |text| tokenizer.token_words(&tokenizer.encode(text));
    assert_eq!(
        words("Mothers influence HIPPOS' café"),
        ["<|startoftext|>", "mothers", "influence", "hippos", "hippos", "'", "café", "<|endoftext|>"]
    );
    // A word that the context cuts, and a very long prompt.
    let long = tokenizer.encode(&("word ".repeat(74) + "hippos"));
    assert_eq!(tokenizer.token_words(&long)[74..], ["word", "hipp", "<|endoftext|>"]);
    let long = tokenizer.encode(&"red apple, ".repeat(100_000));
    assert!(long.cut.unwrap().ends_with('…'));
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
    assert!(matches!(error(json!([]), none.clone()), TokenizerError::NotAnObject { file: "tokenizer_config.json" }));
    // Settings that transformers follows: with them prompts have other ids.
    for setting in
        [json!({"padding_side": "left"}), json!({"truncation_side": "left"}), json!({"model_max_length": CONTEXT - 1})]
    {
        let field = setting.as_object().unwrap().keys().next().unwrap().clone();
        let message = error(setting, none.clone()).to_string();
        assert!(message.starts_with("tokenizer_config.json has ") && message.contains(&field), "{message}");
    }
    let usual = json!({"padding_side": "right", "truncation_side": "right", "model_max_length": 1e30});
    assert!(clip(Some(&usual), None).is_ok());
    for key in ["x", "-1"] {
        assert!(matches!(
            error(json!({"added_tokens_decoder": {key: {"content": "!"}}}), none.clone()),
            TokenizerError::MalformedSpecialToken { .. }
        ));
    }
    let build = |vocab: &[u8], merges: &[u8], context| {
        let files = TokenizerFiles { vocab: Some(vocab), merges: Some(merges), ..TokenizerFiles::default() };
        PromptTokenizer::from_files(&files, context).unwrap_err()
    };
    assert!(matches!(build(b"{", &MERGES, CONTEXT), TokenizerError::Json { file: "vocab.json", .. }));
    assert!(matches!(build(&VOCAB, b"\xff", CONTEXT), TokenizerError::MergesEncoding(_)));
    assert!(matches!(build(&VOCAB, b"#version: 0.2\ni n\nt h e\n", CONTEXT), TokenizerError::MergesLine { line: 3 }));
    let few = br#"{"a": 0, "b": 1, "<|startoftext|>": 2, "<|endoftext|>": 3}"#;
    assert!(matches!(build(few, b"#version: 0.2\nthis isnotthere\n", CONTEXT), TokenizerError::Bpe(_)));
    assert!(matches!(build(&VOCAB, &MERGES, 1), TokenizerError::ContextTooShort { context_length: 1 }));
}

/// Merges and vocabulary that are not a pair give other tokens without a word, so they are refused.
#[test]
fn files_that_do_not_belong_together_are_refused() {
    let build = |vocab: &[u8], merges: &[u8]| {
        let files = TokenizerFiles { vocab: Some(vocab), merges: Some(merges), ..TokenizerFiles::default() };
        PromptTokenizer::from_files(&files, CONTEXT).unwrap_err()
    };
    let cut: String =
        std::str::from_utf8(&MERGES).unwrap().lines().take(20_000).map(|line| format!("{line}\n")).collect();
    assert!(matches!(build(&VOCAB, cut.as_bytes()), TokenizerError::Unreachable { .. }));
    let with = |token: &str, id: Value| {
        let mut vocab: Value = serde_json::from_slice(&VOCAB).unwrap();
        vocab[token] = id;
        build(vocab.to_string().as_bytes(), &MERGES)
    };
    assert!(matches!(with("a", json!(1)), TokenizerError::SameId { file: "vocab.json", id: 1, .. }));
    for id in [json!(4_294_967_297u64), json!(2_000_000_000), json!(-1), json!(1.5), json!("7"), json!(null)] {
        assert!(matches!(with("a", id), TokenizerError::Id { file: "vocab.json", token, .. } if token == "a"));
    }
    assert!(matches!(build(b"[]", &MERGES), TokenizerError::NotAnObject { .. }));
    let none = PromptTokenizer::from_files(&TokenizerFiles::default(), CONTEXT).unwrap_err();
    assert!(matches!(none, TokenizerError::MissingFile { file: "vocab.json" }));
    let tokenizer = clip(None, None).unwrap();
    assert!(tokenizer.check_rows(49_408).is_ok() && tokenizer.check_rows(49_409).is_ok());
    let few = tokenizer.check_rows(49_407).unwrap_err();
    assert!(matches!(few, TokenizerError::BeyondVocabulary { id: 49_407, rows: 49_407, .. }));
}

/// `tokenizer.json` alone, as `CLIPTokenizer.save_pretrained` of transformers 5.24.0 leaves a folder; its merges are
/// pairs, those of older versions texts.
#[test]
fn the_layout_of_transformers_5_gives_the_same_ids() {
    let merges: Vec<&str> = std::str::from_utf8(&MERGES).unwrap().lines().skip(1).collect();
    let pairs: Vec<Vec<&str>> = merges.iter().map(|line| line.split(' ').collect()).collect();
    let saved = |merges: Value| {
        let added = |id: u32, content: &str| json!({"id": id, "content": content, "special": true, "lstrip": false});
        json!({
            "added_tokens": [added(BOS, "<|startoftext|>"), added(EOS, "<|endoftext|>")],
            "model": {
                "type": "BPE", "end_of_word_suffix": "</w>", "merges": merges,
                "vocab": serde_json::from_slice::<Value>(&VOCAB).unwrap(),
            },
        })
    };
    let old = clip(None, None).unwrap();
    for merges in [json!(pairs), json!(merges)] {
        let json = saved(merges).to_string().into_bytes();
        let files = TokenizerFiles { tokenizer_json: Some(&json), ..TokenizerFiles::default() };
        let new = PromptTokenizer::from_files(&files, CONTEXT).unwrap();
        for text in ["a red <|endoftext|>hat", "Mothers influence", "15\u{2032} x00205_19829"] {
            assert_eq!(new.encode(text), old.encode(text), "{text}");
        }
        let both = TokenizerFiles { tokenizer_json: Some(&json), ..clip_files() };
        assert!(PromptTokenizer::from_files(&both, CONTEXT).is_ok());
    }
    let mut more = saved(json!(pairs));
    more["added_tokens"].as_array_mut().unwrap().push(json!({"id": 49_408, "content": "<cat-toy>"}));
    let more = more.to_string().into_bytes();
    let both = TokenizerFiles { tokenizer_json: Some(&more), ..clip_files() };
    let error = PromptTokenizer::from_files(&both, CONTEXT).unwrap_err();
    assert!(matches!(error, TokenizerError::Disagreement { id: 49_408, .. }));
}

/// Placeholders of textual inversion, one vector and three. The ids are those of the published tokenizer with
/// `add_tokens(["<cat-toy>", "<style>", "<style>_1", "<style>_2"])`; of several vectors every one is read, as
/// diffusers' `maybe_convert_prompt` makes them "<style> <style>_1 <style>_2".
#[test]
fn added_tokens_are_read() {
    let added = json!({"<cat-toy>": 49_408, "<style>": 49_409, "<style>_1": 49_410, "<style>_2": 49_411}).to_string();
    let files = TokenizerFiles { added_tokens: Some(added.as_bytes()), ..clip_files() };
    let tokenizer = PromptTokenizer::from_files(&files, CONTEXT).unwrap();
    let ids = |text: &str| {
        let tokens = tokenizer.encode(text);
        tokens.ids[1..tokens.length - 1].to_vec()
    };
    let plain = clip(None, None).unwrap();
    let word = |text: &str| plain.encode(text).ids[1];
    assert_eq!(ids("a <cat-toy>, red"), [word("a"), 49_408, word(","), word("red")]);
    assert_eq!(ids("<style> a"), [49_409, 49_410, 49_411, word("a")]);
    let taken = json!({"<cat-toy>": 320}).to_string();
    let files = TokenizerFiles { added_tokens: Some(taken.as_bytes()), ..clip_files() };
    let error = PromptTokenizer::from_files(&files, CONTEXT).unwrap_err();
    assert!(matches!(error, TokenizerError::SameId { id: 320, .. }));
}

/// 1.3 MB took minutes when each special token was searched from where the last one ended.
#[test]
fn runs_of_special_tokens_take_linear_time() {
    let tokenizer = clip(None, None).unwrap().with_text_fix(TextFix::Ftfy);
    let started = std::time::Instant::now();
    let tokens = tokenizer.encode(&"<|endoftext|>".repeat(100_000));
    assert_eq!((tokens.ids[0], tokens.ids[76], tokens.length), (BOS, EOS, CONTEXT));
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
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
