//! Sizes of an attention, and where its parts stand in the arrays.

use std::ops::Range;

use super::AttentionMask;
use crate::gemm::{Mat, in_pieces};

/// Sizes of one attention: `q: (B, N, heads·d)`, `k, v: (B, L, heads·d)`.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) heads: usize,
    /// d.
    pub(super) head: usize,
    pub(super) mask: AttentionMask,
}

/// Which head of which sample: sample · heads + head.
pub(super) type HeadIndex = usize;

impl Sizes {
    pub(super) fn width(self) -> usize {
        self.heads * self.head
    }

    /// What scores are multiplied with.
    pub(super) fn scale(self) -> f32 {
        1.0 / (self.head as f32).sqrt()
    }

    /// How many of some adjacent keys a query may see: the first ones.
    pub(super) fn visible(self, query: usize, keys: &Range<usize>) -> usize {
        match self.mask {
            AttentionMask::None => keys.len(),
            AttentionMask::Causal => (query + 1).saturating_sub(keys.start).min(keys.len()),
        }
    }

    /// Cuts `(B, heads, N, per_query)` into tiles of at most `rows` queries of one head: whose, the first query, the elements.
    pub(super) fn tiles_of<T>(self, out: &mut [T], rows: usize, per_query: usize) -> Vec<(HeadIndex, usize, &mut [T])> {
        let heads = out.chunks_mut((self.queries * per_query).max(1)).enumerate();
        let of_head = |(head_index, head): (HeadIndex, _)| {
            let tiles = <[T]>::chunks_mut(head, rows * per_query).enumerate();
            tiles.map(move |(i, tile)| (head_index, i * rows, tile))
        };
        heads.flat_map(of_head).collect()
    }

    /// Some rows of one head of `(B, N, heads·d)`.
    pub(super) fn of_queries(self, x: &[f32], head_index: HeadIndex, rows: Range<usize>) -> Mat<'_> {
        self.part(x, self.queries, head_index, rows)
    }

    /// Some rows of one head of `(B, L, heads·d)`.
    pub(super) fn of_keys(self, x: &[f32], head_index: HeadIndex, rows: Range<usize>) -> Mat<'_> {
        self.part(x, self.keys, head_index, rows)
    }

    fn part(self, x: &[f32], tokens: usize, head_index: HeadIndex, rows: Range<usize>) -> Mat<'_> {
        let (sample, head) = (head_index / self.heads, head_index % self.heads);
        let start = (sample * tokens + rows.start) * self.width() + head * self.head;
        Mat::new(&x[start..], (rows.len(), self.head), (self.width(), 1))
    }

    /// `(B, heads, tokens, d)` to `(B, tokens, heads·d)`.
    pub(super) fn merge_heads(self, x: Vec<f32>, tokens: usize) -> Vec<f32> {
        if self.heads == 1 {
            return x;
        }
        in_pieces(x.len(), self.width(), |row, merged| {
            let (sample, token) = (row / tokens, row % tokens);
            for (head, merged) in merged.chunks_mut(self.head).enumerate() {
                let start = ((sample * self.heads + head) * tokens + token) * self.head;
                merged.copy_from_slice(&x[start..start + self.head]);
            }
        })
    }
}

/// The size of pieces of at most `most` that `count` is cut into, equal so that no core waits for the last.
pub(super) fn even(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most).max(1)).max(1)
}
