//! Drawing pictures, for every task that does.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use memscope_model::Sampling;

use crate::{
    error::{Error, Result},
    run::Session,
};

/// Draws one picture from each of `latents` (x_T, flattened (C, H, W) each) under a prompt, and writes them to `paths`, each
/// whole or not at all. `each_step` says how many steps are done.
///
/// # Errors
/// When the network fails, a file cannot be written, or the user asks to stop.
pub(super) fn draw(
    session: &Session,
    prompt: &str,
    latents: Vec<Vec<f32>>,
    sampling: Sampling,
    paths: &[impl AsRef<Path>],
    mut each_step: impl FnMut(usize),
) -> Result<()> {
    let model = session.model();
    let mut stopped = false;
    let drawn = model.sample(latents, session.embedding(prompt)?, session.unconditional()?, sampling, |step| {
        each_step(step.index);
        stopped |= session.stop_requested();
        if stopped { Err(memscope_model::Error::Argument("stopped".into())) } else { Ok(()) }
    });
    if stopped {
        return Err(Error::Stopped);
    }
    for (path, latent) in paths.iter().zip(&drawn?) {
        let (path, partial) = (path.as_ref(), path.as_ref().with_extension("partial"));
        model.decode_image(latent)?.save_png(&partial)?;
        if !is_whole_picture(&partial) {
            let source = std::io::Error::other("the file is not complete; is the disk full?");
            return Err(Error::Write { path: path.to_owned(), source });
        }
        fs::rename(&partial, path).map_err(Error::write(path))?;
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
