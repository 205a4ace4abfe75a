//! Text repair against ftfy.

use std::borrow::Cow;

use memscope_model::text_fix::{TextFix, fix_text};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<(String, String)>,
}

/// Where `plsfix` and ftfy part: what we make of a text of the fixture instead.
const KNOWN_DIFFERENCES: [(&str, &str); 3] = [
    // Character references that name no character: ftfy gives U+FFFD.
    ("&#0; &#x110000; &#xD800; &#99999999999;", "&#0; &#x110000; &#xD800; &#99999999999;"),
    // UTF-8 read as Windows-1257 (Baltic): ftfy gives "Ångström ±5µm".
    ("Ć…ngstrĆ¶m Ā±5Āµm", "Ć…ngstrƶm Ā±5Āµm"),
    // UTF-8 read as Windows-1251 (Cyrillic), two such characters: ftfy is not sure enough.
    ("schГ¶n Гјber", "schön über"),
];

/// Made by `scripts/fixtures/make_text_fix.py`; versions in the file.
#[test]
fn matches_ftfy() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/text_fix_ftfy.json")).unwrap();
    assert!(fixture.cases.len() >= 40);
    let mut wrong = 0;
    let mut differences = 0;
    for (text, ftfy) in &fixture.cases {
        let ours = fix_text(text, TextFix::Ftfy);
        let known = KNOWN_DIFFERENCES.iter().find(|(t, _)| t == text);
        let expected = known.map_or(ftfy.as_str(), |(_, ours)| ours);
        if known.is_some() {
            differences += 1;
            assert_ne!(expected, ftfy, "no longer a difference");
        }
        if ours != expected {
            wrong += 1;
            println!("{text:?}\n  expected {expected:?}\n  ours {ours:?}");
        }
    }
    assert_eq!((wrong, differences), (0, KNOWN_DIFFERENCES.len()));
}

#[test]
fn sound_text_is_borrowed() {
    let text = "a photo of a cat, 4k (best) <i>x</i>";
    assert!(matches!(fix_text(text, TextFix::Ftfy), Cow::Borrowed(_)));
    assert!(matches!(fix_text("“x” &amp;", TextFix::Off), Cow::Borrowed("“x” &amp;")));
}

#[test]
fn names() {
    for fix in [TextFix::Off, TextFix::Ftfy] {
        assert_eq!(fix.to_string().parse(), Ok(fix));
        assert_eq!(serde_json::to_string(&fix).unwrap(), format!("\"{fix}\""));
    }
    assert!("on".parse::<TextFix>().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text is repaired without a panic, mojibake-like text above all.
    #[test]
    fn never_panics(text in prop_oneof![".*", "[\\x00-\\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ�&#;<]*", "[ÃÂâ€ \\n\\x1b\\[0-9;mé]*"]) {
        let _ = fix_text(&text, TextFix::Ftfy);
    }
}
