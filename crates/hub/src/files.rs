//! Writing without following links, reading with bounds.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Component, Path},
};

use crate::error::{Error, Result};

/// Makes a folder below `root`, which may be anything; below it no link is followed.
pub(crate) fn make_folder(root: &Path, below: &Path) -> Result<()> {
    fs::create_dir_all(root).map_err(|source| Error::Write { path: root.to_owned(), source })?;
    let mut path = root.to_owned();
    for part in below.components() {
        let Component::Normal(part) = part else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "leaves its folder");
            return Err(Error::Write { path: root.join(below), source });
        };
        path.push(part);
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => {}
                _ => return Err(Error::NoFolder { path }),
            },
            Err(source) => return Err(Error::Write { path, source }),
        }
    }
    Ok(())
}

/// Replaces a file, or a link of that name, at once; its folder exists.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |source| Error::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".memscope-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What other files of the cache have; the process's mask still counts.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

/// A small file, `None` where there is none; a device or pipe of that name is not waited for.
pub(crate) fn read_small(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= limit => {}
        Ok(found) if found.is_file() => return Err(io::Error::new(io::ErrorKind::FileTooLarge, "is too long")),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![];
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Options that open the file itself, never what a link of that name leads to.
pub(crate) fn own_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed());
    }
    options
}

/// Whether the file has no other name, through which something else would be changed with it.
pub(crate) fn has_one_name(found: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(found) == 1;
    #[cfg(not(unix))]
    return found.is_file();
}

/// Whether an open file is still the one of that name.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
        (open.dev(), open.ino()) == (named.dev(), named.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.is_file()
    }
}

/// Refuses what the disk has no room for; a folder that does not say how much there is may be written to.
pub(crate) fn check_space(folder: &Path, needed: u64) -> Result<()> {
    match free_bytes(folder) {
        Some(free) if free < needed => Err(Error::NoSpace { folder: folder.to_owned(), needed, free }),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// Whether a name from elsewhere may be the path of a file below a folder, on every system.
pub(crate) fn is_safe_path(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.ends_with(['.', ' '])
            && !part.contains(|c: char| c.is_control() || "\\:*?\"<>|".contains(c))
    };
    path.len() <= 512 && path.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_their_folder() {
        for good in ["a", "unet/config.json", "a b/c-1_2.é", ".gitattributes"] {
            assert!(is_safe_path(good), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "C:x",
            "a\0b",
            "a\nb",
            "a/.. ",
            &"x".repeat(600),
        ] {
            assert!(!is_safe_path(bad), "{bad:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (root, victim) = (folder.path().join("root"), folder.path().join("victim"));
        fs::create_dir(&root).unwrap();
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, root.join("file")).unwrap();
        write(&root.join("file"), b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(fs::read(root.join("file")).unwrap(), b"new");
        symlink(folder.path(), root.join("out")).unwrap();
        assert!(matches!(make_folder(&root, Path::new("out/a")), Err(Error::NoFolder { .. })));
        assert!(make_folder(&root, Path::new("../a")).is_err());
        make_folder(&root, Path::new("in/a")).unwrap();
        assert!(root.join("in/a").is_dir() && !folder.path().join("a").exists());
        assert!(own_file().open(root.join("out")).is_err());
    }

    #[test]
    fn the_disk_must_have_room() {
        let folder = tempfile::tempdir().unwrap();
        check_space(folder.path(), 1).unwrap();
        #[cfg(unix)]
        assert!(matches!(check_space(folder.path(), u64::MAX), Err(Error::NoSpace { .. })));
    }
}
