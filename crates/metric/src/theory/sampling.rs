//! Random instances that meet the assumptions of Theorem 1, unless P_c comes out indefinite.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rand_distr::StandardNormal;

use super::linalg::{Matrix, cholesky, dot, householder, norm, reflect, solve_cholesky, symmetric_eigenvalues};
use super::theorem1::{Instance, InstanceError, Precision};

/// Condition numbers of P.
const KAPPAS: [f64; 3] = [2.0, 10.0, 100.0];

impl Instance {
    /// Instance `number` of the random family `seed`: d from 2 to 64, κ one of 2, 10, 100.
    ///
    /// Every number has its own random stream.
    ///
    /// # Errors
    ///
    /// See [`Instance::draw`].
    pub fn sample(seed: u64, number: u64) -> Result<Self, InstanceError> {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let dim = rng.random_range(2..=64);
        let kappa = KAPPAS[rng.random_range(0..KAPPAS.len())];
        Self::draw(&mut rng, dim, kappa)
    }

    /// A random instance of dimension `dim`; the eigenvalues of P are log-uniform in [1, `kappa`], a finite
    /// number.
    ///
    /// α is log-uniform in [e⁻³, e²], ε uniform in [0, 0.6], τ uniform in [0, 0.99 − ε]. P_c is (1 + α)P plus the
    /// smallest symmetric matrix that gives (P − P_c)v = αs + w, where w has a random direction and a length uniform
    /// up to what A1 allows; P_cδ likewise up to what A2 allows.
    ///
    /// # Errors
    ///
    /// [`InstanceError::NotPositiveDefinite`] if P_c is not, about one time in thirty.
    pub fn draw(rng: &mut impl Rng, dim: usize, kappa: f64) -> Result<Self, InstanceError> {
        let precision = random_precision(rng, dim, kappa);
        let v = normals(rng, dim);
        let alpha = rng.random_range(-3.0..=2.0f64).exp();
        let epsilon = rng.random_range(0.0..=0.6);
        let tau = rng.random_range(0.0..=0.99 - epsilon);
        let reach = alpha * norm(&precision.times(&v));

        // E = −(wuᵀ + uwᵀ − (w·v)uuᵀ) with u = v/‖v‖² is symmetric and Ev = −w.
        let w = random_vector(rng, dim, epsilon * reach);
        let square = dot(&v, &v);
        let u: Vec<f64> = v.iter().map(|v| v / square).collect();
        let along = dot(&w, &v);
        let conditional_precision = Matrix::from_fn(dim, |i, j| {
            (1.0 + alpha) * precision[(i, j)] - (w[i] * u[j] + u[i] * w[j] - along * u[i] * u[j])
        });
        let Some(factor) = cholesky(&conditional_precision) else {
            let eigenvalues = symmetric_eigenvalues(conditional_precision);
            let smallest_eigenvalue = eigenvalues.and_then(|values| values.first().copied()).unwrap_or(f64::NAN);
            let precision = Precision::Conditional;
            return Err(InstanceError::NotPositiveDefinite { precision, smallest_eigenvalue });
        };
        let delta = solve_cholesky(&factor, &random_vector(rng, dim, tau * reach));
        Ok(Self { precision, conditional_precision, v, delta, alpha, epsilon, tau })
    }
}

/// QΛQᵀ with log-uniform Λ and Q uniform over the orthogonal matrices, as a product of mirrors (Stewart 1980).
fn random_precision(rng: &mut impl Rng, dim: usize, kappa: f64) -> Matrix {
    let eigenvalues: Vec<f64> = (0..dim).map(|_| rng.random_range(0.0..=kappa.max(1.0).ln()).exp()).collect();
    let mut precision = Matrix::diagonal(&eigenvalues);
    for start in (0..dim.saturating_sub(1)).rev() {
        let normal = householder(&normals(rng, dim - start));
        reflect(&mut precision, start, &normal);
    }
    precision
}

/// A vector of random direction whose length is uniform in [0, `longest`].
fn random_vector(rng: &mut impl Rng, dim: usize, longest: f64) -> Vec<f64> {
    let direction = normals(rng, dim);
    let scale = rng.random_range(0.0..=1.0) * longest / norm(&direction);
    direction.iter().map(|g| g * scale).collect()
}

fn normals(rng: &mut impl Rng, dim: usize) -> Vec<f64> {
    (0..dim).map(|_| rng.sample(StandardNormal)).collect()
}
