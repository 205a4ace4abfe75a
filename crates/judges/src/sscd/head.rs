//! From a map of features to a descriptor: GeM pooling and a linear layer, in f64.

use crate::{embedding::dot, error::Result, location::LocationMap, weights::Weights};

/// Smallest feature, as in SSCD's `GlobalGeMPool2d`.
const SMALLEST: f64 = 1e-6;

/// Features of one picture: channels × places, row-major.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) values: Vec<f32>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Features {
    fn places(&self) -> usize {
        (self.rows * self.columns).max(1)
    }

    /// f^p of each place, one channel after the other.
    fn powers(&self, p: f64) -> impl Iterator<Item = Vec<f64>> {
        let power = move |f: &f32| f64::from(*f).max(SMALLEST).powf(p);
        self.values.chunks_exact(self.places()).map(move |channel| channel.iter().map(power).collect())
    }
}

/// Pooling and the layer behind it.
#[derive(Debug)]
pub(super) struct Head {
    /// dims × channels.
    weight: Vec<f32>,
    bias: Vec<f32>,
    p: f64,
}

impl Head {
    pub(super) fn load(weights: &Weights, name: &str, channels: usize, dims: usize, p: f64) -> Result<Self> {
        let weight = weights.vector(&format!("{name}.weight"), &[dims, channels])?;
        let bias = weights.vector(&format!("{name}.bias"), &[dims])?;
        Ok(Self { weight, bias, p })
    }

    /// (Σ f^p / places)^(1/p), one number per channel.
    fn pool(&self, features: &Features) -> Vec<f64> {
        let mean = |powers: Vec<f64>| powers.iter().sum::<f64>() / powers.len() as f64;
        features.powers(self.p).map(|powers| mean(powers).powf(1.0 / self.p)).collect()
    }

    /// The descriptor before it is divided by its norm.
    pub(super) fn describe(&self, features: &Features) -> Vec<f32> {
        let pooled = self.pool(features);
        let rows = self.weight.chunks_exact(pooled.len().max(1)).zip(&self.bias);
        let row = |(row, bias): (&[f32], &f32)| {
            (row.iter().zip(&pooled).map(|(w, g)| f64::from(*w) * g).sum::<f64>() + f64::from(*bias)) as f32
        };
        rows.map(row).collect()
    }

    /// The cosine of this picture's descriptor with another one, split over its places.
    pub(super) fn locate(&self, features: &Features, other: &Features) -> LocationMap {
        let (y, z) = (self.describe(features), self.describe(other));
        let norms = (dot(&y, &y) * dot(&z, &z)).sqrt();
        let pooled = self.pool(features);
        // Wᵀz.
        let mut direction = vec![0.0_f64; pooled.len()];
        for (row, z) in self.weight.chunks_exact(pooled.len().max(1)).zip(&z) {
            direction.iter_mut().zip(row).for_each(|(d, w)| *d += f64::from(*w) * f64::from(*z));
        }
        let mut shares = vec![0.0; features.places()];
        for ((powers, g), d) in features.powers(self.p).zip(pooled).zip(direction) {
            let factor = g * d / norms / powers.iter().sum::<f64>();
            shares.iter_mut().zip(powers).for_each(|(share, power)| *share += factor * power);
        }
        let bias = dot(&self.bias, &z) / norms;
        let cosine = shares.iter().sum::<f64>() + bias;
        LocationMap { rows: features.rows, columns: features.columns, shares, bias, cosine }
    }
}
