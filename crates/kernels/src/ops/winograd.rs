//! 3x3 convolutions with 16 products where the sum over taps has 36: Winograd's minimal filtering F(2x2, 3x3)
//! (Lavin and Gray 2015, arXiv 1509.09308).
//!
//! An output tile of 2x2 pixels is Aᵀ (Σ_c (G g Gᵀ) ∘ (Bᵀ d B)) A, where g is the kernel and d the 4x4 input tile of a
//! channel. All tiles together make 16 matrix products, one per position of the transformed tile.

use std::ops::Range;

use rayon::prelude::*;

use super::vectorized;
use crate::{
    gemm::{Mat, MatMut, Threads, Write, matmul, zeros},
    scratch::with_scratch,
};

/// Positions of a transformed tile.
const POSITIONS: usize = 16;

/// Pixels from which on the transforms cost less than they save.
const MIN_AREA: usize = 1024;

/// Most elements of the transformed kernels of a block of output channels (16 MiB of f32).
const KERNELS_MAX: usize = 4 << 20;

/// Most elements of the transformed input of a strip (8 MiB of f32), if one row of tiles has fewer.
const INPUTS_MAX: usize = 2 << 20;

/// Kernels that are transformed together.
const LANES: usize = 16;

/// Sizes of one convolution of stride 1 that keeps the size of its input.
#[derive(Clone, Copy)]
pub(crate) struct Winograd {
    pub(crate) channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Where kernels come from: a weight `(O, C, 3, 3)` of a convolution from C to O channels.
#[derive(Clone, Copy)]
pub(crate) enum Kernels<'a> {
    /// As it stands.
    Stored(&'a [f32]),
    /// Of the convolution from O to C channels that takes gradients back: each turned by half a turn, inputs and outputs
    /// exchanged.
    Turned(&'a [f32]),
}

impl Kernels<'_> {
    /// The nine taps of up to [`LANES`] kernels, from input channel `first` on, that make one output channel; `memory` for
    /// those that do not lie so.
    #[inline(always)]
    fn block<'a>(
        &'a self,
        sizes: Winograd,
        output: usize,
        first: usize,
        memory: &'a mut [f32; 9 * LANES],
    ) -> &'a [f32] {
        let count = LANES.min(sizes.channels - first);
        match self {
            Self::Stored(weight) => &weight[9 * (output * sizes.channels + first)..][..9 * count],
            Self::Turned(weight) => {
                let (memory, _) = memory.as_chunks_mut::<9>();
                for (input, turned) in (first..).zip(&mut memory[..count]) {
                    turned.copy_from_slice(&weight[9 * (input * sizes.out_channels + output)..][..9]);
                    turned.reverse();
                }
                memory[..count].as_flattened()
            }
        }
    }
}

