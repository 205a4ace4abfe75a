//! Files of one experiment, read with suspicion.

use std::path::Path;

use memscope_results::{Error as ResultsError, Folder, Manifest, files, manifest::Integrity};

use crate::report::Block;

/// Bytes that one experiment may bring into the page.
const BUDGET: u64 = 256 << 20;

/// An experiment's folder with what its manifest says about every file.
pub(super) struct Inside<'a> {
    pub(super) folder: &'a Folder,
    pub(super) manifest: &'a Manifest,
    left: u64,
}

impl<'a> Inside<'a> {
    pub(super) fn new(folder: &'a Folder, manifest: &'a Manifest) -> Self {
        Self { folder, manifest, left: BUDGET }
    }

    /// The bytes of a file below the folder, and what is to be said about it.
    pub(super) fn read(&mut self, path: &Path, limit: u64) -> Result<(Vec<u8>, Option<Block>), ResultsError> {
        let bytes = files::read_file(path, limit.min(self.left))?;
        self.left -= bytes.len() as u64;
        let name = path.strip_prefix(self.folder.path()).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let remark = match self.manifest.integrity(&name, &bytes) {
            Integrity::Intact | Integrity::Unknown => None,
            Integrity::Changed => Some("was changed after the run: its hash does not match the manifest"),
            Integrity::Unlisted => Some("is not among the files that the run wrote"),
        };
        Ok((bytes, remark.map(|remark| self.notice(&format!("{} {remark}", shown(&name))))))
    }

    /// A line about this experiment.
    pub(super) fn notice(&self, text: &str) -> Block {
        Block::Notice(format!("{}: {text}", shown(&self.folder.name())))
    }
}

/// A name from a folder for messages: no control characters, not too long.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(120).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
