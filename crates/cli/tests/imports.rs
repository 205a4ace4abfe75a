//! Imports point one way: no crate has top modules that import one another around a circle. `docs/imports.md` shows what
//! imports what; `scripts/imports/write.sh` writes it anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each node imports.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// A path in the code: its names, and the name under which it is imported.
type NamedPath = (Vec<String>, String);

const PAGE: &str = "docs/imports.md";
/// Where it is set, the page is written instead of compared.
const WRITE: &str = "MEMSCOPE_WRITE_IMPORTS";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Identifiers, `::` and single marks of a source text without its comments and its tests.
fn tokens(text: &str) -> Vec<String> {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut tokens: Vec<String> = vec![];
    let mut in_word = false;
    for c in lines.flat_map(|line| line.chars().chain(['\n'])) {
        let is_word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if is_word && in_word => last.push(c),
            Some(last) if c == ':' && last == ":" => last.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        in_word = is_word;
    }
    tokens
}

/// The paths of a `use` declaration from `tokens[at]` on, below `before`; returns the position after them.
fn use_paths(tokens: &[String], mut at: usize, before: &[String], found: &mut Vec<NamedPath>) -> usize {
    let mut path = before.to_vec();
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = use_paths(tokens, at, &path, found);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "," | "}" | ";" | "as" => break,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
    let is_renamed = tokens.get(at).is_some_and(|token| token == "as");
    let name = if is_renamed { tokens.get(at + 1) } else { path.last() };
    let name = name.cloned().unwrap_or_default();
    found.push((path, name));
    if is_renamed { at + 2 } else { at }
}

/// The paths that a source text imports, and those that it writes out, from `crate` or `super`.
fn paths(text: &str) -> Vec<NamedPath> {
    let (tokens, mut found, mut at) = (tokens(text), vec![], 0);
    while at < tokens.len() {
        let is_path = tokens.get(at + 1).is_some_and(|token| token == "::");
        match tokens[at].as_str() {
            "use" => at = use_paths(&tokens, at + 1, &[], &mut found),
            "crate" | "super" if is_path => {
                let mut path = vec![tokens[at].clone()];
                at += 1;
                while tokens.get(at).is_some_and(|token| token == "::") {
                    path.extend(tokens.get(at + 1).cloned());
                    at += 2;
                }
                let name = path.last().cloned().unwrap_or_default();
                found.push((path, name));
            }
            _ => at += 1,
        }
    }
    found
}

/// The source files of a folder with their places in the crate: `spec/check.rs` is `[spec, check]`.
fn sources_of(folder: &Path, place: &[String]) -> Vec<(Vec<String>, String)> {
    let mut sources = vec![];
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_inner = stem != "mod" && stem != "lib" && stem != "main";
        let place: Vec<String> = place.iter().cloned().chain(is_inner.then_some(stem)).collect();
        if path.is_dir() {
            sources.extend(sources_of(&path, &place));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push((place, fs::read_to_string(&path).unwrap()));
        }
    }
    sources
}

/// Modules that exist in tests alone.
fn test_modules(place: &[String], text: &str) -> Vec<Vec<String>> {
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().next()?.trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.map(|name| [place, &[name.to_owned()]].concat()).collect()
}

/// What the top modules of a crate import from each other.
fn modules(source: &Path) -> Graph {
    let sources = sources_of(source, &[]);
    let tests: Vec<Vec<String>> = sources.iter().flat_map(|(place, text)| test_modules(place, text)).collect();
    let (roots, files): (Vec<_>, Vec<_>) = sources.into_iter().partition(|(place, _)| place.is_empty());
    let files: Vec<_> =
        files.into_iter().filter(|(place, _)| !tests.iter().any(|test| place.starts_with(test))).collect();
    let mut graph: Graph = files.iter().map(|(place, _)| (place[0].clone(), BTreeSet::new())).collect();
    // What the root imports stands there under its name, too.
    let named = roots.iter().flat_map(|(_, text)| paths(text)).map(|(path, name)| {
        let from = path.into_iter().find(|part| part != "crate" && part != "self");
        (name, from.unwrap_or_default())
    });
    let named: BTreeMap<String, String> = named.collect();
    for (place, text) in &files {
        for (path, _) in paths(text) {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let full: Vec<&String> = match path.first().map(String::as_str) {
                Some("crate") => path[1..].iter().collect(),
                Some("super") => place[..place.len().saturating_sub(ups)].iter().chain(&path[ups..]).collect(),
                _ => continue,
            };
            let Some(first) = full.first() else { continue };
            let target = if graph.contains_key(*first) { Some(*first) } else { named.get(*first) };
            if let Some(target) = target.filter(|target| graph.contains_key(*target) && **target != place[0]) {
                let target = target.clone();
                graph.get_mut(&place[0]).unwrap().insert(target);
            }
        }
    }
    graph
}

