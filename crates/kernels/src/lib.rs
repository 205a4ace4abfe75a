//! Tensor operations of diffusion networks: fast on the CPU, exact in forward and in reverse mode.
//!
//! * [`ops`]: the operations. Each has a CPU loop in f32, a backward for candle's reverse mode (vjp), and what forward
//!   mode needs (jvp). Weights are frozen: derivatives are taken with respect to inputs alone.
//! * [`Value`]: what may flow through a network. A layer is written once, generic over it: a [`candle_core::Tensor`] for
//!   inference, a [`Dual`] (primal and tangent) for exact Jacobian-vector products, a [`Taped`] (value and record) for
//!   reverse mode.
//! * [`parts`]: splits a batch into parts that run in parallel, one core each.
//! * [`working_memory`]: how much memory an operation takes while it runs, from its sizes alone.
//!
//! The crate knows no network. Numbers without a unit are just that: every operation is a map between arrays.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use memscope_kernels::{Dual, Value, ops::{Activation, Linear}};
//!
//! // y = silu(x Wᵀ), written once for every kind of value.
//! fn layer<V: Value>(x: &V, linear: &Linear) -> memscope_kernels::Result<V> {
//!     x.through(linear)?.activate(Activation::Silu)
//! }
//!
//! # fn main() -> memscope_kernels::Result<()> {
//! let cpu = &Device::Cpu;
//! let linear = Linear::new(Tensor::new(&[[1f32, -2.0], [0.5, 1.0]], cpu)?, None)?;
//! let (x, v) = (Tensor::new(&[[1f32, 0.0]], cpu)?, Tensor::new(&[[0f32, 1.0]], cpu)?);
//! let y = layer(&Dual::variable(x, v)?, &linear)?;
//! // The output and its derivative in the direction v: f(x) and J v.
//! assert_eq!(y.primal().dims(), [1, 2]);
//! assert_eq!(y.tangent()?.dims(), [1, 2]);
//! # Ok(())
//! # }
//! ```

#![warn(clippy::missing_errors_doc)]

mod dual;
mod error;
mod gemm;
pub mod ops;
pub mod parts;
mod scratch;
mod tape;
#[cfg(test)]
mod test_util;
mod value;
pub mod working_memory;

pub use dual::Dual;
pub use error::{Error, Result};
pub use tape::{Record, Taped};
pub use value::{LinearMap, Value};
