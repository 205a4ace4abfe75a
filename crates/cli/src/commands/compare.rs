use memscope_results::{
    Comparison, Folder, Manifest,
    compare::{self, Difference, TABLE_LIMIT, experiments},
    export::FlatTable,
    files,
    manifest::Integrity,
    paired::{Paired, pair_of, paired, settings_table},
};
use serde::Serialize;

use crate::{
    args::Compare,
    exit_code::UserError,
    messages::note,
    output::{print_json, print_table},
};

/// What `--json` prints of a paired comparison.
#[derive(Serialize)]
struct PairedReport {
    settings: Vec<Difference>,
    paired: FlatTable,
    unmatched: Vec<String>,
}

/// `memscope compare`.
pub(crate) fn run(args: &Compare) -> anyhow::Result<()> {
    if !(args.tolerance >= 0.0 && args.tolerance.is_finite()) {
        return Err(UserError::input(format!("--tolerance {} must be zero or more", args.tolerance)).into());
    }
    let (first, second) = (experiments(&args.first)?, experiments(&args.second)?);
    warn_of_changes(first.values().chain(second.values()));
    let nothing_common = !first.keys().any(|name| second.contains_key(name));
    match pair_of(&first, &second) {
        Some((a, b)) if args.paired || nothing_common => {
            let names = (args.first.display().to_string(), args.second.display().to_string());
            show_paired(paired(a, b, (&names.0, &names.1))?, (&names.0, &names.1), args.json)
        }
        None if args.paired => {
            let message = "--paired compares two experiments: give the folder of one on either side";
            Err(UserError::input(message).into())
        }
        _ => cells(&compare::compare(&args.first, &args.second, args.tolerance)?, args),
    }
}

/// Says which of the files that are compared are not what the runs wrote.
fn warn_of_changes<'a>(experiments: impl Iterator<Item = &'a (Folder, Manifest)>) {
    for (folder, manifest) in experiments {
        let tables = Folder::files(&folder.tables(), ".json");
        for path in tables.into_iter().chain([folder.prompts()]) {
            let Ok(bytes) = files::read_file(&path, TABLE_LIMIT) else { continue };
            let name = path.strip_prefix(folder.path()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            let remark = match manifest.integrity(&name, &bytes) {
                Integrity::Intact | Integrity::Unknown => continue,
                Integrity::Changed => "was changed after the run: its hash does not match the manifest",
                Integrity::Unlisted => "is not among the files that the run wrote",
            };
            note(&format!("warning: {} {remark}", path.display()));
        }
    }
}

/// The differences of two runs on the same prompts.
fn show_paired(found: Paired, names: (&str, &str), json: bool) -> anyhow::Result<()> {
    let Paired { settings, table, unmatched } = found;
    if json {
        return print_json(&PairedReport { settings, paired: FlatTable::new(&table), unmatched });
    }
    print_table(&settings_table(&settings, names)?)?;
    unmatched.iter().for_each(|text| note(text));
    print_table(&table)
}

/// The differences cell by cell, which are an error.
fn cells(comparison: &Comparison, args: &Compare) -> anyhow::Result<()> {
    if args.json {
        print_json(comparison)?;
    } else {
        print_table(&comparison.table(args.tolerance)?)?;
    }
    if comparison.agrees() {
        return Ok(());
    }
    let hint = match comparison.settings.first() {
        Some(setting) => format!("; first setting that differs: {}", setting.what),
        None => "; all settings are the same".to_owned(),
    };
    let (cells, rows) = (comparison.cells.len(), comparison.unmatched.len());
    let message =
        format!("{cells} of {} numbers differ, {rows} rows or tables are on one side only{hint}", comparison.compared);
    Err(UserError::differs(message).into())
}
