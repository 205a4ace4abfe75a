//! What only the file's raw form shows: ids of footnotes, and which numbers have one.

use super::number::Footnotes;
use super::raw::{RawCell, Rows};
use super::*;

fn cells<K>(table: &Rows<K>) -> Vec<&RawCell> {
    table.rows.iter().map(|row| &row.cell).collect()
}

fn all_cells(paper: &Paper) -> Vec<&RawCell> {
    let raw = &paper.raw;
    [
        cells(&raw.table1),
        cells(&raw.table2),
        cells(&raw.table3),
        cells(&raw.table4_normalization),
        cells(&raw.table4_timestep),
        cells(&raw.table7),
        cells(&raw.table8),
    ]
    .concat()
}

#[test]
fn every_footnote_exists_and_is_used() {
    let paper = paper();
    let mut ids: Vec<&String> = Vec::new();
    for cell in all_cells(paper) {
        ids.extend(cell.auc.footnotes.iter().chain(&cell.tpr1.footnotes));
        ids.extend(cell.time_s.iter().flat_map(|time| &time.footnotes));
    }
    ids.extend(paper.raw.table5.rows.iter().flat_map(|row| &row.footnotes));
    ids.extend(paper.raw.table6.rows.iter().flat_map(|row| &row.footnotes));
    ids.extend(paper.raw.speedup_over_jeon.rows.iter().flat_map(|row| &row.number.footnotes));
    ids.extend(&paper.raw.figure2.kl_isotropy.footnotes);
    ids.extend(&paper.raw.figure2.kl_anisotropy.footnotes);
    for id in &ids {
        assert!(paper.raw.footnotes.contains_key(*id), "{id} has no text");
    }
    for id in paper.raw.footnotes.keys() {
        assert!(ids.contains(&id), "{id} is never used");
    }
}

#[test]
fn every_table_is_complete() {
    let raw = &paper().raw;
    let rows = [
        raw.table1.rows.len(),
        raw.table2.rows.len(),
        raw.table3.rows.len(),
        raw.table4_normalization.rows.len(),
        raw.table4_timestep.rows.len(),
        raw.table5.rows.len(),
        raw.table6.rows.len(),
        raw.table7.rows.len(),
        raw.table8.rows.len(),
    ];
    assert_eq!(rows, [16, 12, 12, 6, 6, 2, 10, 8, 2]);
    assert!(all_cells(paper()).iter().all(|cell| {
        let number = |raw: &super::raw::RawNumber| {
            let value = raw.resolve("", Footnotes::new(&paper().raw.footnotes)).value;
            (0.0..=1.0).contains(&value)
        };
        number(&cell.auc) && number(&cell.tpr1)
    }));
}

#[test]
fn a_misspelt_key_is_refused_with_its_place() {
    let text = include_str!("../../../../data/paper.yaml").replace("quoted: true", "qouted: true");
    let message = Paper::parse(&text).expect_err("unknown key").to_string();
    assert!(message.contains("qouted") && message.contains("line"), "{message}");
}
