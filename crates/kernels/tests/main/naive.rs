//! Every operation against its formula, written as plain loops in f64.
//!
//! The bounds are those of rounding in f32: a sum of n products errs by at most (n + 1) u Σ |a| |b|, u the unit roundoff
//! (Higham 2002, section 3.1, to first order).

use candle_core::Tensor;
use memscope_kernels::ops::{
    Activation, Affine, AttentionMask, Conv2d, Linear, Norm, activate, add, attention, concat_channels, geglu,
    shift_channels, swap_last, upsample_nearest_2x,
};
use proptest::prelude::*;

use crate::support::{ROUNDOFF, Random, elements};

/// A value with a bound of what an f32 computation of it may be off.
type Bounded = (f64, f64);

/// Asserts that every element lies within its bound.
#[track_caller]
fn assert_within(got: &Tensor, expected: &[Bounded]) {
    let got = elements(got);
    assert_eq!(got.len(), expected.len());
    for (i, (got, (value, bound))) in got.iter().zip(expected).enumerate() {
        assert!((got - value).abs() <= *bound, "element {i}: {got} is not {value} within {bound:.1e}");
    }
}

/// Σ a b + c with the bound of its f32 computation, `growth` times enlarged.
fn sum_of_products(terms: &[(f64, f64)], constant: f64, growth: f64) -> Bounded {
    let value: f64 = terms.iter().map(|(a, b)| a * b).sum();
    let size: f64 = terms.iter().map(|(a, b)| (a * b).abs()).sum();
    (value + constant, (terms.len() + 1) as f64 * ROUNDOFF * (growth * size + constant.abs()))
}

/// The normal distribution function, by its series Φ(x) = 1/2 + φ(x) Σ x^(2k+1)/(2k+1)!!, which converges everywhere.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        term *= x * x / (2.0 * k + 1.0);
        sum += term;
        k += 1.0;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// f(x), with a bound: exp and its surroundings are good to a few roundings, the polynomial for erf to 1.5e-7.
fn activation(x: f64, activation: Activation) -> Bounded {
    const ERF: f64 = 1.5e-7;
    let few = 8.0 * ROUNDOFF * x.abs();
    match activation {
        Activation::Silu => (x * sigmoid(x), few * (1.0 + x.abs())),
        Activation::Gelu => (x * normal_cdf(x), few + 0.5 * x.abs() * ERF),
        Activation::QuickGelu => (x * sigmoid(1.702 * x), few * (1.0 + 1.702 * x.abs())),
    }
}

/// z · weight + bias of one row, z = (x − mean)/√(var + ε), with the bound of its f32 computation: a mean of n numbers errs
/// by n roundings of the largest, and the standard deviation by n/2 of its own size.
fn normalised(row: &[f64], parameters: impl Fn(usize) -> (f64, f64), eps: f64) -> Vec<Bounded> {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let std = (row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n + eps).sqrt();
    let largest = row.iter().fold(0.0, |most: f64, x| x.abs().max(most));
    let of_element = |(i, x): (usize, &f64)| {
        let ((weight, bias), z) = (parameters(i), (x - mean) / std);
        let of_z = (n + 8.0) * ROUNDOFF * (2.0 * largest / std + z.abs());
        (weight * z + bias, weight.abs() * of_z + 2.0 * ROUNDOFF * ((weight * z).abs() + bias.abs()))
    };
    row.iter().enumerate().map(of_element).collect()
}

/// ε of the norms.
const EPS: f64 = 0.01;

/// Sizes of a convolution and how much its algorithm may enlarge rounding errors.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    samples: usize,
    channels: usize,
    outputs: usize,
    height: usize,
    width: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
}

