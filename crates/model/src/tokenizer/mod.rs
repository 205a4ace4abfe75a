//! CLIP's prompt tokenizer: text to a fixed number of token ids.
//!
//! Reproduces transformers 4.46.3's `CLIPTokenizer`, the class that the reference pipelines use (docs/spec/models.md §3).
//! The BPE itself is the `tokenizers` crate's; what surrounds it differs from that crate's usual CLIP pipeline:
//!
//! 1. special tokens are cut out of the raw text first, the longest one where several fit;
//! 2. each remaining stretch is repaired ([`TextFix`]), NFC-normalised and lower-cased as a whole;
//! 3. CLIP's pattern finds the words in it: contractions, runs of letters, single digits, runs of anything else;
//!    white space only separates;
//! 4. each word's UTF-8 bytes are written in the byte alphabet and merged, the last piece ending in `</w>`.

mod byte_level;
mod spec;

use std::collections::HashMap;
use std::fmt;

use thiserror::Error;
use tokenizers::models::bpe::BPE;
use tokenizers::utils::SysRegex;
use tokenizers::{Model, NormalizedString};

use self::byte_level::ByteAlphabet;
pub use self::spec::TokenizerSpec;
use crate::text_fix::{TextFix, fix_text};

/// End of a word, part of the last token of every word.
const END_OF_WORD: &str = "</w>";

/// CLIP's word pattern. Case is ignored although the text is lower-cased already, because the reference does so: the
/// long s of `'ſ` makes a contraction. Its regex engine then also sees a cased letter in the mark U+0345 and drops it,
/// as neither letter nor other.
const WORD: &str = concat!(
    r"(?i:<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d)",
    r"|\p{L}+|\p{N}|[^\s\p{L}\p{N}\x{345}]+"
);

/// Words that are one token without going through the merges: special tokens that appear only after the text was
/// repaired or lower-cased.
const WHOLE_WORDS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// Controls that Python's `strip` takes for white space, although neither Unicode nor the word pattern does.
const PYTHON_SPACE: std::ops::RangeInclusive<char> = '\u{1c}'..='\u{1f}';

/// The reference reads this many lines of `merges.txt` after the header.
const MAX_MERGES: usize = 49_152 - 256 - 2;

