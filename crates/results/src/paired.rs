//! Two runs on the same prompts: differences of AUC and TPR with paired intervals, and the settings that differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    differing::{Difference, differing_settings},
    error::{Error, Result},
    files,
    folder::Folder,
    manifest::Manifest,
    prompts::{DetectorColumn, LIMIT, ModelPrompts, PromptRecord},
    scores::{ClassValues, score_sets},
    stats::{Bootstrap, Ddof, Interval, Statistic, Summary, TprRule},
    table::{Cell, Column, ColumnKind, FootnoteId, ResultTable},
};

/// The false positive rate at which the TPR is read.
const FPR: f64 = 0.01;

/// What the table says of a detector whose scores are the same on both sides.
pub const ALL_SEEDS: &str = "all";

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// Settings that are not the same.
    pub settings: Vec<Difference>,
    /// The differences, first minus second.
    pub table: ResultTable,
    /// Models, detectors and points that only one side has, by the sides' names.
    pub unmatched: Vec<String>,
}

/// Pairs the scores of two experiments, or of two sweeps point by point; a single experiment is paired with every point of
/// a sweep. Models are matched by name, or because each side has one; detectors by label and n, or because each side has
/// one. `names`: what the sides are called.
///
/// # Errors
/// [`Error::NoResults`] where a folder holds no scores of prompts, or the two have nothing in common.
pub fn paired(first: &Folder, second: &Folder, names: (&str, &str)) -> Result<Paired> {
    let settings = differing_settings(&first.manifest()?, &second.manifest()?);
    let (a, b) = (sides(first)?, sides(second)?);
    let count = a.len().max(b.len());
    if (a.len() != count && a.len() != 1) || (b.len() != count && b.len() != 1) {
        let reason = format!("has {} points, and {} has {}", a.len(), second.path().display(), b.len());
        return Err(Error::NoResults { folder: first.path().to_owned(), reason });
    }
    let mut columns = vec![
        Column::new("model", "Model", ColumnKind::Text),
        Column::new("n", "n", ColumnKind::Integer),
        Column::new("method", "Detector", ColumnKind::Text),
        Column::new("auc", "AUC, difference", ColumnKind::Measured),
        Column::new("auc_p", "p", ColumnKind::Number),
        Column::new("tpr", "TPR@1%FPR, difference", ColumnKind::Measured),
        Column::new("tpr_p", "p", ColumnKind::Number),
        Column::new("auc_first", format!("AUC, {}", names.0), ColumnKind::Measured),
        Column::new("auc_second", format!("AUC, {}", names.1), ColumnKind::Measured),
        Column::new("prompts", "Shared prompts", ColumnKind::Integer),
        Column::new("shared", "Shared seeds", ColumnKind::Text),
    ];
    let has_points = a.len().max(b.len()) > 1 || a.iter().chain(&b).any(|(point, _)| !point.is_empty());
    if has_points {
        columns.insert(0, Column::new("point", "Point", ColumnKind::Text));
    }
    let title = format!("{} minus {}, on the same prompts", names.0, names.1);
    let mut table = ResultTable::new("paired", title, columns)?;
    let same = table.footnote(
        "seeds under which the two have the same score for every prompt that both have: they are the same measurements, and \
         a difference comes from the other seeds alone",
    );
    let mut pairing = Pairing { table, unmatched: vec![], has_points, names, same };
    for at in 0..count {
        let (x, y) = (&a[at.min(a.len() - 1)], &b[at.min(b.len() - 1)]);
        let point = if x.0 == y.0 { x.0.clone() } else { format!("{} / {}", x.0, y.0) };
        pairing.models(&point, &x.1, &y.1)?;
    }
    if pairing.table.rows().is_empty() {
        let reason =
            format!("has no model, detector and prompts of both classes in common with {}", second.path().display());
        return Err(Error::NoResults { folder: first.path().to_owned(), reason });
    }
    let mut table = pairing.table;
    table.set_provenance(
        "intervals",
        "95 %, paired stratified bootstrap over prompts, 2000 resamples; p two-sided from the same resamples",
    );
    table.set_provenance("first", first.path().display().to_string());
    table.set_provenance("second", second.path().display().to_string());
    Ok(Paired { settings, table, unmatched: pairing.unmatched })
}

