use std::path::{Path, PathBuf};

use memscope_plots::pages;
use memscope_results::Results;

use crate::messages::note;

/// `memscope report`.
pub(crate) fn run(results: &Path, out: Option<&Path>) -> anyhow::Result<()> {
    let path: PathBuf = out.map_or_else(|| Results::new(results).report(), Path::to_owned);
    let pages = pages::write(results, &path, &format!("memscope report {}", results.display()))?;
    pages.notices.iter().for_each(|notice| note(&format!("warning: {notice}")));
    note(&format!("written to {}", path.display()));
    Ok(())
}
