//! Both bounds of Theorem 1, on valid and on broken instances.

use memscope_metric::theory::{DMatrix, DVector, Instance, InstanceError, Local, Precision, check, survey};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{assert_close, diagonal, fixture, matrix, number, numbers};

fn numpy_instance(case: &Value) -> Instance {
    Instance {
        precision: matrix(&case["precision"]),
        conditional_precision: matrix(&case["conditional_precision"]),
        v: numbers(&case["v"]).into(),
        delta: numbers(&case["delta"]).into(),
        alpha: number(&case["alpha"]),
        epsilon: number(&case["a1"]),
        tau: number(&case["a2"]),
    }
}

#[test]
fn numpy_agrees_on_ratios_and_cosine() {
    for case in fixture()["instances"].as_array().unwrap() {
        let instance = numpy_instance(case);
        let verdict = check(&instance).unwrap();
        assert_close(verdict.cosine, number(&case["cosine"]), 1e-12);
        assert_close(verdict.r, instance.epsilon + instance.tau, 1e-12);
        assert_close(verdict.paper_bound, (1.0 - verdict.r) / (1.0 + verdict.r), 1e-15);
        assert_close(verdict.sharp_bound, (1.0 - verdict.r * verdict.r).sqrt(), 1e-14);
        assert!(verdict.cosine > verdict.sharp_bound && verdict.sharp_bound > verdict.paper_bound);
    }
}

/// An independent run of the same recipe had a median slack of 0.42 and about 3.5 % rejected.
#[test]
fn no_instance_of_ten_thousand_is_below_either_bound() {
    let survey = survey(10_000, 20260120).unwrap();
    let slack = survey.paper_slack.unwrap();
    println!("{} rejected; {slack:?}; {:?}", survey.rejected, survey.sharp_slack.unwrap());
    assert_eq!((survey.paper_violations, survey.sharp_violations), (0, 0));
    assert_eq!(survey.verdicts.len() + survey.rejected, 10_000);
    assert!((0.028..0.042).contains(&(survey.rejected as f64 / 1e4)), "{}", survey.rejected);
    assert!((slack.median - 0.42).abs() < 0.015, "{slack:?}");
    assert!(slack.min > 0.0 && slack.min < 0.02, "{slack:?}");
    assert!(survey.sharp_slack.unwrap().min > -1e-9);
}

#[test]
fn an_instance_depends_on_its_number_alone() {
    let one_by_one: Vec<_> =
        (0..60).filter_map(|n| Instance::sample(5, n).and_then(|instance| check(&instance)).ok()).collect();
    let survey = survey(60, 5).unwrap();
    assert_eq!(survey.verdicts, one_by_one);
    assert_eq!(survey.rejected, 60 - one_by_one.len());
    assert_ne!(Instance::sample(5, 0), Instance::sample(5, 1));
    assert_ne!(Instance::sample(5, 0), Instance::sample(6, 0));
}

/// s = (1, 0), α = 1, r = 1/2, D = r(−sin θ, cos θ) with sin θ = r: D is orthogonal to s_Δ.
#[test]
fn the_sharp_bound_is_attained() {
    let r = 0.5;
    let d = [-r * r, r * (1.0f64 - r * r).sqrt()];
    let all_drift = Instance {
        precision: diagonal(&[1.0, 1.0]),
        conditional_precision: diagonal(&[2.0, 2.0]),
        v: DVector::from(vec![-1.0, 0.0]),
        delta: DVector::from(vec![d[0] / 2.0, d[1] / 2.0]),
        alpha: 1.0,
        epsilon: 0.0,
        tau: r,
    };
    // The same D from P − P_c instead: the first column of P_c is (2, 0) + D.
    let p_c = [[2.0 + d[0], d[1]], [d[1], 2.0]];
    let all_sharpening = Instance {
        conditional_precision: DMatrix::from_fn(2, 2, |i, j| p_c[i][j]),
        delta: DVector::from(vec![0.0, 0.0]),
        epsilon: r,
        tau: 0.0,
        ..all_drift.clone()
    };
    for instance in [all_drift, all_sharpening] {
        let verdict = check(&instance).unwrap();
        assert_close(verdict.r, r, 1e-15);
        assert_close(verdict.cosine, 0.75f64.sqrt(), 1e-15);
        assert!(verdict.sharp_slack().abs() < 1e-15);
        assert_close(verdict.paper_slack(), 0.75f64.sqrt() - 1.0 / 3.0, 1e-14);
    }
}

fn valid() -> Instance {
    Instance {
        precision: diagonal(&[1.0, 3.0]),
        conditional_precision: diagonal(&[1.5, 4.5]),
        v: DVector::from(vec![1.0, -2.0]),
        delta: DVector::from(vec![0.01, 0.02]),
        alpha: 0.5,
        epsilon: 0.1,
        tau: 0.1,
    }
}

#[test]
fn a_broader_conditional_turns_the_cosine_around() {
    let broader = Instance {
        conditional_precision: diagonal(&[0.5, 1.5]),
        delta: DVector::from(vec![0.0; 2]),
        alpha: -0.5,
        ..valid()
    };
    assert_close(broader.cosine(), -1.0, 1e-15);
    assert_eq!(check(&broader), Err(InstanceError::AlphaNotPositive { alpha: -0.5 }));
}

