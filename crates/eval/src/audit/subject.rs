//! What is audited: prompts, or pictures with captions, as people keep them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use memscope_frames::{Columns, Format, Table, prompt_column, read_bytes, read_table};
use memscope_model::ModelSource;

use super::Given;
use crate::{
    error::{Error, Result},
    prompts::{self, KnownPrompt, PromptSource},
    tasks::TrainingPicture,
};

/// One prompt, with its training picture where there is one.
#[derive(Clone, Debug)]
pub struct SubjectItem {
    /// The prompt.
    pub prompt: Arc<str>,
    /// The picture it was trained with.
    pub picture: Option<TrainingPicture>,
}

/// Prompts or captioned pictures.
#[derive(Clone, Debug)]
pub struct Subject {
    /// As it was named.
    pub name: String,
    /// In order.
    pub items: Vec<SubjectItem>,
    /// The table as it was read; `None` for lists of the program.
    pub table: Option<Table>,
    /// For every row of the table, the position of its item; `None` for a row without a prompt.
    pub rows: Vec<Option<usize>>,
    /// Remarks.
    pub warnings: Vec<String>,
}

/// The name of the list of ordinary captions.
const ORDINARY: &str = "ordinary";
/// One caption a line, made by scripts/captions/make_captions.py.
const ORDINARY_CAPTIONS: &[u8] = include_bytes!("../../../../data/captions/ordinary.txt");

/// Columns that name a picture, in any case: the first is Hugging Face's.
const PICTURE_NAMES: [&str; 4] = ["file_name", "image", "picture", "file"];
/// Endings of pictures.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];
/// Tables that a folder of pictures may have.
const METADATA: [&str; 3] = ["metadata.jsonl", "metadata.csv", "metadata.parquet"];
/// Most pictures of a folder.
const MOST: usize = 1_000_000;

impl Subject {
    /// Reads prompts: `embedded:SET`, `paper:LIST`, `ordinary`, or a file. Pictures of the program's own prompts come along.
    ///
    /// # Errors
    /// When the list cannot be read or holds no prompt.
    pub fn prompts(source: &str, column: Option<&str>, model: &ModelSource) -> Result<Self> {
        let named = PromptSource::of_argument(source).map_err(|reason| refuse(source, reason))?;
        if !matches!(named, PromptSource::File(_)) {
            let list = named.load(model)?;
            let with_pictures = Given::embedded_pictures(&list);
            let item = |prompt: KnownPrompt| {
                let picture = prompt.image.as_deref().filter(|_| with_pictures);
                SubjectItem { prompt: prompt.text, picture: picture.and_then(TrainingPicture::of_program) }
            };
            let warnings = list.warnings.iter().map(ToString::to_string).collect();
            let items = list.prompts.into_iter().map(item).collect();
            return Ok(Self { name: source.to_owned(), items, table: None, rows: vec![], warnings });
        }
        let file = match source {
            ORDINARY => prompts::parse(ORDINARY, ORDINARY_CAPTIONS)?,
            path => prompts::read_file(Path::new(path), column)?,
        };
        let (table, rows) = (file.table.clone(), file.rows.iter().collect());
        let list = file.into_list();
        let warnings = list.warnings.iter().map(ToString::to_string).collect();
        let item = |prompt: KnownPrompt| SubjectItem { prompt: prompt.text, picture: None };
        let items = list.prompts.into_iter().map(item).collect();
        Ok(Self { name: source.to_owned(), items, table: Some(table), rows, warnings })
    }

