//! Every citation in the repository leads somewhere: a document and the section of it that is named, a relative link
//! of a Markdown file, a path that a document names. Needs no network and no git.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
};

/// Folders of the repository whose files are read and whose paths documents may name.
const FOLDERS: [&str; 7] = ["crates/", "docs/", "experiments/", "scripts/", "data/", ".ci/", "fuzz/"];
/// Endings of files that may cite.
const ENDINGS: [&str; 8] = ["rs", "md", "py", "yaml", "toml", "sh", "html", "cff"];
/// Folders that are made, not written.
const MADE: [&str; 3] = ["target", "corpus", "artifacts"];
/// This file cites what does not exist.
const THIS: &str = "crates/cli/tests/citations.rs";

/// Something that leads nowhere.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// The repository as far as citations need it.
struct Repository {
    root: PathBuf,
    /// Documents by their path from the root.
    documents: BTreeMap<String, Document>,
}

/// What a Markdown file offers to citations.
#[derive(Default)]
struct Document {
    /// Numbers of its sections: "3", "3.1".
    sections: BTreeSet<String>,
    /// Numbers of table rows by section: ("9", "20").
    rows: BTreeSet<(String, String)>,
    /// Anchors of its headings, as code hosts make them.
    anchors: BTreeSet<String>,
}

impl Document {
    fn read(text: &str) -> Self {
        let mut document = Self::default();
        let mut section = String::new();
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix('#') {
                let heading = heading.trim_start_matches('#').trim();
                document.anchors.insert(anchor(heading));
                let number = heading.split(' ').next().unwrap_or_default().trim_end_matches('.');
                if is_number(number) {
                    number.clone_into(&mut section);
                    document.sections.insert(section.clone());
                }
            } else if let Some(row) = line.strip_prefix("| ").and_then(|rest| rest.split(' ').next()) {
                document.rows.insert((section.clone(), row.to_owned()));
            }
        }
        document
    }
}

/// Lower case, without punctuation, spaces as dashes.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// The words of a file with their lines, without what marks a comment.
fn words(text: &str) -> Vec<(usize, &str)> {
    text.lines()
        .enumerate()
        .flat_map(|(line, content)| content.split_whitespace().map(move |word| (line + 1, word)))
        .filter(|(_, word)| !matches!(*word, "//" | "///" | "//!" | "#" | "*"))
        .collect()
}

/// The path of a Markdown file that a word names: `(docs/spec/protocol.md` or `[protocol.md](protocol.md)`.
fn markdown_path(word: &str) -> Option<&str> {
    let end = word.rfind(".md")? + 3;
    let start = word[..end]
        .rfind(|c: char| !is_path(c))
        .map_or(0, |at| at + word[at..].chars().next().map_or(1, char::len_utf8));
    (end - start > 3 && !word[end..].starts_with(is_path)).then_some(&word[start..end])
}

fn is_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_')
}

/// Where the citations of a chain such as "docs/spec/protocol.md §3 and §3.1, row 2" lead.
struct Chain {
    document: Option<String>,
    section: Option<String>,
}

impl Repository {
    fn read(root: &Path) -> Self {
        let documents = files(root)
            .into_iter()
            .filter(|file| file.extension() == Some(OsStr::new("md")))
            .map(|file| (name(root, &file), Document::read(&text(&file))))
            .collect();
        Self { root: root.to_owned(), documents }
    }

