//! Downloads what a plan lists.

use std::{fs, ops::ControlFlow, path::PathBuf};

use crate::{
    download::Client,
    environment::Hub,
    error::{Error, Result},
    plan::{FetchPlan, PlannedFile},
    repository::Repository,
};

/// Watches a download.
pub trait FetchWatch {
    /// `done` bytes of the `total` that were missing have come; `file` is under way. May ask to stop.
    fn progress(&mut self, file: &str, done: u64, total: u64) -> ControlFlow<()>;
}

impl Hub {
    /// Downloads what is missing, file by file, and returns the model's folder. Stopped or killed, the same call goes
    /// on where it was.
    pub fn fetch(&self, plan: &FetchPlan, watch: &mut dyn FetchWatch) -> Result<PathBuf> {
        let client = Client::new()?;
        let repository = Repository::new(&self.cache, &plan.model.id);
        repository.make_folders()?;
        let mut done = 0;
        for file in &plan.files {
            let blob = repository.blob(&file.etag);
            if fs::metadata(&blob).is_ok_and(|metadata| metadata.len() == file.size) {
                repository.link(&plan.commit, &file.path, &file.etag)?;
                continue;
            }
            let mut first = None;
            let mut brought = 0;
            let fetched = client.fetch(&file.remote, &blob, &mut |there| {
                brought = there.saturating_sub(*first.get_or_insert(there));
                watch.progress(&file.path, (done + brought).min(plan.missing), plan.missing)
            });
            fetched.or_else(|error| self.explain(plan, file, error))?;
            done += brought;
            repository.link(&plan.commit, &file.path, &file.etag)?;
        }
        // The branch last: it stands for a snapshot that is there.
        repository.remember(&plan.model.revision, &plan.commit)?;
        Ok(plan.folder.clone())
    }

    /// Says of a refused file what the user can do about it.
    fn explain(&self, plan: &FetchPlan, file: &PlannedFile, error: Error) -> Result<()> {
        if matches!(error, Error::Status { status: 401 | 403, .. }) {
            let client = Client::new()?;
            let response = client.head(&file.remote.url, self.token.as_deref())?;
            if !response.status().is_redirection() {
                self.accept(&plan.model, &file.remote.url, &response)?;
            }
        }
        Err(error)
    }
}
