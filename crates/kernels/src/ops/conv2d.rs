//! Convolutions.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::{
    Affine, by_candle_at_zero, f32_slice, is_fast, is_half_on_cpu, widen,
    winograd::{Kernels, Winograd},
    with_f32,
};
use crate::{
    Error, Result,
    error::check_shapes,
    gemm::{Mat, MatMut, Threads, Write, in_pieces, matmul, zeros},
    scratch::with_scratch,
};

const NAME: &str = "conv2d";

/// A frozen 2-D convolution with a square kernel: `x: (B, C, H, W)`; the result is `(B, O, H', W')` with
/// H' = ⌊(H + 2 padding − k)/stride⌋ + 1, and W' likewise.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: usize,
    padding: usize,
}

impl Affine for Conv2d {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, self.bias.as_ref())
    }

    fn apply_linear_part(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, None)
    }

    fn vjp(&self, input: &Shape, gradient: &Tensor) -> Result<Tensor> {
        let geometry = self.geometry(input)?;
        let output = geometry.output();
        let expected = || format!("needs a gradient {:?}", output.dims());
        check_shapes(output == *gradient.shape(), NAME, expected, &[input, gradient.shape()])?;
        if !is_fast(gradient) {
            return by_candle_at_zero(input, gradient, |x| self.apply_linear_part(x));
        }
        let op = Vjp { weight: self.weight.clone(), geometry };
        Ok(gradient.contiguous()?.apply_op1_no_bwd(&op)?)
    }
}

impl Conv2d {
    /// From `weight: (O, C, k, k)` and `bias: (O,)`, torch's layout; `stride` and zero `padding`, in pixels, are those of
    /// both directions.
    ///
    /// # Errors
    ///
    /// When weight and bias have other shapes, the weight is empty, or the stride is zero.
    pub fn new(weight: Tensor, bias: Option<Tensor>, stride: usize, padding: usize) -> Result<Self> {
        let is_square = matches!(weight.dims(), [_, _, height, width] if height == width);
        let fits = is_square
            && weight.elem_count() > 0
            && stride > 0
            && bias.as_ref().is_none_or(|bias| bias.dims() == &weight.dims()[..1]);
        let shapes: Vec<&Shape> = [Some(&weight), bias.as_ref()].into_iter().flatten().map(Tensor::shape).collect();
        let expected = || format!("needs a weight (O, C, k, k), a bias (O,) and a stride above 0 (it is {stride})");
        check_shapes(fits, NAME, expected, &shapes)?;
        Ok(Self { weight, bias, stride, padding })
    }

    fn run(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let geometry = self.geometry(x.shape())?;
        if is_fast(x) {
            let op = Forward { weight: self.weight.clone(), bias: bias.cloned(), geometry };
            return Ok(x.contiguous()?.apply_op1(op)?);
        }
        if is_half_on_cpu(x) {
            return Ok(self.run(&widen(x)?, bias)?.to_dtype(x.dtype())?);
        }
        let y = x.conv2d(&self.weight.to_dtype(x.dtype())?, self.padding, self.stride, 1, 1)?;
        match bias {
            Some(bias) => Ok(y.broadcast_add(&bias.to_dtype(x.dtype())?.reshape((1, (), 1, 1))?)?),
            None => Ok(y),
        }
    }

    fn geometry(&self, x: &Shape) -> Result<Geometry> {
        let (out_channels, channels, kernel, _) = self.weight.dims4()?;
        let (stride, padding) = (self.stride, self.padding);
        let out = |size: usize| (size + 2 * padding).checked_sub(kernel).map(|free| free / stride + 1);
        if let &[batch, of_x, height, width] = x.dims()
            && of_x == channels
            && let (Some(out_height), Some(out_width)) = (out(height), out(width))
        {
            return Ok(Geometry {
                batch,
                channels,
                height,
                width,
                out_channels,
                kernel,
                stride,
                padding,
                out_height,
                out_width,
            });
        }
        let expected =
            format!("needs (B, {channels}, H, W) with at least {kernel} pixels of H and W, padding included");
        Err(Error::Shape { operation: NAME, expected, got: vec![x.dims().to_vec()] })
    }
}

#[derive(Clone, Copy)]
struct Geometry {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    out_channels: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    out_height: usize,
    out_width: usize,
}

