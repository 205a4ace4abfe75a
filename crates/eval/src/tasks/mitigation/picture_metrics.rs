//! What is said about the pictures of a unit: by their pixels, and by judges.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use memscope_judges::{Alignment as _, Files, Judge as _, Judges, Picture, Quality as _, Similarity as _, Sscd};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    spec::JudgeSource,
};

/// Pixel RMS to the training picture up to which a picture counts as verbatim: the bound of the embedded models' truth
/// (docs/embedded-models.md).
pub const VERBATIM: f64 = 0.08;

/// Whether a picture is a copy by its pixel RMS to the training picture.
pub fn is_verbatim(distance: f64) -> bool {
    distance <= VERBATIM
}

/// Numbers of the pictures of one prompt: distances, or what judges say.
pub trait PictureMetric {
    /// The numbers of a record: as many for every prompt with so many pictures.
    ///
    /// # Errors
    /// When a network fails.
    fn measure(&self, pictures: &[Picture], training: &[Picture], prompt: &str) -> Result<Vec<f64>>;
}

/// The metrics of the pictures of a unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureMetrics {
    /// Pixel RMS of each picture to the nearest training picture of its size, 0..=1; `None` without one.
    pub distance: Option<Vec<f64>>,
    /// Mean pixel RMS between two pictures, 0..=1; `None` for a single one.
    pub diversity: Option<f64>,
    /// Copy similarity of each picture to the most similar training picture.
    pub similarity: Option<Vec<f64>>,
    /// Whether each picture is a copy: by its similarity, where there is a descriptor, else by its distance; `None` without a
    /// training picture.
    pub copies: Option<Vec<bool>>,
    /// Alignment of each picture with the prompt.
    pub alignment: Option<Vec<f64>>,
    /// Quality of each picture.
    pub quality: Option<Vec<f64>>,
}

/// A metric as a task plans it, before anything is opened.
#[derive(Clone, Debug)]
pub(crate) enum PictureMetricPlan {
    Pixels,
    Judges(JudgeFiles),
}

impl PictureMetricPlan {
    /// What determines it, as part of a key.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Pixels => "pixels/rms".into(),
            Self::Judges(files) => format!("judges/{}", files.id),
        }
    }

    /// Numbers of a record.
    pub(crate) fn numbers(&self, images: usize) -> usize {
        match self {
            Self::Pixels => 3 + images,
            Self::Judges(_) => 3 + 3 * images,
        }
    }

    pub(crate) fn open(&self) -> Result<Box<dyn PictureMetric>> {
        Ok(match self {
            Self::Pixels => Box::new(Pixels),
            Self::Judges(files) => Box::new(Opened(files.open()?)),
        })
    }

    /// Reads a record back.
    pub(crate) fn read(&self, values: &[f64], images: usize, into: &mut PictureMetrics) {
        let given = |flag: usize| values.get(flag).is_some_and(|flag| *flag > 0.0);
        let column = |first: usize| values.get(first..first + images).map(<[f64]>::to_vec);
        match self {
            Self::Pixels => {
                into.distance = column(3).filter(|_| given(0));
                into.diversity = values.get(2).copied().filter(|_| given(1));
                into.copies = copies(into.distance.as_ref(), is_verbatim);
            }
            Self::Judges(files) => {
                into.similarity = column(3).filter(|_| given(0));
                let is_copy = |similarity| files.copy_threshold.is_some_and(|threshold| similarity > threshold);
                into.copies = copies(into.similarity.as_ref(), is_copy).or_else(|| into.copies.take());
                into.alignment = column(3 + images).filter(|_| given(1));
                into.quality = column(3 + 2 * images).filter(|_| given(2));
            }
        }
    }
}

fn copies(column: Option<&Vec<f64>>, is_copy: impl Fn(f64) -> bool) -> Option<Vec<bool>> {
    column.map(|values| values.iter().map(|value| is_copy(*value)).collect())
}

fn flag(given: bool) -> f64 {
    f64::from(u8::from(given))
}

/// Pixels alone.
struct Pixels;

