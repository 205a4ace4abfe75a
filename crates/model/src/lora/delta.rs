//! The arithmetic of the changes.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::keys::Module;
use crate::error::{Error, Result};

/// The parts of a change as tensors on the CPU, in f32.
pub(super) struct Change {
    name: String,
    parts: BTreeMap<&'static str, Tensor>,
    alpha: Option<f64>,
    by_root: bool,
}

/// Whether the shapes of a change can make a tensor of `shape`, as far as counts tell.
pub(super) fn fits(module: &Module, shape: &[usize]) -> bool {
    let of = |part: &str| module.parts.get(part).map(|stored| stored.shape.clone());
    let numbers = |shape: &[usize]| shape.iter().product::<usize>();
    let first = |shape: &[usize]| shape.first().copied().unwrap_or(0);
    let rest = |shape: &[usize]| shape.iter().skip(1).product::<usize>();
    let wanted = numbers(shape);
    let (Some(outputs), Some(inputs)) = (shape.first().copied(), wanted.checked_div(first(shape).max(1))) else {
        return false;
    };
    if let (Some(up), Some(down)) = (of("up"), of("down")) {
        return match of("mid") {
            Some(mid) => {
                mid.len() == 4
                    && up.len() >= 2
                    && mid[0] == up[1]
                    && mid[1] == first(&down)
                    && first(&up) == outputs
                    && rest(&down) * mid[2] * mid[3] == inputs
            }
            None => up.len() >= 2 && rest(&up) == first(&down) && first(&up) == outputs && rest(&down) == inputs,
        };
    }
    if let Some(difference) = of("difference") {
        return numbers(&difference) == wanted;
    }
    let product = |a: &str, b: &str, t: &str| match (of(a), of(b), of(t)) {
        (Some(a), Some(b), None) if a.len() == 2 && b.len() >= 2 && a[1] == b[0] => Some(a[0] * rest(&b)),
        (Some(a), Some(b), Some(t)) if a.len() == 2 && b.len() == 2 && t.len() == 4 && t[0] == a[0] && t[1] == b[0] => {
            Some(a[1] * b[1] * t[2] * t[3])
        }
        _ => None,
    };
    if of("w1_a").is_some() {
        return product("w1_a", "w1_b", "t1") == Some(wanted) && product("w2_a", "w2_b", "t2") == Some(wanted);
    }
    let factor = |whole: &str, a: &str, b: &str, t: &str| of(whole).map(|w| numbers(&w)).or_else(|| product(a, b, t));
    match (
        factor("kron_w1", "kron_w1_a", "kron_w1_b", "no part"),
        factor("kron_w2", "kron_w2_a", "kron_w2_b", "kron_t2"),
    ) {
        (Some(first), Some(second)) => first.checked_mul(second) == Some(wanted),
        _ => false,
    }
}

impl Change {
    /// Reads all parts of a module.
    pub(super) fn read(module: &Module, read: impl Fn(&str) -> Result<Option<Vec<f32>>>) -> Result<Self> {
        let mut parts = BTreeMap::new();
        for (part, stored) in &module.parts {
            if let Some(numbers) = read(part)? {
                parts.insert(*part, Tensor::from_vec(numbers, stored.shape.as_slice(), &Device::Cpu)?);
            }
        }
        Ok(Self { name: module.name.clone(), parts, alpha: module.alpha, by_root: module.by_root })
    }

    fn part(&self, name: &str) -> Result<&Tensor> {
        self.parts.get(name).ok_or_else(|| Error::Argument(format!("{}: the part {name} is missing", self.name)))
    }

    /// The weight of `shape` with the change, whose strength is `scale`.
    pub(super) fn apply(&self, numbers: Vec<f32>, shape: &[usize], scale: f64) -> Result<Vec<f32>> {
        let weight = Tensor::from_vec(numbers, shape, &Device::Cpu)?;
        let delta = self.delta()?.reshape(shape)?;
        let changed = if let Some(magnitude) = self.parts.get("magnitude") {
            // PEFT: the change is scaled before the sum is brought to its magnitude.
            decompose(&(&weight + (delta * scale)?)?, magnitude, Axis::Output, 0.0)?
        } else if let Some(magnitude) = self.parts.get("dora") {
            // LyCORIS: the whole step from the base's weight is scaled.
            let outputs = shape.first().copied().unwrap_or(1);
            let axis =
                if magnitude.dims().first() == Some(&outputs) && outputs > 1 { Axis::Output } else { Axis::Input };
            let whole = decompose(&(&weight + delta)?, magnitude, axis, f64::from(f32::EPSILON))?;
            (&weight + ((whole - &weight)? * scale)?)?
        } else {
            (weight + (delta * scale)?)?
        };
        Ok(changed.flatten_all()?.to_vec1()?)
    }

