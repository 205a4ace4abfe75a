use std::{fs, path::Path};

use memscope_eval::Error as EvalError;

/// `memscope man`: one page for the program and one for each command, memscope-detect.1 and so on.
pub(crate) fn run(folder: &Path, program: clap::Command) -> anyhow::Result<()> {
    let write = |source| EvalError::Write { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(write)?;
    clap_mangen::generate_to(program, folder).map_err(write)?;
    Ok(())
}
