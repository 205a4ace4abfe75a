//! Two runs on one page: differences on the same prompts, settings that differ, and figures with the lines of both.

use std::path::Path;

use memscope_results::{
    Error as ResultsError, Folder, Manifest, Results,
    figures::{FigureData, FigureFile, LIMIT, Overlay},
    paired::{ALL_SEEDS, Paired, paired, settings_table},
    table::CellValue,
};

use super::{
    Complete, Pages, experiments, glossary,
    inside::Inside,
    numbers::{number, p, with_interval},
    provenance,
    rows::Row,
    tables,
};
use crate::{
    Error, Figure, Theme,
    report::{Block, Finding, Report, ReportFigure, Section, Source},
};

/// Two results folders on one page: every experiment that both have, or the only one of each. `command` made it.
///
/// # Errors
/// Where a folder cannot be listed, or the two have no experiment to pair.
pub fn overlay(first: &Path, second: &Path, command: &str) -> Result<Pages, Error> {
    let ((a, mut notices), (b, more)) = (experiments(&Results::new(first))?, experiments(&Results::new(second))?);
    notices.extend(more);
    let names = names(first, second);
    let pairs = pairs(&a, &b);
    if pairs.is_empty() {
        let reason = format!("has no complete experiment in common with {}, nor has each just one", second.display());
        return Err(ResultsError::NoResults { folder: first.to_owned(), reason }.into());
    }
    let title = format!("{} and {}", names.0, names.1);
    let mut report = Report { title, command: command.to_owned(), ..Report::default() };
    for (a, b) in pairs {
        provenance::add_side(&mut report, &a.1, &names.0);
        provenance::add_side(&mut report, &b.1, &names.1);
        section(&mut report, a, b, (&names.0, &names.1));
    }
    report.made = provenance::made(a.iter().chain(&b).map(|(_, manifest)| manifest));
    report.glossary = glossary::terms();
    report.summary.clone_from(&notices);
    Ok(Pages { report, notices })
}

/// What the two are called: the folders' names where they differ.
fn names(first: &Path, second: &Path) -> (String, String) {
    let (a, b) = (Folder::new(first).name(), Folder::new(second).name());
    if a != b && !a.is_empty() && !b.is_empty() {
        return (a, b);
    }
    (first.display().to_string(), second.display().to_string())
}

type Known = (Folder, Manifest);

fn pairs<'p>(a: &'p Complete, b: &'p Complete) -> Vec<(&'p Known, &'p Known)> {
    let same = |one: &'p Known| Some((one, b.iter().find(|(_, other)| other.experiment == one.1.experiment)?));
    let pairs: Vec<_> = a.iter().filter_map(same).collect();
    match (pairs.is_empty(), a.as_slice(), b.as_slice()) {
        (true, [one], [other]) => vec![(one, other)],
        _ => pairs,
    }
}

fn section(report: &mut Report, a: &Known, b: &Known, names: (&str, &str)) {
    let mut blocks = vec![];
    match paired(&a.0, &b.0, names) {
        Ok(found) => {
            report.findings.extend(findings(&found, names, &what_is_compared(a, b, names)));
            blocks.push(Block::Table(tables::shown(&found.table, "")));
            match settings_table(&found.settings, names) {
                Ok(table) if table.rows().is_empty() => blocks.push(Block::Notice("All settings are the same.".into())),
                Ok(table) => blocks.push(Block::Table(tables::shown(&table, ""))),
                Err(error) => blocks.push(Block::Notice(error.to_string())),
            }
            if !found.unmatched.is_empty() {
                blocks.push(Block::Notice(format!("Not compared: {}.", found.unmatched.join("; "))));
            }
        }
        Err(error) => blocks.push(Block::Notice(error.to_string())),
    }
    blocks.extend(figures(a, b, names));
    report.sections.push(Section { id: a.0.name(), title: what_is_compared(a, b, names), paragraphs: vec![], blocks });
}

/// The experiment of both, or that of each.
fn what_is_compared(a: &Known, b: &Known, names: (&str, &str)) -> String {
    let title = |known: &Known| if known.1.title.is_empty() { known.0.name() } else { known.1.title.clone() };
    let (first, second) = (title(a), title(b));
    if first == second { first } else { format!("{first} ({}) and {second} ({})", names.0, names.1) }
}

