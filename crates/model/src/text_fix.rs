//! Repair of broken text before tokenizing, as the reference environment does (docs/spec/protocol.md §9 row 20).
//!
//! With `ftfy` installed, transformers' `CLIPTokenizer` runs `ftfy.fix_text` with its defaults on every prompt:
//! mojibake is decoded, curly quotes become straight, ligatures and full-width letters are taken apart, HTML entities
//! are decoded unless the text holds a `<`, terminal escapes and control characters go, and the result is in NFC.
//! This module gets the same from `plsfix`, a port of ftfy 6, with some steps that `plsfix` 0.1.8 does differently
//! from ftfy 6.3.1 done here. What still differs: a character reference that names no character (`&#0;`, `&#xD800;`)
//! stays as it is instead of becoming U+FFFD, and mojibake made by Windows-1257 (Baltic), and once in a while by
//! other non-Western code pages, is recognised in other cases.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use plsfix::TextFixerConfig;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Rounds after which a text counts as repaired even if one more would change it; ftfy has no such limit, and no text
/// is known to need more than three.
const MAX_ROUNDS: usize = 16;

/// Whether a prompt is repaired before it is tokenized; written `off` or `ftfy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextFix {
    /// The text is taken as it is.
    Off,
    /// The text is repaired as by ftfy 6.3.1 with its defaults.
    #[default]
    Ftfy,
}

impl fmt::Display for TextFix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Ftfy => "ftfy",
        })
    }
}

/// A name that is not a way of repairing text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown text fix `{0}`: expected off or ftfy")]
pub struct ParseTextFixError(String);

impl FromStr for TextFix {
    type Err = ParseTextFixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "ftfy" => Ok(Self::Ftfy),
            other => Err(ParseTextFixError(other.to_owned())),
        }
    }
}

/// Repairs `text`, line by line.
pub fn fix_text(text: &str, fix: TextFix) -> Cow<'_, str> {
    match fix {
        TextFix::Off => Cow::Borrowed(text),
        // Nothing that ftfy repairs is spelled in these characters alone.
        TextFix::Ftfy if text.chars().all(is_plain) => Cow::Borrowed(text),
        TextFix::Ftfy => Cow::Owned(fix_lines(text)),
    }
}

/// Printable ASCII except `&`, which may start an HTML entity.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && c != '&'
}

fn fix_lines(text: &str) -> String {
    let mut html = Html::Entities;
    let mut fixed = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // From the first tag on, the rest of the text counts as markup.
        if line.contains('<') {
            html = Html::Markup;
        }
        fixed.push_str(&fix_line(line, html));
    }
    fixed
}

/// What `&name;` means in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Html {
    /// An HTML entity, to be decoded.
    Entities,
    /// Part of markup, to be left alone.
    Markup,
}

/// One line: rounds of repair until nothing changes.
fn fix_line(line: &str, html: Html) -> String {
    let config = TextFixerConfig {
        // `plsfix` misspells the escape character, and it drops control characters before they can be found. Both are
        // done below.
        remove_terminal_escapes: false,
        remove_control_chars: false,
        // It would cut a long line at a byte that need not be a character boundary.
        max_decode_length: i32::MAX,
        ..TextFixerConfig::default()
    };
    let mut text = line.to_owned();
    for _ in 0..MAX_ROUNDS {
        // `plsfix` decodes entities whatever its `unescape_html` says. A control character, which is removed below in
        // any case, keeps it from seeing them.
        let guarded = match html {
            Html::Entities => Cow::Borrowed(text.as_str()),
            Html::Markup => Cow::Owned(text.replace('&', "&\u{1}")),
        };
        let repaired = plsfix::fix_and_explain(&guarded, false, Some(&config)).text;
        let mut cleaned = remove_terminal_escapes(&repaired);
        cleaned.retain(|c| !is_removed_control(c));
        if cleaned == text {
            break;
        }
        text = cleaned;
    }
    text
}

/// Removes `ESC [ digits-and-semicolons letter`, which set colours in a terminal.
fn remove_terminal_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(start);
        kept.push_str(before);
        let parameters = &sequence[2..];
        let end = parameters.find(|c: char| !(c.is_ascii_digit() || c == ';'));
        let end = end.filter(|&end| parameters.as_bytes()[end].is_ascii_alphabetic());
        if let Some(end) = end {
            rest = &parameters[end + 1..];
        } else {
            kept.push_str(&sequence[..2]);
            rest = parameters;
        }
    }
    kept.push_str(rest);
    kept
}

/// The characters that `ftfy.fixes.remove_control_chars` drops: ASCII controls that are not white space, deprecated
/// Arabic controls, interlinear annotations, the object replacement character and the byte order mark.
fn is_removed_control(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{8}'
            | '\u{b}'
            | '\u{e}'..='\u{1f}'
            | '\u{7f}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}'
    )
}
