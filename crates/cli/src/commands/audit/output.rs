//! The files of an audit, and what is printed of it.

use std::{collections::HashMap, fs, path::Path};

use memscope_eval::{Error as EvalError, tasks::TrainingPicture, write_columns};
use memscope_frames::{FrameColumn, OutputFormat, column_of};
use memscope_judges::Picture;
use memscope_results::{
    ResultTable,
    audit::{Audit, AuditFolder, AuditRow, DuplicatePicture, acceptable_says, splits_say, statement},
    files::{Existing, write_over},
    table::{Cell, Column, ColumnKind},
};

use super::{input::Asked, measure::Measured, shown::picture_name, thumbnail::small};
use crate::{
    args,
    commands::pictures::map_png,
    messages::note,
    output::print_table,
    targets::{self, check_writable},
};

/// Rows that are printed.
const SHOWN: usize = 25;

/// Tries the output before anything is measured for it.
pub(crate) fn check_free(args: &args::Audit) -> anyhow::Result<()> {
    let folder = args.out.as_ref().map(AuditFolder::new);
    let files = folder.iter().flat_map(|folder| [folder.record(), folder.table(), folder.page()]);
    files.chain(args.table.clone()).try_for_each(|path| targets::check_free(&path, args.scores.overwrite))?;
    if let Some(path) = &args.table {
        OutputFormat::of(path)?;
        check_writable(path)?;
    }
    if let Some(folder) = folder {
        let pictures = folder.pictures();
        fs::create_dir_all(&pictures).map_err(|source| EvalError::Write { path: pictures, source })?;
    }
    Ok(())
}

/// Writes the record, the table, the page and the pictures.
pub(crate) fn write(args: &args::Audit, asked: &Asked, audit: &mut Audit, measured: &Measured) -> anyhow::Result<()> {
    let ranking = measured.scores.ranking(asked.plan.audited);
    if let Some(path) = &args.table {
        write_table(path, asked, audit, &ranking)?;
        note(&format!("written to {}", path.display()));
    }
    let Some(folder) = args.out.as_ref().map(AuditFolder::new) else { return Ok(()) };
    if let Some((drawing, _)) = &measured.evidence {
        for (unit, item) in drawing.items.iter().enumerate() {
            if *item >= asked.plan.audited {
                continue;
            }
            drawing.draws.pictures(unit).iter().try_for_each(|path| copy_picture(&folder, path))?;
            if let Some(picture) = &asked.plan.items[*item].picture {
                write_picture(&folder, &picture_name(picture.hash()), &picture.bytes()?)?;
            }
        }
    }
    let alternatives = measured.extras.alternatives.iter();
    let alternatives =
        alternatives.flat_map(|drawing| (0..drawing.items.len()).map(move |unit| drawing.draws.pictures(unit)));
    alternatives.flatten().try_for_each(|path| copy_picture(&folder, &path))?;
    write_maps(&folder, asked, audit, measured)?;
    write_table(&folder.table(), asked, audit, &ranking)?;
    folder.write(audit)?;
    memscope_plots::audit::write(&folder)?;
    note(&format!("written to {}; the page is {}", folder.path().display(), folder.page().display()));
    Ok(())
}

fn copy_picture(folder: &AuditFolder, path: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    write_picture(folder, &path.file_name().unwrap_or_default().to_string_lossy(), &bytes)
}

/// The training pictures that draws are most like, and what makes the nearest ones so.
fn write_maps(folder: &AuditFolder, asked: &Asked, audit: &Audit, measured: &Measured) -> anyhow::Result<()> {
    let Some((_, sscd)) = &measured.extras.nearest_pictures else { return Ok(()) };
    let known: HashMap<String, &TrainingPicture> = asked.plan.items[..asked.plan.audited]
        .iter()
        .filter_map(|item| item.picture.as_ref())
        .map(|picture| (picture_name(picture.hash()), picture))
        .collect();
    for near in audit.rows.iter().flat_map(|row| &row.nearest) {
        let Some(picture) = known.get(&near.file) else { continue };
        write_picture(folder, &near.file, &picture.bytes()?)?;
        if let Some(map) = &near.map {
            let draw = Picture::open(&folder.pictures().join(&near.draw))?;
            let png = map_png(sscd, (&near.draw, &draw), (&near.picture, &picture.open()?), near.similarity)?;
            write_picture(folder, map, &png)?;
        }
    }
    Ok(())
}

/// Writes a picture, and a small version of a large one for the page.
fn write_picture(folder: &AuditFolder, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    write_over(&folder.pictures().join(name), bytes, Existing::Replace)?;
    if let Some(small) = small(&Picture::decode(Path::new(name), bytes)?)? {
        write_over(&folder.pictures().join(AuditFolder::small_name(name)), &small, Existing::Replace)?;
    }
    Ok(())
}

