//! The training pictures behind prompts.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use memscope_frames::{Columns, read_table};
use memscope_judges::Picture;
use memscope_results::files::{read_file, sha256};

use crate::{
    error::{Error, Result},
    prompts::KnownPrompt,
};

/// The file that says which picture belongs to which prompt.
const INDEX: &str = "pictures.csv";
/// Most bytes of a training picture.
const LIMIT: u64 = 64 << 20;

/// The training pictures of some prompts; a prompt may have several or none.
#[derive(Clone, Debug, Default)]
pub struct TrainingPictures {
    by_prompt: Vec<Vec<TrainingPicture>>,
}

/// A training picture: where it is, and the SHA-256 of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingPicture {
    source: PictureSource,
    hash: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PictureSource {
    /// Part of the program.
    Embedded(String),
    File(PathBuf),
}

impl TrainingPicture {
    /// A file. It is read once, for its hash.
    ///
    /// # Errors
    /// When it is no regular file of at most 64 MiB, or cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let hash = sha256(&read_file(path, LIMIT)?);
        Ok(Self { source: PictureSource::File(path.to_owned()), hash })
    }

    /// A picture of the program by its name; `None` where there is none.
    pub fn of_program(name: &str) -> Option<Self> {
        let bytes = memscope_embedded::shared_file(name)?;
        Some(Self { source: PictureSource::Embedded(name.to_owned()), hash: sha256(bytes) })
    }

    /// SHA-256 of its file.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// How people call it: the name of its file.
    pub fn label(&self) -> String {
        let path = match &self.source {
            PictureSource::Embedded(name) => Path::new(name),
            PictureSource::File(path) => path,
        };
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        match &self.source {
            PictureSource::Embedded(name) => {
                let bytes = memscope_embedded::shared_file(name).map(<[u8]>::to_vec);
                bytes.ok_or_else(|| Error::internal("an embedded picture is missing"))
            }
            PictureSource::File(path) => Ok(read_file(path, LIMIT)?),
        }
    }

    /// The picture.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(&self) -> Result<Picture> {
        let name = match &self.source {
            PictureSource::Embedded(name) => Path::new(name),
            PictureSource::File(path) => path,
        };
        Ok(Picture::decode(name, &self.bytes()?)?)
    }

    /// A plain file name of its own.
    pub(crate) fn file_name(&self) -> String {
        format!("training-{}.png", &self.hash[..self.hash.len().min(12)])
    }
}

impl TrainingPictures {
    /// Those of prompts: the embedded ones, and those of a folder that has `pictures.csv` with the columns `prompt` and `file`.
    ///
    /// # Errors
    /// When the folder, or a file that it names for one of the prompts, cannot be read.
    pub fn find(prompts: &[KnownPrompt], folder: Option<&Path>) -> Result<Self> {
        let mut index = folder.map(|folder| read_index(folder, prompts)).transpose()?.unwrap_or_default();
        let embedded = |known: &KnownPrompt| TrainingPicture::of_program(known.image.as_deref()?);
        let of_prompt = |known: &KnownPrompt| {
            embedded(known).into_iter().chain(index.remove(&*known.text).unwrap_or_default()).collect()
        };
        Ok(Self { by_prompt: prompts.iter().map(of_prompt).collect() })
    }

    /// Those of prompts in order, one each or none.
    pub fn of_prompts(pictures: impl IntoIterator<Item = Option<TrainingPicture>>) -> Self {
        Self { by_prompt: pictures.into_iter().map(|picture| picture.into_iter().collect()).collect() }
    }

    /// Prompts without a picture.
    pub fn missing(&self) -> usize {
        self.by_prompt.iter().filter(|pictures| pictures.is_empty()).count()
    }

    /// The pictures of a prompt.
    pub(crate) fn of(&self, prompt: usize) -> &[TrainingPicture] {
        self.by_prompt.get(prompt).map_or(&[], Vec::as_slice)
    }

    /// What determines the pictures of a prompt, as part of a key.
    pub(crate) fn id(&self, prompt: usize) -> String {
        self.of(prompt).iter().map(|picture| picture.hash.as_str()).collect::<Vec<_>>().join(" ")
    }
}

fn read_index(folder: &Path, prompts: &[KnownPrompt]) -> Result<HashMap<String, Vec<TrainingPicture>>> {
    let path = folder.join(INDEX);
    let refuse = |reason: String| Error::Prompts { file: path.display().to_string(), reason };
    let table = read_table(&path, Columns::All)?;
    let column = |name: &str| {
        let found = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| refuse(format!("it has no column '{name}'; it needs prompt and file")))
    };
    let (of_prompt, of_file) = (column("prompt")?, column("file")?);
    let mut index: HashMap<String, Vec<TrainingPicture>> = HashMap::new();
    for (row, (prompt, file)) in of_prompt.cells.iter().zip(of_file.cells.iter()).enumerate() {
        let (Some(prompt), Some(name)) = (prompt.text(), file.text()) else { continue };
        let prompt = prompt.trim();
        if !prompts.iter().any(|known| &*known.text == prompt) {
            continue;
        }
        let file = folder.join(name.trim());
        let fail = |reason: String| refuse(format!("row {}: {}: {reason}", row + 1, file.display()));
        let kind = fs::metadata(&file).map_err(|e| fail(e.to_string()))?;
        if !kind.is_file() || kind.len() > LIMIT {
            return Err(fail(format!("it is no file of at most {LIMIT} bytes")));
        }
        let hash = sha256(&fs::read(&file).map_err(|e| fail(e.to_string()))?);
        let picture = TrainingPicture { source: PictureSource::File(file), hash };
        index.entry(prompt.to_owned()).or_default().push(picture);
    }
    Ok(index)
}
