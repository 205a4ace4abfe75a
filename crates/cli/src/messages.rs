//! Messages to standard error: whatever they repeat of files and arguments can neither steer a terminal nor flood it, and a
//! reader that went away is no error.

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
};

use memscope_text::steers;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Characters of a message at most.
const MOST: usize = 4_000;

/// A text made fit for a terminal: control characters, and marks that turn the direction of writing, are escaped; line ends
/// and tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if steers(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// [`visible`], cut where it is long.
fn bounded(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => visible(&text[..end]) + "…",
        None => visible(text),
    }
}

/// Says something on standard error.
pub(crate) fn note(text: &str) {
    // Nobody is there to be told that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", bounded(text));
}

/// Logs go to standard error; `MEMSCOPE_LOG` overrides `-v`.
pub(crate) fn log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("MEMSCOPE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("memscope={level},{}", crates(level))));
    let colour =
        std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .event_format(Line { colour })
        .init();
}

fn crates(level: &str) -> String {
    ["hub", "model", "metric", "baselines", "mitigation", "judges", "eval", "results", "plots"]
        .map(|name| format!("memscope_{name}={level}"))
        .join(",")
}

/// One line an event: level, message, fields.
struct Line {
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        let mut text = Text::default();
        event.record(&mut text);
        let text = bounded(&text.0);
        match colour(level).filter(|_| self.colour) {
            Some(colour) => writeln!(writer, "\u{1b}[{colour}m{level:>5}\u{1b}[0m {text}"),
            None => writeln!(writer, "{level:>5} {text}"),
        }
    }
}

/// The terminal's number of a level's colour.
fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::INFO => Some(32),
        _ => None,
    }
}

/// The message of an event, then its fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_neither_steer_nor_flood_a_terminal() {
        assert_eq!(visible("red\u{1b}[2J\r\u{9b}1m\n\tcat"), "red\\u{1b}[2J\\u{d}\\u{9b}1m\n\tcat");
        assert_eq!(visible("a\u{202e}b é 犬"), "a\\u{202e}b é 犬");
        assert_eq!(bounded(&"ä".repeat(1_000_000)).chars().count(), MOST + 1);
    }
}
