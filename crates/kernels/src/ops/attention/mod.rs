//! Multi-head attention.

mod forward;
mod jvp;
mod sizes;
mod vjp;

pub(crate) use forward::{BLOCK, TILE};
pub(crate) use jvp::TILE as JVP_TILE;
pub(crate) use vjp::TILE as VJP_TILE;

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, D, Device, Layout, Shape, Tensor};
use forward::Softmax;
use sizes::Sizes;

use super::{f32_slice, is_fast, is_half, is_half_on_cpu, widen, with_f32};
use crate::{
    Result,
    error::{Error, check_equal, check_shapes},
};

/// Which keys a query may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionMask {
    /// All of them.
    None,
    /// Those at its own position and before (text encoder).
    Causal,
}

/// softmax(q kᵀ/√d) v per head, heads side by side in the last dimension.
///
/// `q: (B, N, heads·d)`, `k, v: (B, L, heads·d)`; returns `(B, N, heads·d)`.
///
/// # Errors
///
/// When the shapes do not fit one another or the number of heads, or there are no keys.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, mask: AttentionMask) -> Result<Tensor> {
    sizes(heads, mask, q.shape(), k.shape(), v.shape())?;
    if is_fast(q) {
        return Ok(q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, Attend::new(heads, mask))?);
    }
    if is_half_on_cpu(q) {
        return Ok(attention(&widen(q)?, &widen(k)?, &widen(v)?, heads, mask)?.to_dtype(q.dtype())?);
    }
    merge_heads(&probabilities(q, k, heads, mask)?.matmul(&split_heads(v, heads)?)?)
}

/// softmax(q kᵀ/√d) per head, the probabilities that [`attention`] weighs values with.
///
/// `q: (B, N, heads·d)`, `k: (B, L, heads·d)`; returns `(B, heads, N, L)`, whose rows sum to one.
///
/// # Errors
///
/// When the shapes do not fit one another or the number of heads, or there are no keys.
pub fn attention_probabilities(q: &Tensor, k: &Tensor, heads: usize, mask: AttentionMask) -> Result<Tensor> {
    sizes(heads, mask, q.shape(), k.shape(), k.shape())?;
    if is_half_on_cpu(q) {
        return Ok(probabilities(&widen(q)?, &widen(k)?, heads, mask)?.to_dtype(q.dtype())?);
    }
    probabilities(q, k, heads, mask)
}

/// A tensor with its tangent; `None` where the value does not depend on the input.
pub type WithTangent<'a> = (&'a Tensor, Option<&'a Tensor>);

/// Jacobian-vector product of [`attention`]: the tangent `(B, N, heads·d)` of its result.
///
/// `q: (B, N, heads·d)`, `k, v: (B, L, heads·d)`, each with a tangent of its shape, or none. With P = softmax(S):
/// dP = P ∘ (dS − Σ P ∘ dS), d(out) = dP v + P dv.
///
/// # Errors
///
/// As [`attention`], and when a tangent has another shape than its primal.
pub fn attention_jvp(
    q: WithTangent,
    k: WithTangent,
    v: WithTangent,
    heads: usize,
    mask: AttentionMask,
) -> Result<Tensor> {
    let s = sizes(heads, mask, q.0.shape(), k.0.shape(), v.0.shape())?;
    for (primal, tangent) in [q, k, v] {
        tangent.map_or(Ok(()), |tangent| check_equal("attention-jvp", primal, tangent))?;
    }
    if is_fast(q.0) {
        return Ok(jvp::jvp(s, q, k, v)?);
    }
    if is_half(q.0) {
        let wide = |(x, dx): WithTangent| Ok::<_, candle_core::Error>((widen(x)?, dx.map(widen).transpose()?));
        let ((q_, dq), (k_, dk), (v_, dv)) = (wide(q)?, wide(k)?, wide(v)?);
        let tangent = attention_jvp((&q_, dq.as_ref()), (&k_, dk.as_ref()), (&v_, dv.as_ref()), heads, mask)?;
        return Ok(tangent.to_dtype(q.0.dtype())?);
    }
    let p = probabilities(q.0, k.0, heads, mask)?;
    let scale = scale(q.0, heads)?;
    let (qh, kh, vh) = (split_heads(q.0, heads)?, split_heads(k.0, heads)?, split_heads(v.0, heads)?);
    let mut d_scores: Option<Tensor> = None;
    if let Some(dq) = q.1 {
        d_scores = Some(split_heads(dq, heads)?.matmul(&kh.t()?)?);
    }
    if let Some(dk) = k.1 {
        let term = qh.matmul(&split_heads(dk, heads)?.t()?)?;
        d_scores = Some(match d_scores {
            Some(d) => (d + term)?,
            None => term,
        });
    }
    let mut out: Option<Tensor> = None;
    if let Some(d_scores) = d_scores {
        let d_scores = (d_scores * scale)?;
        let mean = (&p * &d_scores)?.sum_keepdim(D::Minus1)?;
        out = Some((&p * d_scores.broadcast_sub(&mean)?)?.matmul(&vh)?);
    }
    if let Some(dv) = v.1 {
        let term = p.matmul(&split_heads(dv, heads)?)?;
        out = Some(match out {
            Some(out) => (out + term)?,
            None => term,
        });
    }
    match out {
        Some(out) => merge_heads(&out),
        None => Ok(q.0.zeros_like()?),
    }
}

