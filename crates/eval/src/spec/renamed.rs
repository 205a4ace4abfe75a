//! Keys and words of earlier versions, and what they are called now.

/// Fields: the old name and the new one.
const FIELDS: [(&str, &str); 3] = [("probes", "analyses"), ("probes", "probe_vectors"), ("fpr", "target_fpr")];

/// Words: the old one and the new one.
const WORDS: [(&str, &str); 3] =
    [("x,c|x", "unconditional_delta"), ("x,x|c", "conditional_unconditional"), ("x|c,c|x", "conditional_delta")];

/// What an unknown field or word of a parser's message is called now.
pub(super) fn hint(message: &str) -> Option<String> {
    // The parser's first line lists what it expects, which tells a field's place; an excerpt of the file follows.
    let message = message.lines().next()?;
    let field =
        |(old, new): &&(&str, &str)| message.contains(&format!("unknown field `{old}`")) && message.contains(new);
    let word = |(old, _): &&(&str, &str)| message.contains(&format!("unknown variant `{old}`"));
    let (old, new) = FIELDS.iter().find(field).or_else(|| WORDS.iter().find(word))?;
    Some(format!("'{old}' is now called '{new}'"))
}
