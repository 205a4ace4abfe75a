//! Pillow's resizing, to the bit.
//!
//! Eight-bit pictures are resized in two passes, first along the rows, then along the columns, with weights in fixed
//! point. When a picture shrinks, the filter is widened by the same factor (antialiasing). Source: Pillow,
//! `src/libImaging/Resample.c`.
//!
//! This is Pillow as the published evaluations used it (checked with 11.3). Later versions take the columns first for some
//! pictures that are taller than wide (seen with 13.0); pixels of those differ by one level now and then.

use crate::picture::Picture;

/// Bits behind the point of a weight.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// An interpolation filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// A triangle of width 2.
    Bilinear,
    /// The cubic convolution with a = −1/2, of width 4.
    Bicubic,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// Part of a resized picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// First pixel, from the left and from the top.
    pub(crate) start: (usize, usize),
    /// Width and height.
    pub(crate) size: (usize, usize),
}

/// Resizes `picture` to `size` (width, height) and cuts the window out; only what lies in the window is computed.
///
/// Returns the window's pixels, three bytes each. The window must lie inside the new size, which must not be empty.
pub(crate) fn resize(picture: &Picture, size: (usize, usize), window: Window, filter: Filter) -> Vec<u8> {
    let columns = taps(picture.width(), size.0, window.start.0, window.size.0, filter);
    let rows = taps(picture.height(), size.1, window.start.1, window.size.1, filter);
    let stride = 3 * picture.width();
    let first = rows.iter().map(|taps| taps.first).min().unwrap_or(0);
    let last = rows.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
    let narrow = along_rows(&picture.data()[first * stride..last * stride], stride, &columns);
    let rows: Vec<Taps> = rows.into_iter().map(|taps| Taps { first: taps.first - first, ..taps }).collect();
    along_columns(&narrow, 3 * window.size.0, &rows)
}

/// Resizes each row of `stride` bytes.
fn along_rows(pixels: &[u8], stride: usize, columns: &[Taps]) -> Vec<u8> {
    let mut to = Vec::with_capacity(pixels.len() / stride * columns.len() * 3);
    for row in pixels.chunks_exact(stride) {
        for taps in columns {
            to.extend(taps.weigh(&row[3 * taps.first..], 3));
        }
    }
    to
}

/// Resizes each column; rows have `stride` bytes.
fn along_columns(pixels: &[u8], stride: usize, rows: &[Taps]) -> Vec<u8> {
    let mut to = Vec::with_capacity(rows.len() * stride);
    for taps in rows {
        for offset in (0..stride).step_by(3) {
            to.extend(taps.weigh(&pixels[taps.first * stride + offset..], stride));
        }
    }
    to
}

/// The source pixels of one target pixel.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Taps {
    /// The weighted sum of pixels that lie `stride` bytes apart.
    fn weigh(&self, pixels: &[u8], stride: usize) -> [u8; 3] {
        let mut sums = [1_i32 << (PRECISION_BITS - 1); 3];
        for (i, weight) in self.weights.iter().enumerate() {
            for (sum, value) in sums.iter_mut().zip(&pixels[i * stride..i * stride + 3]) {
                *sum += i32::from(*value) * weight;
            }
        }
        sums.map(|sum| (sum >> PRECISION_BITS).clamp(0, 255) as u8)
    }
}

/// For `count` target pixels from `start` on, of `target` in all: which of the `source` pixels they are made of.
fn taps(source: usize, target: usize, start: usize, count: usize, filter: Filter) -> Vec<Taps> {
    let scale = source as f64 / target as f64;
    let widened = scale.max(1.0);
    let support = filter.support() * widened;
    let one = |x: usize| {
        let center = (x as f64 + 0.5) * scale;
        // Casts to integers cut towards zero, and negative numbers become zero.
        let first = (center - support + 0.5) as usize;
        let last = ((center + support + 0.5) as usize).min(source);
        let weight = |i: usize| filter.weight((i as f64 - center + 0.5) * (1.0 / widened));
        let weights: Vec<f64> = (first..last).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |w: &f64| {
            let w = if sum == 0.0 { *w } else { w / sum };
            (w * f64::from(1 << PRECISION_BITS) + if w < 0.0 { -0.5 } else { 0.5 }) as i32
        };
        Taps { first, weights: weights.iter().map(fixed).collect() }
    };
    (start..start + count).map(one).collect()
}