/// Most elements the unfolded input of one product may have (96 MiB of f32).
pub(crate) const UNFOLDED_MAX: usize = 24 << 20;

impl Geometry {
    /// Rows of the unfolded input: C k k.
    fn taps(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    fn out_area(&self) -> usize {
        self.out_height * self.out_width
    }

    fn output(&self) -> Shape {
        Shape::from((self.batch, self.out_channels, self.out_height, self.out_width))
    }

    fn in_area(&self) -> usize {
        self.height * self.width
    }

    /// A 1x1 convolution is a plain product, without unfolding.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// Samples that one product takes at once.
    fn samples_per_product(&self) -> usize {
        (UNFOLDED_MAX / (self.taps() * self.out_area()).max(1)).clamp(1, self.batch.max(1))
    }

    /// For kernel column `kx`, the output columns whose input lies inside the image (stride 1 only).
    fn inside(&self, kx: usize) -> (usize, usize) {
        let low = self.padding.saturating_sub(kx).min(self.out_width);
        let high = (self.width + self.padding).saturating_sub(kx).min(self.out_width);
        (low, high.max(low))
    }

    /// The input row that output row `y` meets at kernel row `ky`, unless it is padding.
    fn input_row(&self, y: usize, ky: usize) -> Option<usize> {
        (y * self.stride + ky).checked_sub(self.padding).filter(|row| *row < self.height)
    }

    fn input_col(&self, x: usize, kx: usize) -> Option<usize> {
        (x * self.stride + kx).checked_sub(self.padding).filter(|col| *col < self.width)
    }

    /// The faster way to convolve, where it serves and pays.
    fn winograd(&self) -> Option<Winograd> {
        let Self { channels, out_channels, height, width, .. } = *self;
        let sizes = Winograd { channels, out_channels, height, width };
        (self.kernel == 3 && self.padding == 1 && self.keeps_size() && sizes.pays()).then_some(sizes)
    }

    /// The gradient in the input is a convolution, too: of the gradient in the output, with turned kernels.
    fn winograd_vjp(&self) -> Option<Winograd> {
        let turned = |sizes: Winograd| Winograd { channels: sizes.out_channels, out_channels: sizes.channels, ..sizes };
        self.winograd().map(turned)
    }

    /// Whether the output lies over the input: stride 1 and a padding that keeps the size.
    fn keeps_size(&self) -> bool {
        self.stride == 1 && (self.out_height, self.out_width) == (self.height, self.width)
    }

    /// The input plane as kernel position (ky, kx) sees it, where the size is kept: moved as a whole, then zero wherever
    /// that took a pixel from outside the image.
    fn shift_plane(&self, plane: &[f32], ky: usize, kx: usize, out: &mut [f32]) {
        let (from, to) = (ky * self.width + kx, self.padding * self.width + self.padding);
        let area = plane.len();
        if from >= to {
            let by = (from - to).min(area);
            out[..area - by].copy_from_slice(&plane[by..]);
            out[area - by..].fill(0.0);
        } else {
            let by = (to - from).min(area);
            out[..by].fill(0.0);
            out[by..].copy_from_slice(&plane[..area - by]);
        }
        let (low, high) = self.inside(kx);
        if (low, high) != (0, self.width) {
            for row in out.chunks_exact_mut(self.width) {
                row[..low].fill(0.0);
                row[high..].fill(0.0);
            }
        }
    }

    /// Unfolds `samples` images `(C, H, W)` of `x` into `(C k k, samples H' W')`.
    fn unfold(&self, x: &[f32], samples: usize, unfolded: &mut [f32]) {
        let (area, kernel) = (self.out_area(), self.kernel);
        unfolded.par_chunks_mut(samples * area).enumerate().for_each(|(tap, out)| {
            let (channel, ky, kx) = (tap / (kernel * kernel), tap / kernel % kernel, tap % kernel);
            for sample in 0..samples {
                let plane = &x[(sample * self.channels + channel) * self.in_area()..][..self.in_area()];
                if self.keeps_size() {
                    self.shift_plane(plane, ky, kx, &mut out[sample * area..][..area]);
                    continue;
                }
                for y in 0..self.out_height {
                    let out = &mut out[sample * area + y * self.out_width..][..self.out_width];
                    let Some(row) = self.input_row(y, ky) else {
                        out.fill(0.0);
                        continue;
                    };
                    let row = &plane[row * self.width..][..self.width];
                    for (x, out) in out.iter_mut().enumerate() {
                        *out = self.input_col(x, kx).map_or(0.0, |col| row[col]);
                    }
                }
            }
        });
    }

    /// The adjoint of [`Self::unfold`]: adds `(C k k, samples H' W')` back onto `samples` images.
    fn fold(&self, unfolded: &[f32], samples: usize, x: &mut [f32]) {
        let (area, kernel) = (self.out_area(), self.kernel);
        x.par_chunks_mut(self.in_area()).enumerate().for_each(|(plane_index, plane)| {
            let (sample, channel) = (plane_index / self.channels, plane_index % self.channels);
            plane.fill(0.0);
            for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                let tap = (channel * kernel + ky) * kernel + kx;
                let taps = &unfolded[tap * samples * area + sample * area..][..area];
                for y in 0..self.out_height {
                    let Some(row) = self.input_row(y, ky) else { continue };
                    let row = &mut plane[row * self.width..][..self.width];
                    let taps = &taps[y * self.out_width..][..self.out_width];
                    if self.stride == 1 {
                        let (low, high) = self.inside(kx);
                        if high > low {
                            let row = &mut row[low + kx - self.padding..high + kx - self.padding];
                            for (x, tap) in row.iter_mut().zip(&taps[low..high]) {
                                *x += tap;
                            }
                        }
                    } else {
                        for (x, tap) in taps.iter().enumerate() {
                            if let Some(col) = self.input_col(x, kx) {
                                row[col] += tap;
                            }
                        }
                    }
                }
            }
        });
    }
}