/// The factors and products of the 16 matrix products.
struct Buffers<'a> {
    kernels: &'a mut [f32],
    inputs: &'a mut [f32],
    products: &'a mut [f32],
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
    pub(crate) fn pays(self) -> bool {
        self.height.is_multiple_of(2) && self.width.is_multiple_of(2) && self.height * self.width >= MIN_AREA
    }

    /// Convolves images `(C, H, W)`: `x: (B, C, H, W)`; returns `(B, O, H, W)`.
    pub(super) fn convolve(self, x: &[f32], weight: Kernels, bias: Option<&[f32]>) -> Vec<f32> {
        self.convolve_by(x, weight, bias, (self.block(), self.strip()))
    }

    /// Output channels whose kernels are transformed together.
    fn block(self) -> usize {
        (KERNELS_MAX / (POSITIONS * self.channels)).clamp(1, self.out_channels)
    }

    /// Rows of tiles that are transformed together.
    fn strip(self) -> usize {
        (INPUTS_MAX / (POSITIONS * self.channels * (self.width / 2))).clamp(1, self.height / 2)
    }

    /// Numbers that are held besides input and output.
    pub(crate) fn numbers(self) -> usize {
        let tiles = self.strip() * (self.width / 2);
        POSITIONS * (self.block() * self.channels + self.channels * tiles + self.block() * tiles)
    }

    /// Works on blocks of output channels and strips of tile rows, so that what is transformed stays small.
    fn convolve_by(self, x: &[f32], weight: Kernels, bias: Option<&[f32]>, (block, strip): (usize, usize)) -> Vec<f32> {
        let (channels, tiles) = (self.channels, strip * (self.width / 2));
        let mut y = zeros(x.len() / channels * self.out_channels);
        let sizes = [block * channels, channels * tiles, block * tiles].map(|numbers| POSITIONS * numbers);
        with_scratch(sizes, |[kernels, inputs, products]| {
            self.convolve_in(&mut Buffers { kernels, inputs, products }, (x, weight, bias), (block, strip), &mut y);
        });
        y
    }

    fn convolve_in(
        self,
        buffers: &mut Buffers,
        (x, weight, bias): (&[f32], Kernels, Option<&[f32]>),
        (block, strip): (usize, usize),
        y: &mut [f32],
    ) {
        let Self { channels, out_channels, height, width } = self;
        let area = height * width;
        for first in (0..out_channels).step_by(block) {
            let outputs = first..(first + block).min(out_channels);
            self.transform_kernels(weight, outputs.clone(), buffers.kernels);
            let bias = bias.map(|bias| &bias[outputs.clone()]);
            for (x, y) in x.chunks(channels * area).zip(y.chunks_mut(out_channels * area)) {
                let y = &mut y[outputs.start * area..outputs.end * area];
                for start in (0..height / 2).step_by(strip) {
                    self.convolve_strip(x, start..(start + strip).min(height / 2), bias, buffers, y);
                }
            }
        }
    }

    /// Some rows of tiles of one image, for the output channels that the transformed kernels stand for.
    fn convolve_strip(
        self,
        x: &[f32],
        tile_rows: Range<usize>,
        bias: Option<&[f32]>,
        buffers: &mut Buffers,
        y: &mut [f32],
    ) {
        let Self { channels, height, width, .. } = self;
        let area = height * width;
        let (outputs, tiles) = (y.len() / area, tile_rows.len() * (width / 2));
        let kernels = &buffers.kernels[..POSITIONS * outputs * channels];
        let inputs = &mut buffers.inputs[..POSITIONS * channels * tiles];
        let products = &mut buffers.products[..POSITIONS * outputs * tiles];
        rows(inputs, channels, tiles).into_par_iter().zip(x.par_chunks(area)).for_each_init(
            || Parity::new(width, tile_rows.len()),
            |parity, (mut row, plane)| {
                vectorized(
                    #[inline(always)]
                    || {
                        parity.split(plane, &tile_rows);
                        parity.transform(&mut row);
                    },
                );
            },
        );
        let factors = kernels.par_chunks(outputs * channels).zip(inputs.par_chunks(channels * tiles));
        products.par_chunks_mut(outputs * tiles).zip(factors).for_each(|(product, (kernels, inputs))| {
            let (kernels, inputs) = (Mat::rows(kernels, outputs, channels), Mat::rows(inputs, channels, tiles));
            matmul(&mut MatMut::rows(product, outputs, tiles), kernels, inputs, 1.0, Write::Replace, Threads::One);
        });
        y.par_chunks_mut(area).enumerate().for_each(|(o, plane)| {
            let lines = &mut plane[2 * tile_rows.start * width..2 * tile_rows.end * width];
            let bias = bias.map_or(0.0, |bias| bias[o]);
            vectorized(
                #[inline(always)]
                || transform_back(|i| &products[(i * outputs + o) * tiles..][..tiles], bias, lines, width),
            );
        });
    }

    /// G g Gᵀ of every kernel of some output channels, to `kernels: (16, outputs, C)`.
    fn transform_kernels(self, weight: Kernels, outputs: Range<usize>, kernels: &mut [f32]) {
        let kernels = &mut kernels[..POSITIONS * outputs.len() * self.channels];
        rows(kernels, outputs.len(), self.channels).into_par_iter().zip(outputs).for_each(|(mut row, output)| {
            vectorized(
                #[inline(always)]
                || {
                    let mut memory = [0.0; 9 * LANES];
                    for first in (0..self.channels).step_by(LANES) {
                        let g = weight.block(self, output, first, &mut memory);
                        transform_kernel_block(g, first, &mut row);
                    }
                },
            );
        });
    }
}

