use std::{iter::Sum, ops::Add};

use serde::Serialize;

/// Floating-point operations of matrix products, two for each multiplication with its addition. Norms, activations and
/// softmax are not counted; they are well below one percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Flops {
    /// Of convolutions.
    pub convolution: f64,
    /// Of dense layers, 1x1 projections of transformers among them.
    pub dense: f64,
    /// Of attention's two products, q kᵀ and P v.
    pub attention: f64,
}

impl Flops {
    /// All of them.
    pub fn total(&self) -> f64 {
        self.convolution + self.dense + self.attention
    }

    /// Each kind times a factor.
    pub(crate) fn times(self, convolution: f64, dense: f64, attention: f64) -> Self {
        Self {
            convolution: self.convolution * convolution,
            dense: self.dense * dense,
            attention: self.attention * attention,
        }
    }

    /// All of them `factor` times.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        self.times(factor, factor, factor)
    }
}

impl Add for Flops {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            convolution: self.convolution + other.convolution,
            dense: self.dense + other.dense,
            attention: self.attention + other.attention,
        }
    }
}

impl Sum for Flops {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}
