//! What others wrote (files, servers, arguments) in a message: short, and without characters that a terminal acts on.

/// Characters of a name or a value at most.
const MOST: usize = 80;
/// Characters of a sentence or a list at most.
const MOST_OF_SENTENCE: usize = 200;

/// The beginning of a name or a value for a message: at most 80 characters, see [`shortened`].
pub fn excerpt(text: &str) -> String {
    shortened(text, MOST)
}

/// The beginning of a sentence, a list or a prompt for a message: at most 200 characters, see [`shortened`].
pub fn long_excerpt(text: &str) -> String {
    shortened(text, MOST_OF_SENTENCE)
}

/// At most `most` characters of a text; those that [`steers`] names are escaped as Rust writes them, and `…` stands for
/// what is left out. Takes no longer for a longer text.
pub fn shortened(text: &str, most: usize) -> String {
    let mut characters = text.chars();
    let mut short = String::new();
    for c in characters.by_ref().take(most) {
        if steers(c) { short.extend(c.escape_default()) } else { short.push(c) }
    }
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// Whether a terminal acts on a character: control characters, and Unicode's marks and overrides of direction.
pub fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_neither_steer_nor_flood_a_terminal() {
        assert_eq!(excerpt("conv_in.weight, é 犬"), "conv_in.weight, é 犬");
        assert_eq!(excerpt("red\u{1b}[2J apple\n"), "red\\u{1b}[2J apple\\n");
        assert_eq!(excerpt("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(excerpt(&"é".repeat(100_000)), format!("{}…", "é".repeat(MOST)));
        assert_eq!(long_excerpt(&"é".repeat(100_000)), format!("{}…", "é".repeat(MOST_OF_SENTENCE)));
        assert_eq!(shortened("four", 4), "four");
        assert_eq!(shortened("four", 3), "fou…");
    }
}