/// What is wrong with a tokenizer's files.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// A JSON file does not parse.
    #[error("{file} is not valid")]
    Json {
        /// File name.
        file: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// `merges.txt` is not UTF-8.
    #[error("merges.txt is not UTF-8")]
    MergesEncoding(#[source] std::str::Utf8Error),
    /// A line of `merges.txt` is not two tokens.
    #[error("merges.txt, line {line}: expected two tokens separated by a space")]
    MergesLine {
        /// Line number, from 1.
        line: usize,
    },
    /// The merges do not fit the vocabulary.
    #[error("merges.txt does not fit vocab.json")]
    Bpe(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A special token is neither a string nor an object with `content`.
    #[error("`{role}` is not a token: expected a string or an object with `content`")]
    MalformedSpecialToken {
        /// Key in the JSON file.
        role: String,
    },
    /// A special token asks for stripping, which is not implemented.
    #[error("special token `{token}` asks for lstrip, rstrip or single_word, which are not supported")]
    UnsupportedSpecialToken {
        /// The token's text.
        token: String,
    },
    /// A token that encoding needs is set to null.
    #[error("the tokenizer has no `{role}`")]
    MissingSpecialToken {
        /// Key in the JSON file.
        role: &'static str,
    },
    /// A special token has no id.
    #[error("`{role}` is `{token}`, which vocab.json does not contain")]
    SpecialTokenNotInVocabulary {
        /// Key in the JSON file.
        role: &'static str,
        /// The token's text.
        token: String,
    },
    /// There is no room for BOS and EOS.
    #[error("a context of {context_length} tokens has no room for the begin and end tokens")]
    ContextTooShort {
        /// The length asked for.
        context_length: usize,
    },
}

/// An encoded prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids: BOS, text, EOS, padding; as many as the context length.
    pub ids: Vec<u32>,
    /// Ids before the padding, BOS and EOS included.
    pub length: usize,
    /// The end of the prompt that did not fit, as the lower-cased text of its tokens.
    pub cut: Option<String>,
}

/// A CLIP tokenizer, built from the files of a `tokenizer` folder.
pub struct PromptTokenizer {
    spec: TokenizerSpec,
    text_fix: TextFix,
    bpe: BPE,
    /// Id to token, special tokens included.
    texts: HashMap<u32, String>,
    words: SysRegex,
    alphabet: ByteAlphabet,
}

impl PromptTokenizer {
    /// Builds a tokenizer from the contents of `vocab.json`, `merges.txt`, `tokenizer_config.json` and
    /// `special_tokens_map.json`.
    ///
    /// `context_length`: ids in an encoded prompt, 77 for Stable Diffusion. Text is not repaired unless
    /// [`Self::with_text_fix`] says so.
    pub fn from_files(
        vocab: &[u8],
        merges: &[u8],
        tokenizer_config: Option<&[u8]>,
        special_tokens_map: Option<&[u8]>,
        context_length: usize,
    ) -> Result<Self, TokenizerError> {
        let vocab: HashMap<String, u32> =
            serde_json::from_slice(vocab).map_err(|source| TokenizerError::Json { file: "vocab.json", source })?;
        let spec = TokenizerSpec::resolve(&vocab, tokenizer_config, special_tokens_map, context_length)?;
        let mut texts: HashMap<u32, String> = vocab.iter().map(|(text, &id)| (id, text.clone())).collect();
        for (text, &id) in &spec.literals {
            texts.insert(id, text.clone());
        }
        let bpe = BPE::builder()
            .vocab_and_merges(vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>(), parse_merges(merges)?)
            .end_of_word_suffix(END_OF_WORD.to_owned())
            .unk_token(texts.get(&spec.unk_id).cloned().unwrap_or_default())
            .build()
            .map_err(TokenizerError::Bpe)?;
        let words = SysRegex::new(WORD).map_err(TokenizerError::Bpe)?;
        Ok(Self { spec, text_fix: TextFix::Off, bpe, texts, words, alphabet: ByteAlphabet::new() })
    }

    /// Repairs every prompt before it is encoded (docs/spec/protocol.md §9 row 20).
    ///
    /// The repair belongs inside the tokenizer: the reference applies it to the stretches between special tokens, not
    /// to the whole prompt.
    #[must_use]
    pub fn with_text_fix(mut self, text_fix: TextFix) -> Self {
        self.text_fix = text_fix;
        self
    }

    /// The resolved special tokens.
    pub fn spec(&self) -> &TokenizerSpec {
        &self.spec
    }

    /// Ids in an encoded prompt.
    pub fn context_length(&self) -> usize {
        self.spec.context_length
    }

    /// Begin-of-text id.
    pub fn bos_id(&self) -> u32 {
        self.spec.bos_id
    }

    /// End-of-text id.
    pub fn eos_id(&self) -> u32 {
        self.spec.eos_id
    }

    /// Padding id.
    pub fn pad_id(&self) -> u32 {
        self.spec.pad_id.unwrap_or(self.spec.eos_id)
    }

    /// Encodes a prompt: BOS, the first `context_length - 2` ids of the text, EOS, padding.
    pub fn encode(&self, text: &str) -> Tokens {
        let text_ids = self.text_ids(text);
        let room = self.spec.context_length - 2;
        let (kept, rest) = text_ids.split_at(room.min(text_ids.len()));
        let cut = (!rest.is_empty()).then(|| self.decode(rest));
        let mut ids = Vec::with_capacity(self.spec.context_length);
        ids.push(self.spec.bos_id);
        ids.extend_from_slice(kept);
        ids.push(self.spec.eos_id);
        let length = ids.len();
        ids.resize(self.spec.context_length, self.pad_id());
        Tokens { ids, length, cut }
    }

    /// What each of the first `length` ids stands for, BOS and EOS included: for labels.
    ///
    /// The end-of-word mark is left out. A token that holds part of a character only is shown as U+FFFD.
    pub fn token_texts(&self, tokens: &Tokens) -> Vec<String> {
        let ids = &tokens.ids[..tokens.length.min(tokens.ids.len())];
        ids.iter().map(|&id| self.decode(&[id])).collect()
    }

    fn text_ids(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((before, id, after)) = self.next_literal(rest) {
            self.push_words(before, &mut ids);
            ids.push(id);
            rest = after;
        }
        self.push_words(rest, &mut ids);
        ids
    }

    /// The first special token in `text`, the longest one if several start there: what precedes it, its id, what
    /// follows.
    fn next_literal<'t>(&self, text: &'t str) -> Option<(&'t str, u32, &'t str)> {
        let literals = self.spec.literals.iter().filter(|(literal, _)| !literal.is_empty());
        let (start, length, id) = literals
            .filter_map(|(literal, &id)| Some((text.find(literal.as_str())?, literal.len(), id)))
            .min_by_key(|&(start, length, _)| (start, std::cmp::Reverse(length)))?;
        Some((&text[..start], id, &text[start + length..]))
    }

    fn push_words(&self, text: &str, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let fixed = fix_text(text, self.text_fix);
        let mut normalized = NormalizedString::from(fixed.as_ref());
        // As one string, not character by character: a final sigma depends on what stands around it.
        let lower = normalized.nfc().get().to_lowercase();
        let stripped = lower.trim_matches(|c: char| c.is_whitespace() || PYTHON_SPACE.contains(&c));
        for (start, end) in self.words.find_iter(stripped) {
            self.push_word(&stripped[start..end], ids);
        }
    }

    fn push_word(&self, word: &str, ids: &mut Vec<u32>) {
        if WHOLE_WORDS.contains(&word) {
            let id = self.bpe.token_to_id(word);
            ids.push(id.unwrap_or(self.spec.unk_id));
            return;
        }
        match self.bpe.tokenize(&self.alphabet.encode(word)) {
            Ok(pieces) => ids.extend(pieces.iter().map(|piece| piece.id)),
            // The vocabulary lacks both a byte of the word and the unknown token, which is then an added one.
            Err(_) => ids.push(self.spec.unk_id),
        }
    }

    fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        for id in ids {
            text.push_str(self.texts.get(id).map_or("", String::as_str));
        }
        let spaced = self.alphabet.decode(&text).replace(END_OF_WORD, " ");
        spaced.trim().to_owned()
    }
}

impl fmt::Debug for PromptTokenizer {
    /// Leaves the vocabulary out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptTokenizer")
            .field("spec", &self.spec)
            .field("text_fix", &self.text_fix)
            .finish_non_exhaustive()
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