impl PictureMetric for Pixels {
    /// Whether there is a training picture of this size, whether there are two pictures, the diversity, the distances.
    fn measure(&self, pictures: &[Picture], training: &[Picture], _: &str) -> Result<Vec<f64>> {
        let nearest = |picture: &Picture| training.iter().filter_map(|t| picture.rms(t)).min_by(f64::total_cmp);
        let distances: Option<Vec<f64>> = pictures.iter().map(nearest).collect();
        let pairs = pictures.iter().enumerate().flat_map(|(i, a)| pictures[..i].iter().filter_map(|b| a.rms(b)));
        let pairs: Vec<f64> = pairs.collect();
        let diversity = (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64);
        let mut values = vec![flag(distances.is_some()), flag(diversity.is_some()), diversity.unwrap_or_default()];
        values.extend(distances.unwrap_or_else(|| vec![0.0; pictures.len()]));
        Ok(values)
    }
}

/// Judges that are open.
struct Opened(Judges);

impl PictureMetric for Opened {
    /// Which of the three there are, then the numbers of each.
    fn measure(&self, pictures: &[Picture], training: &[Picture], prompt: &str) -> Result<Vec<f64>> {
        let Self(judges) = self;
        let alike = || -> Result<Option<Vec<f64>>> {
            let Some(sscd) = judges.similarity.as_ref().filter(|_| !training.is_empty()) else { return Ok(None) };
            let (drawn, known) = (sscd.describe(pictures)?, sscd.describe(training)?);
            let most = |picture: &memscope_judges::Embedding| -> Result<f64> {
                let all =
                    known.iter().map(|known| picture.cosine(known)).collect::<memscope_judges::Result<Vec<_>>>()?;
                Ok(all.into_iter().fold(f64::NEG_INFINITY, f64::max))
            };
            drawn.iter().map(most).collect::<Result<Vec<f64>>>().map(Some)
        };
        let alignment = || judges.alignment.as_ref().map(|clip| clip.alignment(pictures, prompt)).transpose();
        let quality = || judges.quality.as_ref().map(|head| head.quality(pictures)).transpose();
        // Small networks leave cores idle: the three judge side by side.
        let (similarity, (alignment, quality)) = rayon::join(alike, || rayon::join(alignment, quality));
        let (similarity, alignment, quality) = (similarity?, alignment?, quality?);
        let columns = [similarity, alignment, quality];
        let mut values: Vec<f64> = columns.iter().map(|column| flag(column.is_some())).collect();
        columns.into_iter().for_each(|column| values.extend(column.unwrap_or_else(|| vec![0.0; pictures.len()])));
        Ok(values)
    }
}

/// The files of judges, known before they are opened.
#[derive(Clone, Debug)]
pub struct JudgeFiles {
    files: Files,
    id: String,
    copy_threshold: Option<f64>,
}

/// Files that small judges have, in the program as in a folder.
const EMBEDDED: [&str; 8] = [
    "sscd/config.json",
    "sscd/model.safetensors",
    "clip/config.json",
    "clip/model.safetensors",
    "clip/vocab.json",
    "clip/merges.txt",
    "clip/preprocessor_config.json",
    "quality.safetensors",
];

/// A judge's file in the program.
fn embedded(name: &str) -> Option<&'static [u8]> {
    memscope_embedded::shared_file(&format!("judges/{name}"))
}

impl JudgeFiles {
    /// Finds them; `None` where this version of the program has no judges of its own.
    ///
    /// # Errors
    /// When a folder, or the configuration of its copy descriptor, cannot be read.
    pub fn find(source: &JudgeSource) -> Result<Option<Self>> {
        let mut hash = Sha256::new();
        let files = match source {
            JudgeSource::Folder(folder) => {
                hash_folder(folder, folder, DEPTH, &mut hash)?;
                Files::Folder(folder.clone())
            }
            JudgeSource::Embedded => {
                let known: Vec<&[u8]> = EMBEDDED.iter().filter_map(|name| embedded(name)).collect();
                if known.is_empty() {
                    return Ok(None);
                }
                known.iter().for_each(|bytes| hash.update(bytes));
                Files::Embedded(embedded)
            }
        };
        let id = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let copy_threshold = Sscd::threshold_of(&files)?;
        Ok(Some(Self { files, id, copy_threshold }))
    }

