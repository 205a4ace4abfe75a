//! Correction for many comparisons.

/// Holm's adjusted p values (Scandinavian Journal of Statistics 6 (1979)), in the order given: rejecting those at or
/// below a level keeps the chance of any false rejection below it, whatever the tests' dependence.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max(p[at] * (p.len() - rank) as f64).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

/// Benjamini and Hochberg's q-values, in the order given: rejecting those at or below a level keeps the false discovery
/// rate below it (Journal of the Royal Statistical Society B 57 (1995)). The arithmetic is that of
/// `scipy.stats.false_discovery_control`.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut q = vec![1.0; p.len()];
    let mut smallest = f64::INFINITY;
    for (rank, &at) in order.iter().enumerate().rev() {
        smallest = smallest.min(p[at] * (p.len() as f64 / (rank + 1) as f64));
        q[at] = smallest.clamp(0.0, 1.0);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::holm;

    #[test]
    fn adjusted_p_values_of_statsmodels() {
        // statsmodels.stats.multitest.multipletests([.01, .04, .03, .005], method="holm")[1]
        let expected = [0.03, 0.06, 0.06, 0.02];
        for (found, expected) in holm(&[0.01, 0.04, 0.03, 0.005]).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
