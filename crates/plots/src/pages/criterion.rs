//! Criterion's benchmarks beside the run's own times: medians, and a link to its pages.

use std::{fs, path::Path};

use memscope_results::{
    Error as ResultsError, ResultTable, files,
    stats::{Interval, Summary},
    table::{Cell, Column, ColumnKind},
};
use serde::Deserialize;

use super::tables;
use crate::report::{Block, Link, Report, Section};

/// Folders below the root at which an estimate may stand: group, function, parameter.
const DEPTH: usize = 3;
/// Benchmarks that are listed at most.
const MOST: usize = 500;
/// Bytes of an estimate at most.
const LIMIT: u64 = 1 << 20;

/// What criterion writes of a benchmark: nanoseconds an iteration.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: Bounds,
    point_estimate: f64,
}

#[derive(Deserialize)]
struct Bounds {
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Named {
    full_id: String,
}

/// Adds the medians of the benchmarks below `folder`, criterion's own, and a link to its first page; nothing where there
/// is none. `from`: the folder of the page, which the link is relative to where it can be.
pub(super) fn add(report: &mut Report, folder: &Path, from: &Path) {
    let index = folder.join("report").join("index.html");
    if index.is_file() {
        let href = fs::canonicalize(&index).ok().zip(fs::canonicalize(from).ok());
        if let Some(href) = href.map(|(index, from)| relative(&index, &from)) {
            report.links.push(Link { text: "criterion's report of the benchmarks".into(), href });
        }
    }
    match table(folder) {
        Ok(Some(table)) => report.sections.push(Section {
            id: "criterion".into(),
            title: "Benchmarks".into(),
            paragraphs: vec!["Criterion's medians, of the program's last benchmarks on this machine.".into()],
            blocks: vec![Block::Table(tables::shown(&table, "cargo bench --workspace"))],
        }),
        Ok(None) => {}
        Err(error) => report.summary.push(format!("The benchmarks are not shown: {error}")),
    }
}

/// `to` as a link from a page in the folder `from`.
fn relative(to: &Path, from: &Path) -> String {
    let (to, from): (Vec<_>, Vec<_>) = (to.components().collect(), from.components().collect());
    let common = to.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| "..".to_owned());
    let down = to[common..].iter().map(|part| encoded(&part.as_os_str().to_string_lossy()));
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// A part of a path in a link.
fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn table(folder: &Path) -> Result<Option<ResultTable>, ResultsError> {
    let mut found = vec![];
    walk(folder, DEPTH, &mut found);
    if found.is_empty() {
        return Ok(None);
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let columns = vec![
        Column::new("benchmark", "Benchmark", ColumnKind::Text),
        Column::new("median", "Median, ms", ColumnKind::Measured),
    ];
    let mut table = ResultTable::new("criterion", "Time of one iteration", columns)?;
    let note = table.footnote("[criterion's 95 % interval of the median]");
    for (name, Estimate { confidence_interval: Bounds { lower_bound, upper_bound }, point_estimate }) in found {
        const NANOSECONDS: f64 = 1e6;
        let summary = Summary { mean: point_estimate / NANOSECONDS, std: None, count: 1 };
        let interval = Interval { low: lower_bound / NANOSECONDS, high: upper_bound / NANOSECONDS };
        table.push_row(vec![Cell::text(name), Cell::measured(summary, Some(interval), 3).with_note(note)])?;
    }
    Ok(Some(table))
}

/// The benchmarks below a folder; links are not followed, and what is no estimate is passed over.
fn walk(folder: &Path, depth: usize, found: &mut Vec<(String, Estimate)>) {
    if found.len() >= MOST {
        return;
    }
    let new = folder.join("new");
    if let Ok(estimates) = files::read_json::<Estimates>(&new.join("estimates.json"), LIMIT) {
        let named = files::read_json::<Named>(&new.join("benchmark.json"), LIMIT);
        let name = named.map_or_else(|_| folder.display().to_string(), |named| named.full_id);
        found.push((name.chars().take(200).collect(), estimates.median));
        return;
    }
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(MOST) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_listed_and_the_report_is_linked() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("target/criterion");
        let new = root.join("detect/wen/new");
        fs::create_dir_all(&new).unwrap();
        fs::create_dir_all(root.join("report")).unwrap();
        fs::create_dir_all(folder.path().join("re sults")).unwrap();
        fs::write(root.join("report/index.html"), "").unwrap();
        let interval = r#"{"confidence_level": 0.95, "lower_bound": 1500000.0, "upper_bound": 2500000.0}"#;
        let estimate = format!(r#"{{"median": {{"confidence_interval": {interval}, "point_estimate": 2000000.0}}}}"#);
        fs::write(new.join("estimates.json"), estimate).unwrap();
        fs::write(new.join("benchmark.json"), r#"{"full_id": "detect/<wen>"}"#).unwrap();
        let mut report = Report::default();
        add(&mut report, &root, &folder.path().join("re sults"));
        assert_eq!(report.links[0].href, "../target/criterion/report/index.html");
        let html = report.to_html().unwrap();
        assert!(html.contains("href=\"../target/criterion/report/index.html\"") && html.contains("2.000"), "{html}");
        assert!(html.contains("detect/") && !html.contains("<wen>"));
        let mut none = Report::default();
        add(&mut none, &folder.path().join("nowhere"), folder.path());
        assert_eq!(none, Report::default());
    }
}