    /// What the citations of a file lead to: their number, and those that lead nowhere.
    fn sections(&self, file: &str, text: &str) -> (usize, Vec<Finding>) {
        let own = file.starts_with("docs/spec/").then(|| file.to_owned());
        let mut chain = Chain { document: own.clone(), section: None };
        let (mut count, mut findings) = (0, Vec::new());
        let words = words(text);
        for (at, &(line, word)) in words.iter().enumerate() {
            let next = words.get(at + 1).map(|(_, word)| *word).unwrap_or_default();
            let find = |what| Finding { file: file.to_owned(), line, what };
            if let Some(number) = section_number(word) {
                count += 1;
                match &chain.document {
                    None => findings.push(find(format!("§{number} names no document"))),
                    Some(document) if !self.has_section(document, number) => {
                        findings.push(find(format!("{document} has no §{number}")));
                    }
                    Some(_) => {}
                }
                chain.section = Some(number.to_owned());
            } else if let Some(path) = markdown_path(word) {
                chain = Chain { document: Some(self.resolve(file, path)), section: None };
            } else if matches!(word, "row" | "rows" | "row,")
                && chain.section.is_some()
                && next.starts_with(|c: char| c.is_ascii_digit())
            {
                let row = next.trim_end_matches(|c: char| !c.is_ascii_digit());
                let key = (chain.section.clone().unwrap_or_default(), row.to_owned());
                let document = chain.document.clone().unwrap_or_default();
                if self.documents.get(&document).is_none_or(|d| !d.rows.contains(&key)) {
                    findings.push(find(format!("{document} §{} has no row {row}", key.0)));
                }
            } else if !matches!(word, "and" | "or" | "to" | "–") {
                chain = Chain { document: own.clone(), section: None };
            }
        }
        (count, findings)
    }

    /// A path that a file names, from the root or beside it.
    fn resolve(&self, file: &str, path: &str) -> String {
        let beside = normal(&Path::new(file).parent().unwrap_or(Path::new("")).join(path));
        if self.documents.contains_key(path) || !self.documents.contains_key(&beside) {
            path.to_owned()
        } else {
            beside
        }
    }

    fn has_section(&self, document: &str, number: &str) -> bool {
        self.documents.get(document).is_some_and(|d| d.sections.contains(number))
    }

    /// Documents that a file names and that do not exist, or that it names without their folder.
    fn documents(&self, file: &str, text: &str) -> Vec<Finding> {
        let exists = |path: &str| self.root.join(path).is_file();
        let is_lost = |path: &str| {
            (path.starts_with("docs/") && !exists(path))
                || (!path.contains('/') && exists(&format!("docs/spec/{path}")))
        };
        words(text)
            .into_iter()
            .filter_map(|(line, word)| markdown_path(word).map(|path| (line, path)))
            .filter(|(_, path)| *path != "README.md" && is_lost(path))
            .map(|(line, path)| Finding { file: file.to_owned(), line, what: format!("{path} does not exist") })
            .collect()
    }

    /// Relative links of a Markdown file that lead nowhere.
    fn links(&self, file: &str, text: &str) -> Vec<Finding> {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let mut findings = Vec::new();
        for (index, line) in text.lines().enumerate() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
                let linked = if path.is_empty() { file.to_owned() } else { normal(&folder.join(path)) };
                let anchored = || self.documents.get(&linked).is_none_or(|d| d.anchors.contains(fragment));
                if !self.root.join(&linked).exists() || !(fragment.is_empty() || anchored()) {
                    findings.push(Finding {
                        file: file.to_owned(),
                        line: index + 1,
                        what: format!("the link {target} leads nowhere"),
                    });
                }
            }
        }
        findings
    }

    /// Paths that a Markdown file names and that do not exist. Names with placeholders are left out.
    fn paths(&self, file: &str, text: &str) -> Vec<Finding> {
        let named = |word: &str| {
            let start = FOLDERS.iter().filter_map(|folder| word.find(folder)).min()?;
            let before = word[..start].chars().next_back();
            let path = word[start..].split(['`', ')', ',', ';', ':', ']', '"']).next()?;
            let path = path.trim_end_matches('.');
            (before.is_none_or(|c| !is_path(c)) && path.chars().all(is_path)).then(|| path.to_owned())
        };
        words(text)
            .into_iter()
            .filter_map(|(line, word)| Some((line, named(word)?)))
            .filter(|(_, path)| !self.root.join(path).exists())
            .map(|(line, path)| Finding { file: file.to_owned(), line, what: format!("{path} does not exist") })
            .collect()
    }

    /// All that leads nowhere in one file, and how many sections it cites.
    fn check(&self, file: &str, text: &str) -> (usize, Vec<Finding>) {
        let (count, mut findings) = self.sections(file, text);
        if Path::new(file).extension() == Some(OsStr::new("md")) {
            findings.extend(self.links(file, text));
            // A log of changes may name what is gone.
            if file != "CHANGELOG.md" {
                findings.extend(self.paths(file, text));
            }
        } else {
            findings.extend(self.documents(file, text));
        }
        (count, findings)
    }
}