/// Aᵀ m A of every tile of some lines of one output channel, plus the bias; `m(i)` holds position i of all of them.
#[inline(always)]
fn transform_back<'a>(m: impl Fn(usize) -> &'a [f32], bias: f32, lines: &mut [f32], width: usize) {
    let tiles = width / 2;
    for (ty, pair) in lines.chunks_exact_mut(2 * width).enumerate() {
        let (upper, lower) = pair.split_at_mut(width);
        let m: [&[f32]; POSITIONS] = std::array::from_fn(|i| &m(i)[ty * tiles..][..tiles]);
        let (upper, lower) = (upper.as_chunks_mut::<2>().0, lower.as_chunks_mut::<2>().0);
        for (t, (upper, lower)) in upper.iter_mut().zip(lower).enumerate() {
            let first: [f32; 4] = std::array::from_fn(|b| m[b][t] + m[4 + b][t] + m[8 + b][t]);
            let second: [f32; 4] = std::array::from_fn(|b| m[4 + b][t] - m[8 + b][t] - m[12 + b][t]);
            *upper = [first[0] + first[1] + first[2] + bias, first[1] - first[2] - first[3] + bias];
            *lower = [second[0] + second[1] + second[2] + bias, second[1] - second[2] - second[3] + bias];
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

/// The lines that some rows of tiles look at, with a border of zeros, their even and odd columns apart: tiles then lie
/// side by side.
struct Parity {
    even: Vec<f32>,
    odd: Vec<f32>,
    width: usize,
    tile_rows: usize,
}

impl Parity {
    fn new(width: usize, tile_rows: usize) -> Self {
        let len = (2 * tile_rows + 2) * (width / 2 + 1);
        Self { even: vec![0.0; len], odd: vec![0.0; len], width, tile_rows }
    }

    #[inline(always)]
    fn split(&mut self, plane: &[f32], tile_rows: &Range<usize>) {
        let half = self.width / 2 + 1;
        let lines = self.even.chunks_exact_mut(half).zip(self.odd.chunks_exact_mut(half));
        for (y, (even, odd)) in (2 * tile_rows.start..).zip(lines) {
            // Line y of the bordered image is line y - 1 of the image, and likewise its columns.
            let line = y.checked_sub(1).and_then(|y| plane.get(y * self.width..(y + 1) * self.width));
            let Some(line) = line else {
                even.fill(0.0);
                odd.fill(0.0);
                continue;
            };
            for (pair, (even, odd)) in line.as_chunks::<2>().0.iter().zip(even[1..].iter_mut().zip(odd)) {
                [*odd, *even] = *pair;
            }
        }
    }

    #[inline(always)]
    fn line(&self, y: usize) -> (&[f32], &[f32]) {
        let half = self.width / 2 + 1;
        (&self.even[y * half..][..half], &self.odd[y * half..][..half])
    }

    /// Bᵀ d B of every tile.
    #[inline(always)]
    fn transform(&self, row: &mut Row) {
        let tiles = self.width / 2;
        for ty in 0..self.tile_rows {
            // Rows of Bᵀ: d0 - d2, d1 + d2, d2 - d1, d1 - d3.
            for (a, (p, q, sign)) in [(0, 2, -1.0), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)].into_iter().enumerate() {
                let ((even_p, odd_p), (even_q, odd_q)) = (self.line(2 * ty + p), self.line(2 * ty + q));
                let [o0, o1, o2, o3] = &mut row[4 * a..4 * a + 4] else { return };
                let at = ty * tiles..(ty + 1) * tiles;
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
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Tensor};

    use super::*;
    use crate::{
        Result,
        test_util::{assert_close, random},
    };

    #[test]
    fn every_cut_into_blocks_and_strips_gives_the_convolution() -> Result<()> {
        let sizes = Winograd { channels: 19, out_channels: 5, height: 10, width: 6 };
        let (x, weight, bias) = (random(&[2, 19, 10, 6], 1)?, random(&[5, 19, 3, 3], 2)?, random(&[5], 3)?);
        let f64s = |t: &Tensor| t.to_dtype(DType::F64);
        let expected = f64s(&x)?.conv2d(&f64s(&weight)?, 1, 1, 1, 1)?;
        let with_bias = expected.broadcast_add(&f64s(&bias)?.reshape((1, 5, 1, 1))?)?;
        let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (x, weight, bias) = (flat(&x)?, flat(&weight)?, flat(&bias)?);
        for (block, strip) in [(5, 5), (2, 5), (5, 2), (2, 3), (1, 1)] {
            for (bias, expected) in [(None, &expected), (Some(bias.as_slice()), &with_bias)] {
                let y = sizes.convolve_by(&x, Kernels::Stored(&weight), bias, (block, strip));
                let y = Tensor::from_vec(y, (2, 5, 10, 6), &candle_core::Device::Cpu)?;
                assert_close(&y, expected, 1e-6);
            }
        }
        Ok(())
    }

    #[test]
    fn turned_kernels_give_the_transposed_convolution() -> Result<()> {
        let sizes = Winograd { channels: 21, out_channels: 5, height: 10, width: 6 };
        let (gradient, weight) = (random(&[2, 21, 10, 6], 1)?, random(&[21, 5, 3, 3], 2)?);
        let f64s = |t: &Tensor| t.to_dtype(DType::F64);
        let expected = f64s(&gradient)?.conv_transpose2d(&f64s(&weight)?, 1, 0, 1, 1)?;
        let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (gradient, weight) = (flat(&gradient)?, flat(&weight)?);
        for cut in [(5, 5), (2, 3)] {
            let of_x = sizes.convolve_by(&gradient, Kernels::Turned(&weight), None, cut);
            assert_close(&Tensor::from_vec(of_x, (2, 5, 10, 6), &candle_core::Device::Cpu)?, &expected, 1e-6);
        }
        Ok(())
    }
}
