//! What a judge makes of a picture or a text: a direction.

use crate::error::{Error, Result};

/// A vector of length one.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Divides a vector by its L2 norm, which is computed in f64.
    ///
    /// # Errors
    /// When the norm is zero or not finite; `judge` is named then.
    pub fn new(vector: Vec<f32>, judge: &str) -> Result<Self> {
        let norm = dot(&vector, &vector).sqrt();
        if !(norm.is_finite() && norm > 0.0) {
            return Err(Error::NoDirection { judge: judge.to_owned() });
        }
        Ok(Self(vector.into_iter().map(|x| (f64::from(x) / norm) as f32).collect()))
    }

    /// Its numbers.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// The cosine of the angle between two embeddings, from −1 to 1.
    ///
    /// # Errors
    /// When they have different lengths.
    pub fn cosine(&self, other: &Self) -> Result<f64> {
        let (first, second) = (self.0.len(), other.0.len());
        if first != second {
            return Err(Error::Incomparable { first, second });
        }
        Ok(Self::cosine_of(&self.0, &other.0))
    }

    /// The cosine of two vectors of one length.
    pub(crate) fn cosine_of(a: &[f32], b: &[f32]) -> f64 {
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }
}

/// Scalar product, in f64.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