/// "3.1" of "§3.1", "(§3.1," or "§3.1)."; nothing where § is not followed by a number.
fn section_number(word: &str) -> Option<&str> {
    let (_, rest) = word.split_once('§')?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    let number = rest[..end].trim_end_matches('.');
    is_number(number).then_some(number)
}

/// A path without `.` and `..`, with `/` between its parts.
fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn name(root: &Path, file: &Path) -> String {
    normal(file.strip_prefix(root).unwrap_or(file))
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The repository's files that may cite, sorted.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).filter(|f| f.is_dir()).collect();
    for entry in entries(root) {
        if entry.is_file() && may_cite(&entry) {
            found.push(entry);
        }
    }
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder) {
            let is_made = entry.file_name().and_then(OsStr::to_str).is_some_and(|name| MADE.contains(&name));
            if entry.is_dir() && !is_made {
                folders.push(entry);
            } else if entry.is_file() && may_cite(&entry) {
                found.push(entry);
            }
        }
    }
    found.retain(|file| name(root, file) != THIS);
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

fn may_cite(file: &Path) -> bool {
    let ending = file.extension().and_then(OsStr::to_str).unwrap_or_default();
    ENDINGS.contains(&ending) || file.file_name() == Some(OsStr::new("justfile"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

#[test]
fn every_citation_leads_somewhere() {
    let root = root();
    let repository = Repository::read(&root);
    let (mut count, mut findings) = (0, Vec::new());
    for file in files(&root) {
        let (cited, lost) = repository.check(&name(&root, &file), &text(&file));
        count += cited;
        findings.extend(lost.iter().map(ToString::to_string));
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert!(count > 80, "only {count} citations were found: is the repository read?");
}

#[test]
fn lost_citations_are_found() {
    let repository = Repository::read(&root());
    let lost = |file: &str, text: &str| -> Vec<String> {
        repository.check(file, text).1.into_iter().map(|finding| finding.what).collect()
    };
    assert_eq!(lost("a.rs", "//! (docs/spec/protocol.md §3 and §3.1; docs/spec/protocol.md\n//! §9 row 20)"), [""; 0]);
    assert_eq!(lost("a.rs", "// docs/spec/protocol.md §77."), ["docs/spec/protocol.md has no §77"]);
    assert_eq!(lost("a.rs", "// docs/spec/protocol.md §9 row 99"), ["docs/spec/protocol.md §9 has no row 99"]);
    assert_eq!(lost("a.rs", "// protocol, §3"), ["§3 names no document"]);
    assert_eq!(
        lost("a.rs", "// docs/spec/gone.md §1"),
        ["docs/spec/gone.md has no §1", "docs/spec/gone.md does not exist"]
    );
    assert_eq!(lost("a.rs", "// as protocol.md says"), ["protocol.md does not exist"]);
    assert_eq!(lost("docs/spec/theory.md", "see §2 and §55"), ["docs/spec/theory.md has no §55"]);
    assert_eq!(lost("docs/a.md", "[map](ARCHITECTURE.md), [out](https://example.org)"), [""; 0]);
    assert_eq!(lost("docs/a.md", "[a](nowhere.md)"), ["the link nowhere.md leads nowhere"]);
    assert_eq!(
        lost("docs/a.md", "[a](ARCHITECTURE.md#no-such-heading)"),
        ["the link ARCHITECTURE.md#no-such-heading leads nowhere"]
    );
    assert_eq!(
        lost("docs/a.md", "in `crates/nothing/src/lib.rs`, and `crates/*`"),
        ["crates/nothing/src/lib.rs does not exist"]
    );
}
