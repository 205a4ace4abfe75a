//! Pictures on the disk.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Whether a file begins and ends as a PNG picture does.
pub(crate) fn is_whole_picture(path: &Path) -> bool {
    const START: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
    const END: &[u8; 8] = b"IEND\xae\x42\x60\x82";
    let ends = |mut file: File| {
        let (mut start, mut end) = ([0; START.len()], [0; END.len()]);
        file.read_exact(&mut start)?;
        file.seek(SeekFrom::End(-(END.len() as i64)))?;
        file.read_exact(&mut end)?;
        Ok::<_, std::io::Error>((start, end))
    };
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file && File::open(path).and_then(ends).is_ok_and(|(start, end)| start == *START && end == *END)
}
