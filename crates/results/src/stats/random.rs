//! Seeded draws whose results do not depend on the version of the random number crates' samplers.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator with its own stream: draws of one stream do not depend on how many others are used.
pub(super) fn stream(seed: u64, stream: u64) -> ChaCha12Rng {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// A uniform index below `count`, by multiplication; the bias is below count / 2^64.
pub(super) fn index_below(rng: &mut impl Rng, count: usize) -> usize {
    let product = u128::from(rng.next_u64()) * count as u128;
    (product >> 64) as usize
}

/// `0..count` in random order (Fisher-Yates).
pub(super) fn shuffled(rng: &mut impl Rng, count: usize) -> Vec<usize> {
    let mut items: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        items.swap(last, index_below(rng, last + 1));
    }
    items
}
