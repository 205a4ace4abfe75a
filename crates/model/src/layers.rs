//! Builds layers from weights, under diffusers' tensor names.

use memscope_kernels::ops::{Conv2d, Linear, Norm};

use crate::{error::Result, weights::Scope};

/// A dense layer with a bias.
pub(crate) fn linear(inputs: usize, outputs: usize, scope: &Scope) -> Result<Linear> {
    Ok(Linear::new(scope.get("weight", &[outputs, inputs])?, Some(scope.get("bias", &[outputs])?))?)
}

/// A dense layer without a bias.
pub(crate) fn linear_no_bias(inputs: usize, outputs: usize, scope: &Scope) -> Result<Linear> {
    Ok(Linear::new(scope.get("weight", &[outputs, inputs])?, None)?)
}

/// A 1x1 convolution seen as a dense layer over tokens.
pub(crate) fn pointwise_as_linear(inputs: usize, outputs: usize, scope: &Scope) -> Result<Linear> {
    let weight = scope.get("weight", &[outputs, inputs, 1, 1])?.reshape((outputs, inputs))?;
    Ok(Linear::new(weight, Some(scope.get("bias", &[outputs])?))?)
}

/// A square convolution with a bias; padding keeps the size at stride 1.
pub(crate) fn conv2d(inputs: usize, outputs: usize, kernel: usize, stride: usize, scope: &Scope) -> Result<Conv2d> {
    let weight = scope.get("weight", &[outputs, inputs, kernel, kernel])?;
    Ok(Conv2d::new(weight, Some(scope.get("bias", &[outputs])?), stride, kernel / 2)?)
}

/// Group normalisation.
pub(crate) fn group_norm(groups: usize, channels: usize, eps: f64, scope: &Scope) -> Result<Norm> {
    Ok(Norm::group(scope.get("weight", &[channels])?, scope.get("bias", &[channels])?, groups, eps)?)
}

/// Layer normalisation.
pub(crate) fn layer_norm(channels: usize, eps: f64, scope: &Scope) -> Result<Norm> {
    Ok(Norm::layer(scope.get("weight", &[channels])?, scope.get("bias", &[channels])?, eps)?)
}