struct Forward {
    weight: Tensor,
    bias: Option<Tensor>,
    geometry: Geometry,
}

struct Vjp {
    weight: Tensor,
    geometry: Geometry,
}

/// `(planes, area)` holding the bias of each channel, or something for the product to replace.
fn start_from_bias(planes: usize, area: usize, bias: Option<&[f32]>) -> (Vec<f32>, Write) {
    match bias {
        Some(bias) => (in_pieces(planes * area, area, |i, plane| plane.fill(bias[i % bias.len()])), Write::Add),
        None => (zeros(planes * area), Write::Replace),
    }
}

/// `(O, samples·area)` to `(samples, O, area)`, adding to what stands there when the bias was filled in.
fn scatter_samples(from: &[f32], samples: usize, channels: usize, area: usize, write: Write, to: &mut [f32]) {
    to.par_chunks_mut(area).enumerate().for_each(|(i, to)| {
        let (sample, channel) = (i / channels, i % channels);
        let from = &from[channel * samples * area + sample * area..][..area];
        match write {
            Write::Replace => to.copy_from_slice(from),
            Write::Add => to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
        }
    });
}

/// `(samples, O, area)` to `(O, samples·area)`.
fn gather_samples(from: &[f32], samples: usize, channels: usize, area: usize) -> Vec<f32> {
    let mut to = vec![0.0; from.len()];
    to.par_chunks_mut(samples * area).enumerate().for_each(|(channel, to)| {
        for sample in 0..samples {
            to[sample * area..][..area].copy_from_slice(&from[(sample * channels + channel) * area..][..area]);
        }
    });
    to
}

