//! Theorem 1: the cosine between the unconditional score and the change that a sharper condition makes to it.
//!
//! Unconditional Gaussian of precision P around μ, conditional one of precision P_c around μ_c; v = x − μ and
//! δ = μ_c − μ. The scores at x are s = −Pv and s_c = −P_c(v − δ), so s_Δ = s_c − s = (P − P_c)v + P_cδ.
//!
//! Assume α > 0, A1: ‖(P − P_c)v − αs‖ ≤ ε·α‖s‖, A2: ‖P_cδ‖ ≤ τ·α‖s‖ and r = ε + τ < 1. The paper claims
//! cos(s, s_Δ) ≥ (1 − r)/(1 + r). As s_Δ = αs + D with ‖D‖ ≤ rα‖s‖, the sine of the angle is at most r, which gives
//! the sharper cos(s, s_Δ) ≥ √(1 − r²); it is attained where D is orthogonal to s_Δ.

use std::fmt;

use nalgebra::{Cholesky, DMatrix, DVector};
use thiserror::Error;

/// Relative asymmetry, and excess over ε or τ, that rounding may explain.
const ROUNDING: f64 = 1e-10;

/// Two Gaussians and a point; d is the dimension of all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// P, (d, d): precision of the unconditional Gaussian.
    pub precision: DMatrix<f64>,
    /// P_c, (d, d): precision of the conditional Gaussian.
    pub conditional_precision: DMatrix<f64>,
    /// v = x − μ, (d,).
    pub v: DVector<f64>,
    /// δ = μ_c − μ, (d,).
    pub delta: DVector<f64>,
    /// α: how much sharper the conditional Gaussian is along v.
    pub alpha: f64,
    /// ε of assumption A1.
    pub epsilon: f64,
    /// τ of assumption A2.
    pub tau: f64,
}

/// Which of the two precisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// P.
    Unconditional,
    /// P_c.
    Conditional,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unconditional => "P",
            Self::Conditional => "P_c",
        })
    }
}

/// The assumption of Theorem 1 that an instance does not meet.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum InstanceError {
    /// Matrices and vectors of different dimensions.
    #[error("P is {dim}-dimensional; P_c has {conditional} dimensions, v {v}, delta {delta}")]
    Shape {
        /// Of P.
        dim: usize,
        /// Of P_c.
        conditional: usize,
        /// Of v.
        v: usize,
        /// Of δ.
        delta: usize,
    },
    /// A number is infinite or NaN.
    #[error("an instance holds a number that is not finite")]
    NotFinite,
    /// A precision is not symmetric.
    #[error("{precision} is not symmetric: an entry and its mirror image differ by {asymmetry:e} of the largest entry")]
    NotSymmetric {
        /// Which one.
        precision: Precision,
        /// Largest |A_ij − A_ji| over largest |A_ij|.
        asymmetry: f64,
    },
    /// A precision is not positive definite.
    #[error("{precision} is not positive definite: its smallest eigenvalue is {smallest_eigenvalue:e}")]
    NotPositiveDefinite {
        /// Which one.
        precision: Precision,
        /// Zero or negative, up to rounding.
        smallest_eigenvalue: f64,
    },
    /// α is zero or negative: the conditional Gaussian is not the sharper one.
    #[error("alpha is {alpha}, not positive")]
    AlphaNotPositive {
        /// α.
        alpha: f64,
    },
    /// The unconditional score is zero and has no direction.
    #[error("the unconditional score is zero")]
    ZeroScore,
    /// A1 fails.
    #[error("A1 fails: |(P - P_c) v - alpha s| is {measured} alpha |s|, more than epsilon = {epsilon}")]
    A1 {
        /// ‖(P − P_c)v − αs‖/(α‖s‖).
        measured: f64,
        /// ε.
        epsilon: f64,
    },
    /// A2 fails.
    #[error("A2 fails: |P_c delta| is {measured} alpha |s|, more than tau = {tau}")]
    A2 {
        /// ‖P_cδ‖/(α‖s‖).
        measured: f64,
        /// τ.
        tau: f64,
    },
    /// r is one or more.
    #[error("r = epsilon + tau is {r}, not less than 1")]
    RNotBelowOne {
        /// ε + τ.
        r: f64,
    },
}

/// What Theorem 1 says of an instance that meets its assumptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// cos(s, s_Δ).
    pub cosine: f64,
    /// Measured ratio of A1 plus measured ratio of A2: at most ε + τ, so both bounds are the tightest there are.
    pub r: f64,
    /// (1 − r)/(1 + r), the paper's.
    pub paper_bound: f64,
    /// √(1 − r²).
    pub sharp_bound: f64,
}

