//! The interval of a share.

use statrs::distribution::{Beta, ContinuousCDF};

use super::Interval;

/// The exact 95 % interval of Clopper and Pearson for `hits` of `trials`, ends in 0..=1; `None` without trials.
pub fn proportion_interval(hits: usize, trials: usize) -> Option<Interval> {
    const TAIL: f64 = 0.025;
    if trials == 0 || hits > trials {
        return None;
    }
    let (hits, misses) = (hits as f64, (trials - hits) as f64);
    let quantile = |a: f64, b: f64, q: f64| Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(q));
    let low = if hits == 0.0 { 0.0 } else { quantile(hits, misses + 1.0, TAIL)? };
    let high = if misses == 0.0 { 1.0 } else { quantile(hits + 1.0, misses, 1.0 - TAIL)? };
    Some(Interval { low, high })
}
