//! Dense symmetric linear algebra for dimensions up to about 1,000.

use std::ops::{Index, IndexMut};

/// A square matrix, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    dim: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// The matrix with entry `entry(row, column)`.
    pub fn from_fn(dim: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let values = (0..dim * dim).map(|k| entry(k / dim, k % dim)).collect();
        Self { dim, values }
    }

    /// The matrix with these entries on its diagonal and zeros elsewhere.
    pub fn diagonal(entries: &[f64]) -> Self {
        Self::from_fn(entries.len(), |i, j| if i == j { entries[i] } else { 0.0 })
    }

    /// Number of rows, and of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Row `i`: `dim` numbers.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.dim..][..self.dim]
    }

    /// The matrix times a column of `dim` numbers.
    pub fn times(&self, column: &[f64]) -> Vec<f64> {
        (0..self.dim).map(|i| dot(self.row(i), column)).collect()
    }

    /// The largest absolute value of an entry; NaN where an entry is NaN.
    pub(super) fn largest(&self) -> f64 {
        self.values.iter().fold(0.0, |largest: f64, v| if v.abs() <= largest { largest } else { v.abs() })
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.values[i * self.dim + j]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.values[i * self.dim + j]
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// The normal u of the mirror H = I − 2uuᵀ/uᵀu that sends `x` to a multiple of the first axis; zero if `x` is.
pub(super) fn householder(x: &[f64]) -> Vec<f64> {
    let mut normal = x.to_vec();
    if let Some(first) = normal.first_mut() {
        // The sign that adds, so that nothing cancels.
        *first += norm(x).copysign(*first);
    }
    normal
}

/// Replaces a symmetric A by HAH, where H mirrors the last `normal.len()` coordinates and leaves the others.
///
/// Rows before `start` must be zero in those columns; they are left alone.
pub(super) fn reflect(a: &mut Matrix, start: usize, normal: &[f64]) {
    let dim = a.dim();
    let square = dot(normal, normal);
    if square == 0.0 {
        return;
    }
    let first = dim - normal.len();
    let mut u = vec![0.0; first - start];
    u.extend_from_slice(normal);
    let mut w: Vec<f64> = (start..dim).map(|i| 2.0 / square * dot(&a.row(i)[start..], &u)).collect();
    let along = dot(&w, &u) / square;
    for (w, u) in w.iter_mut().zip(&u) {
        *w -= along * u;
    }
    for (i, (u_i, w_i)) in (start..dim).zip(u.iter().zip(&w)) {
        let row = &mut a.values[i * dim..][start..dim];
        for (entry, (u_j, w_j)) in row.iter_mut().zip(u.iter().zip(&w)) {
            *entry -= u_i * w_j + w_i * u_j;
        }
    }
}

/// L with LLᵀ = A and zeros above its diagonal, from the lower triangle of A; `None` if A is not positive definite.
pub(super) fn cholesky(a: &Matrix) -> Option<Matrix> {
    let dim = a.dim();
    let mut l = Matrix::from_fn(dim, |_, _| 0.0);
    for i in 0..dim {
        for j in 0..=i {
            let rest = a[(i, j)] - dot(&l.row(i)[..j], &l.row(j)[..j]);
            if i > j {
                l[(i, j)] = rest / l[(j, j)];
            } else if rest > 0.0 {
                l[(i, i)] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(l)
}

/// x with LLᵀx = b.
pub(super) fn solve_cholesky(l: &Matrix, b: &[f64]) -> Vec<f64> {
    let dim = l.dim();
    let mut x = b.to_vec();
    for i in 0..dim {
        x[i] = (x[i] - dot(&l.row(i)[..i], &x[..i])) / l[(i, i)];
    }
    for i in (0..dim).rev() {
        let above: f64 = (i + 1..dim).map(|k| l[(k, i)] * x[k]).sum();
        x[i] = (x[i] - above) / l[(i, i)];
    }
    x
}

/// Eigenvalues of a symmetric matrix, ascending; `None` if an entry is not finite or the iteration does not settle.
///
/// Householder reduction to a tridiagonal matrix, then implicitly shifted QL: `tred1` and `imtql1` of EISPACK.
/// The error is a small multiple of 2⁻⁵² times the largest eigenvalue.
pub(super) fn symmetric_eigenvalues(mut a: Matrix) -> Option<Vec<f64>> {
    if !a.largest().is_finite() {
        return None;
    }
    let dim = a.dim();
    for k in 0..dim.saturating_sub(2) {
        let normal = householder(&a.row(k)[k + 1..]);
        reflect(&mut a, k, &normal);
    }
    let mut diagonal: Vec<f64> = (0..dim).map(|i| a[(i, i)]).collect();
    let mut beside: Vec<f64> = (0..dim).map(|i| if i + 1 < dim { a[(i + 1, i)] } else { 0.0 }).collect();
    tridiagonal_eigenvalues(&mut diagonal, &mut beside)?;
    diagonal.sort_by(f64::total_cmp);
    Some(diagonal)
}

/// Turns the diagonal of a symmetric tridiagonal matrix into its eigenvalues, in no order.
///
/// `beside[i]` couples i and i + 1; its last entry is zero.
fn tridiagonal_eigenvalues(diagonal: &mut [f64], beside: &mut [f64]) -> Option<()> {
    const MOST_SWEEPS: usize = 60;
    let dim = diagonal.len();
    let size = diagonal.iter().zip(&*beside).map(|(d, e)| d.abs() + e.abs()).fold(0.0, f64::max);
    let negligible = f64::EPSILON * size;
    for low in 0..dim {
        let mut sweeps = 0;
        loop {
            let high = (low..dim - 1).find(|&m| beside[m].abs() <= negligible).unwrap_or(dim - 1);
            if high == low {
                break;
            }
            if sweeps == MOST_SWEEPS {
                return None;
            }
            sweeps += 1;
            sweep(diagonal, beside, low, high);
        }
    }
    Some(())
}

/// One implicitly shifted QL sweep over the block `low..=high`, which nothing couples to `high + 1`.
fn sweep(diagonal: &mut [f64], beside: &mut [f64], low: usize, high: usize) {
    let ratio = (diagonal[low + 1] - diagonal[low]) / (2.0 * beside[low]);
    let shift = beside[low] / (ratio + ratio.hypot(1.0).copysign(ratio));
    let mut g = diagonal[high] - diagonal[low] + shift;
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for i in (low..high).rev() {
        let (f, b) = (sine * beside[i], cosine * beside[i]);
        let length = f.hypot(g);
        beside[i + 1] = length;
        if length == 0.0 {
            // The block has come apart at i + 1.
            diagonal[i + 1] -= p;
            beside[high] = 0.0;
            return;
        }
        sine = f / length;
        cosine = g / length;
        let rest = diagonal[i + 1] - p;
        let turn = (diagonal[i] - rest) * sine + 2.0 * cosine * b;
        p = sine * turn;
        diagonal[i + 1] = rest + p;
        g = cosine * turn - b;
    }
    diagonal[low] -= p;
    beside[low] = g;
    beside[high] = 0.0;
}

/// Eigenvectors of a small symmetric matrix as rows, by descending eigenvalue; cyclic Jacobi rotations.
pub(super) fn symmetric_eigenvectors(mut a: Matrix) -> Vec<Vec<f64>> {
    const MOST_SWEEPS: usize = 30;
    let dim = a.dim();
    let mut vectors = Matrix::from_fn(dim, |i, j| f64::from(u8::from(i == j)));
    let negligible = f64::EPSILON * a.largest();
    for _ in 0..MOST_SWEEPS {
        let pairs: Vec<_> = (0..dim).flat_map(|q| (0..q).map(move |p| (p, q))).collect();
        if pairs.iter().all(|pair| a[*pair].abs() <= negligible) {
            break;
        }
        for (p, q) in pairs {
            rotate(&mut a, &mut vectors, p, q);
        }
    }
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|i, j| a[(*j, *j)].total_cmp(&a[(*i, *i)]));
    order.into_iter().map(|i| vectors.row(i).to_vec()).collect()
}

/// The rotation in the plane (p, q) that makes `a[(p, q)]` zero, on both sides of `a` and on the rows of `vectors`.
fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    if a[(p, q)] == 0.0 {
        return;
    }
    let ratio = (a[(q, q)] - a[(p, p)]) / (2.0 * a[(p, q)]);
    let tangent = 1.0 / (ratio + ratio.hypot(1.0).copysign(ratio));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    let turn = |x: f64, y: f64| (cosine * x - sine * y, sine * x + cosine * y);
    for k in 0..a.dim() {
        (a[(k, p)], a[(k, q)]) = turn(a[(k, p)], a[(k, q)]);
    }
    for k in 0..a.dim() {
        (a[(p, k)], a[(q, k)]) = turn(a[(p, k)], a[(q, k)]);
        (vectors[(p, k)], vectors[(q, k)]) = turn(vectors[(p, k)], vectors[(q, k)]);
    }
}
