//! Random instances that meet the assumptions of Theorem 1, unless P_c comes out indefinite.

use nalgebra::{Cholesky, DMatrix, DVector};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rand_distr::StandardNormal;

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
        let reach = alpha * (&precision * &v).norm();

        // E = −(wuᵀ + uwᵀ − (w·v)uuᵀ) with u = v/‖v‖² is symmetric and Ev = −w.
        let w = random_vector(rng, dim, epsilon * reach);
        let u = &v / v.norm_squared();
        let along = w.dot(&v);
        let conditional_precision =
            (1.0 + alpha) * &precision - (&w * u.transpose() + &u * w.transpose() - along * &u * u.transpose());
        let Some(factor) = Cholesky::new(conditional_precision.clone()) else {
            return Err(InstanceError::not_positive_definite(Precision::Conditional, &conditional_precision));
        };
        let delta = factor.solve(&random_vector(rng, dim, tau * reach));
        Ok(Self { precision, conditional_precision, v, delta, alpha, epsilon, tau })
    }
}

/// QΛQᵀ with log-uniform Λ and Q of the QR decomposition of a Gaussian matrix: uniform over the orthogonal matrices up
/// to the signs of its columns, which cancel.
fn random_precision(rng: &mut impl Rng, dim: usize, kappa: f64) -> DMatrix<f64> {
    let eigenvalues = DVector::from_fn(dim, |_, _| rng.random_range(0.0..=kappa.max(1.0).ln()).exp());
    let q = DMatrix::from_fn(dim, dim, |_, _| rng.sample::<f64, _>(StandardNormal)).qr().q();
    let precision = &q * DMatrix::from_diagonal(&eigenvalues) * q.transpose();
    // Rounding leaves it a little lopsided.
    (&precision + precision.transpose()) / 2.0
}

/// A vector of random direction whose length is uniform in [0, `longest`].
fn random_vector(rng: &mut impl Rng, dim: usize, longest: f64) -> DVector<f64> {
    let direction = normals(rng, dim);
    let scale = rng.random_range(0.0..=1.0) * longest / direction.norm();
    direction * scale
}

fn normals(rng: &mut impl Rng, dim: usize) -> DVector<f64> {
    DVector::from_fn(dim, |_, _| rng.sample(StandardNormal))
}
