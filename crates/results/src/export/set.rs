//! The files of one table, opened before the work that fills them.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{ExportError, Exporter, Format};
use crate::{files::temporary, table::ResultTable};

/// Targets of one result table.
///
/// Each is a temporary file in the final folder, renamed when all are complete: a reader never sees half a table, and
/// an interrupted run leaves the previous files in place.
#[derive(Debug)]
pub struct ExportSet {
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    format: Format,
    path: PathBuf,
    file: NamedTempFile,
}

impl ExportSet {
    /// Makes `dir` and opens `dir/name.EXTENSION` for each format, so that a bad path fails now and not after hours.
    ///
    /// # Errors
    /// The name is no file name, a folder is in the place of a file, or the folder cannot be made or written to.
    pub fn open(dir: &Path, name: &str, formats: &[Format]) -> Result<Self, ExportError> {
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name == "." || name == ".." {
            return Err(ExportError::BadName { name: name.to_owned() });
        }
        std::fs::create_dir_all(dir).map_err(|source| ExportError::CreateFolder { path: dir.to_owned(), source })?;
        let mut targets: Vec<Target> = Vec::new();
        for &format in formats {
            if targets.iter().any(|target| target.format == format) {
                continue;
            }
            let path = dir.join(format!("{name}.{}", format.exporter().extension()));
            if path.is_dir() {
                return Err(ExportError::IsFolder { path });
            }
            let file = temporary(dir).map_err(|source| ExportError::Write { path: path.clone(), source })?;
            targets.push(Target { format, path, file });
        }
        Ok(Self { targets })
    }

    /// Final paths, in the order of the formats.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.targets.iter().map(|target| target.path.as_path())
    }

    /// Writes every format, then puts all files in place; returns their paths.
    ///
    /// # Errors
    /// A file cannot be written or put in its place.
    pub fn write(mut self, table: &ResultTable) -> Result<Vec<PathBuf>, ExportError> {
        for target in &mut self.targets {
            fill(&mut target.file, target.format.exporter(), table)
                .map_err(|source| ExportError::Write { path: target.path.clone(), source })?;
        }
        let mut paths = Vec::with_capacity(self.targets.len());
        for Target { path, file, .. } in self.targets {
            file.persist(&path).map_err(|error| ExportError::Write { path: path.clone(), source: error.error })?;
            paths.push(path);
        }
        Ok(paths)
    }
}

fn fill(file: &mut NamedTempFile, exporter: &dyn Exporter, table: &ResultTable) -> io::Result<()> {
    let mut out = BufWriter::new(file.as_file_mut());
    exporter.write(table, &mut out)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()
}