fn scale(q: &Tensor, heads: usize) -> Result<f64> {
    Ok(1.0 / ((q.dim(2)? / heads) as f64).sqrt())
}

/// `(B, N, heads·d)` to `(B, heads, N, d)`.
fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, n, width) = x.dims3()?;
    Ok(x.reshape((batch, n, heads, width / heads))?.transpose(1, 2)?.contiguous()?)
}

fn merge_heads(x: &Tensor) -> Result<Tensor> {
    let (batch, heads, n, d) = x.dims4()?;
    Ok(x.transpose(1, 2)?.contiguous()?.reshape((batch, n, heads * d))?)
}

fn probabilities(q: &Tensor, k: &Tensor, heads: usize, mask: AttentionMask) -> Result<Tensor> {
    let (queries, keys, scale) = (split_heads(q, heads)?, split_heads(k, heads)?.t()?, scale(q, heads)?);
    let scores = if is_half(q) {
        // The product is rounded to half precision, so it is scaled before, by a power of two because that is exact.
        let power = scale.log2().floor().exp2();
        (widen(&(queries * power)?.matmul(&keys)?)? * (scale / power))?
    } else {
        (queries.matmul(&keys)? * scale)?
    };
    let scores = match mask {
        AttentionMask::None => scores,
        AttentionMask::Causal => {
            let (n, l) = (q.dim(1)?, k.dim(1)?);
            let bias: Vec<f32> = (0..n * l).map(|i| if i % l > i / l { f32::NEG_INFINITY } else { 0.0 }).collect();
            scores.broadcast_add(&Tensor::from_vec(bias, (n, l), q.device())?.to_dtype(scores.dtype())?)?
        }
    };
    Ok(candle_nn::ops::softmax(&scores, D::Minus1)?.to_dtype(q.dtype())?)
}

const NAME: &str = "attention";

fn sizes(heads: usize, mask: AttentionMask, q: &Shape, k: &Shape, v: &Shape) -> Result<Sizes> {
    let expected = || format!("needs q (B, N, W), k (B, L, W) and v (B, L, W) with L > 0 and W a multiple of {heads}");
    if let (&[batch, queries, width], &[of_keys, keys, key_width]) = (q.dims(), k.dims()) {
        let divides = heads > 0 && width > 0 && width.is_multiple_of(heads);
        let fits = k == v && of_keys == batch && key_width == width && keys > 0 && divides;
        check_shapes(fits, NAME, expected, &[q, k, v])?;
        return Ok(Sizes { batch, queries, keys, heads, head: width / heads, mask });
    }
    Err(Error::Shape { operation: NAME, expected: expected(), got: [q, k, v].map(|s| s.dims().to_vec()).into() })
}