    /// What is added at scale 1.
    fn delta(&self) -> Result<Tensor> {
        if self.parts.contains_key("difference") {
            return Ok(self.part("difference")?.clone());
        }
        if self.parts.contains_key("up") {
            let (up, down) = (rows(self.part("up")?)?, self.part("down")?);
            let product = match self.parts.get("mid") {
                Some(mid) => tucker(mid, &up.t()?, &rows(down)?)?,
                None => up.matmul(&rows(down)?)?,
            };
            return Ok((product * self.factor(down.dim(0)?)?)?);
        }
        if self.parts.contains_key("w1_a") {
            let [first, second] = [("w1_a", "w1_b", "t1"), ("w2_a", "w2_b", "t2")].map(|names| self.product(names));
            return Ok((first?.mul(&second?)? * self.factor(self.part("w1_b")?.dim(0)?)?)?);
        }
        self.kronecker()
    }

    /// The factor: alpha over the rank (or its root), 1 where no alpha is given.
    fn factor(&self, rank: usize) -> Result<f64> {
        let alpha = match self.parts.get("alpha") {
            Some(alpha) => alpha.flatten_all()?.to_vec1::<f32>()?.first().map(|alpha| f64::from(*alpha)),
            None => self.alpha,
        };
        let rank = rank.max(1) as f64;
        Ok(alpha.map_or(1.0, |alpha| alpha / if self.by_root { rank.sqrt() } else { rank }))
    }

    /// a b, or the Tucker product around a core, with the numbers in the order of the weight.
    fn product(&self, (a, b, core): (&str, &str, &str)) -> Result<Tensor> {
        let (a, b) = (self.part(a)?, self.part(b)?);
        match self.parts.get(core) {
            Some(core) => tucker(core, a, b),
            None => Ok(a.matmul(&rows(b)?)?),
        }
    }

    fn kronecker(&self) -> Result<Tensor> {
        let first = match self.parts.get("kron_w1") {
            Some(whole) => whole.clone(),
            None => self.product(("kron_w1_a", "kron_w1_b", "no part"))?,
        };
        let (second, tail): (Tensor, Vec<usize>) = match self.parts.get("kron_w2") {
            Some(whole) => (whole.clone(), whole.dims()[2.min(whole.rank())..].to_vec()),
            None => {
                let b = self.part("kron_w2_b")?;
                let core = self.parts.get("kron_t2");
                let tail = core.unwrap_or(b).dims();
                let tail = tail[2.min(tail.len())..].to_vec();
                let product = self.product(("kron_w2_a", "kron_w2_b", "kron_t2"))?;
                let (outputs, inputs) = match core {
                    Some(_) => (self.part("kron_w2_a")?.dim(1)?, b.dim(1)?),
                    None => (self.part("kron_w2_a")?.dim(0)?, b.dim(1)?),
                };
                let mut dims = vec![outputs, inputs];
                dims.extend(&tail);
                (product.reshape(dims)?, tail)
            }
        };
        // As LyCORIS: without a decomposed factor there is no rank and alpha does not count.
        let rank = self.parts.get("kron_w1_b").or_else(|| self.parts.get("kron_w2_b")).map(|b| b.dim(0)).transpose()?;
        let factor = rank.map_or(Ok(1.0), |rank| self.factor(rank))?;
        let (a, b) = first.dims2()?;
        let (c, d) = (second.dim(0)?, second.dim(1)?);
        let area: usize = tail.iter().product();
        let second = second.reshape((1, c, 1, d, area))?;
        Ok((first.reshape((a, 1, b, 1, 1))?.broadcast_mul(&second)? * factor)?.reshape((a * c, b * d * area))?)
    }
}

/// The first dimension against all others.
fn rows(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.reshape((tensor.dim(0)?, tensor.elem_count() / tensor.dim(0)?.max(1)))?)
}

/// Σ core[i, j, k, l] a[i, p] b[j, r] at (p, r, k, l), as `(p, r·k·l)`.
fn tucker(core: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (i, j, k, l) = core.dims4()?;
    let (p, r) = (a.dim(1)?, b.dim(1)?);
    let over_a = a.t()?.contiguous()?.matmul(&core.reshape((i, j * k * l))?)?;
    // (p, j, kl) to (p, kl, j), times (j, r).
    let over_a = over_a.reshape((p, j, k * l))?.transpose(1, 2)?.contiguous()?.reshape((p * k * l, j))?;
    let both = over_a.matmul(&b.contiguous()?)?.reshape((p, k * l, r))?.transpose(1, 2)?.contiguous()?;
    Ok(both.reshape((p, r * k * l))?)
}

/// Over which the norm of a weight is taken: everything but this axis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    Output,
    Input,
}

/// The weight brought to the magnitude, per output or per input; `eps` is added to its norm.
fn decompose(weight: &Tensor, magnitude: &Tensor, axis: Axis, eps: f64) -> Result<Tensor> {
    let shape = weight.dims().to_vec();
    let (outputs, inputs) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
    let area = weight.elem_count() / (outputs * inputs).max(1);
    let flat = weight.reshape((outputs, inputs, area))?;
    let squares = flat.sqr()?;
    let (norm, place) = match axis {
        Axis::Output => (squares.sum_keepdim((1, 2))?.sqrt()?, (outputs, 1, 1)),
        Axis::Input => (squares.sum_keepdim((0, 2))?.sqrt()?, (1, inputs, 1)),
    };
    let norm = (norm + eps)?;
    Ok(flat.broadcast_mul(&magnitude.reshape(place)?.div(&norm)?)?.reshape(shape)?)
}
