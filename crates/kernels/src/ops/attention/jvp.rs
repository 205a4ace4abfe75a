//! The jvp of attention. The probabilities of a tile of queries are computed again.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::{
    WithTangent,
    sizes::{HeadIndex, Sizes, even},
};
use crate::{
    gemm::{Mat, MatMut, Threads, Write, matmul, zeros},
    ops::{exp, max_of, sum_of, sum_of_pairs, vectorized},
    scratch::with_scratch,
};

/// Most queries of a tile: its probabilities and their derivatives stay in a shared cache.
pub(crate) const TILE: usize = 192;

impl Sizes {
    fn tile(self) -> usize {
        even(self.queries, TILE)
    }

    /// softmax(q kᵀ/√d) of the queries from `first` on: `p: (rows, L)`.
    fn probabilities(self, q: &[f32], k: &[f32], head_index: HeadIndex, first: usize, p: &mut [f32]) {
        let rows = p.len() / self.keys;
        let (q, k) = (self.of_queries(q, head_index, first..first + rows), self.of_keys(k, head_index, 0..self.keys));
        matmul(&mut MatMut::rows(p, rows, self.keys), q, k.t(), self.scale(), Write::Replace, Threads::One);
        vectorized(
            #[inline(always)]
            || {
                for (i, row) in p.chunks_mut(self.keys).enumerate() {
                    softmax(row, self.visible(first + i, &(0..self.keys)));
                }
            },
        );
    }
}

/// In head_index; `visible` keys count, the rest become zero.
#[inline(always)]
fn softmax(row: &mut [f32], visible: usize) {
    let (row, hidden) = row.split_at_mut(visible);
    hidden.fill(0.0);
    let max = max_of(row);
    row.iter_mut().for_each(|x| *x = exp(*x - max));
    let inverse = 1.0 / sum_of(row, |x| x);
    row.iter_mut().for_each(|x| *x *= inverse);
}

/// What a softmax with values `p` makes of a change `d` of its arguments, in head_index and row by row: p ∘ (d − Σ p ∘ d).
fn softmax_derivative(d: &mut [f32], p: &[f32], keys: usize) {
    vectorized(
        #[inline(always)]
        || {
            for (d, p) in d.chunks_mut(keys).zip(p.chunks(keys)) {
                let mean = sum_of_pairs(d, p, |d, p| d * p);
                d.iter_mut().zip(p).for_each(|(d, p)| *d = p * (*d - mean));
            }
        },
    );
}

/// The tangent `(B, N, heads·d)` of [`super::attention`].
pub(super) fn jvp(s: Sizes, q: WithTangent, k: WithTangent, v: WithTangent) -> Result<Tensor> {
    let elements = |(x, dx): WithTangent| -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        let flat = |x: &Tensor| x.flatten_all()?.to_vec1();
        Ok((flat(x)?, dx.map(flat).transpose()?))
    };
    let ((q, dq), (k, dk), (v, dv)) = (elements(q)?, elements(k)?, elements(v)?);
    let tile = s.tile();
    // (B, heads, N, d).
    let mut out = zeros(s.batch * s.queries * s.width());
    s.tiles_of(&mut out, tile, s.head).into_par_iter().for_each(|(head_index, first, out)| {
        with_scratch([tile * s.keys; 2], |[p, dp]| {
            let rows = out.len() / s.head;
            let (p, dp) = (&mut p[..rows * s.keys], &mut dp[..rows * s.keys]);
            let (queries, keys) = (first..first + rows, 0..s.keys);
            s.probabilities(&q, &k, head_index, first, p);
            let mut write = Write::Replace;
            let terms = [
                dq.as_ref()
                    .map(|dq| (s.of_queries(dq, head_index, queries.clone()), s.of_keys(&k, head_index, keys.clone()))),
                dk.as_ref().map(|dk| (s.of_queries(&q, head_index, queries), s.of_keys(dk, head_index, keys.clone()))),
            ];
            for (q, k) in terms.into_iter().flatten() {
                matmul(&mut MatMut::rows(dp, rows, s.keys), q, k.t(), s.scale(), write, Threads::One);
                write = Write::Add;
            }
            let mut out = MatMut::rows(out, rows, s.head);
            let scores_move = write == Write::Add;
            if scores_move {
                softmax_derivative(dp, p, s.keys);
                let v = s.of_keys(&v, head_index, keys.clone());
                matmul(&mut out, Mat::rows(dp, rows, s.keys), v, 1.0, Write::Replace, Threads::One);
            }
            if let Some(dv) = &dv {
                let write = if scores_move { Write::Add } else { Write::Replace };
                let dv = s.of_keys(dv, head_index, keys);
                matmul(&mut out, Mat::rows(p, rows, s.keys), dv, 1.0, write, Threads::One);
            }
        });
    });
    Tensor::from_vec(s.merge_heads(out, s.queries), (s.batch, s.queries, s.width()), &Device::Cpu)
}
