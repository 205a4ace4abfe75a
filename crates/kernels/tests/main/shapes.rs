//! Arguments that do not fit are errors that say so, in every number format; nothing panics.

use candle_core::{DType, Device, Tensor};
use memscope_kernels::{
    Dual, Error,
    ops::{
        Activation, Affine, AttentionMask, Conv2d, Linear, Norm, activation_jvp, add, attention, attention_jvp,
        attention_probabilities, concat_channels, geglu, geglu_jvp, shift_channels, swap_last, upsample_nearest_2x,
    },
    parts,
};

fn tensor(dims: &[usize], dtype: DType) -> Tensor {
    Tensor::zeros(dims, dtype, &Device::Cpu).unwrap()
}

#[track_caller]
fn assert_refused<T>(result: memscope_kernels::Result<T>, operation: &str) {
    match result.err().expect("an error") {
        error @ Error::Shape { .. } => {
            let message = error.to_string();
            assert!(message.starts_with(operation) && message.contains("needs"), "{message}");
        }
        other => panic!("{operation}: {other}"),
    }
}

#[test]
fn operations_refuse_what_does_not_fit() {
    for dtype in [DType::F32, DType::F16, DType::F64] {
        let t = |dims: &[usize]| tensor(dims, dtype);
        assert_refused(add(&t(&[2, 3]), &t(&[3, 2])), "add");
        assert_refused(shift_channels(&t(&[2, 3, 4, 4]), &t(&[3, 3])), "shift-channels");
        assert_refused(shift_channels(&t(&[2, 3, 4]), &t(&[2, 3])), "shift-channels");
        assert_refused(concat_channels(&t(&[2, 3, 4]), &t(&[2, 3, 5])), "concat-channels");
        assert_refused(concat_channels(&t(&[2]), &t(&[2])), "concat-channels");
        assert_refused(swap_last(&t(&[2, 3])), "swap-last");
        assert_refused(upsample_nearest_2x(&t(&[2, 3, 4])), "upsample");
        assert_refused(geglu(&t(&[2, 3])), "geglu");
        assert_refused(geglu(&t(&[2, 0])), "geglu");
        assert_refused(geglu_jvp(&t(&[2, 4]), &t(&[2, 2])), "geglu-jvp");
        assert_refused(activation_jvp(&t(&[40_000]), &t(&[2]), Activation::Silu), "activation-jvp");
        let (q, k) = (t(&[1, 4, 6]), t(&[1, 5, 6]));
        for heads in [0, 4] {
            assert_refused(attention(&q, &k, &k, heads, AttentionMask::None), "attention");
        }
        assert_refused(attention(&q, &t(&[1, 0, 6]), &t(&[1, 0, 6]), 2, AttentionMask::None), "attention");
        assert_refused(attention(&q, &k, &t(&[1, 4, 6]), 2, AttentionMask::None), "attention");
        assert_refused(attention_probabilities(&q, &t(&[2, 5, 6]), 2, AttentionMask::None), "attention");
        let wrong = t(&[1, 4, 3]);
        let jvp = attention_jvp((&q, Some(&wrong)), (&k, None), (&k, None), 2, AttentionMask::None);
        assert_refused(jvp, "attention-jvp");
        assert_refused(Dual::variable(t(&[2]), t(&[3])), "dual");
    }
}

