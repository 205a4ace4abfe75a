//! Special tokens: which they are and which ids they have, resolved from the tokenizer's JSON files.

use std::collections::{BTreeMap, HashMap};

use memscope_text::excerpt;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{TokenizerError, files::Vocabulary};
use crate::json;

const CONFIG: &str = "tokenizer_config.json";
const END_OF_TEXT: &str = "<|endoftext|>";
const START_OF_TEXT: &str = "<|startoftext|>";

/// The roles that transformers knows besides the four used here. Their tokens are only cut out of the text.
const OTHER_ROLES: [&str; 3] = ["sep_token", "cls_token", "mask_token"];

/// Ids and lengths that do not come from the merges.
///
/// Resolved as transformers 4.46.3's `CLIPTokenizer` does (docs/spec/models.md §3): class defaults, overridden by
/// `tokenizer_config.json`, overridden by `special_tokens_map.json` unless the former holds an
/// `added_tokens_decoder`. This gives Stable Diffusion 2 the padding token `!` (id 0), although its
/// `tokenizer_config.json` says end-of-text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerSpec {
    /// Tokens in an encoded prompt, including BOS, EOS and padding.
    pub context_length: usize,
    /// Begin-of-text id.
    pub bos_id: u32,
    /// End-of-text id.
    pub eos_id: u32,
    /// Id of a piece that the vocabulary lacks.
    pub unk_id: u32,
    /// Padding id; `None`: pad with EOS.
    pub pad_id: Option<u32>,
    /// Tokens that are recognised literally in a prompt, before any text cleaning, with their ids.
    ///
    /// All special tokens are, the padding token included: for Stable Diffusion 2 every `!` of a prompt is the
    /// padding id 0, not the word `!`.
    pub literals: BTreeMap<String, u32>,
}

impl TokenizerSpec {
    /// Resolves the special tokens against the vocabulary.
    pub(super) fn resolve(
        vocabulary: &Vocabulary,
        tokenizer_config: Option<&[u8]>,
        special_tokens_map: Option<&[u8]>,
        context_length: usize,
    ) -> Result<Self, TokenizerError> {
        // BOS and EOS must fit.
        if context_length < 2 {
            return Err(TokenizerError::ContextTooShort { context_length });
        }
        let config = object(CONFIG, tokenizer_config)?;
        check_settings(&config, context_length)?;
        let map = object("special_tokens_map.json", special_tokens_map)?;
        let added = added_tokens(&config)?;
        // As transformers: the decoder replaces the two files that older versions wrote in its place.
        let (map, mut literals) = match config.contains_key("added_tokens_decoder") {
            true => (Map::new(), BTreeMap::new()),
            false => (map, vocabulary.added.clone()),
        };
        let files = [&map, &config];
        let vocab = &vocabulary.ids;
        for (id, token) in added {
            literals.insert(token.content()?, id);
        }
        let mut id_of = |role: &'static str, content: String| {
            if let Some(&id) = literals.get(&content) {
                return Ok(id);
            }
            let &id = vocab
                .get(&content)
                .ok_or_else(|| TokenizerError::SpecialTokenNotInVocabulary { role, token: content.clone() })?;
            literals.insert(content, id);
            Ok(id)
        };
        let mut required = |role: &'static str, default: &str| {
            let content = lookup(&files, role, Some(default))?.ok_or(TokenizerError::MissingSpecialToken { role })?;
            id_of(role, content)
        };
        let bos_id = required("bos_token", START_OF_TEXT)?;
        let eos_id = required("eos_token", END_OF_TEXT)?;
        let unk_id = required("unk_token", END_OF_TEXT)?;
        let pad_id =
            lookup(&files, "pad_token", Some(END_OF_TEXT))?.map(|content| id_of("pad_token", content)).transpose()?;
        for role in OTHER_ROLES {
            if let Some(content) = lookup(&files, role, None)? {
                id_of(role, content)?;
            }
        }
        for file in files {
            if let Some(Value::Array(tokens)) = file.get("additional_special_tokens") {
                for token in tokens {
                    let role = "additional_special_tokens";
                    id_of(role, Token::parse(role, token)?.content()?)?;
                }
            }
        }
        check_ids(&literals, vocab)?;
        Ok(Self { context_length, bos_id, eos_id, unk_id, pad_id: pad_id.filter(|&id| id != eos_id), literals })
    }
}