    /// Reads pictures with captions: a folder with `x.png` and `x.txt`, or with a table `metadata.jsonl` or `metadata.csv`;
    /// a table with a column `file_name`, `image`, `picture` or `file` (relative to it) and one of captions; or
    /// `embedded:SET`.
    ///
    /// # Errors
    /// When a picture or caption is missing or cannot be read.
    pub fn pictures(source: &str, column: Option<&str>, model: &ModelSource) -> Result<Self> {
        if source.starts_with("embedded:") {
            let subject = Self::prompts(source, column, model)?;
            return match subject.has_pictures() {
                true => Ok(subject),
                false => Err(refuse(source, "the program has no pictures of these prompts".into())),
            };
        }
        let path = Path::new(source);
        if !path.is_dir() {
            let table = read_table(path, Columns::All)?;
            return Self::of_table(source, table, path.parent().unwrap_or(Path::new("")), column);
        }
        match METADATA.iter().map(|name| path.join(name)).find(|table| table.is_file()) {
            Some(table) => Self::of_table(source, read_table(&table, Columns::All)?, path, column),
            None => Self::of_table(source, captions_of(source, path)?, path, None),
        }
    }

    /// Whether every item has a picture.
    pub fn has_pictures(&self) -> bool {
        !self.items.is_empty() && self.items.iter().all(|item| item.picture.is_some())
    }

    /// The first so many items.
    pub fn truncate(&mut self, limit: usize) {
        self.items.truncate(limit);
        self.rows.iter_mut().for_each(|row| *row = row.filter(|item| *item < limit));
    }

    /// Whether a row of the table holds nothing.
    pub fn is_blank(&self, row: usize) -> bool {
        self.table
            .as_ref()
            .is_none_or(|table| table.columns.iter().all(|column| column.cells.get(row).text().is_none()))
    }

    fn of_table(source: &str, table: Table, folder: &Path, column: Option<&str>) -> Result<Self> {
        let captions = prompt_column(&table, column)?;
        let is_name = |name: &str| PICTURE_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
        let Some(files) = table.columns.iter().find(|column| is_name(&column.name)) else {
            return Err(refuse(&table.file, format!("it has no column {}", PICTURE_NAMES.join(", "))));
        };
        let (mut items, mut rows, mut blank) = (vec![], vec![], 0);
        for (row, caption) in captions.iter().enumerate() {
            let caption = caption.text().map(str::trim).filter(|caption| !caption.is_empty());
            let (Some(caption), Some(file)) = (caption, files.cells.get(row).text()) else {
                rows.push(None);
                blank += 1;
                continue;
            };
            let path = folder.join(file.trim());
            let picture = TrainingPicture::of_file(&path)
                .map_err(|e| refuse(&table.file, format!("row {}: {}: {e}", row + 1, path.display())))?;
            rows.push(Some(items.len()));
            items.push(SubjectItem { prompt: caption.into(), picture: Some(picture) });
        }
        if items.is_empty() {
            return Err(refuse(source, "holds no picture with a caption".into()));
        }
        let warnings = match blank {
            0 => vec![],
            blank => vec![format!("{source}: {blank} row(s) without a caption or a picture are left out")],
        };
        Ok(Self { name: source.to_owned(), items, table: Some(table), rows, warnings })
    }
}

fn refuse(file: &str, reason: String) -> Error {
    Error::Prompts { file: file.to_owned(), reason }
}

/// The pictures of a folder with the text files of the same names, as a table.
fn captions_of(source: &str, folder: &Path) -> Result<Table> {
    let mut pictures: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if !ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            continue;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(refuse(source, format!("the name of {} is not UTF-8", path.display())));
        };
        pictures.insert(name.to_owned(), path);
        if pictures.len() > MOST {
            return Err(refuse(source, format!("holds more than {MOST} pictures")));
        }
    }
    if pictures.is_empty() {
        return Err(refuse(source, "holds no PNG or JPEG pictures, and no metadata.jsonl or metadata.csv".into()));
    }
    let mut lines = vec![];
    for (name, path) in pictures {
        let text = path.with_extension("txt");
        let caption = prompts::read_caption(&text)?;
        let cell = serde_json::json!({ "file_name": name, "text": caption });
        lines.extend(cell.to_string().into_bytes());
        lines.push(b'\n');
    }
    Ok(read_bytes(source, &lines, Format::JsonLines)?)
}