fn check_convolution(s: Sizes, is_winograd: bool, seed: u64) {
    let mut random = Random::new(seed);
    let x = random.normal(&[s.samples, s.channels, s.height, s.width]);
    let weight = random.normal(&[s.outputs, s.channels, s.kernel, s.kernel]);
    let bias = random.normal(&[s.outputs]);
    let layer = Conv2d::new(weight.clone(), Some(bias.clone()), s.stride, s.padding).unwrap();
    let got = layer.apply(&x).unwrap();
    let out = |size: usize| (size + 2 * s.padding - s.kernel) / s.stride + 1;
    let (out_height, out_width) = (out(s.height), out(s.width));
    assert_eq!(got.dims(), [s.samples, s.outputs, out_height, out_width]);

    let (x, weight, bias) = (elements(&x), elements(&weight), elements(&bias));
    let largest = x.iter().fold(0.0, |most: f64, x| x.abs().max(most));
    let mut expected = vec![];
    for sample in 0..s.samples {
        for (output, bias) in bias.iter().enumerate() {
            for (y, x_out) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                let mut terms = vec![];
                for (channel, ky, kx) in (0..s.channels)
                    .flat_map(|c| (0..s.kernel).flat_map(move |ky| (0..s.kernel).map(move |kx| (c, ky, kx))))
                {
                    let row = (y * s.stride + ky).checked_sub(s.padding).filter(|row| *row < s.height);
                    let col = (x_out * s.stride + kx).checked_sub(s.padding).filter(|col| *col < s.width);
                    let pixel = match (row, col) {
                        (Some(row), Some(col)) => x[((sample * s.channels + channel) * s.height + row) * s.width + col],
                        _ => 0.0,
                    };
                    let tap = ((output * s.channels + channel) * s.kernel + ky) * s.kernel + kx;
                    terms.push((weight[tap], pixel));
                }
                let (value, bound) = sum_of_products(&terms, *bias, 1.0);
                // Winograd's products mix the pixels of a tile: its errors go with the largest of them.
                let taps: f64 = terms.iter().map(|(weight, _)| weight.abs()).sum();
                let mixed = (terms.len() + 1) as f64 * ROUNDOFF * (168.0 * taps * largest + bias.abs());
                expected.push((value, if is_winograd { mixed } else { bound }));
            }
        }
    }
    assert_within(&got, &expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn dense_layers(rows in 1..20usize, inputs in 1..40usize, outputs in 1..20usize, seed: u64) {
        let mut random = Random::new(seed);
        let (x, weight) = (random.normal(&[rows, inputs]), random.normal(&[outputs, inputs]));
        let bias = random.normal(&[outputs]);
        let got = Linear::new(weight.clone(), Some(bias.clone())).unwrap().apply(&x).unwrap();
        let (x, weight, bias) = (elements(&x), elements(&weight), elements(&bias));
        let element = |(row, output): (usize, usize)| {
            let terms: Vec<_> = (0..inputs).map(|i| (weight[output * inputs + i], x[row * inputs + i])).collect();
            sum_of_products(&terms, bias[output], 1.0)
        };
        let places = (0..rows).flat_map(|row| (0..outputs).map(move |output| (row, output)));
        assert_within(&got, &places.map(element).collect::<Vec<_>>());
    }

    #[test]
    fn convolutions(
        samples in 1..4usize, channels in 1..5usize, outputs in 1..5usize, height in 3..10usize, width in 3..10usize,
        kernel in 1..4usize, stride in 1..4usize, padding in 0..3usize, seed: u64,
    ) {
        check_convolution(Sizes { samples, channels, outputs, height, width, kernel, stride, padding }, false, seed);
    }

    #[test]
    fn activations(width in 1..200usize, seed: u64) {
        for which in [Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
            let x = (Random::new(seed).normal(&[width]) * 3.0).unwrap();
            let got = activate(&x, which).unwrap();
            assert_within(&got, &elements(&x).iter().map(|x| activation(*x, which)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn gated_units(rows in 1..6usize, width in 1..40usize, seed: u64) {
        let x = Random::new(seed).normal(&[rows, 2 * width]);
        let got = geglu(&x).unwrap();
        assert_eq!(got.dims(), [rows, width]);
        let x = elements(&x);
        let element = |(row, i): (usize, usize)| {
            let (value, gate) = (x[row * 2 * width + i], x[row * 2 * width + width + i]);
            let (gelu, bound) = activation(gate, Activation::Gelu);
            (value * gelu, value.abs() * (bound + 2.0 * ROUNDOFF * gelu.abs()))
        };
        let places = (0..rows).flat_map(|row| (0..width).map(move |i| (row, i)));
        assert_within(&got, &places.map(element).collect::<Vec<_>>());
    }

    #[test]
    fn normalisations(
        samples in 1..4usize, groups in 1..5usize, per_group in 1..5usize, area in 1..30usize, seed: u64,
    ) {
        let mut random = Random::new(seed);
        let channels = groups * per_group;
        let (weight, bias) = (random.normal(&[channels]), random.normal(&[channels]));
        let image = random.normal(&[samples, channels, area]);
        let of_groups = Norm::group(weight.clone(), bias.clone(), groups, EPS).unwrap().apply(&image).unwrap();
        let tokens = random.normal(&[samples, area, channels]);
        let of_tokens = Norm::layer(weight.clone(), bias.clone(), EPS).unwrap().apply(&tokens).unwrap();
        let (weight, bias) = (elements(&weight), elements(&bias));

        let image = elements(&image);
        let rows = image.chunks(per_group * area).enumerate().flat_map(|(row, x)| {
            let channel = move |i: usize| row % groups * per_group + i / area;
            normalised(x, |i| (weight[channel(i)], bias[channel(i)]), EPS)
        });
        assert_within(&of_groups, &rows.collect::<Vec<_>>());
        let tokens = elements(&tokens);
        let rows = tokens.chunks(channels).flat_map(|x| normalised(x, |i| (weight[i], bias[i]), EPS));
        assert_within(&of_tokens, &rows.collect::<Vec<_>>());
    }

    #[test]
    fn attentions(
        samples in 1..3usize, heads in 1..4usize, head in 1..6usize, queries in 1..16usize, keys in 1..16usize,
        causal: bool, seed: u64,
    ) {
        let mut random = Random::new(seed);
        let width = heads * head;
        let (q, k) = (random.normal(&[samples, queries, width]), random.normal(&[samples, keys, width]));
        let v = random.normal(&[samples, keys, width]);
        let mask = if causal { AttentionMask::Causal } else { AttentionMask::None };
        let got = attention(&q, &k, &v, heads, mask).unwrap();
        let (q, k, v) = (elements(&q), elements(&k), elements(&v));
        let mut expected = vec![(0.0, 0.0); samples * queries * width];
        for (sample, h, query) in (0..samples)
            .flat_map(|s| (0..heads).flat_map(move |h| (0..queries).map(move |query| (s, h, query))))
        {
            let row = |x: &[f64], tokens: usize, token: usize| -> Vec<f64> {
                x[(sample * tokens + token) * width + h * head..][..head].to_vec()
            };
            let seen = if causal { keys.min(query + 1) } else { keys };
            let of_query = row(&q, queries, query);
            let score = |key: usize| {
                let of_key = row(&k, keys, key);
                let terms: Vec<_> = of_query.iter().copied().zip(of_key).collect();
                let (value, bound) = sum_of_products(&terms, 0.0, 1.0);
                (value / (head as f64).sqrt(), bound / (head as f64).sqrt())
            };
            let scores: Vec<Bounded> = (0..seen).map(score).collect();
            let max = scores.iter().fold(f64::NEG_INFINITY, |max, (score, _)| score.max(max));
            let weights: Vec<f64> = scores.iter().map(|(score, _)| (score - max).exp()).collect();
            let total: f64 = weights.iter().sum();
            // An error e of the scores is one of the factor exp(2 e) of a probability; then sums of so many terms.
            let of_scores = scores.iter().fold(0.0, |most: f64, (score, bound)| {
                most.max(bound + 4.0 * ROUNDOFF * (score - max).abs().max(score.abs()))
            });
            let relative = 2.0 * of_scores + (2 * seen + 16) as f64 * ROUNDOFF;
            for i in 0..head {
                let values: Vec<f64> = (0..seen).map(|key| row(&v, keys, key)[i]).collect();
                let of = |f: fn(f64) -> f64| -> f64 {
                    weights.iter().zip(&values).map(|(weight, value)| weight / total * f(*value)).sum()
                };
                expected[(sample * queries + query) * width + h * head + i] = (of(|x| x), relative * of(f64::abs));
            }
        }
        assert_within(&got, &expected);
    }

    #[test]
    fn maps_without_parameters(
        samples in 1..4usize, channels in 1..6usize, others in 1..6usize, height in 1..9usize, width in 1..40usize,
        seed: u64,
    ) {
        let mut random = Random::new(seed);
        let [x, y] = [0, 1].map(|_| random.normal(&[samples, channels, height, width]));
        let (other, shift) = (random.normal(&[samples, others, height, width]), random.normal(&[samples, channels]));
        let area = height * width;
        let places = |channels: usize, area: usize| {
            (0..samples).flat_map(move |s| (0..channels).flat_map(move |c| (0..area).map(move |i| (s, c, i))))
        };
        let (of_x, of_y, of_shift) = (elements(&x), elements(&y), elements(&shift));
        let of_other = elements(&other);
        let at = |s: usize, c: usize, i: usize| of_x[(s * channels + c) * area + i];

        let sums = of_x.iter().zip(&of_y).map(|(x, y)| (x + y, ROUNDOFF * (x + y).abs()));
        assert_within(&add(&x, &y).unwrap(), &sums.collect::<Vec<_>>());
        let shifted = places(channels, area).map(|(s, c, i)| {
            let y = at(s, c, i) + of_shift[s * channels + c];
            (y, ROUNDOFF * y.abs())
        });
        assert_within(&shift_channels(&x, &shift).unwrap(), &shifted.collect::<Vec<_>>());
        let joined = places(channels + others, area).map(|(s, c, i)| match c.checked_sub(channels) {
            None => (at(s, c, i), 0.0),
            Some(c) => (of_other[(s * others + c) * area + i], 0.0),
        });
        assert_within(&concat_channels(&x, &other).unwrap(), &joined.collect::<Vec<_>>());
        let large = places(channels, 4 * area).map(|(s, c, i)| {
            let (row, col) = (i / (2 * width), i % (2 * width));
            (at(s, c, row / 2 * width + col / 2), 0.0)
        });
        assert_within(&upsample_nearest_2x(&x).unwrap(), &large.collect::<Vec<_>>());
        let swapped = places(area, channels).map(|(s, i, c)| (at(s, c, i), 0.0));
        assert_within(&swap_last(&x.flatten_from(2).unwrap()).unwrap(), &swapped.collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn winograd_convolutions(
        samples in 1..3usize, channels in 1..6usize, outputs in 1..6usize, height in 16..19usize, width in 16..19usize,
        seed: u64,
    ) {
        let (height, width) = (2 * height, 2 * width);
        let sizes = Sizes { samples, channels, outputs, height, width, kernel: 3, stride: 1, padding: 1 };
        check_convolution(sizes, true, seed);
    }
}
