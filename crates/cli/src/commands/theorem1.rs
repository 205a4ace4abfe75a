use std::path::Path;

use memscope_eval::report::theorem;
use memscope_plots::write_figures;
use memscope_results::Results;

use crate::{args::Theorem1, exit_code::UserError, messages::note, output::Tables};

/// `memscope verify theorem1`.
pub(crate) fn run(args: &Theorem1) -> anyhow::Result<()> {
    if !args.overwrite {
        check_settings(args.count, args.seed, &args.results)?;
    }
    let mut tables = Tables::new(args.json);
    let verified = verify(args.count, args.seed, &args.results, &mut tables);
    // The table says which bound was violated.
    tables.finish()?;
    verified
}

/// Refuses to replace results with another count or seed.
pub(crate) fn check_settings(count: u32, seed: u64, results: &Path) -> anyhow::Result<()> {
    Ok(Results::new(results).experiment("theorem1").check_settings(&theorem::settings(count as usize, seed))?)
}

/// Samples instances, checks the bounds, adds the table to `tables` and draws the figure.
pub(crate) fn verify(count: u32, seed: u64, results: &Path, tables: &mut Tables) -> anyhow::Result<()> {
    let command = format!("memscope verify theorem1 --count {count} --seed {seed}");
    let mut outcome = theorem::verify(count as usize, seed, results, &command)?;
    write_figures(std::slice::from_ref(&outcome.figure), &mut outcome.open, &command)?;
    let (holds, folder, table) = (outcome.holds(), outcome.open.folder().path().to_owned(), outcome.table.clone());
    outcome.commit()?;
    note(&format!("written to {}", folder.display()));
    tables.add(&table)?;
    if holds {
        return Ok(());
    }
    Err(UserError::differs("an instance violates a bound of Theorem 1").into())
}
