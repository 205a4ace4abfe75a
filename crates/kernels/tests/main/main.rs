//! The operations against their definitions, over random shapes and numbers.

mod adjoint;
mod naive;
mod shapes;
mod support;