#[test]
fn layers_refuse_what_does_not_fit() {
    for dtype in [DType::F32, DType::F16, DType::F64] {
        let (t, weight) = (|dims: &[usize]| tensor(dims, dtype), |dims: &[usize]| tensor(dims, DType::F32));
        assert_refused(Linear::new(weight(&[3, 2]), Some(weight(&[2]))), "linear");
        assert_refused(Linear::new(weight(&[3, 0]), None), "linear");
        let linear = Linear::new(weight(&[3, 2]), Some(weight(&[3]))).unwrap();
        assert_refused(linear.apply(&t(&[4, 3])), "linear");
        assert_refused(linear.apply_linear_part(&t(&[])), "linear");

        assert_refused(Conv2d::new(weight(&[3, 2, 3, 1]), None, 1, 1), "conv2d");
        assert_refused(Conv2d::new(weight(&[3, 2, 3, 3]), None, 0, 1), "conv2d");
        assert_refused(Conv2d::new(weight(&[3, 2, 3, 3]), Some(weight(&[2])), 1, 1), "conv2d");
        let conv = Conv2d::new(weight(&[3, 2, 3, 3]), None, 1, 0).unwrap();
        assert_refused(conv.apply(&t(&[1, 2, 2, 9])), "conv2d");
        assert_refused(conv.apply(&t(&[1, 3, 9, 9])), "conv2d");
        assert_refused(conv.apply(&t(&[2, 9, 9])), "conv2d");

        for groups in [0, 4] {
            assert_refused(Norm::group(weight(&[6]), weight(&[6]), groups, 1e-5), "norm");
        }
        assert_refused(Norm::layer(weight(&[6]), weight(&[5]), 1e-5), "norm");
        let (group, layer) = (
            Norm::group(weight(&[6]), weight(&[6]), 3, 1e-5).unwrap(),
            Norm::layer(weight(&[6]), weight(&[6]), 1e-5).unwrap(),
        );
        assert_refused(group.apply(&t(&[1, 5, 4])), "norm");
        assert_refused(layer.apply(&t(&[1, 5])), "norm");
        assert_refused(layer.jvp(&t(&[1, 6]), &t(&[2, 6])), "norm-jvp");
    }
}

/// A batch of nothing goes through every operation.
#[test]
fn empty_batches_give_empty_results() {
    let t = |dims: &[usize]| tensor(dims, DType::F32);
    let conv = Conv2d::new(t(&[3, 2, 3, 3]), Some(t(&[3])), 1, 1).unwrap();
    assert_eq!(conv.apply(&t(&[0, 2, 4, 4])).unwrap().dims(), [0, 3, 4, 4]);
    assert_eq!(conv.apply(&t(&[0, 2, 64, 64])).unwrap().dims(), [0, 3, 64, 64]);
    let linear = Linear::new(t(&[3, 2]), Some(t(&[3]))).unwrap();
    assert_eq!(linear.apply(&t(&[0, 2])).unwrap().dims(), [0, 3]);
    let norm = Norm::group(t(&[4]), t(&[4]), 2, 1e-5).unwrap();
    assert_eq!(norm.apply(&t(&[0, 4, 3, 3])).unwrap().dims(), [0, 4, 3, 3]);
    assert_eq!(norm.apply(&t(&[2, 4, 0, 3])).unwrap().dims(), [2, 4, 0, 3]);
    let (q, k) = (t(&[0, 4, 6]), t(&[0, 5, 6]));
    assert_eq!(attention(&q, &k, &k, 2, AttentionMask::Causal).unwrap().dims(), [0, 4, 6]);
    assert_eq!(geglu(&t(&[0, 4])).unwrap().dims(), [0, 2]);
    assert_eq!(swap_last(&t(&[2, 0, 3])).unwrap().dims(), [2, 3, 0]);
    assert_eq!(swap_last(&t(&[2, 3, 0])).unwrap().dims(), [2, 0, 3]);
    assert_eq!(upsample_nearest_2x(&t(&[1, 1, 0, 3])).unwrap().dims(), [1, 1, 0, 6]);
    assert_eq!(upsample_nearest_2x(&t(&[1, 1, 3, 0])).unwrap().dims(), [1, 1, 6, 0]);
    assert_eq!(concat_channels(&t(&[2, 0, 3]), &t(&[2, 1, 3])).unwrap().dims(), [2, 1, 3]);
    assert_eq!(concat_channels(&t(&[2, 1, 0]), &t(&[2, 1, 0])).unwrap().dims(), [2, 2, 0]);
    assert!(parts::map(0, |_| Ok::<_, ()>(())).unwrap().is_empty());
}

/// Layouts that are not contiguous, as transpositions and slices leave them.
#[test]
fn any_layout_is_taken() {
    let x = Tensor::arange(0f32, 24.0, &Device::Cpu).unwrap().reshape((2, 3, 4)).unwrap();
    let transposed = x.transpose(1, 2).unwrap();
    let same = |a: &Tensor, b: &Tensor| (a - b).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    let contiguous = transposed.contiguous().unwrap();
    assert_eq!(same(&swap_last(&transposed).unwrap(), &x), 0.0);
    assert_eq!(same(&add(&transposed, &contiguous).unwrap(), &(&contiguous * 2.0).unwrap()), 0.0);
    let part = x.narrow(2, 0, 2).unwrap();
    assert_eq!(same(&geglu(&part).unwrap(), &geglu(&part.contiguous().unwrap()).unwrap()), 0.0);
}