impl Forward {
    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let g = &self.geometry;
        if let Some(winograd) = g.winograd() {
            return winograd.convolve(x, Kernels::Stored(weight), bias);
        }
        let (area, taps, out_channels) = (g.out_area(), g.taps(), g.out_channels);
        let weight = Mat::rows(weight, out_channels, taps);
        let (mut y, write) = start_from_bias(g.batch * out_channels, area, bias);
        if g.is_pointwise() {
            for (y, x) in y.chunks_mut(out_channels * area).zip(x.chunks(taps * area)) {
                let mut y = MatMut::rows(y, out_channels, area);
                matmul(&mut y, weight, Mat::rows(x, taps, area), 1.0, write, Threads::Pool);
            }
            return y;
        }
        let batched = g.samples_per_product();
        with_scratch([taps * batched * area], |[unfolded]| {
            let images = x.chunks(batched * g.channels * g.in_area());
            for (y, x) in y.chunks_mut(batched * out_channels * area).zip(images) {
                let samples = y.len() / (out_channels * area);
                let unfolded = &mut unfolded[..taps * samples * area];
                g.unfold(x, samples, unfolded);
                let rhs = Mat::rows(unfolded, taps, samples * area);
                if samples == 1 {
                    matmul(&mut MatMut::rows(y, out_channels, area), weight, rhs, 1.0, write, Threads::Pool);
                } else {
                    let mut product = zeros(y.len());
                    let mut dst = MatMut::rows(&mut product, out_channels, samples * area);
                    matmul(&mut dst, weight, rhs, 1.0, Write::Replace, Threads::Pool);
                    scatter_samples(&product, samples, out_channels, area, write, y);
                }
            }
        });
        y
    }
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = f32_slice(storage, layout)?;
        let y = with_f32(&self.weight, |weight| match &self.bias {
            Some(bias) => with_f32(bias, |bias| self.forward(x, weight, Some(bias))),
            None => Ok(self.forward(x, weight, None)),
        })??;
        let g = &self.geometry;
        Ok((CpuStorage::F32(y), g.output()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let vjp = Vjp { weight: self.weight.clone(), geometry: self.geometry };
        grad.contiguous()?.apply_op1_no_bwd(&vjp).map(Some)
    }
}

impl CustomOp1 for Vjp {
    fn name(&self) -> &'static str {
        "conv2d-vjp"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let grad = f32_slice(storage, layout)?;
        let g = &self.geometry;
        let shape = Shape::from((g.batch, g.channels, g.height, g.width));
        if let Some(winograd) = g.winograd_vjp() {
            let of_x = with_f32(&self.weight, |weight| winograd.convolve(grad, Kernels::Turned(weight), None))?;
            return Ok((CpuStorage::F32(of_x), shape));
        }
        let (area, taps, out_channels) = (g.out_area(), g.taps(), g.out_channels);
        let mut out = zeros(g.batch * g.channels * g.in_area());
        with_f32(&self.weight, |weight| {
            let weight_t = Mat::rows(weight, out_channels, taps).t();
            if g.is_pointwise() {
                for (out, grad) in out.chunks_mut(taps * area).zip(grad.chunks(out_channels * area)) {
                    let grad = Mat::rows(grad, out_channels, area);
                    matmul(&mut MatMut::rows(out, taps, area), weight_t, grad, 1.0, Write::Replace, Threads::Pool);
                }
                return;
            }
            let batched = g.samples_per_product();
            let image = g.channels * g.in_area();
            with_scratch([taps * batched * area], |[unfolded]| {
                for (out, grad) in out.chunks_mut(batched * image).zip(grad.chunks(batched * out_channels * area)) {
                    let samples = out.len() / image;
                    let unfolded = &mut unfolded[..taps * samples * area];
                    let gathered = gather_samples(grad, samples, out_channels, area);
                    let gathered = Mat::rows(&gathered, out_channels, samples * area);
                    let mut dst = MatMut::rows(unfolded, taps, samples * area);
                    matmul(&mut dst, weight_t, gathered, 1.0, Write::Replace, Threads::Pool);
                    g.fold(unfolded, samples, out);
                }
            });
        })?;
        Ok((CpuStorage::F32(out), shape))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn forward_and_backward_agree_with_candle() -> Result<()> {
        for (kernel, stride, padding, batch, size) in
            [(3, 1, 1, 3, 6), (3, 2, 1, 2, 8), (1, 1, 0, 2, 5), (3, 1, 1, 1, 1), (3, 2, 1, 1, 7), (3, 1, 1, 2, 32)]
        {
            let layer = Conv2d::new(random(&[5, 4, kernel, kernel], 1)?, Some(random(&[5], 2)?), stride, padding)?;
            let x = Var::from_tensor(&random(&[batch, 4, size, size], 3)?)?;
            let x64 = x.to_dtype(DType::F64)?;
            assert_close(&layer.apply(&x)?, &layer.apply(&x64)?, 1e-6);
            assert_close(&layer.apply_linear_part(&x)?, &layer.apply_linear_part(&x64)?, 1e-6);

            let fast = layer.apply(&x)?.sqr()?.sum_all()?.backward()?;
            let slow = layer.apply(&x64)?.sqr()?.sum_all()?.backward()?;
            assert_close(fast.get(&x).expect("gradient"), slow.get(&x).expect("gradient"), 1e-6);
        }
        Ok(())
    }
}
