//! The whole spectrum, from J's columns.

use std::num::NonZeroUsize;

use super::super::linalg::{Matrix, symmetric_eigenvalues};
use super::{Jacobian, SpectrumError, Variances, products};

/// The spectrum of J.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactSpectrum {
    /// Of (J + Jᵀ)/2, (d,), ascending.
    pub eigenvalues: Vec<f64>,
    /// tr J/d: the mean eigenvalue, of J as of (J + Jᵀ)/2.
    pub mean: f64,
    /// Of the eigenvalues.
    pub variances: Variances<f64>,
    /// 1 − tr J²/tr JJᵀ: 0 for a symmetric J, 2 for a skew one; 0 for J = 0.
    pub asymmetry: f64,
}

/// Builds J from its products with the d unit vectors, `batch` at a time, and finds its spectrum.
///
/// # Errors
///
/// See [`SpectrumError`].
pub fn exact<J: Jacobian>(jacobian: &J, batch: NonZeroUsize) -> Result<ExactSpectrum, SpectrumError<J::Error>> {
    let dim = jacobian.dim();
    if dim == 0 {
        return Err(SpectrumError::Empty);
    }
    let mut columns = Vec::with_capacity(dim);
    while columns.len() < dim {
        let end = dim.min(columns.len() + batch.get());
        let units: Vec<Vec<f64>> = (columns.len()..end).map(|j| unit(dim, j)).collect();
        columns.extend(products(jacobian, &units)?);
    }
    let jacobian = Matrix::from_fn(dim, |i, j| columns[j][i]);
    let symmetric = Matrix::from_fn(dim, |i, j| f64::midpoint(jacobian[(i, j)], jacobian[(j, i)]));
    let eigenvalues = symmetric_eigenvalues(symmetric).ok_or(SpectrumError::NoConvergence)?;

    let mean = (0..dim).map(|i| jacobian[(i, i)]).sum::<f64>() / dim as f64;
    // All traces are of J − mean·1, which loses no digits where J is close to a multiple of the identity.
    let (mut square, mut frobenius, mut skew) = (0.0, 0.0, 0.0);
    for i in 0..dim {
        let off_mean = jacobian[(i, i)] - mean;
        square += off_mean * off_mean;
        frobenius += off_mean * off_mean;
        for j in 0..i {
            let (below, above) = (jacobian[(i, j)], jacobian[(j, i)]);
            square += 2.0 * below * above;
            frobenius += below * below + above * above;
            skew += (below - above) * (below - above);
        }
    }
    let size = frobenius + dim as f64 * mean * mean;
    let of_trace = |trace: f64| trace / dim as f64;
    Ok(ExactSpectrum {
        eigenvalues,
        mean,
        variances: Variances {
            symmetrized: of_trace(f64::midpoint(square, frobenius)),
            eigenvalues: of_trace(square),
            frobenius: of_trace(frobenius),
        },
        asymmetry: if size > 0.0 { skew / size } else { 0.0 },
    })
}

fn unit(dim: usize, j: usize) -> Vec<f64> {
    let mut unit = vec![0.0; dim];
    unit[j] = 1.0;
    unit
}
