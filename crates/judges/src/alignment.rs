//! Does a picture show what a text says?

use crate::{embedding::Embedding, error::Result, judge::Judge, picture::Picture};

/// Alignment of a picture and a text: the cosine of their embeddings, not multiplied by 100.
pub trait Alignment: Judge {
    /// An embedding for each picture.
    ///
    /// # Errors
    /// When the network cannot be computed.
    fn embed_pictures(&self, pictures: &[Picture]) -> Result<Vec<Embedding>>;

    /// An embedding for each text. What does not fit the text encoder's context is cut off.
    ///
    /// # Errors
    /// When the network cannot be computed.
    fn embed_texts(&self, texts: &[&str]) -> Result<Vec<Embedding>>;

    /// The alignment of each picture with the text.
    ///
    /// # Errors
    /// When the network cannot be computed.
    fn alignment(&self, pictures: &[Picture], text: &str) -> Result<Vec<f64>> {
        let text = self.embed_texts(&[text])?;
        let pictures = self.embed_pictures(pictures)?;
        pictures.iter().zip(text.iter().cycle()).map(|(picture, text)| picture.cosine(text)).collect()
    }
}
