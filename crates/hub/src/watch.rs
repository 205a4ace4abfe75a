//! Who watches a download.

/// Watches a download.
pub trait FetchWatch {
    /// `done` bytes of the `total` that were missing have come; `file` is under way.
    fn progress(&self, file: &str, done: u64, total: u64);

    /// Whether the user wants to stop; asked some twenty times a second.
    fn should_stop(&self) -> bool;
}
