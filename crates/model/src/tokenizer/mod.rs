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
mod error;
mod files;
mod literals;
mod spec;

use std::collections::HashMap;
use std::fmt;

use tokenizers::models::bpe::BPE;
use tokenizers::utils::SysRegex;
use tokenizers::{Model, NormalizedString};

use self::byte_level::ByteAlphabet;
pub use self::error::TokenizerError;
pub use self::files::TokenizerFiles;
use self::files::Vocabulary;
use self::literals::Literals;
pub use self::spec::TokenizerSpec;
use memscope_text::excerpt;

use crate::text_fix::{TextFix, fix_text};

/// Tokens of a prompt's end that are not read but told; of a longer end the beginning is.
const MOST_CUT: usize = 1000;

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

/// An encoded prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids: BOS, text, EOS, padding; as many as the context length.
    pub ids: Vec<u32>,
    /// Ids before the padding, BOS and EOS included.
    pub length: usize,
    /// The end of the prompt that did not fit, as the lower-cased text of its tokens; of a very long one its beginning.
    pub cut: Option<String>,
}

/// A CLIP tokenizer, built from the files of a `tokenizer` folder.
pub struct PromptTokenizer {
    spec: TokenizerSpec,
    text_fix: TextFix,
    bpe: BPE,
    /// Id to token, special tokens included.
    texts: HashMap<u32, String>,
    literals: Literals,
    words: SysRegex,
    alphabet: ByteAlphabet,
}

/// The byte alphabet in the order in which CLIP's vocabulary begins.
pub(crate) fn byte_alphabet() -> Vec<String> {
    ByteAlphabet::new().characters()
}

impl PromptTokenizer {
    /// Builds a tokenizer from the files of a `tokenizer` folder.
    ///
    /// `context_length`: ids in an encoded prompt, 77 for Stable Diffusion. Text is not repaired unless
    /// [`Self::with_text_fix`] says so.
    ///
    /// # Errors
    ///
    /// Where a file is missing or malformed, and where vocabulary, merges and special tokens do not fit each other.
    pub fn from_files(files: &TokenizerFiles, context_length: usize) -> Result<Self, TokenizerError> {
        let vocabulary = Vocabulary::read(files)?;
        let spec = TokenizerSpec::resolve(&vocabulary, files.config, files.special_tokens_map, context_length)?;
        vocabulary.check(|token| spec.literals.contains_key(token) || WHOLE_WORDS.contains(&token))?;
        let Vocabulary { ids, merges, .. } = vocabulary;
        let mut texts: HashMap<u32, String> = ids.iter().map(|(text, &id)| (id, text.clone())).collect();
        for (text, &id) in &spec.literals {
            texts.insert(id, text.clone());
        }
        let bpe = BPE::builder()
            .vocab_and_merges(ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
            .end_of_word_suffix(END_OF_WORD.to_owned())
            .unk_token(texts.get(&spec.unk_id).cloned().unwrap_or_default())
            .build()
            .map_err(TokenizerError::Bpe)?;
        let words = SysRegex::new(WORD).map_err(TokenizerError::Bpe)?;
        let literals = Literals::new(&spec.literals).map_err(|e| TokenizerError::Bpe(e.into()))?;
        Ok(Self { spec, text_fix: TextFix::Off, bpe, texts, literals, words, alphabet: ByteAlphabet::new() })
    }

    /// Refuses tokens for which a text encoder of `rows` tokens has no embedding; says so where it has more rows than
    /// there are tokens, which happens when a file of the tokenizer was lost.
    ///
    /// # Errors
    ///
    /// Where a token's id is `rows` or more.
    pub fn check_rows(&self, rows: usize) -> Result<(), TokenizerError> {
        match self.texts.iter().max_by_key(|(id, _)| **id) {
            Some((&id, token)) if id as usize >= rows => {
                Err(TokenizerError::BeyondVocabulary { token: excerpt(token), id, rows })
            }
            Some((&id, _)) if id as usize + 1 < rows => {
                tracing::warn!(
                    "the text encoder has {rows} token embeddings, the tokenizer ids up to {id}: tokens that were added \
                     to the model may be missing in the tokenizer's files"
                );
                Ok(())
            }
            _ => Ok(()),
        }
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

    /// The largest id that stands for a token.
    pub fn largest_id(&self) -> u32 {
        self.texts.keys().max().copied().unwrap_or_default()
    }

    /// Encodes a prompt: BOS, the first `context_length - 2` ids of the text, EOS, padding.
    pub fn encode(&self, text: &str) -> Tokens {
        let room = self.spec.context_length - 2;
        let text_ids = self.text_ids(text, room + MOST_CUT + 1);
        let (kept, rest) = text_ids.split_at(room.min(text_ids.len()));
        let cut = (!rest.is_empty()).then(|| match rest.get(..MOST_CUT) {
            Some(shown) if shown.len() < rest.len() => self.decode(shown) + "…",
            _ => self.decode(rest),
        });
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

    /// For each of [`Self::token_texts`] the whole word that the token is a part of; for a token that is a word, the same.
    pub fn token_words(&self, tokens: &Tokens) -> Vec<String> {
        let ids = &tokens.ids[..tokens.length.min(tokens.ids.len())];
        // BOS, EOS and added tokens have no mark of a word's end and stand for themselves.
        let is_part = |id: &u32| {
            let text = self.texts.get(id).map_or("", String::as_str);
            !text.ends_with(END_OF_WORD) && !self.spec.literals.contains_key(text)
        };
        let mut words = vec![];
        let mut rest = ids;
        while !rest.is_empty() {
            let parts = rest.iter().take_while(|id| is_part(id)).count();
            // The last part, which ends the word; where there is none, the prompt was cut inside the word.
            let is_literal = |text: &String| self.spec.literals.contains_key(text);
            let last = rest.get(parts).and_then(|id| self.texts.get(id)).is_some_and(|text| !is_literal(text));
            let length = if parts == 0 { 1 } else { parts + usize::from(last) };
            let word = self.decode(&rest[..length]);
            words.resize(words.len() + length, word);
            rest = &rest[length..];
        }
        words
    }

    /// The ids of a text; little more than `most` of a longer one.
    fn text_ids(&self, text: &str, most: usize) -> Vec<u32> {
        let text = self.literals.with_parts(text);
        let mut ids = Vec::new();
        let mut end = 0;
        for (range, id) in self.literals.find(&text) {
            self.push_words(&text[end..range.start], &mut ids, most);
            if ids.len() >= most {
                return ids;
            }
            ids.push(id);
            end = range.end;
        }
        self.push_words(&text[end..], &mut ids, most);
        ids
    }

    fn push_words(&self, text: &str, ids: &mut Vec<u32>, most: usize) {
        if text.is_empty() {
            return;
        }
        let fixed = fix_text(text, self.text_fix);
        let mut normalized = NormalizedString::from(fixed.as_ref());
        // As one string, not character by character: a final sigma depends on what stands around it.
        let lower = normalized.nfc().get().to_lowercase();
        let stripped = lower.trim_matches(|c: char| c.is_whitespace() || PYTHON_SPACE.contains(&c));
        for (start, end) in self.words.find_iter(stripped) {
            if ids.len() >= most {
                return;
            }
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