/// The input's columns, then those of the audit; highest score first, rows without a prompt last.
fn write_table(path: &Path, asked: &Asked, audit: &Audit, ranking: &[usize]) -> anyhow::Result<()> {
    let mut from: Vec<usize> = vec![];
    let mut lines: Vec<Option<&AuditRow>> = vec![];
    if asked.subject.table.is_some() {
        let mut lines_of = vec![vec![]; asked.plan.audited];
        let mut without = vec![];
        for (line, item) in asked.subject.rows.iter().enumerate() {
            match item {
                Some(item) => lines_of[*item].push(line),
                None if asked.subject.is_blank(line) => {}
                None => without.push(line),
            }
        }
        for (row, at) in audit.rows.iter().zip(ranking) {
            lines.extend(vec![Some(row); lines_of[*at].len()]);
            from.append(&mut lines_of[*at]);
        }
        lines.extend(vec![None; without.len()]);
        from.append(&mut without);
    } else {
        lines.extend(audit.rows.iter().map(Some));
    }
    let own = own_columns(audit, &lines, asked.subject.table.is_none());
    let mut taken: Vec<String> = own.iter().map(|column| column.name().to_string()).collect();
    let mut columns = vec![];
    for column in asked.subject.table.iter().flat_map(|table| &table.columns) {
        let name = crate::commands::detect::free_name(&column.name, &taken);
        taken.push(name.clone());
        columns.push(column_of(column, &from.iter().copied()).with_name(name.into()));
    }
    columns.extend(own);
    Ok(write_columns(path, lines.len(), columns)?)
}

fn own_columns(audit: &Audit, lines: &[Option<&AuditRow>], with_prompt: bool) -> Vec<FrameColumn> {
    let number = |name: &str, of: &dyn Fn(&AuditRow) -> Option<f64>| {
        FrameColumn::new(name.into(), lines.iter().map(|row| row.and_then(of)).collect::<Vec<Option<f64>>>())
    };
    let text = |name: &str, of: &dyn Fn(&AuditRow) -> Option<String>| {
        FrameColumn::new(name.into(), lines.iter().map(|row| row.and_then(of)).collect::<Vec<Option<String>>>())
    };
    let mut columns = vec![];
    if with_prompt {
        columns.push(text("prompt", &|row| Some(row.prompt.clone())));
    }
    let ranks: Vec<Option<u32>> = lines.iter().map(|row| row.map(|row| row.rank as u32)).collect();
    columns.push(FrameColumn::new("rank".into(), ranks));
    columns.push(number("score", &|row| Some(row.score)));
    if audit.rows.iter().any(|row| row.second_score.is_some()) {
        columns.push(number("second_score", &|row| row.second_score));
    }
    columns.push(number("p", &|row| row.decision.map(|decision| decision.p)));
    columns.push(number("q", &|row| row.decision.map(|decision| decision.q)));
    let flagged: Vec<Option<bool>> =
        lines.iter().map(|row| row.and_then(|row| row.decision).map(|decision| decision.flagged)).collect();
    columns.push(FrameColumn::new("flagged".into(), flagged));
    columns.push(text("membership", &|row| Some(row.membership.word().to_owned())));
    columns.push(text("copying", &|row| Some(row.copying.word().to_owned())));
    columns.push(text("base_already", &|row| Some(row.base_already.word().to_owned())));
    columns.push(number("diversity", &|row| row.diversity));
    let nearest = |row: &AuditRow| row.draws.iter().filter_map(|draw| draw.distance).min_by(f64::total_cmp);
    columns.push(number("nearest_draw", &nearest));
    if audit.rows.iter().any(|row| !row.nearest.is_empty()) {
        columns.push(text("nearest_picture", &|row| row.nearest.first().map(|near| near.picture.clone())));
        columns.push(number("nearest_similarity", &|row| row.nearest.first().map(|near| near.similarity)));
    }
    if audit.rows.iter().any(|row| !row.words.is_empty()) {
        let driving = |row: &AuditRow| row.words.iter().max_by(|a, b| a.share.total_cmp(&b.share)).cloned();
        columns.push(text("driving_word", &|row| driving(row).map(|word| word.word)));
        columns.push(number("driving_share", &|row| driving(row).map(|word| word.share)));
    }
    if audit.mitigation.is_some() {
        let copies = |row: &AuditRow| {
            let known: Vec<bool> = row.alternative.as_ref()?.draws.iter().filter_map(|draw| draw.copy).collect();
            (!known.is_empty()).then(|| known.iter().filter(|copy| **copy).count() as f64 / known.len() as f64)
        };
        columns.push(number("mitigated_copies", &copies));
    }
    if let Some(duplicates) = &audit.duplicates {
        let group = |row: &AuditRow| {
            let holds = |group: &Vec<DuplicatePicture>| group.iter().any(|picture| picture.rank == row.rank);
            duplicates.groups.iter().position(holds).map(|group| group as u32 + 1)
        };
        let groups: Vec<Option<u32>> = lines.iter().map(|row| row.and_then(group)).collect();
        columns.push(FrameColumn::new("duplicate_group".into(), groups));
    }
    columns
}

