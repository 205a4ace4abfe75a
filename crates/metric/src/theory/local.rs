//! Theorem 1's quantities from two scores and their Hessians at one point.

use nalgebra::{Cholesky, DMatrix, DVector};

/// What two scores at a point say when they are read as those of Gaussians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Local {
    /// cos(s, s_c − s).
    pub cosine: f64,
    /// The multiple of s that is nearest to (P − P_c)v.
    pub alpha: f64,
    /// The least ε that A1 allows with this α.
    pub epsilon: f64,
    /// The least τ that A2 allows with this α.
    pub tau: f64,
    /// Whether P and P_c are positive definite, as the theorem needs them.
    pub definite: bool,
}

impl Local {
    /// `hessian`, `conditional_hessian` (d, d), symmetric; `score`, `conditional_score` (d,). With P = −H and P_c = −H_c,
    /// v solves s = −Pv, and P_cδ = s_c + P_c v. `None` where H is singular.
    pub fn new(
        hessian: &DMatrix<f64>,
        conditional_hessian: &DMatrix<f64>,
        score: &DVector<f64>,
        conditional_score: &DVector<f64>,
    ) -> Option<Self> {
        let v = hessian.clone().lu().solve(score)?;
        let sharpening = (conditional_hessian - hessian) * &v;
        let drift = conditional_score - conditional_hessian * &v;
        let alpha = sharpening.dot(score) / score.norm_squared();
        let unit = alpha.abs() * score.norm();
        let change = conditional_score - score;
        Some(Self {
            cosine: score.dot(&change) / (score.norm() * change.norm()),
            alpha,
            epsilon: (sharpening - alpha * score).norm() / unit,
            tau: drift.norm() / unit,
            definite: [hessian, conditional_hessian].into_iter().all(|h| Cholesky::new(-h).is_some()),
        })
    }

    /// ε + τ; the theorem speaks where it is below 1 and α is positive.
    pub fn r(&self) -> f64 {
        self.epsilon + self.tau
    }
}
