//! 3x3 convolutions with 16 products where the sum over taps has 36: Winograd's minimal filtering F(2x2, 3x3)
//! (Lavin and Gray 2015, arXiv 1509.09308).
//!
//! An output tile of 2x2 pixels is Aᵀ (Σ_c (G g Gᵀ) ∘ (Bᵀ d B)) A, where g is the kernel and d the 4x4 input tile of a
//! channel. All tiles together make 16 matrix products, one per position of the transformed tile.

use rayon::prelude::*;

use super::vectorized;
use crate::raw::{Mat, MatMut, Threads, Write, matmul};

/// Positions of a transformed tile.
const POSITIONS: usize = 16;

/// Pixels from which on the transforms cost less than they save.
const MIN_AREA: usize = 1024;

/// Most elements of the transformed input or kernels of one product (32 MiB of f32), if one image or kernel has fewer.
const TRANSFORMED_MAX: usize = 8 << 20;

/// Kernels that are transformed together.
const LANES: usize = 16;

/// Sizes of one convolution of stride 1 that keeps the size of its input.
#[derive(Clone, Copy)]
pub(super) struct Winograd {
    pub(super) channels: usize,
    pub(super) out_channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// One row of each of the 16 matrices.
type Row<'a> = Vec<&'a mut [f32]>;

/// Cuts `(16, rows, len)` into rows that reach across the 16 matrices.
fn rows(data: &mut [f32], rows: usize, len: usize) -> Vec<Row<'_>> {
    let mut cut: Vec<Row> = (0..rows).map(|_| Vec::with_capacity(POSITIONS)).collect();
    for matrix in data.chunks_mut(rows * len) {
        for (row, part) in cut.iter_mut().zip(matrix.chunks_mut(len)) {
            row.push(part);
        }
    }
    cut
}

impl Winograd {
    /// Whether the image is even-sized and large enough.
    pub(super) fn pays(self) -> bool {
        self.height.is_multiple_of(2) && self.width.is_multiple_of(2) && self.height * self.width >= MIN_AREA
    }

    fn tiles(self) -> usize {
        self.height / 2 * (self.width / 2)
    }

    /// Convolves images `(C, H, W)`: `x: (B, C, H, W)`, `weight: (O, C, 3, 3)`; returns `(B, O, H, W)`.
    pub(super) fn forward(self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let Self { channels, out_channels, height, width } = self;
        let (image, out_image) = (channels * height * width, out_channels * height * width);
        let batch = x.len() / image;
        let together = (TRANSFORMED_MAX / (POSITIONS * channels * self.tiles())).clamp(1, batch.max(1));
        let mut y = vec![0.0; batch * out_image];
        for (x, y) in x.chunks(together * image).zip(y.chunks_mut(together * out_image)) {
            self.forward_together(x, weight, bias, y);
        }
        y
    }

    /// The same for images whose tiles make one matrix, a block of output channels at a time.
    fn forward_together(self, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let Self { channels, out_channels, height, width } = self;
        let (area, tiles) = (height * width, self.tiles());
        let columns = x.len() / (channels * area) * tiles;
        let inputs = self.transform_inputs(x, columns);
        let block = (TRANSFORMED_MAX / (POSITIONS * channels)).clamp(1, out_channels);
        let mut kernels = vec![0.0; POSITIONS * block * channels];
        let mut products = vec![0.0; POSITIONS * block * columns];
        for (first, weight) in weight.chunks(9 * channels * block).enumerate().map(|(i, w)| (i * block, w)) {
            let count = weight.len() / (9 * channels);
            let kernels = &mut kernels[..POSITIONS * count * channels];
            let products = &mut products[..POSITIONS * count * columns];
            self.transform_kernels(weight, kernels);
            let factors = kernels.par_chunks(count * channels).zip(inputs.par_chunks(channels * columns));
            products.par_chunks_mut(count * columns).zip(factors).for_each(|(product, (kernels, inputs))| {
                let (kernels, inputs) = (Mat::rows(kernels, count, channels), Mat::rows(inputs, channels, columns));
                let mut product = MatMut::rows(product, count, columns);
                matmul(&mut product, kernels, inputs, 1.0, Write::Replace, Threads::One);
            });
            y.par_chunks_mut(area).enumerate().for_each(|(i, plane)| {
                let (sample, channel) = (i / out_channels, i % out_channels);
                let Some(o) = channel.checked_sub(first).filter(|o| *o < count) else { return };
                let part = |i: usize| &products[(i * count + o) * columns + sample * tiles..][..tiles];
                let bias = bias.map_or(0.0, |bias| bias[channel]);
                vectorized(
                    #[inline(always)]
                    || self.transform_back(std::array::from_fn(part), bias, plane),
                );
            });
        }
    }

    /// Bᵀ d B of every tile: `(16, C, columns)`, the tiles of the images side by side.
    fn transform_inputs(self, x: &[f32], columns: usize) -> Vec<f32> {
        let (area, tiles) = (self.height * self.width, self.tiles());
        let mut inputs = vec![0.0; POSITIONS * self.channels * columns];
        rows(&mut inputs, self.channels, columns).into_par_iter().enumerate().for_each_init(
            || Parity::new(self),
            |parity, (channel, mut row)| {
                for (sample, image) in x.chunks(self.channels * area).enumerate() {
                    let plane = &image[channel * area..][..area];
                    vectorized(
                        #[inline(always)]
                        || self.transform_plane(plane, parity, &mut row, sample * tiles),
                    );
                }
            },
        );
        inputs
    }

