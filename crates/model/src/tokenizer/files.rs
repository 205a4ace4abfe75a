//! The files of a tokenizer: vocabulary, merges and added tokens, as transformers 4 (`vocab.json`, `merges.txt`,
//! `added_tokens.json`) and transformers 5 (`tokenizer.json`) save them.

use std::collections::{BTreeMap, HashMap, HashSet};

use memscope_text::excerpt;
use serde_json::Value;

use super::{END_OF_WORD, TokenizerError};
use crate::json;

/// The reference reads this many lines of `merges.txt` after the header.
const MAX_MERGES: usize = 49_152 - 256 - 2;

/// More tokens than any tokenizer that belongs to a text encoder has; ids are below it.
const MOST_TOKENS: usize = 1 << 20;

/// The contents of a `tokenizer` folder, of which `vocab` and `merges` are needed, or `tokenizer_json`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenizerFiles<'a> {
    /// `vocab.json`: token to id.
    pub vocab: Option<&'a [u8]>,
    /// `merges.txt`.
    pub merges: Option<&'a [u8]>,
    /// `tokenizer.json`, read where there is no `vocab.json`.
    pub tokenizer_json: Option<&'a [u8]>,
    /// `tokenizer_config.json`.
    pub config: Option<&'a [u8]>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Option<&'a [u8]>,
    /// `added_tokens.json`: tokens that were added after training, with their ids.
    pub added_tokens: Option<&'a [u8]>,
}

/// What the files say about byte-pair encoding.
pub(super) struct Vocabulary {
    pub(super) ids: HashMap<String, u32>,
    pub(super) merges: Vec<(String, String)>,
    /// Tokens added after training.
    pub(super) added: BTreeMap<String, u32>,
}

impl Vocabulary {
    pub(super) fn read(files: &TokenizerFiles) -> Result<Self, TokenizerError> {
        let saved = files.tokenizer_json.map(TokenizerJson::parse).transpose()?;
        let vocabulary = match (files.vocab, files.merges, saved) {
            (Some(vocab), Some(merges), saved) => {
                let ids = vocabulary("vocab.json", &parse("vocab.json", vocab)?)?;
                let read = Self { ids, merges: parse_merges(merges)?, added: added_tokens(files.added_tokens)? };
                if let Some(saved) = saved {
                    read.agrees_with(&saved, files)?;
                }
                read
            }
            (None, None, Some(TokenizerJson { ids, merges, added })) => Self { ids, merges, added },
            (None, _, _) => return Err(TokenizerError::MissingFile { file: "vocab.json" }),
            (_, None, _) => return Err(TokenizerError::MissingFile { file: "merges.txt" }),
        };
        Ok(vocabulary)
    }

    /// `tokenizer.json` repeats what the other files say. A token that only it has would be read by one version of
    /// transformers and not by the other.
    fn agrees_with(&self, saved: &TokenizerJson, files: &TokenizerFiles) -> Result<(), TokenizerError> {
        let text = files.config.map(String::from_utf8_lossy).unwrap_or_default();
        for (token, id) in &saved.added {
            let known = self.ids.get(token).or_else(|| self.added.get(token));
            // The decoder of tokenizer_config.json writes ids as keys.
            if known != Some(id) && !text.contains(&format!("\"{id}\"")) {
                return Err(TokenizerError::Disagreement { token: excerpt(token), id: *id });
            }
        }
        Ok(())
    }

    /// Refuses merges that do not belong to the vocabulary: every token longer than one character must come out of a
    /// merge, or stand among the `special` ones.
    pub(super) fn check(&self, special: impl Fn(&str) -> bool) -> Result<(), TokenizerError> {
        let merged: HashSet<String> = self.merges.iter().map(|(first, second)| format!("{first}{second}")).collect();
        let is_single = |token: &str| token.strip_suffix(END_OF_WORD).unwrap_or(token).chars().count() <= 1;
        let unreachable =
            self.ids.keys().filter(|token| !is_single(token) && !merged.contains(*token) && !special(token));
        match unreachable.min() {
            None => Ok(()),
            Some(token) => Err(TokenizerError::Unreachable { token: excerpt(token) }),
        }
    }
}

fn parse(file: &'static str, bytes: &[u8]) -> Result<Value, TokenizerError> {
    json::parse(bytes).map_err(|source| TokenizerError::Json { file, source })
}

