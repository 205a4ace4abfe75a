//! The eigenvalue variance of a score's Jacobian J (Figure 1): exactly, or from random probes.
//!
//! A learned J is not symmetric, and "the variance of its eigenvalues" has three readings that agree only where it
//! is; see [`Variances`]. [`exact`] needs d products with J and is meant for d up to about 1,000; [`stochastic`]
//! needs two products per probe at any d.

mod exact;
mod stochastic;

use thiserror::Error;

pub use exact::{ExactSpectrum, dense, exact};
pub use stochastic::{Estimate, ProbeVectors, StochasticSpectrum, stochastic};

/// A square matrix J known by its products with vectors; J = ∂s/∂x, d = C·H·W for the score of a latent.
pub trait Jacobian {
    /// What a product fails with.
    type Error: std::error::Error + 'static;

    /// d.
    fn dim(&self) -> usize;

    /// J·v for every v, each of d numbers and any length, in the order of `vectors`.
    ///
    /// # Errors
    /// What computes the product fails.
    fn apply(&self, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Self::Error>;

    /// Jᵀ·v for every v, or `None` where only products with J can be had.
    ///
    /// # Errors
    /// As [`Jacobian::apply`].
    fn apply_transposed(&self, vectors: &[Vec<f64>]) -> Result<Option<Vec<Vec<f64>>>, Self::Error> {
        let _ = vectors;
        Ok(None)
    }
}

/// Three readings of the variance of J's d eigenvalues; equal if and only if J is symmetric.
///
/// The variance of ∂ε/∂x for ε = −s_t·s is s_t² times that of ∂s/∂x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variances<T> {
    /// Of (J + Jᵀ)/2: (tr J² + tr JJᵀ)/(2d) − (tr J/d)², never negative.
    pub symmetrized: T,
    /// Of J itself, whose eigenvalues may be complex: tr J²/d − (tr J/d)², negative if they mostly are.
    pub eigenvalues: T,
    /// tr JJᵀ/d − (tr J/d)², the largest of the three.
    pub frobenius: T,
}

/// Why a spectrum could not be found.
#[derive(Debug, Error)]
pub enum SpectrumError<E: std::error::Error + 'static> {
    /// d = 0.
    #[error("a Jacobian of dimension 0 has no spectrum")]
    Empty,
    /// Too few probes for a standard error.
    #[error("{count} probes; a standard error takes at least {least}")]
    TooFewProbeVectors {
        /// Asked for.
        count: usize,
        /// Needed.
        least: usize,
    },
    /// Another number of products than of vectors.
    #[error("{products} products came back for {vectors} vectors")]
    ProductCount {
        /// That came back.
        products: usize,
        /// That went in.
        vectors: usize,
    },
    /// A product that is no d-vector.
    #[error("a product has {length} entries where the Jacobian has dimension {dim}")]
    ProductLength {
        /// Of the product.
        length: usize,
        /// d.
        dim: usize,
    },
    /// An infinite or NaN entry of a product.
    #[error("a product holds a number that is not finite")]
    NotFinite,
    /// The eigenvalue iteration does not settle.
    #[error("the eigenvalue iteration did not converge")]
    NoConvergence,
    /// The Jacobian's own failure.
    #[error("a product with the Jacobian failed")]
    Product(#[source] E),
}

/// The products, if there is one d-vector of finite numbers for each of `vectors` vectors.
fn checked<E: std::error::Error + 'static>(
    products: Vec<Vec<f64>>,
    vectors: usize,
    dim: usize,
) -> Result<Vec<Vec<f64>>, SpectrumError<E>> {
    if products.len() != vectors {
        return Err(SpectrumError::ProductCount { products: products.len(), vectors });
    }
    if let Some(product) = products.iter().find(|product| product.len() != dim) {
        return Err(SpectrumError::ProductLength { length: product.len(), dim });
    }
    if products.iter().flatten().any(|entry| !entry.is_finite()) {
        return Err(SpectrumError::NotFinite);
    }
    Ok(products)
}

/// J·v for every v, checked.
fn products<J: Jacobian>(jacobian: &J, vectors: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, SpectrumError<J::Error>> {
    let products = jacobian.apply(vectors).map_err(SpectrumError::Product)?;
    checked(products, vectors.len(), jacobian.dim())
}
