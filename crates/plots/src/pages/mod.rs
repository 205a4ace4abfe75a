//! From a results folder to a [`Report`]. The folder may be somebody else's: nothing outside it is read, nothing in it
//! is taken as markup, and what does not match its manifest is marked.

mod criterion;
mod differences;
mod experiment;
mod figures;
mod findings;
mod gallery;
mod glossary;
mod headline;
mod inside;
mod numbers;
mod overlay;
mod prompts;
mod provenance;
mod rows;
mod tables;

use std::path::Path;

use memscope_results::{Error as ResultsError, Folder, Manifest, Results, files};

use crate::{Error, report::Report};

pub use overlay::overlay;

/// The order in which experiments are shown; others follow by name.
const ORDER: [&str; 18] = [
    "table1",
    "detectors",
    "groups",
    "denoised",
    "presets",
    "table2",
    "table3",
    "table4",
    "table5",
    "table6",
    "table7",
    "table8",
    "gamma",
    "fig1",
    "fig2",
    "fig3",
    "theorem1",
    "gallery",
];

/// A page, and what was left out of it.
#[derive(Debug)]
pub struct Pages {
    /// The page.
    pub report: Report,
    /// What a reader of the folder should know: experiments that are not complete, files that were left out.
    pub notices: Vec<String>,
}

/// Everything a results folder holds, as one page. `command` made it.
///
/// # Errors
/// Where the folder cannot be listed or holds no complete experiment.
pub fn report(results: &Path, command: &str) -> Result<Pages, Error> {
    let (complete, mut notices) = experiments(&Results::new(results))?;
    if complete.is_empty() {
        let found = if notices.is_empty() { String::new() } else { format!(" ({})", notices.join("; ")) };
        let reason = format!(
            "holds no complete experiment{found}; run `memscope reproduce table1` first, or give another folder"
        );
        return Err(ResultsError::NoResults { folder: results.to_owned(), reason }.into());
    }
    let mut report = Report { title: "memscope report".into(), command: command.to_owned(), ..Report::default() };
    let mut intact = vec![];
    let most_pictures = gallery::share(complete.iter().map(|(folder, _)| folder));
    for (folder, manifest) in &complete {
        provenance::add(&mut report, manifest);
        report.sections.push(experiment::section(folder, manifest, most_pictures, &mut intact));
    }
    report.sections.splice(0..0, headline::section(&intact)?);
    report.made = provenance::made(complete.iter().map(|(_, manifest)| manifest));
    report.prompts = prompts::of(&complete);
    report.findings = findings::of(&intact, report.prompts.as_ref());
    report.glossary = glossary::terms();
    report.differences = differences::of(complete.iter().map(|(_, manifest)| manifest));
    report.summary.clone_from(&notices);
    let parts = report.sections.iter().flat_map(|section| &section.blocks);
    notices.extend(parts.filter_map(|block| match block {
        crate::report::Block::Notice(text) => Some(text.clone()),
        _ => None,
    }));
    Ok(Pages { report, notices })
}

/// Writes the page of a results folder to `out`; the page that stood there survives any failure. `criterion`: where
/// criterion keeps its benchmarks, which are shown where there are some.
///
/// # Errors
/// As [`report`], and where the page cannot be written.
pub fn write(results: &Path, out: &Path, command: &str, criterion: Option<&Path>) -> Result<Pages, Error> {
    let mut pages = report(results, command)?;
    if let Some(folder) = criterion {
        let beside = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        criterion::add(&mut pages.report, folder, beside);
    }
    let html = pages.report.to_html()?;
    files::write_file(out, html.as_bytes())?;
    Ok(pages)
}

/// The same of two results folders on one page, see [`overlay`].
///
/// # Errors
/// As [`overlay`], and where the page cannot be written.
pub fn write_overlay(first: &Path, second: &Path, out: &Path, command: &str) -> Result<Pages, Error> {
    let pages = overlay(first, second, command)?;
    let html = pages.report.to_html()?;
    files::write_file(out, html.as_bytes())?;
    Ok(pages)
}

/// Complete experiments with their manifests, in the order to show.
type Complete = Vec<(Folder, Manifest)>;

/// The complete experiments, and a line about every other one.
fn experiments(results: &Results) -> Result<(Complete, Vec<String>), Error> {
    let (mut complete, mut notices) = (vec![], vec![]);
    for folder in results.folders()? {
        let name = inside::shown(&folder.name());
        if !folder.is_complete() {
            notices.push(format!("{name} is not complete and not shown: run it again"));
            continue;
        }
        match folder.manifest() {
            Ok(manifest) => complete.push((folder, manifest)),
            Err(error) => notices.push(format!("{name} is not shown: {error}")),
        }
    }
    let rank = |(folder, _): &(Folder, Manifest)| {
        let name = folder.name();
        (ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len()), name)
    };
    complete.sort_by_key(rank);
    notices.sort();
    Ok((complete, notices))
}