/// Token to id, each id once.
fn vocabulary(file: &'static str, value: &Value) -> Result<HashMap<String, u32>, TokenizerError> {
    let tokens = value.as_object().ok_or(TokenizerError::NotAnObject { file })?;
    if tokens.len() > MOST_TOKENS {
        return Err(TokenizerError::TooMany { file, most: MOST_TOKENS });
    }
    let (mut ids, mut seen) = (HashMap::with_capacity(tokens.len()), HashMap::with_capacity(tokens.len()));
    for (token, value) in tokens {
        let id = token_id(value).ok_or_else(|| TokenizerError::Id {
            file,
            token: excerpt(token),
            id: excerpt(&value.to_string()),
            most: MOST_TOKENS,
        })?;
        if let Some(other) = seen.insert(id, token) {
            let (first, second) = (excerpt(other), excerpt(token));
            return Err(TokenizerError::SameId { file, id, first, second });
        }
        ids.insert(token.clone(), id);
    }
    Ok(ids)
}

fn token_id(value: &Value) -> Option<u32> {
    value.as_u64().filter(|id| *id < MOST_TOKENS as u64).map(|id| id as u32)
}

fn added_tokens(bytes: Option<&[u8]>) -> Result<BTreeMap<String, u32>, TokenizerError> {
    let file = "added_tokens.json";
    let Some(bytes) = bytes else { return Ok(BTreeMap::new()) };
    Ok(vocabulary(file, &parse(file, bytes)?)?.into_iter().collect())
}

/// `tokenizer.json` of the tokenizers library, as far as it concerns a CLIP tokenizer.
struct TokenizerJson {
    ids: HashMap<String, u32>,
    merges: Vec<(String, String)>,
    added: BTreeMap<String, u32>,
}

impl TokenizerJson {
    const FILE: &str = "tokenizer.json";

    fn parse(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let value = parse(Self::FILE, bytes)?;
        let model = &value["model"];
        let unsupported = |what: &str| TokenizerError::Unsupported { file: Self::FILE, what: what.to_owned() };
        // Old files do not name the kind; WordPiece and Unigram have no merges.
        if model.get("type").is_some_and(|kind| kind != "BPE") || model.get("merges").is_none() {
            return Err(unsupported("another model than byte-pair encoding (BPE)"));
        }
        if model.get("end_of_word_suffix").is_none_or(|suffix| suffix != END_OF_WORD) {
            return Err(unsupported("an end_of_word_suffix other than </w>"));
        }
        let pairs = model["merges"].as_array().ok_or_else(|| unsupported("merges that are no list"))?;
        let pairs = pairs.iter().map(|pair| merge(pair).ok_or_else(|| unsupported("a merge that is not two tokens")));
        let merges = pairs.collect::<Result<_, _>>()?;
        let mut added = BTreeMap::new();
        for token in value.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
            let (Some(content), Some(id)) = (token["content"].as_str(), token_id(&token["id"])) else {
                return Err(unsupported("an added token without content or id"));
            };
            if ["lstrip", "rstrip", "single_word"].iter().any(|flag| token[*flag] == true) {
                return Err(TokenizerError::UnsupportedSpecialToken { token: excerpt(content) });
            }
            added.insert(content.to_owned(), id);
        }
        Ok(Self { ids: vocabulary(Self::FILE, &model["vocab"])?, merges, added })
    }
}

/// A merge is written `"a b"` or `["a", "b"]`.
fn merge(pair: &Value) -> Option<(String, String)> {
    match pair {
        Value::String(text) => text.split_once(' ').map(|(first, second)| (first.to_owned(), second.to_owned())),
        Value::Array(pair) => match &pair[..] {
            [Value::String(first), Value::String(second)] => Some((first.clone(), second.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// Pairs of `merges.txt`, which starts with a version line.
fn parse_merges(bytes: &[u8]) -> Result<Vec<(String, String)>, TokenizerError> {
    let text = std::str::from_utf8(bytes).map_err(TokenizerError::MergesEncoding)?;
    let header = usize::from(text.trim_start().starts_with("#version"));
    text.trim()
        .lines()
        .enumerate()
        .skip(header)
        .take(MAX_MERGES)
        .map(|(index, line)| {
            let mut tokens = line.split_whitespace();
            match (tokens.next(), tokens.next(), tokens.next()) {
                (Some(first), Some(second), None) => Ok((first.to_owned(), second.to_owned())),
                _ => Err(TokenizerError::MergesLine { line: index + 1 }),
            }
        })
        .collect()
}
