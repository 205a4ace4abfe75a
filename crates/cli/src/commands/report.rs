use std::path::{Path, PathBuf};

use memscope_plots::pages;
use memscope_results::Results;

use crate::{args::Report, messages::note};

/// `memscope report`.
pub(crate) fn run(args: &Report) -> anyhow::Result<()> {
    match &args.second {
        None => one(&args.results, args.out.as_deref(), args.criterion.as_deref()),
        Some(second) => two(&args.results, second, args.out.as_deref()),
    }
}

/// The page of a results folder.
pub(crate) fn one(results: &Path, out: Option<&Path>, criterion: Option<&Path>) -> anyhow::Result<()> {
    let path: PathBuf = out.map_or_else(|| Results::new(results).report(), Path::to_owned);
    let pages = pages::write(results, &path, &format!("memscope report {}", results.display()), criterion)?;
    finish(&pages, &path);
    Ok(())
}

/// Two results folders on one page.
fn two(first: &Path, second: &Path, out: Option<&Path>) -> anyhow::Result<()> {
    let path = out.map_or_else(|| first.join("report-of-two.html"), Path::to_owned);
    let command = format!("memscope report {} {}", first.display(), second.display());
    let pages = pages::write_overlay(first, second, &path, &command)?;
    finish(&pages, &path);
    Ok(())
}

fn finish(pages: &pages::Pages, path: &Path) {
    pages.notices.iter().for_each(|notice| note(&format!("warning: {notice}")));
    note(&format!("written to {}", path.display()));
}
