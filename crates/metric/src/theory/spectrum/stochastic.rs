//! The spectrum's variances from random probes, for a J too large to build.
//!
//! A probe is a Rademacher vector z (entries ±1), so ‖z‖² = d exactly. With a = z·Jz, b = ‖Jz‖² and c = z·J(Jz):
//! E a = tr J, E b = tr JJᵀ, E c = tr J². Replacing J by J − μ1 turns them into a − μd, b − 2μa + μ²d and
//! c − 2μa + μ²d, which leaves every estimate below as it is, as ‖z‖² is no random number; μ ≈ tr J/d keeps the digits
//! that tr JJᵀ/d − (tr J/d)² would lose. μ comes from the first probe.
//!
//! (tr J)² is estimated by the mean of a_i a_j over i ≠ j, which is m² − s²/K with m the mean and s² the sample
//! variance of a. This removes the bias Var(a)/K of m², so all three variances are unbiased: they are U-statistics of
//! order two over K independent probes.

use std::num::NonZeroUsize;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Jacobian, SpectrumError, Variances, checked, products};

/// A U-statistic of order two, less one probe, still needs two.
const LEAST_PROBE_VECTORS: usize = 3;

/// Which random vectors to ask J about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeVectors {
    /// K, at least 3.
    pub count: usize,
    /// Vectors per call of the Jacobian; the estimates do not depend on it.
    pub batch: NonZeroUsize,
    /// Probe k is the k-th random stream of this seed.
    pub seed: u64,
}

/// An estimate and what is known of its error.
///
/// The standard error is the delete-one jackknife's over the K probes, which is consistent for U-statistics (Arvesen
/// 1969) and on average not too small (Efron and Stein 1981). The jackknife sees the part of the error that is linear
/// in the probes. Where that vanishes, as for J with eigenvalues ±1, the error of (tr J)² is all there is, so its
/// variance 2s⁴/(K(K − 1)) is added for the three variances; elsewhere it is of order 1/K² and hardly matters.
///
/// The interval takes Student's t with K − 1 degrees of freedom. It rests on the estimate being nearly normal: expect
/// fewer than 95 % where a few eigenvalues far out dominate the variance and K is small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

/// The spectrum of J as the probes show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StochasticSpectrum {
    /// tr J/d: the mean eigenvalue.
    pub mean: Estimate,
    /// Of the eigenvalues, unbiased.
    pub variances: Variances<Estimate>,
    /// 1 − tr J²/tr JJᵀ, a quotient of unbiased estimates; 0 for J = 0.
    pub asymmetry: Estimate,
}

/// Estimates the spectrum's variances from K random probes.
///
/// Each takes one product with J and one with Jᵀ, or two with J where Jᵀ cannot be had; tr J² comes out the same, as
/// (Jᵀz)·(Jz) = z·J(Jz), and Jᵀz makes tr JJᵀ a little more exact.
///
/// # Errors
///
/// See [`SpectrumError`].
pub fn stochastic<J: Jacobian>(
    jacobian: &J,
    probes: ProbeVectors,
) -> Result<StochasticSpectrum, SpectrumError<J::Error>> {
    let ProbeVectors { count, batch, seed } = probes;
    let dim = jacobian.dim();
    if dim == 0 {
        return Err(SpectrumError::Empty);
    }
    if count < LEAST_PROBE_VECTORS {
        return Err(SpectrumError::TooFewProbeVectors { count, least: LEAST_PROBE_VECTORS });
    }
    let mut shift = None;
    let mut samples = Vec::with_capacity(count);
    while samples.len() < count {
        let end = count.min(samples.len() + batch.get());
        let z: Vec<Vec<f64>> = (samples.len()..end).map(|k| rademacher(dim, seed, k as u64)).collect();
        let jz = products(jacobian, &z)?;
        let shift = *shift.get_or_insert_with(|| dot(&z[0], &jz[0]) / dim as f64);
        samples.extend(shifted_samples(jacobian, shift, &z, jz)?);
    }
    Ok(summarize(&samples, shift.unwrap_or(0.0), dim as f64))
}

/// Entries ±1.
fn rademacher(dim: usize, seed: u64, stream: u64) -> Vec<f64> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut vector = Vec::with_capacity(dim);
    while vector.len() < dim {
        let bits = rng.next_u64();
        let more = (dim - vector.len()).min(64);
        vector.extend((0..more).map(|k| if (bits >> k) & 1 == 0 { 1.0 } else { -1.0 }));
    }
    vector
}