/// The highest ranks, and what is claimed, for people.
pub(crate) fn print(audit: &Audit) -> anyhow::Result<()> {
    let text = |key: &str, header: &str| Column::new(key, header, ColumnKind::Text);
    let number = |key: &str, header: &str| Column::new(key, header, ColumnKind::Number);
    let columns = vec![
        Column::new("rank", "Rank", ColumnKind::Integer),
        text("prompt", "Prompt"),
        number("score", "Score"),
        number("p", "p"),
        number("q", "q"),
        text("flagged", "Flagged"),
        text("membership", "Membership"),
        text("copying", "Copying"),
        text("base_already", "Base already"),
    ];
    let flagged = audit.rows.iter().filter(|row| row.decision.is_some_and(|decision| decision.flagged)).count();
    let shown = audit.rows.len().min(SHOWN.max(flagged.min(2 * SHOWN)));
    let title = format!("Audit of {}: {} of {} prompts", audit.model.source, shown, audit.rows.len());
    let mut table = ResultTable::new("audit", title, columns)?;
    for row in &audit.rows[..shown] {
        let decided = |of: fn(memscope_results::audit::Decision) -> f64| match row.decision {
            Some(decision) => Cell::number(of(decision), 4),
            None => Cell::missing("no calibration prompts"),
        };
        table.push_row(vec![
            Cell::integer(row.rank as i64),
            Cell::text(&row.prompt),
            Cell::number(row.score, 4),
            decided(|decision| decision.p),
            decided(|decision| decision.q),
            Cell::text(match row.decision {
                Some(decision) if decision.flagged => "yes",
                Some(_) => "no",
                None => "–",
            }),
            Cell::text(row.membership.word()),
            Cell::text(row.copying.word()),
            Cell::text(row.base_already.word()),
        ])?;
    }
    table.set_provenance("model", format!("{}, sha256 {}", audit.model.source, short(&audit.model.fingerprint)));
    if let Some(base) = &audit.base {
        table.set_provenance("base", format!("{}, sha256 {}", base.source, short(&base.fingerprint)));
    }
    table.set_provenance("statistic", format!("{}: {}", audit.statistic, audit.statistic_says));
    let said = statement(audit);
    let refused = audit.claim.as_ref().filter(|claim| claim.is_refused()).map(|_| said.len() - 1);
    for (i, said) in said.into_iter().enumerate() {
        let key = ["claim", "assumption", "sample"].get(i).copied().unwrap_or("more");
        table.set_provenance(if Some(i) == refused { "refusal" } else { key }, said);
    }
    for said in splits_say(audit) {
        table.set_provenance(format!("check of {}", said.calibration), said.text);
    }
    if let (Some(acceptable), true) = (&audit.acceptable, audit.checkpoints.is_empty()) {
        table.set_provenance("limit", acceptable_says(acceptable));
    }
    print_table(&table)?;
    if !audit.checkpoints.is_empty() {
        let mut table = sweep(audit)?;
        if let Some(acceptable) = &audit.acceptable {
            table.set_provenance("limit", acceptable_says(acceptable));
        }
        print_table(&table)?;
    }
    Ok(())
}

fn short(fingerprint: &str) -> &str {
    &fingerprint[..fingerprint.len().min(16)]
}

fn sweep(audit: &Audit) -> anyhow::Result<ResultTable> {
    let columns = vec![
        Column::new("checkpoint", "Checkpoint", ColumnKind::Text),
        Column::new("members", "Flagged", ColumnKind::Text),
        Column::new("copies", "Copied", ColumnKind::Text),
        Column::new("mean_score", "Mean score", ColumnKind::Number),
    ];
    let mut table = ResultTable::new("checkpoints", "Checkpoints: shares with exact 95 % intervals", columns)?;
    let share = |share: &memscope_results::audit::Share| match share.interval {
        Some(interval) => {
            Cell::text(format!("{}/{} [{:.2}, {:.2}]", share.hits, share.of, interval.low, interval.high))
        }
        None => Cell::missing("not asked"),
    };
    for row in &audit.checkpoints {
        let cells =
            vec![Cell::text(&row.name), share(&row.members), share(&row.copies), Cell::number(row.mean_score, 4)];
        table.push_row(cells)?;
    }
    Ok(table)
}
