//! Pictures of the page.

use memscope_results::{
    Error as ResultsError, Folder,
    files::is_plain_name,
    gallery::{GalleryRow, INDEX},
};

use super::inside::Inside;
use crate::{
    report::{Block, ContactSheet, ImageRole, SheetImage, SheetRow},
    thumbnail,
};

/// Most bytes of the index, and of one picture.
const INDEX_LIMIT: u64 = 16 << 20;
const PICTURE_LIMIT: u64 = 8 << 20;
/// Pictures of one page at most: with at most 8 kB each they stay below 15 MB.
const MOST_PICTURES: usize = 800;
/// How every PNG file begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// How many pictures each of some experiments may bring into a page.
pub(super) fn share<'f>(folders: impl Iterator<Item = &'f Folder>) -> usize {
    MOST_PICTURES / folders.filter(|folder| folder.gallery().join(INDEX).is_file()).count().max(1)
}

/// A sheet for each model, of at most `most` pictures altogether: the rows of more are chosen evenly. Pictures that are
/// no PNG files in the folder are left out with a notice.
pub(super) fn blocks(inside: &mut Inside, most: usize) -> Vec<Block> {
    let path = inside.folder.gallery().join(INDEX);
    if std::fs::symlink_metadata(&path).is_err() {
        return vec![];
    }
    let mut notices = vec![];
    let read = inside.read(&path, INDEX_LIMIT).and_then(|(bytes, remark)| {
        notices.extend(remark);
        let rows: Result<Vec<GalleryRow>, _> = serde_json::from_slice(&bytes);
        rows.map_err(|e| ResultsError::Damaged { path: path.clone(), reason: e.to_string() })
    });
    let rows = match read {
        Ok(rows) => rows,
        Err(error) => return vec![inside.notice(&error.to_string())],
    };
    let rows = chosen(inside, rows, most, &mut notices);
    let mut sheets: Vec<ContactSheet> = vec![];
    for row in rows {
        let title = format!("What {} draws", row.model);
        let shown = sheet_row(inside, row, &mut notices);
        match sheets.iter_mut().find(|sheet| sheet.title == title) {
            Some(sheet) => sheet.rows.push(shown),
            None => sheets.push(ContactSheet { title, rows: vec![shown] }),
        }
    }
    notices.into_iter().chain(sheets.into_iter().map(Block::Sheet)).collect()
}

/// As many rows as `most` pictures allow, evenly.
fn chosen(inside: &Inside, rows: Vec<GalleryRow>, most: usize, notices: &mut Vec<Block>) -> Vec<GalleryRow> {
    let pictures: usize = rows.iter().map(|row| row.drawn.len() + usize::from(row.truth.is_some())).sum();
    if pictures <= most {
        return rows;
    }
    let (count, kept) = (rows.len(), (rows.len() * most / pictures).max(1));
    notices.push(inside.notice(&format!(
        "{kept} of {count} rows of pictures are shown, evenly chosen, so that the page opens quickly; all are in {}",
        inside.folder.gallery().display()
    )));
    let starts = |at: usize| at == 0 || at * kept / count != (at - 1) * kept / count;
    rows.into_iter().enumerate().filter(|(at, _)| starts(*at)).map(|(_, row)| row).collect()
}

fn sheet_row(inside: &mut Inside, row: GalleryRow, notices: &mut Vec<Block>) -> SheetRow {
    let truth = row.truth.iter().map(|name| {
        let alt = format!("training picture of '{}'", row.prompt);
        (name, alt, ImageRole::Truth("training picture".into()))
    });
    let drawn = row.drawn.iter().enumerate().map(|(i, name)| {
        let label = row.labels.get(i).cloned().unwrap_or_else(|| format!("noise {}", i + 1));
        let alt = format!("drawn for '{}', {label}", row.prompt);
        (name, alt, ImageRole::Generated(label))
    });
    let mut images = vec![];
    for (name, alt, role) in truth.chain(drawn) {
        match picture(inside, name) {
            Ok((file, remark)) => {
                notices.extend(remark);
                images.push(SheetImage { file, alt, role });
            }
            Err(reason) => notices.push(inside.notice(&format!("a picture is left out: {reason}"))),
        }
    }
    SheetRow { caption: row.prompt, label: row.label, images }
}

fn picture(inside: &mut Inside, name: &str) -> Result<(Vec<u8>, Option<Block>), ResultsError> {
    if !is_plain_name(name) {
        return Err(ResultsError::OutsideName { index: INDEX.into(), name: name.to_owned() });
    }
    let path = inside.folder.gallery().join(name);
    let (bytes, remark) = inside.read(&path, PICTURE_LIMIT)?;
    if !bytes.starts_with(PNG) {
        return Err(ResultsError::Damaged { path, reason: "it is no PNG file".into() });
    }
    let file = thumbnail::small(bytes).map_err(|e| ResultsError::Damaged { path, reason: e.to_string() })?;
    Ok((file, remark))
}