/// [`attention`] of f32 on the CPU, and the softmax of every query of every head, `(B·heads·N, 2)`, for its vjp.
pub(crate) fn attention_with_softmax(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: AttentionMask,
) -> Result<(Tensor, Tensor)> {
    let s = sizes(heads, mask, q.shape(), k.shape(), v.shape())?;
    let [q_, k_, v_] = [q.contiguous()?, k.contiguous()?, v.contiguous()?];
    let (out, softmax) = with_f32(&q_, |q| with_f32(&k_, |k| with_f32(&v_, |v| forward::attend(s, q, k, v))))???;
    let softmax: Vec<f32> = softmax.into_iter().flat_map(|softmax| [softmax.max, softmax.sum]).collect();
    let queries = softmax.len() / 2;
    Ok((Tensor::from_vec(out, q.shape(), &Device::Cpu)?, Tensor::from_vec(softmax, (queries, 2), &Device::Cpu)?))
}

/// The gradients in q, k and v, where `of` asks for them, given what [`attention_with_softmax`] gave and the gradient in its
/// result.
pub(crate) fn attention_vjp(
    [q, k, v]: [&Tensor; 3],
    (out, softmax): (&Tensor, &Tensor),
    gradient: &Tensor,
    of: &[bool],
    heads: usize,
    mask: AttentionMask,
) -> Result<Vec<Option<Tensor>>> {
    let s = sizes(heads, mask, q.shape(), k.shape(), v.shape())?;
    let softmax: Vec<Softmax> =
        softmax.to_vec2::<f32>()?.into_iter().map(|pair| Softmax { max: pair[0], sum: pair[1] }).collect();
    let is_wanted = |i: usize| of.get(i).is_some_and(|wanted| *wanted);
    let wanted = vjp::Wanted { queries: is_wanted(0), keys: is_wanted(1) || is_wanted(2) };
    let gradients = gradients(s, [q, k, v, out, gradient], &softmax, wanted)?;
    let tensor = |(i, (data, like)): (usize, (Vec<f32>, &Tensor))| match is_wanted(i) {
        true => Ok(Some(Tensor::from_vec(data, like.shape(), &Device::Cpu)?)),
        false => Ok(None),
    };
    gradients.into_iter().zip([q, k, v]).enumerate().map(tensor).collect()
}

fn gradients(
    s: Sizes,
    tensors: [&Tensor; 5],
    softmax: &[Softmax],
    wanted: vjp::Wanted,
) -> candle_core::Result<[Vec<f32>; 3]> {
    let mut contiguous = vec![];
    for tensor in tensors {
        contiguous.push(tensor.contiguous()?);
    }
    let [q, k, v, out, grad] = contiguous.as_slice() else { return Ok(Default::default()) };
    with_f32(q, |q| {
        with_f32(k, |k| {
            with_f32(v, |v| {
                with_f32(out, |out| {
                    with_f32(grad, |grad| vjp::vjp(s, vjp::Forward { q, k, v, out, softmax }, grad, wanted))
                })
            })
        })
    })????
}

/// Attention as an operation of candle's, with the softmax that its forward has found.
struct Attend {
    heads: usize,
    mask: AttentionMask,
    softmax: Mutex<Vec<Softmax>>,
}

impl Attend {
    fn new(heads: usize, mask: AttentionMask) -> Self {
        Self { heads, mask, softmax: Mutex::default() }
    }

    fn sizes(&self, q: &Shape, k: &Shape, v: &Shape) -> candle_core::Result<Sizes> {
        sizes(self.heads, self.mask, q, k, v).map_err(Error::into_candle)
    }
}

