//! Text from files, made fit for a message.

/// Characters of an excerpt at most.
const MOST: usize = 60;

/// The beginning of a text for a message: at most 60 characters, control characters escaped as Rust writes them.
pub fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == MOST {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_control_characters_do_not_reach_the_terminal() {
        assert_eq!(excerpt("red\u{1b}[2J apple"), "red\\u{1b}[2J apple");
        let long = excerpt(&"ä".repeat(1_000_000));
        assert_eq!(long.chars().count(), 61);
        assert!(long.ends_with('…'));
    }
}