/// What one probe says of J₀ = J − μ1, and sums of it over probes.
#[derive(Clone, Copy, Default)]
struct Sample {
    /// z·J₀z.
    trace: f64,
    /// (z·J₀z)².
    trace_square: f64,
    /// ‖J₀z‖², or its mean with ‖J₀ᵀz‖².
    frobenius: f64,
    /// z·J₀(J₀z).
    square: f64,
}

impl Sample {
    fn combine(self, other: Self, by: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            trace: by(self.trace, other.trace),
            trace_square: by(self.trace_square, other.trace_square),
            frobenius: by(self.frobenius, other.frobenius),
            square: by(self.square, other.square),
        }
    }
}

fn shifted_samples<J: Jacobian>(
    jacobian: &J,
    shift: f64,
    z: &[Vec<f64>],
    jz: Vec<Vec<f64>>,
) -> Result<Vec<Sample>, SpectrumError<J::Error>> {
    let forward = less(jz, shift, z);
    if let Some(transposed) = jacobian.apply_transposed(z).map_err(SpectrumError::Product)? {
        let transposed = less(checked(transposed, z.len(), jacobian.dim())?, shift, z);
        let samples = z.iter().zip(&forward).zip(&transposed).map(|((z, y), w)| {
            let frobenius = f64::midpoint(dot(y, y), dot(w, w));
            sample(dot(z, y), frobenius, dot(w, y))
        });
        return Ok(samples.collect());
    }
    let twice = less(products(jacobian, &forward)?, shift, &forward);
    let samples = z.iter().zip(&forward).zip(&twice).map(|((z, y), x)| sample(dot(z, y), dot(y, y), dot(z, x)));
    Ok(samples.collect())
}

fn sample(trace: f64, frobenius: f64, square: f64) -> Sample {
    Sample { trace, trace_square: trace * trace, frobenius, square }
}

/// (J − μ1)v, given Jv.
fn less(mut products: Vec<Vec<f64>>, shift: f64, vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    for (entry, v) in products.iter_mut().flatten().zip(vectors.iter().flatten()) {
        *entry -= shift * v;
    }
    products
}

fn summarize(samples: &[Sample], shift: f64, dim: f64) -> StochasticSpectrum {
    let count = samples.len() as f64;
    let quadratic = (2.0 / (count * (count - 1.0))).sqrt() * trace_variance(samples) / (dim * dim);
    let estimate = |statistic: &dyn Fn(&Sample, f64) -> f64, rest| jackknife(samples, statistic, rest);
    let variance = |trace: &dyn Fn(&Sample) -> f64| {
        let statistic = |sum: &Sample, count: f64| {
            let trace_squared = (sum.trace * sum.trace - sum.trace_square) / (count * (count - 1.0));
            trace(sum) / (count * dim) - trace_squared / (dim * dim)
        };
        estimate(&statistic, quadratic)
    };
    let asymmetry = |sum: &Sample, count: f64| {
        let size = sum.frobenius + 2.0 * shift * sum.trace + count * shift * shift * dim;
        if size > 0.0 { (sum.frobenius - sum.square) / size } else { 0.0 }
    };
    StochasticSpectrum {
        mean: estimate(&|sum, count| shift + sum.trace / (count * dim), 0.0),
        variances: Variances {
            symmetrized: variance(&|sum| f64::midpoint(sum.square, sum.frobenius)),
            eigenvalues: variance(&|sum| sum.square),
            frobenius: variance(&|sum| sum.frobenius),
        },
        asymmetry: estimate(&asymmetry, 0.0),
    }
}

/// s²: the sample variance of z·J₀z.
fn trace_variance(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|sample| sample.trace).sum::<f64>() / count;
    samples.iter().map(|sample| (sample.trace - mean).powi(2)).sum::<f64>() / (count - 1.0)
}

/// A statistic of the sums over all probes and of their number, with its delete-one jackknife error and the `rest`.
fn jackknife(samples: &[Sample], statistic: &dyn Fn(&Sample, f64) -> f64, rest: f64) -> Estimate {
    let count = samples.len() as f64;
    let total = samples.iter().fold(Sample::default(), |sum, sample| sum.combine(*sample, |a, b| a + b));
    let value = statistic(&total, count);
    let without: Vec<f64> =
        samples.iter().map(|sample| statistic(&total.combine(*sample, |a, b| a - b), count - 1.0)).collect();
    let mean = without.iter().sum::<f64>() / count;
    let scatter: f64 = without.iter().map(|w| (w - mean) * (w - mean)).sum();
    let standard_error = ((count - 1.0) / count * scatter).sqrt().hypot(rest);
    let half = t_quantile(count - 1.0) * standard_error;
    Estimate { value, standard_error, low: value - half, high: value + half }
}

/// The 97.5 % quantile of Student's t.
fn t_quantile(freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(0.975))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