#[test]
fn a_broken_assumption_is_named_with_its_size() {
    check(&valid()).unwrap();
    let a1 = Instance { conditional_precision: diagonal(&[1.5, 6.0]), ..valid() };
    // s = (−1, 6), (P − P_c)v − αs = (0, 3).
    let expected = 3.0 / (0.5 * 37f64.sqrt());
    assert!(
        matches!(check(&a1), Err(InstanceError::A1 { measured, epsilon: 0.1 }) if (measured - expected).abs() < 1e-12)
    );
    let a2 = Instance { delta: DVector::from(vec![0.0, 2.0]), ..valid() };
    let expected = 9.0 / (0.5 * 37f64.sqrt());
    assert!(matches!(check(&a2), Err(InstanceError::A2 { measured, tau: 0.1 }) if (measured - expected).abs() < 1e-12));
    let r = Instance { epsilon: 0.5, tau: 0.5, ..valid() };
    assert_eq!(check(&r), Err(InstanceError::RNotBelowOne { r: 1.0 }));
    assert_eq!(check(&Instance { v: DVector::from(vec![0.0; 2]), ..valid() }), Err(InstanceError::ZeroScore));
    assert_eq!(check(&Instance { tau: f64::NAN, ..valid() }), Err(InstanceError::NotFinite));
    assert_eq!(check(&Instance { precision: diagonal(&[1.0, f64::NAN]), ..valid() }), Err(InstanceError::NotFinite));
    let shape = InstanceError::Shape { dim: 2, conditional: 2, v: 3, delta: 2 };
    assert_eq!(check(&Instance { v: DVector::from(vec![1.0; 3]), ..valid() }), Err(shape));
}

#[test]
fn a_precision_must_be_symmetric_and_positive_definite() {
    // Eigenvalues 1.5 ± 2.5.
    let indefinite = DMatrix::from_fn(2, 2, |i, j| if i == j { 1.5 } else { 2.5 });
    let error = check(&Instance { conditional_precision: indefinite.clone(), ..valid() }).unwrap_err();
    let InstanceError::NotPositiveDefinite { precision: Precision::Conditional, smallest_eigenvalue } = error else {
        panic!("{error}");
    };
    assert_close(smallest_eigenvalue, -1.0, 1e-14);
    let error = check(&Instance { precision: indefinite, ..valid() }).unwrap_err();
    assert!(matches!(error, InstanceError::NotPositiveDefinite { precision: Precision::Unconditional, .. }));
    let lopsided = DMatrix::from_fn(2, 2, |i, j| [[1.5, 0.1], [0.0, 4.0]][i][j]);
    let error = check(&Instance { conditional_precision: lopsided, ..valid() }).unwrap_err();
    assert_eq!(error, InstanceError::NotSymmetric { precision: Precision::Conditional, asymmetry: 0.025 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn both_bounds_hold_at_any_dimension_and_condition(seed in any::<u64>(), dim in 1usize..=40, kappa in 1.0f64..=1000.0) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        match Instance::draw(&mut rng, dim, kappa) {
            Ok(instance) => {
                let verdict = check(&instance).unwrap();
                prop_assert!(verdict.r <= instance.epsilon + instance.tau + 1e-9);
                prop_assert!(verdict.paper_slack() >= -1e-12, "{:?}", verdict);
                prop_assert!(verdict.sharp_slack() >= -1e-9, "{:?}", verdict);
            }
            Err(error) => {
                let conditional = matches!(
                    error,
                    InstanceError::NotPositiveDefinite { precision: Precision::Conditional, smallest_eigenvalue }
                        if smallest_eigenvalue <= 1e-9
                );
                prop_assert!(conditional, "{}", error);
            }
        }
    }
}

#[test]
fn the_quantities_are_found_again_from_scores_and_hessians() {
    let mut spoken = 0;
    for number in 0..200 {
        let Ok(instance) = Instance::sample(3, number) else { continue };
        let Instance { precision, conditional_precision, v, delta, .. } = &instance;
        let (s, s_c) = (-precision * v, -conditional_precision * (v - delta));
        let local = Local::new(&-precision, &-conditional_precision, &s, &s_c).unwrap();
        assert!(local.definite);
        assert_close(local.cosine, instance.cosine(), 1e-9);
        assert_close(local.tau * local.alpha.abs() * s.norm(), (conditional_precision * delta).norm(), 1e-6);
        // A1 and A2 hold with the quantities found, so the theorem does, whichever alpha it was drawn with.
        if local.alpha > 0.0 && local.r() < 1.0 {
            let Local { alpha, epsilon, tau, .. } = local;
            let found =
                check(&Instance { alpha, epsilon: epsilon + 1e-9, tau: tau + 1e-9, ..instance.clone() }).unwrap();
            assert_close(found.r, local.r(), 1e-6);
            assert!(local.cosine >= found.sharp_bound - 1e-6);
            spoken += 1;
        }
    }
    assert!(spoken > 100, "{spoken}");
}
