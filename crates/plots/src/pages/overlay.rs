//! Two runs on one page: differences on the same prompts, settings that differ, and figures with the lines of both.

use std::path::Path;

use memscope_results::{
    Error as ResultsError, Folder, Manifest, ResultTable, Results,
    figures::{FigureData, FigureFile, LIMIT, Overlay},
    paired::{Paired, paired},
    table::{Cell, CellValue, Column, ColumnKind},
};

use super::{Complete, Pages, experiments, glossary, inside::Inside, provenance, tables};
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
        provenance::add(&mut report, &a.1);
        provenance::add(&mut report, &b.1);
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
            findings(report, &found, names);
            blocks.push(Block::Table(tables::shown(&found.table, "")));
            match settings(&found, names) {
                Ok(Some(table)) => blocks.push(Block::Table(tables::shown(&table, ""))),
                Ok(None) => blocks.push(Block::Notice("All settings are the same.".into())),
                Err(error) => blocks.push(Block::Notice(error.to_string())),
            }
            blocks.extend(found.unmatched.into_iter().map(Block::Notice));
        }
        Err(error) => blocks.push(Block::Notice(error.to_string())),
    }
    blocks.extend(figures(a, b, names));
    report.sections.push(Section {
        id: a.0.name(),
        title: if a.1.title.is_empty() { a.0.name() } else { a.1.title.clone() },
        paragraphs: vec![],
        blocks,
    });
}

/// A sentence for each row of the paired table that tells the two apart, and one for the other rows of a model and n.
fn findings(report: &mut Report, found: &Paired, names: (&str, &str)) {
    const LEVEL: f64 = 0.05;
    let table = &found.table;
    let mut alike: Vec<(String, Vec<String>)> = vec![];
    let mut say = |text: String| {
        report.findings.push(Finding { text, source: Source::Table(table.name().to_owned()) });
    };
    for row in 0..table.rows().len() {
        let text = |key: &str| table.cell(row, key).map_or_else(String::new, |cell| cell.value.plain());
        let Some(CellValue::Measured { value, .. }) = table.cell(row, "auc").map(|cell| &cell.value) else { continue };
        let p = table.cell(row, "auc_p").and_then(|cell| cell.value.number()).unwrap_or(1.0);
        let (place, method) = (format!("{}, n = {}", text("model"), text("n")), text("method"));
        if p > LEVEL {
            match alike.iter_mut().find(|(known, _)| *known == place) {
                Some((_, methods)) => methods.push(method),
                None => alike.push((place, vec![method])),
            }
            continue;
        }
        let verdict = if *value > 0.0 { "is ahead of" } else { "is behind" };
        let p = if p < 0.001 { "< 0.001".to_owned() } else { format!("= {p:.3}") };
        let signed = format!("{value:+.3}").replace('-', "\u{2212}");
        say(format!("{place}, {method}: {} {verdict} {} by AUC ({signed}, p {p}).", names.0, names.1));
    }
    for (place, methods) in alike {
        let (methods, (a, b)) = (methods.join(", "), names);
        say(format!("{place}: by AUC, {a} and {b} cannot be told apart for {methods}."));
    }
}

fn settings(found: &Paired, names: (&str, &str)) -> Result<Option<ResultTable>, ResultsError> {
    if found.settings.is_empty() {
        return Ok(None);
    }
    let columns = vec![
        Column::new("setting", "Setting", ColumnKind::Text),
        Column::new("first", names.0, ColumnKind::Text),
        Column::new("second", names.1, ColumnKind::Text),
    ];
    let mut table = ResultTable::new("settings", "Settings that differ", columns)?;
    for setting in &found.settings {
        table.push_row([&setting.what, &setting.first, &setting.second].map(Cell::text).to_vec())?;
    }
    Ok(Some(table))
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
