//! Logistic regression, for fitting the weights of a detector's parts (docs/spec/evaluation.md §5).

use nalgebra::{Cholesky, DMatrix, DVector};

use super::error::{Class, StatsError};

/// Newton steps before giving up; a handful is normal for a few features.
const MAX_STEPS: usize = 200;
/// A step this small, relative to the parameters, ends the iteration. Newton's next error is its square.
const TOLERANCE: f64 = 1e-9;

/// Logistic regression as scikit-learn's default: minimises ½‖w‖² + C Σ ln(1 + exp(-y (w·x + b))), y = ±1, the
/// intercept b unpenalised, features unscaled.
///
/// The objective is strictly convex, so its optimum does not depend on the solver. Newton's method reaches it to
/// rounding for a few features, where scikit-learn's default stops at a gradient of 1e-4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic {
    /// Inverse regularisation strength C, positive.
    pub c: f64,
}

impl Default for Logistic {
    fn default() -> Self {
        Self { c: 1.0 }
    }
}

/// A fitted linear rule over `K` features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticFit<const K: usize> {
    /// Weight of each feature, per unit of the feature.
    pub coefficients: [f64; K],
    /// Log odds where all features are zero.
    pub intercept: f64,
}

impl<const K: usize> LogisticFit<K> {
    /// Log odds of being positive.
    pub fn decision(&self, features: &[f64; K]) -> f64 {
        self.intercept + self.coefficients.iter().zip(features).map(|(w, x)| w * x).sum::<f64>()
    }
}

impl Logistic {
    /// Fits on the features of each prompt of either class.
    ///
    /// # Errors
    /// A class without prompts, a feature that is not finite, a regularisation that is not positive and finite, or no
    /// convergence.
    pub fn fit<const K: usize>(
        &self,
        positives: &[[f64; K]],
        negatives: &[[f64; K]],
    ) -> Result<LogisticFit<K>, StatsError> {
        if !self.c.is_finite() || self.c <= 0.0 {
            return Err(StatsError::InvalidRegularisation { value: self.c });
        }
        check_class(Class::Positive, positives)?;
        check_class(Class::Negative, negatives)?;
        let signed = |rows: &[[f64; K]], sign: f64| -> Vec<Row<K>> {
            rows.iter().map(|&features| Row { features, sign }).collect()
        };
        let mut rows = signed(positives, 1.0);
        rows.extend(signed(negatives, -1.0));
        Objective { c: self.c, rows }.minimise()
    }
}

fn check_class<const K: usize>(class: Class, rows: &[[f64; K]]) -> Result<(), StatsError> {
    if rows.is_empty() {
        return Err(StatsError::EmptyClass { class });
    }
    for (index, row) in rows.iter().enumerate() {
        if let Some(&value) = row.iter().find(|value| !value.is_finite()) {
            return Err(StatsError::NonFiniteScore { class, index, value });
        }
    }
    Ok(())
}

struct Row<const K: usize> {
    features: [f64; K],
    sign: f64,
}

impl<const K: usize> Row<K> {
    /// The features, then the intercept's constant.
    fn vector(&self) -> DVector<f64> {
        DVector::from_fn(K + 1, |index, _| self.features.get(index).copied().unwrap_or(1.0))
    }

    fn margin(&self, fit: &LogisticFit<K>) -> f64 {
        self.sign * fit.decision(&self.features)
    }
}

struct Objective<const K: usize> {
    c: f64,
    rows: Vec<Row<K>>,
}

impl<const K: usize> Objective<K> {
    fn minimise(&self) -> Result<LogisticFit<K>, StatsError> {
        let mut fit = LogisticFit { coefficients: [0.0; K], intercept: 0.0 };
        let mut gradient = self.gradient(&fit);
        for _ in 0..MAX_STEPS {
            let direction = self.newton_direction(&fit, &gradient);
            let (next, scale) = self.line_search(&fit, &gradient, &direction);
            let largest = next.coefficients.iter().fold(next.intercept.abs(), |max, w| max.max(w.abs()));
            let step = direction.amax();
            fit = next;
            gradient = self.gradient(&fit);
            // Exactly one is a full Newton step, which converges quadratically.
            if scale >= 1.0 && step <= TOLERANCE * (1.0 + largest) {
                return Ok(fit);
            }
        }
        Err(StatsError::NotConverged { iterations: MAX_STEPS, gradient: gradient.amax() })
    }

    fn value(&self, fit: &LogisticFit<K>) -> f64 {
        let penalty: f64 = fit.coefficients.iter().map(|w| w * w).sum::<f64>() / 2.0;
        penalty + self.c * self.rows.iter().map(|row| log1p_exp(-row.margin(fit))).sum::<f64>()
    }

    /// Derivatives by each coefficient, then by the intercept.
    fn gradient(&self, fit: &LogisticFit<K>) -> DVector<f64> {
        let mut gradient = DVector::from_fn(K + 1, |index, _| fit.coefficients.get(index).copied().unwrap_or(0.0));
        for row in &self.rows {
            gradient += -self.c * row.sign * sigmoid(-row.margin(fit)) * row.vector();
        }
        gradient
    }

    /// Second derivatives, (K + 1, K + 1).
    fn hessian(&self, fit: &LogisticFit<K>) -> DMatrix<f64> {
        let mut hessian = DMatrix::from_fn(K + 1, K + 1, |i, j| f64::from(u8::from(i == j && i < K)));
        for row in &self.rows {
            let (margin, x) = (row.margin(fit), row.vector());
            hessian += self.c * sigmoid(margin) * sigmoid(-margin) * &x * x.transpose();
        }
        hessian
    }

    /// Solves H d = -g. Where saturated rows leave H singular to rounding, a growing multiple of the identity turns the
    /// direction towards steepest descent.
    fn newton_direction(&self, fit: &LogisticFit<K>, gradient: &DVector<f64>) -> DVector<f64> {
        let hessian = self.hessian(fit);
        let largest = hessian.diagonal().max();
        let mut damping = 0.0_f64;
        loop {
            let damped = &hessian + damping * DMatrix::identity(K + 1, K + 1);
            let direction = Cholesky::new(damped).map(|factor| -factor.solve(gradient));
            if let Some(direction) = direction.filter(|d| d.iter().all(|d| d.is_finite())) {
                return direction;
            }
            if !damping.is_finite() {
                return -gradient;
            }
            damping = if damping == 0.0 { 1e-12 * largest } else { 10.0 * damping };
        }
    }

    /// Halves the step until it lowers the objective enough; returns the new point and the share of the step taken.
    fn line_search(
        &self,
        fit: &LogisticFit<K>,
        gradient: &DVector<f64>,
        direction: &DVector<f64>,
    ) -> (LogisticFit<K>, f64) {
        let slope = gradient.dot(direction);
        let value = self.value(fit);
        // Near the optimum the decrease is smaller than the rounding of the objective.
        let rounding = 1e-13 * (1.0 + value.abs());
        let mut scale = 1.0;
        loop {
            let mut next = *fit;
            for (w, d) in next.coefficients.iter_mut().zip(direction) {
                *w += scale * d;
            }
            next.intercept += scale * direction[K];
            if scale < 1e-12 || self.value(&next) <= value + 1e-4 * scale * slope + rounding {
                return (next, scale);
            }
            scale /= 2.0;
        }
    }
}

/// ln(1 + exp(x)) without overflow.
fn log1p_exp(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}
