//! What all judges have in common.

/// Something that looks at pictures. What it can say is in [`Similarity`](crate::Similarity),
/// [`Alignment`](crate::Alignment) and [`Quality`](crate::Quality).
pub trait Judge: Send + Sync {
    /// Network and, where it matters, preprocessing, as a table should name them.
    fn name(&self) -> &str;
}
