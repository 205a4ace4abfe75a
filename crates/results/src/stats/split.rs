//! A random split of prompts into those that fit a detector's weights and those that evaluate it.

use super::error::{Class, StatsError};
use super::random;

/// Indices of one class, in two parts that together are all of them; both ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Prompts to fit on.
    pub fitted: Vec<usize>,
    /// Prompts to evaluate on.
    pub held_out: Vec<usize>,
}

impl Split {
    /// Takes `fitted` of `total` prompts at random. The two classes use different random streams of the same seed.
    ///
    /// # Errors
    /// More are to be taken than there are.
    pub fn seeded(total: usize, fitted: usize, class: Class, seed: u64) -> Result<Self, StatsError> {
        if fitted > total {
            return Err(StatsError::SplitTooLarge { taken: fitted, total });
        }
        let stream = match class {
            Class::Positive => 0,
            Class::Negative => 1,
        };
        let mut taken = random::shuffled(&mut random::stream(seed, stream), total);
        let mut held_out = taken.split_off(fitted);
        taken.sort_unstable();
        held_out.sort_unstable();
        Ok(Self { fitted: taken, held_out })
    }
}