/// The settings that differ as a table, a row each.
///
/// # Errors
/// A row that does not fit the columns: a defect of this program.
pub fn settings_table(settings: &[Difference], names: (&str, &str)) -> Result<ResultTable> {
    let columns = [("setting", "Setting"), ("first", names.0), ("second", names.1)];
    let columns = columns.map(|(key, header)| Column::new(key, header, ColumnKind::Text));
    let mut table = ResultTable::new("settings", "Settings that differ", columns.to_vec())?;
    for setting in settings {
        table.push_row([&setting.what, &setting.first, &setting.second].map(Cell::text).to_vec())?;
    }
    Ok(table)
}

/// The scores of an experiment, or of every point of a sweep, by what the point is called.
fn sides(folder: &Folder) -> Result<Vec<(String, Vec<ModelPrompts>)>> {
    let read = |folder: &Folder| files::read_json::<Vec<ModelPrompts>>(&folder.prompts(), LIMIT);
    if folder.prompts().is_file() {
        return Ok(vec![(String::new(), read(folder)?)]);
    }
    let mut points = vec![];
    for index in 0.. {
        let point = folder.point(index);
        if !point.prompts().is_file() {
            break;
        }
        points.push((point.name(), read(&point)?));
    }
    match points.is_empty() {
        false => Ok(points),
        true => Err(Error::NoResults {
            folder: folder.path().to_owned(),
            reason: format!("holds no {}: it has no scores of prompts, or too many of them", crate::prompts::FILE),
        }),
    }
}

struct Pairing<'n> {
    table: ResultTable,
    has_points: bool,
    unmatched: Vec<String>,
    /// What the sides are called.
    names: (&'n str, &'n str),
    /// What the seeds of equal scores mean.
    same: FootnoteId,
}

