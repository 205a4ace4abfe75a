//! Experiment files: as written ([`ExperimentFile`]) and as checked ([`Experiment`]). No run-time types.

mod analysis;
mod check;
mod detectors;
mod file;
mod file_path;
mod limits;
mod missing;
mod mitigation;
mod model;
mod named;
mod network;
mod noise;
mod overrides;
mod profile;
mod renamed;
mod report;
mod sweep;
mod text;

pub use analysis::AnalysisEntry;
pub use check::{Experiment, noise_precision};
pub use detectors::{DetectorEntry, DetectorName, UnknownDetector};
pub use file::{ExperimentFile, FigureKind, GallerySettings, PromptClasses, TableKind, schema};
pub use file_path::FilePath;
pub use mitigation::{
    JudgeSource, MitigationEntry, MitigationName, MitigationSettings, SheetSettings, UnknownMitigation, entry_of_text,
};
pub use model::{LoraEntry, ModelEntry, NamedSource, SizeSettings, WeightsChoice};
pub use network::NetworkSettings;
pub use noise::{NoiseSettings, NoiseSharing};
pub use profile::{ModelProfile, ProfilePrompts};
pub use report::{FitSettings, ReportSettings};
pub use sweep::{SweepAxis, SweepPoint, points};