    /// G g Gᵀ of every kernel: `weight: (O, C, 3, 3)` to `kernels: (16, O, C)`.
    fn transform_kernels(self, weight: &[f32], kernels: &mut [f32]) {
        let per_output = 9 * self.channels;
        rows(kernels, weight.len() / per_output, self.channels)
            .into_par_iter()
            .zip(weight.par_chunks(per_output))
            .for_each(|(mut row, weight)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for (block, g) in weight.chunks(9 * LANES).enumerate() {
                            transform_kernel_block(g, block * LANES, &mut row);
                        }
                    },
                );
            });
    }

    /// Bᵀ d B of every tile of one channel of one image, from column `start` on.
    #[inline(always)]
    fn transform_plane(self, plane: &[f32], parity: &mut Parity, row: &mut Row, start: usize) {
        let tiles = self.width / 2;
        parity.split(plane, self.width);
        for ty in 0..self.height / 2 {
            // Rows of Bᵀ: d0 - d2, d1 + d2, d2 - d1, d1 - d3.
            for (a, (p, q, sign)) in [(0, 2, -1.0), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)].into_iter().enumerate() {
                let ((even_p, odd_p), (even_q, odd_q)) = (parity.row(2 * ty + p), parity.row(2 * ty + q));
                let [o0, o1, o2, o3] = &mut row[4 * a..4 * a + 4] else { return };
                let at = start + ty * tiles..start + (ty + 1) * tiles;
                let (o0, o1) = (&mut o0[at.clone()], &mut o1[at.clone()]);
                let (o2, o3) = (&mut o2[at.clone()], &mut o3[at]);
                for t in 0..tiles {
                    let (d0, d2) = (even_p[t] + sign * even_q[t], even_p[t + 1] + sign * even_q[t + 1]);
                    let (d1, d3) = (odd_p[t] + sign * odd_q[t], odd_p[t + 1] + sign * odd_q[t + 1]);
                    o0[t] = d0 - d2;
                    o1[t] = d1 + d2;
                    o2[t] = d2 - d1;
                    o3[t] = d1 - d3;
                }
            }
        }
    }

    /// Aᵀ m A of every tile of one output channel, plus the bias.
    #[inline(always)]
    fn transform_back(self, m: [&[f32]; POSITIONS], bias: f32, plane: &mut [f32]) {
        let tiles = self.width / 2;
        for (ty, lines) in plane.chunks_exact_mut(2 * self.width).enumerate() {
            let (upper, lower) = lines.split_at_mut(self.width);
            let m: [&[f32]; POSITIONS] = m.map(|m| &m[ty * tiles..][..tiles]);
            let (upper, lower) = (upper.as_chunks_mut::<2>().0, lower.as_chunks_mut::<2>().0);
            for (t, (upper, lower)) in upper.iter_mut().zip(lower).enumerate() {
                let first: [f32; 4] = std::array::from_fn(|b| m[b][t] + m[4 + b][t] + m[8 + b][t]);
                let second: [f32; 4] = std::array::from_fn(|b| m[4 + b][t] - m[8 + b][t] - m[12 + b][t]);
                *upper = [first[0] + first[1] + first[2] + bias, first[1] - first[2] - first[3] + bias];
                *lower = [second[0] + second[1] + second[2] + bias, second[1] - second[2] - second[3] + bias];
            }
        }
    }
}

/// Transforms up to [`LANES`] adjacent kernels, the first of which stands at `at` of its row.
#[inline(always)]
fn transform_kernel_block(g: &[f32], at: usize, row: &mut [&mut [f32]]) {
    let count = g.len() / 9;
    let mut taps = [[0.0; LANES]; 9];
    for (lane, g) in g.as_chunks::<9>().0.iter().enumerate() {
        for (tap, g) in taps.iter_mut().zip(g) {
            tap[lane] = *g;
        }
    }
    // Rows of G: (1, 0, 0), (1, 1, 1)/2, (1, -1, 1)/2, (0, 0, 1).
    let spread = |x: [f32; 3]| {
        let ends = x[0] + x[2];
        [x[0], 0.5 * (ends + x[1]), 0.5 * (ends - x[1]), x[2]]
    };
    let mut out = [[0.0; LANES]; POSITIONS];
    for lane in 0..LANES {
        let columns: [[f32; 4]; 3] =
            std::array::from_fn(|x| spread([taps[x][lane], taps[3 + x][lane], taps[6 + x][lane]]));
        for a in 0..4 {
            let line = spread([columns[0][a], columns[1][a], columns[2][a]]);
            for (b, value) in line.into_iter().enumerate() {
                out[4 * a + b][lane] = value;
            }
        }
    }
    for (row, out) in row.iter_mut().zip(&out) {
        row[at..at + count].copy_from_slice(&out[..count]);
    }
}

/// An image with a border of zeros, its even and odd columns apart: tiles then lie side by side.
struct Parity {
    even: Vec<f32>,
    odd: Vec<f32>,
    half: usize,
}

impl Parity {
    fn new(sizes: Winograd) -> Self {
        let half = sizes.width / 2 + 1;
        let len = (sizes.height + 2) * half;
        Self { even: vec![0.0; len], odd: vec![0.0; len], half }
    }

    /// Fills the inside; the border stays zero.
    #[inline(always)]
    fn split(&mut self, plane: &[f32], width: usize) {
        let half = self.half;
        let targets = self.even.chunks_exact_mut(half).zip(self.odd.chunks_exact_mut(half)).skip(1);
        for (line, (even, odd)) in plane.chunks_exact(width).zip(targets) {
            // Column c of the image is column c + 1 of the bordered one.
            for (pair, (even, odd)) in line.as_chunks::<2>().0.iter().zip(even[1..].iter_mut().zip(odd)) {
                [*odd, *even] = *pair;
            }
        }
    }

    #[inline(always)]
    fn row(&self, y: usize) -> (&[f32], &[f32]) {
        (&self.even[y * self.half..][..self.half], &self.odd[y * self.half..][..self.half])
    }
}
