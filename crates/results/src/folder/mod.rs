//! The folders of results: [`Results`] holds experiments and what they share, [`Folder`] one experiment.
//!
//! ```text
//! results/                   Results
//! ├── answers/               measured numbers, shared by all experiments
//! ├── shards/PLAN/           what several processes work on, see [`crate::shards`]
//! ├── pictures/              pictures of mitigated prompts, shared by all experiments
//! ├── report.html
//! └── NAME/                  Folder
//!     ├── experiment.yaml    the experiment with every default filled in
//!     ├── tables/            NAME.{md,csv,json,tex} and others
//!     ├── figures/           NAME-KIND-MODEL.{svg,png,json,csv}, -dark.svg
//!     ├── gallery/           pictures and gallery.json
//!     ├── timing/            the table of times, apart because times differ from run to run
//!     ├── timing.json        the times behind it
//!     ├── measurements.parquet
//!     ├── scores.csv
//!     ├── prompts.json       every prompt with what is known about it and its scores
//!     ├── sweep.csv          the points of a sweep as one long table
//!     ├── points/NNN/        a Folder for every point of a sweep
//!     ├── manifest.json      where all this comes from, with the SHA-256 of every file
//!     └── COMPLETE           written last
//! ```

mod open_run;

pub use self::open_run::OpenRun;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use memscope_text::long_excerpt;

use crate::{
    error::{Error, Result},
    files,
    manifest::Manifest,
    settings::{Settings, is_word},
};

/// A folder of experiments with what they share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Results {
    root: PathBuf,
    /// The store of measured numbers, where it is not below the root.
    answers: Option<PathBuf>,
}

impl From<&Path> for Results {
    fn from(root: &Path) -> Self {
        Self::new(root)
    }
}

impl Results {
    /// The results at `root`; nothing is made.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), answers: None }
    }

    /// The same with the store of measured numbers in another folder, which several results folders may share.
    #[must_use]
    pub fn with_answers(self, answers: Option<PathBuf>) -> Self {
        Self { answers, ..self }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The store of measured numbers that all experiments share.
    pub fn answers(&self) -> PathBuf {
        self.answers.clone().unwrap_or_else(|| self.root.join("answers"))
    }

    /// The pictures of mitigated prompts that all experiments share; a name holds what determines a picture.
    pub fn pictures(&self) -> PathBuf {
        self.root.join("pictures")
    }

    /// The page that shows everything.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The folder of the experiment `name`.
    pub fn experiment(&self, name: &str) -> Folder {
        Folder::new(self.root.join(name))
    }

    /// Every folder below, and the folder itself, that holds a manifest, by path; links are not followed.
    ///
    /// # Errors
    /// [`Error::Read`] where the folder cannot be listed.
    pub fn experiments(&self) -> Result<Vec<Folder>> {
        let mut found: Vec<Folder> =
            self.folders()?.into_iter().filter(|folder| folder.manifest_path().is_file()).collect();
        found.sort_by(|a, b| a.root.cmp(&b.root));
        Ok(found)
    }

    /// Every folder below that looks like an experiment's, complete or not, and the folder itself.
    ///
    /// # Errors
    /// [`Error::Read`] where the folder cannot be listed.
    pub fn folders(&self) -> Result<Vec<Folder>> {
        let entries = fs::read_dir(&self.root).map_err(Error::read(&self.root))?;
        let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let all = below.map(|entry| Folder::new(entry.path())).chain([Folder::new(&self.root)]);
        Ok(all.filter(Folder::is_experiment).collect())
    }
}

/// The folder of one experiment: every path below it, and the ways to read and write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
}

/// Most bytes of a manifest.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// Settings that a message names at most.
const MOST_DIFFERENCES: usize = 3;

