//! Matrix products over borrowed slices, and vectors that all cores fill in pieces.
#![allow(unsafe_code)]

use std::mem::{ManuallyDrop, MaybeUninit};

use gemm::Parallelism;
use rayon::prelude::*;

/// A read-only strided matrix over a slice: element (i, j) is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// Panics when the strides reach beyond the slice, so that the product below stays in bounds.
    pub(crate) fn new(data: &'a [f32], (rows, cols): (usize, usize), (row_stride, col_stride): (usize, usize)) -> Self {
        assert_in_bounds(data.len(), (rows, cols), (row_stride, col_stride));
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// A row-major matrix.
    pub(crate) fn rows(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::new(data, (rows, cols), (cols, 1))
    }

    /// The transpose, without a copy.
    pub(crate) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// A strided matrix that a product writes to. Its columns must be adjacent (column stride 1), so that
/// no two elements share a place.
pub(crate) struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// Panics when the strides reach beyond the slice or rows overlap.
    pub(crate) fn new(data: &'a mut [f32], (rows, cols): (usize, usize), row_stride: usize) -> Self {
        assert!(row_stride >= cols, "rows overlap");
        assert_in_bounds(data.len(), (rows, cols), (row_stride, 1));
        Self { data, rows, cols, row_stride }
    }

    /// A row-major matrix.
    pub(crate) fn rows(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::new(data, (rows, cols), cols)
    }
}

fn assert_in_bounds(len: usize, (rows, cols): (usize, usize), (row_stride, col_stride): (usize, usize)) {
    if rows > 0 && cols > 0 {
        let last = (rows - 1) * row_stride + (cols - 1) * col_stride;
        assert!(last < len, "matrix {rows}x{cols} (strides {row_stride}, {col_stride}) exceeds {len} elements");
    }
}

/// Whether a product replaces what the destination holds or adds to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Replace,
    Add,
}

/// Where a product may run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On this thread alone: for callers that are themselves parallel.
    One,
    /// On the rayon pool.
    Pool,
}

/// `dst = scale * lhs * rhs` or `dst += scale * lhs * rhs`.
pub(crate) fn matmul(dst: &mut MatMut, lhs: Mat, rhs: Mat, scale: f32, write: Write, threads: Threads) {
    assert!(
        lhs.cols == rhs.rows && dst.rows == lhs.rows && dst.cols == rhs.cols,
        "shapes of a product: {}x{} = {}x{} * {}x{}",
        dst.rows,
        dst.cols,
        lhs.rows,
        lhs.cols,
        rhs.rows,
        rhs.cols
    );
    let pool = rayon::current_num_threads();
    let parallelism = if threads == Threads::Pool && pool > 1 { Parallelism::Rayon(pool) } else { Parallelism::None };
    // SAFETY: the constructors checked that every element of the three matrices lies within its slice,
    // the shapes agree, and the exclusive borrow of `dst` rules out aliasing.
    unsafe {
        gemm::gemm(
            dst.rows,
            dst.cols,
            lhs.cols,
            dst.data.as_mut_ptr(),
            1,
            dst.row_stride as isize,
            write == Write::Add,
            lhs.data.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// A vector made by all cores in pieces of `piece` elements, the last of which may be shorter. `write` is given the number
/// of a piece and its elements: zeros that have just come into the core's cache, where `vec![0.0; len]` would have one
/// core write all of them to memory first.
pub(crate) fn in_pieces(len: usize, piece: usize, write: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut data: Vec<MaybeUninit<f32>> = Vec::with_capacity(len);
    // SAFETY: the capacity is there, and these elements may be uninitialised.
    unsafe { data.set_len(len) };
    data.par_chunks_mut(piece.max(1)).enumerate().for_each(|(i, piece)| {
        for x in piece.iter_mut() {
            x.write(0.0);
        }
        // SAFETY: all elements have been written, and MaybeUninit<f32> has the layout of f32.
        write(i, unsafe { &mut *(std::ptr::from_mut(piece) as *mut [f32]) });
    });
    let mut data = ManuallyDrop::new(data);
    // SAFETY: the parts of a vector whose elements have all been written, by the pieces that cover it.
    unsafe { Vec::from_raw_parts(data.as_mut_ptr().cast(), data.len(), data.capacity()) }
}

/// Zeros, written by all cores.
pub(crate) fn zeros(len: usize) -> Vec<f32> {
    const PIECE: usize = 1 << 16;
    in_pieces(len, PIECE, |_, _| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_written_once() {
        for (len, piece) in [(0, 3), (1, 3), (7, 3), (9, 3), (5, 0)] {
            let data = in_pieces(len, piece, |i, piece| piece.iter_mut().for_each(|x| *x += i as f32));
            let expected: Vec<f32> = (0..len).map(|i| (i / piece.max(1)) as f32).collect();
            assert_eq!(data, expected);
        }
        assert_eq!(zeros(200_000), vec![0.0; 200_000]);
    }
}
