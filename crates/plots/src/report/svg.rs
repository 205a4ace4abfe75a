//! Makes an SVG document a part of the page: without prolog and comments, and with ids that belong to it alone.

/// The drawing `svg` with `prefix` in front of every id and of every reference to one.
///
/// References are `#id` in `href`, `url(#id)` anywhere in an attribute, and the names in `aria-labelledby` and
/// `aria-describedby`. Style sheets inside the drawing are not rewritten.
pub(super) fn inline(svg: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(svg.len() + svg.len() / 8);
    let mut rest = svg.trim_start_matches('\u{feff}');
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = markup_end(rest);
        let (markup, after) = rest.split_at(end);
        if !markup.starts_with("<?") && !markup.starts_with("<!") {
            tag(markup, prefix, &mut out);
        } else if markup.starts_with("<![CDATA[") {
            out.push_str(markup);
        }
        rest = after;
    }
    out.push_str(rest);
    out.trim().to_owned()
}

/// Where the markup that `text` starts with ends. A `>` inside quotes does not end a tag.
fn markup_end(text: &str) -> usize {
    for (open, close) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
        if text.starts_with(open) {
            return text.find(close).map_or(text.len(), |at| at + close.len());
        }
    }
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '>' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Copies one tag, attribute by attribute.
fn tag(markup: &str, prefix: &str, out: &mut String) {
    let mut rest = markup;
    while let Some(open) = rest.find(['"', '\'']) {
        let quote = if rest.as_bytes()[open] == b'"' { '"' } else { '\'' };
        let Some(length) = rest[open + 1..].find(quote) else { break };
        let (before, value) = (&rest[..=open], &rest[open + 1..open + 1 + length]);
        out.push_str(before);
        attribute(name(before), value, prefix, out);
        out.push(quote);
        rest = &rest[open + length + 2..];
    }
    out.push_str(rest);
}

/// The attribute's name in front of `="`.
fn name(before: &str) -> &str {
    let before = before.trim_end_matches(['"', '\'']).trim_end().trim_end_matches('=').trim_end();
    before.rsplit(|c: char| c.is_whitespace() || c == '<').next().unwrap_or_default()
}

fn attribute(name: &str, value: &str, prefix: &str, out: &mut String) {
    match name {
        "id" => {
            out.push_str(prefix);
            out.push_str(value);
        }
        "href" | "xlink:href" if value.starts_with('#') => {
            out.push('#');
            out.push_str(prefix);
            out.push_str(&value[1..]);
        }
        "aria-labelledby" | "aria-describedby" => {
            let names: Vec<_> = value.split_whitespace().map(|id| format!("{prefix}{id}")).collect();
            out.push_str(&names.join(" "));
        }
        _ => out.push_str(&value.replace("url(#", &format!("url(#{prefix}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::inline;

    #[test]
    fn every_id_and_reference_gets_the_prefix() {
        let svg = r##"<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd">
<!-- id="no" --><svg aria-labelledby="t d"><title id='t'>a id="t" > b</title><desc id="d"/><clipPath id = "c"/>
<path d="M0>1" clip-path="url(#c)" style="fill:url(#g)"/><use xlink:href="#c" href='#c'/></svg>
"##;
        let expected = r##"<svg aria-labelledby="p-t p-d"><title id='p-t'>a id="t" > b</title><desc id="p-d"/><clipPath id = "p-c"/>
<path d="M0>1" clip-path="url(#p-c)" style="fill:url(#p-g)"/><use xlink:href="#p-c" href='#p-c'/></svg>"##;
        assert_eq!(inline(svg, "p-"), expected);
    }

    #[test]
    fn broken_markup_is_copied_and_does_not_panic() {
        for svg in ["", "text", "<", "<svg id=", "<svg id=\"a", "<svg é='\u{2603}", "a < b"] {
            assert_eq!(inline(svg, ""), svg.trim());
        }
        assert_eq!(inline("<!-- never closed", ""), "");
    }
}