/// A circle, if there is one: its nodes in the order of their imports.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn visit<'g>(
        graph: &'g Graph,
        node: &'g String,
        way: &mut Vec<&'g String>,
        done: &mut BTreeSet<&'g String>,
    ) -> bool {
        if let Some(start) = way.iter().position(|known| *known == node) {
            way.drain(..start);
            return true;
        }
        if !done.insert(node) {
            return false;
        }
        way.push(node);
        let found = graph[node].iter().any(|next| visit(graph, next, way, done));
        if !found {
            way.pop();
        }
        found
    }
    let (mut way, mut done) = (vec![], BTreeSet::new());
    let found = graph.keys().any(|node| visit(graph, node, &mut way, &mut done));
    found.then(|| way.into_iter().cloned().collect())
}

/// Whether a way of imports leads from one node to another.
fn reaches(graph: &Graph, from: &str, to: &str) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(node) = open.pop() {
        if node == to {
            return true;
        }
        if seen.insert(node) {
            open.extend(graph[node].iter().map(String::as_str));
        }
    }
    false
}

/// The graph of Mermaid, without the arrows that follow from others. A graph with circles has no such form.
fn drawn(graph: &Graph) -> String {
    // The mark keeps names apart from Mermaid's own words, such as `style`.
    let id = |node: &str| node.replace('-', "_") + "_";
    let mut text = String::from("```mermaid\nflowchart TD\n");
    for node in graph.keys() {
        text.push_str(&format!("    {}[{node}]\n", id(node)));
    }
    for (node, imports) in graph {
        for target in imports {
            if !imports.iter().any(|other| other != target && reaches(graph, other, target)) {
                text.push_str(&format!("    {} --> {}\n", id(node), id(target)));
            }
        }
    }
    text + "```\n"
}

/// The crates of the workspace and what they are built on.
fn crates() -> Graph {
    let mut graph = Graph::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
        let own = manifest.split("[dependencies]\n").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
        let known = own.lines().filter_map(|line| line.strip_prefix("memscope-")?.split(['.', ' ', '=']).next());
        graph.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), known.map(str::to_owned).collect());
    }
    graph
}

fn modules_of(name: &str) -> Graph {
    modules(&root().join("crates").join(name).join("src"))
}

#[test]
fn no_crate_has_modules_that_import_one_another() {
    let crates = crates();
    assert!(crates.len() >= 10 && modules_of("eval").len() >= 10, "too little was read");
    for name in crates.keys() {
        if let Some(circle) = circle(&modules_of(name)) {
            panic!("crates/{name}: these modules import one another: {} -> {}", circle.join(" -> "), circle[0]);
        }
    }
}

#[test]
fn the_page_of_imports_is_current() {
    let crates = crates();
    let mut page = String::from(
        "# What imports what\n\nAn arrow leads from what imports to what is imported; arrows that follow from others are \
         left out (a → c, where\na → b → c). Written by `scripts/imports/write.sh`. A test fails on circles, and while this \
         page is not current.\n\n## Crates\n\n",
    );
    page.push_str(&drawn(&crates));
    for name in crates.keys() {
        let modules = modules_of(name);
        if modules.values().any(|imports| !imports.is_empty()) {
            page.push_str(&format!("\n## Modules of {name}\n\n{}", drawn(&modules)));
        }
    }
    let path = root().join(PAGE);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(committed == page, "{PAGE} is not current; write it anew: scripts/imports/write.sh");
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "lib.rs",
        "mod a;\nmod b;\nmod c;\nmod d;\n#[cfg(test)]\nmod check;\n\npub use c::{Noun, inner::Other as Renamed};\n",
    );
    // A comment, a path that is written out, a name of the root, a folder's own modules, tests.
    write("a.rs", "// use crate::d;\nuse crate::{b::{self, X}, Noun as N};\nfn f() { crate::d::g() }\n");
    write("b/mod.rs", "mod deep;\n");
    write(
        "b/deep.rs",
        "use super::super::Renamed;\nuse super::Y;\n\n#[cfg(test)]\nmod tests {\n    use crate::a::Z;\n}\n",
    );
    write("c.rs", "pub(crate) fn own() {}\n");
    write("d.rs", "");
    write("check.rs", "use crate::a;\n");
    let graph = modules(folder.path());
    let edges: Vec<String> = graph.iter().flat_map(|(a, all)| all.iter().map(move |b| format!("{a} {b}"))).collect();
    assert_eq!(edges, ["a b", "a c", "a d", "b c"]);
    assert_eq!(circle(&graph), None);
    let drawing = drawn(&graph);
    assert!(
        drawing.contains("a_ --> b_") && drawing.contains("b_ --> c_") && !drawing.contains("a_ --> c_"),
        "{drawing}"
    );
    write("c.rs", "use crate::a;\n");
    assert_eq!(circle(&modules(folder.path())).unwrap(), ["a", "b", "c"]);
}