/// Refuses settings that give prompts other ids than usual: padding or cutting on the left, and fewer tokens than the text
/// encoder has positions, to which the pipeline pads (diffusers 0.42, `encode_prompt`). More tokens it cannot encode.
fn check_settings(config: &Map<String, Value>, context_length: usize) -> Result<(), TokenizerError> {
    let refuse = |what: String| Err(TokenizerError::Unsupported { file: CONFIG, what });
    for side in ["padding_side", "truncation_side"] {
        match config.get(side) {
            None | Some(Value::Null) => {}
            Some(value) if value == "right" => {}
            Some(value) => return refuse(format!("{side} {}, not \"right\"", excerpt(&value.to_string()))),
        }
    }
    match config.get("model_max_length").and_then(Value::as_f64) {
        Some(most) if most < context_length as f64 => {
            refuse(format!("model_max_length {most} where the text encoder has {context_length} positions"))
        }
        _ => Ok(()),
    }
}

/// Refuses two tokens with one id: which of them a prompt means would be chance. The padding token may be a word of the
/// vocabulary.
fn check_ids(literals: &BTreeMap<String, u32>, vocab: &HashMap<String, u32>) -> Result<(), TokenizerError> {
    let mut by_id: HashMap<u32, &str> = vocab.iter().map(|(token, id)| (*id, token.as_str())).collect();
    for (token, id) in literals {
        match by_id.insert(*id, token) {
            Some(other) if other != token => {
                let (first, second) = (excerpt(other), excerpt(token));
                return Err(TokenizerError::SameId { file: "the tokenizer", id: *id, first, second });
            }
            _ => {}
        }
    }
    Ok(())
}

/// A special token as the JSON files write it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Added(AddedToken),
}

#[derive(Debug, Deserialize)]
struct AddedToken {
    content: String,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
}

impl Token {
    fn parse(role: &str, value: &Value) -> Result<Self, TokenizerError> {
        Self::deserialize(value).map_err(|_| TokenizerError::MalformedSpecialToken { role: role.to_owned() })
    }

    /// The literal text. No CLIP tokenizer strips around its special tokens, so doing that is not implemented.
    fn content(self) -> Result<String, TokenizerError> {
        match self {
            Self::Text(content) => Ok(content),
            Self::Added(AddedToken { content, lstrip: false, rstrip: false, single_word: false }) => Ok(content),
            Self::Added(AddedToken { content, .. }) => Err(TokenizerError::UnsupportedSpecialToken { token: content }),
        }
    }
}

fn object(file: &'static str, bytes: Option<&[u8]>) -> Result<Map<String, Value>, TokenizerError> {
    bytes.map_or_else(
        || Ok(Map::new()),
        |bytes| match json::parse(bytes) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(TokenizerError::NotAnObject { file }),
            Err(source) => Err(TokenizerError::Json { file, source }),
        },
    )
}

/// `added_tokens_decoder`: id (as a string) to token.
fn added_tokens(config: &Map<String, Value>) -> Result<Vec<(u32, Token)>, TokenizerError> {
    let role = "added_tokens_decoder";
    let malformed = || TokenizerError::MalformedSpecialToken { role: role.to_owned() };
    match config.get(role) {
        None => Ok(Vec::new()),
        Some(Value::Object(tokens)) => tokens
            .iter()
            .map(|(id, token)| {
                let id = id.parse().map_err(|_| malformed())?;
                Ok((id, Token::parse(role, token)?))
            })
            .collect(),
        Some(_) => Err(malformed()),
    }
}

/// The token of a role in the first file that mentions it; an explicit `null` means that there is none.
fn lookup(files: &[&Map<String, Value>], role: &str, default: Option<&str>) -> Result<Option<String>, TokenizerError> {
    match files.iter().find_map(|file| file.get(role)) {
        None => Ok(default.map(str::to_owned)),
        Some(Value::Null) => Ok(None),
        Some(value) => Token::parse(role, value)?.content().map(Some),
    }
}