impl Pairing<'_> {
    fn models(&mut self, point: &str, first: &[ModelPrompts], second: &[ModelPrompts]) -> Result<()> {
        if let ([a], [b]) = (first, second) {
            let name = if a.model == b.model { a.model.clone() } else { format!("{} / {}", a.model, b.model) };
            return self.detectors(point, &name, a, b);
        }
        for a in first {
            match second.iter().find(|b| b.model == a.model) {
                Some(b) => self.detectors(point, &a.model, a, b)?,
                None => self.unmatched.push(format!("model {}: only in {}", a.model, self.names.0)),
            }
        }
        let known: BTreeSet<&str> = first.iter().map(|model| &*model.model).collect();
        let others = second.iter().filter(|model| !known.contains(&*model.model));
        let second = self.names.1;
        self.unmatched.extend(others.map(|model| format!("model {}: only in {second}", model.model)));
        Ok(())
    }

    fn detectors(&mut self, point: &str, model: &str, a: &ModelPrompts, b: &ModelPrompts) -> Result<()> {
        let shared = Shared::of(a, b);
        let of_n = |of: &ModelPrompts, n: usize| of.detectors.iter().filter(|column| column.n == n).count();
        let mut lone = Lone::default();
        for (at, column) in a.detectors.iter().enumerate() {
            let only_one = of_n(a, column.n) == 1 && of_n(b, column.n) == 1;
            let same = |other: &DetectorColumn| other.n == column.n && (only_one || other.name == column.name);
            let Some(other) = b.detectors.iter().position(same) else {
                lone.add(column);
                continue;
            };
            let theirs = &b.detectors[other].name;
            let name = if *theirs == column.name { theirs.clone() } else { format!("{} / {theirs}", column.name) };
            self.pair((point, model, &name, column.n), (a, at), (b, other), &shared)?;
        }
        self.unmatched.extend(lone.told(model, self.names.0));
        let mut lone = Lone::default();
        for column in &b.detectors {
            let only_one = of_n(a, column.n) == 1 && of_n(b, column.n) == 1;
            if !only_one && !a.detectors.iter().any(|other| other.name == column.name && other.n == column.n) {
                lone.add(column);
            }
        }
        self.unmatched.extend(lone.told(model, self.names.1));
        Ok(())
    }

    fn pair(
        &mut self,
        (point, model, method, n): (&str, &str, &str, usize),
        (a, of_a): (&ModelPrompts, usize),
        (b, of_b): (&ModelPrompts, usize),
        shared: &Shared,
    ) -> Result<()> {
        let (first, second) = (shared.values(a, of_a, |rows| rows.0), shared.values(b, of_b, |rows| rows.1));
        let usable = |runs: &[ClassValues]| {
            runs.first().is_some_and(|run| !run.memorized.is_empty() && !run.non_memorized.is_empty())
        };
        if !usable(&first) || !usable(&second) {
            self.unmatched.push(format!("{model}: {method}, n = {n}: no prompts of both classes in common"));
            return Ok(());
        }
        let shared_seeds = shared_seeds(&first, &second);
        let (first, second) = (score_sets(&first)?, score_sets(&second)?);
        let bootstrap = Bootstrap::default();
        let tpr = Statistic::TprAtFpr { fpr: FPR, rule: TprRule::MaxTprFprLe };
        let single = |sets: &[crate::stats::ScoreSet]| -> Result<Cell> {
            let values = sets.iter().map(|set| Statistic::Auc.of(*set)).collect::<std::result::Result<Vec<_>, _>>()?;
            let interval = bootstrap.estimate(sets, Statistic::Auc)?.interval;
            Ok(Cell::measured(Summary::of(&values, Ddof::Sample)?, Some(interval), 3))
        };
        let difference = |statistic| -> Result<[Cell; 2]> {
            let found = bootstrap.difference(&first, &second, statistic)?;
            Ok([measured(found.value, found.interval), Cell::number(found.p, 3)])
        };
        let ([auc, auc_p], [tpr, tpr_p]) = (difference(Statistic::Auc)?, difference(tpr)?);
        let prompts = shared.memorized.len() + shared.non_memorized.len();
        let mut row = vec![
            Cell::text(model),
            Cell::integer(n as i64),
            Cell::text(method),
            auc,
            auc_p,
            tpr,
            tpr_p,
            single(&first)?,
            single(&second)?,
            Cell::integer(prompts as i64),
            Cell::text(shared_seeds).with_note(self.same),
        ];
        if self.has_points {
            row.insert(0, Cell::text(point));
        }
        self.table.push_row(row)?;
        Ok(())
    }
}

/// Detectors that one side alone has, with each n.
#[derive(Default)]
struct Lone<'a>(Vec<(&'a str, Vec<String>)>);

impl<'a> Lone<'a> {
    fn add(&mut self, column: &'a DetectorColumn) {
        match self.0.iter_mut().find(|(known, _)| *known == column.name) {
            Some((_, sizes)) => sizes.push(column.n.to_string()),
            None => self.0.push((&column.name, vec![column.n.to_string()])),
        }
    }

    /// A line for the detectors of the same n.
    fn told(self, model: &str, side: &str) -> Vec<String> {
        let mut lines: Vec<(Vec<String>, Vec<&str>)> = vec![];
        for (name, sizes) in self.0 {
            match lines.iter_mut().find(|(known, _)| *known == sizes) {
                Some((_, names)) => names.push(name),
                None => lines.push((sizes, vec![name])),
            }
        }
        let line = |(sizes, names): (Vec<String>, Vec<&str>)| {
            format!("{model}: {} (n = {}): only in {side}", names.join(", "), sizes.join(", "))
        };
        lines.into_iter().map(line).collect()
    }
}

/// Which seeds have the same scores on both sides, in words.
fn shared_seeds(first: &[ClassValues], second: &[ClassValues]) -> String {
    let same = |run: &&ClassValues| second.contains(run);
    let seeds: Vec<String> = first.iter().filter(same).map(|run| run.seed.to_string()).collect();
    match seeds.as_slice() {
        [] => "none".into(),
        _ if seeds.len() == first.len() && seeds.len() == second.len() => ALL_SEEDS.into(),
        several => several.join(", "),
    }
}

