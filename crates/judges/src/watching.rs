//! Who watches long work on pictures.

/// Told how far something is.
pub trait Watching {
    /// `done` of `total`; whether to go on.
    fn goes_on(&mut self, done: usize, total: usize) -> bool;
}

/// Never ends it.
#[cfg(test)]
pub(crate) struct Always;

#[cfg(test)]
impl Watching for Always {
    fn goes_on(&mut self, _: usize, _: usize) -> bool {
        true
    }
}
