//! Pictures of the page.

use memscope_results::{
    Error as ResultsError,
    files::is_plain_name,
    gallery::{GalleryRow, INDEX},
};

use super::inside::Inside;
use crate::report::{Block, ContactSheet, ImageRole, SheetImage, SheetRow};

/// Most bytes of the index, and of one picture.
const INDEX_LIMIT: u64 = 16 << 20;
const PICTURE_LIMIT: u64 = 8 << 20;
/// How every PNG file begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A sheet for each model. Pictures that are no PNG files in the folder are left out with a notice.
pub(super) fn blocks(inside: &mut Inside) -> Vec<Block> {
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
            Ok((png, remark)) => {
                notices.extend(remark);
                images.push(SheetImage { png, alt, role });
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
    Ok((bytes, remark))
}
