//! JSON as Python writes it: `json.dump` puts `NaN`, `Infinity` and `-Infinity` where numbers may stand, which JSON does
//! not know.

use std::borrow::Cow;

use serde_json::Value;

/// The words, with how they are kept: as texts, so that whoever asks for a number refuses them by name, and fields that
/// nobody reads may hold them.
const WORDS: [(&[u8], &[u8]); 3] =
    [(b"-Infinity", b"\"-Infinity\""), (b"Infinity", b"\"Infinity\""), (b"NaN", b"\"NaN\"")];

/// Parses a JSON text in which Python's words for numbers that are none may stand.
///
/// # Errors
///
/// Where the text is no such JSON: the position and what was expected.
pub(crate) fn parse(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(&as_strict(text))
}

fn as_strict(text: &[u8]) -> Cow<'_, [u8]> {
    if !WORDS.iter().any(|(word, _)| text.windows(word.len()).any(|window| window == *word)) {
        return Cow::Borrowed(text);
    }
    let (mut strict, mut in_text, mut rest) = (Vec::with_capacity(text.len() + 64), false, text);
    while let Some((&byte, after)) = rest.split_first() {
        if !in_text && let Some((word, kept)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            strict.extend_from_slice(kept);
            rest = &rest[word.len()..];
            continue;
        }
        strict.push(byte);
        rest = after;
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                if let Some((&escaped, after)) = rest.split_first() {
                    strict.push(escaped);
                    rest = after;
                }
            }
            _ => {}
        }
    }
    Cow::Owned(strict)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is what `json.dumps({"a": float("-inf"), "b": [float("nan"), float("inf")], "c": "NaN \" -Infinity"})`
    /// gives in Python.
    #[test]
    fn the_words_of_python_are_kept_as_texts() {
        let text = br#"{"a": -Infinity, "b": [NaN, Infinity], "c": "NaN \" -Infinity"}"#;
        let expected = serde_json::json!({"a": "-Infinity", "b": ["NaN", "Infinity"], "c": "NaN \" -Infinity"});
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse(b"{}").unwrap(), serde_json::json!({}));
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for wrong in [&b"{\"a\": nan}"[..], b"{NaN: 1}x", b"{\"a\": NaNN}", b"{\"a\": +Infinity}", b""] {
            assert!(parse(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
