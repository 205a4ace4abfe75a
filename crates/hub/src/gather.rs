//! Folders that gather files which lie elsewhere.

use std::{fs, io, path::Path};

use crate::{
    error::{Error, Result},
    files::{is_safe_path, make_folder},
};

/// Lets `below` in the folder `root` be the file `target`: a link, or a second name where links need a privilege. Below
/// `root` no link is followed; one of that name is replaced, a file that somebody put there is not.
///
/// # Errors
/// If the folder takes no link, or a file is there.
pub fn gather(root: &Path, below: &str, target: &Path) -> Result<()> {
    let path = root.join(below);
    let fail = |source| Error::Write { path: path.clone(), source };
    if !is_safe_path(below) {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "leaves its folder")));
    }
    make_folder(root, Path::new(below).parent().unwrap_or_else(|| Path::new("")))?;
    let target = fs::canonicalize(target).map_err(|source| Error::Write { path: target.to_owned(), source })?;
    match fs::symlink_metadata(&path) {
        Ok(_) if fs::canonicalize(&path).is_ok_and(|there| there == target) => return Ok(()),
        Ok(found) if found.is_symlink() => fs::remove_file(&path).map_err(fail)?,
        Ok(_) => {
            return Err(fail(io::Error::new(io::ErrorKind::AlreadyExists, "another file is there; move it away")));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    link(&target, &path).map_err(fail)
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(target, path).or_else(|_| fs::copy(target, path).map(|_| ()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_are_renewed_and_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (root, one, two) = (folder.path().join("root"), folder.path().join("one"), folder.path().join("two"));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        gather(&root, "clip/model", &one).unwrap();
        gather(&root, "clip/model", &one).unwrap();
        gather(&root, "clip/model", &two).unwrap();
        assert_eq!(fs::read(root.join("clip/model")).unwrap(), b"2");
        assert_eq!(fs::read(&one).unwrap(), b"1");
        fs::write(root.join("mine"), "3").unwrap();
        assert!(gather(&root, "mine", &one).unwrap_err().to_string().contains("another file is there"));
        assert!(gather(&root, "../x", &one).is_err() && gather(&root, "a", &folder.path().join("none")).is_err());
        assert_eq!(fs::read(root.join("mine")).unwrap(), b"3");
    }
}
