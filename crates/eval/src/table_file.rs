//! Tables of columns on their way to a file.

use std::path::{Path, PathBuf};

use memscope_frames::{FrameColumn, FrameWriter, OutputFormat};
use memscope_results::files::{Existing, PendingFile};

use crate::error::{Error, Result};

/// A table that is written piece by piece; the file has its name only when all of it is on the disk.
pub struct TableFile {
    path: PathBuf,
    format: OutputFormat,
    pending: PendingFile,
    writer: Option<FrameWriter>,
}

impl TableFile {
    /// Begins a table in the form that the file's name says.
    ///
    /// # Errors
    /// When the name says none, or the folder does not take the file.
    pub fn create(path: &Path) -> Result<Self> {
        let format = OutputFormat::of(path)?;
        Ok(Self { path: path.to_owned(), format, pending: PendingFile::create(path)?, writer: None })
    }

    /// Adds `rows` rows; all pieces have the same columns.
    ///
    /// # Errors
    /// When the file does not take them.
    pub fn push(&mut self, rows: usize, columns: Vec<FrameColumn>) -> Result<()> {
        let written = match &mut self.writer {
            Some(writer) => writer.write(rows, columns),
            None => {
                let writer = FrameWriter::begin(self.format, self.pending.writer()?, rows, columns);
                writer.map(|writer| self.writer = Some(writer))
            }
        };
        written.map_err(Error::write(&self.path))
    }

    /// Gives the file its name, in place of one that is there.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn finish(self) -> Result<()> {
        if let Some(writer) = self.writer {
            writer.finish().map_err(Error::write(&self.path))?;
        }
        Ok(self.pending.finish(Existing::Replace)?)
    }
}

/// Writes a table in one piece.
///
/// # Errors
/// As those of [`TableFile`].
pub fn write_columns(path: &Path, rows: usize, columns: Vec<FrameColumn>) -> Result<()> {
    let mut file = TableFile::create(path)?;
    file.push(rows, columns)?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn pieces_make_the_table_and_a_failed_one_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let columns = |range: std::ops::Range<i64>| {
            let texts: Vec<String> = range.clone().map(|i| format!("a \"{i}\", b")).collect();
            vec![FrameColumn::new("text".into(), texts), FrameColumn::new("n".into(), range.collect::<Vec<_>>())]
        };
        for name in ["a.csv", "a.jsonl"] {
            let (whole, pieces) = (folder.path().join(name), folder.path().join(format!("pieces-{name}")));
            write_columns(&whole, 5, columns(0..5)).unwrap();
            let mut file = TableFile::create(&pieces).unwrap();
            file.push(2, columns(0..2)).unwrap();
            file.push(3, columns(2..5)).unwrap();
            assert!(!pieces.exists());
            file.finish().unwrap();
            assert_eq!(fs::read(&whole).unwrap(), fs::read(&pieces).unwrap());
        }
        let path = folder.path().join("a.csv");
        let before = (fs::read(&path).unwrap(), fs::read_dir(folder.path()).unwrap().count());
        let uneven = [columns(0..2), vec![FrameColumn::new("m".into(), vec![1.0])]].concat();
        assert!(write_columns(&path, 2, uneven).is_err());
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(folder.path()).unwrap().count()), before);
    }
}
