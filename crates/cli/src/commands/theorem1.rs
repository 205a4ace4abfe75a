use std::path::Path;

use memscope_eval::report::theorem;
use memscope_plots::{Figure, results};

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
    let outcome = theorem::verify(count as usize, seed, results)?;
    let figure: Box<dyn Figure> = Box::new(results::theorem_figure(&outcome.survey, seed));
    results::write(&[figure], &outcome.folder.join("figures"), "memscope verify theorem1")?;
    if json {
        print_json(&outcome.table)?
    } else {
        print_table(&outcome.table)?
    }
    eprintln!("written to {}", outcome.folder.display());
    if outcome.holds() {
        return Ok(());
    }
    Err(UserError::differs("an instance violates a bound of Theorem 1").into())
}
