/// Most characters of a text that a message repeats.
const MOST: usize = 200;

/// The beginning of a text for messages: control characters escaped, cut where it is long.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(MOST).flat_map(escaped).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}
