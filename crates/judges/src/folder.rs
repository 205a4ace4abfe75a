//! Folders of pictures.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use crate::{
    error::{Error, Result},
    picture::Picture,
    watching::Watching,
};

/// Most pictures of a folder.
pub const MAX_PICTURES: usize = 100_000;
/// How deep sub-folders are followed.
const DEPTH: usize = 16;
/// Pictures that are read at a time.
const BATCH: usize = 16;

const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// A file that should hold a picture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PictureFile {
    /// Its path below the folder, with slashes; of a single file its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Where it is without links.
    real: PathBuf,
}

impl PictureFile {
    /// A file by a name for people.
    pub fn new(name: String, path: PathBuf) -> Self {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        Self { name, path, real }
    }

    /// Whether both are one file.
    pub fn is_same(&self, other: &Self) -> bool {
        self.real == other.real
    }

    /// The pictures of a folder and its sub-folders, by name; or the one file. Hidden files and links to folders are left
    /// out.
    ///
    /// # Errors
    /// When there is none, there are more than [`MAX_PICTURES`], or the folder cannot be read.
    pub fn list(path: &Path) -> Result<Vec<Self>> {
        let refuse = |reason: String| Error::Folder { path: path.to_owned(), reason };
        let found = fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
        if found.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(vec![Self::new(name, path.to_owned())]);
        }
        let mut all = vec![];
        walk(path, "", DEPTH, &mut all)?;
        if all.is_empty() {
            return Err(Error::NoPictures { path: path.to_owned() });
        }
        if all.len() > MAX_PICTURES {
            return Err(Error::TooManyPictures { path: path.to_owned(), most: MAX_PICTURES });
        }
        all.sort();
        Ok(all)
    }
}

fn walk(folder: &Path, below: &str, depth: usize, all: &mut Vec<PictureFile>) -> Result<()> {
    let refuse = |e: std::io::Error| Error::Folder { path: folder.to_owned(), reason: e.to_string() };
    for entry in fs::read_dir(folder).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        let (file_name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let Ok(kind) = entry.file_type() else { continue };
        if file_name.starts_with('.') || all.len() > MAX_PICTURES {
            continue;
        }
        let name = format!("{below}{file_name}");
        if kind.is_dir() && depth > 0 {
            walk(&path, &format!("{name}/"), depth - 1, all)?;
        } else if is_picture(&path) && fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            all.push(PictureFile::new(name, path));
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// What was made of the pictures of a list.
#[derive(Debug)]
pub struct Survey<T> {
    /// Position in the list, and what was made of the picture.
    pub seen: Vec<(usize, T)>,
    /// Positions of those that could not be read, and why.
    pub unreadable: Vec<(usize, Error)>,
}

/// Reads pictures, a few at a time, and makes something of each; `None` where the watcher ends it. A file that cannot be
/// read is noted and does not end it.
///
/// # Errors
/// When `make` fails.
pub fn survey<T>(
    files: &[PictureFile],
    watching: &mut dyn Watching,
    mut make: impl FnMut(&[Picture]) -> Result<Vec<T>>,
) -> Result<Option<Survey<T>>> {
    let mut survey = Survey { seen: vec![], unreadable: vec![] };
    for (number, batch) in files.chunks(BATCH).enumerate() {
        if !watching.goes_on(number * BATCH, files.len()) {
            return Ok(None);
        }
        let read: Vec<Result<Picture>> = batch.par_iter().map(|file| Picture::open(&file.path)).collect();
        let (mut places, mut pictures) = (vec![], vec![]);
        for (i, picture) in read.into_iter().enumerate() {
            match picture {
                Ok(picture) => {
                    places.push(number * BATCH + i);
                    pictures.push(picture);
                }
                Err(error) => survey.unreadable.push((number * BATCH + i, error)),
            }
        }
        survey.seen.extend(places.into_iter().zip(make(&pictures)?));
    }
    Ok(watching.goes_on(files.len(), files.len()).then_some(survey))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watching::Always;

    #[test]
    fn pictures_are_found_by_name_and_damaged_ones_are_noted() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::RgbImage::from_pixel(4, 3, image::Rgb([9, 200, 30])).save(path).unwrap();
        };
        ["b.png", "sub/a.JPG", "c.jpeg", ".hidden.png"].into_iter().for_each(write);
        fs::write(folder.path().join("a.png"), "no picture").unwrap();
        fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
        let files = PictureFile::list(folder.path()).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.png", "b.png", "c.jpeg", "sub/a.JPG"]);
        let sizes = |pictures: &[Picture]| Ok(pictures.iter().map(|p| (p.width(), p.height())).collect());
        let found = survey(&files, &mut Always, sizes).unwrap().unwrap();
        assert_eq!(found.seen, [(1, (4, 3)), (2, (4, 3)), (3, (4, 3))]);
        assert!(matches!(found.unreadable[..], [(0, Error::Picture { .. })]));
        assert_eq!(PictureFile::list(&folder.path().join("b.png")).unwrap()[0].name, "b.png");
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(PictureFile::list(empty.path()), Err(Error::NoPictures { .. })));
        assert!(matches!(PictureFile::list(&empty.path().join("x")), Err(Error::Folder { .. })));
    }

    /// A flat colour survives JPEG to a step or two.
    #[test]
    fn jpeg_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        image::RgbImage::from_pixel(16, 16, image::Rgb([200, 60, 30])).save(&path).unwrap();
        let picture = Picture::open(&path).unwrap();
        assert!(
            picture.data().chunks(3).all(|p| p[0].abs_diff(200) < 4 && p[1].abs_diff(60) < 4 && p[2].abs_diff(30) < 4)
        );
    }
}
