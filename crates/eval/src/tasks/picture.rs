//! Drawing pictures, for every task that does.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use memscope_model::Sampling;
use memscope_results::files::{Existing, write_over};

use crate::{
    error::{Error, Result},
    run::Session,
};

/// Draws one picture from each of the latents (x_T, flattened (C, H, W) each) under a prompt, and writes them to files, each
/// whole or not at all. `each_step` says how many steps are done.
///
/// # Errors
/// When the network fails, a file cannot be written or is there and must not be replaced, or the user asks to stop.
pub(super) fn draw(
    session: &Session,
    prompt: &str,
    (latents, sampling): (Vec<Vec<f32>>, Sampling),
    (paths, existing): (&[PathBuf], Existing),
    mut each_step: impl FnMut(usize),
) -> Result<()> {
    let model = session.model();
    let mut stopped = false;
    let embedding = session.embedding(prompt)?;
    let drawn = model.sample(latents, &embedding, session.unconditional()?, sampling, |step| {
        each_step(step.index);
        stopped |= session.stop_requested();
        if stopped { Err(memscope_model::Error::Argument("stopped".into())) } else { Ok(()) }
    });
    if stopped {
        return Err(Error::Stopped);
    }
    for (path, latent) in paths.iter().zip(&drawn?) {
        write_over(path, &model.decode_image(latent)?.png(&[])?, existing)?;
    }
    Ok(())
}

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