/// A sentence for each row of the paired table that tells the two apart, then one for the other rows of a model and n, and
/// one for the rows whose scores are the same measurements.
fn findings(found: &Paired, names: (&str, &str), from: &str) -> Vec<Finding> {
    const LEVEL: f64 = 0.05;
    let table = &found.table;
    let (mut told, mut alike, mut same) = (vec![], Grouped::default(), Grouped::default());
    for row in Row::all(table) {
        let Some(CellValue::Measured { value, interval: Some(interval), .. }) = row.cell("auc") else { continue };
        let (model, n, detector) = (row.text("model"), row.text("n"), row.text("method"));
        if row.text("shared") == ALL_SEEDS {
            same.add(model, n, detector);
            continue;
        }
        let chance = row.number("auc_p").unwrap_or(1.0);
        if chance > LEVEL {
            alike.add(model, n, detector);
            continue;
        }
        let auc = |key: &str| row.number(key).map_or_else(String::new, number);
        let (first, second) = (auc("auc_first"), auc("auc_second"));
        let (ahead, behind) = if *value > 0.0 { names } else { (names.1, names.0) };
        let (by, chance) = (with_interval(*value, *interval), p(chance));
        told.push(format!(
            "{model}, n = {n}, {detector}: AUC {first} in {}, {second} in {}; {ahead} is ahead of {behind} (difference {by}, \
             {chance}).",
            names.0, names.1
        ));
    }
    let (a, b) = names;
    told.extend(
        alike
            .told()
            .map(|(place, detectors)| format!("{place}: by AUC, {a} and {b} cannot be told apart for {detectors}.")),
    );
    told.extend(same.told().map(|(place, detectors)| {
        format!("{place}: {a} and {b} share all measurements of {detectors}; no difference is possible.")
    }));
    let finding = |text| Finding { text, from: from.to_owned(), source: Source::Table(table.name().to_owned()) };
    told.into_iter().map(finding).collect()
}

/// Detectors by model and n, in the order of the table.
#[derive(Default)]
struct Grouped(Vec<(String, String, Vec<String>)>);

impl Grouped {
    fn add(&mut self, model: String, n: String, detector: String) {
        match self.0.iter_mut().find(|(known, size, _)| (known, size) == (&model, &n)) {
            Some((.., detectors)) => detectors.push(detector),
            None => self.0.push((model, n, vec![detector])),
        }
    }

    /// Each list of detectors with where it holds: models and each n, told once where they are the same.
    fn told(self) -> impl Iterator<Item = (String, String)> {
        let mut of_model: Vec<(String, Vec<String>, Vec<String>)> = vec![];
        for (model, n, detectors) in self.0 {
            match of_model.iter_mut().find(|(known, _, same)| (known, same) == (&model, &detectors)) {
                Some((_, sizes, _)) => sizes.push(n),
                None => of_model.push((model, vec![n], detectors)),
            }
        }
        let mut merged: Vec<(Vec<String>, Vec<String>, Vec<String>)> = vec![];
        for (model, sizes, detectors) in of_model {
            match merged.iter_mut().find(|(_, known, same)| (known, same) == (&sizes, &detectors)) {
                Some((models, ..)) => models.push(model),
                None => merged.push((vec![model], sizes, detectors)),
            }
        }
        merged.into_iter().map(|(models, sizes, detectors)| {
            (format!("{}, n = {}", models.join(" and "), sizes.join(", ")), detectors.join(", "))
        })
    }
}

/// The figures that both have, with the lines of both.
fn figures(a: &Known, b: &Known, names: (&str, &str)) -> Vec<Block> {
    let (of_a, of_b) = (read(a), read(b));
    let mut blocks = vec![];
    for (stem, figure) in &of_a {
        let same = of_b.iter().find(|(other, _)| other == stem);
        let only = || {
            let kind = |of: &[(String, FigureData)]| of.iter().filter(|(_, f)| same_kind(f, figure)).count();
            (kind(&of_a) == 1 && kind(&of_b) == 1).then(|| of_b.iter().find(|(_, f)| same_kind(f, figure))).flatten()
        };
        let Some((_, other)) = same.or_else(only) else { continue };
        let Some(both) = Overlay::new(figure.clone(), other.clone(), names) else { continue };
        match drawn(both) {
            Ok(figure) => blocks.push(Block::Figure(figure)),
            Err(error) => blocks.push(Block::Notice(error.to_string())),
        }
    }
    blocks
}

