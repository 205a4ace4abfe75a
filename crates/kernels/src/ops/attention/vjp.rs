//! The vjp of attention, without whole rows of scores: with the softmax that the forward has found, a block of
//! probabilities is computed again by itself (Dao et al. 2022, arXiv 2205.14135, algorithm 4).

use rayon::prelude::*;

use super::{
    forward::Softmax,
    sizes::{HeadIndex, Sizes, even},
};
use crate::{
    gemm::{Mat, MatMut, Threads, Write, matmul, zeros},
    ops::{exp, vectorized},
    scratch::with_scratch,
};

/// Most queries of a tile, and most keys of a block: scores and their gradients, 512 KiB together, stay in a core's cache.
pub(crate) const TILE: usize = 256;

/// What the forward was given and what it found.
#[derive(Clone, Copy)]
pub(super) struct Forward<'a> {
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) out: &'a [f32],
    pub(super) softmax: &'a [Softmax],
}

/// Which gradients are wanted: in the queries, and in keys and values.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) queries: bool,
    pub(super) keys: bool,
}

/// The gradients in q, k and v, given that in the result, `(B, N, heads·d)`; those that are not wanted are empty. Heads run
/// side by side; the tiles of one add up in order.
pub(super) fn vjp(s: Sizes, forward: Forward, grad: &[f32], wanted: Wanted) -> [Vec<f32>; 3] {
    vjp_in(s, forward, grad, wanted, (even(s.queries, TILE), even(s.keys, TILE)))
}

fn vjp_in(s: Sizes, forward: Forward, grad: &[f32], wanted: Wanted, (tile, block): (usize, usize)) -> [Vec<f32>; 3] {
    let gradient = |tokens, is_wanted: bool| if is_wanted { zeros(s.batch * tokens * s.width()) } else { vec![] };
    // (B, heads, N or L, d).
    let mut of_q = gradient(s.queries, wanted.queries);
    let (mut of_k, mut of_v) = (gradient(s.keys, wanted.keys), gradient(s.keys, wanted.keys));
    let count = s.batch * s.heads;
    let parts = heads(&mut of_q, count).into_par_iter().zip(heads(&mut of_k, count)).zip(heads(&mut of_v, count));
    parts.enumerate().for_each(|(head_index, ((of_q, of_k), of_v))| {
        with_scratch([tile * block, tile * block, tile], |[p, scores, mean]| {
            let mut head = Head { s, forward, grad, head_index, p, scores, mean };
            for first in (0..s.queries).step_by(tile) {
                let rows = first..(first + tile).min(s.queries);
                head.means(rows.start, rows.len());
                for start in (0..s.keys).step_by(block) {
                    let keys = start..(start + block).min(s.keys);
                    head.block(rows.clone(), keys.clone());
                    if wanted.queries {
                        head.add_to_queries(rows.clone(), keys.clone(), of_q);
                    }
                    if wanted.keys {
                        head.add_to_keys(rows.clone(), keys, of_k, of_v);
                    }
                }
            }
        });
    });
    let merge = |x: Vec<f32>, tokens| if x.is_empty() { x } else { s.merge_heads(x, tokens) };
    [merge(of_q, s.queries), merge(of_k, s.keys), merge(of_v, s.keys)]
}

/// As many equal parts; empty ones of nothing.
fn heads(x: &mut [f32], count: usize) -> Vec<&mut [f32]> {
    let len = x.len() / count.max(1);
    let mut rest = x;
    (0..count).map(|_| rest.split_off_mut(..len).unwrap_or_default()).collect()
}

/// The work on one head.
struct Head<'a> {
    s: Sizes,
    forward: Forward<'a>,
    grad: &'a [f32],
    head_index: HeadIndex,
    /// Probabilities of a tile of queries over a block of keys.
    p: &'a mut [f32],
    /// The gradients in their scores.
    scores: &'a mut [f32],
    /// Of every query of a tile, Σ p ∘ (gradient in p) over all keys: its result times the gradient in it.
    mean: &'a mut [f32],
}

type Rows = std::ops::Range<usize>;

