//! ⟨J v, w⟩ = ⟨v, Jᵀ w⟩ for every operation: forward mode (jvp of a [`Dual`]) against reverse mode, both candle's backward
//! with the vjp of the operation, and the record of a [`Taped`].
//!
//! The two sides are computed by different code, so that one wrong index in either shows. How far rounding alone may take
//! them apart: let each element of J v, and of Jᵀ w, be a sum of at most n products, each computed to k roundings. Then
//! the error of J v is at most (n + k) u |J| |v| elementwise, u the unit roundoff of f32 (Higham 2002, section 3.1, to first
//! order), likewise for Jᵀ w, and the two inner products, which are taken in f64, differ by at most
//!
//! 2 (n + k) u ‖|J|‖₂ ‖v‖₂ ‖w‖₂.
//!
//! Each test says n + k (`roundings`) and a bound of ‖|J|‖₂ (`size`). Where a derivative has factors that both modes
//! compute by the same code (slopes, probabilities, means), these are the same numbers, whose own error cancels.
//!
//! Besides a random w, w = J v is tried: the left side is then ‖J v‖², which no cancellation makes small, so that the
//! comparison is relative.

use std::slice::from_ref;

use candle_core::{Tensor, Var};
use memscope_kernels::{
    Dual, Record, Taped, Value,
    ops::{Activation, AttentionMask, Conv2d, Linear, Norm, sum_pool_2x, swap_last, upsample_nearest_2x},
};
use proptest::prelude::*;

use crate::support::{ROUNDOFF, Random, inner, largest, norm};

/// An operation of one or more inputs, generic over what flows through it.
trait Operation {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V>;
}

/// Bounds of its rounding error, see above.
struct Bound {
    roundings: usize,
    size: f64,
}

/// Checks the identity for `operation` at `inputs`.
fn check(operation: &impl Operation, inputs: &[Tensor], bound: &Bound, random: &mut Random) {
    let tangents: Vec<Tensor> = inputs.iter().map(|x| random.normal(x.dims())).collect();
    let duals: Vec<Dual> =
        inputs.iter().zip(&tangents).map(|(x, v)| Dual::variable(x.clone(), v.clone()).unwrap()).collect();
    let forward = operation.apply(&duals).unwrap();
    let jv = forward.tangent().unwrap();
    let plain = operation.apply(inputs).unwrap();
    assert_eq!(norm(&(forward.primal() - &plain).unwrap()), 0.0, "the primal of a dual is the plain value");

    let size_of_v = tangents.iter().map(|v| inner(v, v)).sum::<f64>().sqrt();
    for w in [random.normal(jv.dims()), jv.clone()] {
        let variables: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
        let values: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
        let output = operation.apply(&values).unwrap();
        let gradients = (output * &w).unwrap().sum_all().unwrap().backward().unwrap();
        let left = inner(&jv, &w);
        let of_input = |(variable, v): (&Var, &Tensor)| inner(gradients.get(variable).expect("a gradient"), v);
        let right: f64 = variables.iter().zip(&tangents).map(of_input).sum();
        let tolerance = 2.0 * bound.roundings as f64 * ROUNDOFF * bound.size * size_of_v * norm(&w);
        assert!((left - right).abs() <= tolerance, "{left} and {right} differ by more than {tolerance:.1e}");

        let variables: Vec<Taped> = inputs.iter().map(Taped::variable).collect();
        let records: Vec<Record> = variables.iter().map(Taped::record).collect();
        let output = operation.apply(&variables).unwrap();
        assert_eq!(
            norm(&(output.primal() - &plain).unwrap()),
            0.0,
            "the primal of a recorded value is the plain value"
        );
        let gradients = output.record().vjp(&w, &records.iter().collect::<Vec<_>>()).unwrap();
        let taped: f64 = gradients.iter().zip(&tangents).map(|(g, v)| inner(g.as_ref().expect("a gradient"), v)).sum();
        assert!((left - taped).abs() <= tolerance, "{left} and {taped} differ by more than {tolerance:.1e}");
        // One gradient alone is the same.
        for (i, record) in records.iter().enumerate() {
            let alone = output.record().vjp(&w, &[record]).unwrap().remove(0).expect("a gradient");
            assert_eq!(norm(&(alone - gradients[i].as_ref().unwrap()).unwrap()), 0.0);
        }
    }
}

