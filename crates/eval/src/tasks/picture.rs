//! Drawing pictures, for every task that does.

use std::path::PathBuf;

use memscope_model::Sampling;
use memscope_results::files::{Existing, write_over};

use crate::{
    error::{Error, Result},
    task::Session,
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
