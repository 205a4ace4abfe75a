use std::{
    fs,
    path::{Path, PathBuf},
};

use memscope_eval::Error as EvalError;
use memscope_plots::pages;

/// `memscope report`.
pub(crate) fn run(results: &Path, out: Option<&Path>) -> anyhow::Result<()> {
    let path: PathBuf = out.map_or_else(|| results.join("report.html"), Path::to_owned);
    let page = pages::report(results, &format!("memscope report {}", results.display()))?;
    let html = page.to_html()?;
    fs::write(&path, html).map_err(|source| EvalError::Write { path: path.clone(), source })?;
    eprintln!("written to {}", path.display());
    Ok(())
}
