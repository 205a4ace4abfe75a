//! Special and added tokens, which are cut out of the raw text.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

/// Finds the tokens that are recognised literally, in one pass over the text however many there are.
pub(super) struct Literals {
    search: AhoCorasick,
    /// Text and id of each, in the order of the search.
    tokens: Vec<(String, u32)>,
    /// Texts that stand for several tokens: an embedding of several vectors has the tokens `x`, `x_1`, `x_2`, ...
    parts: BTreeMap<String, String>,
}

impl Literals {
    pub(super) fn new(literals: &BTreeMap<String, u32>) -> Result<Self, BuildError> {
        let tokens: Vec<(String, u32)> =
            literals.iter().filter(|(text, _)| !text.is_empty()).map(|(text, id)| (text.clone(), *id)).collect();
        let texts = tokens.iter().map(|(text, _)| text);
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts)?;
        let mut parts = BTreeMap::new();
        for (text, _) in &tokens {
            let further = (1..).map(|i| format!("{text}_{i}")).take_while(|part| literals.contains_key(part));
            let whole: String = std::iter::once(text.clone()).chain(further).collect::<Vec<_>>().join(" ");
            if whole != *text {
                parts.insert(text.clone(), whole);
            }
        }
        Ok(Self { search, tokens, parts })
    }

    /// Every token in `text` with its id: the first one, the longest where several start at one place, then on behind
    /// it.
    pub(super) fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Range<usize>, u32)> + 'a {
        self.search.find_iter(text).map(|found| (found.range(), self.tokens[found.pattern().as_usize()].1))
    }

    /// The text in which each token of an embedding of several vectors is followed by its further tokens, as
    /// diffusers' `maybe_convert_prompt` (loaders/textual_inversion.py, 0.42) rewrites prompts.
    pub(super) fn with_parts<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.parts.is_empty() {
            return Cow::Borrowed(text);
        }
        let found: BTreeSet<usize> = self.search.find_iter(text).map(|found| found.pattern().as_usize()).collect();
        let mut text = Cow::Borrowed(text);
        for token in found {
            let (token, _) = &self.tokens[token];
            if let Some(whole) = self.parts.get(token) {
                text = Cow::Owned(text.replace(token.as_str(), whole));
            }
        }
        text
    }
}