struct Dense(Linear);
struct Convolution(Conv2d);
struct Normalise(Norm);
struct Activate(Activation);
struct Geglu;
struct Attend(usize, AttentionMask);
struct Add;
struct Concat;
struct Shift(Tensor);
struct Swap;
struct Upsample;

impl Operation for Dense {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].through(&self.0)
    }
}

impl Operation for Convolution {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].through(&self.0)
    }
}

impl Operation for Normalise {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].normalise(&self.0)
    }
}

impl Operation for Activate {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].activate(self.0)
    }
}

impl Operation for Geglu {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].geglu()
    }
}

impl Operation for Attend {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].attend(&inputs[1], &inputs[2], self.0, self.1)
    }
}

impl Operation for Add {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].add(&inputs[1])
    }
}

impl Operation for Concat {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].concat_channels(&inputs[1])
    }
}

impl Operation for Shift {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].shift_channels(&self.0)
    }
}

impl Operation for Swap {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].linear_map(swap_last, swap_last)
    }
}

impl Operation for Upsample {
    fn apply<V: Value>(&self, inputs: &[V]) -> memscope_kernels::Result<V> {
        inputs[0].linear_map(upsample_nearest_2x, sum_pool_2x)
    }
}

/// A convolution whose weight has operator norm at most k ‖W‖_F: it is a sum of k² shifted products with one tap each.
fn convolution(
    (samples, channels, outputs): (usize, usize, usize),
    (height, width): (usize, usize),
    (kernel, stride, padding): (usize, usize, usize),
    growth: f64,
    seed: u64,
) {
    let mut random = Random::new(seed);
    let weight = random.normal(&[outputs, channels, kernel, kernel]);
    let bias = random.normal(&[outputs]);
    let size = growth * kernel as f64 * norm(&weight);
    // A pixel of the gradient adds up at most as many taps of the outputs as one of the output does of the inputs.
    let roundings = kernel * kernel * channels.max(outputs) + 1;
    let operation = Convolution(Conv2d::new(weight, Some(bias), stride, padding).unwrap());
    check(&operation, &[random.normal(&[samples, channels, height, width])], &Bound { roundings, size }, &mut random);
}

/// ε of the norms.
const EPS: f64 = 0.01;

