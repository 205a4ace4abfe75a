use std::collections::HashSet;

/// Hands out ids, each once.
///
/// An id never contains `--`, so that `{id}--{anything}` belongs to the owner of `id` alone.
pub(in crate::report) struct Ids(HashSet<String>);

impl Ids {
    /// Starts with ids that are taken already.
    pub(in crate::report) fn reserve(taken: &[&str]) -> Self {
        Self(taken.iter().map(|&id| id.to_owned()).collect())
    }

    /// `name` in lower-case letters, digits and single dashes, with a number behind it if that is taken.
    pub(in crate::report) fn unique(&mut self, name: &str) -> String {
        let slug = slug(name);
        let mut id = slug.clone();
        let mut count = 1_usize;
        while !self.0.insert(id.clone()) {
            count += 1;
            id = format!("{slug}-{count}");
        }
        id
    }
}

fn slug(name: &str) -> String {
    let mut words: Vec<_> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if !words.first().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())) {
        words.insert(0, "part");
    }
    words.join("-").to_ascii_lowercase()
}