impl Head<'_> {
    fn means(&mut self, first: usize, rows: usize) {
        let Self { s, forward, grad, head_index, .. } = *self;
        let (sample, head) = (head_index / s.heads, head_index % s.heads);
        for (i, mean) in self.mean[..rows].iter_mut().enumerate() {
            let at = (sample * s.queries + first + i) * s.width() + head * s.head;
            *mean = grad[at..][..s.head].iter().zip(&forward.out[at..][..s.head]).map(|(g, o)| g * o).sum();
        }
    }

    /// Computes `p` and `scores` of a block.
    fn block(&mut self, rows: Rows, keys: Rows) {
        let Self { s, forward, grad, head_index, .. } = *self;
        let (count, width) = (rows.len(), keys.len());
        let (p, scores) = (&mut self.p[..count * width], &mut self.scores[..count * width]);
        let (q, k) =
            (s.of_queries(forward.q, head_index, rows.clone()), s.of_keys(forward.k, head_index, keys.clone()));
        matmul(&mut MatMut::rows(p, count, width), q, k.t(), s.scale(), Write::Replace, Threads::One);
        let (grad, v) = (s.of_queries(grad, head_index, rows.clone()), s.of_keys(forward.v, head_index, keys.clone()));
        matmul(&mut MatMut::rows(scores, count, width), grad, v.t(), 1.0, Write::Replace, Threads::One);
        let softmax = &forward.softmax[head_index * s.queries + rows.start..][..count];
        let mean = &self.mean[..count];
        vectorized(
            #[inline(always)]
            || {
                let of_queries = p.chunks_mut(width).zip(scores.chunks_mut(width)).zip(softmax).zip(mean);
                for (i, (((p, scores), softmax), mean)) in of_queries.enumerate() {
                    let visible = s.visible(rows.start + i, &keys);
                    let (max, inverse) = (softmax.max, 1.0 / softmax.sum);
                    for (p, score) in p[..visible].iter_mut().zip(&mut scores[..visible]) {
                        *p = exp(*p - max) * inverse;
                        *score = *p * (*score - mean);
                    }
                    p[visible..].fill(0.0);
                    scores[visible..].fill(0.0);
                }
            },
        );
    }

    fn add_to_queries(&self, rows: Rows, keys: Rows, of_q: &mut [f32]) {
        let Self { s, forward, head_index, .. } = *self;
        let (count, width) = (rows.len(), keys.len());
        let write = if keys.start == 0 { Write::Replace } else { Write::Add };
        let scores = Mat::rows(&self.scores[..count * width], count, width);
        let k = s.of_keys(forward.k, head_index, keys);
        let of_q = &mut of_q[rows.start * s.head..rows.end * s.head];
        matmul(&mut MatMut::rows(of_q, count, s.head), scores, k, s.scale(), write, Threads::One);
    }

    fn add_to_keys(&self, rows: Rows, keys: Rows, of_k: &mut [f32], of_v: &mut [f32]) {
        let Self { s, forward, grad, head_index, .. } = *self;
        let (count, width) = (rows.len(), keys.len());
        let write = if rows.start == 0 { Write::Replace } else { Write::Add };
        let part = keys.start * s.head..keys.end * s.head;
        let (p, scores) = (&self.p[..count * width], &self.scores[..count * width]);
        let (q, grad) = (s.of_queries(forward.q, head_index, rows.clone()), s.of_queries(grad, head_index, rows));
        let mut of_v = MatMut::rows(&mut of_v[part.clone()], width, s.head);
        matmul(&mut of_v, Mat::rows(p, count, width).t(), grad, 1.0, write, Threads::One);
        let mut of_k = MatMut::rows(&mut of_k[part], width, s.head);
        matmul(&mut of_k, Mat::rows(scores, count, width).t(), q, s.scale(), write, Threads::One);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{AttentionMask, attention::forward};

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64).map(|i| ((i * 2_654_435_761 + seed * 97) % 1009) as f32 / 200.0 - 2.5).collect()
    }

    #[test]
    fn every_cut_into_tiles_and_blocks_and_every_share_gives_the_same() {
        let (q, k, v) = (numbers(2 * 11 * 12, 1), numbers(2 * 9 * 12, 2), numbers(2 * 9 * 12, 3));
        let grad = numbers(2 * 11 * 12, 4);
        for mask in [AttentionMask::None, AttentionMask::Causal] {
            let s = Sizes { batch: 2, queries: 11, keys: 9, heads: 3, head: 4, mask };
            let (out, softmax) = forward::attend(s, &q, &k, &v);
            let forward = Forward { q: &q, k: &k, v: &v, out: &out, softmax: &softmax };
            let all = Wanted { queries: true, keys: true };
            let whole = vjp_in(s, forward, &grad, all, (11, 9));
            for cut in [(11, 2), (4, 9), (3, 4), (1, 1)] {
                for (a, b) in whole.iter().zip(&vjp_in(s, forward, &grad, all, cut)) {
                    let agree = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-5);
                    assert!(agree, "{mask:?}, {cut:?}");
                }
            }
            let [of_q, of_k, of_v] = vjp_in(s, forward, &grad, Wanted { queries: false, keys: true }, (11, 9));
            assert!(of_q.is_empty() && of_k == whole[1] && of_v == whole[2]);
            let [of_q, of_k, of_v] = vjp_in(s, forward, &grad, Wanted { queries: true, keys: false }, (11, 9));
            assert!(of_q == whole[0] && of_k.is_empty() && of_v.is_empty());
        }
    }
}