fn measured(mean: f64, interval: Interval) -> Cell {
    Cell::measured(Summary { count: 1, mean, std: None }, Some(interval), 3)
}

/// The prompts that both sides have in the same class, as positions on either.
struct Shared {
    memorized: Vec<(usize, usize)>,
    non_memorized: Vec<(usize, usize)>,
}

impl Shared {
    fn of(a: &ModelPrompts, b: &ModelPrompts) -> Self {
        fn key(record: &PromptRecord) -> (&str, &str) {
            (&record.class, &record.prompt)
        }
        let places: HashMap<(&str, &str), usize> = b.prompts.iter().enumerate().map(|(at, p)| (key(p), at)).collect();
        let of_class = |class: &str| {
            let rows = a.prompts.iter().enumerate().filter(|(_, record)| record.class == class);
            rows.filter_map(|(at, record)| Some((at, *places.get(&key(record))?))).collect()
        };
        Self { memorized: of_class("memorized"), non_memorized: of_class("non-memorized") }
    }

    /// The scores of a detector on these prompts, per seed; a folder may lack some.
    fn values(&self, of: &ModelPrompts, detector: usize, side: fn(&(usize, usize)) -> usize) -> Vec<ClassValues> {
        let seeds = of.detectors.get(detector).map_or(&[][..], |column| &column.seeds);
        let run = |(position, seed): (usize, &u64)| {
            let score = |row: &(usize, usize)| {
                of.prompts.get(side(row))?.scores.get(detector)?.get(position).copied().filter(|s| s.is_finite())
            };
            let class = |rows: &[(usize, usize)]| rows.iter().map(score).collect::<Option<Vec<f64>>>();
            let (memorized, non_memorized) = (class(&self.memorized)?, class(&self.non_memorized)?);
            Some(ClassValues { seed: *seed, memorized, non_memorized })
        };
        seeds.iter().enumerate().filter_map(run).collect()
    }
}

/// The experiment that both have, or the only one of each; `None` where they have several in common, or none and several.
pub fn pair_of<'k>(
    first: &'k BTreeMap<String, (Folder, Manifest)>,
    second: &'k BTreeMap<String, (Folder, Manifest)>,
) -> Option<(&'k Folder, &'k Folder)> {
    let common: Vec<_> = first.iter().filter_map(|(name, (a, _))| Some((a, &second.get(name)?.0))).collect();
    match common.as_slice() {
        [pair] => Some(*pair),
        [] if first.len() == 1 && second.len() == 1 => Some((&first.values().next()?.0, &second.values().next()?.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, scores: [f64; 2]) -> ClassValues {
        ClassValues { seed, memorized: vec![scores[0]], non_memorized: vec![scores[1]] }
    }

    #[test]
    fn seeds_of_equal_scores_are_told() {
        let of = |seeds: &[u64]| seeds.iter().map(|seed| run(*seed, [*seed as f64, 0.5])).collect::<Vec<_>>();
        assert_eq!(shared_seeds(&of(&[42, 51]), &of(&[42, 51])), ALL_SEEDS);
        assert_eq!(shared_seeds(&of(&[42]), &of(&[42, 51])), "42");
        assert_eq!(shared_seeds(&of(&[42, 51, 53]), &of(&[53, 42])), "42, 53");
        assert_eq!(shared_seeds(&[run(42, [0.1, 0.2])], &[run(42, [0.1, 0.3])]), "none");
    }

    #[test]
    fn detectors_of_one_side_are_told_once() {
        let columns = [("A", 1), ("B", 1), ("A", 4), ("B", 4), ("C", 4)];
        let columns = columns.map(|(name, n)| DetectorColumn { name: name.into(), n, seeds: vec![] });
        let mut lone = Lone::default();
        columns.iter().for_each(|column| lone.add(column));
        assert_eq!(lone.told("m", "before"), ["m: A, B (n = 1, 4): only in before", "m: C (n = 4): only in before"]);
    }
}
