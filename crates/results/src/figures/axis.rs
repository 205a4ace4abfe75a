//! What a figure says about its axes.

use serde::{Deserialize, Serialize};

/// How an axis spaces its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Even steps.
    #[default]
    Linear,
    /// Powers of 10; values must be above 0.
    Log10,
    /// Powers of 2; values must be above 0.
    Log2,
}

/// Which way an axis grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the right or upward.
    #[default]
    Forward,
    /// To the left or downward, as timesteps run in sampling.
    Reversed,
}

/// What an input says about an axis.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AxisSpec {
    /// Label with the unit.
    pub label: String,
    /// Spacing of the values.
    pub scale: Scale,
    /// Direction of growth.
    pub direction: Direction,
}

impl AxisSpec {
    /// A linear axis that grows forward.
    pub fn linear(label: &str) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// An axis in powers of 10 that grows forward.
    pub fn log10(label: &str) -> Self {
        Self { label: label.into(), scale: Scale::Log10, ..Self::default() }
    }

    /// An axis in powers of 2 that grows forward.
    pub fn log2(label: &str) -> Self {
        Self { label: label.into(), scale: Scale::Log2, ..Self::default() }
    }

    /// The same axis the other way round.
    pub fn reversed(self) -> Self {
        Self { direction: Direction::Reversed, ..self }
    }
}
