//! Gaussian kernel density and the KL divergence between two of them (docs/spec/evaluation.md §7, Figure 2).

use statrs::statistics::Statistics;

use super::error::{StatsError, check_finite};

/// A Gaussian kernel density with Scott's rule, as `scipy.stats.gaussian_kde`.
#[derive(Debug, Clone, PartialEq)]
pub struct Kde {
    samples: Vec<f64>,
    variance: f64,
}

impl Kde {
    /// Needs two different finite samples.
    ///
    /// # Errors
    /// No samples, one that is not finite, or samples without spread.
    pub fn new(samples: &[f64]) -> Result<Self, StatsError> {
        check_finite(samples)?;
        let spread = if samples.len() > 1 { samples.variance() } else { 0.0 };
        let variance = scott_factor(samples.len()).powi(2) * spread;
        // Rejects a variance that underflowed or overflowed, too.
        if !variance.is_normal() {
            return Err(StatsError::NoSpread { count: samples.len() });
        }
        Ok(Self { samples: samples.to_vec(), variance })
    }

    /// Bandwidth factor n^(-1/5), without unit.
    pub fn factor(&self) -> f64 {
        scott_factor(self.samples.len())
    }

    /// Variance of one kernel: squared factor times the sample variance (divisor n - 1), in squared sample units.
    pub fn kernel_variance(&self) -> f64 {
        self.variance
    }

    /// Density at `x`, per sample unit: the mean of the kernels.
    pub fn pdf(&self, x: f64) -> f64 {
        let norm = (std::f64::consts::TAU * self.variance).sqrt() * self.samples.len() as f64;
        let kernels = self.samples.iter().map(|sample| (-(x - sample).powi(2) / (2.0 * self.variance)).exp());
        kernels.sum::<f64>() / norm
    }

    /// Densities at every point of a grid.
    pub fn on_grid(&self, grid: &[f64]) -> Vec<f64> {
        grid.iter().map(|&x| self.pdf(x)).collect()
    }

    /// Smallest and largest sample.
    pub fn range(&self) -> (f64, f64) {
        (Statistics::min(&self.samples), Statistics::max(&self.samples))
    }
}

fn scott_factor(count: usize) -> f64 {
    (count as f64).powf(-0.2)
}

/// `points` equally spaced values from `low` to `high`, ends included, as `numpy.linspace`.
///
/// # Errors
/// Fewer than two points, or `high` that is not above `low`.
pub fn grid(low: f64, high: f64, points: usize) -> Result<Vec<f64>, StatsError> {
    let width = high - low;
    if points < 2 || !width.is_finite() || width <= 0.0 {
        return Err(StatsError::InvalidGrid { low, high, points });
    }
    let step = width / (points - 1) as f64;
    let mut grid: Vec<f64> = (0..points).map(|index| low + index as f64 * step).collect();
    grid[points - 1] = high;
    Ok(grid)
}

/// KL(p || q) in nats of two densities on a common grid.
///
/// `epsilon` is added to both densities at every point, then each is divided by its sum. Without it the divergence is
/// infinite where `q` underflows to zero and `p` does not: the treatment of the tails decides the value.
///
/// # Errors
/// An empty grid, one on which a density is zero everywhere, or an epsilon that is negative or not finite.
pub fn kl_divergence(p: &Kde, q: &Kde, grid: &[f64], epsilon: Option<f64>) -> Result<f64, StatsError> {
    let (Some(&low), Some(&high)) = (grid.first(), grid.last()) else {
        return Err(StatsError::Empty);
    };
    let weights = |kde: &Kde| normalised(&kde.on_grid(grid), epsilon, low, high);
    Ok(relative_entropy(&weights(p)?, &weights(q)?))
}

/// KL(p || q) in nats on `points` points over the common range of both samples, without epsilon: the computation
/// suggested for Figure 2.
///
/// # Errors
/// Fewer than two points, or a density that is zero on all of them.
pub fn kl_on_grid(p: &Kde, q: &Kde, points: usize) -> Result<f64, StatsError> {
    let ((p_low, p_high), (q_low, q_high)) = (p.range(), q.range());
    kl_divergence(p, q, &grid(p_low.min(q_low), p_high.max(q_high), points)?, None)
}

fn normalised(densities: &[f64], epsilon: Option<f64>, low: f64, high: f64) -> Result<Vec<f64>, StatsError> {
    let epsilon = epsilon.unwrap_or(0.0);
    if !epsilon.is_finite() || epsilon < 0.0 {
        return Err(StatsError::InvalidEpsilon { value: epsilon });
    }
    let total: f64 = densities.iter().map(|density| density + epsilon).sum();
    // Also catches a NaN in the grid.
    if total > 0.0 {
        Ok(densities.iter().map(|density| (density + epsilon) / total).collect())
    } else {
        Err(StatsError::GridOffSample { low, high })
    }
}

/// Sum of p ln(p / q); points without `p` add nothing, points with `p` but no `q` make it infinite.
fn relative_entropy(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum()
}