impl Folder {
    /// The folder at `root`; nothing is made.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The last part of its path.
    pub fn name(&self) -> String {
        // `.` and the like have a name only once resolved.
        let resolved = self.root.file_name().map(Path::new).map(Path::to_owned).or_else(|| {
            let full = fs::canonicalize(&self.root).ok()?;
            Some(PathBuf::from(full.file_name()?))
        });
        resolved.unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The experiment with every default filled in.
    pub fn experiment_yaml(&self) -> PathBuf {
        self.root.join("experiment.yaml")
    }

    /// Tables, in every format.
    pub fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    /// Figures, each with its data.
    pub fn figures(&self) -> PathBuf {
        self.root.join("figures")
    }

    /// Pictures and their index.
    pub fn gallery(&self) -> PathBuf {
        self.root.join("gallery")
    }

    /// The table of times.
    pub fn timing_tables(&self) -> PathBuf {
        self.root.join("timing")
    }

    /// The times behind it.
    pub fn timing_records(&self) -> PathBuf {
        self.root.join("timing.json")
    }

    /// Every measured number.
    pub fn measurements(&self) -> PathBuf {
        self.root.join("measurements.parquet")
    }

    /// Every prompt with its scores, for the report.
    pub fn prompts(&self) -> PathBuf {
        self.root.join(crate::prompts::FILE)
    }

    /// Every score.
    pub fn scores(&self) -> PathBuf {
        self.root.join("scores.csv")
    }

    /// The points of a sweep as one long table.
    pub fn sweep_table(&self) -> PathBuf {
        self.root.join("sweep.csv")
    }

    /// The folder of a point of a sweep, counted from 0.
    pub fn point(&self, index: usize) -> Self {
        Self::new(self.root.join("points").join(format!("{:03}", index + 1)))
    }

    /// Where all this comes from.
    pub fn manifest_path(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// The mark of a complete experiment.
    pub fn complete_mark(&self) -> PathBuf {
        self.root.join("COMPLETE")
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// Folders whose files are written one by one.
    pub(crate) fn written_folders(&self) -> [PathBuf; 5] {
        [self.root.clone(), self.tables(), self.figures(), self.gallery(), self.timing_tables()]
    }

    /// Whether its last run ended well.
    pub fn is_complete(&self) -> bool {
        fs::symlink_metadata(self.complete_mark()).is_ok_and(|mark| mark.is_file())
    }

    /// Whether a run has ever begun here.
    fn is_experiment(&self) -> bool {
        let marks = [self.complete_mark(), self.manifest_path(), self.experiment_yaml(), self.lock_path()];
        marks.iter().any(|mark| fs::symlink_metadata(mark).is_ok_and(|mark| mark.is_file()))
    }

    /// The manifest of the last run that ended.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotAFile`], [`Error::TooLarge`], [`Error::Damaged`] and [`Error::NewerFormat`].
    pub fn manifest(&self) -> Result<Manifest> {
        let path = self.manifest_path();
        Manifest::parse(&path, &files::read_file(&path, MANIFEST_LIMIT)?)
    }

    /// Refuses to run an experiment here with other settings than those of the run that the folder holds, whose results
    /// would be lost. Words about it (`title`, `about`) may change.
    ///
    /// # Errors
    /// [`Error::OtherSettings`] with the first that differ; [`Error::NewerFormat`].
    pub fn check_settings(&self, settings: &Settings) -> Result<()> {
        let there = match self.manifest() {
            Ok(manifest) if !manifest.settings.is_empty() => manifest.settings,
            Err(error @ Error::NewerFormat { .. }) => return Err(error),
            // Nothing is there that could be told apart.
            _ => return Ok(()),
        };
        let keys: BTreeSet<&String> = there.keys().chain(settings.keys()).filter(|key| !is_word(key)).collect();
        let differ: Vec<String> = keys
            .into_iter()
            .filter(|key| there.get(*key) != settings.get(*key))
            .map(|key| {
                let value =
                    |settings: &Settings| settings.get(key).map_or("unset".to_owned(), |value| long_excerpt(value));
                format!("{key} is {} there and {} here", value(&there), value(settings))
            })
            .collect();
        if differ.is_empty() {
            return Ok(());
        }
        let more = differ.len().saturating_sub(MOST_DIFFERENCES);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let differences = differ[..differ.len().min(MOST_DIFFERENCES)].join(", ") + &more;
        Err(Error::OtherSettings { folder: self.root.clone(), differences })
    }

    /// Begins a run: takes the folder's lock, and only then makes the folder incomplete and sweeps what killed runs
    /// left unfinished. The lock is held until the returned value is committed or dropped.
    ///
    /// # Errors
    /// [`Error::InUse`] while another run holds the lock, which leaves the folder as it was; [`Error::Write`].
    pub fn begin(&self) -> Result<OpenRun> {
        OpenRun::begin(self.clone())
    }

    /// Files of a subfolder whose names end in `ending`, short names first; no links, nothing hidden, none where the
    /// folder is absent.
    pub fn files(subfolder: &Path, ending: &str) -> Vec<PathBuf> {
        if !fs::symlink_metadata(subfolder).is_ok_and(|kind| kind.is_dir()) {
            return vec![];
        }
        let entries = fs::read_dir(subfolder).into_iter().flatten().flatten();
        let regular = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut names: Vec<String> = regular.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.ends_with(ending) && files::is_plain_name(name));
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names.into_iter().map(|name| subfolder.join(name)).collect()
    }
}
