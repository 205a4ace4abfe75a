//! Downloads what a plan lists.

use std::{cell::Cell, path::PathBuf};

use ureq::http::Method;

use crate::{
    client::Follow,
    environment::Hub,
    error::{Error, Result},
    files::check_space,
    partial::hash_file,
    plan::{FetchPlan, PlannedFile},
    record::{Record, Recorded},
    repository::Repository,
    transfer::OneOf,
    watch::FetchWatch,
};

impl Hub {
    /// Downloads what is missing, file by file, and returns the model's folder. What is there already is hashed again,
    /// and downloaded again if it is damaged. Stopped or killed, the same call goes on where it was.
    ///
    /// # Errors
    /// If the disk has no room, a file cannot be had or written or is not the one that was announced, or the user stops.
    pub fn fetch(&self, plan: &FetchPlan, watch: &dyn FetchWatch) -> Result<PathBuf> {
        let client = self.client()?;
        let repository = Repository::new(&self.cache, &plan.model.id);
        repository.make_folders()?;
        check_space(repository.folder(), plan.missing)?;
        let recorded =
            |file: &PlannedFile| (file.path.clone(), Recorded { size: file.size(), hash: file.remote.hash.clone() });
        Record::add(&repository, &plan.model.id, &plan.commit, plan.files.iter().map(recorded))?;
        let mut done = 0;
        for file in &plan.files {
            let blob = repository.blob(&file.remote.hash);
            let there = hash_file(&blob, &file.remote.hash, file.size(), &|| watch.should_stop())?;
            if there.as_deref() != Some(file.remote.hash.digits()) {
                if there.is_some() {
                    tracing::warn!("{} in the cache is damaged and is downloaded again", file.path);
                }
                let one = OneOf {
                    watch,
                    file: &file.path,
                    before: done,
                    had: Cell::new(None),
                    total: plan.missing.max(done),
                };
                client.fetch(&file.remote, &blob, &one).or_else(|error| self.explain(plan, file, error, watch))?;
                done += file.size() - one.had.get().unwrap_or_default().min(file.size());
            }
            repository.link(&plan.commit, &file.path, &file.remote.hash)?;
        }
        // The branch last: it stands for a snapshot that is there.
        repository.remember(&plan.model.revision, &plan.commit)?;
        Ok(plan.folder.clone())
    }

    /// Says of a refused file what the user can do about it.
    fn explain(&self, plan: &FetchPlan, file: &PlannedFile, error: Error, watch: &dyn FetchWatch) -> Result<()> {
        if matches!(error, Error::Status { status: 401 | 403, .. }) {
            let should_stop = || watch.should_stop();
            let url = &file.remote.url;
            let (head, _) = self.client()?.ask(&Method::HEAD, url, 0, Follow::UntilDescribed, &should_stop)?;
            if head.text("x-linked-etag").is_none() {
                self.accept(&plan.model, url, &head)?;
            }
        }
        Err(error)
    }
}