impl Verdict {
    /// By how much the cosine exceeds the paper's bound.
    pub fn paper_slack(&self) -> f64 {
        self.cosine - self.paper_bound
    }

    /// By how much the cosine exceeds the sharper bound.
    pub fn sharp_slack(&self) -> f64 {
        self.cosine - self.sharp_bound
    }
}

impl Instance {
    /// cos(s, s_Δ), whether or not the assumptions hold; NaN if either vector is zero.
    ///
    /// All four dimensions must be the same.
    pub fn cosine(&self) -> f64 {
        let s = self.score();
        let change = self.sharpening() + self.drift();
        s.dot(&change) / (s.norm() * change.norm())
    }

    /// s = −Pv.
    fn score(&self) -> DVector<f64> {
        -(&self.precision * &self.v)
    }

    /// (P − P_c)v.
    fn sharpening(&self) -> DVector<f64> {
        &self.precision * &self.v - &self.conditional_precision * &self.v
    }

    /// P_cδ.
    fn drift(&self) -> DVector<f64> {
        &self.conditional_precision * &self.delta
    }
}

/// Checks every assumption from the matrices themselves, then gives the cosine and both bounds.
///
/// # Errors
///
/// The first assumption that fails, and by how much.
pub fn check(instance: &Instance) -> Result<Verdict, InstanceError> {
    check_numbers(instance)?;
    check_precision(&instance.precision, Precision::Unconditional)?;
    check_precision(&instance.conditional_precision, Precision::Conditional)?;
    let Instance { alpha, epsilon, tau, .. } = *instance;
    if alpha <= 0.0 {
        return Err(InstanceError::AlphaNotPositive { alpha });
    }
    let s = instance.score();
    let length = s.norm();
    if length == 0.0 {
        return Err(InstanceError::ZeroScore);
    }
    let a1 = (instance.sharpening() - alpha * &s).norm() / (alpha * length);
    if a1 > epsilon + ROUNDING {
        return Err(InstanceError::A1 { measured: a1, epsilon });
    }
    let a2 = instance.drift().norm() / (alpha * length);
    if a2 > tau + ROUNDING {
        return Err(InstanceError::A2 { measured: a2, tau });
    }
    // Rounding may lift the measured ratios above ε + τ, and the bounds need r < 1 of both.
    let r = (epsilon + tau).max(a1 + a2);
    if r >= 1.0 {
        return Err(InstanceError::RNotBelowOne { r });
    }
    let r = a1 + a2;
    Ok(Verdict {
        cosine: instance.cosine(),
        r,
        paper_bound: (1.0 - r) / (1.0 + r),
        sharp_bound: ((1.0 - r) * (1.0 + r)).sqrt(),
    })
}

fn check_numbers(instance: &Instance) -> Result<(), InstanceError> {
    let Instance { precision, conditional_precision, v, delta, alpha, epsilon, tau } = instance;
    let (dim, conditional) = (precision.nrows(), conditional_precision.nrows());
    let squares = precision.is_square() && conditional_precision.is_square();
    if !squares || [conditional, v.len(), delta.len()] != [dim; 3] {
        return Err(InstanceError::Shape { dim, conditional, v: v.len(), delta: delta.len() });
    }
    let entries = precision.iter().chain(conditional_precision).chain(v).chain(delta);
    if entries.chain([alpha, epsilon, tau]).any(|number| !number.is_finite()) {
        return Err(InstanceError::NotFinite);
    }
    Ok(())
}

fn check_precision(matrix: &DMatrix<f64>, precision: Precision) -> Result<(), InstanceError> {
    let (difference, largest) = ((matrix - matrix.transpose()).amax(), matrix.amax());
    if difference > ROUNDING * largest {
        return Err(InstanceError::NotSymmetric { precision, asymmetry: difference / largest });
    }
    match Cholesky::new(matrix.clone()) {
        Some(_) => Ok(()),
        None => Err(InstanceError::not_positive_definite(precision, matrix)),
    }
}

impl InstanceError {
    pub(super) fn not_positive_definite(precision: Precision, matrix: &DMatrix<f64>) -> Self {
        let smallest_eigenvalue = matrix.symmetric_eigenvalues().iter().copied().fold(f64::INFINITY, f64::min);
        Self::NotPositiveDefinite { precision, smallest_eigenvalue }
    }
}
