//! The shipped font: registering, measuring and breaking text.

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};
use std::sync::OnceLock;

/// The font's registered name, which is also the CSS value that SVG viewers see.
pub(crate) const FAMILY: &str = "DejaVu Sans, sans-serif";

/// Size of axis labels, panel titles and legends in pixels.
pub(crate) const LABEL: f64 = 16.0;

/// Size of tick labels, captions and secondary text in pixels.
pub(crate) const SMALL: f64 = 15.0;

/// Line height over font size.
pub(crate) const LEADING: f64 = 1.3;

/// Ascent plus descent of the font over its em, the unit in which plotters' glyph painter measures sizes.
pub(crate) const GLYPH_HEIGHT: f64 = 1.164;

static FONT: &[u8] = include_bytes!("../assets/DejaVuSans-subset.ttf");

/// Makes the font known to plotters, once per process.
pub(crate) fn register() -> Result<(), String> {
    static DONE: OnceLock<bool> = OnceLock::new();
    match DONE.get_or_init(|| register_font(FAMILY, FontStyle::Normal, FONT).is_ok()) {
        true => Ok(()),
        false => Err("the shipped font cannot be read".into()),
    }
}

/// Width of `text` in pixels at `size` pixels per em.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    const EM: f64 = 1000.0;
    let font = FontDesc::new(FontFamily::Name(FAMILY), EM * GLYPH_HEIGHT, FontStyle::Normal);
    let measured = register().ok().and_then(|()| font.box_size(text).ok());
    // Without the font every later step fails with its own error; a guess keeps the layout going until then.
    measured.map_or(0.6 * EM * text.chars().count() as f64, |(width, _)| f64::from(width)) * size / EM
}

/// `text` without the characters that XML forbids; line breaks and tabs become spaces.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\r' | '\t' => ' ',
            '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
            other if other.is_control() => '\u{FFFD}',
            other => other,
        })
        .collect()
}

/// Breaks `text` at spaces into lines of at most `limit` pixels; a longer word gets a line of its own.
pub(crate) fn wrap(text: &str, size: f64, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shorten(word, size, limit)),
        }
    }
    lines
}

/// `text`, cut and ended with an ellipsis where it is wider than `limit` pixels.
pub(crate) fn shorten(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if width(&format!("{kept}{character}…"), size) > limit {
            break;
        }
        kept.push(character);
    }
    kept + "…"
}