/// How much Winograd's transforms may enlarge rounding errors: (‖Aᵀ‖_F ‖G‖_F ‖Bᵀ‖_F)² = 6 · 3.5 · 8 for F(2x2, 3x3).
const WINOGRAD_GROWTH: f64 = 168.0;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dense_layers(rows in 1..40usize, inputs in 1..40usize, outputs in 1..40usize, seed: u64) {
        let mut random = Random::new(seed);
        let weight = random.normal(&[outputs, inputs]);
        let bound = Bound { roundings: inputs.max(outputs), size: norm(&weight) };
        let operation = Dense(Linear::new(weight, Some(random.normal(&[outputs]))).unwrap());
        check(&operation, &[random.normal(&[rows, inputs])], &bound, &mut random);
    }

    #[test]
    fn convolutions(
        samples in 1..4usize, channels in 1..5usize, outputs in 1..5usize, height in 3..12usize, width in 3..12usize,
        kernel in 1..4usize, stride in 1..4usize, padding in 0..3usize, seed: u64,
    ) {
        convolution((samples, channels, outputs), (height, width), (kernel, stride, padding), 1.0, seed);
    }

    #[test]
    fn normalisations(
        samples in 1..4usize, groups in 1..5usize, per_group in 1..5usize, height in 1..7usize, width in 2..7usize,
        seed: u64,
    ) {
        let mut random = Random::new(seed);
        let channels = groups * per_group;
        let (weight, bias) = (random.normal(&[channels]), random.normal(&[channels]));
        // J = diag(w)/σ (I − 1 1ᵀ/n − z zᵀ/n) with ‖z‖² ≤ n, and σ² ≥ ε.
        let size = 3.0 * largest(&weight) / EPS.sqrt();
        let group = Norm::group(weight.clone(), bias.clone(), groups, EPS).unwrap();
        let x = random.normal(&[samples, channels, height, width]);
        let roundings = per_group * height * width + 8;
        check(&Normalise(group), &[x], &Bound { roundings, size }, &mut random);
        let layer = Norm::layer(weight, bias, EPS).unwrap();
        let x = random.normal(&[samples, height, channels]);
        check(&Normalise(layer), &[x], &Bound { roundings: channels + 8, size }, &mut random);
    }

    #[test]
    fn activations(samples in 1..4usize, width in 1..70usize, seed: u64) {
        for activation in [Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
            let mut random = Random::new(seed);
            // All slopes are below 1.13.
            let (x, bound) = (random.normal(&[samples, width]), Bound { roundings: 1, size: 1.13 });
            check(&Activate(activation), &[(x * 3.0).unwrap()], &bound, &mut random);
        }
    }

    #[test]
    fn gated_units(samples in 1..4usize, tokens in 1..5usize, width in 1..40usize, seed: u64) {
        let mut random = Random::new(seed);
        let x = random.normal(&[samples, tokens, 2 * width]);
        // |gelu(g)| ≤ |g|, and its slope is below 1.13.
        let bound = Bound { roundings: 4, size: 2.13 * largest(&x) };
        check(&Geglu, &[x], &bound, &mut random);
    }

    #[test]
    fn attentions(
        samples in 1..3usize, heads in 1..4usize, head in 1..9usize, queries in 1..24usize, keys in 1..24usize,
        causal: bool, seed: u64,
    ) {
        let mut random = Random::new(seed);
        let mask = if causal { AttentionMask::Causal } else { AttentionMask::None };
        let width = heads * head;
        let q = random.normal(&[samples, queries, width]);
        let (k, v) = (random.normal(&[samples, keys, width]), random.normal(&[samples, keys, width]));
        // dP = P ∘ (dS − Σ P ∘ dS) has norm at most 2 ‖dS‖, dS = (dq kᵀ + q dkᵀ)/√d, and ‖P‖_F² is at most its rows.
        let scores = 2.0 / (head as f64).sqrt() * (norm(&q) + norm(&k));
        let size = scores * norm(&v) + ((samples * heads * queries) as f64).sqrt();
        // Sums over d, then over keys twice (or over keys and queries, backwards).
        let bound = Bound { roundings: head + 2 * keys + queries + 8, size };
        check(&Attend(heads, mask), &[q, k, v], &bound, &mut random);
    }

    #[test]
    fn maps_without_parameters(
        samples in 1..4usize, channels in 1..6usize, others in 1..6usize, height in 1..9usize, width in 1..40usize,
        seed: u64,
    ) {
        let mut random = Random::new(seed);
        let x = random.normal(&[samples, channels, height, width]);
        let y = random.normal(&[samples, channels, height, width]);
        let other = random.normal(&[samples, others, height, width]);
        // Copies, and sums of at most four numbers.
        let bound = Bound { roundings: 4, size: 2.0 };
        check(&Add, &[x.clone(), y], &bound, &mut random);
        check(&Concat, &[x.clone(), other], &bound, &mut random);
        let shift = random.normal(&[samples, channels]);
        check(&Shift(shift), from_ref(&x), &bound, &mut random);
        check(&Upsample, from_ref(&x), &bound, &mut random);
        check(&Swap, &[x.flatten_from(2).unwrap()], &bound, &mut random);
    }
}

proptest! {
    // The images are large enough for Winograd's algorithm.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn winograd_convolutions(
        samples in 1..3usize, channels in 1..20usize, outputs in 1..20usize, height in 16..20usize, width in 16..20usize,
        seed: u64,
    ) {
        convolution((samples, channels, outputs), (2 * height, 2 * width), (3, 1, 1), WINOGRAD_GROWTH, seed);
    }
}

/// Tangents reach an operation through some of its inputs alone.
#[test]
fn inputs_that_do_not_move_have_no_share() {
    let mut random = Random::new(7);
    let (x, y) = (random.normal(&[2, 3, 4, 5]), random.normal(&[2, 3, 4, 5]));
    let v = random.normal(&[2, 3, 4, 5]);
    let moving = Dual::variable(x, v.clone()).unwrap();
    let sum = moving.add(&Dual::constant(&y)).unwrap();
    assert_eq!(norm(&(sum.tangent().unwrap() - v).unwrap()), 0.0);
    let still = Dual::constant(&y).add(&Dual::constant(&y)).unwrap();
    assert_eq!(norm(&still.tangent().unwrap()), 0.0);
}