fn same_kind(a: &FigureData, b: &FigureData) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// The figures of an experiment by their names without the experiment's.
fn read((folder, manifest): &Known) -> Vec<(String, FigureData)> {
    let mut inside = Inside::new(folder, manifest);
    let prefix = format!("{}-", manifest.experiment);
    let figure = |path: std::path::PathBuf| {
        let (bytes, _) = inside.read(&path, LIMIT).ok()?;
        let figure = FigureFile::parse(&path, &bytes).ok()?.figure;
        let stem = path.file_stem()?.to_string_lossy().into_owned();
        Some((stem.strip_prefix(&prefix).map_or_else(|| stem.clone(), str::to_owned), figure))
    };
    Folder::files(&folder.figures(), ".json").into_iter().filter_map(figure).collect()
}

fn drawn(figure: Overlay) -> Result<ReportFigure, Error> {
    let caption = figure.caption().to_vec();
    let figure = figure.without_caption();
    Ok(ReportFigure {
        name: figure.meta().name.clone(),
        title: figure.alt().to_owned(),
        svg_light: figure.svg(Theme::Light)?,
        svg_dark: Some(figure.svg(Theme::Dark)?),
        alt: figure.alt().to_owned(),
        caption,
        command: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use memscope_results::{
        ResultTable,
        stats::{Interval, Summary},
        table::{Cell, Column, ColumnKind},
    };

    use super::*;

    fn paired_table() -> ResultTable {
        let text = ["model", "method", "shared"].map(|key| Column::new(key, key, ColumnKind::Text));
        let measured = ["auc", "auc_first", "auc_second"].map(|key| Column::new(key, key, ColumnKind::Measured));
        let n = Column::new("n", "n", ColumnKind::Integer);
        let p = Column::new("auc_p", "p", ColumnKind::Number);
        let columns = text.into_iter().chain(measured).chain([n, p]).collect();
        let mut table = ResultTable::new("paired", "Paired", columns).unwrap();
        let auc = |mean: f64| {
            let interval = Some(Interval { low: mean - 0.05, high: mean + 0.05 });
            Cell::measured(Summary { mean, std: None, count: 1 }, interval, 3)
        };
        let mut row = |model: &str, n, method: &str, shared: &str, [first, second]: [f64; 2], p| {
            let names = [model, method, shared].map(Cell::text);
            let numbers = [auc(first - second), auc(first), auc(second), Cell::integer(n), Cell::number(p, 3)];
            table.push_row(names.into_iter().chain(numbers).collect()).unwrap();
        };
        row("x", 1, "A", "none", [0.7, 0.9], 0.0001);
        for (model, n) in [("x", 1), ("x", 4), ("y", 1), ("y", 4)] {
            row(model, n, "B", "none", [0.7, 0.71], 0.5);
            row(model, n, "C", ALL_SEEDS, [0.8, 0.8], 1.0);
        }
        table
    }

    #[test]
    fn each_sentence_names_both_runs_and_is_said_once() {
        let found = Paired { settings: vec![], table: paired_table(), unmatched: vec![] };
        let told: Vec<String> =
            findings(&found, ("before", "after"), "x").into_iter().map(|finding| finding.text).collect();
        let expected = [
            "x, n = 1, A: AUC 0.700 in before, 0.900 in after; after is ahead of before (difference \u{2212}0.200 \
             [\u{2212}0.250, \u{2212}0.150], p < 0.001).",
            "x and y, n = 1, 4: by AUC, before and after cannot be told apart for B.",
            "x and y, n = 1, 4: before and after share all measurements of C; no difference is possible.",
        ];
        assert_eq!(told, expected);
    }
}
