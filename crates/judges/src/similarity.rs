//! Is one picture a copy of the other?

use crate::{embedding::Embedding, error::Result, judge::Judge, location::LocationMap, picture::Picture};

/// Similarity of two pictures: the cosine of their descriptors, 1 for the same picture.
pub trait Similarity: Judge {
    /// A descriptor for each picture.
    ///
    /// # Errors
    /// When the network cannot be computed.
    fn describe(&self, pictures: &[Picture]) -> Result<Vec<Embedding>>;

    /// Which places of `picture` make it similar to `other`.
    ///
    /// # Errors
    /// When the network cannot be computed.
    fn locate(&self, picture: &Picture, other: &Picture) -> Result<LocationMap>;

    /// The similarity of two pictures. For more than two, compare the descriptors.
    ///
    /// # Errors
    /// When the network cannot be computed.
    fn similarity(&self, first: &Picture, second: &Picture) -> Result<f64> {
        let first = self.describe(std::slice::from_ref(first))?;
        let second = self.describe(std::slice::from_ref(second))?;
        match (first.first(), second.first()) {
            (Some(first), Some(second)) => first.cosine(second),
            _ => Ok(f64::NAN),
        }
    }
}
