//! Bounds of the numbers in an experiment file, checked where they are read, so that errors carry line and column.

use serde::{Deserialize, Deserializer, de};

use super::sweep::SweepAxis;

/// Most latents per prompt and seed.
const GENERATIONS: usize = 10_000;
/// Most entries of a list of seeds or of numbers of generations.
const LIST: usize = 10_000;
/// Most bootstrap resamples.
const RESAMPLES: usize = 1_000_000;
/// Most random splits, and most prompts to fit on.
const SPLITS: usize = 10_000;
/// Most prompts of a class in a gallery.
const GALLERY_PROMPTS: usize = 10_000;
/// Most images of a prompt in a gallery.
const GALLERY_IMAGES: usize = 256;
/// Most steps of a trajectory.
const SAMPLING_STEPS: usize = 1_000;
/// Most samples per network call.
const BATCH: usize = 65_536;
/// Most points of a sweep.
pub(super) const SWEEP_POINTS: usize = 10_000;

/// Folders of a results folder that are no experiment's.
const RESERVED: [&str; 4] = ["answers", "pictures", "shards", "theorem1"];

type Read<T, E> = Result<T, E>;

fn bounded<'de, D: Deserializer<'de>>(deserializer: D, name: &str, most: usize) -> Read<usize, D::Error> {
    let value = u64::deserialize(deserializer)?;
    match usize::try_from(value).ok().filter(|value| (1..=most).contains(value)) {
        Some(value) => Ok(value),
        None => Err(de::Error::custom(format!("{name}: {value} must lie in 1..={most}"))),
    }
}

pub(super) fn generations<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "noise.generations", GENERATIONS)
}

pub(super) fn resamples<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "report.resamples", RESAMPLES)
}

pub(super) fn splits<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "report.fit.splits", SPLITS)
}

pub(super) fn fit_prompts<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "report.fit.prompts", SPLITS)
}

pub(super) fn gallery_prompts<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "gallery.prompts", GALLERY_PROMPTS)
}

pub(super) fn gallery_images<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "gallery.images", GALLERY_IMAGES)
}

pub(super) fn mitigated_prompts<'de, D: Deserializer<'de>>(deserializer: D) -> Read<Option<usize>, D::Error> {
    bounded(deserializer, "mitigation.prompts", GALLERY_PROMPTS).map(Some)
}

pub(super) fn mitigated_images<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "mitigation.images", GALLERY_IMAGES)
}

pub(super) fn sampling_steps<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "mitigation.steps", SAMPLING_STEPS)
}

pub(super) fn batch<'de, D: Deserializer<'de>>(deserializer: D) -> Read<usize, D::Error> {
    bounded(deserializer, "batch", BATCH)
}

/// Seeds: at least one, no more than [`LIST`], none twice.
pub(super) fn seeds<'de, D: Deserializer<'de>>(deserializer: D) -> Read<Vec<u64>, D::Error> {
    list(deserializer, "noise.seeds")
}

/// Numbers of generations to report, likewise.
pub(super) fn reported<'de, D: Deserializer<'de>>(deserializer: D) -> Read<Vec<usize>, D::Error> {
    list(deserializer, "report.generations")
}

fn list<'de, T: Deserialize<'de> + std::hash::Hash + Eq, D: Deserializer<'de>>(
    deserializer: D,
    name: &str,
) -> Read<Vec<T>, D::Error> {
    let items = Vec::<T>::deserialize(deserializer)?;
    let distinct: std::collections::HashSet<&T> = items.iter().collect();
    if distinct.len() < items.len() {
        return Err(de::Error::custom(format!("{name}: an entry is repeated")));
    }
    match items.len() {
        0 => Err(de::Error::custom(format!("{name}: give at least one"))),
        count if count > LIST => Err(de::Error::custom(format!("{name}: {count} entries are more than {LIST}"))),
        _ => Ok(items),
    }
}

pub(super) fn target_fpr<'de, D: Deserializer<'de>>(deserializer: D) -> Read<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    match value > 0.0 && value < 1.0 {
        true => Ok(value),
        false => Err(de::Error::custom(format!("report.target_fpr: {value} must lie between 0 and 1"))),
    }
}

/// A name that is a plain folder name and stands for nothing else in a results folder.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Read<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 100 || name.starts_with('-') || !name.chars().all(is_plain) {
        let shown: String = name.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect();
        let message =
            format!("name: '{shown}' must be at most 100 letters, digits, '-' and '_', and must not begin with '-'");
        return Err(de::Error::custom(message));
    }
    match RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        true => Err(de::Error::custom(format!("name: '{name}' is reserved; choose another"))),
        false => Ok(name),
    }
}

/// The axes of a sweep: each field once, and no more points than can be run.
pub(super) fn sweep<'de, D: Deserializer<'de>>(deserializer: D) -> Read<Vec<SweepAxis>, D::Error> {
    let axes = Vec::<SweepAxis>::deserialize(deserializer)?;
    let mut points = 1_usize;
    for (i, axis) in axes.iter().enumerate() {
        let fail = |reason: &str| Err(de::Error::custom(format!("sweep: {}{reason}", axis.field)));
        if axis.values.is_empty() {
            return fail(" has no values");
        }
        if axes[..i].iter().any(|other| other.field == axis.field) {
            return fail(" is named twice");
        }
        if ["name", "sweep"].contains(&axis.field.split('.').next().unwrap_or_default()) {
            return fail(" cannot be swept");
        }
        points = points.saturating_mul(axis.values.len());
    }
    if points > SWEEP_POINTS {
        return Err(de::Error::custom(format!("sweep: {points} points are more than {SWEEP_POINTS}")));
    }
    let repeats = |axis: &&SweepAxis| axis.values.iter().enumerate().any(|(i, value)| axis.values[..i].contains(value));
    match axes.iter().find(repeats) {
        Some(axis) => Err(de::Error::custom(format!("sweep: {} has a value twice", axis.field))),
        None => Ok(axes),
    }
}
