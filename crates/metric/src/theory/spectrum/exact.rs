//! The whole spectrum, from J's columns.

use std::num::NonZeroUsize;

use nalgebra::{DMatrix, SymmetricEigen};

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
    let jacobian = dense(jacobian, batch)?;
    let dim = jacobian.nrows();
    let symmetric = (&jacobian + jacobian.transpose()) / 2.0;
    let eigen =
        SymmetricEigen::try_new(symmetric, f64::EPSILON, MOST_ITERATIONS).ok_or(SpectrumError::NoConvergence)?;
    let mut eigenvalues = eigen.eigenvalues.data.as_vec().clone();
    eigenvalues.sort_by(f64::total_cmp);

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

/// A QL iteration settles an eigenvalue in two or three.
const MOST_ITERATIONS: usize = 1_000_000;

/// J itself, from its products with the d unit vectors, `batch` at a time.
///
/// # Errors
///
/// See [`SpectrumError`].
pub fn dense<J: Jacobian>(jacobian: &J, batch: NonZeroUsize) -> Result<DMatrix<f64>, SpectrumError<J::Error>> {
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
    Ok(DMatrix::from_fn(dim, dim, |i, j| columns[j][i]))
}

fn unit(dim: usize, j: usize) -> Vec<f64> {
    let mut unit = vec![0.0; dim];
    unit[j] = 1.0;
    unit
}
