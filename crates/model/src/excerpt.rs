//! What others wrote, in a message: short, and without characters that a terminal acts on.

/// Longest excerpt, in characters.
const LONGEST: usize = 80;

/// The beginning of a text with control characters escaped; `...` stands for what is left out.
pub(crate) fn excerpt(text: &str) -> String {
    let mut characters = text.chars();
    let mut short = String::new();
    for c in characters.by_ref().take(LONGEST) {
        if c.is_control() { short.extend(c.escape_default()) } else { short.push(c) }
    }
    if characters.next().is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_controls_escaped() {
        assert_eq!(excerpt("conv_in.weight"), "conv_in.weight");
        assert_eq!(excerpt("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(excerpt(&"é".repeat(100_000)), format!("{}...", "é".repeat(80)));
    }
}
