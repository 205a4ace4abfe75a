//! Whoever watches a run.

/// Watches a run and may stop it.
pub trait Watch {
    /// `done` of `total` prompts or pictures are there.
    fn progress(&mut self, done: usize, total: usize);
    /// Whether to stop before the next batch.
    fn stop_requested(&self) -> bool;
}
