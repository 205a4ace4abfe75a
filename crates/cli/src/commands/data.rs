use std::fmt::Write;

use memscope_eval::Error as EvalError;
use memscope_hub::lists::{self, PaperList};
use memscope_model::memory::size;
use serde::Serialize;

use crate::{
    args::{Data, DataSet},
    downloads::Quietly,
    messages::note,
    output::{print, print_json},
    progress::Progress,
};

#[derive(Serialize)]
struct Entry {
    name: String,
    path: String,
    there: bool,
    origin: String,
}

/// `memscope data`.
pub(crate) fn run(args: &Data) -> anyhow::Result<()> {
    match args {
        Data::List { json } => list(*json),
        Data::Fetch { set: DataSet::Paper } => fetch(PaperList::ALL),
    }
}

fn list(json: bool) -> anyhow::Result<()> {
    let entry = |list: &PaperList| {
        Ok(Entry {
            name: list.to_string(),
            path: list.path()?.display().to_string(),
            there: list.is_there(),
            origin: list.origin(),
        })
    };
    let entries = PaperList::ALL.iter().map(entry).collect::<anyhow::Result<Vec<_>>>()?;
    if json {
        return print_json(&entries);
    }
    let mut text = String::new();
    for Entry { name, there, origin, .. } in &entries {
        writeln!(text, "{name:24} {:9} {origin}", if *there { "there" } else { "not there" })?;
    }
    writeln!(text, "`memscope data fetch paper` downloads them to {}", lists::lists_folder()?.display())?;
    print(&text)
}

fn fetch(all: &[PaperList]) -> anyhow::Result<()> {
    // Installs the handler of Ctrl-C.
    let _progress = Progress::install()?;
    let missing: Vec<PaperList> = all.iter().copied().filter(|list| !list.is_there()).collect();
    if !missing.is_empty() {
        let bytes = missing.iter().map(|list| list.bytes()).sum();
        let folder = lists::lists_folder()?;
        note(&format!("downloading {} in {} files to {}", size(bytes), missing.len(), folder.display()));
    }
    let mut text = String::new();
    for list in all {
        // What is missing is input, not a model.
        let path = lists::fetch(*list, &Quietly).map_err(EvalError::from)?;
        writeln!(text, "{list:24} {}", path.display())?;
    }
    print(&text)
}
