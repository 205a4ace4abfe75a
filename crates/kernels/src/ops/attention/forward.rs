//! Attention without whole rows of scores: keys come in blocks, and every query carries the maximum and the sum of its
//! softmax along (Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135).

use rayon::prelude::*;

use super::sizes::{HeadIndex, Sizes, even};
use crate::{
    gemm::{Mat, MatMut, Threads, Write, matmul, zeros},
    ops::{exp, max_of, sum_of, vectorized},
    scratch::with_scratch,
};

/// Most queries of a tile. The more, the less often a block of keys is packed for its product.
pub(crate) const TILE: usize = 512;

/// Most keys of a block: with a tile's queries 512 KiB of scores, which stay in a core's cache.
pub(crate) const BLOCK: usize = 256;

/// `q: (B, N, heads·d)`, `k, v: (B, L, heads·d)`; returns `(B, N, heads·d)`, and the softmax of every query of every head:
/// B·heads·N of them.
pub(super) fn attend(s: Sizes, q: &[f32], k: &[f32], v: &[f32]) -> (Vec<f32>, Vec<Softmax>) {
    attend_in(s, [q, k, v], even(s.queries, TILE), even(s.keys, BLOCK))
}

fn attend_in(s: Sizes, inputs: [&[f32]; 3], tile: usize, block: usize) -> (Vec<f32>, Vec<Softmax>) {
    // (B, heads, N, d), so that a tile of one head lies together.
    let mut out = zeros(s.batch * s.queries * s.width());
    let mut softmax = vec![Softmax::NOTHING; s.batch * s.heads * s.queries];
    let of_tiles = s.tiles_of(&mut softmax, tile, 1).into_par_iter();
    s.tiles_of(&mut out, tile, s.head).into_par_iter().zip(of_tiles).for_each(
        |((head_index, first, out), (_, _, softmax))| {
            with_scratch([tile * block], |[scores]| {
                Tile { scores, softmax }.attend(s, inputs, head_index, first, block, out);
            });
        },
    );
    (s.merge_heads(out, s.queries), softmax)
}

/// The softmax of one query, over the keys it has seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Softmax {
    pub(super) max: f32,
    /// Σ exp(score − max).
    pub(super) sum: f32,
}

impl Softmax {
    const NOTHING: Self = Self { max: f32::NEG_INFINITY, sum: 0.0 };

    /// Takes in the scores of further keys, which become exp(score − max); returns what all earlier ones are to be
    /// multiplied with.
    #[inline(always)]
    fn extend(&mut self, scores: &mut [f32]) -> f32 {
        let max = max_of(scores);
        // A NaN is kept.
        let max = if self.max >= max { self.max } else { max };
        let earlier = if self.max == max { 1.0 } else { exp(self.max - max) };
        scores.iter_mut().for_each(|x| *x = exp(*x - max));
        *self = Self { max, sum: self.sum * earlier + sum_of(scores, |x| x) };
        earlier
    }
}

/// Some queries of one head.
struct Tile<'a> {
    scores: &'a mut [f32],
    softmax: &'a mut [Softmax],
}

impl Tile<'_> {
    /// `out: (rows, d)` for the queries from `first` on.
    fn attend(
        &mut self,
        s: Sizes,
        [q, k, v]: [&[f32]; 3],
        head_index: HeadIndex,
        first: usize,
        block: usize,
        out: &mut [f32],
    ) {
        let rows = out.len() / s.head;
        let softmax = &mut *self.softmax;
        let q = s.of_queries(q, head_index, first..first + rows);
        let mut write = Write::Replace;
        for start in (0..s.keys).step_by(block) {
            let keys = start..(start + block).min(s.keys);
            let scores = &mut self.scores[..rows * keys.len()];
            let (k, v) = (s.of_keys(k, head_index, keys.clone()), s.of_keys(v, head_index, keys.clone()));
            matmul(&mut MatMut::rows(scores, rows, keys.len()), q, k.t(), s.scale(), Write::Replace, Threads::One);
            vectorized(
                #[inline(always)]
                || {
                    let of_queries = scores.chunks_mut(keys.len()).zip(out.chunks_mut(s.head)).zip(softmax.iter_mut());
                    for (i, ((scores, out), softmax)) in of_queries.enumerate() {
                        let (scores, hidden) = scores.split_at_mut(s.visible(first + i, &keys));
                        hidden.fill(0.0);
                        let earlier = softmax.extend(scores);
                        if write == Write::Add && earlier != 1.0 {
                            out.iter_mut().for_each(|x| *x *= earlier);
                        }
                    }
                },
            );
            let mut dst = MatMut::rows(out, rows, s.head);
            matmul(&mut dst, Mat::rows(scores, rows, keys.len()), v, 1.0, write, Threads::One);
            write = Write::Add;
        }
        for (out, softmax) in out.chunks_mut(s.head).zip(softmax) {
            let inverse = 1.0 / softmax.sum;
            out.iter_mut().for_each(|x| *x *= inverse);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::AttentionMask;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64).map(|i| ((i * 2_654_435_761 + seed * 97) % 1009) as f32 / 200.0 - 2.5).collect()
    }

    #[test]
    fn every_cut_into_tiles_and_blocks_gives_the_same() {
        let (q, k, v) = (numbers(2 * 11 * 12, 1), numbers(2 * 9 * 12, 2), numbers(2 * 9 * 12, 3));
        for mask in [AttentionMask::None, AttentionMask::Causal] {
            let s = Sizes { batch: 2, queries: 11, keys: 9, heads: 3, head: 4, mask };
            let (whole, _) = attend_in(s, [&q, &k, &v], 11, 9);
            for (tile, block) in [(11, 2), (4, 9), (3, 4), (1, 1)] {
                let (cut, _) = attend_in(s, [&q, &k, &v], tile, block);
                let agree = whole.iter().zip(&cut).all(|(a, b)| (a - b).abs() < 1e-6);
                assert!(agree, "{mask:?}, tiles of {tile}, blocks of {block}");
            }
        }
    }

    #[test]
    fn a_nan_in_any_block_stays() {
        let s = Sizes { batch: 1, queries: 2, keys: 6, heads: 1, head: 1, mask: AttentionMask::None };
        let (q, v) = (vec![1.0; 2], vec![1.0; 6]);
        for at in 0..6 {
            let mut k = vec![1.0; 6];
            k[at] = f32::NAN;
            assert!(attend_in(s, [&q, &k, &v], 2, 2).0.iter().all(|x| x.is_nan()), "key {at}");
        }
    }
}