    /// Similarity above which a picture counts as a copy; `None` without a copy descriptor.
    pub fn copy_threshold(&self) -> Option<f64> {
        self.copy_threshold
    }

    /// What determines them.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Opens them, on the CPU.
    ///
    /// # Errors
    /// When there is none, or one is damaged.
    pub fn open(&self) -> Result<Judges> {
        Ok(Judges::from_files(&self.files, &candle_core::Device::Cpu)?)
    }

    /// The names of the judges, as tables give them.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn names(&self) -> Result<Vec<String>> {
        let judges = self.open()?;
        let similarity = judges.similarity.iter().map(|judge| format!("similarity: {}", judge.name()));
        let alignment = judges.alignment.iter().map(|judge| format!("alignment: {}", judge.name()));
        let quality = judges.quality.iter().map(|judge| format!("quality: {}", judge.name()));
        Ok(similarity.chain(alignment).chain(quality).collect())
    }
}

/// Bytes of a file that are hashed at each end: the weights of a judge have gigabytes.
const SAMPLE: u64 = 1 << 20;

/// How deep the folders of judges are: `quality/clip/tokenizer`.
const DEPTH: usize = 3;

/// Names, sizes, and the beginnings and ends of all files.
fn hash_folder(root: &Path, folder: &Path, depth: usize, hash: &mut Sha256) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder).map_err(Error::read(folder))?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Ok(kind) = fs::metadata(&path) else { continue };
        if kind.is_dir() && depth > 0 {
            hash_folder(root, &path, depth - 1, hash)?;
        } else if kind.is_file() {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            hash.update(name.as_bytes());
            hash.update(kind.len().to_le_bytes());
            let mut file = File::open(&path).map_err(Error::read(&path))?;
            let mut sample = vec![];
            file.by_ref().take(SAMPLE).read_to_end(&mut sample).map_err(Error::read(&path))?;
            file.seek(SeekFrom::Start(kind.len().saturating_sub(SAMPLE))).map_err(Error::read(&path))?;
            file.take(SAMPLE).read_to_end(&mut sample).map_err(Error::read(&path))?;
            hash.update(&sample);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds themselves: a distance of 0.08 is verbatim, a similarity has to lie above the descriptor's threshold.
    #[test]
    fn the_bounds_of_copies() {
        assert!(is_verbatim(0.08) && !is_verbatim(0.080_001));
        let files = JudgeFiles { files: Files::Folder("judges".into()), id: String::new(), copy_threshold: Some(0.5) };
        let mut metrics = PictureMetrics::default();
        PictureMetricPlan::Judges(files).read(&[1.0, 0.0, 0.0, 0.5, 0.500_001, 0.0, 0.0, 0.0, 0.0], 2, &mut metrics);
        assert_eq!(metrics.copies, Some(vec![false, true]));
    }

    fn flat(value: u8) -> Picture {
        Picture::from_rgb(2, 2, vec![value; 12]).unwrap()
    }

    #[test]
    fn pixels_tell_distance_and_diversity() {
        let drawn = [flat(0), flat(51), flat(255)];
        let plan = PictureMetricPlan::Pixels;
        let metrics_of = |pictures: &[Picture], training: &[Picture]| {
            let values = plan.open().unwrap().measure(pictures, training, "").unwrap();
            assert_eq!(values.len(), plan.numbers(pictures.len()));
            let mut metrics = PictureMetrics::default();
            plan.read(&values, pictures.len(), &mut metrics);
            metrics
        };
        let metrics = metrics_of(&drawn, &[flat(102), flat(255)]);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(metrics.distance.unwrap().iter().zip([0.4, 0.2, 0.0]).all(|(a, b)| close(*a, b)));
        assert!(close(metrics.diversity.unwrap(), (0.2 + 1.0 + 0.8) / 3.0));
        let single = metrics_of(&drawn[..1], &[]);
        assert_eq!(single, PictureMetrics::default());
        // Pictures of other sizes have no distance.
        let other = Picture::from_rgb(1, 1, vec![0; 3]).unwrap();
        assert_eq!(metrics_of(&drawn, &[other]).distance, None);
    }
}