impl CustomOp3 for Attend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (q, k, v) = (f32_slice(s1, l1)?, f32_slice(s2, l2)?, f32_slice(s3, l3)?);
        let (out, softmax) = forward::attend(self.sizes(l1.shape(), l2.shape(), l3.shape())?, q, k, v);
        *self.softmax.lock().unwrap_or_else(PoisonError::into_inner) = softmax;
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let s = self.sizes(q.shape(), k.shape(), v.shape())?;
        let softmax = self.softmax.lock().unwrap_or_else(PoisonError::into_inner);
        let all = vjp::Wanted { queries: true, keys: true };
        let [gq, gk, gv] = gradients(s, [q, k, v, out, grad], &softmax, all)?;
        let tensor = |data, like: &Tensor| Tensor::from_vec(data, like.shape(), &Device::Cpu).map(Some);
        Ok((tensor(gq, q)?, tensor(gk, k)?, tensor(gv, v)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::test_util::{assert_close, random};

    #[test]
    fn forward_vjp_and_jvp_agree_with_the_composed_version() -> Result<()> {
        for (mask, queries, keys) in [(AttentionMask::None, 130, 7), (AttentionMask::Causal, 9, 9)] {
            let q = Var::from_tensor(&random(&[2, queries, 12], 1)?)?;
            let k = Var::from_tensor(&random(&[2, keys, 12], 2)?)?;
            let v = Var::from_tensor(&random(&[2, keys, 12], 3)?)?;
            let f64s = |t: &Tensor| t.to_dtype(DType::F64);
            let (q64, k64, v64) = (f64s(&q)?, f64s(&k)?, f64s(&v)?);
            let out = attention(&q, &k, &v, 3, mask)?;
            let out64 = attention(&q64, &k64, &v64, 3, mask)?;
            assert_close(&out, &out64, 1e-6);

            let weights = random(&[2, queries, 12], 4)?;
            let fast = (out * &weights)?.sum_all()?.backward()?;
            let slow = (out64 * f64s(&weights)?)?.sum_all()?.backward()?;
            for var in [&q, &k, &v] {
                assert_close(fast.get(var).expect("gradient"), slow.get(var).expect("gradient"), 1e-5);
            }

            let (dq, dk, dv) = (random(&[2, queries, 12], 5)?, random(&[2, keys, 12], 6)?, random(&[2, keys, 12], 7)?);
            let tangent = attention_jvp((&q, Some(&dq)), (&k, Some(&dk)), (&v, Some(&dv)), 3, mask)?;
            let (dq64, dk64, dv64) = (f64s(&dq)?, f64s(&dk)?, f64s(&dv)?);
            for (use_q, use_k, use_v) in
                [(true, true, true), (true, false, false), (false, true, false), (false, false, true)]
            {
                let fast = attention_jvp(
                    (&q, use_q.then_some(&dq)),
                    (&k, use_k.then_some(&dk)),
                    (&v, use_v.then_some(&dv)),
                    3,
                    mask,
                )?;
                let composed = attention_jvp(
                    (&q64, use_q.then_some(&dq64)),
                    (&k64, use_k.then_some(&dk64)),
                    (&v64, use_v.then_some(&dv64)),
                    3,
                    mask,
                )?;
                assert_close(&fast, &composed, 1e-6);
            }
            let forward = (tangent * weights)?.sum_all()?.to_scalar::<f32>()?;
            let mut backward = 0.0;
            for (var, d) in [(&q, &dq), (&k, &dk), (&v, &dv)] {
                backward += (fast.get(var).expect("gradient") * d)?.sum_all()?.to_scalar::<f32>()?;
            }
            assert!((forward - backward).abs() < 1e-4 * backward.abs().max(1.0), "{forward} {backward}");
        }
        Ok(())
    }

    #[test]
    fn composed_scores_in_half_precision_do_not_overflow() -> Result<()> {
        // q·k reaches 192 · 32² = 196,608, which f16 does not hold; divided by √192 it does.
        let x = (random(&[1, 6, 384], 1)?.sign()? * 32.0)?.to_dtype(DType::F16)?;
        for mask in [AttentionMask::None, AttentionMask::Causal] {
            let half = probabilities(&x, &x, 2, mask)?;
            let wide = probabilities(&widen(&x)?, &widen(&x)?, 2, mask)?;
            assert_eq!(half.dtype(), DType::F16);
            assert_close(&widen(&half)?, &wide, 1e-3);
        }
        Ok(())
    }

    #[test]
    fn probabilities_sum_to_one() -> Result<()> {
        let p = attention_probabilities(&random(&[1, 4, 6], 1)?, &random(&[1, 5, 6], 2)?, 2, AttentionMask::None)?;
        assert_eq!(p.dims(), [1, 2, 4, 5]);
        for sum in p.sum(D::Minus1)?.flatten_all()?.to_vec1::<f32>()? {
            assert!((sum - 1.0).abs() < 1e-6);
        }
        Ok(())
    }
}
