use std::path::Path;

use memscope_eval::report::theorem;
use memscope_plots::write_figures;

use crate::{
    args::Theorem1,
    exit_code::UserError,
    output::{print_json, print_table},
};

/// `memscope verify theorem1`.
pub(crate) fn run(args: &Theorem1) -> anyhow::Result<()> {
    verify(args.count, args.seed, &args.results, args.json)
}

/// Samples instances, checks the bounds, prints the table and draws the figure.
pub(crate) fn verify(count: u32, seed: u64, results: &Path, json: bool) -> anyhow::Result<()> {
    let command = format!("memscope verify theorem1 --count {count} --seed {seed}");
    let mut outcome = theorem::verify(count as usize, seed, results, &command)?;
    write_figures(std::slice::from_ref(&outcome.figure), &mut outcome.open, &command)?;
    if json {
        print_json(&outcome.table)?
    } else {
        print_table(&outcome.table)?
    }
    let (holds, folder) = (outcome.holds(), outcome.open.folder().path().to_owned());
    outcome.commit()?;
    eprintln!("written to {}", folder.display());
    if holds {
        return Ok(());
    }
    Err(UserError::differs("an instance violates a bound of Theorem 1").into())
}
