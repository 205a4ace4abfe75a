//! Noise of our own: one `ChaCha` stream per generation, so that a latent never depends on its neighbours.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};

/// (generations * latent) normals; generation `g` is stream `g` of the `ChaCha` generator seeded with `seed`.
pub(super) fn normals(seed: u64, generations: usize, latent: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(generations * latent);
    for generation in 0..generations {
        let mut generator = ChaCha12Rng::seed_from_u64(seed);
        generator.set_stream(generation as u64);
        values.extend(StandardNormal.sample_iter(generator).take(latent).map(narrow));
    }
    values
}

fn narrow(value: f64) -> f32 {
    value as f32
}
