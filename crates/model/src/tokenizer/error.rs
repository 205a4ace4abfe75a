//! Errors of the tokenizer.

use thiserror::Error;

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
    /// A file that is needed is not there.
    #[error("tokenizer/{file} is missing; a tokenizer has vocab.json and merges.txt, or tokenizer.json")]
    MissingFile {
        /// File name.
        file: &'static str,
    },
    /// A JSON file is not an object of tokens and ids.
    #[error("{file} is not an object of tokens and their ids")]
    NotAnObject {
        /// File name.
        file: &'static str,
    },
    /// More tokens than any tokenizer has.
    #[error("{file} has more than {most} tokens")]
    TooMany {
        /// File name.
        file: &'static str,
        /// The limit.
        most: usize,
    },
    /// An id that is none.
    #[error("{file}: token '{token}' has the id {id}; ids are whole numbers from 0 to below {most}")]
    Id {
        /// File name.
        file: &'static str,
        /// The token.
        token: String,
        /// What stands there.
        id: String,
        /// The limit.
        most: usize,
    },
    /// Two tokens have one id.
    #[error("{file}: the tokens '{first}' and '{second}' have the same id {id}")]
    SameId {
        /// File name.
        file: &'static str,
        /// The id.
        id: u32,
        /// One token.
        first: String,
        /// The other.
        second: String,
    },
    /// A token that no merge makes.
    #[error("merges.txt does not belong to vocab.json, or is cut: no merge makes the token '{token}'")]
    Unreachable {
        /// The token.
        token: String,
    },
    /// `tokenizer.json` has an added token that the other files do not know.
    #[error(
        "tokenizer.json adds the token '{token}' (id {id}), which vocab.json, added_tokens.json and tokenizer_config.json do not have: versions of transformers would read different tokens; save the tokenizer again"
    )]
    Disagreement {
        /// The token.
        token: String,
        /// Its id there.
        id: u32,
    },
    /// A kind of tokenizer that is not implemented.
    #[error("{file} has {what}, which is not supported")]
    Unsupported {
        /// File name.
        file: &'static str,
        /// What it has.
        what: String,
    },
    /// The text encoder has no row for a token.
    #[error("the token '{token}' has the id {id}, but the text encoder knows only {rows} tokens (vocab_size)")]
    BeyondVocabulary {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the embedding table.
        rows: usize,
    },
    /// There is no room for BOS and EOS.
    #[error("a context of {context_length} tokens has no room for the begin and end tokens")]
    ContextTooShort {
        /// The length asked for.
        context_length: usize,
    },
}
