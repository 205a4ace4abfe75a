//! Bounded reading of what the command line names.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use crate::exit_code::UserError;

/// Reads a regular file of at most `limit` bytes. A pipe would wait for a writer, a device might never end.
pub(crate) fn read_file(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let name = path.display();
    let fail = |e: std::io::Error| UserError::input(format!("cannot read {name}: {e}"));
    let metadata = fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(UserError::input(format!("{name} is not a regular file; give a file")).into());
    }
    read(File::open(path).map_err(fail)?, &name.to_string(), limit)
}

/// Reads standard input, at most `limit` bytes of it.
pub(crate) fn read_stdin(limit: u64) -> anyhow::Result<Vec<u8>> {
    read(std::io::stdin().lock(), "standard input", limit)
}

fn read(from: impl Read, name: &str, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = from.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|e| UserError::input(format!("cannot read {name}: {e}")))?;
    if bytes.len() as u64 > limit {
        return Err(UserError::input(format!("{name} has more than {limit} bytes; no more are read")).into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused_before_it_is_held() {
        assert_eq!(read(&b"abc"[..], "x", 3).unwrap(), b"abc");
        let message = read(std::io::repeat(b'a'), "x", 3).unwrap_err().to_string();
        assert_eq!(message, "x has more than 3 bytes; no more are read");
        assert!(read_file(Path::new("/"), 3).unwrap_err().to_string().contains("not a regular file"));
    }
}
